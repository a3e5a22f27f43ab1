"""Handoffs: offered, accepted, and brought to exactly one end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from ctxhub.errors import CustomerUnknown, Forbidden, HandoffUnknown, Invalid, Merged, WrongState
from ctxhub.hub.callbacks import Callbacks
from ctxhub.hub.changes import PLAIN, Changes, Committed, Decision, Present, Request, own
from ctxhub.hub.contexts import Contexts
from ctxhub.hub.dialling import Dialling
from ctxhub.hub.keys import Principal
from ctxhub.hub.links import Links
from ctxhub.hub.never_kept import NeverKept
from ctxhub.hub.queues import Queues
from ctxhub.hub.secrets import Secrets, uui
from ctxhub.hub.tenants import Tenants
from ctxhub.metrics import HANDOFFS
from ctxhub.model import handoff as handoffs
from ctxhub.model.context import Context
from ctxhub.model.elsewhere import Preference, held_elsewhere, holder_elsewhere
from ctxhub.model.event import Change
from ctxhub.model.handoff import Draft, Handoff, HandoffView, OfferRequest, Target
from ctxhub.model.interaction import InteractionView
from ctxhub.model.interaction import view as interaction_view
from ctxhub.model.view import live
from ctxhub.store.contexts import Who
from ctxhub.store.lists import Lists
from ctxhub.store.lookups import Lookups

_NOT_TAKEN = ("declined", "expired", "cancelled", "left")
_CODE_TYPES = ("phone", "account")
Rule = Callable[[Context, Present], Change]


class Shown(NamedTuple):
    """A handoff as shown after a call, with the version it stands on."""

    handoff: HandoffView
    version: int


class Handoffs:
    """Moves interactions from party to party as transactions."""

    def __init__(
        self,
        changes: Changes,
        contexts: Contexts,
        queues: Queues,
        lookups: Lookups,
        lists: Lists,
        secrets: Secrets,
        links: Links,
        never_kept: NeverKept,
        tenants: Tenants,
        dialling: Dialling,
        callbacks: Callbacks,
    ) -> None:
        self._tenants = tenants
        self._callbacks = callbacks
        self._never_kept = never_kept
        self._dialling = dialling
        self._changes = changes
        self._contexts = contexts
        self._queues = queues
        self._lookups = lookups
        self._lists = lists
        self._secrets = secrets
        self._links = links

    async def offer(self, principal: Principal, offer: OfferRequest, request: Request = PLAIN) -> dict[str, Any]:
        """Offer an interaction; the answer, and only it, carries token, code and link."""
        who = Who(principal.tenant, offer.customer_id)
        offer = self._never_kept.within(principal.tenant, offer, "reason", "note", "say")
        if offer.expires_in is None and offer.kind != "message":
            offer = offer.but(expires_in=round(self._changes.patience.offer.total_seconds()))
        seed = request.operation.digest if request.operation else None
        handoff_id = self._secrets.handoff_id(*who, seed)
        lookups = self._lookups.handoff_lookups(who, handoff_id, self._secrets.token(handoff_id))
        tenant = self._tenants.of(who.tenant)

        def decide(present: Present) -> Decision:
            principal.must_speak_in(present.known, offer.interaction_id)
            principal.must_hold(present.known, offer.interaction_id)
            bound = self.bound(present.known)
            grace = self._changes.patience.grace
            change = handoffs.offer(present.known, offer, handoff_id, present.now, grace, bound, tenant)
            change = self._callbacks.promised(who.tenant, present, change, handoff_id, offer.asks_for)
            events = own(change.events)
            return Decision(change.context, events, {offer.interaction_id: "t"}, {"handoff_id": handoff_id}, lookups)

        try:
            committed = await self._changes.change(who, decide, request)
        except Merged as merged:
            return await self.offer(principal, offer.but(customer_id=merged.ids["customer_id"]), request)
        answer = await self.offered(principal, who, committed, handoff_id)
        if offer.announce:
            await self.announced(who, committed, answer)
        return answer

    async def announced(self, who: Who, committed: Committed, answer: dict[str, Any]) -> None:
        """Let a call find an offer just made; one to which nobody can call is an offer all the same."""
        handoff = committed.context.handoff(answer["handoff"]["handoff_id"])
        with suppress(WrongState):
            await self._dialling.announce(who, committed.context, handoff, None)

    async def offered(
        self, principal: Principal, who: Who, committed: Committed, handoff_id: str, place_kept: bool | None = None
    ) -> dict[str, Any]:
        """Return the answer to whoever offered: the secrets, the queue, and where else the customer is."""
        _count(committed)
        if committed.replayed is not None:  # the number of partitions, with which ids begin, may have changed since
            handoff_id = committed.replayed["handoff_id"]
        context = committed.context
        handoff = context.handoff(handoff_id)
        place = handoff.to.queue
        queue = await self._queues.show(who.tenant, place) if place else None
        shown = self.with_secrets(who, context, handoff_id, committed.version)
        warned = handoffs.is_suspect(context, handoff)
        dialled = None if warned else await self._dialling.dial(who.tenant, handoff, shown.code)
        others = self._live(who, context, principal, handoff.interaction_id)
        shown = shown.but(dial=dialled, place_kept=place_kept, prefers=_preferred(context, handoff, others))
        return {
            "handoff": shown.model_dump(mode="json"),
            "queue": queue.model_dump(mode="json") if queue else None,
            "live": [other.model_dump(mode="json") for other in others],
            "etag": committed.version,
        }

    def _live(self, who: Who, context: Context, principal: Principal, interaction_id: str) -> list[InteractionView]:
        """Return the customer's other open interactions as the offering one sees them; one that went away sees none."""
        if interaction_id not in context.interactions:
            return []
        now = self._changes.clock()
        return live(
            context, self._contexts.seen(who, context, principal.reader(interaction_id), now), interaction_id, now
        )

    def bound(self, context: Context) -> tuple[str, ...]:
        """Return what a code is bound to: the customer's own phones and accounts."""
        own_ = [identifier for identifier in context.leading if identifier.type in _CODE_TYPES]
        return tuple(self._secrets.bound(*identifier.what) for identifier in own_)

    def with_secrets(self, who: Who, context: Context, handoff_id: str, version: int) -> HandoffView:
        """Return an offer's answer with what lets the customer go on elsewhere; no link or code under a warning."""
        handoff, token = context.handoff(handoff_id), self._secrets.token(handoff_id)
        shown = self._shown(who, context, handoff_id, version)
        if handoffs.is_suspect(context, handoff):
            return shown.but(token=token, uui=uui(token))
        link = self._links.to(who.tenant, shown.to.channel, token)
        code = self._secrets.code(handoff_id) if handoff.bound else None
        return shown.but(token=token, code=code, uui=uui(token), link=link)

    def _shown(self, who: Who, context: Context, handoff_id: str, version: int) -> HandoffView:
        """Show a handoff without its secrets."""
        handoff = context.handoff(handoff_id)
        interaction = context.interactions.get(handoff.interaction_id)
        return handoffs.view(handoff, who.customer_id, interaction.channel if interaction else None, version)

    def _with_draft(self, who: Who, context: Context, handoff_id: str, version: int) -> HandoffView:
        """Show a handoff to whoever works on it."""
        return self._shown(who, context, handoff_id, version).but(draft=context.handoff(handoff_id).draft)

    async def where(self, tenant: str, handoff_id: str) -> Who:
        """Return the customer of a handoff."""
        customer_id = await self._lookups.handoff(tenant, handoff_id)
        if customer_id is None:
            raise HandoffUnknown(f"there is no handoff {handoff_id}", handoff_id=handoff_id)
        return Who(tenant, customer_id)

    async def _change(
        self, principal: Principal, handoff_id: str, rule: Rule, request: Request, heard: str = ""
    ) -> tuple[Who, Committed]:
        """Apply a rule to a handoff of a queue that the principal serves."""
        who = await self.where(principal.tenant, handoff_id)

        def decide(present: Present) -> Decision:
            handoff = present.known.handoff(handoff_id)
            principal.must_serve(handoff.to.queue)
            principal.must_speak_in(present.known, handoff.interaction_id)
            change = rule(present.known, present)
            spoke = {change.context.handoff(handoff_id).interaction_id: heard} if heard and change.events else {}
            return Decision(change.context, own(change.events), spoke, {"handoff_id": handoff_id})

        try:
            committed = await self._changes.change(who, decide, request)
        except CustomerUnknown as error:
            raise HandoffUnknown(f"there is no handoff {handoff_id}", handoff_id=handoff_id) from error
        _count(committed)
        await self._dialling.settled(who.tenant, committed.events)
        return who, committed

    async def accept(
        self, principal: Principal, handoff_id: str, agent_id: str, request: Request = PLAIN
    ) -> dict[str, Any]:
        """Give a handoff, and the floor, to one agent; the same agent again gets the same answer."""
        principal.must_be(agent_id)
        lease = self._changes.patience.lease
        who, committed = await self._change(
            principal,
            handoff_id,
            lambda context, present: handoffs.accept(context, handoff_id, agent_id, present.now, lease),
            request,
            "t",
        )
        handoff = committed.context.handoff(handoff_id)
        reader = Principal(tenant=principal.tenant, name=principal.name, role="agent", agent=agent_id)
        shown = await self._contexts.read(who, reader.reader(handoff.interaction_id))
        interaction = committed.context.interaction(handoff.interaction_id)
        mine = self._with_draft(who, committed.context, handoff_id, committed.version)
        return {
            "handoff": mine.model_dump(mode="json"),
            "interaction": interaction_view(interaction, self._changes.clock(), internal=True).model_dump(mode="json"),
            "context": shown.value,
            "fence": handoff.fence,
            "etag": shown.version,
        }

    async def decline(
        self, principal: Principal, handoff_id: str, agent_id: str, reason: str, request: Request = PLAIN
    ) -> Shown:
        """Pass on a handoff."""
        principal.must_be(agent_id)
        reason = self._never_kept.of(principal.tenant, reason)
        return await self._simply(
            principal, handoff_id, request,
            lambda context, present: handoffs.decline(context, handoff_id, agent_id, reason, present.now),
        )  # fmt: skip

    async def _simply(self, principal: Principal, handoff_id: str, request: Request, rule: Rule) -> Shown:
        """Apply a rule and show the handoff."""
        who, committed = await self._change(principal, handoff_id, rule, request)
        shown = self._shown(who, committed.context, handoff_id, committed.version)
        return Shown(_without_words(principal, shown), committed.version)

    async def cancel(self, principal: Principal, handoff_id: str, request: Request = PLAIN) -> Shown:
        """Take back an open offer."""
        return await self._simply(
            principal, handoff_id, request, lambda context, present: handoffs.cancel(context, handoff_id, present.now)
        )

    async def complete(
        self, principal: Principal, handoff_id: str, agent_id: str, fence: int, outcome: str | None,
        request: Request = PLAIN, disposition: str | None = None,
    ) -> Shown:  # fmt: skip
        """Finish the work on a handoff, by one of the codes of its queue."""
        principal.must_be(agent_id)
        outcome, disposition = (self._never_kept.of(principal.tenant, said) for said in (outcome, disposition))
        tenant = self._tenants.of(principal.tenant)

        def rule(context: Context, present: Present) -> Change:
            allowed = tenant.dispositions(handoffs.queue_behind(context, context.handoff(handoff_id)))
            said = (outcome, present.now, disposition, allowed)
            return handoffs.complete(context, handoff_id, agent_id, fence, *said)

        return await self._simply(principal, handoff_id, request, rule)

    async def draft(
        self, principal: Principal, handoff_id: str, agent_id: str, fence: int, draft: Draft, request: Request = PLAIN
    ) -> Shown:
        """Keep what an agent has written so far for the end of the work."""
        principal.must_be(agent_id)
        draft = self._never_kept.within(principal.tenant, draft, "text", "outcome", "disposition")
        who, committed = await self._change(
            principal, handoff_id,
            lambda context, present: handoffs.drafted(context, handoff_id, agent_id, fence, draft, present.now),
            request,
        )  # fmt: skip
        return Shown(self._with_draft(who, committed.context, handoff_id, committed.version), committed.version)

    async def renew(
        self, principal: Principal, handoff_id: str, agent_id: str, fence: int, request: Request = PLAIN
    ) -> Shown:
        """Hold a handoff for another lease."""
        principal.must_be(agent_id)
        lease = self._changes.patience.lease
        return await self._simply(
            principal, handoff_id, request,
            lambda context, present: handoffs.renew(context, handoff_id, agent_id, fence, present.now, lease),
        )  # fmt: skip

    async def receipt(self, principal: Principal, handoff_id: str, agent_id: str, request: Request = PLAIN) -> Shown:
        """Note that the receiver was shown the context."""
        principal.must_be(agent_id)
        return await self._simply(
            principal, handoff_id, request,
            lambda context, present: handoffs.shown(context, handoff_id, agent_id, present.now),
        )  # fmt: skip

    async def give_back(
        self,
        principal: Principal,
        handoff_id: str,
        agent_id: str,
        fence: int,
        to: Target | None,
        step: str | None,
        note: str | None,
        request: Request = PLAIN,
        say: str | None = None,
    ) -> dict[str, Any]:
        """Return an interaction by a handoff of its own; a bot that takes it first says what it is to `say`."""
        principal.must_be(agent_id)
        note, step, say = (self._never_kept.of(principal.tenant, said) for said in (note, step, say))
        tenant = self._tenants.of(principal.tenant)
        who = await self.where(principal.tenant, handoff_id)

        def decide(present: Present) -> Decision:
            context = present.known
            principal.must_serve(context.handoff(handoff_id).to.queue)
            principal.must_speak_in(context, context.handoff(handoff_id).interaction_id)
            child_id = self._return_of(who, context, handoff_id, fence)
            lookups = self._lookups.handoff_lookups(who, child_id, self._secrets.token(child_id))
            if child_id in context.handoffs and context.handoff(handoff_id).agent_id == agent_id:
                return Decision(context, record={"handoff_id": child_id})
            back = handoffs.return_of(context, handoff_id, child_id, to, step, note, present.now, say, tenant)
            change = handoffs.give_back(context, handoff_id, agent_id, fence, back, present.now)
            return Decision(change.context, own(change.events), {}, {"handoff_id": child_id}, lookups)

        committed = await self._changes.change(who, decide, request)
        _count(committed)
        before = committed.replayed
        child_id = before["handoff_id"] if before else self._return_of(who, committed.context, handoff_id, fence)
        shown = self._shown(who, committed.context, handoff_id, committed.version)
        child = self.with_secrets(who, committed.context, child_id, committed.version)
        return {
            "handoff": shown.model_dump(mode="json"),
            "offered": child.model_dump(mode="json"),
            "etag": committed.version,
        }

    def _return_of(self, who: Who, context: Context, handoff_id: str, fence: int) -> str:
        """Return the id of a holder's return: the same each time, a new one where nobody took the last."""
        lost = [h for h in context.handoffs.values() if h.parent_id == handoff_id and h.state in _NOT_TAKEN]
        return self._secrets.handoff_id(*who, f"return:{handoff_id}:{fence}:{len(lost)}")

    async def get(self, principal: Principal, handoff_id: str) -> Shown:
        """Show a handoff as it stands now."""
        who = await self.where(principal.tenant, handoff_id)
        loaded, context = await self._changes.contexts.existing(who)
        context = self._contexts.present(loaded, context, self._changes.clock())
        handoff = context.handoff(handoff_id)
        _may_look(principal, handoff, who.customer_id)
        show = self._with_draft if principal.is_colleague else self._shown
        return Shown(_without_words(principal, show(who, context, handoff_id, loaded.version)), loaded.version)

    async def by_token(self, principal: Principal, token: str) -> Shown:
        """Look at the handoff of a token without using it."""
        handoff_id = await self._lookups.token(token)
        if handoff_id is None or await self._lookups.handoff(principal.tenant, handoff_id) is None:
            raise HandoffUnknown("the token stands for no handoff")
        return await self.get(principal, handoff_id)

    async def listed(
        self, principal: Principal, queue: str | None, agent_id: str | None, state: str
    ) -> list[HandoffView]:
        """Return a queue's handoffs, or those for an agent by name, to an agent only those at which he may look."""
        if (queue is None) == (agent_id is None):
            raise Invalid.field("/queue", "name a queue, or an agent by agent_id")
        principal.must_serve(queue)
        if agent_id is not None:
            principal.must_be(agent_id)
        of = Target(queue=queue, agent=agent_id)
        found = await self._listed(principal.tenant, of, state, principal.is_colleague)
        return [_without_words(principal, shown) for shown in found if _is_for(principal, shown)]

    async def waiting(self, tenant: str, queue: str, state: str, colleague: bool = False) -> list[HandoffView]:
        """Return a queue's handoffs that are offered or accepted, first in line first; notes are for colleagues."""
        return await self._listed(tenant, Target(queue=queue), state, colleague)

    async def _listed(self, tenant: str, of: Target, state: str, colleague: bool) -> list[HandoffView]:
        """Return the handoffs of a queue or an agent that are offered or accepted, first in line first."""
        members = await self._lists.members(tenant, f"{'waiting' if state == 'offered' else 'held'}:{of.place}")
        whos = [Who(tenant, customer_id) for customer_id, _ in members]
        found, now = await self._changes.contexts.many(whos), self._changes.clock()
        hidden = {"version": None} | ({} if colleague else {"note": None, "suggested": None})
        return [
            self._shown(who, context, handoff_id, 0).but(**hidden, prefers=_holder(context, handoff_id, colleague))
            for who, (_, handoff_id), context in zip(whos, members, found, strict=True)
            if context is not None and _stands(context, handoff_id, state, now)
        ]


def _stands(context: Context, handoff_id: str, state: str, now: datetime) -> bool:
    """Tell whether a listed handoff is still in its state, and its offer not over."""
    handoff = context.handoffs.get(handoff_id)
    return handoff is not None and handoff.state == state and (state != "offered" or not handoff.is_over(now))


def _holder(context: Context, handoff_id: str, colleague: bool) -> Preference | None:
    """Name to colleagues the agent who has the customer in another interaction."""
    agent = holder_elsewhere(context, context.handoffs[handoff_id].interaction_id) if colleague else None
    return Preference(agent=agent) if agent is not None else None


def _preferred(context: Context, handoff: Handoff, others: list[InteractionView]) -> Preference | None:
    """Name the agent who has the customer in another interaction, if that is in sight of whoever offers."""
    held = held_elsewhere(context, handoff.interaction_id)
    seen = held is not None and held.interaction_id in {other.interaction_id for other in others}
    return Preference(agent=held.agent_id) if held is not None and held.agent_id is not None and seen else None


def _may_look(principal: Principal, handoff: Handoff, customer_id: str) -> None:
    """Let an agent look only at what is on offer to all, to him, or was his, and a key only into its queues.

    The refusal says whose it is, as the queue did while it waited there, for whoever has a reason to look.
    """
    principal.must_serve(handoff.to.queue)
    if not _is_for(principal, handoff):
        known = {"handoff_id": handoff.handoff_id, "queue": handoff.to.queue, "customer_id": customer_id}
        raise Forbidden(f"handoff {handoff.handoff_id} is not yours", **known)


def _is_for(principal: Principal, handoff: Handoff | HandoffView) -> bool:
    """Tell whether a handoff is nobody's yet or its agent's who asks, where that is an agent."""
    if principal.role != "agent" or principal.agent is None:
        return True
    return (handoff.agent_id or handoff.to.agent) in (None, principal.agent)


def _without_words(principal: Principal, shown: HandoffView) -> HandoffView:
    """Return a handoff without what colleagues wrote to each other, where whoever looks is none of them."""
    return shown if principal.is_colleague else handoffs.without_notes(shown, principal.channels)


def _count(committed: Committed) -> None:
    """Count what became of handoffs."""
    for event in committed.events:
        if event.type.startswith("handoff."):
            HANDOFFS.labels(event.type.removeprefix("handoff.")).inc()
