"""The way to Redis: its calls, the scripts it runs, and what its refusals mean to the caller.

The client's own retries are off: it would apply a script up to eleven times. Retrying is the hub's, and only of what
carries an operation's id. Every call has an end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from hashlib import sha1
from importlib.resources import files
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any

from redis import exceptions
from redis.asyncio.client import PubSub

from ctxhub.addresses import Address
from ctxhub.errors import OutcomeUnknown, Unavailable
from ctxhub.metrics import REDIS_ROUND_TRIPS
from ctxhub.store.cluster import Clustered
from ctxhub.store.fuse import LeftInPeace
from ctxhub.store.joined import Command, NotSent
from ctxhub.store.keys import Keys
from ctxhub.store.nodes import Alone, Fleet, Patience
from ctxhub.store.sending import Sender
from ctxhub.store.sentinel import Watched

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
_LOGIN = (exceptions.AuthenticationError, exceptions.AuthorizationError)
_NOT_THIS_ONE = (
    ("DB index", "Redis has no such database: let CTXHUB_REDIS_URL end in the number of one that it has, such as /0"),
    ("unknown command.*HELLO", "this server is too old: let CTXHUB_REDIS_URL lead to Redis >= 7.0 or Valkey >= 7.2"),
)
_NO_ANSWERS = (*_LOGIN, *_NOT_NOW, *_AWAY, exceptions.ResponseError)
SCRIPTS = (
    "load", "load_noted", "append", "commit", "span", "link", "unlink", "recall", "let_go", "count_saved", "count_try",
    "lease", "advance", "copy", "keep_on", "release", "restore", "put_back", "rewrap",
    "doom", "erase", "leave_feed", "blank", "chain", "let_go_trail", "disclose", "lend", "return_number", "announce",
    "swap", "touch", "queue_delivery", "settle_delivery", "redrive_delivery", "leave_deliveries",
)  # fmt: skip


class Answering:
    """Let a Redis that does not answer surface as Unavailable, and a write without an answer as OutcomeUnknown."""

    def __init__(self, writes: bool = False) -> None:
        self._writes = writes

    def __enter__(self) -> None:
        """Begin to ask."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        """Raise what an error means to the caller, if it is of Redis or of the way there."""
        if isinstance(error, _NO_ANSWERS):
            raise _meant(error, self._writes) from error


def _meant(error: Exception, writes: bool) -> Exception:
    """Return what an error of Redis, or of the way there, means to the caller."""
    if isinstance(error, exceptions.MovedError):
        return Unavailable("this Redis is one of a cluster: let CTXHUB_REDIS_URL begin with redis+cluster://")
    if isinstance(error, _LOGIN):
        return Unavailable(f"Redis refuses the login ({error}): mend user and password in CTXHUB_REDIS_URL")
    if isinstance(error, _NOT_NOW):
        return Unavailable(f"Redis does not take calls just now: {error}")
    if isinstance(error, _AWAY):
        if writes and not _never_reached(error):
            return OutcomeUnknown("Redis did not answer in time; it may have been done")
        lately = f": {error}" if isinstance(error, LeftInPeace) else ""
        return Unavailable(f"Redis does not answer{lately}")
    return _refused(error)


def _never_reached(error: BaseException) -> bool:
    """Tell whether the call failed before anything was sent."""
    if isinstance(error, NotSent | LeftInPeace):
        return True
    said = str(error) if isinstance(error, exceptions.RedisError) else ""
    return " connecting to " in said or said.startswith("No connection available")


def _refused(error: Exception) -> Exception:
    """Tell a server that can't write, or is not the right one, from a fault of our own."""
    said = str(error)
    if said.startswith(("MISCONF", "NOREPLICAS")):
        return Unavailable(f"Redis refuses writes: {error}")
    remedy = next((remedy for pattern, remedy in _NOT_THIS_ONE if re.search(pattern, said)), None)
    return Unavailable(f"{remedy} ({error})") if remedy else error


class Server:
    """A Redis or Valkey, be it one server or many, and the few ways in which ctxhub calls it."""

    def __init__(self, fleet: Fleet, keys: Keys, replicas: int, tracing: Tracing | None = None) -> None:
        self._fleet = fleet
        self._tracing = tracing
        self.keys = keys
        texts = {name: files("ctxhub.store").joinpath(f"lua/{name}.lua").read_text() for name in SCRIPTS}
        self._shas = {name: sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in texts.items()}
        self._sender = Sender(fleet, texts, replicas)
        self._trips = {name: REDIS_ROUND_TRIPS.labels(name) for name in (*SCRIPTS, "pipeline", "call")}
        self._turns = count()

    async def prepare(self) -> None:
        """Load the scripts; a server that lost them later, or comes later, gets them when it says so."""
        with Answering():
            for node in self._fleet.primaries():
                await self._sender.load(node)

    async def run(self, name: str, keys: Sequence[str], args: Sequence[Any], writes: bool = True) -> Any:
        """Run one script: one atomic step and one round trip."""
        self._trips[name].inc()
        with self._span("EVALSHA", name):
            return (await self._answers([("EVALSHA", self._shas[name], len(keys), *keys, *args)], writes))[0]

    @property
    def is_one(self) -> bool:
        """Tell whether all keys are on one server, so that a script may use any of them together."""
        return self._fleet.holds_all

    async def run_many(
        self, name: str, calls: Sequence[tuple[Sequence[str], Sequence[Any]]], writes: bool = True
    ) -> list[Any]:
        """Run one script for several sets of keys in one round trip; each is a step of its own."""
        sha = self._shas[name]
        return await self._sent([("EVALSHA", sha, len(k), *k, *a) for k, a in calls], writes, name)

    async def pipeline(self, *commands: Command, writes: bool = False) -> list[Any]:
        """Send several commands in one round trip; they need not share a slot, and are not one step."""
        return await self._sent(commands, writes)

    async def _sent(self, commands: Sequence[Command], writes: bool, script: str | None = None) -> list[Any]:
        """Send several commands in one round trip, of one script or of any kind."""
        if not commands:
            return []
        self._trips["pipeline"].inc()
        with self._span("PIPELINE", script, len(commands)):
            return await self._answers(commands, writes)

    async def call(self, *command: Any, writes: bool = False) -> Any:
        """Send one command."""
        self._trips["call"].inc()
        with self._span(command[0]):
            return (await self._answers([command], writes))[0]

    async def everywhere(self, *command: Any) -> list[Any]:
        """Send one command to every server that takes writes; the answers and refusals."""
        self._trips["call"].inc()
        asked = [node.told(*command) for node in self._fleet.primaries()]
        return await asyncio.gather(*asked, return_exceptions=True)

    async def confirm(self, context_key: str) -> None:
        """Return when replicas have what a customer's context was when this was called, where they must have it."""
        if self._sender.confirms:
            await self.run("touch", [context_key], [])

    async def confirm_expiring(self, key: str, lives: str | int) -> None:
        """Return when replicas have what a key with an end was, where they must have it; it lives so long from now."""
        if self._sender.confirms:
            await self.call("PEXPIRE", key, lives, writes=True)

    def _span(self, operation: str, script: str | None = None, size: int = 1) -> AbstractContextManager[object]:
        """Return what tells of a call, where spans are made."""
        return _UNTOLD if self._tracing is None else self._tracing.redis(operation, script, size)

    async def scan(self, pattern: str, at_once: int) -> AsyncIterator[list[bytes]]:
        """Yield the names of all keys of a pattern, some at a time; one that moves meanwhile may come twice.

        `Unavailable` where keys have moved between servers meanwhile: some might have been missed.
        """
        version = self._fleet.version
        for node in self._fleet.primaries():
            cursor = b"0"
            while True:
                with Answering():
                    cursor, names = await node.told("SCAN", cursor, "MATCH", pattern, "COUNT", at_once)
                yield names
                if cursor == b"0":
                    break
        if self._fleet.version != version:
            raise Unavailable("keys have moved from one Redis server to another meanwhile: begin again")

    def hints(self) -> PubSub:
        """Return a subscription of its own; what is published anywhere is heard at each server of a cluster."""
        nodes = self._fleet.primaries()
        return nodes[next(self._turns) % len(nodes)].hints()

    def stands(self, subscription: PubSub) -> bool:
        """Tell whether a subscription is still at one of the servers that take writes."""
        return any(node.serves(subscription) for node in self._fleet.primaries())

    async def _answers(self, commands: Sequence[Command], writes: bool) -> list[Any]:
        """Send commands; the first refusal is raised, and where others were done before it, that is said."""
        with Answering(writes):
            answers = await self._sender.answers(commands, writes)
            refusal = next((answer for answer in answers if isinstance(answer, BaseException)), None)
            if refusal is None:
                return answers
            if writes and any(not isinstance(answer, BaseException) for answer in answers):
                refusal = _in_part(refusal)
            raise refusal


def _in_part(refusal: BaseException) -> BaseException:
    """Return what is raised where a part of several writes was done."""
    if isinstance(refusal, _NOT_NOW) or _never_reached(refusal):
        return OutcomeUnknown(f"Redis has done a part of it: {refusal}")
    return refusal


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
    confirmation = ("WAIT", replicas, round(socket_timeout * 500))
    fleet = _fleet(Address.of(url), Patience(connections, socket_timeout, connect_timeout, confirmation))
    server = Server(fleet, Keys(partitions), replicas, tracing)
    try:
        await fleet.open()
        await server.prepare()
        yield server
    finally:
        await fleet.aclose()


def _fleet(address: Address, patience: Patience) -> Fleet:
    """Return the servers that an address stands for."""
    if address.kind == "sentinel":
        return Watched(address, patience)
    if address.kind == "cluster":
        return Clustered(address, patience)
    return Alone(address, patience)
