"""The page that a full run writes: what was done, what it came to, and what is found where a safeguard is missing."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tests.chaos.faults import CLOCK, KINDS
from tests.chaos.history import Fault
from tests.chaos.load import STRANGE

TARGETS = {"writes": 1_000_000, "faults": 120, "ids": 200_000, "offers": 10_000, "calls": 1_000_000}
_HEAD = """# Under faults

`make chaos` breaks a running hub in every way below, again and again, while mixed clients of two tenants work: they
tell, read, start, offer, take and complete, send each operation one to six times, some of them at once, and go away in
the middle. Hubs, Redis and the proxy between them are real processes; Redis syncs each write (`safe`). Afterwards every
answer that any client got is compared with what stands in the end, customer by customer:

- nothing acknowledged is missing, doubled, or at another version than it was said to be; versions have no gaps
- no answer shows less than another had shown before its call began
- what was sent again was answered alike
- every fact whose telling was acknowledged is in the context
- no handoff has two holders, no fence was given to two, and each handoff reaches a final state
- no answer bears the mark of another tenant or customer
- nobody gets an answer other than success, 409, 410, 429 or 503
- each offer is counted once in the numbers, whoever relayed it

A write is whatever is acknowledged with a version of its own: an event, a start, an offer, an acceptance, a completion,
an end. Customers are new in each round. How much is done is told by variables; they stand at the top of
`tests/chaos/full.py`.

Every `make test` has some of it, quick faults under load and kills of each process, which takes a minute or two.
`make test PART=chaos` runs that alone, `PART=lost` what is known of lost replies, `PART=many` Sentinels and a cluster.
The parts, and how long each may take in CI, stand in `tests/parts.py`.
"""
_MEANING = """
Recovery is the time until the first call that began afterwards is answered by the hub that was hit: since the kill
where something is killed (its start is part of it), and since all is whole again where something is slow, frozen or
full.
"""
_CONTROLS = """
## What the harness finds without a safeguard

The same world, load and comparison, with one safeguard taken out. A harness that finds nothing here is worth nothing.

| taken out | writes acknowledged | found |
|---|---|---|
"""
_ELSEWHERE = """
The Redis client's own retries, switched on and off, stand beside these as a test: one lost reply, and the usual client
reports success after doing it twice, while ours says `outcome_unknown` and has done it once.

## What is broken elsewhere

- Loss of a primary, of Sentinels, of cluster nodes: their own tests beside these.
- Receivers of webhooks, archives and adapters that vanish: `tests/chaos/test_webhooks_killed.py`,
  `tests/chaos/test_archive_killed.py`, `test_away.py` of telephone menu, chat and desk, and of the app
  `tests/adapters/app/test_server.py`.
- A power cut is not made here: a killed process loses nothing that the kernel has.
- A Redis behind a network that drops single packets: the proxy cuts, delays and swallows bytes, not packets.
"""


@dataclass
class Row:
    """What one kind of fault came to."""

    times: int = 0
    writes: int = 0
    calls: int = 0
    recovered: list[float] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


@dataclass
class Results:
    """What a full run came to: its rows by kind, what was counted in each part, and its controls."""

    rows: Mapping[str, Row]
    parts: Mapping[str, Counter[str]]
    controls: Mapping[str, tuple[int, Counter[str]]]
    claimants: int
    minutes: float


def written(results: Results) -> str:
    """Return the whole page."""
    lines = [_HEAD, *_totals(results), _MEANING, *_by_kind(results.rows), _CONTROLS.rstrip("\n")]
    for name, (writes, found) in results.controls.items():
        said = ", ".join(f"{many} {kind}" for kind, many in found.most_common())
        lines.append(f"| {name} | {writes:,} | {said or 'nothing'} |")
    if CLOCK not in results.rows:
        lines.append("\nClocks stood still: libfaketime is not installed where this was run.")
    where = f"{os.cpu_count()} cores shared with other work, Python {platform.python_version()}"
    return "\n".join([*lines, _ELSEWHERE, f"Last run: {results.minutes:.0f} minutes on {where}.", ""])


def _totals(results: Results) -> Iterator[str]:
    """Tell what it came to in all, with the targets beside it."""
    broken = list(results.rows.values())
    mix, offers, leaving = (results.parts.get(part, Counter()) for part in ("mix", "offers", "leaving"))
    found = Counter(fault.kind for row in broken for fault in row.faults)
    kinds = {kind: row for kind, row in results.rows.items() if kind in KINDS}
    reached = [
        (f"faults, of {len(kinds)} kinds", sum(row.times for row in kinds.values()), TARGETS["faults"]),
        ("writes acknowledged under them", sum(row.writes for row in kinds.values()), TARGETS["writes"]),
        ("ids of events sent one to six times", mix["ids"], TARGETS["ids"]),
        (f"offers with {results.claimants} claimants each", offers["offers"], TARGETS["offers"]),
        ("calls of mixed tenants", leaving["calls"], TARGETS["calls"]),
        ("of these given up midway", leaving["cancelled"], TARGETS["calls"] // 2),
        ("calls in all", sum(row.calls for row in broken), None),
        ("**lost**", found["lost"] + found["update lost"], 0),
        ("**doubled**", found["doubled"], 0),
        ("moved, gaps, stale, answered in two ways", sum_of(found, ("moved", "gap", "stale", "unlike")), 0),
        ("two holders, no end", sum_of(found, ("two holders", "unfinished")), 0),
        ("showed another's", found[STRANGE], 0),
        ("anything else", sum_of(found, set(found) - _NAMED), 0),
    ]
    yield from ("| what | reached | target of a full run |", "|---|---|---|")
    for what, many, target in reached:
        yield f"| {what} | {many:,} | {'' if target is None else f'{target:,}'} |"


_NAMED = {"lost", "update lost", "doubled", "moved", "gap", "stale", "unlike", "two holders", "unfinished", STRANGE}


def sum_of(found: Counter[str], kinds: Iterable[str]) -> int:
    """Return how many of these kinds there are."""
    return sum(found[kind] for kind in kinds)


def _by_kind(rows: Mapping[str, Row]) -> Iterator[str]:
    """Tell what each kind of fault came to."""
    yield "| fault | times | writes acknowledged | lost | doubled | else | recovery, median s | longest s |"
    yield "|---|---|---|---|---|---|---|---|"
    for kind, row in ((kind, row) for kind, row in rows.items() if kind in KINDS):
        found = Counter(fault.kind for fault in row.faults)
        lost, doubled = found["lost"] + found["update lost"], found["doubled"]
        took = sorted(row.recovered)
        span = f"{took[len(took) // 2]:.2f} | {took[-1]:.2f}" if took else "– | –"
        rest = found.total() - lost - doubled
        yield f"| {kind} | {row.times} | {row.writes:,} | {lost} | {doubled} | {rest} | {span} |"
