"""Reveals: what an agent who has the customer's interaction asks to read unmasked, with a reason."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from ctxhub.errors import Forbidden, WrongState
from ctxhub.model.disclosure import Reader, facts_in_sight, masked_in_sight, sight
from ctxhub.model.event import Event, Sensitivity
from ctxhub.model.interaction import find
from ctxhub.model.value import Id, Name, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.tenant import Tenant


class RevealedFact(Value):
    """A value that was masked."""

    name: Name
    value: Any
    sensitivity: Sensitivity
    journey_id: Id | None = None


class Reveal(NamedTuple):
    """The values, and the event that tells of who read which of them and why; it has no values."""

    facts: list[RevealedFact]
    event: Event


class Wish(NamedTuple):
    """Which names an agent asks to read, in which interaction, and why."""

    agent_id: str
    interaction_id: str
    names: list[str]
    reason: str


def reveal(context: Context, wish: Wish, tenant: Tenant, now: datetime, event_id: str) -> Reveal:
    """Return what an agent may read of these names, and the event that tells of it."""
    facts = revealed_to(context, wish, tenant, now)
    interaction = context.interaction(wish.interaction_id)
    named = list(dict.fromkeys(fact.name for fact in facts))
    event = Event(
        event_id=event_id, type="fact.revealed", at=now, interaction_id=wish.interaction_id, party="agent",
        channel=interaction.channel, assurance=interaction.level(now),
        data={"names": named, "agent_id": wish.agent_id, "reason": wish.reason},
    )  # fmt: skip
    return Reveal(facts, event)


def revealed_to(context: Context, wish: Wish, tenant: Tenant, now: datetime) -> list[RevealedFact]:
    """Return the values; refused to whoever does not hold the interaction just now, and while a warning stands."""
    interaction = find(context, wish.interaction_id)
    held = context.held_handoff(wish.interaction_id)
    if held is None or held.agent_id is None:
        raise WrongState(f"no agent holds interaction {wish.interaction_id}", state="not_held", **_ids(wish))
    if held.agent_id != wish.agent_id:
        raise Forbidden(f"agent {wish.agent_id} does not hold interaction {wish.interaction_id}", **_ids(wish))
    if interaction.is_suspect:
        raise WrongState("a warning of fraud stands; nothing is revealed meanwhile", state="flagged", **_ids(wish))
    return _asked_for(context, wish, tenant, now)


def _ids(wish: Wish) -> dict[str, str]:
    """Return the ids that a refusal names."""
    return {"interaction_id": wish.interaction_id, "agent_id": wish.agent_id}


def _asked_for(context: Context, wish: Wish, tenant: Tenant, now: datetime) -> list[RevealedFact]:
    """Return the best value of each name asked for, and of each journey that has one."""
    seen = sight(context, Reader(role="agent", interaction_id=wish.interaction_id, agent_id=wish.agent_id), tenant, now)
    groups = masked_in_sight(context, seen, now) | facts_in_sight(context, seen, now)
    return [
        RevealedFact(name=name, value=facts[0].value, sensitivity=facts[0].sensitivity, journey_id=journey_id)
        for (name, journey_id), facts in groups.items()
        if name in wish.names
    ]
