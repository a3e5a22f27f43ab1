"""What all clients did and were told, against what stands in the end: every contradiction is found, by name.

Nothing here calls a hub. A history is read per customer, since customers have nothing in common: each has one line of
versions, and whatever is acknowledged says at which version it was seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

FINAL = frozenset({"completed", "returned", "transferred", "declined", "expired", "cancelled", "left"})


class Claim(NamedTuple):
    """Who was told to hold what, under which fence."""

    handoff: str
    interaction: str
    fence: int
    agent: str


class Op(NamedTuple):
    """One call of one client that was answered: when it began and ended, and what the answer said.

    `op_id` is the same whenever it was sent again; `version` is the customer's as the answer shows it; `effects` are
    the deeds that must stand on the timeline, with their versions where the answer names them.
    """

    op_id: str
    began: float
    ended: float
    version: int | None = None
    effects: Sequence[tuple[str, int | None]] = ()
    claim: Claim | None = None


class Entry(NamedTuple):
    """One event of a timeline: its version and id, and what deed of the hub's it is, if any."""

    version: int
    event_id: str
    deed: str = ""


@dataclass
class Final:
    """What stands in the end: the timeline, the names of facts in the document, the states of handoffs."""

    timeline: Sequence[Entry] = ()
    facts: frozenset[str] = frozenset()
    handoffs: Mapping[str, str] = field(default_factory=dict)


class Fault(NamedTuple):
    """One contradiction."""

    kind: str
    what: str


@dataclass
class History:
    """Everything that was answered about one customer; `facts` are the names told, each with the event that told it.

    Where `shown_stays` is False a reader may have seen what was never acknowledged and is gone with its server: then
    no answer may show less than had been acknowledged.
    """

    ops: list[Op] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    shown_stays: bool = True

    def faults(self, final: Final) -> list[Fault]:
        """Return every contradiction between what was answered and what stands."""
        found = (
            *_lost(self.ops, final), *_doubled(final), *_gaps(final), *_stale(self.ops, self.shown_stays),
            *_unlike(self.ops), *_forgotten(self.ops, self.facts, final), *_shared(self.ops),
            *_unfinished(self.ops, final),
        )  # fmt: skip
        return list(found)

    @property
    def acknowledged(self) -> int:
        """How many effects were acknowledged, each counted once."""
        return len({effect for op in self.ops for effect, _ in op.effects})


def _lost(ops: Iterable[Op], final: Final) -> Iterator[Fault]:
    """Find what was acknowledged and is not there, or elsewhere than it was said to be."""
    kept = {entry.event_id: entry.version for entry in final.timeline}
    kept |= {entry.deed: entry.version for entry in final.timeline if entry.deed}
    told = {(effect, version) for op in ops for effect, version in op.effects}
    for effect, version in sorted(told, key=str):
        if effect not in kept:
            yield Fault("lost", effect)
        elif version is not None and kept[effect] != version:
            yield Fault("moved", f"{effect} was told to be {version} and is {kept[effect]}")


def _doubled(final: Final) -> Iterator[Fault]:
    """Find what stands there twice."""
    seen = Counter(entry.event_id for entry in final.timeline)
    seen.update(entry.deed for entry in final.timeline if entry.deed)
    yield from (Fault("doubled", what) for what, times in seen.items() if times > 1)


def _gaps(final: Final) -> Iterator[Fault]:
    """Find versions that are missing, repeated or out of order."""
    for expected, entry in enumerate(final.timeline, 1):
        if entry.version != expected:
            yield Fault("gap", f"version {entry.version} stands where {expected} belongs")
            return


def _stale(ops: Iterable[Op], shown_stays: bool) -> Iterator[Fault]:
    """Find answers that show less than another had shown, or had acknowledged, before their call began."""
    shown: list[tuple[float, int]] = []  # when an answer came, and what it showed; not yet counted
    known = 0
    for op in sorted((op for op in ops if op.version is not None), key=lambda op: op.began):
        while shown and shown[0][0] < op.began:
            known = max(known, heappop(shown)[1])
        assert op.version is not None
        if op.version < known:
            yield Fault("stale", f"{op.op_id} was shown {op.version} after {known} had been")
        if shown_stays or op.effects:
            heappush(shown, (op.ended, op.version))


def _unlike(ops: Iterable[Op]) -> Iterator[Fault]:
    """Find operations that were answered in two ways when they were sent again."""
    answers: dict[str, set[tuple[object, ...]]] = defaultdict(set)
    for op in ops:
        if op.effects or op.claim:
            answers[op.op_id].add((tuple(op.effects), op.claim))
    yield from (Fault("unlike", op_id) for op_id, said in answers.items() if len(said) > 1)


def _forgotten(ops: Iterable[Op], facts: Mapping[str, str], final: Final) -> Iterator[Fault]:
    """Find facts whose telling was acknowledged and that the document does not have: updates that were lost."""
    acknowledged = {effect for op in ops for effect, _ in op.effects}
    for name, event_id in facts.items():
        if event_id in acknowledged and name not in final.facts:
            yield Fault("update lost", name)


def _shared(ops: Iterable[Op]) -> Iterator[Fault]:
    """Find handoffs that two hold, and fences that two were given."""
    holders: dict[str, set[str]] = defaultdict(set)
    for op in ops:
        if op.claim is not None:
            holders[op.claim.handoff].add(op.claim.agent)
            holders[f"fence {op.claim.fence} of {op.claim.interaction}"].add(op.claim.agent)
    for what, agents in holders.items():
        if len(agents) > 1:
            yield Fault("two holders", f"{what}: {', '.join(sorted(agents))}")


def _unfinished(ops: Iterable[Op], final: Final) -> Iterator[Fault]:
    """Find handoffs that were offered and are in no final state."""
    offered = {effect.split()[1] for op in ops for effect, _ in op.effects if effect.startswith("handoff.offered ")}
    for handoff in sorted(offered | set(final.handoffs)):
        state = final.handoffs.get(handoff, "not there")
        if state not in FINAL:
            yield Fault("unfinished", f"{handoff} is {state}")
