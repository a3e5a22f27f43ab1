"""An application on a port of loopback, served as a hub's worker serves it, with no hub around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from ctxhub.heads import BoundedHeads


@asynccontextmanager
async def on_a_port(app: Any, heads: type[BoundedHeads] = BoundedHeads) -> AsyncIterator[int]:
    """The port where it listens for as long as the block lasts."""
    config = uvicorn.Config(app, port=0, http=heads, loop="uvloop", ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving
