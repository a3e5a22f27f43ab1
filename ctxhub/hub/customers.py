"""Customers: looked up by identifier, linked to more of them, and forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ctxhub.errors import Forbidden, InteractionUnknown, Invalid, Moved
from ctxhub.hub.changes import PLAIN, Changes, Committed, Decision, Present, Request, own
from ctxhub.hub.contexts import Contexts
from ctxhub.hub.forgetting import Forgetting
from ctxhub.hub.identity import Identity
from ctxhub.hub.keys import Principal
from ctxhub.model import interaction as interactions
from ctxhub.model.context import Context
from ctxhub.model.customer import MOST_IDENTIFIERS, Identifier, with_room
from ctxhub.model.disclosure import NOTHING, Reader
from ctxhub.model.event import Event
from ctxhub.model.fact import SHARED_FROM
from ctxhub.model.introducing import doubted, told_in
from ctxhub.model.view import identifiers_in_sight
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Lookups

Held = tuple[Identifier, ...]
#: The hub itself.
_OURSELVES = Reader(role="admin")


class Customers:
    """Knows by what a customer is found."""

    def __init__(
        self, changes: Changes, identity: Identity, lookups: Lookups, forgetting: Forgetting, contexts: Contexts
    ) -> None:
        self._contexts = contexts
        self._forgetting = forgetting
        self._changes = changes
        self._identity = identity
        self._lookups = lookups

    async def lookup(self, tenant: str, identifier: Identifier) -> Who:
        """Return the one customer of an identifier."""
        return await self._identity.must_find(tenant, identifier)

    async def add_identifier(
        self, who: Who, identifier: Identifier, request: Request = PLAIN, interaction_id: str | None = None,
        caller: Principal | None = None,
    ) -> tuple[list[Identifier], int]:  # fmt: skip
        """Let an identifier lead to a customer, beside whoever else it leads to; a blocked value changes nothing.

        What is claimed in an interaction below level 2 stays that interaction's. Outside of any it is the company's
        word, which a key bound to channels, with their customers at the other end, does not have. Returns all that
        leads there as far as the caller may know, and what he has just said.
        """
        if identifier.strength == "claimed" and interaction_id is None and caller is not None and caller.channels:
            raise Invalid.field("/interaction_id", "name the interaction in which the customer claims it")
        normal = self._identity.normal(who.tenant, identifier)

        def told(context: Context, now: datetime) -> Identifier:
            if caller is not None:
                caller.must_speak_in(context, interaction_id)
            return normal if interaction_id is None else _claimed_in(context, normal, interaction_id, now)

        if not await self._identity.may_link(who, normal):
            loaded, context = await self._changes.contexts.existing(who)
            told(context, self._changes.clock())
            return await self._shown(who, context, caller, interaction_id, normal), loaded.version

        def added(context: Context, now: datetime) -> tuple[Identifier, ...]:
            claimed = told(context, now)
            held = with_room(context.identifiers, [claimed])
            if claimed.what not in {one.what for one in held}:
                raise Invalid.field("/value", f"a customer has at most {MOST_IDENTIFIERS} identifiers")
            return held

        committed = await self._with(who, normal, "linked", added, request)
        return await self._shown(who, committed.context, caller, interaction_id, normal), committed.version

    async def remove_identifier(
        self, who: Who, identifier: Identifier, request: Request = PLAIN, caller: Principal | None = None
    ) -> tuple[list[Identifier], int]:
        """Let an identifier no longer lead to a customer; returns what else does as far as the caller may know."""
        normal = self._identity.normal(who.tenant, identifier, of_any_type=True)

        def rest(context: Context, now: datetime) -> tuple[Identifier, ...]:
            return tuple(held for held in context.identifiers if held.what != normal.what)

        committed = await self._with(who, normal, "unlinked", rest, request)
        if committed.replayed is None:
            await self._lookups.unlink(who.tenant, normal, who.customer_id)
        return await self._shown(who, committed.context, caller), committed.version

    async def _shown(
        self, who: Who, context: Context, caller: Principal | None, interaction_id: str | None = None,
        said: Identifier | None = None,
    ) -> list[Identifier]:  # fmt: skip
        """Return by what a customer is found as the caller's context has it, and what he has just said himself.

        By now it is done: who may not read that context, or not any more, is told the latter alone.
        """
        reader = caller.reader(interaction_id) if caller is not None else _OURSELVES
        try:
            seen = await self._contexts.sees(who, context, reader)
        except (Forbidden, InteractionUnknown, Moved):
            seen = NOTHING
        return identifiers_in_sight(context, seen, said)

    async def _with(
        self, who: Who, identifier: Identifier, verb: str, change: Callable[[Context, datetime], Held], request: Request
    ) -> Committed:
        """Note in the context what leads there; what it says already changes nothing."""

        def decide(present: Present) -> Decision:
            context = present.known
            now_held = change(context, present.now)
            if now_held == context.identifiers:
                return Decision(context)
            changed = context.but(identifiers=now_held)
            return Decision(changed, own([_event(verb, identifier, present)]))

        return await self._changes.change(who, decide, request)

    async def forget(self, who: Who, request: Request = PLAIN) -> dict[str, Any]:
        """Erase a customer: context, timeline, and whatever leads there; the receipt says what was erased."""
        return await self._forgetting.forget(who, request)


def _claimed_in(context: Context, identifier: Identifier, interaction_id: str, now: datetime) -> Identifier:
    """Return an identifier as it was told in an interaction: below level 2 it is unsure."""
    if interactions.find(context, interaction_id).level(now) >= SHARED_FROM:
        return identifier
    return told_in(doubted(identifier, leads=not context.is_proven), interaction_id)


def _event(verb: str, identifier: Identifier, present: Present) -> Event:
    """Return the event that tells of a link, without the identifier's value."""
    return Event(
        event_id=f"identity:{verb}:{present.version}",
        type=f"identity.{verb}",
        at=present.now,
        assurance=2,
        data={"type": identifier.type, "strength": identifier.strength},
    )
