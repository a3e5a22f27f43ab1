"""What a customer weighs in Redis."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

from tests.bench.cycles import Systems
from tests.bench.figure import Figure
from tests.bench.load import CONNECTIONS, run
from tests.bench.part import Part
from tests.bench.peers import Library
from tests.bench.running import Running
from tests.bench.size import Size

_HISTORIES = (20, 200)
_TARGETS = {20: "<= 7", 200: "<= 45"}
_SETTLES = 1.5


async def weighed(systems: Systems, size: Size) -> Part:
    """Weigh customers with short and with long histories."""
    found: dict[str, list[float]] = {}
    for name, system in systems.items():
        found[name] = [await _kilobytes(system, history, size.weighed) for history in _HISTORIES]
        print(f"{name}: weighed", file=sys.stderr, flush=True)
    ours = zip(_HISTORIES, found["ctxhub fast"], strict=True)
    figures = [
        Figure(f"Redis memory of a customer with {history} messages and 10 facts, kB", weight, _TARGETS[history])
        for history, weight in ours
    ]
    return Part(
        "Memory in Redis",
        f"What {size.weighed} customers add to Redis' used memory, each with so many messages of 100 characters; at "
        "ctxhub with ten facts, an open interaction, all indexes, what recognises repeated events, and the audit "
        "trail; at the others the messages alone, and at the floor nothing but a list.",
        ("", *(f"{history} messages, kB" for history in _HISTORIES)),
        [(name, *weights) for name, weights in found.items()], figures,
    )  # fmt: skip


async def _kilobytes(system: Running | Library, history: int, customers: int) -> float:
    """Return what a customer weighs; it ends with one cycle, which reads that all is there."""
    await asyncio.sleep(_SETTLES)
    redis = system.redis
    before = redis.info("memory")["used_memory"]
    if isinstance(system, Library):
        await system.run(customers, 1, history - 1)
    else:
        names = [f"w{history}-{number}" for number in range(customers)]
        await run(system, names, 1, CONNECTIONS, partial(system.begin, history=history - 1))
    await asyncio.sleep(_SETTLES)
    return float(redis.info("memory")["used_memory"] - before) / customers / 1000
