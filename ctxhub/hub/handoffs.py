"""Handoffs: offered, accepted, and brought to exactly one end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from ctxhub.errors import CustomerUnknown, Forbidden, HandoffUnknown
from ctxhub.hub.changes import PLAIN, Changes, Committed, Decision, Present, Request, own
from ctxhub.hub.contexts import Contexts
from ctxhub.hub.keys import Principal
from ctxhub.hub.links import Links
from ctxhub.hub.queues import Queues
from ctxhub.hub.secrets import Secrets, uui
from ctxhub.metrics import HANDOFFS
from ctxhub.model import handoff as handoffs
from ctxhub.model.context import Context
from ctxhub.model.event import Change
from ctxhub.model.handoff import Handoff, HandoffView, OfferRequest, Target
from ctxhub.model.interaction import view as interaction_view
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
    ) -> None:
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
        if offer.expires_in is None:
            offer = offer.but(expires_in=round(self._changes.patience.offer.total_seconds()))
        seed = request.operation.digest if request.operation else None
        handoff_id = self._secrets.handoff_id(*who, seed)
        lookups = self._lookups.handoff_lookups(who, handoff_id, self._secrets.token(handoff_id))

        def decide(present: Present) -> Decision:
            bound = self._bound(present.known)
            grace = self._changes.patience.grace
            change = handoffs.offer(present.known, offer, handoff_id, present.now, grace, bound)
            events = own(change.events)
            return Decision(change.context, events, {offer.interaction_id: "t"}, {"handoff_id": handoff_id}, lookups)

        committed = await self._changes.change(who, decide, request)
        _count(committed)
        if committed.replayed is not None:  # the number of partitions, with which ids begin, may have changed since
            handoff_id = committed.replayed["handoff_id"]
        handoff = committed.context.handoff(handoff_id)
        place = handoff.to.queue
        queue = await self._queues.show(who.tenant, place) if place else None
        shown = self._with_secrets(who.tenant, self._view(who, committed.context, handoff_id, committed.version))
        return {
            "handoff": shown.model_dump(mode="json"),
            "queue": queue.model_dump(mode="json") if queue else None,
            "etag": committed.version,
        }

    def _bound(self, context: Context) -> tuple[str, ...]:
        """Return what a code is bound to: the customer's own phones and accounts."""
        own_ = [identifier for identifier in context.identifiers if identifier.type in _CODE_TYPES]
        return tuple(self._secrets.bound(*identifier.what) for identifier in own_)

    def _with_secrets(self, tenant: str, shown: HandoffView) -> HandoffView:
        """Return an offer's answer with what lets the customer go on elsewhere."""
        token = self._secrets.token(shown.handoff_id)
        link = self._links.to(tenant, shown.to.channel, token)
        has_code = bool(shown.code)
        code = self._secrets.code(shown.handoff_id) if has_code else None
        return shown.but(token=token, code=code, uui=uui(token), link=link)

    def _view(self, who: Who, context: Context, handoff_id: str, version: int) -> HandoffView:
        """Show a handoff; `code` says for now only whether there is one."""
        handoff = context.handoff(handoff_id)
        interaction = context.interactions.get(handoff.interaction_id)
        shown = handoffs.view(handoff, who.customer_id, interaction.channel if interaction else None, version)
        return shown.but(code="yes" if handoff.bound else None)

    def _shown(self, who: Who, context: Context, handoff_id: str, version: int) -> HandoffView:
        """Show a handoff without its secrets."""
        return self._view(who, context, handoff_id, version).but(code=None)

    async def _where(self, tenant: str, handoff_id: str) -> Who:
        """Return the customer of a handoff."""
        customer_id = await self._lookups.handoff(tenant, handoff_id)
        if customer_id is None:
            raise HandoffUnknown(f"there is no handoff {handoff_id}", handoff_id=handoff_id)
        return Who(tenant, customer_id)

    async def _change(
        self, tenant: str, handoff_id: str, rule: Rule, request: Request, heard: str = ""
    ) -> tuple[Who, Committed]:
        """Apply a rule to a handoff."""
        who = await self._where(tenant, handoff_id)

        def decide(present: Present) -> Decision:
            change = rule(present.known, present)
            spoke = {change.context.handoff(handoff_id).interaction_id: heard} if heard and change.events else {}
            return Decision(change.context, own(change.events), spoke, {"handoff_id": handoff_id})

        try:
            committed = await self._changes.change(who, decide, request)
        except CustomerUnknown as error:
            raise HandoffUnknown(f"there is no handoff {handoff_id}", handoff_id=handoff_id) from error
        _count(committed)
        return who, committed

    async def accept(
        self, principal: Principal, handoff_id: str, agent_id: str, request: Request = PLAIN
    ) -> dict[str, Any]:
        """Give a handoff, and the floor, to one agent; the same agent again gets the same answer."""
        principal.must_be(agent_id)
        lease = self._changes.patience.lease
        who, committed = await self._change(
            principal.tenant,
            handoff_id,
            lambda context, present: handoffs.accept(context, handoff_id, agent_id, present.now, lease),
            request,
            "t",
        )
        handoff = committed.context.handoff(handoff_id)
        reader = Principal(tenant=principal.tenant, name=principal.name, role="agent", agent=agent_id)
        shown = await self._contexts.read(who, reader.reader(handoff.interaction_id))
        interaction = committed.context.interaction(handoff.interaction_id)
        return {
            "handoff": self._shown(who, committed.context, handoff_id, committed.version).model_dump(mode="json"),
            "interaction": interaction_view(interaction, self._changes.clock()).model_dump(mode="json"),
            "context": shown.value,
            "fence": handoff.fence,
            "etag": shown.version,
        }

    async def decline(
        self, principal: Principal, handoff_id: str, agent_id: str, reason: str, request: Request = PLAIN
    ) -> Shown:
        """Pass on a handoff."""
        principal.must_be(agent_id)
        return await self._simply(
            principal, handoff_id, request,
            lambda context, present: handoffs.decline(context, handoff_id, agent_id, reason, present.now),
        )  # fmt: skip

    async def _simply(self, principal: Principal, handoff_id: str, request: Request, rule: Rule) -> Shown:
        """Apply a rule and show the handoff."""
        who, committed = await self._change(principal.tenant, handoff_id, rule, request)
        return Shown(self._shown(who, committed.context, handoff_id, committed.version), committed.version)

    async def cancel(self, principal: Principal, handoff_id: str, request: Request = PLAIN) -> Shown:
        """Take back an open offer."""
        return await self._simply(
            principal, handoff_id, request, lambda context, present: handoffs.cancel(context, handoff_id, present.now)
        )

    async def complete(
        self, principal: Principal, handoff_id: str, agent_id: str, fence: int, outcome: str | None,
        request: Request = PLAIN,
    ) -> Shown:  # fmt: skip
        """Finish the work on a handoff."""
        principal.must_be(agent_id)
        return await self._simply(
            principal, handoff_id, request,
            lambda context, present: handoffs.complete(context, handoff_id, agent_id, fence, outcome, present.now),
        )  # fmt: skip

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
    ) -> dict[str, Any]:
        """Return an interaction by a handoff of its own."""
        principal.must_be(agent_id)
        who = await self._where(principal.tenant, handoff_id)

        def decide(present: Present) -> Decision:
            context = present.known
            child_id = self._return_of(who, context, handoff_id, fence)
            lookups = self._lookups.handoff_lookups(who, child_id, self._secrets.token(child_id))
            if child_id in context.handoffs and context.handoff(handoff_id).agent_id == agent_id:
                return Decision(context, record={"handoff_id": child_id})
            back = handoffs.return_of(context, handoff_id, child_id, to, step, note, present.now)
            change = handoffs.give_back(context, handoff_id, agent_id, fence, back, present.now)
            return Decision(change.context, own(change.events), {}, {"handoff_id": child_id}, lookups)

        committed = await self._changes.change(who, decide, request)
        _count(committed)
        before = committed.replayed
        child_id = before["handoff_id"] if before else self._return_of(who, committed.context, handoff_id, fence)
        shown = self._shown(who, committed.context, handoff_id, committed.version)
        child = self._with_secrets(who.tenant, self._view(who, committed.context, child_id, committed.version))
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
        who = await self._where(principal.tenant, handoff_id)
        loaded, context = await self._changes.contexts.existing(who)
        context = self._contexts.present(loaded, context, self._changes.clock())
        handoff = context.handoff(handoff_id)
        _may_look(principal, handoff)
        return Shown(self._shown(who, context, handoff_id, loaded.version), loaded.version)

    async def by_token(self, principal: Principal, token: str) -> Shown:
        """Look at the handoff of a token without using it."""
        handoff_id = await self._lookups.token(token)
        if handoff_id is None:
            raise HandoffUnknown("the token stands for no handoff")
        return await self.get(principal, handoff_id)

    async def waiting(self, tenant: str, queue: str, state: str) -> list[HandoffView]:
        """Return the handoffs of a queue that are offered or accepted, first in line first."""
        place = f"waiting:queue:{queue}" if state == "offered" else f"held:queue:{queue}"
        members = await self._lists.members(tenant, place)
        whos = [Who(tenant, customer_id) for customer_id, _ in members]
        found, now = await self._changes.contexts.many(whos), self._changes.clock()
        return [
            self._shown(who, context, handoff_id, 0).but(version=None)
            for who, (_, handoff_id), context in zip(whos, members, found, strict=True)
            if context is not None and _stands(context, handoff_id, state, now)
        ]


def _stands(context: Context, handoff_id: str, state: str, now: datetime) -> bool:
    """Tell whether a listed handoff is still in its state, and its offer not over."""
    handoff = context.handoffs.get(handoff_id)
    return handoff is not None and handoff.state == state and (state != "offered" or now < handoff.expires_at)


def _may_look(principal: Principal, handoff: Handoff) -> None:
    """Let an agent look only at what is on offer to all, to him, or was his."""
    if principal.role != "agent" or principal.agent is None:
        return
    concerned = handoff.agent_id or handoff.to.agent
    if concerned not in (None, principal.agent):
        raise Forbidden(f"handoff {handoff.handoff_id} is not yours", handoff_id=handoff.handoff_id)


def _count(committed: Committed) -> None:
    """Count what became of handoffs."""
    for event in committed.events:
        if event.type.startswith("handoff."):
            HANDOFFS.labels(event.type.removeprefix("handoff.")).inc()
