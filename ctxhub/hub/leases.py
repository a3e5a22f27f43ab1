"""Leases: lets Redis forget whom nobody has been heard of for a while, once the archive has everything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from ctxhub.archive import Held, Row
from ctxhub.errors import CustomerUnknown, Lapsed
from ctxhub.hub.archiving import Archiving
from ctxhub.hub.changes import Clock
from ctxhub.metrics import RELEASED
from ctxhub.model.lease import Keeping, last_contact, lease_ends
from ctxhub.store.contexts import Contexts, Loaded, Who
from ctxhub.store.copies import Copies
from ctxhub.store.lookups import Lookups

AT_ONCE = 200


class Leases:
    """Releases customers whose leases are over."""

    def __init__(
        self, archiving: Archiving, contexts: Contexts, copies: Copies, lookups: Lookups, clock: Clock, keeping: Keeping
    ) -> None:
        self._archiving = archiving
        self._contexts = contexts
        self._copies = copies
        self._lookups = lookups
        self._clock = clock
        self._keeping = keeping

    async def release_over(self, partitions: Sequence[str]) -> int:
        """Release those whose leases are over; return how many leases were looked at."""
        now = self._clock()
        whos = (
            await self._copies.over(partitions, now, max(1, AT_ONCE // max(1, len(partitions)))) if partitions else []
        )
        loaded = list(zip(whos, await asyncio.gather(*(self._here(who) for who in whos)), strict=True))
        over = [(who, here) for who, here in loaded if here is not None and self._is_over(here, now)]
        released = await self._released(over)
        await self._renew([(who, here) for who, here in loaded if who not in released], now)
        return len(whos)

    async def _here(self, who: Who) -> Loaded | None:
        """Return a customer as Redis has it, also one who is another one now; None for one who is not there."""
        try:
            loaded = await self._contexts.peek(who)
        except (Lapsed, CustomerUnknown):
            return None
        return loaded if loaded.context is not None else None

    def _ends(self, loaded: Loaded) -> datetime | None:
        """Return when the lease of a customer ends."""
        assert loaded.context is not None
        heard_at = loaded.last_at or last_contact(loaded.context)
        return lease_ends(loaded.context, heard_at, self._keeping)

    def _is_over(self, loaded: Loaded, now: datetime) -> bool:
        """Tell whether a lease is over."""
        ends = self._ends(loaded)
        return ends is not None and ends <= now

    async def _released(self, over: Sequence[tuple[Who, Loaded]]) -> set[Who]:
        """Release customers whom the archive has as they are now; it is given first what it does not have."""
        if not over:
            return set()
        held = await self._archiving.archive.held([Row(*who) for who, _ in over])
        behind = [who for who, loaded in over if not _has(held.get(Row(*who)), loaded)]
        if behind:
            await self._archiving.keep(behind)
            held |= await self._archiving.archive.held([Row(*who) for who in behind])
        ready = [(who, loaded.version, loaded.commit) for who, loaded in over if _has(held.get(Row(*who)), loaded)]
        done = await self._copies.release(ready)
        released = {who for (who, _, _), is_done in zip(ready, done, strict=True) if is_done}
        RELEASED.inc(len(released))
        await self._let_go(sorted(released))
        return released

    async def _let_go(self, released: Sequence[Who]) -> None:
        """Let Redis forget what leads to customers, as far as the archive has just that."""
        if not released:
            return
        names = await self._archiving.archive.names_of([Row(*who) for who in released])
        leads = await self._archiving.leads([digest for _, _, digest in names])
        await self._lookups.let_go({name: leads[name[2]] for name in names if name[2] in leads})

    async def _renew(self, left: Sequence[tuple[Who, Loaded | None]], now: datetime) -> None:
        """Note until when the others are kept, or when to look again."""
        again = now + self._keeping.closed / 10
        leases = [(who, self._ends(loaded) if loaded is not None else None) for who, loaded in left]
        await self._copies.keep_on([(who, max(ends or again, again)) for who, ends in leases])


def _has(held: Held | None, loaded: Loaded) -> bool:
    """Tell whether the archive has a customer just as Redis has it."""
    return held is not None and (held.version, held.commit, held.born) == (loaded.version, loaded.commit, loaded.born)
