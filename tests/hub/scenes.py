"""Hubs in a word: calls, words and handoffs as most tests of the hub begin with them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from ctxhub.hub.changes import Request
from ctxhub.hub.hub import Hub
from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Telling
from ctxhub.model.handoff import OfferRequest
from ctxhub.model.interaction import Start
from ctxhub.store.codec import digest, fingerprint
from ctxhub.store.contexts import Operation, Who
from tests.support import ACME, ADAPTER, DESK, Clock, a_start

WHO = Who(ACME, "c42")


async def begin(hub: Hub, external_id: str = "x1", level: int = 0, **more: Any) -> dict[str, Any]:
    """Begin an interaction of c42 unless another is named, or none; return the answer."""
    request = a_start(external_id, level, **{"customer_id": "c42"} | more)
    return (await hub.interactions.start(ADAPTER, request))[0]


async def in_one(hub: Hub, external_id: str = "x1", level: int = 0, **more: Any) -> str:
    """Begin an interaction; return its id."""
    return str((await begin(hub, external_id, level, **more))["interaction"]["interaction_id"])


def a_stranger(external_id: str, *identifiers: Identifier, **more: Any) -> Start:
    """Somebody who does not say who it is."""
    return a_start(external_id, identifiers=list(identifiers), **more)


async def tell(
    hub: Hub, type_: str, interaction_id: str | None, event_id: str, who: Who = WHO, keyed: str | None = None,
    journey_id: str | None = None, party: Any = None, **data: Any,
) -> dict[str, Any]:  # fmt: skip
    """Tell one event."""
    telling = Telling(event_id=event_id, type=type_, interaction_id=interaction_id, data=data, party=party,
                      journey_id=journey_id)  # fmt: skip
    return await hub.events.tell(who, [telling], Request(operation=an_operation(keyed) if keyed else None))


def an_operation(key: str, says: str = "") -> Operation:
    """What an Idempotency-Key stands for."""
    return Operation(digest(key), fingerprint(says.encode()))


async def offer(hub: Hub, interaction_id: str, who: Who = WHO, **more: Any) -> dict[str, Any]:
    """Offer an interaction, to the queue `cards` unless said otherwise; return the handoff as its offerer sees it."""
    keyed = more.pop("keyed", None)
    usual: dict[str, Any] = {"customer_id": who.customer_id, "interaction_id": interaction_id, "reason": "help",
                             "to": {"queue": "cards"}}  # fmt: skip
    request = Request(operation=an_operation(keyed) if keyed else None)
    answer = await hub.handoffs.offer(DESK, OfferRequest.model_validate(usual | more), request)
    return dict(answer["handoff"])


async def context_of(hub: Hub, who: Who = WHO) -> Context:
    """The context as it is kept."""
    return (await hub.changes.contexts.existing(who))[1]


async def told_of(hub: Hub, who: Who = WHO) -> list[str]:
    """The types of all events of a customer, oldest first."""
    return [event["type"] for event in await hub.changes.contexts.timeline(who, 0, None, 10_000)]


async def eventually(holds: Callable[[], Awaitable[object]], within: float = 2) -> None:
    """Wait until something holds; fail where it does not in time."""
    async with asyncio.timeout(within):
        while not await holds():
            await asyncio.sleep(0.02)


async def due_in(hub: Hub, clock: Clock) -> timedelta:
    """How long until something of the customer is due."""
    loaded, context = await hub.changes.contexts.existing(WHO)
    due = hub.changes.next_due(loaded, context)
    assert due is not None
    return due - clock()
