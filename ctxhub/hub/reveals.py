"""Reveals: masked values read by an agent, each time with a reason and a trace."""

from __future__ import annotations

from ctxhub.errors import Invalid
from ctxhub.hub.changes import PLAIN, Changes, Decision, Present, Request, own
from ctxhub.hub.keys import Principal
from ctxhub.hub.tenants import Tenants
from ctxhub.model.revealing import RevealedFact, Wish, reveal, revealed_to
from ctxhub.store.contexts import Who


class Reveals:
    """Shows what was masked, after the timeline tells who asked and why."""

    def __init__(self, changes: Changes, tenants: Tenants) -> None:
        self._changes = changes
        self._tenants = tenants

    def wish(
        self, principal: Principal, agent_id: str | None, interaction_id: str, names: list[str], reason: str
    ) -> Wish:
        """Return who wishes to read what; a key bound to an agent speaks for that one."""
        agent = agent_id or principal.agent
        if agent is None:
            raise Invalid.field("/agent_id", "this key is bound to no agent; name the one who reads")
        principal.must_be(agent)
        return Wish(agent, interaction_id, names, reason)

    async def reveal(self, who: Who, wish: Wish, request: Request = PLAIN) -> tuple[list[RevealedFact], int]:
        """Return the values, once the timeline has who read which and why; again with the same key tells it once."""
        tenant = self._tenants.of(who.tenant)
        found: list[RevealedFact] = []

        def decide(present: Present) -> Decision:
            event_id = f"{wish.interaction_id}:revealed:{present.version + 1}"
            revealed = reveal(present.known, wish, tenant, present.now, event_id)
            found[:] = revealed.facts
            return Decision(present.known, own([revealed.event]))

        committed = await self._changes.change(who, decide, request)
        if committed.replayed is not None:
            found = revealed_to(committed.context, wish, tenant, self._changes.clock())
        return found, committed.version
