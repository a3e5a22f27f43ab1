"""Two channels at once: who has a customer that comes by another channel as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctxhub.model.value import Id, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.handoff import Handoff


class Preference(Value):
    """Whom an offer is best given to: the agent who has the customer already."""

    agent: Id


def held_elsewhere(context: Context, interaction_id: str) -> Handoff | None:
    """Return the handoff by which an agent has another open interaction of the customer, the latest of several."""
    others = [one for one in context.interactions.values() if one.is_open and one.interaction_id != interaction_id]
    held = [context.held_handoff(other.interaction_id) for other in others]
    by_agents = [handoff for handoff in held if handoff is not None and handoff.agent_id is not None]
    return max(by_agents, key=lambda handoff: handoff.accepted_at or handoff.offered_at, default=None)


def holder_elsewhere(context: Context, interaction_id: str) -> str | None:
    """Return the agent who has the customer in another open interaction; None where nobody has."""
    held = held_elsewhere(context, interaction_id)
    return held.agent_id if held is not None else None
