"""The HTTP application: every route, every problem type, and the description of both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.telemetry import TelemetryConfig
from starlette.routing import BaseRoute

from ctxhub import __version__
from ctxhub.api import (
    agents,
    audit,
    callbacks,
    commitments,
    contexts,
    continuing,
    customers,
    docs,
    events,
    guides,
    handoffs,
    health,
    interactions,
    keys,
    merging,
    numbers,
    onward,
    persons,
    problems,
    refusals,
    reveals,
    streams,
    webhooks,
)

#: FastAPI would tell the paths of requests, which name customers, to whatever else makes spans in this process.
UNTOLD: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
ROUTERS = (
    interactions,
    events,
    contexts,
    commitments,
    handoffs,
    continuing,
    agents,
    callbacks,
    customers,
    reveals,
    persons,
    merging,
    keys,
    audit,
    webhooks,
    streams,
    numbers,
    health,
    docs,
    guides,
)
_DESCRIPTION = (
    "The customer says it once. Every answer about a customer carries its version as ETag; "
    "errors are problem documents."
)


def create_api(lifespan: Lifespan) -> FastAPI:
    """Return the application; `lifespan` puts the hub into `app.state.hub`."""
    app = FastAPI(
        title="ctxhub", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None,
        telemetry=UNTOLD,
    )  # fmt: skip
    for noun in ROUTERS:
        app.include_router(noun.router)
    problems.install(app, _routes())
    return app


def _routes() -> list[BaseRoute]:
    """Return every route of the hub's own."""
    return [route for noun in ROUTERS for route in noun.router.routes]


def description(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, with every way in which a call may be refused."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
        components = document.setdefault("components", {})
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
        refusals.describe(document, _routes())
        onward.lead_on(document)
        app.openapi_schema = document
    return app.openapi_schema
