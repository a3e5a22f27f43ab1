"""The full run: every kind of fault, again and again, under mixed clients; then what it came to, as a page.

`make chaos` runs it. How much it does is told by variables: CTXHUB_CHAOS_ROUNDS (how often each kind of fault, 6),
CTXHUB_CHAOS_MINUTES (when to stop at the latest, 240), CTXHUB_CHAOS_OFFERS (offers with twenty claimants each, 10000),
CTXHUB_CHAOS_CALLS (calls of mixed tenants, half of them given up, 1000000), CTXHUB_CHAOS_REPORT (where the page goes).
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.chaos.faults import CLOCK, KINDS
from tests.chaos.history import Fault
from tests.chaos.load import STRANGE, Load, Mix
from tests.chaos.world import World, a_world

ROUNDS = int(os.environ.get("CTXHUB_CHAOS_ROUNDS", "6"))
MINUTES = float(os.environ.get("CTXHUB_CHAOS_MINUTES", "240"))
OFFERS = int(os.environ.get("CTXHUB_CHAOS_OFFERS", "10000"))
CALLS = int(os.environ.get("CTXHUB_CHAOS_CALLS", "1000000"))
REPORT = Path(os.environ.get("CTXHUB_CHAOS_REPORT", "docs/reference/chaos.md"))
TARGETS = {"writes": 1_000_000, "faults": 120, "ids": 200_000, "offers": 10_000, "calls": 1_000_000}

MIX = Mix(customers=8, clients=12, most_events=100)
QUIET = replace(MIX, hand_over=0, clock_moves=True)
REACHING = Mix(customers=20, clients=4, claimants=20, tell=0, read=0, vanish=0, hand_over=1)
LEAVING = Mix(customers=10, clients=16, most_events=2, most_times=1, tell=10, read=40, vanish=50, hand_over=0)


@dataclass
class Row:
    """What one kind of fault came to."""

    times: int = 0
    writes: int = 0
    calls: int = 0
    recovered: list[float] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def add(self, load: Load, recovered: float | None) -> None:
        """Count one round in."""
        self.times += 1
        self.writes += load.acknowledged
        self.calls += load.counts["calls"]
        self.faults += load.faults
        self.recovered += [] if recovered is None else [recovered]


class Run:
    """Everything that was done, and what it came to."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = defaultdict(Row)
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.began = time.monotonic()
        self._numbers = iter(range(10**9))

    @property
    def is_late(self) -> bool:
        """Tell whether the time is up."""
        return time.monotonic() - self.began > MINUTES * 60

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
        self.rows[kind].add(load, max((each for each in recovered if each is not None), default=None))
        self.counts["mix"] += load.counts
        print(kind, load.acknowledged, recovered, [*map(str, load.faults[:3])], file=sys.stderr, flush=True)

    async def until(self, world: World, kind: str, mix: Mix, counter: str, many: int) -> None:
        """Let clients work, with nothing broken, until something was done so often."""
        while self.counts[kind][counter] < many and not self.is_late:
            load = Load(world, f"{kind}.{next(self._numbers)}", mix)
            async with load.at_work():
                end = time.monotonic() + 20
                while time.monotonic() < end and self.counts[kind][counter] + load.counts[counter] < many:
                    await asyncio.sleep(0.05)
            self.rows[kind].add(load, None)
            self.counts[kind] += load.counts
            print(kind, self.counts[kind][counter], [*map(str, load.faults[:3])], file=sys.stderr, flush=True)


async def main() -> int:
    """Run it all and write the page; 0 where nothing was found."""
    run = Run()
    with tempfile.TemporaryDirectory(prefix="ctxhub-chaos-") as name:
        (Path(name) / "clock").mkdir()
        async with a_world(Path(name) / "clock", workers=(1, 1), clock_moves=True, durability="safe") as world:
            for number in range(ROUNDS if world.clock.exists() else 0):
                await run.round(world, CLOCK, f"c{number}", QUIET)
        (Path(name) / "usual").mkdir()
        async with a_world(Path(name) / "usual", workers=(2, 1), durability="safe") as world:
            for number in range(ROUNDS):
                await run.passed(world, number)
                REPORT.write_text("\n".join(page(run)), encoding="utf-8")
    print(REPORT.read_text("utf-8"))
    return 1 if any(row.faults for row in run.rows.values()) else 0


def page(run: Run) -> Iterator[str]:
    """Write what it came to, with the targets beside it."""
    rows = {kind: row for kind, row in run.rows.items() if kind in KINDS}
    everything = list(run.rows.values())
    mix, offers, leaving = (run.counts[kind] for kind in ("mix", "offers", "leaving"))
    faults = sum(row.times for row in rows.values())
    found = Counter(fault.kind for row in everything for fault in row.faults)
    yield from (
        "| what | reached | target of a full run |",
        "|---|---|---|",
        f"| faults injected, of {len(rows)} kinds | {faults:,} | {TARGETS['faults']:,} |",
        f"| writes acknowledged under them | {sum(row.writes for row in rows.values()):,} | {TARGETS['writes']:,} |",
        f"| operations sent one to six times under them | {mix['operations']:,}, with {mix['ids']:,} ids of events "
        f"| {TARGETS['ids']:,} |",
        f"| offers with {REACHING.claimants} claimants each | {offers['offers']:,} | {TARGETS['offers']:,} |",
        f"| calls of mixed tenants | {leaving['calls']:,} | {TARGETS['calls']:,} |",
        f"| of these given up midway | {leaving['cancelled']:,} | half |",
        f"| calls in all | {sum(row.calls for row in everything):,} | |",
        f"| **lost** | **{found['lost'] + found['update lost']}** | 0 |",
        f"| **doubled** | **{found['doubled']}** | 0 |",
        f"| moved, gaps, stale reads, twins answered in two ways | "
        f"{found['moved'] + found['gap'] + found['stale'] + found['unlike']} | 0 |",
        f"| handoffs with two holders, fences of two, handoffs without an end | "
        f"{found['two holders'] + found['unfinished']} | 0 |",
        f"| answers that showed another tenant's or customer's | {found[STRANGE]} | 0 |",
        f"| answers that no client should get, or that never came | "
        f"{sum(n for kind, n in found.items() if kind.startswith(('answered', 'unanswered')))} | 0 |",
        "",
        "| fault | times | writes acknowledged | lost | doubled | else | recovery, median s | longest s |",
        "|---|---|---|---|---|---|---|---|",
    )
    for kind, row in rows.items():
        kinds = Counter(fault.kind for fault in row.faults)
        lost = kinds["lost"] + kinds["update lost"]
        took = sorted(row.recovered)
        span = f"{took[len(took) // 2]:.2f} | {took[-1]:.2f}" if took else "– | –"
        rest = len(row.faults) - lost - kinds["doubled"]
        yield f"| {kind} | {row.times} | {row.writes:,} | {lost} | {kinds['doubled']} | {rest} | {span} |"
    yield ""
    yield from (f"- {kind}: {fault.kind}: {fault.what}" for kind, row in run.rows.items() for fault in row.faults[:5])
    minutes = (time.monotonic() - run.began) / 60
    yield ""
    yield f"{minutes:.0f} minutes on {os.cpu_count()} cores shared with others, Python {platform.python_version()}."


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
