"""The two calls that channels make all the time, past the framework: telling events and reading a context.

They are declared as routes like all others, so that they stand in the description; what costs most of such a call is
the routing and the solving of dependencies around it, which is left out here. Everything else is the same: key, role,
checks, problems.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from fastapi import FastAPI, Response
from pydantic import TypeAdapter, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from ctxhub.api.calls import JsonRequest, answered, caller_of, conditions_of, hub_of, refuse_unless, who_of, worked_for
from ctxhub.api.contexts import ContextQuery, context_answer
from ctxhub.api.events import EventsBody, Was, told_answer
from ctxhub.api.problems import problem_response
from ctxhub.errors import CtxhubError, Invalid
from ctxhub.model.event import faults

Checked = TypeVar("Checked")
_EVENTS = TypeAdapter(EventsBody)
_WAS: TypeAdapter[list[str]] = TypeAdapter(Was)
_QUERY = TypeAdapter(ContextQuery)


class HotRoute(NamedTuple):
    """A route as metrics name it, and its handler."""

    path: str
    handle: Callable[[JsonRequest], Awaitable[Response]]


async def _tell(request: JsonRequest) -> Response:
    """Tell what happened."""
    caller = await caller_of(request)
    refuse_unless(caller, "adapter", "agent")
    body = _checked(_EVENTS, await request.json())
    who = await worked_for(request, caller, request.path_params["customer_id"])
    conditions = await conditions_of(request, caller)
    was = _checked(_WAS, request.query_params.getlist("was"))
    return told_answer(await hub_of(request).events.tell(who, body.events, conditions, caller, was))


async def _read(request: JsonRequest) -> Response:
    """Read a context."""
    caller = await caller_of(request)
    refuse_unless(caller, "adapter", "agent", "supervisor")
    query = _checked(_QUERY, dict(request.query_params))
    who = who_of(caller, request.path_params["customer_id"])
    reader = caller.reader(query.interaction_id, query.purpose)
    return context_answer(await hub_of(request).contexts.read(who, reader, query.events, query.min_version), request)


def _checked(kind: TypeAdapter[Checked], content: object) -> Checked:
    """Return what was sent, checked; each fault with its JSON pointer."""
    try:
        return kind.validate_python(content)
    except ValidationError as error:
        found = faults(error)
        raise Invalid(f"{found[0]['pointer']}: {found[0]['detail']}", errors=found) from error


HOT = {
    ("POST", "events"): HotRoute("/v1/customers/{customer_id}/events", _tell),
    ("GET", "context"): HotRoute("/v1/customers/{customer_id}/context", _read),
}


def _found(scope: Scope) -> tuple[HotRoute | None, str]:
    """Return the hot route of a request, and whose it is about."""
    parts = scope["path"].split("/") if scope["type"] == "http" else []
    if len(parts) != 5 or parts[1:3] != ["v1", "customers"] or not parts[3]:
        return None, ""
    return HOT.get((scope["method"], parts[4])), parts[3]


class Hot:
    """Serves the hot routes itself and passes everything else on."""

    def __init__(self, app: FastAPI) -> None:
        self._app: ASGIApp = app
        self._whole = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        hot, customer_id = _found(scope)
        if hot is None:
            await self._app(scope, receive, send)
            return
        scope.update(app=self._whole, path_params={"customer_id": customer_id}, route=hot)
        request = JsonRequest(scope, receive)
        await (await self._answered(request, hot))(scope, receive, send)

    async def _answered(self, request: JsonRequest, hot: HotRoute) -> Response:
        """Return the answer, whatever happens."""
        try:
            return await answered(request, hot.handle)
        except CtxhubError as error:
            return problem_response(error, request)
