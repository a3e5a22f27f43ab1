"""Who is it? Identifiers in their normal form, and the customer they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import phonenumbers

from ctxhub.errors import Ambiguous, CustomerUnknown
from ctxhub.hub.tenants import Tenants
from ctxhub.model.customer import Identifier
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Lookups, Owners


class Found(NamedTuple):
    """Where identifiers lead: a customer, nobody, or several people; `linked` are those that lead there now."""

    customer_id: str | None
    ambiguous: bool
    linked: Sequence[Identifier] = ()


class Identity:
    """Finds customers by what they are known by; an identifier that leads to several picks none."""

    def __init__(self, lookups: Lookups, tenants: Tenants) -> None:
        self._lookups = lookups
        self._tenants = tenants

    def normal(self, tenant: str, identifier: Identifier) -> Identifier:
        """Return an identifier in its normal form: phone numbers as E.164, e-mail in lower case."""
        if identifier.type == "phone":
            return identifier.but(value=_e164(identifier.value, self._tenants.of(tenant).default_region))
        if identifier.type == "email":
            return identifier.but(value=identifier.value.strip().lower())
        return identifier.but(value=identifier.value.strip())

    def in_order(self, tenant: str, identifiers: Sequence[Identifier]) -> list[Identifier]:
        """Return identifiers in their normal form and fixed order: verified first, then by type and value."""
        normal = {i.what: i for i in (self.normal(tenant, identifier) for identifier in identifiers)}
        return sorted(normal.values(), key=lambda i: (i.strength != "verified", i.type, i.value))

    async def find(self, tenant: str, identifiers: Sequence[Identifier]) -> Found:
        """Return the customer to whom the first identifier that leads anywhere leads."""
        for owners in await self._lookups.owners(tenant, identifiers) if identifiers else []:
            if owners:
                return _found(owners)
        return Found(None, False)

    async def must_find(self, tenant: str, identifier: Identifier) -> Who:
        """Return the customer of an identifier; `Ambiguous`, without ids, where it leads to several."""
        found = await self.find(tenant, [self.normal(tenant, identifier)])
        if found.ambiguous:
            raise Ambiguous("the identifier leads to several customers")
        if found.customer_id is None:
            raise CustomerUnknown("the identifier leads to nobody")
        return Who(tenant, found.customer_id)

    async def owners(self, tenant: str, identifier: Identifier) -> Owners:
        """Return all customers to whom an identifier leads."""
        return (await self._lookups.owners(tenant, [self.normal(tenant, identifier)]))[0]

    async def settle(self, tenant: str, identifiers: Sequence[Identifier], named: str | None, ours: str) -> Found:
        """Return who it is, linking identifiers on the way: beside others for a named one, else to nobody's loss."""
        if named is not None:
            for identifier in identifiers:
                await self._lookups.link(tenant, identifier, named, first=False)
            return Found(named, False, identifiers)
        found = await self.find(tenant, identifiers)
        customer_id, linked = found.customer_id or ours, []
        for identifier in [] if found.ambiguous else identifiers:
            owners = await self._lookups.link(tenant, identifier, customer_id, first=True)
            first = _found(owners)
            if found.customer_id is None and first.customer_id is not None:
                found, customer_id = first, first.customer_id
            linked += [identifier] if customer_id in owners else []
        return Found(customer_id, found.ambiguous, linked)


def _found(owners: Owners) -> Found:
    """Return whom an identifier's owners name: a verified one outranks those who only claim it."""
    verified = [customer for customer, strength in owners.items() if strength == "verified"]
    candidates = verified or list(owners)
    return Found(candidates[0], False) if len(candidates) == 1 else Found(None, True)


def _e164(value: str, region: str | None) -> str:
    """Return a phone number as E.164; what is no number stays as it is."""
    try:
        return phonenumbers.format_number(phonenumbers.parse(value, region), phonenumbers.PhoneNumberFormat.E164)
    except phonenumbers.NumberParseException:
        return value.strip()
