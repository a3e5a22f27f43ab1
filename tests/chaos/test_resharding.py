"""A slot of the cluster goes to another server while its customers are told of: nothing is missing or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.losing import IN_TIME, running, slot_of
from tests.chaos.moving import at_once, key_by_key
from tests.chaos.running import FULL
from tests.many import Grid, until

pytestmark = pytest.mark.chaos
MOVES = 20 if FULL else 2


@pytest.mark.timeout(600)
async def test_a_slot_moves_under_load(
    cluster: Grid, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    await asyncio.to_thread(until, cluster.is_whole, "not whole", 30)
    async with running(tmp_path, cluster.url, "safe") as (http, load):
        slot = slot_of(load.told[0].scene.customer_id)
        async with load.at_work():
            for n in range(MOVES):
                await load.grown()
                source = cluster.of(slot)
                target = next(one for one in cluster.primaries() if one is not source)
                await asyncio.to_thread((at_once, key_by_key)[n % 2], cluster, slot, source, target)
            await load.grown()
        record_property("ran", f"cluster, safe, a slot moved {MOVES} times: {load.told_of()}")
        assert await load.faults(http) == []
        assert load.answer <= IN_TIME
