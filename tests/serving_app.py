"""A small app for the tests of serving: healthy, streaming, sick or refusing, as its environment says."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from ctxhub import metrics
from ctxhub.client import Stopping, Unavailable
from ctxhub.settings import CannotStart, Settings


def create_app(settings: Settings, stopping: Stopping) -> FastAPI:
    """An app with a health route, an endless stream that says goodbye, and ways to misbehave."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if "REFUSES_TO_START" in os.environ:
            raise CannotStart("the partitions were 64 at first start: set CTXHUB_PARTITIONS=64")
        if "REDIS_IS_AWAY" in os.environ:
            raise Unavailable("Redis does not answer")
        if "HAS_A_FAULT" in os.environ:
            raise KeyError("a fault of ours")
        yield
        if "NEVER_ENDS" in os.environ:
            await asyncio.Event().wait()

    app = FastAPI(lifespan=lifespan)

    @app.get("/health/ready")
    async def ready() -> Response:
        metrics.REQUESTS.labels("GET", "/health/ready", "200").inc()
        print("health was asked for")  # on stdout, which is the supervisor's
        return Response(status_code=503 if "NEVER_READY" in os.environ else 200)

    @app.get("/who")
    async def who() -> dict[str, str | int | None]:
        return {"pid": os.getpid(), "redis_url": settings.redis_url, "base_url": settings.base_url}

    @app.get("/collector")
    async def collector() -> dict[str, int]:
        return {"frozen": gc.get_freeze_count(), "youngest": gc.get_threshold()[0]}

    @app.get("/admin-key")
    async def admin_key() -> PlainTextResponse:
        assert settings.admin_key is not None
        return PlainTextResponse(settings.admin_key.get_secret_value())

    @app.get("/metrics")
    async def counted() -> Response:
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(_until_goodbye(stopping), media_type="text/event-stream")

    @app.get("/deaf")
    async def deaf() -> StreamingResponse:
        return StreamingResponse(_until_goodbye(Stopping()), media_type="text/event-stream")

    return app


async def _until_goodbye(stopping: Stopping) -> AsyncIterator[str]:
    yield "event: ready\ndata: {}\n\n"
    await stopping.wait()
    yield "event: bye\ndata: {}\n\n"
