"""Takes everything out, or one tenant, or one customer: each customer whole, then whatever stands beside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

from ctxhub import __version__
from ctxhub.bulk.shape import FORMAT, EndLine, Head, KeyLine, Line, customer_line, event_line, plain_line
from ctxhub.hub.hub import Hub
from ctxhub.model.value import rfc3339
from ctxhub.settings import CannotStart
from ctxhub.store.contexts import Who
from ctxhub.store.indexes import millis
from ctxhub.store.whole import Found, Standing, Whole, added_up

_DRAINED_WITHIN = 60.0
_EVENTS_AT_ONCE = 1000
_CUSTOMERS_AT_ONCE = 100


class Scope(NamedTuple):
    """What is to be taken out."""

    tenant: str | None
    customer_id: str | None
    live: bool
    keys: bool

    @property
    def who(self) -> Who | None:
        """The one customer, if it is one."""
        return Who(self.tenant, self.customer_id) if self.tenant and self.customer_id else None

    @property
    def is_everything(self) -> bool:
        """Tell whether it is all that stands there."""
        return self.tenant is None


class Exporter:
    """Reads a hub's Redis line by line of an export."""

    def __init__(self, hub: Hub, scope: Scope, tell: Callable[[], Awaitable[None]] | None = None) -> None:
        self._tell = tell
        self._hub = hub
        self._whole = Whole(hub.server)
        self._scope = scope
        self._numbers: set[Found] = set()
        self.customers = self.events = self.others = 0

    async def lines(self) -> AsyncIterator[Line]:
        """Yield every line; what is to stand still is refused where it does not."""
        still = self._scope.is_everything and not self._scope.live
        if still:
            await self._come_to_rest()
        whos = await self._one(self._scope.who) if self._scope.who is not None else []
        if self._tell is not None:
            await self._tell()
        before = await self._whole.written_last()
        yield await self._head(still)
        async for line in self._whole_customers(whos) if whos else self._content():
            yield line
        if still and await self._whole.written_last() != before:
            raise CannotStart("something was written meanwhile: stop every hub on this Redis, and export again")
        yield EndLine(customers=self.customers, events=self.events, others=self.others)

    async def _one(self, who: Who) -> list[Who]:
        """Return a customer, who must be there, and all who were merged into it."""
        _, context = await self._hub.changes.contexts.existing(who)
        return [who, *await self._hub.timelines.merged(who, context)]

    async def _come_to_rest(self) -> None:
        """Refuse while a hub is at work; else tell on what is left in the outboxes."""
        at_work = await self._whole.holders(millis(self._hub.ways.clock()))
        if at_work:
            raise CannotStart(
                "a hub is at work on this Redis: stop it, so that nothing is missed; with --live the export is taken "
                "all the same, each customer whole, but not fit for a change of partitions"
            )
        give_up_at = time.monotonic() + _DRAINED_WITHIN
        while await self._left():  # again, since what fell due meanwhile may have been noted last
            async with self._hub.working():
                while await self._left():
                    if time.monotonic() > give_up_at:
                        raise CannotStart("the outboxes do not run dry: look at the log of a hub, and export again")
                    await asyncio.sleep(0.05)

    async def _left(self) -> int:
        """Return how many outboxes still have something to tell on."""
        return await self._whole.undrained(self._hub.relay.consumers)

    async def _head(self, still: bool) -> Head:
        """Return the first line."""
        founding = await self._whole.founding()
        return Head(
            format=FORMAT,
            ctxhub=__version__,
            made_at=rfc3339(self._hub.ways.clock()),
            tenant=self._scope.tenant,
            customer_id=self._scope.customer_id,
            partitions=self._hub.server.keys.partitions,
            master=founding["master"],
            archive=founding.get("archive") if self._scope.is_everything else None,
            still=still,
            lookups=self._scope.is_everything,
        )

    async def _content(self) -> AsyncIterator[Line]:
        """Yield all lines but the first and the last, of everything or of a tenant."""
        async for found in self._whole.every_key():
            async for line in self._found(found):
                yield line
        async for line in self._counters():
            yield line
        if self._scope.keys:
            for digest, record in (await self._hub.keyring.every()).items():
                if self._scope.tenant in (None, record["tenant"]):
                    self.others += 1
                    yield KeyLine(digest=digest, record=record)

    async def _found(self, found: Sequence[Found]) -> AsyncIterator[Line]:
        """Yield the lines of some keys."""
        mine = [one for one in found if self._scope.tenant in (None, one.tenant)]
        whos = [Who(one.tenant, one.name[0]) for one in mine if one.kind == "customer"]
        for start in range(0, len(whos), _CUSTOMERS_AT_ONCE):
            async for line in self._whole_customers(whos[start : start + _CUSTOMERS_AT_ONCE]):
                yield line
        if self._scope.is_everything:
            self._numbers |= {one for one in mine if one.kind == "numbers"}
            for kept in await self._whole.plain([one for one in mine if one.kind not in ("customer", "numbers")]):
                self.others += 1
                yield plain_line(kept)

    async def _counters(self) -> AsyncIterator[Line]:
        """Yield the counters of each tenant and day, added up over the partitions."""
        by_day: dict[tuple[str, ...], list[Found]] = {}
        for one in self._numbers:
            by_day.setdefault((one.tenant, *one.name), []).append(one)
        for parts in by_day.values():
            self.others += 1
            yield plain_line(added_up(await self._whole.plain(parts)))

    async def _whole_customers(self, whos: Sequence[Who]) -> AsyncIterator[Line]:
        """Yield some customers with their events; those of the archive come along unless it stays in place."""
        for standing in await self._whole.customers(whos):
            base = standing.base if self._scope.is_everything else 0
            self.customers += 1
            opener = self._hub.changes.contexts.opener(standing.who, standing.head.get("key", ""))
            yield customer_line(standing, base, opener)
            async for line in self._timeline(standing, base):
                yield line

    async def _timeline(self, standing: Standing, base: int) -> AsyncIterator[Line]:
        """Yield a customer's events after a version, oldest first, up to the version that it stands at."""
        contexts = self._hub.changes.contexts
        while base < standing.version:
            upto = min(base + _EVENTS_AT_ONCE, standing.version)
            events = await contexts.timeline(standing.who, base, upto + 1, _EVENTS_AT_ONCE)
            for event in events:
                self.events += 1
                yield event_line(event, standing)
            base = upto
