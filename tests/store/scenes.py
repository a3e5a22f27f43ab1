"""Customers in Redis, in a word."""

from __future__ import annotations

from typing import Any

from ctxhub.model.context import Context
from ctxhub.model.event import Event
from ctxhub.store.contexts import Appended, Contexts, Loaded, Operation, Plan, Who
from tests.support import ACME, NOON, a_context, an_event, started

WHO = Who(ACME, "c42")
KEYED = Operation("a" * 32, "print-1")


def seen(event_id: str, interaction_id: str | None = "in_1", **data: Any) -> Event:
    """An event that commutes."""
    return an_event("x.seen", interaction_id, event_id=event_id, **data)


def an_append(
    event_id: str, says: str = "p", fence: str = "-", interaction_id: str | None = "in_1", delivered: bool = False,
    party: Any = "bot", level: int = 0,
) -> Appended:  # fmt: skip
    """An event as it is appended, with a fingerprint of what it says."""
    event = seen(event_id, interaction_id).but(party=party, data={"says": says})
    return Appended(event, says, fence, delivered, level)


def plan(context: Context | None, *event_ids: str, **more: Any) -> Plan:
    """A decision with some events."""
    return Plan(context, [(seen(event_id).but(assurance=2, channel="chat"), "p") for event_id in event_ids], **more)


async def born(kept: Contexts, *event_ids: str, who: Who = WHO, **more: Any) -> Loaded:
    """A customer with one open interaction, just written."""
    context = started(a_context(who.customer_id), **more)
    assert await kept.commit(who, await kept.load(who), plan(context, *event_ids or ["e1"]), NOON, None)
    return await kept.load(who)
