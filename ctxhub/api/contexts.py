"""Routes of contexts, timelines and asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from ctxhub.api.calls import (
    HubHere,
    InteractionQuery,
    Onlooker,
    Route,
    SearchingOnlooker,
    Worker,
    answer,
    who_of,
)
from ctxhub.errors import Invalid
from ctxhub.hub.asks import Asked
from ctxhub.hub.contexts import Shown
from ctxhub.model.brief import Brief, Wanted
from ctxhub.model.clearance import ReadingFor
from ctxhub.model.context import ContextView
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Event
from ctxhub.model.value import Id, Name, Value

router = APIRouter(prefix="/v1", tags=["context"], route_class=Route)

MOST_VERSIONS = 10**15
Version = Annotated[int | None, Query(ge=0, le=MOST_VERSIONS)]
PurposeQuery = Annotated[ReadingFor, Query(description="What it is read for: `quality` never shows what is sensitive.")]


class ContextQuery(Value):
    """For which interaction to read, and how much."""

    interaction_id: Id | None = None
    events: Annotated[int, Field(ge=0, le=200, description="How many of the newest events to bring.")] = 20
    min_version: Annotated[int, Field(ge=0, le=MOST_VERSIONS)] | None = None
    purpose: ReadingFor = "service"


class BriefQuery(Wanted):
    """For whom the brief is, in which language, how long it may be, and for which interaction."""

    min_version: Annotated[int, Field(ge=0, le=MOST_VERSIONS)] | None = None
    purpose: ReadingFor = "service"


class Lookup(Value):
    """By what a customer is found, and for which interaction."""

    identifier: Identifier
    interaction_id: Id | None = None


class AskBody(Value):
    """What a channel is about to ask."""

    interaction_id: Id
    names: Annotated[list[Name], Field(min_length=1, max_length=200)]
    journey_id: Id | None = None


class Page(Value):
    """Events, oldest first, and after which version to go on; null at the end."""

    events: list[Event]
    next: int | None


@router.get("/customers/{customer_id}/context", response_model=ContextView)
async def read(
    customer_id: str, query: Annotated[ContextQuery, Query()], request: Request, hub: HubHere, caller: Onlooker
) -> Response:
    """Read the context as the asking interaction may see it; 304 where nothing changed or lapsed."""
    reader = caller.reader(query.interaction_id, query.purpose)
    shown = await hub.contexts.read(who_of(caller, customer_id), reader, query.events, query.min_version)
    return context_answer(shown, request)


@router.get("/customers/{customer_id}/brief", response_model=Brief)
async def brief(
    customer_id: str, query: Annotated[BriefQuery, Query()], request: Request, hub: HubHere, caller: Onlooker
) -> Response:
    """Read the context told in whole sentences, each with the events that it rests on.

    It says what the same reader's context shows, and nothing else. 304 where its words would be the same.
    """
    who, reader = who_of(caller, customer_id), caller.reader(query.interaction_id, query.purpose)
    told = await hub.briefs.read(who, reader, query, query.min_version)
    request.state.shows = told.facts if caller.is_colleague else None
    if is_held(request, told.brief.version) and told.is_as_before():
        return Response(status_code=304, headers={"ETag": f'"{told.brief.version}"'})
    return answer(told.brief.model_dump_json().encode(), told.brief.version)


@router.post("/context/lookup", response_model=ContextView)
async def lookup(body: Lookup, request: Request, hub: HubHere, caller: SearchingOnlooker) -> Response:
    """Read the context of whom an identifier leads to; 409 without ids where it leads to several."""
    who = await hub.customers.lookup(caller.tenant, hub.never_kept.said(caller.tenant, body).identifier)
    return context_answer(await hub.contexts.read(who, caller.reader(body.interaction_id)), request)


def context_answer(shown: Shown, request: Request) -> Response:
    """Answer with a context, or 304."""
    if is_held(request, shown.version) and not shown.lapsed:
        request.state.shows = shown.json
        return Response(status_code=304, headers={"ETag": f'"{shown.version}"'})
    return answer(shown.json, shown.version)


def is_held(request: Request, version: int) -> bool:
    """Tell whether the caller holds this version already, as If-None-Match says."""
    held = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return f'"{version}"' in held or "*" in held


@router.get("/customers/{customer_id}/timeline", response_model=Page)
async def timeline(
    customer_id: str,
    hub: HubHere,
    caller: Onlooker,
    after: Version = None,
    before: Version = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    interaction_id: InteractionQuery = None,
    purpose: PurposeQuery = "service",
) -> Response:
    """Read what happened between two versions (exclusive), oldest first."""
    if after is not None and before is not None and after >= before:
        raise Invalid.field("/after", "must be below `before`")
    reader = caller.reader(interaction_id, purpose)
    events, more, version = await hub.contexts.timeline(who_of(caller, customer_id), reader, after, before, limit)
    return answer({"events": events, "next": more}, version)


@router.post("/customers/{customer_id}/asks", response_model=Asked)
async def ask(customer_id: str, body: AskBody, hub: HubHere, caller: Worker) -> Response:
    """May I ask? Says of each name whether it is known, to be confirmed, to be asked, or withheld."""
    asked = await hub.asks.ask(
        who_of(caller, customer_id), caller.reader(), body.interaction_id, body.names, body.journey_id
    )  # fmt: skip
    return answer(asked.model_dump_json().encode(), asked.version)
