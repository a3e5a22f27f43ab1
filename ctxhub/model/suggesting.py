"""Suggesting: a handoff of a queue is told to one agent first; it stays on offer, and nothing else changes."""

from __future__ import annotations

from datetime import datetime

from ctxhub.model.context import Context
from ctxhub.model.elsewhere import holder_elsewhere
from ctxhub.model.event import Change, Event
from ctxhub.model.handoff import Handoff
from ctxhub.model.interaction import Interaction
from ctxhub.model.routing import REMEMBERED, Choice, Served, Suggestion, Waits, main_language
from ctxhub.model.tenant import QueueSpec


def waits(context: Context, handoff: Handoff, spec: QueueSpec, now: datetime) -> Waits:
    """Return a waiting handoff as far as routing asks."""
    interaction = context.interactions.get(handoff.interaction_id)
    return Waits(
        handoff_id=handoff.handoff_id,
        queue=handoff.to.queue or "",
        channel=interaction.channel if interaction else "",
        waiting_since=handoff.waiting_since,
        must=frozenset(spec.skills),
        wanted=frozenset(handoff.skills) - frozenset(spec.skills),
        language=_language(interaction, spec),
        priority=handoff.priority,
        served=_served(context, now),
        with_now=holder_elsewhere(context, handoff.interaction_id),
        passed=frozenset(handoff.declined_by),
        suggestion=_as_of_now(handoff, now),
    )


def _as_of_now(handoff: Handoff, now: datetime) -> Suggestion | None:
    """Return what was suggested; from before a lease lapsed only that it was, so that asking begins anew."""
    before = handoff.suggested
    if before is None or before.lapses == handoff.lapses:
        return before
    return before.but(rings=0, until=min(before.until, now))


def _language(interaction: Interaction | None, spec: QueueSpec) -> str | None:
    """Return the language that a customer is to be spoken with."""
    spoken = main_language(interaction.language) if interaction and interaction.language else None
    served = [main_language(tag) for tag in spec.languages]
    return spoken if not served or spoken in served else served[0]


def _served(context: Context, now: datetime) -> dict[str, Served]:
    """Return who has the customer now, and who had him last."""
    had = [(h.final_at, h.agent_id) for h in context.handoffs.values() if h.final_at and h.agent_id]
    if context.served is not None:
        had.append((context.served.at, context.served.agent_id))
    last = [max(had)] if had else []
    found = {agent_id: Served(at) for at, agent_id in last if now - at <= REMEMBERED}
    held = [h for h in context.handoffs.values() if h.state == "accepted" and h.agent_id]
    return found | {h.agent_id: Served(h.accepted_at or now, is_now=True) for h in held if h.agent_id}


def suggest(context: Context, choice: Choice, seen: int, now: datetime) -> Change:
    """Suggest a handoff as was chosen; nothing changes if it was suggested anew since `seen`, or waits no more."""
    handoff = context.handoffs.get(choice.handoff_id)
    if handoff is None or handoff.interaction_id in context.moves:
        return Change(context, [])
    before = handoff.suggested
    if handoff.state != "offered" or handoff.to.queue != choice.queue or number(before) != seen:
        return Change(context, [])
    suggestion = Suggestion(
        number=seen + 1,
        queue=choice.queue,
        agent_id=choice.agent_id,
        reasons=choice.reasons,
        at=now,
        until=choice.until,
        exclusive=choice.exclusive,
        rings=_rings(handoff, choice),
        lapses=handoff.lapses,
    )
    event = _told(context, handoff, suggestion, now)
    return Change(context.with_handoff(handoff.but(suggested=suggestion)), [event])


def number(suggestion: Suggestion | None) -> int:
    """Return which suggestion of a handoff it is; 0 where there was none."""
    return suggestion.number if suggestion is not None else 0


def _rings(handoff: Handoff, choice: Choice) -> int:
    """Return how many agents were asked since the handoff came into its queue, whoever is chosen now included."""
    before = handoff.suggested
    is_same = before is not None and (before.queue, before.lapses) == (choice.queue, handoff.lapses)
    asked = before.rings if before is not None and is_same else 0
    return asked + (choice.agent_id is not None)


def _told(context: Context, handoff: Handoff, suggestion: Suggestion, now: datetime) -> Event:
    """Return the event that tells to whom a handoff is suggested, or that the whole queue may take it."""
    interaction = context.interaction(handoff.interaction_id)
    shown = suggestion.model_dump(mode="json", include={"agent_id", "reasons", "until", "exclusive", "rings"})
    verb = "suggested" if suggestion.agent_id is not None else "opened"
    before = handoff.suggested
    return Event(
        event_id=f"{handoff.handoff_id}:{verb}:{suggestion.number}",
        type=f"handoff.{verb}",
        at=now,
        interaction_id=handoff.interaction_id,
        journey_id=handoff.journey_id,
        channel=interaction.channel,
        assurance=interaction.level(now),
        data={"handoff_id": handoff.handoff_id, "queue": suggestion.queue, "from_agent": before and before.agent_id}
        | (shown if suggestion.agent_id is not None else {"rings": suggestion.rings}),
    )
