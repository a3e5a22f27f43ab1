"""Epochs: data keys wrapped anew while the hub runs, and which epochs are still needed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import NamedTuple

import orjson
import structlog

from ctxhub.archive import Archive, Row
from ctxhub.errors import Unreadable
from ctxhub.store.contexts import Who
from ctxhub.store.datakeys import DataKeys
from ctxhub.store.redis import Server
from ctxhub.store.sealing import Sealing, epoch_of

log = structlog.get_logger()
_AT_ONCE = 500


class Uses(NamedTuple):
    """How many data keys each epoch wraps, in Redis and in the archive."""

    redis: Counter[int]
    archive: Counter[int]

    def of(self, epoch: int) -> int:
        """Return how many of one epoch."""
        return self.redis[epoch] + self.archive[epoch]


class Epochs:
    """Looks through all data keys, wherever they stand."""

    def __init__(self, server: Server, archive: Archive | None, sealing: Sealing) -> None:
        self._data_keys = DataKeys(server)
        self._archive = archive
        self._sealing = sealing

    async def uses(self) -> Uses:
        """Count the data keys by epoch."""
        found = Uses(Counter(), Counter())
        async for keys in self._data_keys.every():
            found.redis.update(epoch_of(key) for _, key in keys)
        async for besides in self._besides():
            found.archive.update(epoch_of(key) for _, beside in besides if (key := _key_in(beside)))
        return found

    async def rewrap(self) -> int:
        """Wrap all data keys under the present epoch, also those that come back meanwhile; return how many it did.

        It may be stopped anywhere and begun again, and nobody who reads or writes meanwhile notices.
        """
        done = 0
        while more := await self._rewrapped_here() + await self._rewrapped_in_archive():
            done += more
        return done

    async def is_needed(self, epoch: int, pause: float) -> bool:
        """Tell whether a data key is still wrapped under an epoch; looks twice, since one may be on its way."""
        if (await self.uses()).of(epoch):
            return True
        await asyncio.sleep(pause)
        return bool((await self.uses()).of(epoch))

    async def _rewrapped_here(self) -> int:
        """Wrap anew what stands in Redis; return how many were changed."""
        done = 0
        async for keys in self._data_keys.every():
            pairs = [(who, key, self._anew(who, key)) for who, key in keys]
            done += await self._data_keys.replace([pair for pair in pairs if pair[1] != pair[2]])
        return done

    async def _rewrapped_in_archive(self) -> int:
        """Wrap anew what stands in the archive; return how many were changed."""
        done = 0
        async for besides in self._besides():
            changes = [(row, beside, self._beside_anew(Who(*row), beside)) for row, beside in besides]
            changed = [change for change in changes if change[1] != change[2]]
            done += await self._archive.put_besides(changed) if changed and self._archive else 0
        return done

    def _anew(self, who: Who, key: str) -> str:
        """Return a data key under the present epoch; one that can't be opened as it is, and it is said so."""
        try:
            return self._sealing.rewrapped(*who, key)
        except Unreadable as error:
            log.error("epoch.not_left", epoch=epoch_of(key), customer=who.customer_id, reason=error.detail)
            return key

    def _beside_anew(self, who: Who, beside: bytes) -> bytes:
        """Return what stands beside a document with its data key under the present epoch."""
        key = _key_in(beside)
        anew = self._anew(who, key) if key else key
        return orjson.dumps(orjson.loads(beside) | {"key": anew}) if anew != key else beside

    async def _besides(self) -> AsyncIterator[list[tuple[Row, bytes]]]:
        """Yield what stands beside the archive's documents, some at a time."""
        after = Row("", "")
        while self._archive is not None and (found := await self._archive.besides(after, _AT_ONCE)):
            yield found
            after = found[-1][0]


def _key_in(beside: bytes) -> str:
    """Return the data key that stands beside a document; empty where there is none."""
    key: str = orjson.loads(beside).get("key", "")
    return key
