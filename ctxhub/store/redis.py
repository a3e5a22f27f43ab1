"""The connection to Redis: one client, built here and nowhere else, and the scripts it runs.

The client's own retries are off: it would apply a script up to eleven times. Retrying is the hub's, and only of what
carries an operation's id. Every call has an end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ctxhub.errors import OutcomeUnknown, Unavailable
from ctxhub.store.keys import Keys

_AWAY = (exceptions.ConnectionError, exceptions.TimeoutError, TimeoutError, OSError)
_NOT_NOW = (exceptions.BusyLoadingError, exceptions.ReadOnlyError, exceptions.ClusterDownError)
SCRIPTS = ("load", "append", "commit", "link", "count_saved", "lease", "advance", "count_try")


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
        raise Unavailable("Redis does not answer") from error
    except exceptions.ResponseError as error:
        raise _refused(error) from error


def _never_reached(error: BaseException) -> bool:
    """Tell whether the call failed before anything was sent."""
    return isinstance(error, exceptions.ConnectionError) and str(error).startswith(
        ("Error ", "No connection available")
    )


def _refused(error: exceptions.ResponseError) -> Exception:
    """Tell a server that can't write from a fault of our own."""
    full = str(error).startswith(("OOM", "MISCONF", "NOREPLICAS", "LOADING", "TRYAGAIN"))
    return Unavailable(f"Redis refuses writes: {error}") if full else error


class Server:
    """A Redis or Valkey server, and the few ways in which ctxhub calls it."""

    def __init__(self, client: Redis, keys: Keys, deadline: float, replicas: int = 0) -> None:
        self.client = client
        self.keys = keys
        self._deadline = deadline
        self._replicas = replicas
        self._texts = {name: files("ctxhub.store").joinpath(f"lua/{name}.lua").read_text() for name in SCRIPTS}
        self._shas: dict[str, str] = {}

    async def prepare(self) -> None:
        """Load the scripts; a server that lost them later gets them again when it says so."""
        with answering():
            for name, text in self._texts.items():
                self._shas[name] = await self.client.script_load(text)

    async def run(self, name: str, keys: Sequence[str], args: Sequence[Any], writes: bool = True) -> Any:
        """Run one script: one atomic step and one round trip."""
        with answering(writes):
            async with asyncio.timeout(self._deadline):
                return await self._evaluated(name, keys, args, writes)

    async def run_many(self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[Any]]]) -> list[Any]:
        """Run one script for several sets of keys in one round trip; each is a step of its own."""
        text = self._texts[name]
        first = [("EVAL", text, len(keys), *keys, *args) for keys, args in calls[:1]]
        rest = [("EVALSHA", self._shas.get(name, ""), len(keys), *keys, *args) for keys, args in calls[1:]]
        return await self.pipeline(*first, *rest, writes=True)

    async def _evaluated(self, name: str, keys: Sequence[str], args: Sequence[Any], writes: bool) -> Any:
        """Call a script by its digest; a server that does not have it gets it first."""
        try:
            return await self._called(self._shas[name], keys, args, writes)
        except (exceptions.NoScriptError, KeyError):
            self._shas[name] = await self.client.script_load(self._texts[name])
            return await self._called(self._shas[name], keys, args, writes)

    async def _called(self, sha: str, keys: Sequence[str], args: Sequence[Any], writes: bool) -> Any:
        """Call a script; where replicas must have a write too, wait for them on the same connection."""
        if not (writes and self._replicas):
            return await self.client.evalsha(sha, len(keys), *keys, *args)  # type: ignore[misc]
        pipe = self.client.pipeline(transaction=False)
        pipe.evalsha(sha, len(keys), *keys, *args)
        pipe.execute_command("WAIT", self._replicas, int(self._deadline * 500))
        answer, reached = await pipe.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(reached, Exception) or reached < self._replicas:
            raise OutcomeUnknown("not enough replicas confirmed the write in time")
        return answer

    async def pipeline(self, *commands: tuple[Any, ...], writes: bool = False) -> list[Any]:
        """Send several commands in one round trip; they need not share a slot, and are not one step."""
        if not commands:
            return []
        with answering(writes):
            async with asyncio.timeout(self._deadline):
                pipe = self.client.pipeline(transaction=False)
                for command in commands:
                    pipe.execute_command(*command)
                return list(await pipe.execute())

    async def call(self, *command: Any, writes: bool = False) -> Any:
        """Send one command."""
        with answering(writes):
            async with asyncio.timeout(self._deadline):
                return await self.client.execute_command(*command)

    def hints(self) -> PubSub:
        """Return a subscription of its own."""
        return self.client.pubsub()


@asynccontextmanager
async def connected(
    url: str,
    partitions: int,
    *,
    connections: int = 32,
    socket_timeout: float = 1.0,
    connect_timeout: float = 0.3,
    deadline: float = 2.5,
    replicas: int = 0,
) -> AsyncIterator[Server]:
    """Connect to a server for as long as the block lasts."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=deadline,
        socket_timeout=socket_timeout,
        socket_connect_timeout=connect_timeout,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        retry_on_timeout=False,
    )
    client = Redis(connection_pool=pool)
    server = Server(client, Keys(partitions), deadline, replicas)
    try:
        await server.prepare()
        yield server
    finally:
        await client.aclose()
        await pool.disconnect()
