"""Routes of streams (server-sent events) and of the single-use tickets that browsers open them with."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import unquote

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field
from starlette.responses import StreamingResponse

from ctxhub.api import audited
from ctxhub.api.calls import (
    HubHere,
    InteractionQuery,
    Onlooker,
    Route,
    answer,
    caller_of,
    hub_of,
    refuse_unless,
    warrant_of,
    who_of,
)
from ctxhub.errors import CtxhubError, Forbidden, Invalid, Moved, Unauthenticated
from ctxhub.hub.keys import Keys, Principal, Warrant
from ctxhub.hub.streams import Told
from ctxhub.metrics import STREAMS_OPEN
from ctxhub.model.value import Id, Name, Value

router = APIRouter(prefix="/v1", tags=["streams"], route_class=Route)

TICKET_LIVES = 60
COMMENT_EVERY = 15.0
#: How often the trail says up to where an open stream was read; a line for each event would be a write for each.
NOTED_EVERY = timedelta(minutes=5)
_AFTER = Annotated[str | None, Query(max_length=64, description="The id after which to go on.")]
_ORIGIN = r"^https?://[0-9A-Za-z.:\[\]-]{1,255}$"
_TICKET = Annotated[str | None, Query(max_length=128)]
_STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


class TicketBody(Value):
    """The stream that a ticket is for, with its query."""

    for_: Annotated[str, Field(alias="for", pattern=r"^/v1/(customers|queues|channels|agents)/[^/]+/stream(\?.*)?$")]
    origin: Annotated[str | None, Field(pattern=_ORIGIN, description="The only origin whose pages may use it.")] = None


class Ticket(Value):
    """Good for opening one stream, once, within a minute."""

    ticket: str


@router.post("/tickets", response_model=Ticket, status_code=201)
async def make_ticket(body: TicketBody, request: Request, hub: HubHere, caller: Onlooker) -> Response:
    """Make a single-use ticket, for browsers, which can't send a key when they open a stream."""
    ticket = secrets.token_urlsafe(24)
    path = unquote(body.for_.partition("?")[0])
    warrant = await warrant_of(request)
    record = {"path": path, "caller": caller.model_dump(mode="json"), "origin": body.origin}
    record["warrant"] = warrant.model_dump(mode="json")
    await hub.keyring.put_ticket(ticket, record, TICKET_LIVES)
    return answer({"ticket": ticket}, status=201)


@router.get("/customers/{customer_id}/stream", responses=_STREAMED)
async def customer(
    customer_id: str,
    request: Request,
    interaction_id: InteractionQuery = None,
    after: _AFTER = None,
    ticket: _TICKET = None,
) -> Response:
    """Follow a customer; ids are versions."""
    caller = await _caller(request, ticket)
    told = hub_of(request).streams.customer(
        who_of(caller, customer_id), caller.reader(interaction_id), _version(_last(request, after))
    )
    return await _stream(request, "customer", told)


@router.get("/queues/{queue}/stream", responses=_STREAMED)
async def queue(
    queue: Annotated[Name, Path()], request: Request, after: _AFTER = None, ticket: _TICKET = None
) -> Response:
    """Follow a queue, after a snapshot of who waits; each event comes at least once."""
    caller = await _caller(request, ticket)
    caller.must_serve(queue)
    told = hub_of(request).streams.queue(caller.tenant, queue, _entry(_last(request, after)), caller.is_colleague)
    return await _stream(request, "queue", told)


@router.get("/channels/{channel}/stream", responses=_STREAMED)
async def channel(
    channel: Annotated[Name, Path()], request: Request, after: _AFTER = None, ticket: _TICKET = None
) -> Response:
    """Follow what an adapter must deliver to the customers of its channel; each event comes at least once."""
    caller = await _caller(request, ticket)
    if caller.role == "agent":
        raise Forbidden("an agent's key follows customers and queues")
    caller.must_speak_on(channel)
    told = hub_of(request).streams.channel(caller.tenant, channel, _entry(_last(request, after)))
    return await _stream(request, "channel", told)


@router.get("/agents/{agent_id}/stream", responses=_STREAMED)
async def agent(
    agent_id: Annotated[Id, Path()], request: Request, after: _AFTER = None, ticket: _TICKET = None
) -> Response:
    """Follow what is suggested or offered to an agent, and his calls; while he follows it himself, he is there."""
    caller = await _caller(request, ticket)
    refuse_unless(caller, "agent", "supervisor")
    caller.must_be(agent_id)
    hub = hub_of(request)
    told = hub.streams.agent(caller.tenant, agent_id, _entry(_last(request, after)), caller.queues)
    return await _stream(request, "agent", hub.presences.while_following(caller, agent_id, told))


async def _caller(request: Request, ticket: str | None) -> Principal:
    """Return who follows, by key or by a ticket for this very stream, whose maker's key still holds."""
    if ticket is None:
        caller = await caller_of(request)
        request.state.warrant = await warrant_of(request)
        return caller
    record = await hub_of(request).keyring.take_ticket(ticket)
    if record is None or record["path"] != request.scope["path"] or not _comes_from(request, record.get("origin")):
        raise Unauthenticated("the ticket is not good for this stream; each is good once, for a minute")
    request.state.warrant = Warrant.model_validate(record.get("warrant", {}))
    await hub_of(request).keys.must_hold(request.state.warrant)
    caller = Principal.model_validate(record["caller"])
    caller.must_reach(request.scope["route"].path)
    request.state.caller = caller
    return caller


def _comes_from(request: Request, origin: str | None) -> bool:
    """Tell whether a ticket is used where it may be: a page of the hub's own address sends no Origin when it reads."""
    came = request.headers.get("origin") or str(request.base_url).rstrip("/")
    return origin is None or came == origin


def _last(request: Request, after: str | None) -> str | None:
    """Return what the follower saw last: EventSource says it in a header when it comes back."""
    return request.headers.get("last-event-id") or after


def _version(text: str | None) -> int | None:
    """Read a version."""
    if text is None:
        return None
    if not _is_number(text) or len(text) > 15:
        raise Invalid.field("Last-Event-ID", "is a version, as the stream gave it")
    return int(text)


def _entry(text: str | None) -> str | None:
    """Read an entry's id of a queue's or channel's stream."""
    if text is None:
        return None
    first, dash, second = text.partition("-")
    if not (_is_number(first) and dash and _is_number(second) and max(len(first), len(second)) < 20):
        raise Invalid.field("Last-Event-ID", "is an id as the stream gave it")
    return text


def _is_number(text: str) -> bool:
    """Tell whether a text is a whole number in plain digits."""
    return text.isascii() and text.isdigit()


async def _stream(request: Request, kind: str, told: AsyncIterator[Told]) -> Response:
    """Answer with a stream; what refuses it at once becomes a problem document."""
    first = await anext(told)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"} | _at(first)
    held = _while_held(hub_of(request).keys, request.state.warrant, told)
    return StreamingResponse(_sent(kind, first, _noted(request, held)), 200, headers, "text/event-stream")


def _at(first: Told) -> dict[str, str]:
    """Return the version at which a customer's stream begins, as every answer about a customer says it."""
    return {"ETag": f'"{first.data["version"]}"'} if "version" in first.data else {}


async def _while_held(keys: Keys, warrant: Warrant, told: AsyncIterator[Told]) -> AsyncGenerator[Told, None]:
    """Pass on what is told while the key or token that opened the stream is valid, signs of life among it."""
    async with aclosing(told):  # type: ignore[type-var]
        async for each in told:
            await keys.must_hold(warrant)
            yield each


async def _noted(request: Request, told: AsyncGenerator[Told, None]) -> AsyncGenerator[Told, None]:
    """Pass on what is told; the trail learns from where to where every few minutes, and as the stream closes."""
    hub, span = hub_of(request), _Span()
    noted_at = hub.ways.clock()
    try:
        async with aclosing(told):
            async for each in told:
                span = span.with_(each)
                if span.last and hub.ways.clock() - noted_at >= NOTED_EVERY:
                    await audited.note_stream(hub, request, "stream.read", span.first, span.last)
                    span, noted_at = _Span(), hub.ways.clock()
                yield each
    finally:
        # Whoever went away cancels the wait for the line, not the writing of it.
        if span.last:
            await audited.note_stream(hub, request, "stream.closed", span.first, span.last)


class _Span(NamedTuple):
    """From which id to which a stream was read since that was last noted."""

    first: str = ""
    last: str = ""

    def with_(self, told: Told) -> _Span:
        """Return the span with what is told next; `ready` and signs of life show nothing."""
        if told.id is None or told.type == "ready":
            return self
        return _Span(self.first or told.id, told.id)


async def _sent(kind: str, first: Told, told: AsyncGenerator[Told, None]) -> AsyncIterator[bytes]:
    """Send what is told, a comment every 15 seconds, and `bye` when the hub goes down."""
    loop = asyncio.get_running_loop()
    STREAMS_OPEN.labels(kind).inc()
    spoke = loop.time()
    try:
        yield b"retry: 1000\n" + _bytes(first)
        async for each in told:
            if each.type:
                spoke = loop.time()
                yield _bytes(each)
            elif loop.time() - spoke > COMMENT_EVERY - 3:
                spoke = loop.time()
                yield b": still here\n\n"
        yield _bytes(Told(None, "bye", {}))
    except CtxhubError as error:
        where = {"customer_id": error.ids["customer_id"]} if isinstance(error, Moved) else {}
        yield _bytes(Told(None, "bye", {"code": error.code, "detail": error.detail, **where}))
    finally:
        STREAMS_OPEN.labels(kind).dec()
        await told.aclose()


def _bytes(told: Told) -> bytes:
    """Spell one event of a stream."""
    head = f"id: {told.id}\n" if told.id is not None else ""
    return f"{head}event: {told.type}\n".encode() + b"data: " + orjson.dumps(told.data) + b"\n\n"
