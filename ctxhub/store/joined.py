"""Commands of concurrent requests joined: what is asked within one turn of the loop goes out in one write.

One connection carries one batch at a time, in order; answers come back in order. A fault of the connection fails the
batch it hit, and the next one begins on a new connection. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hiredis import pack_command
from redis import exceptions
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection

from ctxhub.store.fuse import Fuse

Command = tuple[Any, ...]
MOST_AT_ONCE = 512
_PROLONGED = 8  # times a patience is prolonged while answers come, at most
#: What a server says of one command, or of a login: the connection itself is well.
_REFUSALS = (exceptions.ResponseError, exceptions.BusyLoadingError, exceptions.AuthenticationError)


class _Asked(NamedTuple):
    """A command, its answer, and how many replicas had it in time, where somebody wants to know."""

    command: Command
    answer: asyncio.Future[Any]
    reached: asyncio.Future[Any] | None


class NotSent(exceptions.ConnectionError):
    """Nothing of a command was sent: it was surely not done."""


class Joined:
    """A lane of commands over one connection of a pool, whose connections have no patience of their own."""

    def __init__(
        self, pool: BlockingConnectionPool, fuse: Fuse, connects_within: float, answers_within: float,
        confirmation: Command = (),
    ) -> None:  # fmt: skip
        self._pool = pool
        self._fuse = fuse
        self._connects_within = connects_within
        self._answers_within = answers_within
        self._confirmation = confirmation
        self._waiting: deque[_Asked] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._is_closed = False

    def ask(self, commands: Sequence[Command]) -> list[asyncio.Future[Any]]:
        """Send commands side by side, in order; each answer, or refusal, comes with its future.

        `LeftInPeace` where the server did not answer lately.
        """
        return self._asked(commands, None)

    def ask_confirmed(self, commands: Sequence[Command]) -> tuple[list[asyncio.Future[Any]], asyncio.Future[Any]]:
        """Send commands as `ask` does; the last future says how many replicas have them all.

        All that goes out in one write waits for replicas once and together, in its end.
        """
        reached = asyncio.get_running_loop().create_future()
        return self._asked(commands, reached), reached

    def _asked(self, commands: Sequence[Command], reached: asyncio.Future[Any] | None) -> list[asyncio.Future[Any]]:
        """Queue commands, and have them sent."""
        self._fuse.check()
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Any]] = [loop.create_future() for _ in commands]
        asked = [_Asked(command, future, reached) for command, future in zip(commands, futures, strict=True)]
        if self._is_closed:  # who held on to it must not open a connection that nobody closes any more
            _fail(asked, NotSent("the connection is closed"))
            return futures
        self._waiting.extend(asked)
        if self._sender is None or self._sender.done():
            self._sender = loop.create_task(self._send_all())
        return futures

    async def aclose(self) -> None:
        """Let what is under way end; from now on nothing is sent."""
        self._is_closed = True
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        self._give_up()  # a sender that was cancelled before it began has said nothing to anybody

    async def _send_all(self) -> None:
        """Send batch after batch until nothing waits; a connection that failed is not used again."""
        connection: AbstractConnection | None = None
        try:
            while self._waiting:
                batch = self._next_batch()
                connection = connection or await self._connected(batch)
                if connection is not None and not await self._carried(connection, batch):
                    connection = None
        finally:
            self._give_up()
            if connection is not None:
                await self._pool.release(connection)

    def _give_up(self) -> None:
        """Tell whoever waits that nothing was sent."""
        _fail(self._waiting, NotSent("the connection is being closed"))
        self._waiting.clear()

    def _next_batch(self) -> list[_Asked]:
        """Take what goes out next; what is confirmed together is never sent over two connections."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
        while self._waiting and batch[-1].reached is not None and self._waiting[0].reached is batch[-1].reached:
            batch.append(self._waiting.popleft())
        return batch

    async def _connected(self, batch: Sequence[_Asked]) -> AbstractConnection | None:
        """Return a connection for a batch, which fails as never sent where there is none."""
        try:
            # A server that stands still takes connections, and says nothing on them. Of one that is closed in the
            # middle uvloop says RuntimeError.
            async with asyncio.timeout(self._connects_within):
                return await self._pool.get_connection()  # type: ignore[no-untyped-call, no-any-return]
        except (exceptions.RedisError, OSError, TimeoutError, RuntimeError) as error:
            self._failed(error)
            _fail(batch, _never_sent(error))
            return None
        except BaseException:
            _fail(batch, NotSent("the connection is being closed"))
            raise

    async def _carried(self, connection: AbstractConnection, batch: Sequence[_Asked]) -> bool:
        """Send a batch and hand out its answers; False where the connection is of no use any more."""
        try:
            await self._exchange(connection, batch)
            self._fuse.answered()
        except (exceptions.RedisError, OSError, TimeoutError, RuntimeError) as error:
            self._failed(error)
            await self._away(connection)
            _fail(batch, error)
            return False
        except BaseException:
            await self._away(connection)
            _fail(batch, exceptions.ConnectionError("the connection is being closed"))
            raise
        return True

    def _failed(self, error: Exception) -> None:
        """Note that the server did not answer."""
        self._fuse.failed(in_time=not isinstance(error, exceptions.TimeoutError | TimeoutError))

    async def _away(self, connection: AbstractConnection) -> None:
        """Close a connection of which nobody knows what it would answer next."""
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)

    async def _exchange(self, connection: AbstractConnection, batch: Sequence[_Asked]) -> None:
        """Send a batch and hand out its answers."""
        commands = [asked.command for asked in batch]
        confirmed = {id(asked.reached): asked.reached for asked in batch if asked.reached is not None}
        if confirmed:
            commands.append(self._confirmation)
        asking = [[asked.answer] for asked in batch]
        if confirmed:
            asking.append(list(confirmed.values()))
        loop = asyncio.get_running_loop()
        # One patience for all of it, prolonged now and then: the connection's own would cost more than the answers.
        async with asyncio.timeout(self._answers_within) as patience:
            await connection.send_packed_command([pack_command(command) for command in commands])
            prolonged = loop.time()
            for futures in asking:
                await _answer(connection, futures)
                if (now := loop.time()) - prolonged > self._answers_within / _PROLONGED:
                    patience.reschedule(now + self._answers_within)
                    prolonged = now


async def _answer(connection: AbstractConnection, futures: Sequence[asyncio.Future[Any]]) -> None:
    """Hand one answer to all who still wait for it; a refusal of one command concerns it alone."""
    try:
        answer = await connection.read_response(disconnect_on_error=False)
    except _REFUSALS as refusal:
        _settle(futures, refusal)
        return
    for future in futures:
        if not future.done():
            future.set_result(answer)


def _fail(batch: Iterable[_Asked], error: Exception) -> None:
    """Give an error to all of a batch who still wait."""
    for asked in batch:
        _settle([asked.answer] if asked.reached is None else [asked.answer, asked.reached], error)


def _settle(futures: Iterable[asyncio.Future[Any]], error: Exception) -> None:
    """Give an error to all who still wait."""
    for future in futures:
        if not future.done():
            future.set_exception(error)


def _never_sent(error: Exception) -> Exception:
    """Return the error of a connection that did not come about; a refusal of the server says more than that."""
    for said in (error, error.__cause__):
        if isinstance(said, _REFUSALS):
            return said
    return NotSent(str(error))
