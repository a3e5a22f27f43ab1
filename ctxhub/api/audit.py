"""Routes of the audit trail, and of access beside one's work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, Field

from ctxhub.api.calls import HubHere, Reviewer, Route, Supervisor, answer, conditions_of, who_of
from ctxhub.hub.access import Granted
from ctxhub.hub.audit import Found, Wanted
from ctxhub.hub.hub import Hub
from ctxhub.model.audit import Entry
from ctxhub.model.value import CustomerId, Id, Instant, Name, Value

router = APIRouter(prefix="/v1", tags=["audit"], route_class=Route)

AROUND = timedelta(minutes=30)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


def _not_before_there_was_a_trail(at: datetime) -> datetime:
    """Refuse an instant at which nobody can have seen anything."""
    if at < BEGINNING:
        raise ValueError("there was no trail before the year 2000")
    return at


Since = Annotated[Instant, AfterValidator(_not_before_there_was_a_trail)]


class AuditQuery(Value):
    """Which lines to read; `at` asks for what was seen until that instant, half an hour back."""

    customer_id: CustomerId | None = None
    agent_id: Id | None = None
    action: Name | None = None
    first: Annotated[Since | None, Field(alias="from")] = None
    last: Annotated[Since | None, Field(alias="to")] = None
    at: Since | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class Line(Entry):
    """One line of the trail, with its number in the chain."""

    sequence: int


class Lines(Value):
    """Lines of the trail, oldest first."""

    lines: list[Line]


class AccessBody(Value):
    """Why an agent must read a customer beside his work, and for how long."""

    reason: Annotated[str, Field(min_length=8, max_length=500)]
    agent_id: Id | None = None
    minutes: Annotated[int, Field(ge=1, le=60, strict=True)] = 15


class Reading(Value):
    """How many customers an agent read."""

    agent_id: str
    customers: int
    reads: int


class Report(Value):
    """What a supervisor should look at: broken glass, who read most, and who was refused."""

    broken_glass: list[Line]
    readers: list[Reading]
    refused: list[Line]


@router.get("/audit", response_model=Lines)
async def read(query: Annotated[AuditQuery, Query()], hub: HubHere, caller: Supervisor) -> Response:
    """Read who saw or changed what: of a customer, by an agent, at a time."""
    found = await hub.audit.find(caller.tenant, _wanted(query, hub, caller.tenant), query.limit)
    return answer({"lines": [_line(each) for each in found]})


@router.get("/audit/report", response_model=Report)
async def report(query: Annotated[AuditQuery, Query()], hub: HubHere, caller: Supervisor) -> Response:
    """Read what to look at: glass that was broken and why, which agents read most customers, who was refused."""
    return answer(await hub.audit.report(caller.tenant, _wanted(query, hub, caller.tenant)))


@router.post("/customers/{customer_id}/access", response_model=Granted, status_code=201)
async def break_glass(customer_id: str, body: AccessBody, request: Request, hub: HubHere, caller: Reviewer) -> Response:
    """Open a customer to an agent who has nothing to do with him, for minutes; the reason stays on record."""
    conditions = await conditions_of(request, caller)
    body = hub.never_kept.said(caller.tenant, body)
    agent_id = body.agent_id or caller.agent or caller.name
    granted, version = await hub.access.break_glass(
        caller, who_of(caller, customer_id), agent_id, body.reason, body.minutes, conditions
    )
    return answer(granted.model_dump_json().encode(), version, 201)


def _wanted(query: AuditQuery, hub: Hub, tenant: str) -> Wanted:
    """Return which lines a query means."""
    first, last = query.first, query.last
    if query.at is not None:
        first, last = query.at - AROUND, query.at
    customer = hub.audit.pseudonym(tenant, query.customer_id) if query.customer_id else None
    return Wanted(customer, query.agent_id, query.action, first, last)


def _line(found: Found) -> dict[str, object]:
    """Show one line."""
    return {"sequence": found.sequence} | found.entry.model_dump(mode="json")
