"""Mixed clients of two tenants, while what is between them and their data breaks: nothing they were told is untrue.

Here one world and the quick kinds of faults; every kind, again and again, is what `make chaos` does (`full.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.faults import KINDS
from tests.chaos.load import Load, Mix
from tests.chaos.world import World, a_world

pytestmark = pytest.mark.chaos
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
async def test_whatever_breaks_nothing_acknowledged_is_missing_doubled_or_anothers(world: World, kind: str) -> None:
    load = Load(world, f"kind{QUICK.index(kind)}", Mix(customers=2, clients=6, most_events=20))
    async with load.at_work():
        await asyncio.sleep(0.5)
        await KINDS[kind](world)
        before = load.acknowledged
        async with asyncio.timeout(30):
            while load.acknowledged < before + 20:
                await asyncio.sleep(0.05)
    assert load.faults == []


async def test_of_twenty_who_reach_one_holds_it_and_calls_given_up_show_nobody_elses(world: World) -> None:
    load = Load(world, "many", Mix(customers=3, claimants=20, tell=5, read=50, vanish=50, hand_over=10))
    async with load.at_work(), asyncio.timeout(30):
        while load.counts["offers"] < 4 or load.counts["cancelled"] < 40:
            await asyncio.sleep(0.05)
    assert load.faults == []
