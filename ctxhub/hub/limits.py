"""How often a key may call, and how often calls may be about one customer, in each second and each process.

They are counted in the process, so that no call costs a round trip for them: with several workers each allows as much.
Look-ups by an identifier are counted in Redis, for all hubs together, since whoever tries numbers in turn has time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from ctxhub.errors import TooMany
from ctxhub.hub.keys import MOUNTED, Principal
from ctxhub.metrics import LIMITED
from ctxhub.store.lookups import Lookups

_MINUTE = timedelta(minutes=1)


class Rates(NamedTuple):
    """The most calls a second by a key and about a customer, and the most look-ups a minute; 0 is no limit."""

    key: int = 0
    customer: int = 0
    lookup: int = 0


UNLIMITED = Rates()


class Limits:
    """Counts calls, and refuses those over the limits."""

    def __init__(self, rates: Rates, lookups: Lookups, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._lookups = lookups
        self._clock = clock
        self._second = 0
        self._counts: dict[tuple[str, str, str], int] = {}

    def count(self, caller: Principal, customer_id: str | None) -> None:
        """Count a call; `TooMany` where its key, or its customer, has had this second's."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._counts.clear()
        if self._rates.key and caller.name != MOUNTED:
            self._one_more("key", caller.tenant, caller.name, self._rates.key)
        if self._rates.customer and customer_id is not None:
            self._one_more("customer", caller.tenant, customer_id, self._rates.customer)

    def _one_more(self, kind: str, tenant: str, whose: str, most: int) -> None:
        """Count one more of a kind."""
        count = self._counts.get((kind, tenant, whose), 0)
        if count >= most:
            LIMITED.labels(kind).inc()
            raise TooMany(f"more than {most} calls a second for one {kind}", retry_after=1, policy=(kind, most, 1))
        self._counts[kind, tenant, whose] = count + 1

    async def count_lookup(self, caller: Principal) -> None:
        """Count a look-up by an identifier; `TooMany` where its key has had this minute's.

        Mounted adapters speak for all their callers by one key, and tell none of them what was found.
        """
        most = self._rates.lookup
        if not most or caller.name == MOUNTED:
            return
        count, left = await self._lookups.count(caller.tenant, ("lookup", caller.name), _MINUTE)
        if count > most:
            LIMITED.labels("lookup").inc()
            raise TooMany(
                f"more than {most} look-ups a minute by one key", retry_after=left, policy=("lookup", most, 60)
            )
