"""Audit trails kept in the archive, where they may grow old without filling Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from ctxhub.archive import Archive, TrailRow
from ctxhub.hub.changes import Clock
from ctxhub.model.audit import Anchor, Head, Linked
from ctxhub.store.batches import batch_of, entries_in
from ctxhub.store.indexes import millis
from ctxhub.store.trails import Standing


class ArchivedTrail:
    """Chains kept in the archive."""

    def __init__(self, archive: Archive, clock: Clock) -> None:
        self._archive = archive
        self._clock = clock

    async def tenants(self) -> set[str]:
        """Return the tenants whose chains are kept here."""
        return await self._archive.trail_tenants()

    async def standing(self, tenant: str) -> Standing:
        """Return how a tenant's chain stands."""
        found = await self._archive.trail_head(tenant)
        if found is None:
            return Standing()
        start = Anchor.model_validate_json(found.start) if found.start else None
        return Standing(Head(found.sequence, found.link), found.chained, start)

    async def append(self, tenant: str, before: Standing, linked: Sequence[Linked], chained: str) -> bool:
        """Put entries at the end; False where somebody else did meanwhile."""
        last = linked[-1]
        row = TrailRow(last.sequence, millis(self._clock()), batch_of(linked))
        return await self._archive.append_trail(tenant, before.head.sequence, row, last.link, chained)

    async def entries(self, tenant: str, first: datetime | None) -> AsyncIterator[list[Linked]]:
        """Yield the entries chained since a time, in order, some at a time."""
        sequence, since = 0, millis(first) if first else 0
        while rows := await self._archive.trail_after(tenant, sequence, since):
            for row in rows:
                yield entries_in(bytes(row.batch))
            sequence = rows[-1].sequence

    async def last_before(self, tenant: str, at: datetime) -> tuple[str, Linked] | None:
        """Return the last entry chained before a time, with its place; None where there is none."""
        row = await self._archive.trail_before(tenant, millis(at))
        return (str(row.sequence), entries_in(bytes(row.batch))[-1]) if row else None

    async def let_go(self, tenant: str, place: str, start: Anchor) -> None:
        """Let go of the oldest part, up to the entry at a place; the sealed start stands for it."""
        await self._archive.let_go_of_trail(tenant, int(place), start.model_dump_json())
