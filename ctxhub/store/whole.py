"""All that stands in Redis, as it stands: read for an export, and put back, whatever the number of partitions."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, NamedTuple

from ctxhub.model.context import Context
from ctxhub.store.contexts import Who
from ctxhub.store.indexes import entries
from ctxhub.store.keys import CustomerKeys
from ctxhub.store.redis import Server

_AT_ONCE = 1000
_COMING_LIVES = 3600
_CUSTOMER = re.compile(r"ctxhub:\{(\d+)\}:([a-z0-9-]+):([0-9A-Za-z._@-]+):context")
_OPERATION = re.compile(r"ctxhub:\{\d+\}:([a-z0-9-]+):([0-9A-Za-z._@-]+):operation:([0-9a-f]+)")
_LOOKUP = re.compile(r"ctxhub:\{\d+\}:([a-z0-9-]+):(external|ref|start|tries|identifier):([0-9a-f]+)")
_HANDOFF = re.compile(r"ctxhub:\{([^}]*)\}:(handoff|token):(.+)")
_NUMBERS = re.compile(r"ctxhub:\{\d+\}:([a-z0-9-]+):numbers:(\d{4}-\d\d-\d\d|total)")
_FEED = re.compile(r"ctxhub:\{\d+\}:([a-z0-9-]+):feed:((?:queue|channel):.+)", re.DOTALL)


class Found(NamedTuple):
    """A key by what it is: whose, and its name within its kind."""

    kind: Literal["customer", "operation", "lookup", "handoff", "token", "numbers", "feed"]
    key: str
    tenant: str
    name: tuple[str, ...]


class Standing(NamedTuple):
    """A customer as it stands at one instant; times are in milliseconds of the server's clock."""

    who: Who
    head: dict[str, str]
    document: bytes | None
    known: dict[bytes, str]
    saved: list[str]
    due: float | None
    lease: float | None
    until: int | None

    @property
    def version(self) -> int:
        """Its version."""
        return int(self.head["version"])

    @property
    def base(self) -> int:
        """How many versions stand before the first entry of its timeline in Redis."""
        return int(self.head.get("base", "0"))


class Kept(NamedTuple):
    """A plain key's content, and when Redis lets it go."""

    found: Found
    content: Any
    until: int | None


class Taken(NamedTuple):
    """What putting a customer back came to: done, or who is there, or how many entries had come."""

    status: Literal["ok", "there", "short"]
    detail: tuple[str, ...]


class Whole:
    """Reads everything, and puts it back."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def every_key(self) -> AsyncIterator[list[Found]]:
        """Yield what stands there, some at a time; what moves meanwhile may come twice."""
        async for names in self._server.scan("ctxhub:{*", _AT_ONCE):
            yield [found for found in map(_named, names) if found is not None]

    async def customers(self, whos: Sequence[Who]) -> list[Standing]:
        """Return how customers stand; one who is not there is left out."""
        every = [self._server.keys.customer(*who) for who in whos]
        loads = [([k.context, k.document, k.timeline, k.events, k.context], ["", 0, "0"]) for k in every]
        heads = await self._server.run_many("load", loads, writes=False)
        beside = await self._server.pipeline(*[call for keys in every for call in _beside(keys)])
        found = (_standing(who, heads[n], beside[n * 5 : n * 5 + 5]) for n, who in enumerate(whos))
        return [standing for standing in found if standing is not None]

    async def plain(self, found: Sequence[Found]) -> list[Kept]:
        """Return what plain keys hold; one that has gone meanwhile is left out."""
        calls = [call for one in found for call in (_reading(one), ("PEXPIRETIME", one.key))]
        answers = await self._server.pipeline(*calls)
        pairs = zip(found, answers[::2], answers[1::2], strict=True)
        return [Kept(one, _content(one, held), until if until > 0 else None) for one, held, until in pairs if held]

    async def begin(self, who: Who) -> None:
        """Forget what an import that was killed left waiting of a customer."""
        await self._server.call("DEL", *self._server.keys.coming(*who), writes=True)

    async def add(self, who: Who, entries_: Sequence[bytes], known: dict[bytes, str]) -> None:
        """Let a piece of a customer's timeline, and what is known of event ids, wait to be put back."""
        coming, coming_events = self._server.keys.coming(*who)
        commands: list[tuple[Any, ...]] = []
        if entries_:
            commands += [("RPUSH", coming, *entries_), ("EXPIRE", coming, _COMING_LIVES)]
        if known:
            pairs = [part for pair in known.items() for part in pair]
            commands += [("HSET", coming_events, *pairs), ("EXPIRE", coming_events, _COMING_LIVES)]
        await self._server.pipeline(*commands, writes=True)

    async def put_back(self, standing: Standing, context: Context | None, document: bytes) -> Taken:
        """Put a customer back in one step, its timeline added before; nothing is done where somebody is there."""
        keys = self._server.keys.customer(*standing.who)
        names = [keys.context, keys.document, keys.timeline, keys.events, keys.saved, keys.due, keys.leases,
                 *self._server.keys.coming(*standing.who)]  # fmt: skip
        times = [_spelled(standing.until), _spelled(standing.due), _spelled(standing.lease)]
        args: list[Any] = [keys.member, document, *times, standing.version - standing.base, len(standing.head)]
        args += [part for pair in standing.head.items() for part in pair]
        args += [len(standing.saved), *standing.saved]
        listed = entries(context) if context is not None else {}
        args.append(len(listed))
        for (place, member), score in listed.items():
            names.append(self._server.keys.list_part(keys.partition, standing.who.tenant, place))
            args += [len(names), member, repr(score)]
        status, *detail = await self._server.run("put_back", names, args)
        return Taken(status.decode(), tuple(_text(part) for part in detail))

    async def restore(self, kept: Sequence[Kept]) -> None:
        """Put plain keys back where there are none; whatever is there stays as it is."""
        there = await self._server.pipeline(*[("EXISTS", self._place(one.found)) for one in kept])
        absent = [one for one, is_there in zip(kept, there, strict=True) if not (is_there and one.found.kind == "feed")]
        await self._server.pipeline(*[call for one in absent for call in self._restoring(one)], writes=True)

    def _restoring(self, kept: Kept) -> list[tuple[Any, ...]]:
        """Spell how one plain key is put back."""
        key = self._place(kept.found)
        if isinstance(kept.content, dict):
            calls: list[tuple[Any, ...]] = [("HSETNX", key, *pair) for pair in kept.content.items()]
            return calls + ([("PEXPIREAT", key, kept.until)] if kept.until else [])
        if isinstance(kept.content, list):
            calls = [("XADD", key, entry, "c", customer, "v", version) for entry, customer, version in kept.content]
            return calls + ([("PEXPIREAT", key, kept.until)] if kept.until else [])
        put = ("SET", key, kept.content, "NX", *(("PXAT", kept.until) if kept.until else ()))
        return [put, *self._listing(kept)]

    def _listing(self, kept: Kept) -> list[tuple[Any, ...]]:
        """Spell how an operation's record is listed at its customer, who takes it along when erased."""
        if kept.found.kind != "operation" or not kept.until:
            return []
        name = self._server.keys.customer(kept.found.tenant, kept.found.name[0]).operations
        return [("ZADD", name, kept.until, kept.found.name[1]), ("PEXPIREAT", name, kept.until)]

    def _place(self, found: Found) -> str:
        """Spell the key under which something stands with this number of partitions."""
        keys, (first, *rest) = self._server.keys, found.name
        if found.kind == "operation":
            return keys.operation(found.tenant, first, rest[0])
        if found.kind == "lookup":
            return keys.lookup(found.tenant, first, rest[0])
        if found.kind == "numbers":
            return keys.list_part(keys.partition_of(f"{found.tenant}\n{first}"), found.tenant, f"numbers:{first}")
        if found.kind == "feed":
            return keys.feed(found.tenant, first)
        return keys.of_partition(first, f"{found.kind}:{rest[0]}")

    async def holders(self, now_ms: int) -> int:
        """Return how many partitions a hub is relaying now."""
        names = [self._server.keys.of_partition(p, "relay") for p in self._server.keys.every_partition()]
        found = await self._server.pipeline(*[("HGET", name, "until") for name in names])
        return sum(until is not None and int(until) > now_ms for until in found)

    async def written_last(self) -> list[str]:
        """Return of each partition the id of the last write that its outbox noted, also one that is trimmed."""
        names = [self._server.keys.of_partition(p, "outbox") for p in self._server.keys.every_partition()]
        there = await self._server.pipeline(*[("EXISTS", name) for name in names])
        streams = [name for name, is_there in zip(names, there, strict=True) if is_there]
        found = await self._server.pipeline(*[("XINFO", "STREAM", name) for name in streams])
        return [_text(_fields(info)[b"last-generated-id"]) for info in found]

    async def undrained(self, consumers: Sequence[str]) -> int:
        """Return how many partitions have writes that not every consumer has been told of."""
        keys = self._server.keys
        places = keys.every_partition()
        newest = await self._server.pipeline(
            *[("XREVRANGE", keys.of_partition(p, "outbox"), "+", "-", "COUNT", 1) for p in places]
        )
        cursors = await self._server.pipeline(*[("HMGET", keys.of_partition(p, "cursors"), *consumers) for p in places])
        return sum(_is_behind(entry, held) for entry, held in zip(newest, cursors, strict=True))

    async def founding(self) -> dict[str, str]:
        """Return what was fixed at the first start."""
        found = _fields(await self._server.call("HGETALL", self._server.keys.founding))
        return {_text(name): _text(value) for name, value in found.items()}

    async def found_with(self, name: str, value: str) -> str:
        """Fix something at the first start; return how it stands."""
        await self._server.call("HSETNX", self._server.keys.founding, name, value, writes=True)
        return _text(await self._server.call("HGET", self._server.keys.founding, name))


def added_up(parts: Sequence[Kept]) -> Kept:
    """Return the counters of one tenant and day, added up over the partitions."""
    totals: dict[bytes, int] = {}
    for part in parts:
        for counter, amount in part.content.items():
            totals[counter] = totals.get(counter, 0) + int(amount)
    ends = [part.until for part in parts if part.until is not None]
    return Kept(parts[0].found, {name: str(total).encode() for name, total in totals.items()}, max(ends, default=None))


def _named(name: bytes) -> Found | None:
    """Return what a key is, None where it is not carried: what is rebuilt, or lives for moments only."""
    key = name.decode()
    if match := _CUSTOMER.fullmatch(key):
        return Found("customer", key, match[2], (match[3],))
    if match := _OPERATION.fullmatch(key):
        return Found("operation", key, match[1], (match[2], match[3]))
    if match := _LOOKUP.fullmatch(key):
        return Found("lookup", key, match[1], (match[2], match[3]))
    if match := _HANDOFF.fullmatch(key):
        return Found(match[2], key, "", (match[1], match[3]))  # type: ignore[arg-type]
    if match := _NUMBERS.fullmatch(key):
        return Found("numbers", key, match[1], (match[2],))
    if match := _FEED.fullmatch(key):
        return Found("feed", key, match[1], (match[2],))
    return None


def _reading(found: Found) -> tuple[Any, ...]:
    """Spell how a plain key is read."""
    if found.kind == "numbers" or found.name[0] == "identifier":
        return ("HGETALL", found.key)
    return ("XRANGE", found.key, "-", "+") if found.kind == "feed" else ("GET", found.key)


def _content(found: Found, held: Any) -> Any:
    """Return what a plain key holds, a hash as pairs."""
    return _fields(held) if found.kind == "numbers" or found.name[0] == "identifier" else held


def _beside(keys: CustomerKeys) -> list[tuple[Any, ...]]:
    """Spell what is asked about one customer beside its context."""
    return [
        ("HGETALL", keys.events),
        ("SMEMBERS", keys.saved),
        ("ZSCORE", keys.due, keys.member),
        ("ZSCORE", keys.leases, keys.member),
        ("PEXPIRETIME", keys.document),
    ]


def _standing(who: Who, loaded: Sequence[Any], beside: Sequence[Any]) -> Standing | None:
    """Read how one customer stands; its head and document are of one instant."""
    flat, document, *_ = loaded
    known, saved, due, lease, until = beside
    head = {_text(name): _text(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
    if not head or (document is None and head["state"] == "live"):  # nobody, or one whose time is over
        return None
    digests = {name: _text(text) for name, text in _fields(known).items()}
    ends = until if until > 0 else None
    return Standing(who, head, document, digests, sorted(map(_text, saved)), _score(due), _score(lease), ends)


def _score(score: Any) -> float | None:
    """Read a score."""
    return None if score is None else float(score)


def _is_behind(entry: Sequence[Any], cursors: Sequence[bytes | None]) -> bool:
    """Tell whether an outbox has an entry that some consumer has not read."""
    return bool(entry) and any(cursor is None or _place_of(cursor) < _place_of(entry[0][0]) for cursor in cursors)


def _place_of(entry_id: bytes) -> tuple[int, int]:
    """Read an entry's id as numbers."""
    first, _, second = entry_id.partition(b"-")
    return int(first), int(second)


def _fields(found: Any) -> dict[Any, Any]:
    """Read pairs, in either shape that the client gives."""
    return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))


def _text(value: Any) -> str:
    """Return a value as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _spelled(at: float | None) -> str:
    """Spell a time in milliseconds."""
    return "" if at is None else str(round(at))
