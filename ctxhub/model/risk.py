"""Warnings of fraud: what one does to the interaction it concerns, at once and in silence, until it is cleared."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ctxhub.errors import Invalid
from ctxhub.model.event import Change, Event, RiskLevel
from ctxhub.model.value import Id, Instant, Level, Name, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.interaction import Interaction

#: The most that an interaction discloses under a warning, whatever its caller proves; `low` only warns.
CAPS: dict[RiskLevel, Level] = {"low": 3, "medium": 1, "high": 0}
MOST_KINDS = 16
ATTESTATION_FAILED = "attestation_failed"


class Risk(Value):
    """A warning that stands: of what, how grave, since when."""

    kind: Name
    level: RiskLevel
    at: Instant
    evidence: Id


class Attestation(Value):
    """What the telephone network says of the number calling: it proves a line, never who is on it."""

    result: Literal["passed", "failed", "none"]
    level: Annotated[str, Field(pattern="^[ABC]$")] | None = None


def cap(risks: tuple[Risk, ...]) -> Level:
    """Return the most that is disclosed under these warnings."""
    return min((CAPS[risk.level] for risk in risks), default=3)


def with_risk(risks: tuple[Risk, ...], risk: Risk) -> tuple[Risk, ...]:
    """Return the warnings with one more; of a kind the gravest stands, and of very many kinds the gravest."""
    before = next((one for one in risks if one.kind == risk.kind), None)
    if before is not None and CAPS[before.level] <= CAPS[risk.level]:
        return risks
    rest = [one for one in risks if one.kind != risk.kind]
    return tuple(sorted([*rest, risk], key=lambda one: CAPS[one.level])[:MOST_KINDS])


def concerned(context: Context, event: Event) -> list[Interaction]:
    """Return the interactions that a warning concerns: its own, or without one all that are open."""
    if event.interaction_id is not None:
        return [context.interaction(event.interaction_id)]
    return [interaction for interaction in context.interactions.values() if interaction.is_open]


def flagged(context: Context, event: Event, fraud_queue: str | None) -> Change:
    """Let a warning cap what its interactions disclose from now on, and tell it to the fraud queue."""
    risk = Risk(kind=event.data["kind"], level=event.data.get("level", "medium"), at=event.at, evidence=event.event_id)
    for interaction in concerned(context, event):
        context = context.with_interaction(interaction.but(risks=with_risk(interaction.risks, risk)))
    return Change(context, [_noticed(event, fraud_queue)])


def cleared(context: Context, event: Event, fraud_queue: str | None) -> Change:
    """Let warnings stand no longer: those of a kind, or all."""
    kind = event.data.get("kind")
    for interaction in concerned(context, event):
        rest = tuple(risk for risk in interaction.risks if kind not in (None, risk.kind))
        context = context.with_interaction(interaction.but(risks=rest))
    return Change(context, [_noticed(event, fraud_queue)])


def _noticed(event: Event, fraud_queue: str | None) -> Event:
    """Return a warning's event as those are told it who watch for fraud."""
    return event if fraud_queue is None else event.but(data=event.data | {"queue": fraud_queue})


def of_attestation(attestation: Attestation | None, interaction: Interaction, now: datetime) -> Event | None:
    """Return the warning that a failed attestation is; one that passed proves nothing of who calls."""
    if attestation is None or attestation.result != "failed":
        return None
    return Event(
        event_id=f"{interaction.interaction_id}:attestation", type="risk.flagged", at=now,
        interaction_id=interaction.interaction_id, channel=interaction.channel, assurance=interaction.level(now),
        data={"kind": ATTESTATION_FAILED, "level": "medium"},
    )  # fmt: skip


def must_concern(event: Event, context: Context) -> None:
    """Refuse a warning that concerns nothing: nobody would be warned."""
    if not concerned(context, event):
        raise Invalid.field("/interaction_id", f"{event.type} concerns no open interaction; name the one it is about")
