"""The HTTP application: every route, every problem type, and the description of both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ctxhub import __version__
from ctxhub.api import (
    commitments,
    contexts,
    customers,
    docs,
    events,
    guides,
    handoffs,
    health,
    interactions,
    numbers,
    problems,
    streams,
)
from ctxhub.errors import CtxhubError, every_error

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
ROUTERS = (interactions, events, contexts, commitments, handoffs, customers, streams, numbers, health, docs, guides)
_DESCRIPTION = (
    "The customer says it once. Every answer about a customer carries its version as ETag; "
    "errors are problem documents."
)


def create_api(lifespan: Lifespan) -> FastAPI:
    """Return the application; `lifespan` puts the hub into `app.state.hub`."""
    app = FastAPI(
        title="ctxhub", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    for noun in ROUTERS:
        app.include_router(noun.router)
    problems.install(app)
    return app


def description(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, with every problem type."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
        components = document.setdefault("components", {})
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        components.setdefault("schemas", {})["Problem"] = _problem_schema()
        document["security"] = [{"key": []}]
        for path in document["paths"].values():
            for operation in path.values():
                _with_problems(operation)
        app.openapi_schema = document
    return app.openapi_schema


def _problem_schema() -> dict[str, Any]:
    """Describe problem documents, with every code that there is."""
    codes = [error.code for error in every_error() if error is not CtxhubError]
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["type", "title", "status", "code", "detail", "remedy"],
        "properties": {
            "type": text | {"format": "uri"},
            "title": text,
            "status": {"type": "integer"},
            "code": text | {"enum": codes},
            "detail": text,
            "remedy": text,
            "errors": {
                "type": "array",
                "items": {"type": "object", "properties": {"pointer": text, "detail": text}},
            },
        },
    }


def _with_problems(operation: dict[str, Any]) -> None:
    """Describe an operation's refusals: one kind of document, whatever the status."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = {"description": "Refused; `code` says why.", "content": content}
