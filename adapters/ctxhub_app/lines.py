"""Places in queues: looked up for many visits at once, so that a long queue is not read again for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ctxhub.client import ContextHub, HandoffView, QueueView, Waiting
from ctxhub_app.translate import Line, line_of

FRESH_FOR = 2.0
#: Further back nobody counts: the queue's length says enough.
COUNTED_UP_TO = 200
_MOST_KEPT = 1000


class _Seen(NamedTuple):
    """A queue as it was a moment ago; `ahead` is its order, where it is short enough."""

    stale_at: float
    queue: QueueView
    ahead: Sequence[HandoffView] | None


class Lines:
    """Where customers stand in the queues of all tenants."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}

    async def of(self, hub: ContextHub, tenant: str, waiting: Iterable[Waiting]) -> dict[str, Line]:
        """Return the place of each that waits in a queue, by its handoff; about two seconds old at most."""
        return {one.handoff_id: await self._place(hub, tenant, one) for one in waiting}

    async def _place(self, hub: ContextHub, tenant: str, waiting: Waiting) -> Line:
        """Return one place; one that was not there a moment ago makes us look again."""
        queue = str(waiting.queue)
        seen = self._fresh(tenant, queue) or await self._look(hub, tenant, queue)
        if seen.ahead is not None and waiting.handoff_id not in {one.handoff_id for one in seen.ahead}:
            seen = await self._look(hub, tenant, queue)
        return line_of(waiting, seen.queue, seen.ahead)

    def _fresh(self, tenant: str, queue: str) -> _Seen | None:
        """Return what was seen a moment ago, if anything was."""
        seen = self._seen.get((tenant, queue))
        return seen if seen is not None and _now() < seen.stale_at else None

    async def _look(self, hub: ContextHub, tenant: str, queue: str) -> _Seen:
        """Look at a queue, in order where it is short."""
        stale_at = _now() + FRESH_FOR
        shown = await hub.queues.show(queue)
        ahead = await hub.handoffs.list(queue=queue) if shown.waiting <= COUNTED_UP_TO else None
        if len(self._seen) >= _MOST_KEPT:
            self._seen.clear()
        self._seen[tenant, queue] = seen = _Seen(stale_at, shown, ahead)
        return seen


def _now() -> float:
    return asyncio.get_running_loop().time()
