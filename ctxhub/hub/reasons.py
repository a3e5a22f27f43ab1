"""Reasons: why somebody did what a line of the trail tells, kept beside the trail, so that it can be forgotten.

The line holds a seal: a digest of the words and of a random number that is kept with them. As long as they are there,
it proves that they are the ones that were said; once they are gone, nobody can tell from it what they were.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import timedelta

from ctxhub.model.audit import Entry, Linked
from ctxhub.store.trails import KeptReasons

SEAL = "reason_seal"
_SALT = 16
_MARK = b'"reason_seal"'


class Reasons:
    """Keeps reasons by the customers' pseudonyms, and drops them with the customers."""

    def __init__(self, kept: KeptReasons, keep: timedelta) -> None:
        self._kept = kept
        self._keep = keep

    async def note(self, tenant: str, customer: str, reason: str) -> str:
        """Keep a reason; return the seal that stands for it in the trail."""
        kept = os.urandom(_SALT) + reason.encode()
        seal = _seal(kept)
        await self._kept.put(tenant, customer, seal, kept, self._keep)
        return seal

    async def told(self, tenant: str, entries: Sequence[Entry]) -> list[Entry]:
        """Return entries with their reasons, as far as these are there."""
        reasons = await self._of(tenant, entries)
        return [
            entry.but(reason=kept[_SALT:].decode())
            if kept is not None and _seal(kept) == entry.about.get(SEAL)
            else entry
            for entry, kept in zip(entries, reasons, strict=True)
        ]

    async def changed(self, tenant: str, chained: Sequence[Linked]) -> int | None:
        """Return the number of the first entry whose reason is not the one that was said; None where there is none."""
        sealed = [linked for linked in chained if _MARK in linked.text]
        entries = [linked.entry for linked in sealed]
        reasons = await self._of(tenant, entries)
        for linked, entry, kept in zip(sealed, entries, reasons, strict=True):
            if kept is not None and _seal(kept) != entry.about.get(SEAL):
                return linked.sequence
        return None

    async def leave(self, tenant: str, customer: str) -> int:
        """Drop every reason of a customer; return how many."""
        return await self._kept.drop(tenant, customer)

    async def _of(self, tenant: str, entries: Sequence[Entry]) -> list[bytes | None]:
        """Return what is kept for each of some entries."""
        wanted = [(entry.customer or "", str(entry.about.get(SEAL, ""))) for entry in entries]
        found = iter(await self._kept.of(tenant, [each for each in wanted if all(each)]))
        return [next(found) if all(each) else None for each in wanted]


def _seal(kept: bytes) -> str:
    """Return the seal of a reason as it is kept."""
    return hashlib.sha256(kept).hexdigest()[:32]
