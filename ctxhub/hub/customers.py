"""Customers: looked up by identifier, linked to more of them, and forgotten."""

from __future__ import annotations

from typing import Any

from ctxhub.errors import Invalid
from ctxhub.hub.changes import PLAIN, Changes, Committed, Decision, Present, Request, own
from ctxhub.hub.forgetting import Forgetting
from ctxhub.hub.identity import Identity
from ctxhub.model.customer import MOST_IDENTIFIERS, Identifier, has_room, with_identifiers
from ctxhub.model.event import Event
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Lookups


class Customers:
    """Knows by what a customer is found."""

    def __init__(self, changes: Changes, identity: Identity, lookups: Lookups, forgetting: Forgetting) -> None:
        self._forgetting = forgetting
        self._changes = changes
        self._identity = identity
        self._lookups = lookups

    async def lookup(self, tenant: str, identifier: Identifier) -> Who:
        """Return the one customer of an identifier."""
        return await self._identity.must_find(tenant, identifier)

    async def add_identifier(
        self, who: Who, identifier: Identifier, request: Request = PLAIN
    ) -> tuple[list[Identifier], int]:
        """Let an identifier lead to a customer, beside whoever else it leads to; a blocked value changes nothing."""
        normal = self._identity.normal(who.tenant, identifier)
        if not await self._identity.may_link(who, normal):
            loaded, context = await self._changes.contexts.existing(who)
            return list(context.identifiers), loaded.version
        committed = await self._with(who, normal, True, request)
        if committed.replayed is None:
            await self._lookups.link(who.tenant, normal, who.customer_id, first=False)
        return list(committed.context.identifiers), committed.version

    async def remove_identifier(
        self, who: Who, identifier: Identifier, request: Request = PLAIN
    ) -> tuple[list[Identifier], int]:
        """Let an identifier no longer lead to a customer."""
        normal = self._identity.normal(who.tenant, identifier)
        committed = await self._with(who, normal, False, request)
        if committed.replayed is None:
            await self._lookups.unlink(who.tenant, normal, who.customer_id)
        return list(committed.context.identifiers), committed.version

    async def _with(self, who: Who, identifier: Identifier, add: bool, request: Request) -> Committed:
        """Note in the context what leads there; what it says already changes nothing."""

        def decide(present: Present) -> Decision:
            context = present.known
            if add and not has_room(context.identifiers, identifier):
                raise Invalid.field("/value", f"a customer has at most {MOST_IDENTIFIERS} identifiers")
            rest = tuple(held for held in context.identifiers if held.what != identifier.what)
            now_held = with_identifiers(context.identifiers, [identifier]) if add else rest
            if now_held == context.identifiers:
                return Decision(context)
            verb = "linked" if add else "unlinked"
            changed = context.but(identifiers=now_held)
            return Decision(changed, own([_event(verb, identifier, present)]))

        return await self._changes.change(who, decide, request)

    async def forget(self, who: Who, request: Request = PLAIN) -> dict[str, Any]:
        """Erase a customer: context, timeline, and whatever leads there; the receipt says what was erased."""
        return await self._forgetting.forget(who, request)


def _event(verb: str, identifier: Identifier, present: Present) -> Event:
    """Return the event that tells of a link, without the identifier's value."""
    return Event(
        event_id=f"identity:{verb}:{present.version}",
        type=f"identity.{verb}",
        at=present.now,
        assurance=2,
        data={"type": identifier.type, "strength": identifier.strength},
    )
