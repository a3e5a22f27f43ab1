"""The full run: every kind of fault, again and again, under mixed clients; then what it came to, as a page.

`make chaos` runs it. How much it does is told by variables: CTXHUB_CHAOS_ROUNDS (how often each kind of fault, 6),
CTXHUB_CHAOS_MINUTES (when to stop at the latest, 240), CTXHUB_CHAOS_OFFERS (offers with twenty claimants each, 10000),
CTXHUB_CHAOS_CALLS (calls of mixed tenants, half of them given up, 1000000), CTXHUB_CHAOS_REPORT (where the page goes).
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from tests.chaos.controls import CONTROLS, controlled
from tests.chaos.faults import CLOCK, KINDS
from tests.chaos.history import Fault
from tests.chaos.load import Load, Mix
from tests.chaos.page import Results, Row, written
from tests.chaos.world import World, a_world

ROUNDS = int(os.environ.get("CTXHUB_CHAOS_ROUNDS", "6"))
MINUTES = float(os.environ.get("CTXHUB_CHAOS_MINUTES", "240"))
OFFERS = int(os.environ.get("CTXHUB_CHAOS_OFFERS", "10000"))
CALLS = int(os.environ.get("CTXHUB_CHAOS_CALLS", "1000000"))
REPORT = Path(os.environ.get("CTXHUB_CHAOS_REPORT", "docs/reference/chaos.md"))

MIX = Mix(customers=8, clients=12, most_events=100)
QUIET = replace(MIX, hand_over=0, clock_moves=True)
REACHING = Mix(customers=20, clients=4, claimants=20, tell=0, read=0, vanish=0, hand_over=1)
LEAVING = Mix(customers=10, clients=16, most_events=2, most_times=1, tell=10, read=40, vanish=50, hand_over=0)


class Run:
    """Everything that was done, and what it came to."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = defaultdict(Row)
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.controls: dict[str, tuple[int, Counter[str]]] = {}
        self.began = time.monotonic()
        self._numbers = iter(range(10**9))

    @property
    def is_late(self) -> bool:
        """Tell whether the time is up."""
        return time.monotonic() - self.began > MINUTES * 60

    async def weakened(self, folder: Path) -> None:
        """Take out one safeguard after the other."""
        for number, name in enumerate(CONTROLS):
            own = folder / f"weak{number}"
            own.mkdir()
            writes, found = await controlled(name, own)
            self.controls[name] = writes, Counter(fault.kind for fault in found)
            print(name, *self.controls[name], file=sys.stderr, flush=True)

    @property
    def is_as_it_should_be(self) -> bool:
        """Tell whether nothing was found, but all that was to be where a safeguard was missing."""
        seen = all(CONTROLS[name].found <= set(found) for name, (_, found) in self.controls.items())
        return seen and not any(row.faults for row in self.rows.values())

    def results(self) -> Results:
        """Return what it came to so far."""
        minutes = (time.monotonic() - self.began) / 60
        return Results(self.rows, self.counts, self.controls, REACHING.claimants, minutes)

    async def passed(self, world: World, number: int) -> None:
        """Break a world in every way once, then let many reach for the same, and many go away."""
        for kind in KINDS:
            if kind != CLOCK and not self.is_late:
                await self.round(world, kind, f"r{number}.{len(self.rows)}", MIX)
        await self.until(world, "offers", REACHING, "offers", OFFERS * (number + 1) // ROUNDS)
        await self.until(world, "leaving", LEAVING, "calls", CALLS * (number + 1) // ROUNDS)

    async def round(self, world: World, kind: str, name: str, mix: Mix) -> None:
        """Let clients work, break something in the midst of it, and compare."""
        load = Load(world, f"{name}.{next(self._numbers)}", mix)
        try:
            async with load.at_work():
                await asyncio.sleep(1)
                await KINDS[kind](world)
                await asyncio.sleep(2)
        except* AssertionError as broken:
            load.faults.append(Fault("broken off", repr(broken.exceptions)))
        hit = range(len(world.hubs)) if kind == CLOCK else range(1)
        recovered = [load.recovered_within(hub, world.over_at) for hub in hit]
        self.add(kind, load)
        self.rows[kind].recovered += [max(each for each in recovered if each is not None)] if any(recovered) else []
        self.counts["mix"] += load.counts
        print(kind, load.acknowledged, recovered, [*map(str, load.faults[:3])], file=sys.stderr, flush=True)

    def add(self, kind: str, load: Load) -> None:
        """Count what a load came to."""
        row = self.rows[kind]
        row.times += 1
        row.writes += load.acknowledged
        row.calls += load.counts["calls"]
        row.faults += load.faults

    async def until(self, world: World, kind: str, mix: Mix, counter: str, many: int) -> None:
        """Let clients work, with nothing broken, until something was done so often."""
        while self.counts[kind][counter] < many and not self.is_late:
            load = Load(world, f"{kind}.{next(self._numbers)}", mix)
            async with load.at_work():
                end = time.monotonic() + 20
                while time.monotonic() < end and self.counts[kind][counter] + load.counts[counter] < many:
                    await asyncio.sleep(0.05)
            self.add(kind, load)
            self.counts[kind] += load.counts
            print(kind, self.counts[kind][counter], [*map(str, load.faults[:3])], file=sys.stderr, flush=True)


async def main() -> int:
    """Run it all and write the page; 0 where nothing was found, and everything where a safeguard was missing."""
    run = Run()
    with tempfile.TemporaryDirectory(prefix="ctxhub-chaos-") as name:
        folder = Path(name)
        (folder / "clock").mkdir()
        async with a_world(folder / "clock", workers=(1, 1), clock_moves=True, durability="safe") as world:
            for number in range(ROUNDS if world.clock.exists() else 0):
                await run.round(world, CLOCK, f"c{number}", QUIET)
        (folder / "usual").mkdir()
        async with a_world(folder / "usual", workers=(2, 1), durability="safe") as world:
            for number in range(ROUNDS):
                await run.passed(world, number)
                REPORT.write_text(written(run.results()), encoding="utf-8")
        await run.weakened(folder)
    REPORT.write_text(written(run.results()), encoding="utf-8")
    print(REPORT.read_text("utf-8"))
    return 0 if run.is_as_it_should_be else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
