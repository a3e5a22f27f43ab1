"""Time is ours: what lapses by itself, and when the next thing does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from ctxhub.model import commitment as commitments
from ctxhub.model import handoff as handoffs
from ctxhub.model import interaction as interactions
from ctxhub.model import journey as journeys
from ctxhub.model.context import Context
from ctxhub.model.event import Change, Event
from ctxhub.model.interaction import Interaction


class Patience(NamedTuple):
    """How long things may take: a lease, the grace of one who left, silence by channel, and an offer."""

    lease: timedelta
    grace: timedelta
    silence: Callable[[str], timedelta]
    offer: timedelta = timedelta(seconds=300)


class Activity(NamedTuple):
    """When an open interaction was last heard of, and when its holder last spoke; kept beside the document."""

    last_at: datetime
    held_at: datetime | None = None


Activities = dict[str, Activity]


def with_activity(context: Context, activities: Activities, patience: Patience) -> Context:
    """Return the context with leases renewed by what their holders said since."""
    for handoff in context.handoffs.values():
        spoke = activities.get(handoff.interaction_id)
        if handoff.lease_ends is None or handoff.is_final or spoke is None or spoke.held_at is None:
            continue
        if spoke.held_at + patience.lease > handoff.lease_ends:
            context = context.with_handoff(handoff.but(lease_ends=spoke.held_at + patience.lease))
    return context


def lapse(context: Context, activities: Activities, patience: Patience, now: datetime) -> Change:
    """Let everything lapse whose time has come: offers, leases, interactions gone silent, journeys and promises.

    Of a customer who is another one now nothing does, nor while a merge is being undone; nor anything of an interaction
    that is on its way to another customer, where it would lapse a second time.
    """
    if context.frozen or context.is_undoing:
        return Change(context, [])
    events: list[Event] = []
    context = _held_on(context, activities, patience, now)
    for handoff_id in [h.handoff_id for h in context.handoffs.values() if h.interaction_id not in context.moves]:
        context, more = handoffs.lapse(context, handoff_id, now)
        events += more
    for interaction in list(context.interactions.values()):
        context, more = _silenced(context, interaction, activities, patience, now)
        events += more
    heard = _heard(activities)
    for journey_id in list(context.journeys):
        context, more = journeys.lapse(context, journey_id, heard, now)
        events += more
    for commitment_id in list(context.commitments):
        context, more = commitments.lapse(context, commitment_id, now)
        events += more
    return Change(context.pruned(now), events)


def _held_on(context: Context, activities: Activities, patience: Patience, now: datetime) -> Context:
    """Return the context with the leases that a call has outlived: they end as it would, were nobody heard of it."""
    for handoff in context.handoffs.values():
        if handoff.lease_ends is None or now < handoff.lease_ends or not handoffs.lives_as_its_call(context, handoff):
            continue
        ends = _silent_at(context, context.interaction(handoff.interaction_id), activities, patience)
        context = context.with_handoff(handoff.but(lease_ends=max(ends, handoff.lease_ends)))
    return context


def _heard(activities: Activities) -> dict[str, datetime]:
    """Return when each open interaction was last heard of."""
    return {interaction_id: activity.last_at for interaction_id, activity in activities.items()}


def _silenced(
    context: Context, interaction: Interaction, activities: Activities, patience: Patience, now: datetime
) -> Change:
    """End an interaction that has been silent for too long."""
    here = interaction.is_open and interaction.interaction_id not in context.moves
    if not here or now < _silent_at(context, interaction, activities, patience):
        return Change(context, [])
    ended = end(context, interaction.interaction_id, now, by="silence")
    heard_at = _last_heard(context, interaction, activities)
    silent = ended.context.interaction(interaction.interaction_id).but(heard_at=heard_at)
    return Change(ended.context.with_interaction(silent), ended.events)


def end(
    context: Context, interaction_id: str, now: datetime, by: Literal["channel", "silence", "call"] = "channel",
    outcome: interactions.Outcome | None = None, disposition: str | None = None,
) -> Change:  # fmt: skip
    """End an interaction and settle its handoffs."""
    ended = interactions.end(context, interaction_id, now, outcome, disposition, by)
    settled = handoffs.interaction_over(ended.context, interaction_id, now) if ended.events else ended
    return Change(settled.context, ended.events + settled.events) if ended.events else ended


def _silent_at(context: Context, interaction: Interaction, activities: Activities, patience: Patience) -> datetime:
    """Return when an interaction counts as gone silent."""
    return _last_heard(context, interaction, activities) + patience.silence(interaction.channel)


def _last_heard(context: Context, interaction: Interaction, activities: Activities) -> datetime:
    """Return when an open interaction, or a leg of its call, was last heard of."""
    heard = [activities[one].last_at for one in _with_legs(context, interaction) if one in activities]
    return max([interaction.started_at, *heard])


def _with_legs(context: Context, interaction: Interaction) -> list[str]:
    """Return an interaction and the legs that came to its handoffs while another system routes them."""
    mine = (h for h in context.handoffs.values() if h.interaction_id == interaction.interaction_id and h.is_external)
    return [interaction.interaction_id, *(came.interaction_id for handoff in mine for came in handoff.joined)]


def next_due(context: Context, activities: Activities, patience: Patience) -> datetime | None:
    """Return the earliest time at which something lapses, or has to be completed."""
    if context.frozen:
        return None
    here = [h for h in context.handoffs.values() if h.interaction_id not in context.moves]
    offered = [h.expires_at for h in here if h.state == "offered" and h.expires_at]
    held = [h for h in here if h.state == "accepted" and not handoffs.lives_as_its_call(context, h)]
    leased = [h.lease_ends for h in held if h.lease_ends]
    open_ = [i for i in context.interactions.values() if i.is_open and i.interaction_id not in context.moves]
    silent = [_silent_at(context, interaction, activities, patience) for interaction in open_]
    moving = [move.at for move in context.moves.values()]
    moving += [merge.at for merge in context.merges.values() if merge.is_under_way]
    calling = [h.callback.changes_at for h in here
               if h.callback and h.callback.changes_at and h.state == "offered"]  # fmt: skip
    review = [context.review_at] if context.review_at is not None and context.hold is None else []
    return min([*offered, *leased, *silent, *moving, *calling, *review, *_turning(context, activities)], default=None)


def _turning(context: Context, activities: Activities) -> list[datetime]:
    """Return when time makes something else of each journey and promise."""
    heard = _heard(activities)
    turns = [journeys.next_due(context, journey_id, heard) for journey_id in context.journeys]
    turns += [commitments.next_due(context, commitment_id) for commitment_id in context.commitments]
    return [turn for turn in turns if turn is not None]
