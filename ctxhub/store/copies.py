"""Customers as they go to the archive and come back: copied at one instant, released, restored, each in one step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from ctxhub.model.context import Context
from ctxhub.store.codec import unpacked
from ctxhub.store.contexts import Contexts, Who
from ctxhub.store.indexes import entries, millis
from ctxhub.store.redis import Server

MOST_ENTRIES = 100_000
SCANNED_AT_ONCE = 1000


class Copied(NamedTuple):
    """A customer as it stood at one instant, as far as it was asked for; without fields there is none."""

    who: Who
    fields: dict[str, bytes]
    document: bytes | None
    first: int
    entries: list[bytes]

    @property
    def version(self) -> int:
        """Its version."""
        return int(self.fields["version"])

    @property
    def base(self) -> int:
        """How many of its versions Redis does not have."""
        return int(self.fields.get("base", b"0"))

    def text(self, field: str) -> str:
        """One field of its context's hash; empty where it is missing."""
        return self.fields.get(field, b"").decode()


class Restored(NamedTuple):
    """What is put back of a customer."""

    fields: Mapping[str, str]
    document: bytes
    context: Context
    entries: Sequence[bytes]
    events: Sequence[tuple[bytes, str]]


class Copies:
    """Moves whole customers between Redis and wherever else they are kept."""

    def __init__(self, server: Server, contexts: Contexts) -> None:
        self._server = server
        self._contexts = contexts

    async def copied(self, asked: Sequence[tuple[Who, int, str]], most: int = MOST_ENTRIES) -> list[Copied]:
        """Copy customers, given with the version and the commit that are known of them already."""
        calls = []
        for who, version, commit in asked:
            keys = self._contexts.keys(who)
            calls.append(([keys.context, keys.document, keys.timeline], [version, commit, most]))
        found = await self._server.run_many("copy", calls, writes=False)
        return [_copied(who, *answer) for (who, _, _), answer in zip(asked, found, strict=True)]

    async def prints(self, asked: Sequence[tuple[Who, Sequence[bytes]]]) -> list[list[str]]:
        """Return the fingerprints of customers' events, by the digests of their ids."""
        commands = [("HMGET", self._contexts.keys(who).events, *digests) for who, digests in asked if digests]
        found = iter(await self._server.pipeline(*commands))
        return [[_print(text) for text in next(found)] if digests else [] for _, digests in asked]

    async def blank(self, who: Who, changes: Sequence[tuple[int, bytes, bytes]]) -> int:
        """Change entries of a timeline, given by version as before and after, where they are still so; how many."""
        keys = self._contexts.keys(who)
        calls = [([keys.context, keys.timeline], change) for change in changes]
        return sum(await self._server.run_many("blank", calls)) if calls else 0

    async def release(self, asked: Sequence[tuple[Who, int, str]]) -> list[bool]:
        """Forget customers that still are at these versions and commits; tell which were forgotten."""
        calls = []
        for who, version, commit in asked:
            keys = self._contexts.keys(who)
            names = [keys.context, keys.document, keys.timeline, keys.events, keys.saved, keys.leases]
            calls.append((names, [version, commit, keys.member]))
            self._contexts.drop(who)
        return [bool(done) for done in await self._server.run_many("release", calls)] if calls else []

    async def give_way(self, who: Who) -> None:
        """Forget a customer whatever it holds, and where it stands in lists."""
        loaded = await self._contexts.peek(who)
        if loaded.context is not None:
            await self._contexts.forget(who, loaded.context)

    async def restore(self, who: Who, restored: Restored, lease_ends: datetime, due: datetime | None) -> bool:
        """Put a customer back; False if somebody was faster, or it was erased."""
        keys = self._contexts.keys(who)
        names = [keys.context, keys.document, keys.timeline, keys.events, keys.leases, keys.due, keys.erased]
        args: list[Any] = [keys.member, restored.document, millis(lease_ends), millis(due) if due else ""]
        args += [len(restored.fields), *(part for pair in restored.fields.items() for part in pair)]
        args += [len(restored.entries), *restored.entries]
        args += [len(restored.events), *(part for pair in restored.events for part in pair)]
        standing = entries(restored.context)
        args.append(len(standing))
        for (place, member), score in standing.items():
            names.append(self._server.keys.list_part(keys.partition, who.tenant, place))
            args += [len(names), member, repr(score)]
        return bool(await self._server.run("restore", names, args))

    async def over(self, partitions: Sequence[str], now: datetime, most: int) -> list[Who]:
        """Return customers whose leases are over, those first that have been longest."""
        commands = [
            ("ZRANGE", self._server.keys.of_partition(p, "leases"), "-inf", millis(now), "BYSCORE", "LIMIT", 0, most)
            for p in partitions
        ]
        found = await self._server.pipeline(*commands)
        return [Who(*member.decode().split("\n", 1)) for members in found for member in members]

    async def keep_on(self, leases: Sequence[tuple[Who, datetime]]) -> None:
        """Note until when customers are kept, never earlier than is noted; those who are not here have no lease."""
        calls = []
        for who, ends in leases:
            keys = self._contexts.keys(who)
            calls.append(([keys.context, keys.leases], [keys.member, millis(ends)]))
        if calls:
            await self._server.run_many("keep_on", calls)

    async def take_stock(self, whos: Sequence[Who], now: datetime) -> None:
        """Let customers in Redis have a lease and no other end, as all have from the first day of an archive on."""
        await self._server.pipeline(*[command for who in whos for command in self._stock(who, now)], writes=True)

    async def everybody(self) -> AsyncIterator[list[Who]]:
        """Go through all who are in Redis, some at a time; one may come twice."""
        async for names in self._server.scan(self._server.keys.contexts_pattern, SCANNED_AT_ONCE):
            yield [Who(*self._server.keys.whose(name.decode())) for name in names]

    async def wake_promised(self, now: datetime) -> None:
        """Let everybody in Redis be due by now to whom something is promised."""
        async for whos in self.everybody():
            kept = await self._server.pipeline(*[("GET", self._contexts.keys(who).document) for who in whos])
            pairs = [(self._contexts.keys(who), document) for who, document in zip(whos, kept, strict=True) if document]
            promised = [keys for keys, document in pairs if orjson.loads(unpacked(document)).get("commitments")]
            due = [("ZADD", keys.due, "LT", millis(now), keys.member) for keys in promised]
            await self._server.pipeline(*due, writes=True)

    def _stock(self, who: Who, now: datetime) -> list[tuple[Any, ...]]:
        """Return what gives one customer a lease and no other end."""
        keys = self._contexts.keys(who)
        names = (keys.context, keys.document, keys.timeline, keys.events)
        leased = ("ZADD", keys.leases, "NX", millis(now), keys.member)
        return [*(("PERSIST", name) for name in names), leased]


def _copied(who: Who, head: Any, document: bytes | None, first: int, found: list[bytes]) -> Copied:
    """Read a copy."""
    fields = {name.decode(): text for name, text in zip(head[::2], head[1::2], strict=True)}
    return Copied(who, fields, document, int(first), found)


def _print(text: bytes | None) -> str:
    """Read the fingerprint of what is known of an event id."""
    return text.decode().partition(":")[2] if text else ""
