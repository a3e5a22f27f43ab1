"""Contexts in Redis: load what a decision needs, append what commutes, commit what was decided. One round trip each."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from weakref import WeakValueDictionary

from ctxhub.errors import (
    ContextFull,
    CustomerUnknown,
    EventIdReused,
    Forbidden,
    IdempotencyKeyReused,
    Lapsed,
    Merged,
    Moved,
    NotTheHolder,
    OutcomeUnknown,
    StaleFence,
    Unavailable,
    Unreadable,
)
from ctxhub.lately import Lately
from ctxhub.model.context import Context
from ctxhub.model.event import Event
from ctxhub.model.lapsing import Activities
from ctxhub.store.codec import (
    context_from,
    entry_bytes,
    event_bytes,
    event_digest,
    event_from,
    has_secrets,
    is_sealed,
    is_secret,
    sealed_document,
)
from ctxhub.store.indexes import activities, entries, entry_changes, instant, millis, standing_changes
from ctxhub.store.keys import CustomerKeys
from ctxhub.store.redis import Server
from ctxhub.store.sealing import DataKey, Destroyed, Opener, Sealing

MAX_DOCUMENT = 256 * 1024
OPERATION_LIVES = timedelta(hours=48)
LOOKUP_LIVES = timedelta(days=7)
ERASED_LIVES = timedelta(minutes=2)
LIVE = "live"
_MOVED = "moved:"
_FORGETTING = "forgetting"
_CACHED = 8192
_REPLIES = 1024


class Who(NamedTuple):
    """A customer of a tenant."""

    tenant: str
    customer_id: str


class Operation(NamedTuple):
    """A request with an Idempotency-Key: the digest of its scope, and the fingerprint of what it says."""

    digest: str
    fingerprint: str


class Loaded(NamedTuple):
    """What a decision needs: the context as it stands, and what is known of the events it is about."""

    context: Context | None
    version: int
    document_version: int
    commit: str
    activities: Activities
    recent: list[dict[str, Any]]
    seen: list[tuple[int, str] | None]
    record: str | None
    born: str = ""
    last_at: datetime | None = None
    data_key: str = ""
    has_lapsed: bool = False
    state: str = LIVE


class Heard(NamedTuple):
    """A context, None for one who is not there, and when each of its open interactions was last heard of."""

    context: Context | None
    activities: Activities


class Lease(NamedTuple):
    """Until when Redis keeps a customer; None while work pins it. One that is not `heard` stays as it was."""

    ends: datetime | None
    heard: bool = True


LEFT_ALONE = Lease(None, heard=False)


@dataclass(frozen=True)
class Plan:
    """What a decision wants written: the new context (None: unchanged), its events, and who was heard.

    `anew` are events of the timeline to write over those of their versions; that, and what `proves_version`, holds
    only if nothing at all was written since. What a router decided holds only while its fence stands in the partition.
    """

    context: Context | None
    events: Sequence[tuple[Event, str]] = ()
    heard: dict[str, str] = field(default_factory=dict)
    due: datetime | None = None
    lease: Lease = LEFT_ALONE
    record: str = ""
    lookups: Sequence[tuple[str, str]] = ()
    lists_anew: bool = False
    state: str = LIVE
    proves_version: bool = False
    anew: Sequence[dict[str, Any]] = ()
    router_fence: int | None = None


class Appended(NamedTuple):
    """An event to append: itself, its fingerprint, its fence ('-' where it does not speak), and if it was delivered."""

    event: Event
    fingerprint: str
    fence: str
    delivered: bool
    level: int


class Noting(NamedTuple):
    """How a reading is noted in the same step: in which stream, the line around the version, and which must stand."""

    stream: str
    before: bytes
    after: bytes
    version: int | None


class Outcome(NamedTuple):
    """What an append came to: versions and, of each event, `0` new, `1` seen before, `2` out of turn."""

    version: int
    document_version: int
    flags: str
    versions: list[int]


class _Reply(NamedTuple):
    """What Redis said of a customer when it was last asked for newest events, and what that came to."""

    head: list[bytes]
    entries: list[bytes]
    loaded: Loaded

    @property
    def first(self) -> int:
        """The version of the first of the entries."""
        return self.loaded.version - len(self.entries) + 1

    def event(self, version: int, entry: bytes) -> dict[str, Any] | None:
        """Return the event of a version whose entry is the same still; None where it is not at hand."""
        at = version - self.first
        same = 0 <= at < len(self.entries) and self.entries[at] == entry
        return self.loaded.recent[at] if same else None


class Raced(Exception):
    """Something was written since the version that had to stand."""


class NotOpen(Exception):
    """An event's interaction is not open, so that only a decision can tell what to do with it."""


class Older(Protocol):
    """Has what Redis was allowed to forget."""

    async def bring_back(self, who: Who) -> bool:
        """Bring a customer back into Redis; False where nobody ever was."""

    async def entries(self, who: Who, first: int, last: int) -> list[bytes]:
        """Return entries of a timeline between versions (inclusive), without gaps from the first on."""

    async def data_key(self, who: Who) -> str:
        """Return the data key of a customer as it was kept; empty where there is none."""


class Contexts:
    """The contexts of all customers, each the unit of change; those released come back from what is `older`."""

    def __init__(
        self, server: Server, keep: timedelta, older: Older | None = None, sealing: Sealing | None = None
    ) -> None:
        self._server = server
        self._older = older
        self._sealing = sealing
        self._keep = str(round(keep.total_seconds() * 1000)) if older is None else "0"
        self._parsed = Lately[Who, tuple[str, Context]](_CACHED)
        self._replies = Lately[Who, _Reply](_REPLIES)
        self._openers = Lately[Who, Opener](_CACHED)
        self._turns: WeakValueDictionary[Who, asyncio.Lock] = WeakValueDictionary()

    def keys(self, who: Who) -> CustomerKeys:
        """Return a customer's keys."""
        return self._server.keys.customer(who.tenant, who.customer_id)

    @asynccontextmanager
    async def turn(self, who: Who) -> AsyncIterator[None]:
        """Take turns with whoever else in this process decides about the customer."""
        lock = self._turns.setdefault(who, asyncio.Lock())
        async with lock:
            yield

    async def load(
        self, who: Who, recent: int = 0, event_ids: Sequence[str] = (), operation: Operation | None = None
    ) -> Loaded:
        """Read a customer's context, empty for one who is not there yet; what moved or is gone is refused.

        Of one who moved, what was told or done there before is still recognised.
        """
        loaded = await self.wherever(who, recent, event_ids, operation)
        told_before = bool(event_ids) and None not in loaded.seen
        if not (loaded.state.startswith(_MOVED) and (told_before or loaded.record is not None)):
            must_be_live(who, loaded.state)
        return loaded

    async def wherever(
        self, who: Who, recent: int = 0, event_ids: Sequence[str] = (), operation: Operation | None = None
    ) -> Loaded:
        """Read a customer's context as `load` does, also that of one who moved."""
        loaded = await self.peek(who, recent, event_ids, operation)
        if loaded.context is None and self._older is not None and await self._older.bring_back(who):
            return await self.peek(who, recent, event_ids, operation)
        return loaded

    async def home(self, who: Who, at_hand: bool = False) -> Who:
        """Return the customer that one is now: itself, unless it was merged into another; as far as is `at_hand`."""
        state = (await (self.peek if at_hand else self.wherever)(who)).state
        if not state.startswith(_MOVED):
            return who
        return await self.home(Who(who.tenant, state.removeprefix(_MOVED)), at_hand)

    async def peek(
        self, who: Who, recent: int = 0, event_ids: Sequence[str] = (), operation: Operation | None = None
    ) -> Loaded:
        """Read a customer's context, in whatever state, if it is in Redis; nothing is brought back.

        While Redis says the same of it, what is returned is the same object.
        """
        keys = self.keys(who)
        cached, before = self._parsed.get(who), self._replies.get(who)
        record_key = self._operation_key(who, operation)
        args = [cached[0] if cached else "", recent, "1" if operation else "0", *map(event_digest, event_ids)]
        names = [keys.context, keys.document, keys.timeline, keys.events, record_key]
        flat, kept, newest, seen, record = await self._server.run("load", names, args, writes=False)
        if record is not None or any(seen):
            await self.confirm(who)
        plain = not event_ids and operation is None
        if before is not None and kept is None and plain and flat == before.head and newest == before.entries:
            return before.loaded
        head = dict(zip(flat[::2], flat[1::2], strict=True))
        if not head:
            return Loaded(None, 0, 0, "", {}, [], [None] * len(event_ids), _record(record, operation))
        commit, state = head[b"commit"].decode(), head[b"state"].decode()
        if state == _FORGETTING:
            must_be_live(who, state)
        if kept == b"" or (kept is None and (cached is None or cached[0] != commit)):
            self._parsed.pop(who, None)
            nobody: Loaded = Loaded(None, 0, 0, "", {}, [], [None] * len(event_ids), None, has_lapsed=True)
            return nobody
        context = self._context(who, commit, kept, cached, self.opener(who, head.get(b"key", b"").decode()))
        if plain:
            return self._read(who, flat, newest, context, before)
        loaded = _loaded(head, context)
        events = self._events(who, loaded, newest, before)
        known = [_seen(text) for text in seen] or [None] * len(event_ids)
        return loaded._replace(recent=events, seen=known, record=_record(record, operation))

    async def confirm(self, who: Who) -> None:
        """Return when replicas have what stands of a customer, where they must: who repeats a call relies on it."""
        await self._server.confirm(self.keys(who).context)

    def _read(
        self, who: Who, flat: list[bytes], newest: list[bytes], context: Context, before: _Reply | None
    ) -> Loaded:
        """Return what Redis says of a customer's context, and keep it; what was kept longest ago makes room."""
        loaded = _loaded(dict(zip(flat[::2], flat[1::2], strict=True)), context)
        loaded = loaded._replace(recent=self._events(who, loaded, newest, before))
        if newest:
            self._replies.keep(who, _Reply(flat, newest, loaded))
        return loaded

    async def again(self, who: Who, recent: int, commit: str, noting: Noting) -> Loaded | None:
        """Read the context of a customer whose document is known, and note it in the same step.

        None where the document is another one, or not at hand, and then nothing is noted.
        """
        keys, cached = self.keys(who), self._parsed.get(who)
        if cached is None or cached[0] != commit:
            return None
        version = "" if noting.version is None else noting.version
        names = [keys.context, keys.document, keys.timeline, noting.stream]
        try:
            found = await self._server.run("load_noted", names, [commit, recent, noting.before, noting.after, version])
        except OutcomeUnknown as error:
            raise Unavailable(f"what would be shown may not be noted: {error.detail}", retry_after=1) from error
        if found is None:
            return None
        flat, newest = found
        before = self._replies.get(who)
        if before is not None and flat == before.head and newest == before.entries:
            return before.loaded
        return self._read(who, flat, newest, cached[1], before)

    def _events(self, who: Who, loaded: Loaded, newest: list[bytes], before: _Reply | None) -> list[dict[str, Any]]:
        """Return the newest events from their entries."""
        known = before if before is not None and before.loaded.data_key == loaded.data_key else None
        return _newest(loaded.version - len(newest) + 1, newest, known, self.opener(who, loaded.data_key))

    def opener(self, who: Who, data_key: str) -> Opener | None:
        """Return what opens the values of a customer who has this data key; it is unwrapped once while it is used."""
        if self._sealing is None or not data_key:
            return self._sealing.opener(*who, data_key) if self._sealing is not None else None
        opener = self._openers.use(who)
        if opener is None or opener.wrapped != data_key:
            opener = self._sealing.opener(*who, data_key)
        self._openers.keep(who, opener)
        return opener

    async def existing(self, who: Who, recent: int = 0) -> tuple[Loaded, Context]:
        """Read the context of a customer who must be there."""
        loaded = await self.load(who, recent)
        if loaded.has_lapsed:
            raise Lapsed(f"the context of {who.customer_id} has expired", customer_id=who.customer_id)
        if loaded.context is None:
            raise CustomerUnknown(f"there is no customer {who.customer_id}", customer_id=who.customer_id)
        return loaded, loaded.context

    def _operation_key(self, who: Who, operation: Operation | None) -> str:
        """Return the key of an operation's record; where there is none, any key of the slot."""
        if operation is None:
            return self.keys(who).context
        return self._server.keys.operation(who.tenant, who.customer_id, operation.digest)

    def _context(
        self, who: Who, commit: str, kept: bytes | None, cached: tuple[str, Context] | None, opener: Opener | None
    ) -> Context:
        """Return the context of a commit: parsed once; `cached` is what was held as it was asked for."""
        if kept is None:
            assert cached is not None
            self._parsed.use(who)
            return cached[1]
        context = context_from(kept, opener)
        self._parsed.keep(who, (commit, context))
        return context

    async def append(
        self, who: Who, events: Sequence[Appended], now: datetime, operation: Operation | None = None,
        on: int | None = None, channels: Collection[str] = (),
    ) -> Outcome:  # fmt: skip
        """Append events that commute, in one step; `NotOpen` where a decision is needed first.

        With `on` nothing may have been written since that version; else `Raced`. With `channels` an interaction of
        another channel is `Forbidden`.
        """
        keys = self.keys(who)
        lives = str(round(OPERATION_LIVES.total_seconds() * 1000))
        keyed = operation.fingerprint if operation else ""
        args: list[Any] = [millis(now), self._keep, keys.member, keys.hints, keyed, lives, "" if on is None else on]
        args.append(f",{','.join(channels)}," if channels else "")
        for appended in events:
            args += _append_arguments(appended)
        names = [
            keys.context,
            keys.document,
            keys.timeline,
            keys.events,
            keys.outbox,
            self._operation_key(who, operation),
            keys.operations,
        ]
        status, *rest = await self._server.run("append", names, args)
        if status == b"unknown" and self._older is not None and await self._older.bring_back(who):
            status, *rest = await self._server.run("append", names, args)
        if status == b"ok":
            version, document_version, flags, *versions = rest
            return Outcome(int(version), int(document_version), flags.decode(), [int(v) for v in versions])
        raise _append_refusal(who, status.decode(), rest, events)

    async def commit(
        self, who: Who, loaded: Loaded, plan: Plan, now: datetime, operation: Operation | None
    ) -> tuple[int, int] | None:
        """Write what was decided in one step; return both versions, or None if it changed meanwhile."""
        keys = self.keys(who)
        commit = secrets.token_hex(6) if plan.context is not None else loaded.commit
        data_key = self._data_key(who, loaded, plan)
        document = _document(plan.context, who, data_key) if plan.context is not None else b""
        names = [keys.context, keys.document, keys.timeline, keys.events, keys.outbox, keys.due,
                 self._operation_key(who, operation), keys.leases, keys.operations]  # fmt: skip
        lives = str(round(OPERATION_LIVES.total_seconds() * 1000))
        due = str(millis(plan.due)) if plan.due else ""
        args: list[Any] = [loaded.commit, commit, document, millis(now), self._keep, keys.member, keys.hints, due]
        args += [plan.record, lives, plan.state, _lease_argument(plan.lease)]
        args.append(loaded.version if plan.proves_version or plan.anew else "")
        args += _event_arguments(plan.events, data_key) + _standing_arguments(loaded, plan)
        args += self._place_arguments(who, loaded, plan, names) + self._lookup_arguments(plan, names)
        args += _anew_arguments(plan.anew) + self._router_arguments(who, plan, names)
        args += [loaded.data_key, data_key.wrapped] if data_key and data_key.wrapped != loaded.data_key else ["", ""]
        args.append("" if plan.context is None else "0" if plan.context.hold is None else "1")
        try:
            status, *versions = await self._server.run("commit", names, args)
        except BaseException:
            self._parsed.pop(who, None)
            raise
        if status == b"fenced":
            raise StaleFence("another process routes this tenant's queues by now")
        if status != b"ok":
            return None
        if plan.context is not None:
            self._parsed.keep(who, (commit, plan.context))
        return int(versions[0]), int(versions[1])

    def _data_key(self, who: Who, loaded: Loaded, plan: Plan) -> DataKey | None:
        """Return the key for what is to be sealed, a new one for a customer's first secret; None where nothing is."""
        secret = plan.context is not None and has_secrets(plan.context)
        if not secret and not any(is_secret(event) for event, _ in plan.events):
            return None
        if self._sealing is None:
            raise Unreadable("there are no keys to seal it with", customer_id=who.customer_id)
        try:
            return self._sealing.opened(*who, loaded.data_key) if loaded.data_key else self._sealing.new(*who)
        except Destroyed:
            return self._sealing.new(*who)

    def _place_arguments(self, who: Who, loaded: Loaded, plan: Plan, names: list[str]) -> list[Any]:
        """Spell the changes of lists; their keys are added to `names`."""
        before, after = (None, loaded.context) if plan.lists_anew else (loaded.context, plan.context)
        changes = entry_changes(before, after) if after is not None else []
        partition = self.keys(who).partition
        args: list[Any] = [len(changes)]
        for place, member, score in changes:
            names.append(self._server.keys.list_part(partition, who.tenant, place))
            args += [len(names), member, "" if score is None else repr(score)]
        return args

    def _router_arguments(self, who: Who, plan: Plan, names: list[str]) -> list[Any]:
        """Spell the fence of the router that must still stand; its key is added to `names`."""
        if plan.router_fence is None:
            return ["", ""]
        names.append(self._server.keys.router(self.keys(who).partition, who.tenant))
        return [len(names), plan.router_fence]

    def _lookup_arguments(self, plan: Plan, names: list[str]) -> list[Any]:
        """Spell the look-ups to set; their keys are added to `names`."""
        lives = round(LOOKUP_LIVES.total_seconds() * 1000)
        args: list[Any] = [len(plan.lookups)]
        for key, value in plan.lookups:
            names.append(key)
            args += [len(names), value, lives]
        return args

    async def know(self, who: Who, prints: Mapping[str, str], version: int) -> None:
        """Let a customer recognise events of another's timeline, by ids and fingerprints; may be repeated."""
        events = self.keys(who).events
        known = [("HSETNX", events, event_digest(name), f"{version}:{print_}") for name, print_ in prints.items()]
        await self._server.pipeline(*known, writes=True)

    async def timeline(self, who: Who, after: int, before: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return the events after one version and before another, oldest first."""
        last = after + limit if before is None else min(after + limit, before - 1)
        return (await self.spans([(who, after + 1, last)]))[0] if last > after else []

    async def spans(self, spans: Sequence[tuple[Who, int, int]]) -> list[list[dict[str, Any]]]:
        """Return the events of several customers between versions (inclusive), in one round trip."""
        places = [(self.keys(who), first, last) for who, first, last in spans]
        calls = [([keys.context, keys.timeline], [first, last]) for keys, first, last in places]
        found = await self._server.run_many("span", calls, writes=False)
        return [await self._whole(*span, *answer) for span, answer in zip(spans, found, strict=True)]

    async def _whole(
        self, who: Who, first: int, last: int, here: bytes, base: int, kept: list[bytes], data_key: bytes
    ) -> list[dict[str, Any]]:
        """Return the events of a span: what Redis has no more comes from what is older, without gap or double.

        Where even that has lost them, it begins with the first that is here: versions tell what is missing.
        """
        opener = self.opener(who, data_key.decode())
        if self._older is None or (here == b"1" and first > base):
            return _events(kept, first, opener)
        upto = min(last, base) if here == b"1" else last
        before = await self._older.entries(who, first, upto) if first <= upto else []
        if not before:
            return _events(kept, base + 1, opener)
        if here != b"1" and any(map(is_sealed, before)):
            opener = self.opener(who, await self._older.data_key(who))
        return _events([*before, *(kept if len(before) == upto - first + 1 else [])], first, opener)

    async def many(self, whos: Sequence[Who]) -> list[Context | None]:
        """Return the contexts of several customers, in one round trip."""
        every = [self.keys(who) for who in whos]
        asked = [call for keys in every for call in (("GET", keys.document), ("HGET", keys.context, "key"))]
        kept = await self._server.pipeline(*asked)
        return [
            context_from(document, self.opener(who, (data_key or b"").decode()))
            if document
            else (await self._brought_back(who)).context
            for who, document, data_key in zip(whos, kept[::2], kept[1::2], strict=True)
        ]

    async def many_heard(self, whos: Sequence[Who]) -> list[Heard]:
        """Return what `many` does, with when their open interactions were last heard of: silence is judged by that."""
        every = [self.keys(who) for who in whos]
        asked = [call for keys in every for call in (("GET", keys.document), ("HGETALL", keys.context))]
        kept = await self._server.pipeline(*asked)
        return [
            self._heard(who, document, _fields(found)) if document else await self._brought_back(who)
            for who, document, found in zip(whos, kept[::2], kept[1::2], strict=True)
        ]

    def _heard(self, who: Who, document: bytes, head: dict[bytes, bytes]) -> Heard:
        """Read a context, and from its head when its interactions were last heard of."""
        return Heard(context_from(document, self.opener(who, head.get(b"key", b"").decode())), activities(head))

    async def _brought_back(self, who: Who) -> Heard:
        """Return the context of one who stands in a list, but is not in Redis any more."""
        if self._older is None:
            return Heard(None, {})
        loaded = await self.load(who)
        return Heard(loaded.context, loaded.activities)

    async def never_due(self, who: Who) -> None:
        """Let nothing be due of a customer who is not there."""
        keys = self.keys(who)
        await self._server.call("ZREM", keys.due, keys.member, writes=True)

    async def due_again(self, who: Who, at: datetime) -> None:
        """Let what is due of a customer wait until some time."""
        keys = self.keys(who)
        await self._server.call("ZADD", keys.due, "XX", millis(at), keys.member, writes=True)

    async def forget(self, who: Who, context: Context) -> None:
        """Delete all that a customer has in the slot."""
        keys = self.keys(who)
        names = (keys.context, keys.document, keys.timeline, keys.events, keys.saved)
        due = [("ZREM", index, keys.member) for index in (keys.due, keys.leases)]
        listed = [
            ("ZREM", self._server.keys.list_part(keys.partition, who.tenant, place), member)
            for place, member in entries(context)
        ]
        self._parsed.pop(who, None)
        await self._server.pipeline(("DEL", *names), *due, *listed, writes=True)

    async def mark_erased(self, who: Who, born: str) -> None:
        """Let nobody bring back what they read in the archive before it was erased there."""
        lives = round(ERASED_LIVES.total_seconds() * 1000)
        await self._server.call("SET", self.keys(who).erased, born, "PX", lives, writes=True)

    def drop(self, who: Who) -> None:
        """Hold no parsed context of a customer any more, and no key."""
        self._parsed.pop(who, None)
        self._replies.pop(who, None)
        self._openers.pop(who, None)


def moved_to(customer_id: str) -> str:
    """Return the state of a customer who is another one now."""
    return f"{_MOVED}{customer_id}"


async def pause(attempt: int) -> None:
    """Wait a short random time that grows, so that writers in several processes stop colliding."""
    await asyncio.sleep(random.uniform(0, min(0.2, 0.002 * 2**attempt)))


def _events(entries_: Sequence[bytes], first: int, opener: Opener | None) -> list[dict[str, Any]]:
    """Read entries of a timeline; they have no gaps, so that the first one's version tells all."""
    return [event_from(entry, version, opener) for version, entry in enumerate(entries_, first)]


def _fields(found: Any) -> dict[bytes, bytes]:
    """Read a hash, in either shape that the client gives."""
    return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))


def _loaded(head: dict[bytes, bytes], context: Context) -> Loaded:
    """Return a context with what stands beside it, without events."""
    return Loaded(
        context,
        int(head[b"version"]),
        int(head[b"document_version"]),
        head[b"commit"].decode(),
        activities(head),
        [],
        [],
        None,
        head.get(b"born", b"").decode(),
        instant(head[b"last"]) if b"last" in head else None,
        head.get(b"key", b"").decode(),
        state=head[b"state"].decode(),
    )


def _newest(first: int, entries: list[bytes], before: _Reply | None, opener: Opener | None) -> list[dict[str, Any]]:
    """Return the newest events from their entries; those that were brought before are not read again."""
    numbered = enumerate(entries, first)
    if before is None:
        return [event_from(entry, version, opener) for version, entry in numbered]
    return [before.event(version, entry) or event_from(entry, version, opener) for version, entry in numbered]


def _seen(text: bytes | None) -> tuple[int, str] | None:
    """Read what is known of an event id."""
    if text is None:
        return None
    version, _, before = text.decode().partition(":")
    return int(version), before


def _record(record: bytes | None, operation: Operation | None) -> str | None:
    """Return what an operation did before; `IdempotencyKeyReused` where its key stands for another request."""
    if not record or operation is None:
        return None
    before, _, did = record.decode().partition(" ")
    if before != operation.fingerprint:
        raise IdempotencyKeyReused("the Idempotency-Key was used for another request")
    return did


def must_be_live(who: Who, state: str) -> None:
    """Refuse a customer who is another one now, or was erased."""
    if state.startswith(_MOVED):
        home = state.removeprefix(_MOVED)
        raise Merged(f"customer {who.customer_id} is {home} now", customer_id=home, merged=who.customer_id)
    if state == _FORGETTING:
        raise CustomerUnknown(f"there is no customer {who.customer_id}", customer_id=who.customer_id)
    if state != LIVE:
        raise Lapsed(f"the context of {who.customer_id} is gone", customer_id=who.customer_id)


def _document(context: Context, who: Who, data_key: DataKey | None) -> bytes:
    """Return a document as it is kept; one over the limit is refused with what fills it."""
    document, size = sealed_document(context, data_key)
    if size <= MAX_DOCUMENT:
        return document
    parts = {name: len(repr(getattr(context, name))) for name in ("facts", "journeys", "interactions", "handoffs")}
    largest = sorted(context.facts, key=lambda fact: len(repr(fact.value)), reverse=True)[:5]
    raise ContextFull(
        f"the context of {who.customer_id} would have {size} bytes; it may have {MAX_DOCUMENT}",
        largest=[{"part": part} for part in sorted(parts, key=lambda part: -parts[part])[:1]]
        + [{"fact": fact.name, "journey_id": fact.journey_id} for fact in largest],
    )


def _lease_argument(lease: Lease) -> str:
    """Spell a lease."""
    if not lease.heard:
        return "-"
    return str(millis(lease.ends)) if lease.ends is not None else ""


def _append_arguments(appended: Appended) -> list[Any]:
    """Spell one event to append."""
    event = appended.event
    return [
        event_digest(event.event_id),
        appended.fingerprint,
        event.interaction_id or "",
        appended.fence,
        "1" if appended.delivered else "0",
        event.party,
        appended.level,
        ",".join(event.marks),
        event_bytes(event),
    ]


def _append_refusal(who: Who, status: str, rest: list[Any], events: Sequence[Appended]) -> Exception:
    """Turn what the script refuses into the error it means."""
    if status == "unknown":
        return CustomerUnknown(f"there is no customer {who.customer_id}", customer_id=who.customer_id)
    if status == "state":
        return _state_error(who, rest[0].decode())
    if status == "changed":
        return Raced()
    if status == "key_reused":
        return IdempotencyKeyReused("the Idempotency-Key was used for another request")
    event = events[int(rest[0]) - 1].event
    if status == "event_id_reused":
        return reused(event.event_id)
    if status == "not_open":
        return NotOpen()
    if status == "other_channel":
        return Forbidden("this key is for other channels", channel=rest[1].decode())
    return NotTheHolder(
        f"the floor of interaction {event.interaction_id} is with somebody else",
        interaction_id=event.interaction_id,
        fence=int(rest[1]),
        holder={"party": rest[2].decode()},
    )


def reused(event_id: str) -> EventIdReused:
    """Return the refusal of one event id with two contents."""
    return EventIdReused(f"event_id {event_id!r} was used for another event", event_id=event_id)


def _state_error(who: Who, state: str) -> Exception:
    """Return the refusal of a customer who is not live."""
    try:
        must_be_live(who, state)
    except (Moved, Lapsed, CustomerUnknown) as error:
        return error
    return Lapsed(f"the context of {who.customer_id} is gone", customer_id=who.customer_id)


def _event_arguments(events: Sequence[tuple[Event, str]], data_key: DataKey | None) -> list[Any]:
    """Spell the events of a commit."""
    args: list[Any] = [len(events)]
    for event, print_ in events:
        marks = ",".join(event.marks)
        kept = event_bytes(event, data_key)
        args += [event_digest(event.event_id), print_, kept, event.assurance, event.channel or "", marks]
    return args


def _anew_arguments(events: Sequence[dict[str, Any]]) -> list[Any]:
    """Spell the entries of a timeline that are written anew."""
    args: list[Any] = [len(events)]
    for event in events:
        args += [event["version"], event_digest(event["event_id"]), entry_bytes(event)]
    return args


def _standing_arguments(loaded: Loaded, plan: Plan) -> list[Any]:
    """Spell what changed beside the document: standings of open interactions, and who was heard."""
    if plan.context is None:
        context = loaded.context
        changes: dict[str, str] = {}
    else:
        context = plan.context
        changes = standing_changes(loaded.context, plan.context)
    if context is None:
        return [0]
    still = {i for i in plan.heard if i in context.interactions and context.interactions[i].is_open}
    whole = standing_changes(None, context)
    changes = changes | {i: whole[i] for i in still}
    args: list[Any] = [len(changes)]
    for interaction_id, text in changes.items():
        args += [interaction_id, text, plan.heard.get(interaction_id, "")]
    return args
