"""The archivist: a consumer of the outboxes beside the one that tells on, so that a slow archive delays nobody.

Where the archive is away, the backlog grows, Redis forgets nothing, and all else goes on.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog

from ctxhub.archive import Held, Row
from ctxhub.errors import CustomerUnknown, Unavailable
from ctxhub.hub.archiving import Archiving
from ctxhub.hub.changes import Clock
from ctxhub.hub.leases import Leases
from ctxhub.metrics import ARCHIVE_BACKLOG, ARCHIVE_LAG
from ctxhub.settings import CannotStart
from ctxhub.store.codec import event_digest, event_from
from ctxhub.store.contexts import Who
from ctxhub.store.copies import Copies
from ctxhub.store.indexes import millis
from ctxhub.store.keyring import Keyring
from ctxhub.store.outbox import Move, Outbox, Written

log = structlog.get_logger()
CONSUMER = "archive"
AT_ONCE = 200
LOOKED_AT_ONCE = 500
_STAMPS_MAY_DIFFER = timedelta(minutes=1)
Fences = Mapping[str, int]


class Archivist:
    """Brings what is written to the archive, and releases whom it has."""

    def __init__(
        self,
        outbox: Outbox,
        archiving: Archiving,
        leases: Leases,
        copies: Copies,
        keyring: Keyring,
        forget: Callable[[Who], Awaitable[Any]],
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._archiving = archiving
        self._leases = leases
        self._copies = copies
        self._keyring = keyring
        self._forget = forget
        self._clock = clock
        self._has_begun = False
        self._has_walked = False

    async def must_belong_here(self) -> None:
        """Refuse an archive that goes with another Redis; the first one is fixed at the first start."""
        identity = await self._archiving.archive.identity()
        if await self._keyring.archive(identity) != identity:
            raise CannotStart(
                "this Redis goes with another archive: set CTXHUB_ARCHIVE to that one; if it is lost for good, run "
                "`ctxhub archive part` once, and whoever is only there is forgotten"
            )

    async def archive(self, fences: Fences, consumers: Sequence[str]) -> bool:
        """Archive a batch of each partition; True if there is more."""
        await self._begin(list(fences))
        partitions = list(fences)
        cursors = await self._outbox.cursors(partitions, CONSUMER)
        batches = await self._outbox.written(partitions, cursors, AT_ONCE)
        await self._note(partitions, batches)
        await self._archiving.keep(written.who for batch in batches for written in batch)
        moves = [
            Move(partition, fences[partition], cursor, batch[-1].entry_id)
            for partition, cursor, batch in zip(partitions, cursors, batches, strict=True)
            if batch
        ]
        await self._outbox.advance(CONSUMER, moves, consumers)
        await self._outbox.stamp([move.partition for move in moves], self._archiving.kept_at)
        await self._finish_erasing()
        return any(len(batch) == AT_ONCE for batch in batches)

    async def _note(self, partitions: Sequence[str], batches: Sequence[Sequence[Written]]) -> None:
        """Note how much waits, and since when; behind a full batch stands what else its outbox has."""
        first = [int(batch[0].entry_id.split("-")[0]) for batch in batches if batch]
        full = [name for name, batch in zip(partitions, batches, strict=True) if len(batch) == AT_ONCE]
        waits = sum(len(batch) for batch in batches if len(batch) < AT_ONCE)
        ARCHIVE_BACKLOG.set(waits + (await self._outbox.backlog(full) if full else 0))
        ARCHIVE_LAG.set(max(0.0, time.time() - min(first) / 1000) if first else 0)

    async def release(self, partitions: Sequence[str]) -> None:
        """Release everybody whose lease is over."""
        more = self._has_begun
        while more:
            more = bool(await self._leases.release_over(partitions))

    async def _finish_erasing(self) -> None:
        """Complete the erasure of customers whom the archive has forgotten already."""
        waiting = list(self._archiving.unfinished.items())
        copied = await self._copies.copied([(who, 1, "") for who, _ in waiting], most=0) if waiting else []
        for copy, (who, born) in zip(copied, waiting, strict=True):
            if copy.fields and copy.text("born") == born:  # who came since then is somebody new
                with suppress(CustomerUnknown):
                    await self._forget(who)
            self._archiving.unfinished.pop(who, None)

    async def _begin(self, partitions: Sequence[str]) -> None:
        """See once to it that Redis and archive fit together."""
        if self._has_begun or not partitions:
            return
        try:
            await self.must_belong_here()
        except CannotStart as refusal:
            raise Unavailable(str(refusal)) from refusal
        await self.overtake()
        await self._catch_up()
        if not await self._keyring.has_taken_stock():
            brought = await self._compared(0, live_only=True)
            await self._keyring.has_taken_stock(done=True)
            log.info("archive.begun", brought_back=brought)
        self._has_begun = True

    async def _catch_up(self) -> None:
        """Archive everybody anew where the archive has returned to an earlier state."""
        newest = await self._archiving.archive.newest_at()
        noted = max(await self._outbox.stamps(), default=0)
        if noted <= newest:
            return
        log.error("archive.earlier", newest=newest, noted=noted, lost="whoever was only in the archive since then")
        async for whos in self._copies.everybody():
            await self._archiving.keep(whos)

    async def overtake(self) -> int:
        """Let the archive's later state of customers win over a Redis that has returned to an earlier one.

        What was archived after Redis was stamped last is compared; a Redis that never was is compared whole, once.
        """
        if await self._keyring.has_taken_stock():
            noted = max(await self._outbox.stamps(), default=0)
            count = await self._compared(max(0, noted - millis_of(_STAMPS_MAY_DIFFER)), live_only=False)
        else:
            count = 0 if self._has_walked else await self._taken_stock()
            self._has_walked = True
        if count:
            log.warning("archive.overtook", customers=count, reason="Redis had an earlier state of them")
        return count

    async def _taken_stock(self) -> int:
        """Give everybody in this Redis a lease; return of how many the archive has a later state.

        Where nobody is anywhere, all who come have a lease from the start, and there is no stock to take later.
        """
        seen, count = 0, 0
        async for whos in self._copies.everybody():
            seen += len(whos)
            await self._copies.take_stock(whos, self._clock())
            held = await self._archiving.archive.held([Row(*who) for who in whos])
            count += await self._reconciled([(Who(*row), known, False) for row, known in held.items()])
        if not seen and not await self._archiving.archive.newest_at():
            await self._keyring.has_taken_stock(done=True)
        return count

    async def _compared(self, since: int, live_only: bool) -> int:
        """Compare Redis with what was archived since an instant; return how many customers were changed."""
        after, count = Row("", ""), 0
        while found := await self._archiving.archive.versions_since(since, live_only, after, LOOKED_AT_ONCE):
            count += await self._reconciled([(Who(*row), held, live) for row, held, live in found])
            after = found[-1][0]
        return count

    async def _reconciled(self, found: Sequence[tuple[Who, Held, bool]]) -> int:
        """Compare some customers; return how many were brought back, or will be when they are touched."""
        copied = await self._copies.copied([(who, 1, held.commit) for who, held, _ in found], most=0)
        changed = 0
        for copy, (who, held, live) in zip(copied, found, strict=True):
            is_earlier = bool(copy.fields) and copy.version < held.version
            if is_earlier:
                await self._set_aside(who)
                await self._archiving.give_way(who)
            if live and (is_earlier or not copy.fields):
                await self._archiving.bring_back(who)
            changed += is_earlier or (live and not copy.fields)
        return changed

    async def _set_aside(self, who: Who) -> None:
        """Let the archive have what only this earlier state of a customer holds."""
        (copy,) = await self._copies.copied([(who, 0, "")])
        entries = [(version, _digest(entry, version), entry) for version, entry in enumerate(copy.entries, copy.first)]
        aside = await self._archiving.archive.set_aside(Row(*who), entries, millis(self._clock()))
        if aside:
            log.error("archive.diverged", customer=who.customer_id, set_aside=aside)


def _digest(entry: bytes, version: int) -> bytes:
    """Return the digest of an entry's event id."""
    return event_digest(event_from(entry, version)["event_id"])


def millis_of(span: timedelta) -> int:
    """Return a length of time in ms."""
    return round(span.total_seconds() * 1000)
