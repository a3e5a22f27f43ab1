"""The connection to Redis: one client, built here and nowhere else, and the scripts it runs.

The client's own retries are off: it would apply a script up to eleven times. Retrying is the hub's, and only of what
carries an operation's id. Every call has an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from importlib.resources import files
from itertools import cycle
from typing import TYPE_CHECKING, Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ctxhub.errors import OutcomeUnknown, Unavailable
from ctxhub.metrics import REDIS_ROUND_TRIPS
from ctxhub.store.fuse import Fuse, LeftInPeace
from ctxhub.store.joined import Command, Joined
from ctxhub.store.keys import Keys

if TYPE_CHECKING:
    from ctxhub.tracing import Tracing

_AWAY = (exceptions.ConnectionError, exceptions.TimeoutError, TimeoutError, OSError)
_NOT_NOW = (
    exceptions.BusyLoadingError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
    exceptions.TryAgainError,
)
_UNTOLD: AbstractContextManager[object] = nullcontext()
LANES = 2
SCRIPTS = (
    "load", "append", "commit", "span", "link", "unlink", "recall", "let_go", "count_saved", "count_try",
    "lease", "advance", "copy", "keep_on", "release", "restore", "put_back", "rewrap",
    "doom", "erase", "leave_feed", "blank", "chain", "let_go_trail", "lend", "return_number", "announce",
    "swap", "queue_delivery", "settle_delivery", "redrive_delivery", "leave_deliveries",
)  # fmt: skip


@contextmanager
def answering(writes: bool = False) -> Iterator[None]:
    """Let a Redis that does not answer surface as Unavailable, and a write without an answer as OutcomeUnknown."""
    try:
        yield
    except _NOT_NOW as error:
        raise Unavailable(f"Redis does not take calls just now: {error}") from error
    except _AWAY as error:
        if writes and not _never_reached(error):
            raise OutcomeUnknown("Redis did not answer in time; it may have been done") from error
        lately = f": {error}" if isinstance(error, LeftInPeace) else ""
        raise Unavailable(f"Redis does not answer{lately}") from error
    except exceptions.ResponseError as error:
        raise _refused(error) from error


def _never_reached(error: BaseException) -> bool:
    """Tell whether the call failed before anything was sent."""
    said = str(error) if isinstance(error, exceptions.RedisError) else ""
    return isinstance(error, LeftInPeace) or " connecting to " in said or said.startswith("No connection available")


def _refused(error: exceptions.ResponseError) -> Exception:
    """Tell a server that can't write from a fault of our own."""
    full = str(error).startswith(("MISCONF", "NOREPLICAS"))
    return Unavailable(f"Redis refuses writes: {error}") if full else error


class Server:
    """A Redis or Valkey server, and the few ways in which ctxhub calls it."""

    def __init__(
        self, client: Redis, keys: Keys, lanes: Sequence[Joined], replicas: int, wait: float,
        tracing: Tracing | None = None,
    ) -> None:  # fmt: skip
        self._client = client
        self.keys = keys
        self._lanes = cycle(lanes)
        self._replicas = replicas
        self._wait = round(wait * 1000)
        self._tracing = tracing
        self._texts = {name: files("ctxhub.store").joinpath(f"lua/{name}.lua").read_text() for name in SCRIPTS}
        self._shas: dict[str, str] = {}
        self._trips = {name: REDIS_ROUND_TRIPS.labels(name) for name in (*SCRIPTS, "pipeline", "call")}

    async def prepare(self) -> None:
        """Load the scripts; a server that lost them later gets them again when it says so."""
        for name, text in self._texts.items():
            self._shas[name] = await self.call("SCRIPT", "LOAD", text)

    async def run(self, name: str, keys: Sequence[str], args: Sequence[Any], writes: bool = True) -> Any:
        """Run one script: one atomic step and one round trip."""
        with answering(writes), self._span("EVALSHA", name):
            try:
                return await self._called(name, keys, args, writes)
            except exceptions.NoScriptError:
                await self.prepare()
                return await self._called(name, keys, args, writes)

    async def _called(self, name: str, keys: Sequence[str], args: Sequence[Any], writes: bool) -> Any:
        """Call a script by its digest; where replicas must have a write too, wait for them on the same connection."""
        self._trips[name].inc()
        command = ("EVALSHA", self._shas[name], len(keys), *keys, *args)
        if not (writes and self._replicas):
            return await next(self._lanes).ask([command])[0]
        answer, reached = next(self._lanes).ask([command, ("WAIT", self._replicas, self._wait)])
        both: tuple[Any, Any] = await asyncio.gather(answer, reached, return_exceptions=True)
        found, confirmed = both
        if isinstance(found, BaseException):
            raise found
        if isinstance(confirmed, BaseException) or confirmed < self._replicas:
            raise OutcomeUnknown("not enough replicas confirmed the write in time")
        return found

    async def run_many(
        self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[Any]]], writes: bool = True
    ) -> list[Any]:
        """Run one script for several sets of keys in one round trip; each is a step of its own."""
        sha = self._shas[name]
        try:
            return await self._sent([("EVALSHA", sha, len(k), *k, *a) for k, a in calls], writes, name)
        except exceptions.NoScriptError:
            await self.prepare()
            return await self._sent([("EVALSHA", sha, len(k), *k, *a) for k, a in calls], writes, name)

    async def pipeline(self, *commands: Command, writes: bool = False) -> list[Any]:
        """Send several commands in one round trip; they need not share a slot, and are not one step."""
        return await self._sent(commands, writes)

    async def _sent(self, commands: Sequence[Command], writes: bool, script: str | None = None) -> list[Any]:
        """Send several commands in one round trip, of one script or of any kind."""
        if not commands:
            return []
        self._trips["pipeline"].inc()
        with answering(writes), self._span("PIPELINE", script, len(commands)):
            return list(await asyncio.gather(*next(self._lanes).ask(commands)))

    async def call(self, *command: Any, writes: bool = False) -> Any:
        """Send one command."""
        self._trips["call"].inc()
        with answering(writes), self._span(command[0]):
            return await next(self._lanes).ask([command])[0]

    def _span(self, operation: str, script: str | None = None, size: int = 1) -> AbstractContextManager[object]:
        """Return what tells of a call, where spans are made."""
        return _UNTOLD if self._tracing is None else self._tracing.redis(operation, script, size)

    async def scan(self, pattern: str, at_once: int) -> AsyncIterator[list[bytes]]:
        """Yield the names of all keys of a pattern, some at a time; one that moves meanwhile may come twice."""
        cursor = b"0"
        while True:
            cursor, names = await self.call("SCAN", cursor, "MATCH", pattern, "COUNT", at_once)
            yield names
            if cursor == b"0":
                return

    def hints(self) -> PubSub:
        """Return a subscription of its own."""
        return self._client.pubsub()


@asynccontextmanager
async def connected(
    url: str,
    partitions: int,
    *,
    connections: int = 32,
    socket_timeout: float = 1.0,
    connect_timeout: float = 0.3,
    replicas: int = 0,
    tracing: Tracing | None = None,
) -> AsyncIterator[Server]:
    """Connect to a server for as long as the block lasts."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=socket_timeout,
        socket_timeout=socket_timeout,
        socket_connect_timeout=connect_timeout,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        retry_on_timeout=False,
    )
    client = Redis(connection_pool=pool)
    fuse = Fuse()
    lanes = [Joined(pool, fuse) for _ in range(LANES)]
    server = Server(client, Keys(partitions), lanes, replicas, socket_timeout / 2, tracing)
    try:
        await server.prepare()
        yield server
    finally:
        for lane in lanes:
            await lane.aclose()
        await client.aclose()
        await pool.disconnect()
