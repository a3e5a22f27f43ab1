"""Access beside one's work: glass that an agent breaks with a reason, and how many customers an agent reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from ctxhub.errors import Forbidden
from ctxhub.hub.changes import PLAIN, Changes, Decision, Present, Request, own
from ctxhub.hub.keys import Principal
from ctxhub.hub.tenants import Tenants
from ctxhub.model.disclosure import Reader
from ctxhub.model.event import Event
from ctxhub.model.value import Instant, Name, Value
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Lookups

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
READING = timedelta(minutes=10)


class Granted(Value):
    """A customer opened to an agent for a while, beside his work."""

    agent_id: Name
    reason: str
    until: Instant


class Access:
    """Opens customers to agents who have nothing to do with them, bounded and on record."""

    def __init__(self, changes: Changes, tenants: Tenants, lookups: Lookups) -> None:
        self._changes = changes
        self._tenants = tenants
        self._lookups = lookups

    async def break_glass(
        self, principal: Principal, who: Who, agent_id: str, reason: str, minutes: int, request: Request = PLAIN
    ) -> tuple[Granted, int]:
        """Open a customer to an agent for some minutes; `TooMany` for one who does so too often."""
        principal.must_be(agent_id)
        await self._changes.contexts.existing(who)
        policies = self._tenants.of(who.tenant).policies
        await self._lookups.count_try(who.tenant, ("glass", "hour", agent_id), policies.glass_an_hour, HOUR)
        await self._lookups.count_try(who.tenant, ("glass", "day", agent_id), policies.glass_a_day, DAY)
        granted = Granted(agent_id=agent_id, reason=reason, until=self._changes.clock() + timedelta(minutes=minutes))
        committed = await self._changes.change(who, _telling(granted), request)
        await self._lookups.grant(who, agent_id, timedelta(minutes=minutes))
        return granted, committed.version

    async def granted(self, who: Who, reader: Reader, refusal: Forbidden) -> Reader:
        """Return a reader to whom the customer was opened; raises the refusal where it was not."""
        if reader.role != "agent" or reader.agent_id is None or reader.interaction_id is not None:
            raise refusal
        if not await self._lookups.is_granted(who, reader.agent_id):
            raise refusal
        return reader.but(granted=True)

    async def watch(self, tenant: str, agent_id: str, customer: str) -> None:
        """Count another customer at whom an agent looks; `TooMany` for one who looks at more than work can explain."""
        most = self._tenants.of(tenant).policies.customers_in_ten_minutes
        await self._lookups.count_reading(tenant, agent_id, customer, most, READING)


def _telling(granted: Granted) -> Callable[[Present], Decision]:
    """Return the decision that tells of it on the timeline."""

    def decide(present: Present) -> Decision:
        return Decision(present.known, own([_event(granted, present.version, present.now)]))

    return decide


def _event(granted: Granted, version: int, now: datetime) -> Event:
    """Return the event that tells supervisors of it."""
    data = {"agent_id": granted.agent_id, "reason": granted.reason, "until": granted.model_dump(mode="json")["until"]}
    return Event(
        event_id=f"access:granted:{version}", type="access.granted", at=now, party="agent", assurance=2, data=data
    )
