"""Routes of what a person may ask for, and of what the law may ask for: everything about somebody, and holds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from ctxhub.api.calls import JSON, Admin, HubHere, Route, Supervisor, answer, conditions_of, who_of
from ctxhub.model.event import Event
from ctxhub.model.value import CustomerId, Id, TenantId, Text, Value

router = APIRouter(prefix="/v1", tags=["customers"], route_class=Route)


class Elsewhere(Value):
    """A copy that another system has, by its own name for it."""

    system: Id
    kind: Id
    id: str


class Person(Value):
    """All that is known of one customer: the context whole, and every event that tells of it, oldest first.

    An event that stands on another's timeline says on whose: of somebody merged into this one, or of an interaction
    that was told of there before it moved here. What moved on from here is left out.
    """

    schema_: str = Field(alias="schema")
    exported_at: datetime
    tenant: TenantId
    customer_id: CustomerId
    version: int
    context: dict[str, Any]
    timeline: list[Event]
    copies_elsewhere: list[Elsewhere]
    events: int
    complete: bool


class HoldBody(Value):
    """Why somebody is held."""

    reason: Text


class Held(Value):
    """The hold that a customer is under, if any."""

    hold: dict[str, Any] | None


@router.get("/customers/{customer_id}/export", response_model=Person)
async def export(customer_id: str, hub: HubHere, caller: Admin) -> Response:
    """Read everything about a customer as one JSON object, however long; `complete` at its end says that it is all."""
    pieces = hub.persons.export(who_of(caller, customer_id))
    first = await anext(pieces)

    async def whole() -> Any:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(whole(), 200, {"Cache-Control": "no-store"}, JSON)


@router.post("/customers/{customer_id}/hold", response_model=Held)
async def hold(customer_id: str, body: HoldBody, request: Request, hub: HubHere, caller: Supervisor) -> Response:
    """Put a customer under a legal hold: nothing of it is erased or taken out for its age until the hold ends."""
    conditions = await conditions_of(request, caller)
    reason = hub.never_kept.said(caller.tenant, body).reason
    held, version = await hub.holds.begin(who_of(caller, customer_id), reason, caller.name, conditions)
    return answer(held, version)


@router.delete("/customers/{customer_id}/hold", response_model=Held)
async def release(customer_id: str, request: Request, hub: HubHere, caller: Supervisor) -> Response:
    """End a legal hold."""
    conditions = await conditions_of(request, caller)
    held, version = await hub.holds.end(who_of(caller, customer_id), caller.name, conditions)
    return answer(held, version)
