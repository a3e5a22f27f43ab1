"""The page that a full run writes: what was done, what it came to, and what is found where a safeguard is missing."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tests.chaos.failovers import KINDS as FAILOVERS
from tests.chaos.faults import CLOCK, KINDS
from tests.chaos.load import STRANGE
from tests.chaos.results import PARTS, Result, Row

TARGETS = {"writes": 1_000_000, "faults": 120, "ids": 200_000, "offers": 10_000, "calls": 1_000_000, "losses": 60}
CLAIMANTS = 20
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
`tests/chaos/full.py`, and how to run one part alone.

Every `make test` has some of it, quick faults under load and kills of each process, which takes a minute or two.
`make test PART=chaos` runs that alone, `PART=lost` what is known of lost replies, `PART=many` Sentinels and a cluster.
The parts, and how long each may take in CI, stand in `tests/parts.py`.
"""
_MEANING = """
Recovery is the time until the first call that began afterwards is answered by the hub that was hit: since the kill
where something is killed (its start is part of it), and since all is whole again where something is slow, frozen or
full.
"""
_LOST = """
## Servers that are lost

The same clients and comparison, with two hubs on a primary with two replicas and three Sentinels, and on a cluster of
three primaries with a replica each. A server is killed, frozen, or gives up a slot while they work, and comes back as a
replica. Then all that was sent until then under an id of its own is sent once more by a client of each hub: it must be
answered as before and take no effect again. What a reader was shown of a write that was never acknowledged may be gone
here; nobody may be shown less than was acknowledged. Recovery counts from the loss until a write that began
afterwards is acknowledged to a customer who was hit.

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

- The longest that anybody waits when a primary is lost, over 30 times: `tests/chaos/test_failover.py`. Sentinels that
  are lost themselves: `tests/store/test_sentinel.py`.
- Receivers of webhooks, archives and adapters that vanish: `tests/chaos/test_webhooks_killed.py`,
  `tests/chaos/test_archive_killed.py`, `test_away.py` of telephone menu, chat and desk, and of the app
  `tests/adapters/app/test_server.py`.
- A power cut is not made here: a killed process loses nothing that the kernel has.
- A Redis behind a network that drops single packets: the proxy cuts, delays and swallows bytes, not packets.
"""


def written(results: Sequence[Result]) -> str:
    """Return the whole page, made of the parts that were run."""
    by_part = {result.part: result for result in results}
    broken = by_part.get("faults", Result("faults"))
    lost = by_part.get("failovers", Result("failovers"))
    weak = by_part.get("controls", Result("controls"))
    lines = [_HEAD, *_totals(by_part), _MEANING, *_by_kind(broken.rows, KINDS)]
    lines += [_LOST.rstrip("\n") + "\n", *_by_kind(lost.rows, FAILOVERS), _CONTROLS.rstrip("\n")]
    for name, (writes, found) in weak.controls.items():
        said = ", ".join(f"{many} {kind}" for kind, many in found.most_common())
        lines.append(f"| {name} | {writes:,} | {said or 'nothing'} |")
    if "faults" in by_part and not broken.row(CLOCK).times:
        lines.append("\nClocks stood still: libfaketime is not installed where this was run.")
    return "\n".join([*lines, _ELSEWHERE, *_runs(results), ""])


def _totals(by_part: dict[str, Result]) -> Iterator[str]:
    """Tell what it came to in all, with the targets beside it."""
    broken, offers, calls, lost = (by_part.get(part, Result(part)) for part in PARTS[:4])
    rows = [row for result in by_part.values() for row in result.rows.values()]
    found = Counter(fault.kind for row in rows for fault in row.faults)
    kinds = sum(row.times > 0 for row in broken.rows.values())
    reached = [
        (f"faults, of {kinds} kinds", _times(broken), TARGETS["faults"]),
        ("writes acknowledged under them", sum(row.writes for row in broken.rows.values()), TARGETS["writes"]),
        ("ids of events sent one to six times", broken.counts["ids"], TARGETS["ids"]),
        ("servers lost, or slots that moved", _times(lost), TARGETS["losses"]),
        ("ids sent again after that by clients of every hub", lost.counts["repeated"], TARGETS["ids"]),
        (f"offers with {CLAIMANTS} claimants each", offers.counts["offers"], TARGETS["offers"]),
        ("calls of mixed tenants", calls.counts["calls"], TARGETS["calls"]),
        ("of these given up midway", calls.counts["cancelled"], TARGETS["calls"] // 2),
        ("calls in all", sum(row.calls for row in rows), None),
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


def _times(result: Result) -> int:
    """Return how often something was broken."""
    return sum(row.times for row in result.rows.values())


def _by_kind(rows: dict[str, Row], kinds: Iterable[str]) -> Iterator[str]:
    """Tell what each kind of fault came to."""
    yield "| fault | times | writes acknowledged | lost | doubled | else | recovery, median s | longest s |"
    yield "|---|---|---|---|---|---|---|---|"
    for kind, row in ((kind, rows[kind]) for kind in kinds if kind in rows and rows[kind].times):
        found = Counter(fault.kind for fault in row.faults)
        lost, doubled = found["lost"] + found["update lost"], found["doubled"]
        took = sorted(row.recovered)
        span = f"{took[len(took) // 2]:.2f} | {took[-1]:.2f}" if took else "– | –"
        rest = found.total() - lost - doubled
        yield f"| {kind} | {row.times} | {row.writes:,} | {lost} | {doubled} | {rest} | {span} |"


def _runs(results: Sequence[Result]) -> Iterator[str]:
    """Tell how long each part took, and what was not run."""
    took = [f"{one.part}{_of_commit(one)} {one.minutes:.0f} min (load up to {one.busiest:.0f})" for one in results]
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    yield f"Last runs: {', '.join(took)}; {where}."
    missing = [part for part in PARTS if part not in {one.part for one in results}]
    if missing:
        yield f"Not run: {', '.join(missing)}."


def _of_commit(result: Result) -> str:
    """Tell of which commit a part was run, where that was noted."""
    return f" of {result.commit}" if result.commit else ""
