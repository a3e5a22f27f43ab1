"""The calls that channels make all the time, past the framework: beginning, telling events, reading a context.

They are declared as routes like all others, so that they stand in the description; what costs most of such a call is
the routing and the solving of dependencies around it, which is left out here. Everything else is the same: key, role,
checks, problems.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from fastapi import FastAPI, Response
from pydantic import TypeAdapter
from starlette.types import ASGIApp, Receive, Scope, Send

from ctxhub.api.calls import JsonRequest, answered, caller_of, checked, conditions_of, hub_of, refuse_unless, worked_for
from ctxhub.api.events import EventsBody, Was, told_answer
from ctxhub.api.interactions import StartBody, start
from ctxhub.api.problems import problem_response
from ctxhub.api.reading import Reads
from ctxhub.errors import CtxhubError

_START = TypeAdapter(StartBody)
_EVENTS = TypeAdapter(EventsBody)
_WAS: TypeAdapter[list[str]] = TypeAdapter(Was)


class HotRoute(NamedTuple):
    """A route as metrics name it, and its handler."""

    path: str
    handle: Callable[[JsonRequest], Awaitable[Response]]


async def _begin(request: JsonRequest) -> Response:
    """Find or start an interaction."""
    caller = await caller_of(request)
    refuse_unless(caller, "adapter")
    return await start(checked(_START, await request.json()), request, hub_of(request), caller)


async def _tell(request: JsonRequest) -> Response:
    """Tell what happened."""
    caller = await caller_of(request)
    refuse_unless(caller, "adapter", "agent")
    body = checked(_EVENTS, await request.json())
    who = await worked_for(request, caller, request.path_params["customer_id"])
    conditions = await conditions_of(request, caller)
    was = checked(_WAS, request.query_params.getlist("was"))
    return told_answer(await hub_of(request).events.tell(who, body.events, conditions, caller, was))


INTERACTIONS = "/v1/interactions"
EVENTS = "/v1/customers/{customer_id}/events"
CONTEXT = "/v1/customers/{customer_id}/context"
_BELOW = "/v1/customers/"


class Hot:
    """Serves the hot routes itself and passes everything else on."""

    def __init__(self, app: FastAPI) -> None:
        self._app: ASGIApp = app
        self._whole = app
        self._begin = HotRoute(INTERACTIONS, _begin)
        self._below = {
            ("POST", "events"): HotRoute(EVENTS, _tell),
            ("GET", "context"): HotRoute(CONTEXT, Reads().answer),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        hot, parameters = self._found(scope)
        if hot is None:
            await self._app(scope, receive, send)
            return
        scope.update(app=self._whole, path_params=parameters, route=hot)
        request = JsonRequest(scope, receive)
        await (await self._answered(request, hot))(scope, receive, send)

    def _found(self, scope: Scope) -> tuple[HotRoute | None, dict[str, str]]:
        """Return the hot route of a request, and what its path names."""
        if scope["type"] != "http":
            return None, {}
        if scope["path"] == INTERACTIONS and scope["method"] == "POST":
            return self._begin, {}
        if not scope["path"].startswith(_BELOW):
            return None, {}
        customer_id, _, rest = scope["path"][len(_BELOW) :].partition("/")
        hot = self._below.get((scope["method"], rest)) if customer_id else None
        return hot, {"customer_id": customer_id}

    async def _answered(self, request: JsonRequest, hot: HotRoute) -> Response:
        """Return the answer, whatever happens."""
        try:
            return await answered(request, hot.handle)
        except CtxhubError as error:
            return problem_response(error, request)
