"""Journeys: steps that must not be done twice are claimed by one worker at a time."""

from __future__ import annotations

from ctxhub.hub.changes import PLAIN, Changes, Decision, Present, Request, own
from ctxhub.hub.never_kept import NeverKept
from ctxhub.hub.tenants import Tenants
from ctxhub.model import claiming
from ctxhub.model.claiming import Claim, ClaimRequest
from ctxhub.model.disclosure import EVERYTHING, sight_of, touchable, under
from ctxhub.model.interaction import find
from ctxhub.model.journey import Journey
from ctxhub.model.telling import refuse_bots
from ctxhub.store.contexts import Who


class Journeys:
    """Gives steps of journeys to workers."""

    def __init__(self, changes: Changes, tenants: Tenants, never_kept: NeverKept) -> None:
        self._changes = changes
        self._tenants = tenants
        self._never_kept = never_kept

    async def claim(
        self, who: Who, journey_id: str, wanted: ClaimRequest, request: Request = PLAIN
    ) -> tuple[Claim, int]:
        """Let one worker have a step; `ClaimedByAnother` while another has it."""
        wanted = self._never_kept.within(who.tenant, wanted, "step", "by")

        def decide(present: Present) -> Decision:
            journey = self._mine(who, present, journey_id, wanted.interaction_id)
            change = claiming.claim(present.known, journey, wanted, present.now)
            return Decision(change.context, own(change.events))

        committed = await self._changes.change(who, decide, request)
        held = committed.context.journey(journey_id).claim
        assert held is not None
        return held, committed.version

    def _mine(self, who: Who, present: Present, journey_id: str, interaction_id: str | None) -> Journey:
        """Return a journey that is the caller's to work on; a company's own system needs no interaction for that."""
        context = present.known
        if interaction_id is None:
            return touchable(context, EVERYTHING, journey_id)
        interaction = find(context, interaction_id)
        seen = under(sight_of(interaction, present.now), context, self._tenants.of(who.tenant))
        journey = touchable(context, seen, journey_id)
        refuse_bots(context, journey, interaction, present.now, seen)
        return journey
