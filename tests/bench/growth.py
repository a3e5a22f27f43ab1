"""Growth: what becomes of cycles with longer histories, more connections and a second worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from tests.bench.cycles import HEADER, Systems, cycles_for, in_turn, rates, ratio, row
from tests.bench.figure import Figure
from tests.bench.load import CONNECTIONS, Begun, Load, new_names
from tests.bench.part import Part
from tests.bench.peers import Library
from tests.bench.plot import lines
from tests.bench.running import Running
from tests.bench.scrape import at_rest
from tests.bench.size import Size

_CUSTOMERS = 2 * CONNECTIONS
_TURNS = 40
_TURNS_OF_ALL = 4
_ENOUGH_CORES = 4


async def with_history(systems: Systems, size: Size) -> Part:
    """Measure cycles of customers who have said more and more already."""
    samples: dict[str, Callable[[], Awaitable[Load]]] = {}
    for history in size.histories:
        for name, system in systems.items():
            samples[_named(name, history)] = await _after(name, system, history)
            print(f"{_named(name, history)}: told", file=sys.stderr, flush=True)
    for name, system in systems.items():
        if isinstance(system, Running) and name.startswith("ctxhub"):
            await at_rest(system)
    loads = await in_turn(size.rounds, samples)
    middle = rates(loads)
    short, long = size.histories[0], size.histories[-1]
    rows: list[tuple[str | float, ...]] = [(name, *(middle[_named(name, history)] for history in size.histories),
             middle[_named(name, long)] / middle[_named(name, short)]) for name in systems]  # fmt: skip
    kept = ratio(loads, _named("ctxhub fast", long), _named("ctxhub fast", short))
    curves = {name: {history: middle[_named(name, history)] for history in size.histories} for name in systems}
    return Part(
        "Longer histories",
        "Cycles a second, 16 connections, of customers who have said so many messages already. ctxhub reads the newest "
        "20 with all facts, however long the history; the others' interfaces read all of it.",
        ("", *(f"{history:,} messages" for history in size.histories), f"{long:,} against {short:,}"), rows,
        [Figure(f"{long:,} messages, part of the cycles/s with {short:,}", kept, ">= 0.9")],
        [lines("history", "Cycles a second by messages already said", "messages", curves)],
    )  # fmt: skip


def _named(name: str, size: int) -> str:
    """Name one sample."""
    return f"{name}, {size:,}"


async def _after(name: str, system: Running | Library, history: int) -> Callable[[], Awaitable[Load]]:
    """Return what runs cycles of customers with a history, who stay the same from round to round.

    Few of those who read all of it, which takes its time.
    """
    if isinstance(system, Library):
        return partial(system.run, CONNECTIONS, _TURNS_OF_ALL, history)
    reads_all = not name.startswith(("ctxhub", "floor"))
    names = new_names(CONNECTIONS if reads_all else _CUSTOMERS)
    begun = await Begun.of(system, names, CONNECTIONS, partial(system.begin, history=history))
    return partial(begun.work, _TURNS_OF_ALL if reads_all else _TURNS)


async def with_connections(systems: Systems, size: Size) -> Part:
    """Measure cycles over more and more connections."""
    samples = {
        _named(name, count): partial(cycles_for, system, size.seconds * 0.5, count)
        for count in size.connections for name, system in systems.items()
    }  # fmt: skip
    loads = await in_turn(size.rounds, samples)
    middle = rates(loads)
    curves = {name: {count: middle[_named(name, count)] for count in size.connections} for name in systems}
    return Part(
        "More connections",
        "The same cycles over so many connections.",
        HEADER, [row(name, taken) for name, taken in loads.items()], (),
        [lines("connections", "Cycles a second by connections", "connections", curves)],
    )  # fmt: skip


async def with_workers(one: Running, two: Running, size: Size) -> Part:
    """Measure cycles at a hub with one worker and at one with two."""
    samples = {
        "1 worker": partial(cycles_for, one, size.seconds, 32),
        "2 workers": partial(cycles_for, two, size.seconds, 32),
    }
    loads = await in_turn(size.rounds, samples)
    cores = os.cpu_count() or 1
    unjudged = "" if cores >= _ENOUGH_CORES else f"not judged: {cores} cores for client, Redis and both workers"
    return Part(
        "A second worker",
        "The same cycles over 32 connections, `fast`. Client and Redis want a core each besides.",
        HEADER, [row(name, taken) for name, taken in loads.items()],
        [Figure("two workers, times one", ratio(loads, "2 workers", "1 worker"), ">= 1.6", unjudged)],
    )  # fmt: skip
