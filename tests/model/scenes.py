"""Handoffs in a word: what most tests of the model begin with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ctxhub.model import handoff as handoffs
from ctxhub.model.context import Context
from ctxhub.model.event import Change
from ctxhub.model.handoff import Handoff, OfferRequest
from tests.support import GRACE, LEASE, NOON


def an_offer(to: dict[str, Any], interaction_id: str = "in_1", **more: Any) -> OfferRequest:
    """What an offer says."""
    usual: dict[str, Any] = {"customer_id": "c42", "interaction_id": interaction_id, "reason": "help", "to": to}
    return OfferRequest.model_validate(usual | more)


def offering(
    context: Context, handoff_id: str = "ho_1", now: datetime = NOON, to: dict[str, Any] | None = None, **more: Any
) -> Change:
    """What offering an interaction comes to; to the queue `cards` unless said otherwise."""
    request = an_offer(to or {"queue": "cards"}, **more)
    return handoffs.offer(context, request, handoff_id, now, GRACE, ())


def offered(context: Context, handoff_id: str = "ho_1", now: datetime = NOON, **more: Any) -> Context:
    """The context with an interaction on offer."""
    return offering(context, handoff_id, now, **more).context


def accepted(context: Context, handoff_id: str = "ho_1", agent: str = "ann", now: datetime = NOON) -> Context:
    """The context with a handoff accepted."""
    return handoffs.accept(context, handoff_id, agent, now, LEASE).context


def held(context: Context, **more: Any) -> Context:
    """The context with `in_1` held by ann under `ho_1`."""
    return accepted(offered(context, **more))


def returning(
    context: Context, handoff_id: str = "ho_1", child_id: str = "ho_2", agent: str = "ann", now: datetime = NOON,
    to: Any = None, step: str | None = None,
) -> Change:  # fmt: skip
    """What giving an interaction back comes to."""
    fence = context.handoffs[handoff_id].fence or 0
    back = handoffs.return_of(context, handoff_id, child_id, to, step, "your turn", now)
    return handoffs.give_back(context, handoff_id, agent, fence, back, now)


def state(context: Context, handoff_id: str = "ho_1") -> str:
    """The state of a handoff."""
    return context.handoffs[handoff_id].state


def the(context: Context, handoff_id: str = "ho_1") -> Handoff:
    """A handoff."""
    return context.handoffs[handoff_id]
