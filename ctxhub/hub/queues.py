"""Queues: who waits for agents, exactly as it stands now."""

from __future__ import annotations

from ctxhub.hub.tenants import Tenants
from ctxhub.model.handoff import QueueView
from ctxhub.store.lists import Lists


class Queues:
    """Shows queues; one that is not declared is open, and is there as soon as somebody is offered to it."""

    def __init__(self, lists: Lists, tenants: Tenants) -> None:
        self._lists = lists
        self._tenants = tenants

    async def show(self, tenant: str, queue: str) -> QueueView:
        """Show a queue; how long it takes is null, since nobody can tell yet."""
        waiting = await self._lists.length(tenant, f"waiting:queue:{queue}")
        others = [name for name in self._tenants.of(tenant).queues if name != queue]
        return QueueView(queue=queue, waiting=waiting, alternatives=others)
