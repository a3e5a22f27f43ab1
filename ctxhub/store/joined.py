"""Commands of concurrent requests joined: what is asked within one turn of the loop goes out in one write.

One connection carries one batch at a time, in order; answers come back in order. A fault of the connection fails the
batch it hit, and the next one begins on a new connection. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from hiredis import pack_command
from redis import exceptions
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection

from ctxhub.store.fuse import Fuse

Command = tuple[Any, ...]
MOST_AT_ONCE = 512


class Joined:
    """A lane of commands over one connection of a pool."""

    def __init__(self, pool: BlockingConnectionPool, fuse: Fuse) -> None:
        self._pool = pool
        self._fuse = fuse
        self._waiting: deque[tuple[Command, asyncio.Future[Any]]] = deque()
        self._sender: asyncio.Task[None] | None = None

    def ask(self, commands: Sequence[Command]) -> list[asyncio.Future[Any]]:
        """Send commands side by side, in order; each answer, or refusal, comes with its future.

        `LeftInPeace` where the server did not answer lately.
        """
        self._fuse.check()
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in commands]
        self._waiting.extend(zip(commands, futures, strict=True))
        if self._sender is None or self._sender.done():
            self._sender = loop.create_task(self._send_all())
        return futures

    async def aclose(self) -> None:
        """Let what is under way end."""
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)

    async def _send_all(self) -> None:
        """Send batch after batch until nothing waits; a connection that failed is not used again."""
        connection: AbstractConnection | None = None
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
                try:
                    connection = connection or await self._pool.get_connection()  # type: ignore[no-untyped-call]
                    await _exchange(connection, batch)
                    self._fuse.answered()
                except (exceptions.RedisError, OSError, TimeoutError) as error:
                    self._fuse.failed(in_time=not isinstance(error, exceptions.TimeoutError | TimeoutError))
                    await self._away(connection)
                    connection = None
                    _fail([future for _, future in batch], error)
                except BaseException:
                    await self._away(connection)
                    connection = None
                    everybody = [future for _, future in (*batch, *self._waiting)]
                    self._waiting.clear()
                    _fail(everybody, exceptions.ConnectionError("the connection is being closed"))
                    raise
        finally:
            if connection is not None:
                await self._pool.release(connection)

    async def _away(self, connection: AbstractConnection | None) -> None:
        """Close a connection of which nobody knows what it would answer next."""
        if connection is not None:
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)


async def _exchange(connection: AbstractConnection, batch: list[tuple[Command, asyncio.Future[Any]]]) -> None:
    """Send a batch and hand out its answers."""
    await connection.send_packed_command([pack_command(command) for command, _ in batch])
    for _, future in batch:
        await _answer(connection, future)


async def _answer(connection: AbstractConnection, future: asyncio.Future[Any]) -> None:
    """Hand one answer to whoever still waits for it; a refusal of one command concerns it alone."""
    try:
        answer = await connection.read_response(disconnect_on_error=False)
    except exceptions.ResponseError as refusal:
        _fail([future], refusal)
        return
    if not future.done():
        future.set_result(answer)


def _fail(futures: list[asyncio.Future[Any]], error: Exception) -> None:
    """Give an error to all who still wait."""
    for future in futures:
        if not future.done():
            future.set_exception(error)
