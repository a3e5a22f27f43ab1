"""What every call brings: its key, If-Match and Idempotency-Key; and how answers go back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import lru_cache
from typing import Annotated, Any, TypeVar
from urllib.parse import unquote

import orjson
from fastapi import Depends, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.types import Scope

from ctxhub.api import audited
from ctxhub.api.auth import Tokens, is_token
from ctxhub.api.problems import READS, guarded
from ctxhub.errors import (
    Ambiguous,
    Changed,
    CtxhubError,
    CustomerUnknown,
    Forbidden,
    Invalid,
    Malformed,
    OutcomeUnknown,
    Unauthenticated,
    Unavailable,
)
from ctxhub.hub.changes import Request as Conditions
from ctxhub.hub.hub import Hub
from ctxhub.hub.keys import Principal, Warrant
from ctxhub.model.disclosure import Role
from ctxhub.model.event import faults
from ctxhub.model.value import Id
from ctxhub.store.codec import digest
from ctxhub.store.contexts import Operation, Who

Checked = TypeVar("Checked")
JSON = "application/json"
MAX_DEPTH = 64
#: For whom a key calls that is of no agent's own.
AGENT = b"x-ctxhub-agent"
_AGENT_ID: TypeAdapter[str] = TypeAdapter(Id)
_VERSION = re.compile(r'^(?:W/)?"?(\d{1,15})"?$')
_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")


class JsonRequest(Request):
    """A request whose JSON is read strictly: no NaN, no lone surrogates, no numbers that can't be written again."""

    async def json(self) -> Any:
        """Return the body as JSON."""
        body = await self.body()
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"the body is not JSON: {error}") from error
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH and not _is_shallow(found):
            raise Malformed(f"the body is nested deeper than {MAX_DEPTH}")
        return found


def _is_shallow(content: Any) -> bool:
    """Tell whether nothing is nested deeper than bodies may be."""
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [part for found in level if type(found) in (dict, list) for part in _parts(found)]
        if not level:
            return True
    return False


def _parts(found: dict[str, Any] | list[Any]) -> Iterable[Any]:
    """Return what is in an object or list."""
    return found.values() if isinstance(found, dict) else found


class Route(APIRoute):
    """A route that reads JSON strictly and guards against faults of our own."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with both around it."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await answered(JsonRequest(request.scope, request.receive), handler)

        return handle


async def answered(request: JsonRequest, handler: Callable[[JsonRequest], Awaitable[Response]]) -> Response:
    """Answer a call in time, whatever Redis does; a stream has its own time once it has begun.

    What a call was doing when its time ran out stays as a kill would leave it: a repeat, or the outbox, goes on there.
    """
    try:
        async with asyncio.timeout(request.app.state.answers_within):
            return await _answered(request, handler)
    except TimeoutError as error:
        raise _late(request.method) from error


def _late(method: str) -> Unavailable:
    """Return what is said where time ran out: whoever only read has missed nothing, all others can't know."""
    if method in READS:
        return Unavailable("it takes longer just now than a call may")
    return OutcomeUnknown("it takes longer just now than a call may; it may have been done, or a part of it")


async def _answered(request: JsonRequest, handler: Callable[[JsonRequest], Awaitable[Response]]) -> Response:
    """Answer a call, guarded; whoever decided on an older document is shown the present context."""
    try:
        response = await guarded(request, handler)
    except Changed as changed:
        raise await _with_context(request, changed) from changed
    except (Forbidden, CustomerUnknown, Ambiguous) as refusal:
        await audited.note_refusal(hub_of(request), request, _known_caller(request), refusal)
        raise
    caller = _known_caller(request)
    if caller is not None:
        await audited.note(hub_of(request), request, caller, response)
    return response


def _known_caller(request: Request) -> Principal | None:
    """Return who was found to call, if anybody was."""
    return getattr(request.state, "caller", None)


async def _with_context(request: Request, changed: Changed) -> Changed:
    """Return a refusal with the present context, as its caller may see it."""
    caller = await caller_of(request)
    who = Who(caller.tenant, changed.ids["customer_id"])
    try:
        shown = await hub_of(request).contexts.read(who, caller.reader(await _asking(request)))
    except CtxhubError:
        return changed
    await audited.note_shown_context(hub_of(request), request, caller, shown.version)
    return Changed(changed.detail, **changed.ids | {"context": shown.value})


async def _asking(request: Request) -> str | None:
    """Return the interaction that a write is about, where it names one."""
    body = orjson.loads(await request.body() or b"null")
    said = body if isinstance(body, dict) else {}
    first = (said.get("events") or [{}])[0]
    found: str | None = request.path_params.get("interaction_id")
    return found or said.get("interaction_id") or first.get("interaction_id")


def hub_of(request: Request) -> Hub:
    """Return the hub behind the app."""
    hub: Hub = request.app.state.hub
    return hub


async def _hub_here(request: Request) -> Hub:
    """Return the hub as a dependency; not a plain function, since those are run in a thread."""
    return hub_of(request)


async def caller_of(request: Request) -> Principal:
    """Return whose key the request brings; `Unauthenticated` without a valid one."""
    principal = await _bearer(request, _brought(request))
    principal.must_reach(getattr(request.scope.get("route"), "path", ""))
    hub_of(request).limits.count(principal, request.path_params.get("customer_id"))
    request.state.caller = principal
    named = header(request.scope, AGENT)
    if named and principal.role == "agent":
        request.state.caller = principal = _speaking_for(principal, named)
    return principal


@lru_cache(maxsize=1024)
def _speaking_for(principal: Principal, named: str) -> Principal:
    """Return who calls as one agent: whom the call names, where the key is not an agent's own already."""
    try:
        agent_id = _AGENT_ID.validate_python(unquote(named))
    except ValidationError as error:
        raise Invalid.field("X-Ctxhub-Agent", "is an agent's id, its odd letters in percents") from error
    principal.must_be(agent_id)
    return principal if principal.agent is not None else principal.but(agent=agent_id)


def _brought(request: Request) -> str:
    """Return the key or token that a request brings."""
    scheme, _, key = header(request.scope, b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Unauthenticated("the request brings no key")
    return key.strip()


def header(scope: Scope, name: bytes) -> str:
    """Return a header by its name in small letters, the first where there are several; empty where there is none."""
    for each, said in scope["headers"]:
        if each == name:
            return str(said, "latin-1")
    return ""


def checked(kind: TypeAdapter[Checked], content: object) -> Checked:
    """Return what was sent, checked; `Invalid` names each fault with its JSON pointer."""
    try:
        return kind.validate_python(content)
    except ValidationError as error:
        found = faults(error)
        raise Invalid(f"{found[0]['pointer']}: {found[0]['detail']}", errors=found) from error


async def _bearer(request: Request, key: str) -> Principal:
    """Return whose key or token it is."""
    tokens: Tokens | None = request.app.state.tokens
    if tokens is not None and is_token(key):
        return await tokens.principal(key)
    return await hub_of(request).keys.principal(key)


async def warrant_of(request: Request) -> Warrant:
    """Return by what the caller of a request that was let in can be looked at again later."""
    tokens: Tokens | None = request.app.state.tokens
    key = _brought(request)
    if tokens is not None and is_token(key):
        return await tokens.warrant(key)
    return hub_of(request).keys.warrant(key)


def refuse_unless(principal: Principal, *roles: Role) -> None:
    """Refuse whoever is neither an admin nor of the roles named."""
    if principal.role != "admin" and principal.role not in roles:
        raise Forbidden(f"the role {principal.role} may not do that", roles=["admin", *roles])


def allowed(*roles: Role) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that lets in the roles named, and admins."""

    async def caller(request: Request) -> Principal:
        principal = await caller_of(request)
        refuse_unless(principal, *roles)
        return principal

    return caller


async def conditions_of(request: Request, principal: Principal) -> Conditions:
    """Return a write's If-Match and Idempotency-Key."""
    headers = request.headers
    if_match = headers.get("if-match")
    key = headers.get("idempotency-key")
    return Conditions(
        if_match=_version(if_match) if if_match is not None else None,
        operation=await _operation(request, principal, key) if key is not None else None,
    )


def _version(text: str) -> int | None:
    """Read If-Match; `*` holds for whatever is there."""
    if text.strip() == "*":
        return None
    found = _VERSION.match(text.strip())
    if found is None:
        raise Invalid.field("If-Match", 'is a version in quotes, such as "17"')
    return int(found[1])


async def _operation(request: Request, principal: Principal, key: str) -> Operation:
    """Return what an Idempotency-Key stands for: who, which route, which key; and what the request says."""
    if not _KEY.match(key):
        raise Invalid.field("Idempotency-Key", "has 1 to 255 visible ASCII characters")
    route = getattr(request.scope.get("route"), "path", "")
    # Under a key: what was said may hold a card number, which a plain fingerprint would help to guess.
    body = (await request.body()).decode("latin-1")
    said = hub_of(request).lookups.sealed("said", request.url.path, body)[:8]
    return Operation(digest(principal.tenant, principal.name, request.method, route, key), said)


def answer(content: Any, etag: int | None = None, status: int = 200) -> Response:
    """Return an answer; one about a customer carries its version as ETag."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    headers = {} if etag is None else {"ETag": f'"{etag}"'}
    return Response(body, status, headers, JSON)


def who_of(principal: Principal, customer_id: str) -> Who:
    """Return a customer of the caller's tenant."""
    return Who(principal.tenant, customer_id)


async def worked_for(request: Request, principal: Principal, customer_id: str) -> Who:
    """Return a customer the caller may write about: an agent of whom he holds, was offered or wrapped up something."""
    who = who_of(principal, customer_id)
    if principal.role == "agent":
        await hub_of(request).contexts.sight(who, principal.reader())
    return who


async def worked_in(request: Request, principal: Principal, customer_id: str) -> Who:
    """Return a customer as `worked_for` does; the interaction in the path must be of a channel that is the caller's."""
    who = await worked_for(request, principal, customer_id)
    await hub_of(request).interactions.must_speak(principal, who, request.path_params["interaction_id"])
    return who


def searching(*roles: Role) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that lets in the roles named, and counts a look-up by an identifier."""

    async def caller(request: Request) -> Principal:
        principal = await caller_of(request)
        refuse_unless(principal, *roles)
        await hub_of(request).limits.count_lookup(principal)
        return principal

    return caller


HubHere = Annotated[Hub, Depends(_hub_here)]
Adapter = Annotated[Principal, Depends(allowed("adapter"))]
Worker = Annotated[Principal, Depends(allowed("adapter", "agent"))]
Onlooker = Annotated[Principal, Depends(allowed("adapter", "agent", "supervisor"))]
Supervisor = Annotated[Principal, Depends(allowed("supervisor"))]
Reviewer = Annotated[Principal, Depends(allowed("agent", "supervisor"))]
Admin = Annotated[Principal, Depends(allowed())]
SearchingWorker = Annotated[Principal, Depends(searching("adapter", "agent"))]
SearchingOnlooker = Annotated[Principal, Depends(searching("adapter", "agent", "supervisor"))]
InteractionQuery = Annotated[Id | None, Query(description="The interaction that asks.")]
