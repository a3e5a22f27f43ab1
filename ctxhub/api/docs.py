"""The description of the API: as OpenAPI 3.1, and as one page that needs no other host."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from jinja2 import Environment, PackageLoader, select_autoescape

from ctxhub.api import reference
from ctxhub.api.calls import Route

router = APIRouter(route_class=Route)
PAGES = Environment(
    loader=PackageLoader("ctxhub.api", "pages"), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
)
POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'self'"


def _described(request: Request) -> dict[str, Any]:
    """Return the OpenAPI document, with examples."""
    return reference.complete(request.app.state.description(request.app))


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return Response(orjson.dumps(_described(request)), media_type="application/json")


@router.get("/docs", include_in_schema=False)
async def page(request: Request) -> Response:
    """Return the page of the API."""
    html = rendered(orjson.dumps(_described(request)))
    return Response(html, headers={"Content-Security-Policy": POLICY}, media_type="text/html; charset=utf-8")


@lru_cache(maxsize=1)
def rendered(document: bytes) -> str:
    """Return the page for an OpenAPI document; kept, since it changes with the release only."""
    api = orjson.loads(document)
    return PAGES.get_template("docs.html").render(
        api=api,
        groups=reference.groups_of(api),
        shapes=reference.shapes_of(api),
        problems=reference.problems(),
        told=reference.told(),
    )


@router.get("/docs/style.css", include_in_schema=False)
async def style() -> Response:
    """Return the page's looks."""
    return Response(files("ctxhub.api").joinpath("pages/docs.css").read_bytes(), media_type="text/css; charset=utf-8")
