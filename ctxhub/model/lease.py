"""Leases of contexts: until when one is kept at hand after nobody was heard of any more.

What has lapsed lives on in the archive, and comes back when it is touched or when something of it is due.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from ctxhub.model.context import Context


class Keeping(NamedTuple):
    """How long a context is kept at hand after the last contact: with nothing left to do, and with something."""

    closed: timedelta
    open: timedelta


USUAL = Keeping(timedelta(hours=6), timedelta(days=14))


def lease_ends(context: Context, heard_at: datetime, keeping: Keeping) -> datetime | None:
    """Return until when a context is kept at hand; None while live work pins it."""
    if is_pinned(context):
        return None
    return heard_at + (keeping.open if is_unfinished(context) else keeping.closed)


def is_pinned(context: Context) -> bool:
    """Tell whether somebody works with it now: an interaction goes on, a handoff waits or is held, a move is under way.

    So does a legal hold. One who is another customer now is pinned by that alone. Promises and resting journeys pin
    nothing: what is due of them wakes the hub wherever the context is.
    """
    if context.frozen:
        return False
    goes_on = any(interaction.is_open for interaction in context.interactions.values())
    on_its_way = any(not handoff.is_final for handoff in context.handoffs.values())
    is_joining = any(merge.is_under_way for merge in context.merges.values())
    return goes_on or on_its_way or is_joining or bool(context.moves) or context.hold is not None


def is_unfinished(context: Context) -> bool:
    """Tell whether the customer will probably come back: a journey is open, or something was promised."""
    return bool(context.commitments) or any(journey.is_open for journey in context.journeys.values())


def last_contact(context: Context) -> datetime:
    """Return when the document last tells of a contact, for one written before that was noted beside it."""
    ended = [interaction.ended_at or interaction.started_at for interaction in context.interactions.values()]
    told = [fact.origin.at for fact in context.facts]
    moved_on = [journey.updated_at for journey in context.journeys.values()]
    return max([context.created_at, *ended, *told, *moved_on])
