"""The floor: the least that any server in this stack has to do, with no features at all.

The hub's own ASGI server with the hub's settings, a bare ASGI app, and for each request one script call, joined with
those of concurrent requests as the hub joins its own. A read fetches as many bytes as a context has and answers with
them; what is unchanged is answered 304 after a look at a version; an append writes one message. Nobody is asked for a
key, nothing is checked, masked, noted or counted.

`python -m tests.bench.floor --redis URL --bytes N` serves until it is told to stop, and says `floor ready on N` first.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from starlette.types import Receive, Scope, Send

from ctxhub import log
from ctxhub.client import Stopping
from ctxhub.store.fuse import Fuse
from ctxhub.store.joined import Joined
from ctxhub.worker import HubServer

READ = "return redis.call('GET', KEYS[1])"
UNCHANGED = "return redis.call('HGET', KEYS[1], 'version')"
APPEND = "redis.call('HINCRBY', KEYS[1], 'version', 1) return redis.call('RPUSH', KEYS[2], ARGV[1])"
_JSON = (b"content-type", b"application/json")
Served = Callable[[str, bytes], Awaitable[tuple[int, bytes]]]


class Floor:
    """A bare ASGI app: `GET /read/NAME`, `GET /unchanged/NAME`, `POST /append/NAME`."""

    def __init__(self, url: str, size: int) -> None:
        self._pool = BlockingConnectionPool.from_url(url, max_connections=32, socket_timeout=None)
        self._lane = Joined(self._pool, Fuse(), 1.0, 1.0)
        self._size = size
        self._scripts: dict[str, str] = {}
        self._routes: dict[str, Served] = {
            "read": self._read, "unchanged": self._unchanged, "append": self._append, "health": self._ready,
        }  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        _, route, name = scope["path"].split("/")
        body = (await receive()).get("body", b"") if scope["method"] == "POST" else b""
        status, content = await self._routes[route](name, body)
        head = [_JSON, (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": content})

    async def _live(self, receive: Receive, send: Send) -> None:
        """Put in place what all customers read, and stay until told to go."""
        await receive()
        client = Redis(connection_pool=self._pool)
        await client.set("context", b'{"recent":"' + b"x" * max(self._size - 13, 0) + b'"}')
        await client.hset("unchanged", "version", "1")
        self._scripts = {text: await client.script_load(text) for text in (READ, UNCHANGED, APPEND)}
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _run(self, script: str, keys: tuple[str, ...], *arguments: bytes) -> Awaitable[Any]:
        """Call a script: one round trip, shared with whoever asks at the same moment."""
        return self._lane.ask([("EVALSHA", self._scripts[script], len(keys), *keys, *arguments)])[0]

    async def _read(self, _: str, __: bytes) -> tuple[int, bytes]:
        """Answer with as many bytes as a context has."""
        return 200, await self._run(READ, ("context",))

    async def _unchanged(self, _: str, __: bytes) -> tuple[int, bytes]:
        """Answer that nothing has changed, after a look."""
        await self._run(UNCHANGED, ("unchanged",))
        return 304, b""

    async def _ready(self, _: str, __: bytes) -> tuple[int, bytes]:
        """Answer what every server is asked as it starts."""
        return 200, b""

    async def _append(self, name: str, body: bytes) -> tuple[int, bytes]:
        """Write one message."""
        count = await self._run(APPEND, (f"{{{name}}}:head", f"{{{name}}}:said"), body)
        return 200, b'{"version":%d}' % count


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--bytes", type=int, required=True)
    options = parser.parse_args()
    log.configure("error", "json")
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listener.getsockname()[1]
    app = Floor(options.redis, options.bytes)
    HubServer(app, Stopping(), on_ready=lambda: print(f"floor ready on {port}", flush=True)).run(sockets=[listener])


if __name__ == "__main__":
    main()
