"""Whatever bytes come on a connection, frames of a protocol that no part of the hub speaks among them: it goes on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from tests.api.throwing import SEEDS, inputs, thrown
from tests.chaos.running import KillableHub
from tests.on_a_port import on_a_port

INPUTS = int(os.environ.get("CTXHUB_WIRE_INPUTS", "1000"))
MOST_GROWTH = 0.10
PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[KillableHub]:
    """A hub as a process of its own."""
    hub = KillableHub(tmp_path / "data", durability="fast").start()
    yield hub
    hub.stop()


def memory(hub: KillableHub) -> int:
    """How many bytes of memory the hub's processes hold, without its Redis."""
    assert hub.process is not None
    pids = [pid for pid in hub.children() if b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in [hub.process.pid, *pids]) * PAGE


@pytest.mark.timeout(3600)
async def test_nothing_is_a_fault_of_ours_nothing_is_upgraded_and_memory_does_not_grow(
    hub: KillableHub, tmp_path: Path
) -> None:
    port, processes = httpx.URL(hub.url).port or 0, hub.children()
    answered = await thrown(port, 1, INPUTS // 3)
    warm = memory(hub)
    answered += await thrown(port, 2, INPUTS - INPUTS // 3)
    growth = memory(hub) / warm - 1
    print(f"{INPUTS:,} inputs, memory of {warm >> 20} MB grew by {growth:.1%}; answers: {sorted(answered.items())}")
    assert not [status for status in answered if status >= 500 or status == 101]
    assert {200, 400, 404} <= set(answered)
    assert growth < MOST_GROWTH
    assert hub.children() == processes
    assert "Traceback" not in (tmp_path / "hub.log").read_text()
    async with httpx.AsyncClient(base_url=hub.url, trust_env=False) as http:
        assert (await http.get("/health/ready")).status_code == httpx.codes.OK


async def test_a_fault_and_an_upgrade_would_be_seen() -> None:
    async def weak(scope: Any, receive: Any, send: Any) -> None:
        names = dict(scope["headers"])
        status = 101 if b"upgrade" in names else 500 if b"content-type" in names else 200
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with on_a_port(weak) as port:
        assert {101, 500} <= set(await thrown(port, 1, 100))


def test_one_input_in_two_begins_well_and_all_kinds_of_frames_follow() -> None:
    kinds: Counter[int] = Counter()
    well = 0
    for one in inputs(Random(1), 1000):
        well += one.head in SEEDS
        kinds.update(frame[0] & 0x0F for frame in one.frames)
    assert well > 400
    assert len(kinds) == 16
