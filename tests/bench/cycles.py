"""Cycles of everybody in turn: append one message of 100 characters, then read back; and what each costs."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from tests.bench.figure import Figure
from tests.bench.load import CONNECTIONS, Load, enough, for_seconds, new_names, run
from tests.bench.part import Part
from tests.bench.peers import Library
from tests.bench.plot import bars
from tests.bench.running import Running
from tests.bench.scrape import metric
from tests.bench.size import Size

System = Running | Library
Systems = dict[str, System]
Loads = dict[str, list[Load]]
TURNS = 20
HEADER = ("", "a second", "p50 ms", "p99 ms", "server CPU ms", "Redis CPU ms", "Redis commands")


async def cycles_for(system: System, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Run cycles of new customers on a server, or in a library's own process, for about so long."""
    if isinstance(system, Running):
        return await for_seconds(system, seconds, TURNS, connections)
    tried = await system.run(connections, 4, tasks=connections)
    return await system.run(enough(tried, seconds, TURNS, connections), TURNS, tasks=connections)


async def in_turn(rounds: int, samples: Mapping[str, Callable[[], Awaitable[Load]]]) -> Loads:
    """Take every sample, then all again, so that what disturbs disturbs all; every second round runs backwards.

    Each is told on stderr as it comes, for whoever waits.
    """
    loads: Loads = {name: [] for name in samples}
    for number in range(rounds):
        for name in sorted(samples, key=list(samples).index, reverse=bool(number % 2)):
            began = time.perf_counter()
            load = await samples[name]()
            loads[name].append(load)
            print(
                f"{name}: {load.rate:,.0f} a second, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True
            )
    return loads


def rates(loads: Loads) -> dict[str, float]:
    """Return the median rate of each."""
    return {name: statistics.median(load.rate for load in taken) for name, taken in loads.items()}


def ratio(loads: Loads, one: str, other: str) -> float:
    """Return how much faster one is than the other: the median of the rounds' own ratios."""
    pairs = zip(loads[one], loads[other], strict=True)
    return statistics.median(mine.rate / theirs.rate for mine, theirs in pairs)


def cpu_ratio(loads: Loads, one: str, other: str) -> float:
    """Return how much less CPU one's server takes than the other's."""
    pairs = zip(loads[one], loads[other], strict=True)
    return statistics.median(theirs.cpu_ms / max(mine.cpu_ms, 1e-3) for mine, theirs in pairs)


def row(name: str, loads: Sequence[Load]) -> tuple[str | float, ...]:
    """Return one line of a table: medians over the rounds."""
    kinds: list[Callable[[Load], float]] = [
        lambda load: load.rate, lambda load: load.percentile(0.5), lambda load: load.percentile(0.99),
        lambda load: load.cpu_ms, lambda load: load.redis_ms, lambda load: load.commands,
    ]  # fmt: skip
    return name, *(statistics.median(kind(load) for load in loads) for kind in kinds)


async def everybody(systems: Systems, size: Size) -> Part:
    """Measure everybody side by side with sixteen connections, and alone for the round trips."""
    loads = await in_turn(size.rounds, {name: _sample(system, size.seconds) for name, system in systems.items()})
    alone = {name: await cycles_for(system, size.seconds / 2, 1) for name, system in systems.items()}
    rows = [(*row(name, taken), alone[name].trips) for name, taken in loads.items()]
    waited = Figure("round trips to Redis that a cycle waits for", await _waited_for(systems["ctxhub fast"]), "<= 2.5")
    return Part(
        "Everybody, 16 connections",
        "A cycle appends one message and reads back: ctxhub and the floor the newest 20 messages and ten facts, the "
        "others all of their session, up to 20 messages. RedisSession and the tracker store run inside the process "
        "that measures them, with 16 tasks, without a server or HTTP: their CPU is that whole process. Round trips "
        "are how often Redis read from a connection, with one client; at ctxhub also for what is done behind the "
        "answer. With several clients, ctxhub and the floor share them.",
        (*HEADER, "round trips"), rows, [*_targets(loads), waited],
        [bars("cycles", "Cycles a second, 16 connections", rates(loads)),
         bars("cpu", "CPU of the server for a cycle, ms", {name: taken[0].cpu_ms for name, taken in loads.items()})],
    )  # fmt: skip


async def _waited_for(hub: System) -> float:
    """Return how many round trips appends and reads make, as the hub counts them, for each cycle."""
    assert isinstance(hub, Running)
    counted = "ctxhub_redis_round_trips_total", 'operation="append"', 'operation="load"'
    before = metric(hub, *counted)
    load = await run(hub, new_names(CONNECTIONS), TURNS)
    return (metric(hub, *counted) - before) / len(load.cycles)


def _sample(system: System, seconds: float) -> Callable[[], Awaitable[Load]]:
    """Return what takes one sample."""
    return lambda: cycles_for(system, seconds)


def _targets(loads: Loads) -> list[Figure]:
    """Return the ratios that are aimed at."""
    figures = [Figure("cycle, part of the floor", ratio(loads, "ctxhub fast", "floor"))]
    wanted = (("agent-memory-server", ">= 8"), ("openai-agents", ">= 3"), ("rasa", ""))
    for peer, target in wanted:
        if peer in loads:
            figures += [
                Figure(f"cycle, times {peer}, `fast`", ratio(loads, "ctxhub fast", peer), target),
                Figure("the same, `safe`, whose Redis syncs every write as theirs does not",
                       ratio(loads, "ctxhub safe", peer)),
                Figure(f"CPU of a cycle, times less than {peer}", cpu_ratio(loads, "ctxhub fast", peer)),
            ]  # fmt: skip
    return figures
