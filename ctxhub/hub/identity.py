"""Who is it? Identifiers in their normal form, and the customer they lead to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple

import structlog

from ctxhub.errors import Ambiguous, CustomerUnknown, Invalid
from ctxhub.hub.cards import Cards, is_card
from ctxhub.hub.tenants import Tenants
from ctxhub.metrics import IDENTIFIERS_IGNORED
from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier, with_room
from ctxhub.model.identifier import NoNumber, NotNormal, blocked_forms, normal_form
from ctxhub.model.introducing import doubted
from ctxhub.model.tenant import Tenant
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Lookups, Owners

log = structlog.get_logger()
FIELD = "/identifiers"
#: Returns what is known of a customer, who may be another one now; None for somebody new.
KnownBy = Callable[[Who], Awaitable[Context | None]]


class Found(NamedTuple):
    """Where identifiers lead: a customer, nobody, or several people; `linked` are those that lead there now."""

    customer_id: str | None
    ambiguous: bool
    linked: Sequence[Identifier] = ()


NOBODY = Found(None, False)
SEVERAL = Found(None, True)


class Identity:
    """Finds customers by what they are known by; an identifier that leads to several picks none."""

    def __init__(self, lookups: Lookups, tenants: Tenants, cards: Cards) -> None:
        self._cards = cards
        self._lookups = lookups
        self._tenants = tenants

    def normal(self, tenant: str, identifier: Identifier, pointer: str = "", of_any_type: bool = False) -> Identifier:
        """Return an identifier in its normal form, a card's without its number; `Invalid` for none of its type.

        So it is for one of a type that the tenant, who declares types, does not; unless it may be `of_any_type`.
        """
        declared = self._tenants.of(tenant)
        if not (of_any_type or declared.takes(identifier.type)):
            raise Invalid.field(f"{pointer}/type", f"{identifier.type!r} is none of the types that the tenant declares")
        region = declared.default_region
        identifier = identifier.but(unsure=None)
        try:
            if is_card(identifier):
                return self._cards.blind(tenant, identifier)
            return identifier.but(value=normal_form(identifier.type, identifier.value, region))
        except NotNormal as error:
            raise Invalid.field(f"{pointer}/value", str(error)) from error

    def in_order(self, tenant: str, identifiers: Sequence[Identifier]) -> list[Identifier]:
        """Return those that may lead to somebody, in their normal form and fixed order: verified first, then by type.

        Blocked values, and what a telephone system tells where it knows no number, lead nowhere, which is no fault.
        """
        return self._unblocked(tenant, list(self._normal(tenant, identifiers)))

    def as_written(self, tenant: str, identifiers: Sequence[Identifier]) -> list[Identifier]:
        """Return the same as `in_order`, but what is none of its type as it is written, for its writer to be told."""
        region = self._tenants.of(tenant).default_region
        forms = [
            self.normal(tenant, identifier, f"{FIELD}/{n}") if is_card(identifier) else _or_as_it_is(identifier, region)
            for n, identifier in enumerate(identifiers)
        ]
        return self._unblocked(tenant, forms)

    def _normal(self, tenant: str, identifiers: Sequence[Identifier]) -> Iterator[Identifier]:
        """Yield identifiers in their normal form, without what a telephone system tells where it knows no number."""
        for number, identifier in enumerate(identifiers):
            try:
                yield self.normal(tenant, identifier, f"{FIELD}/{number}")
            except Invalid as error:
                if not isinstance(error.__cause__, NoNumber):
                    raise
                _ignored(identifier.type, "no_number")

    def _unblocked(self, tenant: str, normal: Sequence[Identifier]) -> list[Identifier]:
        """Return identifiers and what issuers call cards, each once, in their order, without those that are blocked."""
        declared = self._tenants.of(tenant)
        blocked = blocked_forms(declared.identifiers, declared.default_region)
        normal = [*normal, *(ref for identifier in normal for ref in self._cards.by_ref(identifier))]
        for identifier in normal:
            if identifier.what in blocked:
                _ignored(identifier.type, "blocked")
        by_what = {identifier.what: identifier for identifier in normal if identifier.what not in blocked}
        return sorted(by_what.values(), key=lambda i: (i.strength != "verified", i.type, i.value))

    async def find(self, tenant: str, identifiers: Sequence[Identifier]) -> Found:
        """Return the customer to whom the first identifier leads that is good alone, else two that agree."""
        return self.picked(tenant, identifiers, await self.led(tenant, identifiers))

    async def led(self, tenant: str, identifiers: Sequence[Identifier]) -> list[Owners]:
        """Return of each identifier all customers to whom it leads."""
        return await self._lookups.owners(tenant, identifiers) if identifiers else []

    def picked(self, tenant: str, identifiers: Sequence[Identifier], led: Sequence[Owners]) -> Found:
        """Return the customer whom `find` names, of identifiers of which it is known where each led."""
        return _picked(self._tenants.of(tenant), identifiers, led)

    async def must_find(self, tenant: str, identifier: Identifier) -> Who:
        """Return the customer of an identifier; `Ambiguous`, without ids, where it leads to several."""
        self.normal(tenant, identifier, "/identifier")
        found = await self.find(tenant, self.in_order(tenant, [identifier]))
        if found.ambiguous:
            raise Ambiguous("the identifier leads to several customers")
        if found.customer_id is None:
            raise CustomerUnknown("the identifier leads to nobody")
        return Who(tenant, found.customer_id)

    async def owners(self, tenant: str, identifier: Identifier) -> Owners:
        """Return all customers to whom an identifier leads; nobody where that is more than it may lead to."""
        (owners,) = await self._lookups.owners(tenant, [identifier])
        return {} if len(_surest(owners)) > self._tenants.of(tenant).identifier(identifier.type).most else owners

    async def may_link(self, who: Who, identifier: Identifier) -> bool:
        """Tell whether an identifier may lead to a customer: a blocked value to nobody, others only to so many.

        Whoever only claims it below level 2 counts for others who do the same.
        """
        if not self._unblocked(who.tenant, [identifier]):
            return False
        (owners,) = await self._lookups.owners(who.tenant, [identifier])
        counted = owners if identifier.standing == "whispered" else _surest(owners)
        return (
            len(counted) <= self._tenants.of(who.tenant).identifier(identifier.type).most or who.customer_id in owners
        )

    async def link(self, tenant: str, identifier: Identifier, customer_id: str) -> bool:
        """Let an identifier lead to a customer beside others; False where it leads to too many already, for ever."""
        if not await self.may_link(Who(tenant, customer_id), identifier):
            return False
        if identifier.leads:
            await self._lookups.link(tenant, identifier, customer_id, first=False)
        return True

    async def follow(self, who: Who, before: Context | None, after: Context, led: Sequence[Identifier] = ()) -> None:
        """Let lead to a customer what does so since a change, and nothing that does not; what was `led` there does."""
        if before is not None and before.identifiers is after.identifiers and not led:
            return
        standings = {one.what: one.standing for one in [*(before.identifiers if before else ()), *led] if one.leads}
        leading = {one.what for one in after.leading}
        for one in after.identifiers:
            if one.leads and standings.get(one.what) != one.standing and one.what not in {i.what for i in led}:
                await self.link(who.tenant, one, who.customer_id)
        for one in [*(before.identifiers if before else ()), *led]:
            if one.leads and one.what not in leading:
                await self._lookups.unlink(who.tenant, one, who.customer_id)

    async def settle(
        self, tenant: str, identifiers: Sequence[Identifier], named: str | None, ours: str, known: KnownBy,
        surely: bool = False, led: Sequence[Owners] | None = None,
    ) -> Found:  # fmt: skip
        """Return who it is, linking identifiers on the way: beside others for a named one, else to nobody's loss.

        Unless all is told surely, what is not verified is unsure; to a customer of whom anything surer is known it
        leads only if it did before. Where each `led` just now is asked unless it is given.
        """
        owners = await self.led(tenant, identifiers) if led is None else led
        found = Found(named, False) if named is not None else self.picked(tenant, identifiers, owners)
        if found.ambiguous:
            return Found(ours, True)
        there = [found.customer_id in led for led in owners]
        new = found.customer_id is not None and not all(there)
        context = await known(Who(tenant, str(found.customer_id))) if new else None
        free = context is None or not context.is_proven
        told = [one if surely else doubted(one, free or led) for one, led in zip(identifiers, there, strict=True)]
        if context is not None:
            told = await self._with_room(Who(tenant, context.customer_id), context, told)
        if named is None:
            return await self._first(tenant, told, found.customer_id, ours)
        return Found(named, False, [identifier for identifier in told if await self.link(tenant, identifier, named)])

    async def _with_room(self, who: Who, context: Context, told: Sequence[Identifier]) -> list[Identifier]:
        """Return those that may lead to a customer and have room; what makes room for them leads there no more."""
        held = with_room(context.identifiers, told)
        stays = {identifier.what for identifier in held}
        for gone in context.identifiers:
            if gone.leads and gone.what not in stays:
                await self._lookups.unlink(who.tenant, gone, who.customer_id)
        return [identifier for identifier in told if identifier.what in stays or not identifier.leads]

    async def _first(self, tenant: str, identifiers: Sequence[Identifier], known: str | None, ours: str) -> Found:
        """Let identifiers that nobody has lead to a customer; where somebody was faster with one, to that one."""
        declared, customer_id, linked = self._tenants.of(tenant), known or ours, []
        for identifier in identifiers:
            if not identifier.leads:
                (others,) = await self._lookups.owners(tenant, [identifier])
                linked += [] if others else [identifier]
                continue
            owners = await self._lookups.link(tenant, identifier, customer_id, first=True)
            first = _picked(declared, [identifier], [owners])
            if known is None and first.customer_id is not None:
                known = customer_id = first.customer_id
            linked += [identifier] if customer_id in owners else []
        return Found(customer_id, False, linked)


def _picked(declared: Tenant, identifiers: Sequence[Identifier], owners: Sequence[Owners]) -> Found:
    """Return whom identifiers name, the first that leads anywhere: one good alone, or else two types that agree."""
    found = [
        (identifier.type, _found(led, declared.identifier(identifier.type).most))
        for identifier, led in zip(identifiers, owners, strict=True)
    ]
    alone = [who for type_, who in found if declared.identifier(type_).alone]
    first = next((who for who in alone if who != NOBODY), NOBODY)
    return first if first != NOBODY else _agreed([pair for pair in found if not declared.identifier(pair[0]).alone])


def _agreed(found: Sequence[tuple[str, Found]]) -> Found:
    """Return the one customer to whom identifiers of at least two types lead, none of them good alone."""
    named = {(type_, who.customer_id) for type_, who in found if who.customer_id is not None}
    customers = {customer_id for _, customer_id in named}
    return Found(customers.pop(), False) if len(customers) == 1 and len(named) > 1 else NOBODY


def _found(owners: Owners, most: int) -> Found:
    """Return whom an identifier's owners name: a verified one outranks those who only claim it, unless too many do.

    Who only claimed it below level 2 counts where nobody else has it.
    """
    if not owners:
        return NOBODY
    counted = _surest(owners)
    verified = [customer for customer, standing in counted.items() if standing == "verified"]
    candidates = verified or list(counted)
    return Found(candidates[0], False) if len(candidates) == 1 and len(counted) <= most else SEVERAL


def _surest(owners: Owners) -> Owners:
    """Return owners without those who only claimed it below level 2, unless nobody else has it."""
    sure: Owners = {customer: standing for customer, standing in owners.items() if standing != "whispered"}
    return sure or owners


def _or_as_it_is(identifier: Identifier, region: str | None) -> Identifier:
    """Return an identifier in its normal form, or as it is where it has none."""
    try:
        return identifier.but(value=normal_form(identifier.type, identifier.value, region), unsure=None)
    except NotNormal:
        return identifier.but(value=identifier.value.strip(), unsure=None)


def _ignored(type_: str, reason: str) -> None:
    """Count what was left out, without its value."""
    IDENTIFIERS_IGNORED.labels(reason).inc()
    log.info("identifier.ignored", type=type_, reason=reason)
