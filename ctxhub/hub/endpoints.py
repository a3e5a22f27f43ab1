"""Endpoints as they stand: what they are told, what waits for them, and what was given up and is driven again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from ctxhub.errors import Unknown
from ctxhub.hub.tenants import Tenants
from ctxhub.model.value import rfc3339
from ctxhub.model.webhook import WebhookSpec
from ctxhub.store.deliveries import Deliveries, DeliveryState, Endpoint

log = structlog.get_logger()


class Endpoints:
    """Shows how endpoints stand, whether a hub is at work or not, and queues again what was given up."""

    def __init__(self, tenants: Tenants, deliveries: Deliveries, clock: Callable[[], datetime]) -> None:
        self._tenants = tenants
        self._deliveries = deliveries
        self._clock = clock

    async def listed(self, tenant: str) -> list[dict[str, Any]]:
        """Return every endpoint of a tenant as it stands: what it is told, and how its queue does."""
        specs = self._tenants.of(tenant).webhooks
        return [await self._shown(Endpoint(tenant, name), spec) for name, spec in specs.items()]

    async def _shown(self, endpoint: Endpoint, spec: WebhookSpec) -> dict[str, Any]:
        """Return one endpoint as it stands."""
        backlog = await self._deliveries.backlog(endpoint)
        url, disabled_at = (await self._deliveries.disabled([endpoint])).get(endpoint, (None, None))
        return {
            "name": endpoint.name,
            "url": spec.url,
            "events": spec.events,
            "queues": spec.queues,
            "content": spec.content,
            "order": spec.order,
            "disabled_at": rfc3339(disabled_at) if disabled_at and url == spec.url else None,
            "waiting": backlog.waiting,
            "oldest_at": rfc3339(backlog.oldest_at) if backlog.oldest_at else None,
            "delivered": backlog.delivered,
            "dead": backlog.dead,
        }

    async def deliveries(self, tenant: str, name: str, state: DeliveryState, most: int) -> list[dict[str, Any]]:
        """Return deliveries to an endpoint that wait, were acknowledged lately, or were given up."""
        self._must_be_declared(tenant, name)
        found = await self._deliveries.listed(Endpoint(tenant, name), state, most)
        return [{"state": state, **delivery.model_dump(mode="json")} for delivery in found]

    async def redrive(self, tenant: str, name: str) -> int:
        """Queue all that was given up for an endpoint again, and let it be called again; return how much it was."""
        self._must_be_declared(tenant, name)
        endpoint = Endpoint(tenant, name)
        await self._deliveries.enable(endpoint)
        count = await self._deliveries.redrive(endpoint, self._clock())
        log.info("webhook.redriven", tenant=tenant, webhook=name, deliveries=count)
        return count

    def _must_be_declared(self, tenant: str, name: str) -> None:
        """Refuse an endpoint that the tenant's file does not have."""
        if name not in self._tenants.of(tenant).webhooks:
            raise Unknown(f"there is no webhook {name!r}", webhook=name)
