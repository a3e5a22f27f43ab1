"""Briefs: what a reader may see of a customer, told in words."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import orjson

from ctxhub.hub.changes import Clock
from ctxhub.hub.contexts import Contexts, Viewed
from ctxhub.hub.tenants import Tenants
from ctxhub.model.brief import Brief, Wanted, brief
from ctxhub.model.disclosure import Reader
from ctxhub.model.fact import FactView
from ctxhub.model.tenant import Tenant
from ctxhub.store.contexts import Who

#: So many of the newest events are looked at for what was tried and said.
EVENTS = 60


def _evidence_of(fact: FactView) -> set[str | None]:
    """Return the events that told a fact, and what stands beside it."""
    return {fact.evidence, *(other.evidence for other in fact.others)}


class ToldBrief(NamedTuple):
    """A brief, and what it was made of."""

    brief: Brief
    wanted: Wanted
    viewed: Viewed
    tenant: Tenant
    now: datetime

    @property
    def facts(self) -> bytes:
        """The facts on which its sentences rest, as a context has them, as JSON."""
        rests_on = {event_id for line in self.brief.lines for event_id in line.evidence}
        told = {n: f for n, f in self.viewed.view.facts.items() if rests_on & _evidence_of(f)}
        return orjson.dumps({"facts": {name: fact.model_dump(mode="json") for name, fact in told.items()}})

    def is_as_before(self) -> bool:
        """Tell whether whoever holds a brief of this version has the very same words, though time has passed."""
        viewed = self.viewed
        if viewed.lapsed or viewed.since is None:
            return False
        first = brief(viewed.view, viewed.events, self.tenant, min(viewed.since, self.now), self.wanted)
        return first == self.brief


class Briefs:
    """Tells contexts: from the same one round trip as a reading of the context."""

    def __init__(self, contexts: Contexts, tenants: Tenants, clock: Clock) -> None:
        self._contexts = contexts
        self._tenants = tenants
        self._clock = clock

    async def read(self, who: Who, reader: Reader, wanted: Wanted, min_version: int | None = None) -> ToldBrief:
        """Return the brief for a reader, who is told what the same reader's context shows."""
        viewed = await self._contexts.view(who, reader, EVENTS, min_version)
        tenant, now = self._tenants.of(who.tenant), self._clock()
        return ToldBrief(brief(viewed.view, viewed.events, tenant, now, wanted), wanted, viewed, tenant, now)
