"""The description of the API: as OpenAPI 3.1, and as one page that needs no other host."""

from __future__ import annotations

from importlib.resources import files

import orjson
from fastapi import APIRouter, Request, Response
from jinja2 import Environment, PackageLoader, select_autoescape

from ctxhub.api.calls import Route

router = APIRouter(route_class=Route)
_PAGES = Environment(loader=PackageLoader("ctxhub.api", "pages"), autoescape=select_autoescape())
_POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'self'"


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return Response(orjson.dumps(request.app.state.description(request.app)), media_type="application/json")


@router.get("/docs", include_in_schema=False)
async def page(request: Request) -> Response:
    """Return the page of the API."""
    document = request.app.state.description(request.app)
    html = _PAGES.get_template("docs.html").render(api=document)
    return Response(html, headers={"Content-Security-Policy": _POLICY}, media_type="text/html; charset=utf-8")


@router.get("/docs/style.css", include_in_schema=False)
async def style() -> Response:
    """Return the page's looks."""
    return Response(files("ctxhub.api").joinpath("pages/docs.css").read_bytes(), media_type="text/css; charset=utf-8")
