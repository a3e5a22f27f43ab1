"""Callbacks: a promise to call a customer within a window, the attempts at it, and what becomes of the promise."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from ctxhub.errors import WrongState
from ctxhub.model.commitment import told_of
from ctxhub.model.event import Change, Event
from ctxhub.model.value import Channel, ExternalId, Id, Instant, Name, Text, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.handoff import Handoff
    from ctxhub.model.interaction import Interaction

Outcome = Literal["answered", "busy", "no_answer", "failed", "refused"]
Phase = Literal["waiting", "due", "dialling"]
_NAMED = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)


class AskedNumber(Value):
    """Which of the customer's own numbers to call: by the reference that the hub gave it, or as it is written."""

    type: Literal["phone"] = "phone"
    ref: Id | None = None
    value: Annotated[str, Field(min_length=1, max_length=64)] | None = None

    @model_validator(mode="after")
    def _names_one(self) -> AskedNumber:
        """Refuse a number that is named twice or not at all."""
        if (self.ref is None) == (self.value is None):
            raise ValueError("name the number either by `ref` or by `value`")
        return self


class AskedCallback(Value):
    """When to call, which number, and how often; what is not said the queue's own terms say."""

    model_config = _NAMED

    from_: Instant | None = Field(None, alias="from")
    until: Instant | None = None
    number: AskedNumber | None = None
    attempts: Annotated[int, Field(ge=1, le=10, strict=True)] | None = None


class AttemptSaid(Value):
    """What came of an attempt; once answered, the call `external_id` becomes an outbound interaction."""

    attempt: Annotated[int, Field(ge=1, le=10, strict=True)]
    outcome: Outcome
    agent_id: Id | None = None
    reason: Name | None = None
    channel: Channel = "voice"
    system: Id | None = None
    external_id: ExternalId | None = None


class Number(Value):
    """One of the customer's own identifiers, by a reference that tells nobody the number."""

    type: Literal["phone"] = "phone"
    ref: Id


class Attempt(Value):
    """One attempt to reach the customer, and the interaction it opened."""

    at: Instant
    outcome: Outcome
    interaction_id: Id | None = None
    reason: Text | None = None


class Callback(Value):
    """A callback as it stands: it waits until `changes_at`, is due, or is being dialled until `changes_at` at most."""

    model_config = _NAMED

    from_: Instant = Field(alias="from")
    until: Instant
    number: Number
    attempts: int = 3
    pause: int = 1800
    phase: Phase = "waiting"
    changes_at: Instant | None = None
    made: tuple[Attempt, ...] = ()
    commitment_id: Id

    @property
    def attempt(self) -> int:
        """The number of the attempt that comes next, or is being made."""
        return len(self.made) + 1

    @property
    def is_kept(self) -> bool:
        """Tell whether the customer was reached."""
        return any(attempt.outcome == "answered" for attempt in self.made)

    @property
    def reached_in(self) -> str | None:
        """The interaction in which the customer was reached."""
        return next((made.interaction_id for made in self.made if made.outcome == "answered"), None)


def must_be_due(handoff: Handoff) -> None:
    """Refuse to take a callback before it is due, or while somebody dials."""
    callback = handoff.callback
    if callback is not None and callback.phase != "due":
        raise WrongState(
            f"callback {handoff.handoff_id} is {callback.phase}",
            handoff_id=handoff.handoff_id, state=callback.phase, until=callback.changes_at,
        )  # fmt: skip


def settled(context: Context, handoff: Handoff, interaction: Interaction, now: datetime) -> Change:
    """Keep the promise of a callback that has ended, or break it where the customer was not reached."""
    callback = handoff.callback
    promise = context.commitments.get(callback.commitment_id) if callback else None
    if callback is None or promise is None:
        return Change(context, [])
    rest = {key: other for key, other in context.commitments.items() if key != promise.commitment_id}
    why = {} if callback.is_kept else {"reason": handoff.outcome or handoff.state}
    overdue = {"overdue": True} if promise.state == "overdue" else {}
    event = Event(
        event_id=f"{handoff.handoff_id}:promise",
        type="commitment.kept" if callback.is_kept else "commitment.broken",
        at=now,
        interaction_id=handoff.interaction_id,
        journey_id=handoff.journey_id,
        channel=interaction.channel,
        assurance=interaction.level(now),
        data=told_of(promise) | {"late": now > promise.due_at} | overdue | why,
    )
    return Change(context.but(commitments=rest), [event])
