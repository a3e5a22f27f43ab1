"""Lists over all customers: queues, open interactions, counters. Each partition has its part; a read merges them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from ctxhub.store.codec import digest
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server

NUMBERS_LIVE = timedelta(days=400)


class Lists:
    """Reads what commits put into lists, exactly."""

    def __init__(self, server: Server, keep: timedelta) -> None:
        self._server = server
        self._keep = round(keep.total_seconds() * 1000)

    async def members(self, tenant: str, place: str, most: int = 200) -> list[tuple[str, str]]:
        """Return (customer_id, id) of what stands in a list, first in line first."""
        parts = [self._server.keys.list_part(p, tenant, place) for p in self._server.keys.every_partition()]
        found = await self._server.pipeline(*[("ZRANGE", part, 0, most - 1, "WITHSCORES") for part in parts])
        ranked = sorted((float(score), member) for part in found for member, score in scored(part))
        return [_member(member) for _, member in ranked[:most]]

    async def length(self, tenant: str, place: str) -> int:
        """Return how many stand in a list."""
        parts = [self._server.keys.list_part(p, tenant, place) for p in self._server.keys.every_partition()]
        return sum(await self._server.pipeline(*[("ZCARD", part) for part in parts]))

    async def count_saved(self, who: Who, interaction_id: str, names: Sequence[str], day: date, counter: str) -> int:
        """Count questions that need not be asked, each once per interaction and name."""
        keys = self._server.keys.customer(*who)
        numbers = self._server.keys.numbers(keys.partition, who.tenant, day)
        total = self._server.keys.numbers_total(keys.partition, who.tenant)
        digests = [digest(interaction_id, name)[:16] for name in names]
        lives = round(NUMBERS_LIVE.total_seconds() * 1000)
        args = [self._keep, lives, counter, *digests]
        return int(await self._server.run("count_saved", [keys.saved, numbers, total], args))

    async def numbers(self, tenant: str, days: Iterable[date]) -> dict[str, int]:
        """Return the counters of some days, added up over the partitions."""
        partitions = self._server.keys.every_partition()
        return await self._added_up([self._server.keys.numbers(p, tenant, day) for day in days for p in partitions])

    async def numbers_total(self, tenant: str) -> dict[str, int]:
        """Return the counters of all days, added up over the partitions; they only grow."""
        partitions = self._server.keys.every_partition()
        return await self._added_up([self._server.keys.numbers_total(p, tenant) for p in partitions])

    async def _added_up(self, names: Sequence[str]) -> dict[str, int]:
        """Return the counters of several hashes, added up."""
        totals: dict[str, int] = {}
        for found in await self._server.pipeline(*[("HGETALL", name) for name in names]):
            pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
            for counter, amount in pairs:
                totals[counter.decode()] = totals.get(counter.decode(), 0) + int(amount)
        return totals


def scored(part: Sequence[Any]) -> Iterable[tuple[bytes, float]]:
    """Read members and scores, in either shape that the client gives them."""
    pairs: Iterable[Any] = (
        part if part and isinstance(part[0], list | tuple) else zip(part[::2], part[1::2], strict=True)
    )
    return [(member, float(score)) for member, score in pairs]


def _member(member: bytes) -> tuple[str, str]:
    """Read one member of a list."""
    customer_id, _, rest = member.decode().partition("\n")
    return customer_id, rest
