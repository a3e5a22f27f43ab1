"""Audit trails in Redis: what was noted and is to be chained, and, where there is no archive, the chain itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from ctxhub.model.audit import FIRST, Anchor, Head, Linked
from ctxhub.store.batches import batch_of, entries_in
from ctxhub.store.indexes import millis
from ctxhub.store.redis import Server

READ_AT_ONCE = 10
SCANNED_AT_ONCE = 1000
MOST_WHEREABOUTS = 128


class Noted(NamedTuple):
    """Entries that were noted in one write, and where they stand."""

    noted_id: str
    texts: list[bytes]


class Standing(NamedTuple):
    """How a chain stands: its end, how far what was noted is chained, and the sealed start of what is kept."""

    head: Head = Head()
    chained: str = "0-0"
    start: Anchor | None = None


class Trail(Protocol):
    """A place where chains are kept."""

    async def tenants(self) -> set[str]:
        """Return the tenants whose chains are kept here."""

    async def standing(self, tenant: str) -> Standing:
        """Return how a tenant's chain stands."""

    async def append(self, tenant: str, before: Standing, linked: Sequence[Linked], chained: str) -> bool:
        """Put entries at the end; False where somebody else did meanwhile."""

    def entries(self, tenant: str, first: datetime | None) -> AsyncIterator[list[Linked]]:
        """Yield the entries chained since a time, in order, some at a time; `Unreadable` where some are damaged."""

    async def last_before(self, tenant: str, at: datetime) -> tuple[str, Linked] | None:
        """Return the last entry chained before a time, with its place; None where there is none."""

    async def let_go(self, tenant: str, place: str, start: Anchor) -> None:
        """Let go of the oldest part, up to the entry at a place; the sealed start stands for it."""


class Notes:
    """What was noted and is not chained yet, of all tenants."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._known = dict[str, str]()

    async def put(self, by_tenant: dict[str, list[bytes]]) -> None:
        """Note entries, in one round trip."""
        commands: list[tuple[Any, ...]] = []
        streams = {tenant: self._known.get(tenant) or self._server.keys.audit(tenant).new for tenant in by_tenant}
        for tenant, texts in by_tenant.items():
            if tenant not in self._known:
                commands.append(("SADD", self._server.keys.audited, tenant))
            commands.append(("XADD", streams[tenant], "*", b"e", b"\n".join(texts)))
        await self._server.pipeline(*commands, writes=True)
        self._known |= streams

    def stream(self, tenant: str) -> str | None:
        """Return where scripts may note, of a tenant of whom it is known that anything is noted; None in a cluster."""
        return self._known.get(tenant) if self._server.is_one else None

    async def tenants(self) -> list[str]:
        """Return the tenants of whom anything was ever noted."""
        return sorted(name.decode() for name in await self._server.call("SMEMBERS", self._server.keys.audited))

    async def waiting(self) -> list[str]:
        """Return the tenants of whom something was noted that is to be chained."""
        tenants = await self.tenants()
        lengths = await self._server.pipeline(*[("XLEN", self._server.keys.audit(t).new) for t in tenants])
        return [tenant for tenant, length in zip(tenants, lengths, strict=True) if length]

    async def after(self, tenant: str, noted_id: str, most: int) -> list[Noted]:
        """Return what was noted after an entry, oldest first."""
        found = await self._server.call(
            "XRANGE", self._server.keys.audit(tenant).new, f"({noted_id}", "+", "COUNT", most
        )
        return [Noted(entry_id.decode(), fields[1].split(b"\n")) for entry_id, fields in found]

    async def drop(self, tenant: str, upto: str) -> None:
        """Forget what was noted up to an entry: it is chained."""
        new = self._server.keys.audit(tenant).new
        await self._server.pipeline(("XTRIM", new, "MINID", upto), ("XDEL", new, upto), writes=True)


class Disclosed:
    """What each tenant's file said of disclosure when the trail told of that last."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def of(self, tenant: str) -> bytes | None:
        """Return what was noted last; None where nothing was yet."""
        found: bytes | None = await self._server.call("GET", self._server.keys.disclosed(tenant))
        return found

    async def note(self, tenant: str, before: bytes | None, present: bytes, text: bytes) -> bool:
        """Note what is disclosed now, and the entry that tells of it, if any; False where another did meanwhile."""
        keys = self._server.keys
        if text:
            await self._server.call("SADD", keys.audited, tenant, writes=True)
        args = [before or b"", present, text]
        return bool(await self._server.run("disclose", [keys.disclosed(tenant), keys.audit(tenant).new], args))


class KeptBeside(Protocol):
    """A place for what stands beside lines of a trail, by the customer's pseudonym and the line's seal."""

    async def put(self, tenant: str, customer: str, seal: str, kept: bytes, lives: timedelta) -> None:
        """Keep one, and with it all of the customer's for so long."""

    async def of(self, tenant: str, wanted: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """Return what is kept of some customers under seals; None for what is gone."""

    async def drop(self, tenant: str, customer: str) -> int:
        """Drop all of a customer's; return how many."""


class KeptReasons:
    """Why somebody did what lines of a trail tell, by the customer's pseudonym and the line's seal."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def put(self, tenant: str, customer: str, seal: str, kept: bytes, lives: timedelta) -> None:
        """Keep one, and with it all of the customer's for so long."""
        key = self._server.keys.lookup(tenant, "reasons", customer)
        await self._server.pipeline(
            ("HSET", key, seal, kept), ("PEXPIRE", key, round(lives.total_seconds() * 1000)), writes=True
        )  # fmt: skip

    async def of(self, tenant: str, wanted: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """Return what is kept of some customers under seals; None for what is gone."""
        keys = self._server.keys
        asked = [("HGET", keys.lookup(tenant, "reasons", customer), seal) for customer, seal in wanted]
        return list(await self._server.pipeline(*asked)) if asked else []

    async def drop(self, tenant: str, customer: str) -> int:
        """Drop all of a customer's; return how many."""
        key = self._server.keys.lookup(tenant, "reasons", customer)
        count, _ = await self._server.pipeline(("HLEN", key), ("DEL", key), writes=True)
        return int(count)


class KeptWhereabouts:
    """From where customers called, by the customer's pseudonym and the line's seal: of each the newest."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def put(self, tenant: str, customer: str, seal: str, kept: bytes, lives: timedelta) -> None:
        """Keep one, and with it all of the customer's for so long."""
        key = self._key(tenant, customer)
        await self._server.pipeline(
            ("LPUSH", key, seal.encode() + kept), ("LTRIM", key, 0, MOST_WHEREABOUTS - 1),
            ("PEXPIRE", key, round(lives.total_seconds() * 1000)), writes=True,
        )  # fmt: skip

    async def of(self, tenant: str, wanted: Sequence[tuple[str, str]]) -> list[bytes | None]:
        """Return what is kept of some customers under seals; None for what is gone."""
        customers = list(dict.fromkeys(customer for customer, _ in wanted))
        asked = [("LRANGE", self._key(tenant, customer), 0, -1) for customer in customers]
        found = dict(zip(customers, await self._server.pipeline(*asked) if asked else [], strict=True))
        return [_under(seal.encode(), found[customer]) for customer, seal in wanted]

    async def drop(self, tenant: str, customer: str) -> int:
        """Drop all of a customer's; return how many."""
        key = self._key(tenant, customer)
        count, _ = await self._server.pipeline(("LLEN", key), ("DEL", key), writes=True)
        return int(count)

    def _key(self, tenant: str, customer: str) -> str:
        """Return where a customer's are kept."""
        return self._server.keys.lookup(tenant, "whereabouts", customer)


def _under(seal: bytes, kept: list[bytes]) -> bytes | None:
    """Return what is kept under a seal."""
    return next((each[len(seal) :] for each in kept if each.startswith(seal)), None)


class RedisTrail:
    """Chains kept in Redis, each in a stream of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def tenants(self) -> set[str]:
        """Return the tenants whose chains are kept here; every key is looked through."""
        keys, found = self._server.keys, set[str]()
        async for names in self._server.scan(keys.trails_pattern, SCANNED_AT_ONCE):
            found |= {tenant for name in names if (tenant := keys.whose_trail(name.decode()))}
        return found

    async def standing(self, tenant: str) -> Standing:
        """Return how a tenant's chain stands."""
        head = self._server.keys.audit(tenant).head
        found = await self._server.call("HMGET", head, "sequence", "link", "chained", "start")
        sequence, link, chained, start = found
        if sequence is None:
            return Standing(Head(0, FIRST), "0-0", None)
        kept = Anchor.model_validate_json(start) if start else None
        return Standing(Head(int(sequence), link.decode()), chained.decode(), kept)

    async def append(self, tenant: str, before: Standing, linked: Sequence[Linked], chained: str) -> bool:
        """Put entries at the end; False where somebody else did meanwhile."""
        keys = self._server.keys.audit(tenant)
        args = [before.head.sequence, linked[-1].sequence, linked[-1].link, chained, batch_of(linked)]
        return bool(await self._server.run("chain", [keys.head, keys.trail, keys.new], args))

    async def entries(self, tenant: str, first: datetime | None) -> AsyncIterator[list[Linked]]:
        """Yield the entries chained since a time, in order, some at a time; each is chained after it was noted."""
        trail, after = self._server.keys.audit(tenant).trail, str(millis(first)) if first else "-"
        while True:
            found = await self._server.call("XRANGE", trail, after, "+", "COUNT", READ_AT_ONCE)
            if not found:
                return
            for _, (_, batch) in found:
                yield entries_in(batch)
            after = f"({found[-1][0].decode()}"

    async def last_before(self, tenant: str, at: datetime) -> tuple[str, Linked] | None:
        """Return the last entry chained before a time, with its place; None where there is none."""
        trail = self._server.keys.audit(tenant).trail
        found = await self._server.call("XREVRANGE", trail, str(millis(at) - 1), "-", "COUNT", 1)
        return (found[0][0].decode(), entries_in(found[0][1][1])[-1]) if found else None

    async def let_go(self, tenant: str, place: str, start: Anchor) -> None:
        """Let go of the oldest part, up to the entry at a place; the sealed start stands for it."""
        keys = self._server.keys.audit(tenant)
        await self._server.run("let_go_trail", [keys.head, keys.trail], [place, start.model_dump_json()])
