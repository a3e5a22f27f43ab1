"""The route of events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from pydantic.config import JsonDict

from ctxhub.api.calls import HubHere, Route, Worker, answer, conditions_of, worked_for
from ctxhub.model.event import Telling
from ctxhub.model.value import Id, Value

router = APIRouter(prefix="/v1", tags=["events"], route_class=Route)

_FACT: JsonDict = {
    "event_id": "ivr-CA9f-3",
    "type": "fact.stated",
    "interaction_id": "in_…",
    "party": "customer",
    "data": {"name": "order_id", "value": "A-17", "confidence": 0.93},
}


class EventsBody(Value):
    """1 to 100 events, oldest first; all or nothing."""

    model_config = {"json_schema_extra": {"examples": [{"events": [_FACT]}]}}
    events: Annotated[list[Telling], Field(min_length=1, max_length=100)]


class Result(Value):
    """What became of one event."""

    event_id: str
    version: int
    duplicate: bool
    journey_id: str | None = None
    commitment_id: str | None = None
    repeat: list[str] | None = None


class Told(Value):
    """The highest version of the events, and what became of each."""

    version: int
    results: list[Result]


Was = Annotated[list[Id], Query(max_length=8, description="whose events they were first: the 308 names it")]


@router.post("/customers/{customer_id}/events", response_model=Told)
async def tell(
    customer_id: str, body: EventsBody, request: Request, hub: HubHere, caller: Worker, was: Was = []  # noqa: B006
) -> Response:  # fmt: skip
    """Tell what happened; a repeated event gets its first version and changes nothing."""
    who, conditions = await worked_for(request, caller, customer_id), await conditions_of(request, caller)
    return told_answer(await hub.events.tell(who, body.events, conditions, caller, was))


def told_answer(told: dict[str, Any]) -> Response:
    """Answer with the versions of what was told."""
    etag = told.pop("etag")
    return answer(told, etag)
