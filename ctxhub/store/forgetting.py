"""Customers as they are erased: found though nothing can be opened, shut to everybody, then gone in one step."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from ctxhub.model.context import Context
from ctxhub.store.codec import hollow_context
from ctxhub.store.contexts import Contexts, Who
from ctxhub.store.feed import FEED_LIVES
from ctxhub.store.indexes import entries, millis
from ctxhub.store.redis import Server


class Found(NamedTuple):
    """A customer to be erased: what is known without opening anything sealed, and whether it was begun before."""

    context: Context
    version: int
    document_version: int
    born: str
    has_begun: bool


class Erasing:
    """Takes a customer out of Redis, wherever it stands."""

    def __init__(self, server: Server, contexts: Contexts) -> None:
        self._server = server
        self._contexts = contexts

    async def found(self, who: Who) -> Found | None:
        """Return a customer as far as it is needed to erase it; None where nobody is."""
        keys = self._contexts.keys(who)
        fields = ("version", "document_version", "born", "state")
        kept = await self._server.pipeline(("GET", keys.document), ("HMGET", keys.context, *fields))
        document, (version, document_version, born, state) = kept
        if document is None or state is None:
            return None
        known = (int(version), int(document_version), (born or b"").decode())
        return Found(hollow_context(document), *known, state == b"forgetting")

    async def begin(self, who: Who, now: datetime) -> None:
        """Let nobody find a customer any more, or write to it; whoever dies over it wakes another to go on."""
        keys = self._contexts.keys(who)
        await self._server.run("doom", [keys.context, keys.due], [secrets.token_hex(6), keys.member, millis(now)])
        self._contexts.drop(who)

    async def operations(self, who: Who) -> list[str]:
        """Return the digests of Idempotency-Keys whose records stand at a customer."""
        found = await self._server.call("ZRANGE", self._contexts.keys(who).operations, 0, -1)
        return [digest.decode() for digest in found]

    async def erase(self, who: Who, context: Context, operations: Sequence[str]) -> int:
        """Delete every key of a customer in one step, and let every process drop what it holds; return how many."""
        keys = self._contexts.keys(who)
        own = [keys.operations, keys.document, keys.timeline, keys.events, keys.saved, *self._server.keys.coming(*who)]
        own += [self._server.keys.operation(*who, digest) for digest in operations]
        names, listed = [keys.context, keys.due, keys.leases, *own], entries(context)
        args: list[Any] = [keys.member, keys.hints, len(own), len(listed)]
        for place, member in listed:
            names.append(self._server.keys.list_part(keys.partition, who.tenant, place))
            args += [len(names), member]
        return int(await self._server.run("erase", names, args))

    async def leave_nothing(self, who: Who) -> None:
        """Delete what tells that somebody was there whose time is over."""
        keys = self._contexts.keys(who)
        if await self._server.call("EXISTS", keys.document, keys.context) != 1:
            return
        own = (keys.context, keys.timeline, keys.events, keys.saved)
        records = [self._server.keys.operation(*who, digest) for digest in await self.operations(who)]
        await self._server.pipeline(("DEL", *own, keys.operations, *records), writes=True)

    async def leave_feeds(self, who: Who, feeds: Sequence[str]) -> int:
        """Take out of feeds whatever notes a customer; return how much it was."""
        calls = [([self._server.keys.feed(who.tenant, feed)], [who.customer_id]) for feed in feeds]
        return sum(await self._server.run_many("leave_feed", calls)) if calls else 0

    async def tell_end(self, who: Who, told: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Tell feeds what ended with a customer: events that stand on no timeline and name nobody."""
        lives = round(FEED_LIVES.total_seconds() * 1000)
        commands: list[tuple[Any, ...]] = []
        for feed, event in told:
            name = self._server.keys.feed(who.tenant, feed)
            commands.append(("XADD", name, "*", "e", orjson.dumps(event)))
            commands.append(("PEXPIRE", name, lives))
            commands.append(("PUBLISH", self._server.keys.feed_hints(who.tenant, feed), f"{name}\n"))
        await self._server.pipeline(*commands, writes=True)
