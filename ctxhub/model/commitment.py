"""Commitments: what we said we would do, by whom and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from ctxhub.model.event import Change, Event, in_time
from ctxhub.model.fact import Origin
from ctxhub.model.value import Id, Instant, Name, Text, Value, rfc3339, to_millis

if TYPE_CHECKING:
    from ctxhub.model.context import Context

CommitmentState = Literal["open", "due_soon", "overdue"]


class Commitment(Value):
    """A promise; one that was kept or broken leaves the context and stays on the timeline.

    `queue` is its owner where that is a declared queue. From `warn_at` on it is due soon.
    """

    commitment_id: Id
    what: Text
    owner: Name
    queue: Name | None = None
    due_at: Instant
    warn_at: Instant | None = None
    state: CommitmentState = "open"
    journey_id: Id | None = None
    evidence: Id
    origin: Origin

    @property
    def changes_at(self) -> datetime | None:
        """When time makes something else of it; None once it is overdue."""
        if self.state == "open" and self.warn_at is not None:
            return self.warn_at
        return None if self.state == "overdue" else self.due_at

    def at(self, now: datetime) -> Commitment:
        """Return it as it stands at an instant."""
        if now >= self.due_at:
            return self.but(state="overdue")
        return self.but(state="due_soon") if self.warn_at is not None and now >= self.warn_at else self


class ListedCommitment(Value):
    """A promise as a list shows it."""

    commitment_id: Id
    customer_id: str
    state: CommitmentState
    what: Text
    owner: Name
    due_at: Instant
    journey_id: Id | None = None


class _Turn(NamedTuple):
    """What time makes of a promise next."""

    at: datetime
    state: CommitmentState


def warn_at(made_at: datetime, due_at: datetime, before: timedelta) -> datetime | None:
    """Return when to warn: so long before it is due, but not in the first half of its time; None without any time."""
    span = due_at - made_at
    return to_millis(due_at - min(before, span / 2)) if span > timedelta(0) else None


def lapse(context: Context, commitment_id: str, now: datetime) -> Change:
    """Let a promise become due soon, and overdue, as far as its time has come; it stays open."""
    events: list[Event] = []
    turn = _next(context, commitment_id)
    while turn is not None and turn.at <= now:
        context, more = _turned(context, context.commitments[commitment_id], turn)
        events += more
        turn = _next(context, commitment_id)
    return Change(context, events)


def next_due(context: Context, commitment_id: str) -> datetime | None:
    """Return when time makes something else of a promise."""
    turn = _next(context, commitment_id)
    return turn.at if turn else None


def _next(context: Context, commitment_id: str) -> _Turn | None:
    """Return what time makes of a promise next; one that is moving to another customer waits until it is there."""
    promise = context.commitments[commitment_id]
    if promise.changes_at is None or promise.origin.interaction_id in context.moves:
        return None
    return _Turn(promise.changes_at, "overdue" if promise.changes_at >= promise.due_at else "due_soon")


def _turned(context: Context, promise: Commitment, turn: _Turn) -> Change:
    """Note, and tell, that a promise is due soon or overdue."""
    turned = promise.but(state=turn.state)
    event = Event(
        event_id=in_time(promise.evidence, turn.state),
        type=f"commitment.{turn.state}",
        at=turn.at,
        interaction_id=promise.origin.interaction_id,
        journey_id=promise.journey_id,
        channel=promise.origin.channel,
        assurance=promise.origin.assurance,
        data=told_of(turned),
    )
    return Change(context.but(commitments=context.commitments | {promise.commitment_id: turned}), [event])


def told_of(promise: Commitment) -> dict[str, str]:
    """Return what an event tells of a promise."""
    told = {"commitment_id": promise.commitment_id, "what": promise.what, "owner": promise.owner}
    return told | ({"queue": promise.queue} if promise.queue else {}) | {"due_at": rfc3339(promise.due_at)}
