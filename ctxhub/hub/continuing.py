"""Going on elsewhere: ways out of a queue that keep the place, and the place of a call that was cut off."""

from __future__ import annotations

from typing import Any

from ctxhub.hub.changes import PLAIN, Changes, Committed, Decision, Present, Request, own
from ctxhub.hub.dialling import Dialling
from ctxhub.hub.handoffs import Handoffs
from ctxhub.hub.interactions import Interactions
from ctxhub.hub.keys import Principal
from ctxhub.hub.secrets import Secrets
from ctxhub.hub.tenants import Tenants
from ctxhub.model import continuing
from ctxhub.model import handoff as handoffs
from ctxhub.model.continuing import ElsewhereRequest, Rules
from ctxhub.model.customer import Identifier
from ctxhub.model.handoff import Target
from ctxhub.model.interaction import find
from ctxhub.store.contexts import Who


class Continuing:
    """Lets waiting customers go on in another channel, and those who were cut off go on where they were."""

    def __init__(
        self, changes: Changes, tenants: Tenants, handoffs_: Handoffs, interactions: Interactions, dialling: Dialling,
        secrets: Secrets,
    ) -> None:  # fmt: skip
        self._changes = changes
        self._tenants = tenants
        self._handoffs = handoffs_
        self._interactions = interactions
        self._dialling = dialling
        self._secrets = secrets

    async def elsewhere(
        self, principal: Principal, handoff_id: str, wanted: ElsewhereRequest, request: Request = PLAIN
    ) -> dict[str, Any]:
        """Offer a waiting customer a way to go on in another channel; the answer says whether the place is kept."""
        who = await self._handoffs.where(principal.tenant, handoff_id)
        seed = request.operation.digest if request.operation else None
        link_id = self._secrets.handoff_id(*who, seed)
        to = Target(channel=wanted.channel)

        def decide(present: Present) -> Decision:
            context = present.known
            waiting = context.handoff(handoff_id)
            principal.must_serve(waiting.to.queue)
            change = handoffs.beside(
                context, waiting, link_id, to, wanted.delivery, wanted.expires_in, present.now,
                self._handoffs.bound(context),
            )  # fmt: skip
            record, lookups = {"handoff_id": link_id}, self._interactions.lookups_of(who, link_id)
            return Decision(change.context, own(change.events), {}, record, lookups)

        committed = await self._changes.change(who, decide, request)
        kept = self._is_kept(who, committed, handoff_id)
        await self._dialling.settled(who.tenant, committed.events)
        answer = await self._handoffs.offered(principal, who, committed, link_id, kept)
        if wanted.announce:
            await self._handoffs.announced(who, committed, answer)
        return answer

    def _is_kept(self, who: Who, committed: Committed, handoff_id: str) -> bool:
        """Tell whether a waiting customer who goes on elsewhere keeps the place."""
        return continuing.is_kept(committed.context.handoff(handoff_id), self._tenants.of(who.tenant))

    async def announce(
        self, principal: Principal, handoff_id: str, identifiers: list[Identifier] | None
    ) -> dict[str, Any]:
        """Let a call from the customer's numbers find an offer; the answer is the same for every number."""
        who = await self._handoffs.where(principal.tenant, handoff_id)
        loaded, context = await self._changes.contexts.existing(who)
        until = await self._dialling.announce(who, context, context.handoff(handoff_id), identifiers)
        return {"handoff_id": handoff_id, "until": until.isoformat(), "etag": loaded.version}

    async def go_on(
        self, principal: Principal, who: Who, interaction_id: str, request: Request = PLAIN
    ) -> dict[str, Any]:
        """Give whoever was cut off in a queue, and calls again from the same number, the place back."""
        tenant, grace = self._tenants.of(who.tenant), self._changes.patience.grace

        def decide(present: Present) -> Decision:
            context, rules = present.known, Rules(tenant, grace, present.now)
            calling = find(context, interaction_id)
            taken = continuing.taken_back(context, calling)
            left = None if taken is not None else continuing.dropped(context, calling, rules)
            if left is None:
                return Decision(context, record={"handoff_id": taken})
            place = self._interactions.place(who, left.handoff_id, interaction_id)
            moved = continuing.go_on(context, left.handoff_id, interaction_id, place, rules)
            record, lookups = {"handoff_id": moved.handoff_id}, self._interactions.lookups_of(who, moved.handoff_id)
            return Decision(moved.change.context, own(moved.change.events), {}, record, lookups)

        committed = await self._changes.change(who, decide, request)
        found = continuing.taken_back(committed.context, committed.context.interaction(interaction_id))
        if found is None:
            return {"place_kept": False, "handoff": None, "queue": None, "etag": committed.version}
        answer = await self._handoffs.offered(principal, who, committed._replace(replayed=None), found, True)
        return {"place_kept": True, "handoff": answer["handoff"], "queue": answer["queue"], "etag": answer["etag"]}
