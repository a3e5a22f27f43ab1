"""Servers one by one: the connections to each, and the fleet of them that says which one takes a command."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ctxhub.addresses import Address, Place
from ctxhub.store.fuse import Fuse
from ctxhub.store.joined import Command, Joined

NOWHERE = Place("", 0)  # on a socket of this machine


class Patience(NamedTuple):
    """How many connections a server gets, how long each may take, in seconds, and how it waits for replicas."""

    connections: int
    answer: float
    connect: float
    confirmation: Command = ()


class Node:
    """One server: a pool of connections, and lanes over some of them."""

    def __init__(self, url: str, patience: Patience, place: Place = NOWHERE) -> None:
        self.place = place
        self._pool = _pool(url, patience, None)
        self._listening = _pool(url, patience, patience.answer)
        self._client = Redis(connection_pool=self._listening)
        fuse = Fuse()
        waits = 2 * patience.connect, patience.answer
        # One lane, so that as much as can be goes out in one write; nothing queues behind what replicas are waited for.
        self._lane = Joined(self._pool, fuse, *waits)
        self._confirmed = Joined(self._pool, fuse, *waits, patience.confirmation)

    def ask(self, commands: Sequence[Command]) -> list[asyncio.Future[Any]]:
        """Send commands in one write over one connection; each answer, or refusal, comes with its future."""
        return self._lane.ask(commands)

    def ask_confirmed(self, commands: Sequence[Command]) -> tuple[list[asyncio.Future[Any]], asyncio.Future[Any]]:
        """Send commands as `ask` does; the last future says how many replicas have them all."""
        return self._confirmed.ask_confirmed(commands)

    async def told(self, *command: Any) -> Any:
        """Send one command."""
        return await self.ask([command])[0]

    def hints(self) -> PubSub:
        """Return a subscription of its own."""
        return self._client.pubsub()

    def serves(self, subscription: PubSub) -> bool:
        """Tell whether a subscription is one of this server."""
        return subscription.connection_pool is self._listening

    async def aclose(self) -> None:
        """Close the lanes; what was not sent yet fails as such. Whoever listens goes by himself."""
        await self._lane.aclose()
        await self._confirmed.aclose()
        try:
            await self._client.aclose()
            for pool in (self._listening, self._pool):
                await pool.disconnect(inuse_connections=False)
        except (exceptions.RedisError, OSError, TimeoutError, RuntimeError):
            return


def _pool(url: str, patience: Patience, answers: float | None) -> BlockingConnectionPool:
    """Return a pool of connections, each of which waits so many seconds for an answer, or for ever."""
    return BlockingConnectionPool.from_url(
        url,
        max_connections=patience.connections,
        timeout=patience.answer,
        socket_timeout=answers,
        socket_connect_timeout=patience.connect,
        retry=Retry(NoBackoff(), 0),
        retry_on_error=[],
        retry_on_timeout=False,
    )


class Fleet(Protocol):
    """The servers that keep the data, as far as is known now."""

    version: int
    #: Whether one server holds all keys, whichever it is just now.
    holds_all: bool

    @property
    def only(self) -> Node | None:
        """Return the one server where there can be no other, else None."""

    async def open(self) -> None:
        """Find out who is there."""

    def spread(self, commands: Sequence[Command]) -> Iterable[tuple[Node, list[int]]]:
        """Return which server takes which of some commands, by their positions."""

    def primaries(self) -> list[Node]:
        """Return every server that takes writes."""

    def moved(self, refusal: exceptions.AskError, node: Node) -> Node | None:
        """Return the server that one has named instead of itself; None where there can be no other."""

    async def look(self) -> None:
        """Find out soon who is there now, because something went wrong."""

    def look_soon(self) -> None:
        """Have it found out without waiting for it."""

    async def aclose(self) -> None:
        """Close every connection."""


class Alone:
    """The fleet of one server, which has no other."""

    version = 0
    holds_all = True

    def __init__(self, address: Address, patience: Patience) -> None:
        self.only = self._node = Node(address.url, patience)

    async def open(self) -> None:
        """Nothing is to be found out."""

    def spread(self, commands: Sequence[Command]) -> Iterable[tuple[Node, list[int]]]:
        """Return the one server for everything."""
        return ((self._node, list(range(len(commands)))),)

    def primaries(self) -> list[Node]:
        """Return the one server."""
        return [self._node]

    def moved(self, refusal: exceptions.AskError, node: Node) -> Node | None:
        """Return None: there is no other."""
        return None

    async def look(self) -> None:
        """Nothing is to be found out."""

    def look_soon(self) -> None:
        """Nothing is to be found out."""

    async def aclose(self) -> None:
        """Close every connection."""
        await self._node.aclose()
