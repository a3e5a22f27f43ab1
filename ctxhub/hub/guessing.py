"""Guesses of handoff codes: how many are taken from whom, and what is said when somebody guesses a lot.

Every count is of tries and says nothing about whether there is anything to be found. Three things let the true
customer in while somebody guesses on their number: a token is never counted, whoever has proved who they are has a
count of their own, and a count holds on one system only.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from ctxhub.errors import TooMany
from ctxhub.metrics import CODES_REFUSED
from ctxhub.model.customer import Identifier
from ctxhub.model.interaction import Start
from ctxhub.store.lookups import Lookups

log = structlog.get_logger()

HOUR = timedelta(hours=1)
PER_INTERACTION = 5
PER_IDENTIFIER = 10
ALARM_AFTER = 100
_PROVEN = 2


class Guesses:
    """Counts tries of codes before they are looked at, and failures afterwards."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    async def count_interaction(self, tenant: str, request: Start) -> None:
        """Count a try of an interaction; `TooMany` after five."""
        call = ("interaction", request.of_system, request.external_id)
        await self._lookups.count_try(tenant, call, PER_INTERACTION, HOUR)

    async def count_identifier(self, tenant: str, request: Start, identifier: Identifier) -> None:
        """Count a try on somebody's identifier; `TooMany` after ten in an hour, proven and unproven apart."""
        level = request.assurance.level if request.assurance else 0
        whose = ("proven", str(request.customer_id)) if level >= _PROVEN else ("identifier",)
        await self._lookups.count_try(tenant, (*whose, request.of_system, *identifier.what), PER_IDENTIFIER, HOUR)

    async def failed(self, tenant: str, refused: Exception) -> None:
        """Count a failure; each hundred of a tenant's within an hour are an alarm, and nobody is refused for it."""
        CODES_REFUSED.labels("too_many" if isinstance(refused, TooMany) else "unknown").inc()
        count, _ = await self._lookups.count(tenant, ("failures",), HOUR)
        if count % ALARM_AFTER == 0:
            log.warning(
                "codes.guessed", tenant=tenant, failures=count, remedy="see who calls; codes lapse by themselves"
            )
