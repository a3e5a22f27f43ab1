"""Negative controls: the same world, load and checker with one safeguard taken out must find what that loses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos import failovers, faults
from tests.chaos.failovers import many
from tests.chaos.history import Fault
from tests.chaos.load import Load, Mix
from tests.chaos.world import World, a_world
from tests.many import Guarded

TELLING = Mix(customers=2, clients=8, most_events=10, read=5, vanish=0, hand_over=0)
#: Facts alone, so that decisions race.
DECIDING = Mix(customers=1, most_events=1, most_times=1, facts=1, most_facts=500, read=5, vanish=0, hand_over=0)
ALONE = "no wait for a replica; replicas are cut off, then the primary is killed"
OFFERING = Mix(customers=4, clients=4, tell=10, read=5, vanish=0, hand_over=50)


async def evicting(world: World) -> None:
    """Redis makes room by forgetting whom nobody asked for lately, as a cache does."""
    world.store.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    used = int(world.store.call("INFO", "memory")["used_memory"])
    world.store.call("CONFIG", "SET", "maxmemory", str(used - 100_000))
    await asyncio.sleep(2)
    world.store.call("CONFIG", "SET", "maxmemory", "0")


async def nothing(_: World) -> None:
    """Nothing is broken; what is missing is enough."""
    await asyncio.sleep(2)


class Control(NamedTuple):
    """A safeguard less, what is done then, under which load, and which contradictions must be found."""

    world: Callable[[Path], AbstractAsyncContextManager[Any]]
    fault: Callable[[Any], Awaitable[None]]
    mix: Mix
    found: frozenset[str]


CONTROLS = {
    "nothing recognises what is sent again; replies are lost": Control(
        partial(a_world, weakened="recognising"), faults.replies_lost, TELLING, frozenset({"doubled"})
    ),
    "read, modify and write, without comparing": Control(
        partial(a_world, weakened="comparing", workers=(1, 1)),
        faults.network("slow 40", 4),
        DECIDING,
        frozenset({"update lost"}),
    ),
    "relays that compete, without lease and fence": Control(
        partial(a_world, weakened="leases", workers=(1, 1)), nothing, OFFERING, frozenset({"counted"})
    ),
    "no append-only file; Redis is killed": Control(
        partial(a_world, appendonly="no"), faults.redis_killed, TELLING, frozenset({"lost"})
    ),
    "an evicting policy; memory runs short": Control(a_world, evicting, TELLING, frozenset({"lost"})),
    ALONE: Control(
        partial(many, Guarded, durability="fast", hubs=1), failovers.cut_off_and_killed, TELLING, frozenset({"lost"})
    ),
}


async def controlled(name: str, folder: Path) -> tuple[int, list[Fault]]:
    """Run one control; return how many writes were acknowledged, and what was found."""
    control = CONTROLS[name]
    async with control.world(folder) as world:
        load = Load(world, "weak", control.mix)
        async with load.at_work():
            await asyncio.sleep(1)
            await control.fault(world)
            await asyncio.sleep(1)
        return load.acknowledged, load.faults
