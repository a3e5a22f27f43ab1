"""What stands beside the lines of a trail, so that it can be forgotten: why it was done, from where a customer called.

A line holds a seal: a digest of the words and of a random number that is kept with them. As long as they are there,
it proves that they are the ones that were said; once they are gone, nobody can tell from it what they were.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from ctxhub.hub.changes import Clock
from ctxhub.lately import Lately
from ctxhub.model.audit import Entry, Linked
from ctxhub.store.trails import KeptBeside, KeptWhereabouts

_SALT = 16
_REMEMBERED = 4096
_SAME_SEAL = timedelta(hours=1)


class Beside:
    """Keeps one part of lines by the customers' pseudonyms, and drops it with the customers."""

    def __init__(self, part: Literal["reason", "source"], kept: KeptBeside, keep: timedelta) -> None:
        self.part = part
        self.seal = f"{part}_seal"
        self._mark = f'"{self.seal}"'.encode()
        self._kept = kept
        self._keep = keep

    async def note(self, tenant: str, customer: str, said: str) -> str:
        """Keep what is said; return the seal that stands for it in the trail."""
        kept = os.urandom(_SALT) + said.encode()
        seal = _seal(kept)
        await self._kept.put(tenant, customer, seal, kept, self._keep)
        return seal

    async def told(self, tenant: str, entries: Sequence[Entry]) -> list[Entry]:
        """Return entries with what was said, as far as it is there."""
        return [
            entry.but(**{self.part: kept[_SALT:].decode()})
            if kept is not None and _seal(kept) == entry.about.get(self.seal)
            else entry
            for entry, kept in zip(entries, await self._of(tenant, entries), strict=True)
        ]

    async def changed(self, tenant: str, chained: Sequence[Linked]) -> int | None:
        """Return the number of the first entry of which something else is kept than was said; None without one."""
        sealed = [linked for linked in chained if self._mark in linked.text]
        entries = [linked.entry for linked in sealed]
        for linked, entry, kept in zip(sealed, entries, await self._of(tenant, entries), strict=True):
            if kept is not None and _seal(kept) != entry.about.get(self.seal):
                return linked.sequence
        return None

    async def leave(self, tenant: str, customer: str) -> int:
        """Drop all of a customer's; return how much."""
        return await self._kept.drop(tenant, customer)

    async def _of(self, tenant: str, entries: Sequence[Entry]) -> list[bytes | None]:
        """Return what is kept for each of some entries."""
        wanted = [(entry.customer or "", str(entry.about.get(self.seal, ""))) for entry in entries]
        found = iter(await self._kept.of(tenant, [each for each in wanted if all(each)]))
        return [next(found) if all(each) else None for each in wanted]


class _Sealed(NamedTuple):
    """A seal that was made lately, and when."""

    seal: str
    at: datetime


class Whereabouts(Beside):
    """Keeps from where customers called; lines of an hour from the same address share what is kept."""

    def __init__(self, kept: KeptWhereabouts, keep: timedelta, clock: Clock) -> None:
        super().__init__("source", kept, keep)
        self._clock = clock
        self._lately = Lately[tuple[str, str, str], _Sealed](_REMEMBERED)

    async def note(self, tenant: str, customer: str, said: str) -> str:
        """Keep an address, unless that was done lately; return the seal that stands for it in the trail."""
        key, now = (tenant, customer, said), self._clock()
        known = self._lately.use(key)
        if known is not None and now - known.at < min(_SAME_SEAL, self._keep / 2):
            return known.seal
        seal = await super().note(tenant, customer, said)
        self._lately.keep(key, _Sealed(seal, now))
        return seal

    async def leave(self, tenant: str, customer: str) -> int:
        """Drop every address of a customer; return how many."""
        self.drop(tenant, customer)
        return await super().leave(tenant, customer)

    def drop(self, tenant: str, customer: str) -> None:
        """Hold no address of a customer in this process any more."""
        for key in [key for key in self._lately if key[:2] == (tenant, customer)]:
            del self._lately[key]


def _seal(kept: bytes) -> str:
    """Return the seal of what is kept."""
    return hashlib.sha256(kept).hexdigest()[:32]
