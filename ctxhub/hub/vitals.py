"""Vitals: what the hub's Redis has room for, and how far telling on is behind, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from ctxhub.hub.changes import Clock
from ctxhub.store.outbox import Outbox
from ctxhub.store.redis import Server
from ctxhub.store.vitals import read_vitals

EVERYWHERE = "; the same from every process of a hub: take the maximum, not the sum"
#: What is shown of the server, where it lets us ask: name, and what it means.
OF_THE_SERVER = {
    "redis_used_bytes": "memory that Redis uses",
    "redis_limit_bytes": "memory that Redis may use; 0: no limit",
    "redis_replicas": "replicas that are connected to Redis",
    "redis_appends": "1 where Redis keeps an append-only file and its last write to it went well, else 0",
}
OF_THE_OUTBOX = {
    "outbox_backlog_writes": "writes in the outboxes that wait to be told on",
    "outbox_oldest_seconds": "age of the oldest write that somebody has not been told of",
}


class VitalSigns:
    """Reads how Redis does and how long telling on has waited."""

    def __init__(self, server: Server, outbox: Outbox, clock: Clock) -> None:
        self._server = server
        self._outbox = outbox
        self._clock = clock

    async def metrics(self) -> list[Metric]:
        """Return what there is to say; nothing of the server where it does not let us ask."""
        found = [float(await self._outbox.backlog()), await self._waited()]
        shown = list(zip(OF_THE_OUTBOX.items(), found, strict=True))
        vitals = await read_vitals(self._server)
        if vitals is not None:
            shown += zip(OF_THE_SERVER.items(), map(float, vitals), strict=True)
        return [_gauge(name, meaning, value) for (name, meaning), value in shown]

    async def _waited(self) -> float:
        """Return how many seconds the oldest write has waited; 0 where none does."""
        oldest = await self._outbox.oldest_at()
        return max(0.0, (self._clock() - oldest).total_seconds()) if oldest else 0.0


def _gauge(name: str, meaning: str, value: float) -> Metric:
    """Return one number."""
    return GaugeMetricFamily(f"ctxhub_{name}", f"{meaning.capitalize()}{EVERYWHERE}.", value=value)
