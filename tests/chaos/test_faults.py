"""Mixed clients of two tenants, while what is between them and their data breaks: nothing they were told is untrue.

Here one world and the quick kinds of faults; every kind, again and again, is what `make chaos` does (`full.py`).
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.faults import KINDS
from tests.chaos.load import Load, Mix
from tests.chaos.running import KEY, KillableHub
from tests.chaos.wire import Line
from tests.chaos.world import World, a_world

pytestmark = pytest.mark.chaos
READERS, EVENTS, LOUD = 20, 1200, "loud" * 1000
QUICK = (
    "replies lost after it was done",
    "connections cut in mid reply",
    "Redis killed",
    "end of the append-only file torn",
    "disk full",
    "memory full",
    "Redis frozen for 1 s",
    "network swallows everything",
)


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One world to break."""
    async with a_world(tmp_path_factory.mktemp("world"), durability="safe") as world:
        yield world


@pytest.mark.parametrize("kind", QUICK)
async def test_whatever_breaks_nothing_acknowledged_is_missing_doubled_or_anothers(
    world: World, kind: str, record_property: Callable[[str, object], None]
) -> None:
    load = Load(world, f"kind{QUICK.index(kind)}", Mix(customers=2, clients=6, most_events=20))
    async with load.at_work():
        await asyncio.sleep(0.5)
        await KINDS[kind](world)
        before = load.acknowledged
        async with asyncio.timeout(30):
            while load.acknowledged < before + 20:
                await asyncio.sleep(0.05)
    record_property("ran", f"{kind}: {load.acknowledged} writes acknowledged, {len(load.faults)} contradictions")
    assert load.faults == []


async def test_of_twenty_who_reach_one_holds_it_and_calls_given_up_show_nobody_elses(world: World) -> None:
    load = Load(world, "many", Mix(customers=3, claimants=20, tell=5, read=50, vanish=50, hand_over=10))
    async with load.at_work(), asyncio.timeout(30):
        while load.counts["offers"] < 4 or load.counts["cancelled"] < 40:
            await asyncio.sleep(0.05)
    assert load.faults == []


async def test_twenty_streams_that_nobody_reads_cost_the_hub_little_memory(world: World) -> None:
    hub, line = world.hubs[0], Line(world.hubs[0].url, KEY)
    start = {"channel": "chat", "external_id": "loud", "customer_id": "loud"}
    assert (await line.call("POST", "/v1/interactions", start)).is_success
    with ExitStack() as stack:
        readers = [stack.enter_context(socket.socket()) for _ in range(READERS)]
        for reader in readers:
            open_stream(reader, hub.url, "/v1/customers/loud/stream")
        before = memory_of(hub)
        for batch in range(EVENTS // 100):
            told = [{"event_id": f"{batch}.{n}", "type": "x.loud", "data": {"text": LOUD}} for n in range(100)]
            answer = await line.call("POST", "/v1/customers/loud/events", {"events": told})
            assert answer.is_success, answer
        await asyncio.sleep(1)
        grown = memory_of(hub) - before
    line.hang_up()
    assert grown < READERS * EVENTS * len(LOUD) / 4


def open_stream(reader: socket.socket, url: str, path: str) -> None:
    """Ask for a stream, and have hardly any room for what comes."""
    host, port = url.removeprefix("http://").split(":")
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    reader.connect((host, int(port)))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode())
    assert reader.recv(12) == b"HTTP/1.1 200"


def memory_of(hub: KillableHub) -> int:
    """Return how many bytes a hub's process holds."""
    assert hub.process is not None
    pages = Path(f"/proc/{hub.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()
