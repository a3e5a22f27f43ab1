"""Callbacks: which number, whether it may be called now, who dials, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ctxhub.errors import HandoffUnknown, Invalid
from ctxhub.hub.changes import PLAIN, Changes, Committed, Decision, Present, Request, own
from ctxhub.hub.identity import Identity
from ctxhub.hub.interactions import Interactions
from ctxhub.hub.keys import Principal
from ctxhub.hub.never_kept import NeverKept
from ctxhub.hub.secrets import Secrets, uui
from ctxhub.hub.tenants import Tenants
from ctxhub.model import calling_back
from ctxhub.model import handoff as handoffs
from ctxhub.model.callback import AskedCallback, AskedNumber, AttemptSaid, Number
from ctxhub.model.calling_back import Said, Scene
from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Change
from ctxhub.model.identifier import PHONE
from ctxhub.model.interaction import HandoffHint, Start
from ctxhub.model.interaction import view as interaction_view
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Lookups


class Callbacks:
    """Has customers called back who were promised it."""

    def __init__(
        self, changes: Changes, tenants: Tenants, identity: Identity, lookups: Lookups, secrets: Secrets,
        interactions: Interactions, never_kept: NeverKept,
    ) -> None:  # fmt: skip
        self._changes = changes
        self._tenants = tenants
        self._identity = identity
        self._lookups = lookups
        self._secrets = secrets
        self._interactions = interactions
        self._never_kept = never_kept

    def promised(
        self, tenant: str, present: Present, offered: Change, handoff_id: str, asked: AskedCallback | None
    ) -> Change:
        """Make a callback of an offer that asks for one."""
        if asked is None:
            return offered
        interaction_id = offered.context.handoff(handoff_id).interaction_id
        number = self._number(tenant, present.known, interaction_id, asked.number)
        return calling_back.promised(offered, handoff_id, asked, number, self._scene(tenant, offered.context, present))

    def _scene(self, tenant: str, context: Context, present: Present) -> Scene:
        """Return what a callback is decided on."""
        refs = {self._ref(phone) for phone in _phones(context)}
        return Scene(self._tenants.of(tenant), refs, present.now)

    def _ref(self, phone: Identifier) -> str:
        """Return the reference of a number, which tells nobody what it is."""
        return self._secrets.bound(*phone.what)

    def _number(self, tenant: str, context: Context, interaction_id: str, asked: AskedNumber | None) -> Number:
        """Return which of the customer's own numbers is meant: a verified one before others unless one is named."""
        phones = sorted(_phones(context, interaction_id), key=lambda phone: phone.strength != "verified")
        if asked is not None and asked.value is not None:
            named = Identifier(type=PHONE, value=asked.value)
            wanted = self._ref(self._identity.normal(tenant, named, "/callback/number"))
        elif asked is not None and asked.ref is not None:
            wanted = asked.ref
        else:
            wanted = self._ref(phones[0]) if phones else ""
        if wanted not in {self._ref(phone) for phone in phones}:
            raise Invalid.field("/callback/number", "is none of the customer's own numbers; tell us of it first")
        return Number(ref=wanted)

    async def review(self, who: Who) -> None:
        """Let a customer's callbacks become due, wait on or be withdrawn, as they may be called now."""

        def decide(present: Present) -> Decision:
            change = Change(present.known, [])
            for handoff_id in present.known.handoffs:
                scene = self._scene(who.tenant, change.context, present)
                context, more = calling_back.reviewed(change.context, handoff_id, scene)
                change = Change(context, [*change.events, *more])
            return Decision(change.context, own(change.events))

        await self._changes.change(who, decide)

    async def dial(self, principal: Principal, handoff_id: str, request: Request = PLAIN) -> dict[str, Any]:
        """Give the attempt that is due to one dialler, with the number, if the customer may be called just now.

        Asked again for the same it is the same attempt; one that is over gives no number any more.
        """
        who = await self._whose(principal, handoff_id)
        await self.review(who)
        dialler = None if principal.is_colleague and principal.agent is None else principal.agent or principal.name
        committed = await self._decided(
            who, principal, handoff_id, request, lambda c, h, scene: calling_back.dialled(c, h, scene, dialler)
        )
        callback = calling_back.still_dialled(committed.context.handoff(handoff_id), committed.replayed)
        token = self._secrets.token(handoff_id)
        phones = {self._ref(phone): phone.value for phone in _phones(committed.context)}
        return {
            "handoff": self._shown(who, committed, handoff_id),
            "attempt": callback.attempt,
            "number": phones.get(callback.number.ref),
            "token": token,
            "uui": uui(token),
            "etag": committed.version,
        }

    async def attempted(
        self, principal: Principal, handoff_id: str, told: AttemptSaid, request: Request = PLAIN
    ) -> dict[str, Any]:
        """Note what came of an attempt; a call that is named becomes an outbound interaction on the same journey."""
        if told.agent_id is not None:
            principal.must_be(told.agent_id)
        told = self._never_kept.within(principal.tenant, told, "reason")
        who, said = await self._whose(principal, handoff_id), _said(told, principal)
        opens = told.outcome == "answered" and told.external_id is not None
        if opens and not await self._is_told(who, principal, handoff_id, said):
            said = said._replace(interaction_id=await self._opened(principal, handoff_id, told))
        committed = await self._decided(
            who, principal, handoff_id, request, lambda c, h, scene: calling_back.attempted(c, h, said, scene)
        )
        return {
            "handoff": self._shown(who, committed, handoff_id),
            "interaction": self._call(committed, handoff_id, told.attempt),
            "etag": committed.version,
        }

    async def _is_told(self, who: Who, principal: Principal, handoff_id: str, said: Said) -> bool:
        """Tell whether an attempt was told before, so that no call is opened for it; refused where it can't be told."""
        _, context = await self._changes.contexts.existing(who)
        principal.must_serve(context.handoff(handoff_id).to.queue)
        return calling_back.is_told(context.handoff(handoff_id), said)

    async def _opened(self, principal: Principal, handoff_id: str, told: AttemptSaid) -> str:
        """Open the outbound interaction of an attempt, or find it; repeated after a crash it is the same."""
        start = Start(
            channel=told.channel, system=told.system, external_id=told.external_id or "", direction="outbound",
            party="agent" if told.agent_id else "system",
            handoff=HandoffHint(token=self._secrets.token(handoff_id)),
        )  # fmt: skip
        answer, _, _ = await self._interactions.start(principal, start)
        return str(answer["interaction"]["interaction_id"])

    def _call(self, committed: Committed, handoff_id: str, attempt: int) -> dict[str, Any] | None:
        """Show the interaction that an attempt opened, if it did."""
        callback = committed.context.handoff(handoff_id).callback
        opened = callback.made[attempt - 1].interaction_id if callback else None
        call = committed.context.interactions.get(opened or "")
        return interaction_view(call, self._changes.clock()).model_dump(mode="json") if call else None

    async def _whose(self, principal: Principal, handoff_id: str) -> Who:
        """Return the customer of a handoff."""
        customer_id = await self._lookups.handoff(principal.tenant, handoff_id)
        if customer_id is None:
            raise HandoffUnknown(f"there is no handoff {handoff_id}", handoff_id=handoff_id)
        return Who(principal.tenant, customer_id)

    async def _decided(
        self, who: Who, principal: Principal, handoff_id: str, request: Request,
        rule: Callable[[Context, str, Scene], Change],
    ) -> Committed:  # fmt: skip
        """Apply a rule to a callback of a queue that the principal serves."""

        def decide(present: Present) -> Decision:
            principal.must_serve(present.known.handoff(handoff_id).to.queue)
            change = rule(present.known, handoff_id, self._scene(who.tenant, present.known, present))
            callback = change.context.handoff(handoff_id).callback
            record = {"handoff_id": handoff_id, "attempt": callback.attempt if callback else None}
            return Decision(change.context, own(change.events), {}, record)

        return await self._changes.change(who, decide, request)

    def _shown(self, who: Who, committed: Committed, handoff_id: str) -> dict[str, Any]:
        """Show a callback as it stands."""
        handoff = committed.context.handoff(handoff_id)
        interaction = committed.context.interactions.get(handoff.interaction_id)
        channel = interaction.channel if interaction else None
        return handoffs.view(handoff, who.customer_id, channel, committed.version).model_dump(mode="json")


def _phones(context: Context, interaction_id: str | None = None) -> list[Identifier]:
    """Return the customer's own telephone numbers: all, or those of which an interaction may go by."""
    phones = [identifier for identifier in context.named_by if identifier.type == PHONE]
    return [one for one in phones if interaction_id is None or one.leads or one.is_told_in(interaction_id)]


def _said(told: AttemptSaid, principal: Principal) -> Said:
    """Return what was told of an attempt, without its call; and which agent tells it, where an agent does."""
    teller = principal.agent or told.agent_id if principal.is_colleague else None
    return Said(told.attempt, told.outcome, agent_id=told.agent_id, reason=told.reason, teller=teller)
