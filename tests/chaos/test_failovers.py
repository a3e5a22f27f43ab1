"""Mixed clients of two tenants while a server is lost: all they sent is sent once more, and is answered as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.failovers import KINDS, MIX, hubs_of_many, lost_once
from tests.chaos.load import Load
from tests.chaos.running import FULL
from tests.many import Grid, Guarded

pytestmark = pytest.mark.chaos
QUICK = ("Sentinels' primary killed, `safe`", "a cluster's primary killed, `safe`")
IDS, HUBS = (4000, 2) if FULL else (400, 1)


@pytest.mark.parametrize("name", KINDS if FULL else QUICK)
async def test_what_is_repeated_after_a_server_is_lost_is_done_once(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    kind = KINDS[name]
    servers: Guarded | Grid = request.getfixturevalue("sentinels" if kind.servers is Guarded else "cluster")
    async with hubs_of_many(servers, tmp_path, kind.durability, HUBS) as world:
        load = Load(world, "lost", MIX)
        recovered = await lost_once(world, load, kind.fault, IDS, till_it_is_back=FULL)
    assert load.faults == []
    assert load.counts["repeated"] >= IDS
    assert recovered is not None
