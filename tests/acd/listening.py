"""A hub that listens on loopback, and a telephone system in a process of its own that calls it there."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn

from ctxhub.client import Stopping
from ctxhub.server import create_app, ways_of
from ctxhub.settings import Settings
from tests.acd.scenes import Switch
from tests.api.living import Clock

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def listening(settings: Settings, clock: Clock | None = None) -> AsyncIterator[str]:
    """Where a hub listens for as long as the block lasts."""
    app = create_app(settings, Stopping(), replace(ways_of(settings), clock=clock) if clock else None)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="on"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.wait({serving}, timeout=0.02)
        assert not serving.done(), "the hub did not start"
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@asynccontextmanager
async def switched_on(url: str, key: str, clock: Clock) -> AsyncIterator[Switch]:
    """A telephone system, for as long as the block lasts."""
    command = [sys.executable, "-m", "tests.acd.switch", url, key]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    try:
        yield Switch(process, clock)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
