"""Audit: notes who saw or changed what, chains it, and answers for it.

An answer waits until its line is noted. What concurrent calls note goes out in one write: the first begins it, the
others ride along. Chaining comes after, by whichever process gets there: the chain's end lets in one of two that try.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from ctxhub.errors import CtxhubError, Unavailable, Unreadable
from ctxhub.hub.anchors import Anchors
from ctxhub.hub.beside import Beside, Whereabouts
from ctxhub.hub.changes import Clock
from ctxhub.model.audit import Anchor, Broken, Entry, Head, Linked, anchored, chained, is_genuine, verify
from ctxhub.store.trails import Notes, Standing, Trail

log = structlog.get_logger()
CHAIN_EVERY = 0.5
LOOK_UNASKED = 10  # turns: what others noted and did not chain, and whether an anchor is due
ANCHOR_EVERY = timedelta(minutes=1)
LET_GO_EVERY = timedelta(hours=1)
CHAINED_AT_ONCE = 500
SETTLE_WITHIN = 1.5
MOST = 1000
_PSEUDONYMS = 10_000
BROKEN_GLASS = "access.broken_glass"


class Found(NamedTuple):
    """An entry that was looked for, and its number in the chain."""

    sequence: int
    entry: Entry


class Wanted(NamedTuple):
    """Which entries are looked for; what is None does not matter."""

    customer: str | None = None
    agent_id: str | None = None
    action: str | None = None
    first: datetime | None = None
    last: datetime | None = None

    def is_met(self, entry: Entry) -> bool:
        """Tell whether an entry is one of those."""
        pairs = ((self.agent_id, entry.agent_id), (self.action, entry.action))
        of_whom = self.customer in (None, *entry.concerns)
        in_time = (self.first is None or self.first <= entry.at) and (self.last is None or entry.at <= self.last)
        return in_time and of_whom and all(wanted in (None, found) for wanted, found in pairs)


class Verified(NamedTuple):
    """What a check of a chain came to: how many entries it has, up to which number, and where it is broken."""

    entries: int
    sequence: int
    broken: Broken | None


class Audit:
    """The audit trails of all tenants."""

    def __init__(
        self, notes: Notes, trail: Trail, master_key: bytes, clock: Clock, keep: timedelta,
        anchors: Path | None = None, on: bool = True, reasons: Beside | None = None,
        whereabouts: Whereabouts | None = None,
    ) -> None:  # fmt: skip
        self._reasons = reasons
        self._whereabouts = whereabouts
        self._beside = [each for each in (reasons, whereabouts) if each is not None]
        self._notes = notes
        self._trail = trail
        self._clock = clock
        self._keep = keep
        self._anchors = Anchors(anchors)
        self.on = on
        self._key = hmac.new(master_key, b"ctxhub audit trail", hashlib.sha256).digest()
        secret = hmac.new(master_key, b"ctxhub audit pseudonyms", hashlib.sha256).digest()
        self._pseudonym = lru_cache(_PSEUDONYMS)(partial(_pseudonym, secret))
        self._standings: dict[str, Standing] = {}
        self._waiting: dict[str, list[bytes]] = {}
        self._asking: list[asyncio.Future[None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._noted = False
        self._let_go_at: datetime | None = None

    def pseudonym(self, tenant: str, customer_id: str) -> str:
        """Return by what a customer goes in the trail: the same always, and nobody's name."""
        return self._pseudonym(tenant, customer_id)

    def stream(self, tenant: str) -> str | None:
        """Return where a script may note that a tenant's customer is read; None where only `note` does it."""
        found = self._notes.stream(tenant) if self.on else None
        self._noted = self._noted or found is not None
        return found

    async def note(self, tenant: str, text: bytes) -> None:
        """Note the text of an entry; `Unavailable` where it can't be, and then what it tells of must not be shown."""
        if not self.on:
            return
        self._waiting.setdefault(tenant, []).append(text)
        self._noted = True
        written = asyncio.get_running_loop().create_future()
        self._asking.append(written)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        await written

    async def sealed(self, tenant: str, customer: str, reason: str) -> dict[str, str]:
        """Keep why something is done with a customer beside the trail; return what stands for it in the line."""
        return await _noted(self._reasons, tenant, customer, reason)

    async def called_from(self, tenant: str, customer: str, address: str) -> dict[str, str]:
        """Keep beside the trail from where a customer called; return what stands for it in the line."""
        return await _noted(self._whereabouts, tenant, customer, address)

    async def leave(self, tenant: str, customer_id: str) -> dict[str, int]:
        """Drop what stands beside the trail of a customer; return how much, by part of the lines."""
        customer = self.pseudonym(tenant, customer_id)
        return {each.part: await each.leave(tenant, customer) for each in self._beside}

    def drop(self, tenant: str, customer_id: str) -> None:
        """Hold nothing of a customer in this process any more."""
        if self._whereabouts is not None:
            self._whereabouts.drop(tenant, self.pseudonym(tenant, customer_id))

    async def _told(self, tenant: str, entries: list[Entry]) -> list[Entry]:
        """Return entries with what stands beside the trail of them."""
        for each in self._beside:
            entries = await each.told(tenant, entries)
        return entries

    async def _changed(self, tenant: str, part: list[Linked]) -> Broken | None:
        """Say of which entry something else stands beside the trail than was said."""
        for each in self._beside:
            changed = await each.changed(tenant, part)
            if changed is not None:
                return Broken(changed, f"its {each.part} was changed")
        return None

    async def _write_all(self) -> None:
        """Write until nothing waits."""
        while self._asking:
            waiting, asking = self._waiting, self._asking
            self._waiting, self._asking = {}, []
            try:
                await self._notes.put(waiting)
            except BaseException as error:
                _fail(asking, error)
                if not isinstance(error, CtxhubError):
                    raise
            else:
                _done(asking)

    async def run(self) -> None:
        """Chain what is noted until cancelled; then chain and anchor once more."""
        try:
            for turn in count():
                if self._noted or turn % LOOK_UNASKED == 0:
                    await self._tried()
                await asyncio.sleep(CHAIN_EVERY)
        finally:
            with suppress(TimeoutError):  # what is not chained now is chained by whoever comes next
                async with asyncio.timeout(SETTLE_WITHIN):
                    await self.settle()

    async def tenants(self) -> list[str]:
        """Return the tenants that have a trail, or had: one that is gone with all that was noted still has anchors."""
        return sorted({*await self._notes.tenants(), *await self._trail.tenants(), *self._anchors.tenants()})

    def anchor(self, tenant: str) -> Anchor | None:
        """Return the last anchor that was written of a tenant's chain."""
        return self._anchors.last(tenant)

    async def settle(self) -> None:
        """Chain all that is noted, and write an anchor of each chain."""
        await self._tried(at_once=True)

    async def _tried(self, at_once: bool = False) -> None:
        """Chain and anchor; what keeps it from being done is logged, and done later."""
        self._noted = False
        try:
            for tenant in await self._notes.waiting():
                await self.chain(tenant)
            for tenant in await self._notes.tenants():
                await self._anchor(tenant, at_once)
            await self._let_go_in_time()
        except CtxhubError as error:
            log.warning("audit.delayed", reason=error.detail)
        except Exception:  # the trail must not end the hub; what was noted stays noted
            log.exception("audit.failed")

    async def chain(self, tenant: str) -> int:
        """Chain what was noted of a tenant; return how many entries."""
        count, noted = 0, None
        while noted is None or len(noted) == CHAINED_AT_ONCE:
            standing = self._standings.pop(tenant, None) or await self._trail.standing(tenant)
            noted = await self._notes.after(tenant, standing.chained, CHAINED_AT_ONCE)
            if not noted:
                await self._notes.drop(tenant, standing.chained)  # left by whoever died before it dropped them
                break
            linked = chained(self._key, standing.head, [text for each in noted for text in each.texts])
            last = noted[-1].noted_id
            if not await self._trail.append(tenant, standing, linked, last):
                noted = None  # somebody else chained meanwhile
                continue
            self._standings[tenant] = Standing(Head(linked[-1].sequence, linked[-1].link), last)
            await self._notes.drop(tenant, last)
            count += len(linked)
        return count

    async def _anchor(self, tenant: str, at_once: bool) -> None:
        """Write an anchor if the last is a minute old, and the chain has grown since."""
        now = self._clock()
        before = self._anchors.last(tenant)
        if before is not None and not at_once and now - before.at < ANCHOR_EVERY:
            return
        head = (await self._trail.standing(tenant)).head
        if head.sequence and (before is None or head.sequence > before.sequence):
            anchor = anchored(self._key, head, now)
            await self._anchors.write(tenant, anchor)
            log.info("audit.anchored", tenant=tenant, sequence=anchor.sequence, link=anchor.link)

    async def _let_go_in_time(self) -> None:
        """Let go, every hour, of what is older than is kept."""
        now = self._clock()
        if self._let_go_at is not None and now < self._let_go_at:
            return
        for tenant in await self._notes.tenants():
            await self.let_go(tenant, now - self._keep)
        self._let_go_at = now + LET_GO_EVERY

    async def let_go(self, tenant: str, before: datetime) -> None:
        """Let go of what was chained before a time; what is left still proves itself."""
        last = await self._trail.last_before(tenant, before)
        if last is not None:
            place, entry = last
            start = anchored(self._key, Head(entry.sequence, entry.link), self._clock(), "start")
            await self._trail.let_go(tenant, place, start)

    async def verify(self, tenant: str) -> Verified:
        """Check a tenant's chain from its start to its end, against its anchors; what is noted is chained first."""
        await self.chain(tenant)
        standing = await self._trail.standing(tenant)
        start = standing.start
        if start is not None and not is_genuine(self._key, start, "start"):
            return Verified(0, standing.head.sequence, Broken(start.sequence, "the start of what is kept is forged"))
        head, count = start.head if start else Head(), 0
        attested = deque(sorted(self._anchors.every(tenant), key=lambda anchor: anchor.sequence))
        try:
            async for part in self._trail.entries(tenant, None):
                broken = verify(self._key, part, _up_to(attested, part[-1].sequence), head)
                count += len(part)
                broken = broken or await self._changed(tenant, part)
                if broken is not None:
                    return Verified(count, standing.head.sequence, broken)
                head = Head(part[-1].sequence, part[-1].link)
        except Unreadable as damage:
            return Verified(count, standing.head.sequence, Broken(head.sequence + 1, damage.detail))
        broken = verify(self._key, [], [*attested], head) or _cut(standing, head)
        return Verified(count, standing.head.sequence, broken)

    async def find(self, tenant: str, wanted: Wanted, most: int = 1000) -> list[Found]:
        """Return the entries that are looked for, oldest first, at most so many; what is noted is chained first."""
        await self.chain(tenant)
        found: list[Found] = []
        async for linked in self._each(tenant, wanted.first):
            entry = linked.entry
            if wanted.is_met(entry):
                found.append(Found(linked.sequence, entry))
            if len(found) == most:
                break
        told = await self._told(tenant, [each.entry for each in found])
        return [each._replace(entry=entry) for each, entry in zip(found, told, strict=True)]

    async def report(self, tenant: str, wanted: Wanted) -> dict[str, Any]:
        """Return what a supervisor should look at: broken glass, who read most customers, and who was refused."""
        await self.chain(tenant)
        glass: list[Found] = []
        refused: list[dict[str, Any]] = []
        read: dict[str, list[str]] = {}
        async for linked in self._each(tenant, wanted.first):
            entry = linked.entry
            if not wanted.is_met(entry):
                continue
            if entry.outcome == "refused":
                refused.append({"sequence": linked.sequence} | entry.model_dump(mode="json"))
            elif entry.action == BROKEN_GLASS:
                glass.append(Found(linked.sequence, entry))
            elif entry.role == "agent" and entry.customers:
                read.setdefault(entry.agent_id or entry.by, []).extend(entry.customers)
        readers = [{"agent_id": a, "customers": len(set(seen)), "reads": len(seen)} for a, seen in read.items()]
        readers.sort(key=lambda reader: -int(str(reader["customers"])))
        told = await self._told(tenant, [each.entry for each in glass[-MOST:]])
        broken = [
            {"sequence": each.sequence} | entry.model_dump(mode="json")
            for each, entry in zip(glass[-MOST:], told, strict=True)
        ]
        return {"broken_glass": broken, "readers": readers[:MOST], "refused": refused[-MOST:]}

    async def _each(self, tenant: str, first: datetime | None) -> AsyncIterator[Linked]:
        """Yield the entries chained since a time one by one."""
        async for part in self._trail.entries(tenant, first):
            for linked in part:
                yield linked


async def _noted(beside: Beside | None, tenant: str, customer: str, said: str) -> dict[str, str]:
    """Keep something beside the trail, where anything is; return what stands for it in the line."""
    return {} if beside is None else {beside.seal: await beside.note(tenant, customer, said)}


def _pseudonym(secret: bytes, tenant: str, customer_id: str) -> str:
    """Return a pseudonym that only whoever has the secret can tell from another."""
    return hmac.digest(secret, f"{tenant}\n{customer_id}".encode(), "sha256").hex()[:32]


def _up_to(attested: deque[Anchor], sequence: int) -> list[Anchor]:
    """Take the anchors that attest entries up to a number out of all, which are in order."""
    taken: list[Anchor] = []
    while attested and attested[0].sequence <= sequence:
        taken.append(attested.popleft())
    return taken


def _cut(standing: Standing, head: Head) -> Broken | None:
    """Say where a chain ends before the end that is noted for it."""
    if head.sequence >= standing.head.sequence:
        return None
    return Broken(head.sequence + 1, f"the chain went on to {standing.head.sequence}")


def _done(asking: list[asyncio.Future[None]]) -> None:
    """Tell all who still wait that their lines are noted."""
    for written in asking:
        if not written.done():
            written.set_result(None)


def _fail(asking: list[asyncio.Future[None]], error: BaseException) -> None:
    """Tell all who still wait that their lines are not noted."""
    for written in asking:
        if not written.done():
            refusal = Unavailable("what would be shown can't be noted in the audit trail just now", retry_after=1)
            refusal.__cause__ = error
            written.set_exception(refusal)
