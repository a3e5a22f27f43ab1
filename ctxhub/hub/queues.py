"""Queues: who waits for agents, exactly as it stands now, whether anybody is there, and what else there is."""

from __future__ import annotations

from ctxhub.hub.changes import Clock
from ctxhub.hub.tenants import Tenants
from ctxhub.model.queue import FEWEST, Line, QueueView, possible, standing, window
from ctxhub.store.handlings import Handlings
from ctxhub.store.lists import Lists


class Queues:
    """Shows queues; one that is not declared is open, and is there as soon as somebody is offered to it."""

    def __init__(self, lists: Lists, handlings: Handlings, tenants: Tenants, clock: Clock) -> None:
        self._lists = lists
        self._handlings = handlings
        self._tenants = tenants
        self._clock = clock

    async def show(self, tenant: str, queue: str) -> QueueView:
        """Show a queue; how long it takes is told where the hub routes and has measured it, else null."""
        line, now, declared = await self._line(tenant, queue), self._clock(), self._tenants.of(tenant)
        spec, calendar = declared.queue(queue), declared.calendar(queue)
        others = possible(spec.alternatives, window(calendar, spec.callback, now), lambda q: declared.is_open(q, now))
        return standing(queue, line, calendar, now).but(alternatives=others)

    async def _line(self, tenant: str, queue: str) -> Line:
        """Return who waits, and what it takes to estimate how long; nothing of that where there is no base."""
        waiting = await self._lists.length(tenant, f"waiting:queue:{queue}")
        if self._tenants.of(tenant).queue(queue).routing == "external":
            return Line(waiting)
        handled = await self._handlings.recent(tenant, queue, self._clock())
        if len(handled.seconds) < FEWEST:
            return Line(waiting)
        return Line(waiting, await self._lists.length(tenant, f"held:queue:{queue}"), handled)
