"""Whether the hub lives and is ready, and its metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from ctxhub.api.calls import Route, answer, hub_of
from ctxhub.errors import Unavailable
from ctxhub.metrics import CONTENT_TYPE, exposition

router = APIRouter(tags=["health"], route_class=Route)


@router.get("/health/live")
async def live() -> Response:
    """Say that the process runs."""
    return answer({"status": "live"})


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """Say whether calls can be served: Redis answers. An archive that is away is told of and stops nothing."""
    hub = getattr(request.app.state, "hub", None)
    if hub is None:
        raise Unavailable("the hub is starting")
    await hub_of(request).server.call("PING")
    return answer({"status": "ready", "archive": hub_of(request).archive_state})


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Show all metrics to Prometheus: this hub's own, and what is counted in Redis for all tenants."""
    hub = getattr(request.app.state, "hub", None)
    numbers = await hub.scrape.metrics() if hub is not None else ()
    return Response(exposition(numbers), media_type=CONTENT_TYPE)
