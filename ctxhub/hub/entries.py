"""The entries of a timeline wherever they stand, in Redis and in the archive, and how what they say is taken out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from ctxhub.archive import Row
from ctxhub.hub.archiving import Archiving
from ctxhub.store.contexts import Who
from ctxhub.store.copies import Copies

_AT_ONCE = 1000


class Entries:
    """Reads entries as they are kept, and puts others in their place."""

    def __init__(self, copies: Copies, archiving: Archiving | None) -> None:
        self._copies = copies
        self._archiving = archiving

    async def of(self, who: Who) -> AsyncIterator[tuple[int, bytes]]:
        """Yield a timeline's entries with their versions, as the archive has them and as Redis has them."""
        (copy,) = await self._copies.copied([(who, 1, "")])
        last = copy.first + len(copy.entries) - 1
        archive = self._archiving.archive if self._archiving is not None else None
        for first in range(1, last + 1, _AT_ONCE) if archive is not None else ():
            for found in await archive.entries(Row(*who), first, min(first + _AT_ONCE - 1, last)) if archive else ():
                yield found
        for placed in enumerate(copy.entries, copy.first):
            yield placed

    async def drop_aside(self, who: Who, before: datetime) -> None:
        """Delete what was set aside of a timeline before an instant, where there is an archive."""
        if self._archiving is not None:
            await self._archiving.archive.drop_aside(Row(*who), round(before.timestamp() * 1000))

    async def replace(self, who: Who, changes: Sequence[tuple[int, bytes, bytes]]) -> int:
        """Put entries, given by version as before and after, in each other's place; return how many were changed."""
        if self._archiving is not None and changes:
            await self._archiving.keep([who])  # whoever archives meanwhile what it read before comes too late now
        done = await self._copies.blank(who, changes)
        if self._archiving is not None and changes:
            done += await self._archiving.archive.blank(Row(*who), changes)
        return done
