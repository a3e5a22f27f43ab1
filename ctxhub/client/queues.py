"""Queues: where customers wait for agents."""

from __future__ import annotations

from ctxhub.client.transport import Transport, read, segment
from ctxhub.model.queue import QueueView

__all__ = ["Queues"]


class Queues:
    """Looking at queues."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def show(self, queue: str) -> QueueView:
        """Return whether a queue is open, how many wait, and how long that may take."""
        return read(QueueView, await self._transport.get(f"/v1/queues/{segment(queue)}"))
