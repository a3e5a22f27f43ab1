"""Calls that are to come: numbers of a pool lent to offers, and numbers from which a call was announced.

Each is a step of its own that may be repeated, outside the customer's slot; what is left over lapses by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ctxhub.model.customer import Identifier
from ctxhub.store.indexes import millis
from ctxhub.store.lookups import Lookups
from ctxhub.store.redis import Server


class Dialled:
    """Lends numbers and remembers announcements; it keeps the ids of handoffs, and no number of a customer's."""

    def __init__(self, server: Server, lookups: Lookups) -> None:
        self._server = server
        self._lookups = lookups

    def _key(self, tenant: str, kind: str, *what: str) -> str:
        """Spell the key of what was lent or announced."""
        return self._server.keys.lookup(tenant, kind, self._lookups.sealed(tenant, kind, *what))

    async def lend(
        self, tenant: str, pool: Sequence[str], handoff_id: str, until: datetime, now: datetime
    ) -> str | None:
        """Lend a number to an offer, the same again for the same offer; None where all are lent."""
        args = [handoff_id, millis(until), millis(now), *pool]
        found = await self._server.run("lend", [self._key(tenant, "lent")], args)
        return found.decode() if found else None

    async def take_back(self, tenant: str, handoff_id: str) -> int:
        """Take back what was lent to an offer; return how many numbers."""
        return int(await self._server.run("return_number", [self._key(tenant, "lent")], [handoff_id]))

    async def lent(self, tenant: str, now: datetime) -> dict[str, str]:
        """Return the numbers that are lent now, with the handoff that has each."""
        found = await self._server.call("HGETALL", self._key(tenant, "lent"))
        held = {number.decode(): text.decode().split() for number, text in found.items()}
        return {number: handoff_id for number, (handoff_id, until) in held.items() if millis(now) < int(until)}

    async def announce(self, tenant: str, phone: Identifier, handoff_id: str, now: datetime, lasts: timedelta) -> None:
        """Note that a call from a number is to come for an offer."""
        key = self._key(tenant, "announced", *phone.what)
        await self._server.run(
            "announce", [key], [handoff_id, millis(now + lasts), round(lasts.total_seconds() * 1000)]
        )

    async def announced(self, tenant: str, phone: Identifier, now: datetime) -> list[str]:
        """Return the handoffs for which a call from a number was announced a moment ago."""
        found = await self._server.call("HGETALL", self._key(tenant, "announced", *phone.what))
        texts = {field.decode(): int(until) for field, until in found.items()}
        return [handoff_id for handoff_id, until in texts.items() if millis(now) < until]
