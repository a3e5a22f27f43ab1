"""Facts: what the customer told us or we learned, each with its origin."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from ctxhub.model.clearance import SHARED_FROM as SHARED_FROM
from ctxhub.model.clearance import Unlock
from ctxhub.model.event import Party, Sensitivity
from ctxhub.model.value import Channel, Confidence, Id, Instant, Level, Name, Value

State = Literal["verified", "confirmed", "stated", "observed", "inferred", "rejected"]
Verdict = Literal["known", "confirm", "ask", "withheld"]

STATES: tuple[State, ...] = ("verified", "confirmed", "stated", "observed", "inferred", "rejected")
SENSITIVITIES: tuple[Sensitivity, ...] = ("public", "internal", "personal", "sensitive")
SURE_ENOUGH = 0.8


def _is_empty(value: tuple[str, ...] | None) -> bool:
    """Tell whether there is nothing to show."""
    return not value


class Origin(Value):
    """Where something came from: who told it, when, in which interaction, and how surely known they were.

    `adopted` names the merges that brought it here, the first one first; it goes back when they are undone. `source` is
    the system that knew it.
    """

    channel: Channel | None = None
    interaction_id: Id | None = None
    party: Party = "system"
    assurance: Level = 0
    at: Instant
    adopted: Annotated[tuple[Id, ...], Field(exclude_if=_is_empty)] = ()
    source: Annotated[Id | None, Field(exclude_if=_is_empty)] = None

    @property
    def scope(self) -> str | None:
        """The interaction that it stays with, or None where the whole customer shares it."""
        return None if self.assurance >= SHARED_FROM else self.interaction_id or ""


class Fact(Value):
    """One value of one name; state `rejected` marks, for its scope only, that a value is not so."""

    name: Name
    value: Any
    state: State
    confidence: Confidence = 1.0
    sensitivity: Sensitivity = "personal"
    journey_id: Id | None = None
    expires_at: Instant | None = None
    evidence: Id
    origin: Origin

    def lives(self, now: datetime) -> bool:
        """Tell whether it has not lapsed."""
        return self.expires_at is None or now < self.expires_at

    @property
    def slot(self) -> tuple[str, str | None, str, str, str | None, tuple[str, ...]]:
        """What a later value replaces: same name, journey, state, party and scope, and of the same side of a merge."""
        said = f"{self.origin.party}:{self.value!r}" if self.state == "rejected" else self.origin.party
        return (self.name, self.journey_id, self.state, said, self.origin.scope, self.origin.adopted)

    @property
    def voice(self) -> tuple[str, str | None, str, str]:
        """Who says it how: within one reader's sight the latest of a voice is what counts."""
        return (self.name, self.journey_id, self.state, self.origin.party)

    @property
    def rank(self) -> tuple[int, int, float, float]:
        """Sort key, best first: state, assurance it was told under, recency, confidence."""
        return (STATES.index(self.state), -self.origin.assurance, -self.origin.at.timestamp(), -self.confidence)


class FactLine(Value):
    """One value as shown, without its rivals."""

    value: Any = None
    state: State
    confidence: Confidence
    sensitivity: Sensitivity
    journey_id: Id | None = None
    expires_at: Instant | None = None
    evidence: Id | None = None
    origin: Origin | None = None


class FactView(FactLine):
    """A fact as shown: its best value, the living rivals, and whether it is held back, with what would unlock it.

    To an agent what is held back is `masked`.
    """

    others: list[FactLine] = []
    withheld: bool = False
    masked: str | None = None
    unlock: Unlock | None = None


class Answer(Value):
    """May I ask? `known` and `confirm` carry the value; `reason` says why in a few words.

    To an agent what is held back is `masked`, as in the context.
    """

    name: Name
    verdict: Verdict
    value: Any = None
    origin: Origin | None = None
    reason: str = ""
    unlock: Unlock | None = None
    masked: str | None = None


def line(fact: Fact) -> FactLine:
    """Show one value."""
    shown = fact.model_dump(exclude={"name"})
    return FactLine.model_construct(**shown | {"origin": fact.origin})


def latest_of_each_voice(facts: list[Fact]) -> list[Fact]:
    """Drop what a later value of the same voice replaced, and what was rejected since; best first."""
    latest: dict[tuple[str, str | None, str, str], Fact] = {}
    for fact in facts:
        known = latest.get(fact.voice)
        if known is None or known.origin.at <= fact.origin.at:
            latest[fact.voice] = fact
    rejections = [fact for fact in facts if fact.state == "rejected"]
    standing = [f for f in latest.values() if f.state != "rejected" and not any(_undoes(r, f) for r in rejections)]
    return sorted(standing, key=lambda fact: fact.rank)


def is_undone(fact: Fact, name: str, journey_id: str | None, value: Any) -> bool:
    """Tell whether a rejection of a name, in one journey or all, with one value or all, means this fact."""
    return fact.name == name and journey_id in (None, fact.journey_id) and value in (None, fact.value)


def _undoes(rejection: Fact, fact: Fact) -> bool:
    """Tell whether a rejection concerns an earlier value."""
    earlier = rejection.origin.at >= fact.origin.at
    return earlier and is_undone(fact, rejection.name, rejection.journey_id, rejection.value)


def verdict(values: list[Fact]) -> tuple[Verdict, str]:
    """Judge whether to ask, from the values in sight, best first."""
    if not values:
        return "ask", "nothing is known"
    best, *others = values
    if best.state in ("verified", "confirmed"):
        return "known", f"{best.state} before"
    if any(other.value != best.value for other in others):
        return "confirm", "there are conflicting values"
    if best.state in ("stated", "observed") and best.confidence >= SURE_ENOUGH:
        return "known", f"{best.state} before"
    return "confirm", f"{best.state} with confidence {best.confidence:g}"


def higher(a: Sensitivity, b: Sensitivity) -> Sensitivity:
    """Return the higher of two sensitivities."""
    return max(a, b, key=SENSITIVITIES.index)


def told(facts: tuple[Fact, ...], fact: Fact) -> tuple[Fact, ...]:
    """Return the facts with one more: it replaces an earlier one in its slot and lifts a rejection of its value."""
    slot = fact.slot
    rival = next((other for other in facts if other.slot == slot), None)
    if rival is not None and rival.origin.at > fact.origin.at:
        return facts
    return (*(other for other in facts if other is not rival and not _lifts(fact, other)), fact)


def _lifts(fact: Fact, other: Fact) -> bool:
    """Tell whether saying it again ends a rejection in the same scope; one that is older and of all values stands."""
    if other.state != "rejected" or other.origin.scope != fact.origin.scope or fact.state == "rejected":
        return False
    said_since = other.origin.at == fact.origin.at or (other.origin.at < fact.origin.at and other.value is not None)
    return said_since and is_undone(fact, other.name, other.journey_id, other.value)


def rejected(facts: tuple[Fact, ...], rejection: Fact, scopes: frozenset[str | None]) -> tuple[Fact, ...]:
    """Return the facts without what is rejected in these scopes; below level 2 a mark stays for the scope.

    A mark stays also where it concerns what a merge joined from the other side: that comes back if the merge is undone.
    """
    undone = [f for f in facts if f.origin.scope in scopes and f.state != "rejected" and _undoes(rejection, f)]
    gone = [fact for fact in undone if fact.origin.adopted == rejection.origin.adopted]
    kept = tuple(fact for fact in facts if fact not in gone)
    needs_mark = rejection.origin.scope is not None or len(gone) < len(undone)
    return told(kept, rejection) if needs_mark else kept


def promoted(facts: tuple[Fact, ...], interaction_id: str, level: int) -> tuple[Fact, ...]:
    """Return the facts with those of an interaction shared, now that its customer is known this surely."""
    mine = [fact for fact in facts if fact.origin.interaction_id == interaction_id and fact.origin.scope is not None]
    rest = tuple(fact for fact in facts if fact not in mine)
    for fact in sorted(mine, key=lambda fact: fact.origin.at):
        shared = fact.but(origin=fact.origin.but(assurance=level))
        rest = rejected(rest, shared, frozenset({None})) if fact.state == "rejected" else told(rest, shared)
    return rest
