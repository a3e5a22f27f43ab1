"""The full run: every kind of fault, again and again, under mixed clients; then what it came to, as a page.

`make chaos` runs it. It has five parts, each with a result of its own in `build/chaos`; the page is made of all that
are there, so that they need not be run in one sitting:

    python -m tests.chaos.full --only faults
    python -m tests.chaos.full --only offers calls
    python -m tests.chaos.full --only failovers --go-on    # where it was broken off

How much it does is told by variables: CTXHUB_CHAOS_ROUNDS (how often each kind of fault, 6), CTXHUB_CHAOS_WRITES
(acknowledged under faults, 1000000), CTXHUB_CHAOS_IDS (sent again after failovers, 200000), CTXHUB_CHAOS_OFFERS (with
twenty claimants each, 10000), CTXHUB_CHAOS_CALLS (of mixed tenants, half of them given up, 1000000),
CTXHUB_CHAOS_MINUTES (when to stop at the latest, 240), CTXHUB_CHAOS_RESULTS (where results are kept),
CTXHUB_CHAOS_REPORT (where the page goes).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count, groupby
from pathlib import Path

from tests.bench.machine import commit
from tests.chaos import failovers
from tests.chaos.controls import CONTROLS, controlled
from tests.chaos.faults import CLOCK, KINDS
from tests.chaos.history import Fault
from tests.chaos.load import Load, Mix
from tests.chaos.page import written
from tests.chaos.results import PARTS, Result, kept
from tests.chaos.world import Served, World, a_world

ROUNDS = int(os.environ.get("CTXHUB_CHAOS_ROUNDS", "6"))
WRITES = int(os.environ.get("CTXHUB_CHAOS_WRITES", "1000000"))
IDS = int(os.environ.get("CTXHUB_CHAOS_IDS", "200000"))
OFFERS = int(os.environ.get("CTXHUB_CHAOS_OFFERS", "10000"))
CALLS = int(os.environ.get("CTXHUB_CHAOS_CALLS", "1000000"))
MINUTES = float(os.environ.get("CTXHUB_CHAOS_MINUTES", "240"))
REPORT = Path(os.environ.get("CTXHUB_CHAOS_REPORT", "docs/reference/chaos.md"))

MIX = Mix(customers=8, clients=12, most_events=100)
QUIET = replace(MIX, hand_over=0, clock_moves=True)
REACHING = Mix(customers=20, clients=6, claimants=20, tell=0, read=0, vanish=0, hand_over=1)
LEAVING = Mix(customers=10, clients=24, most_events=2, most_times=1, tell=10, read=40, vanish=50, hand_over=0)
_SOME = 200  # writes that are acknowledged before anything is broken
_GOES_ON = 20.0  # how long a load goes on at most for what is wanted of it
_LASTS = 45.0  # how long one load lasts where nothing is broken
_NUMBERS = count()
_BEGAN = time.monotonic()


def is_late() -> bool:
    """Tell whether the time is up."""
    return time.monotonic() - _BEGAN > MINUTES * 60


class Part:
    """One part at work, and what it came to so far."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self._last = time.monotonic()

    def lacks(self, kind: str, times: int) -> bool:
        """Tell whether something was not done so often yet, and there is time for it."""
        return self.result.row(kind).times < times and not is_late()

    def load(self, world: Served, mix: Mix) -> Load:
        """Return clients at work on customers whom nobody knows yet."""
        return Load(world, f"{self.result.part}.{next(_NUMBERS)}", mix)

    async def broken(self, kind: str, load: Load, breaking: Awaitable[float | None]) -> None:
        """Break something, and note what came of it."""
        recovered = None
        try:
            recovered = await breaking
        except* (AssertionError, TimeoutError) as broken:
            load.faults.append(Fault("broken off", repr(broken.exceptions)))
        self.result.row(kind).recovered += [] if recovered is None else [recovered]
        self.note(kind, load)
        print(kind, load.acknowledged, recovered, [*map(str, load.faults[:3])], file=sys.stderr, flush=True)

    def note(self, kind: str, load: Load) -> None:
        """Count what a load came to, and keep it."""
        row = self.result.row(kind)
        row.times += 1
        row.writes += load.acknowledged
        row.calls += load.counts["calls"]
        row.faults += load.faults
        self.result.counts += load.counts
        self.keep()

    def keep(self) -> None:
        """Keep what it came to, and how long that took."""
        now = time.monotonic()
        self.result.minutes += (now - self._last) / 60
        self.result.busiest = max(self.result.busiest, os.getloadavg()[0])
        self._last = now
        self.result.save()

    async def until(self, world: World, mix: Mix, counter: str, many: int) -> None:
        """Let clients work, with nothing broken, until something was done so often."""
        while (left := many - self.result.counts[counter]) > 0 and not is_late():
            load = self.load(world, mix)
            async with load.at_work():
                with suppress(TimeoutError):
                    await load.reaches(counter, left, _LASTS)
            self.note(self.result.part, load)
            print(counter, self.result.counts[counter], [*map(str, load.faults[:3])], file=sys.stderr, flush=True)


async def faults(part: Part, folder: Path) -> None:
    """Break a world in every way, again and again."""
    least = WRITES // (ROUNDS * len(KINDS)) + 1
    if part.lacks(CLOCK, ROUNDS):
        async with a_world(_in(folder, "clock"), workers=(1, 1), clock_moves=True, durability="safe") as world:
            while world.clock.exists() and part.lacks(CLOCK, ROUNDS):
                load = part.load(world, QUIET)
                await part.broken(CLOCK, load, _in_the_midst(world, load, CLOCK, least))
    async with a_world(_in(folder, "usual"), workers=(2, 1), durability="safe") as world:
        for number in range(1, ROUNDS + 1):
            for kind in (kind for kind in KINDS if kind != CLOCK and part.lacks(kind, number)):
                load = part.load(world, MIX)
                await part.broken(kind, load, _in_the_midst(world, load, kind, least))


async def _in_the_midst(world: World, load: Load, kind: str, least: int) -> float:
    """Let clients work, break something, and go on until all is well and so much was written; then compare."""
    hit = range(len(world.hubs)) if kind == CLOCK else range(1)
    async with load.at_work():
        await load.reaches("acknowledged", _SOME)
        await KINDS[kind](world)
        recovered = [await load.recovered(hub, world.over_at) for hub in hit]
        with suppress(TimeoutError):
            await load.reaches("acknowledged", least, _GOES_ON)
    return max(recovered)


async def offers(part: Part, folder: Path) -> None:
    """Let twenty reach for each of many offers."""
    async with a_world(folder, workers=(2, 1), durability="safe") as world:
        await part.until(world, REACHING, "offers", OFFERS)


async def calls(part: Part, folder: Path) -> None:
    """Let clients of two tenants go away in the middle of every second call."""
    async with a_world(folder, workers=(2, 1), durability="safe") as world:
        await part.until(world, LEAVING, "calls", CALLS)


async def lost_servers(part: Part, folder: Path) -> None:
    """Lose servers behind Sentinels and of a cluster, and send everything again."""
    ids = IDS // (ROUNDS * len(failovers.KINDS)) + 1
    worlds = groupby(failovers.KINDS, lambda name: failovers.KINDS[name][:2])
    for number, ((servers, durability), names) in enumerate(worlds):
        lacking = [name for name in names if part.lacks(name, ROUNDS)]
        if lacking:
            async with failovers.many(servers, _in(folder, f"many{number}"), durability) as world:
                for turn in range(1, ROUNDS + 1):
                    for name in (name for name in lacking if part.lacks(name, turn)):
                        load = part.load(world, failovers.MIX)
                        breaking = failovers.lost_once(world, load, failovers.KINDS[name].fault, ids)
                        await part.broken(name, load, breaking)


async def controls(part: Part, folder: Path) -> None:
    """Take out one safeguard after the other."""
    for number, name in enumerate(CONTROLS):
        if name not in part.result.controls and not is_late():
            writes, found = await controlled(name, _in(folder, f"weak{number}"))
            part.result.controls[name] = writes, Counter(fault.kind for fault in found)
            part.keep()
            print(name, *part.result.controls[name], file=sys.stderr, flush=True)


def _in(folder: Path, name: str) -> Path:
    """Return a new folder in one."""
    (folder / name).mkdir()
    return folder / name


DOING: dict[str, Callable[[Part, Path], Awaitable[None]]] = {
    "faults": faults,
    "offers": offers,
    "calls": calls,
    "failovers": lost_servers,
    "controls": controls,
}


def is_as_it_should_be(results: Sequence[Result], asked: Sequence[str]) -> bool:
    """Tell whether nothing was found, but all that was to be where a safeguard was missing, and all was run."""
    tried = {name for result in results for name in result.controls}
    if "controls" in asked and tried != CONTROLS.keys():
        return False
    seen = all(CONTROLS[name].found <= set(found) for result in results for name, (_, found) in result.controls.items())
    return seen and not any(row.faults for result in results for row in result.rows.values())


async def main(arguments: Sequence[str]) -> int:
    """Run the parts and write the page; 0 where nothing was found, and everything where a safeguard was missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.full", description="The full run under faults.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts alone")
    parser.add_argument("--go-on", action="store_true", help="go on with what was broken off")
    given = parser.parse_args(arguments)
    for name in given.only:
        before = kept(name) if given.go_on else None
        part = Part(before or Result(name))
        part.result.commit = commit()
        with tempfile.TemporaryDirectory(prefix="ctxhub-chaos-") as folder:
            await DOING[name](part, Path(folder))
        part.keep()
        print(f"{name}: {part.result.minutes:.1f} minutes", file=sys.stderr, flush=True)
    results = [result for result in map(kept, PARTS) if result is not None]
    REPORT.write_text(written(results), encoding="utf-8")
    print(REPORT.read_text("utf-8"))
    return 0 if is_as_it_should_be(results, given.only) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
