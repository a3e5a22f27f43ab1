"""Going on by telephone: what is dialled, calls that are announced, and the offer that a call comes for.

A number is a claim. A call that is found by one, be it the number that calls or a lent one that is called, brings its
interaction to the customer and the place in the queue, and nothing of what was said: that needs a token, a code or
proof. Where a number could mean several, or a warning of fraud stands, it means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from ctxhub.errors import Unavailable, WrongState
from ctxhub.hub.changes import Changes
from ctxhub.hub.identity import Identity
from ctxhub.hub.tenants import Tenants
from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier
from ctxhub.model.dialling import SPOKEN, Dial, DialSpec, dial
from ctxhub.model.event import Event
from ctxhub.model.handoff import Handoff, is_suspect
from ctxhub.model.identifier import PHONE, NotNormal, normal_form
from ctxhub.model.interaction import Start
from ctxhub.store.contexts import Who
from ctxhub.store.dialled import Dialled
from ctxhub.store.lookups import Lookups


class Coming(NamedTuple):
    """The offer that a call comes for, and whose it is."""

    who: Who
    handoff: Handoff


class Dialling:
    """Lends numbers, hears of calls that are to come, and finds what a call comes for."""

    def __init__(
        self, dialled: Dialled, changes: Changes, tenants: Tenants, identity: Identity, lookups: Lookups
    ) -> None:
        self._dialled = dialled
        self._changes = changes
        self._tenants = tenants
        self._identity = identity
        self._lookups = lookups

    async def dial(self, tenant: str, handoff: Handoff, code: str | None) -> Dial | None:
        """Return what to dial for an open offer to go on by telephone; None where the tenant declares nothing."""
        spec = self._tenants.of(tenant).dial
        if spec is None or handoff.to.channel not in SPOKEN or handoff.state != "offered":
            return None
        return dial(spec, code, await self._lent(tenant, spec, handoff))

    async def _lent(self, tenant: str, spec: DialSpec, handoff: Handoff) -> str | None:
        """Return the number lent to an offer; None where every one is lent, or Redis does not answer."""
        if not spec.pool or handoff.expires_at is None:
            return None
        until, now = handoff.expires_at, self._changes.clock()
        try:
            found = await self._dialled.lend(tenant, spec.pool, handoff.handoff_id, until, now)
            if found is None and await self._reclaimed(tenant):
                found = await self._dialled.lend(tenant, spec.pool, handoff.handoff_id, until, now)
        except Unavailable:  # the offer stands already, and its code does as well
            return None
        return found

    async def _reclaimed(self, tenant: str) -> bool:
        """Take back numbers whose offers have ended without that, as after a crash; tell whether there were any."""
        held = (await self._dialled.lent(tenant, self._changes.clock())).values()
        over = [handoff_id for handoff_id in held if await self._coming(tenant, handoff_id) is None]
        for handoff_id in over:
            await self._dialled.take_back(tenant, handoff_id)
        return bool(over)

    async def settled(self, tenant: str, events: Iterable[Event]) -> None:
        """Take back the numbers of offers that these events have ended or brought in."""
        spec = self._tenants.of(tenant).dial
        if spec is None or not spec.pool:
            return
        ended = [event for event in events if event.type.startswith("handoff.") and event.type != "handoff.offered"]
        for handoff_id in {event.data["handoff_id"] for event in ended if event.data.get("offered_to") == "channel"}:
            await self._dialled.take_back(tenant, handoff_id)

    async def announce(
        self, who: Who, context: Context, handoff: Handoff, identifiers: Sequence[Identifier] | None
    ) -> datetime:
        """Let a call from the customer's own numbers, or from those named, find this offer; return until when.

        A number that leads to others as well finds nothing later, and nobody is told that here.
        """
        spec = self._tenants.of(who.tenant).dial
        if spec is None or handoff.to.channel not in SPOKEN or handoff.state != "offered":
            raise WrongState(
                f"handoff {handoff.handoff_id} is no open offer to go on by telephone",
                handoff_id=handoff.handoff_id, state=handoff.state,
            )  # fmt: skip
        lasts, now = timedelta(seconds=spec.announced_for), self._changes.clock()
        given = context.leading if identifiers is None else identifiers
        phones = self._identity.in_order(who.tenant, [one for one in given if one.type == PHONE])
        for phone in phones if not is_suspect(context, handoff) else ():
            if await self._is_theirs(who, phone):
                await self._dialled.announce(who.tenant, phone, handoff.handoff_id, now, lasts)
        return now + lasts

    async def _is_theirs(self, who: Who, phone: Identifier) -> bool:
        """Tell whether a number leads to this customer and to nobody else."""
        found = await self._identity.find(who.tenant, [phone])
        return found.customer_id == who.customer_id

    async def arriving(self, tenant: str, request: Start) -> Coming | None:
        """Return the offer that a call comes for, by the number called or the number calling; None for most calls."""
        spec = self._tenants.of(tenant).dial
        if spec is None or not _may_come(request):
            return None
        phones = [one for one in self._identity.in_order(tenant, request.identifiers) if one.type == PHONE]
        called = await self._by_called(tenant, spec, request, phones)
        return called or await self._by_calling(tenant, phones)

    async def _by_called(
        self, tenant: str, spec: DialSpec, request: Start, phones: Sequence[Identifier]
    ) -> Coming | None:
        """Return the offer that the number called is lent to, unless the caller's number is only somebody else's."""
        number = self._in_pool(tenant, spec, request.dnis)
        if number is None:
            return None
        handoff_id = (await self._dialled.lent(tenant, self._changes.clock())).get(number)
        coming = await self._coming(tenant, handoff_id) if handoff_id else None
        if coming is None:
            return None
        owners = [owners for phone in phones if (owners := await self._identity.owners(tenant, phone))]
        return coming if all(coming.who.customer_id in each for each in owners) else None

    def _in_pool(self, tenant: str, spec: DialSpec, dnis: str | None) -> str | None:
        """Return the number of the pool that was called, however it is spelled."""
        if dnis is None or not spec.pool:
            return None
        region = self._tenants.of(tenant).default_region
        try:
            called = normal_form(PHONE, dnis, region)
            return next((number for number in spec.pool if normal_form(PHONE, number, region) == called), None)
        except NotNormal:
            return None

    async def _by_calling(self, tenant: str, phones: Sequence[Identifier]) -> Coming | None:
        """Return the offer for which a call from this number was announced, if that is one customer's alone."""
        if len(phones) != 1:
            return None
        now = self._changes.clock()
        announced = await self._dialled.announced(tenant, phones[0], now)
        found = [coming for each in announced if (coming := await self._coming(tenant, each)) is not None]
        newest = max(found, key=lambda coming: coming.handoff.offered_at, default=None)
        if newest is None or len({coming.who for coming in found}) > 1:
            return None
        return newest if await self._is_theirs(newest.who, phones[0]) else None

    async def _coming(self, tenant: str, handoff_id: str) -> Coming | None:
        """Return an offer that a call may still come for; None for one that has ended, or that is warned of."""
        customer_id = await self._lookups.handoff(tenant, handoff_id)
        if customer_id is None:
            return None
        context = (await self._changes.contexts.load(Who(tenant, customer_id))).context
        handoff = context.handoffs.get(handoff_id) if context is not None and context.frozen is None else None
        if context is None or handoff is None or handoff.state != "offered" or is_suspect(context, handoff):
            return None
        return None if handoff.is_over(self._changes.clock()) else Coming(Who(tenant, customer_id), handoff)


def _may_come(request: Start) -> bool:
    """Tell whether numbers may say what a start is: an inbound call without a token, its number not known as forged."""
    forged = request.attestation is not None and request.attestation.result == "failed"
    return request.channel in SPOKEN and request.direction == "inbound" and request.handoff is None and not forged
