"""Routes of webhooks: how each endpoint stands, what is on its way there, and the re-drive of what was given up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from ctxhub.api.calls import Admin, HubHere, Route, answer
from ctxhub.model.circuit import CircuitState
from ctxhub.model.value import CustomerId, Id, Instant, Name, Value
from ctxhub.store.deliveries import DeliveryState

router = APIRouter(prefix="/v1", tags=["tenant"], route_class=Route)

_NAME = Annotated[Name, Path(description="The webhook's name in the tenant's file.")]
_MOST = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]


class WebhookShown(Value):
    """A webhook as it stands; `waiting` are not acknowledged yet, `dead` were given up, `delivered` is lately."""

    name: Name
    url: str
    events: list[str]
    queues: list[Name]
    content: Literal["ids", "brief"]
    order: Literal["customer", "none"]
    disabled_at: Instant | None
    circuit: CircuitState
    waiting: int
    oldest_at: Instant | None
    delivered: int
    dead: int


class WebhooksShown(Value):
    """Every webhook of a tenant."""

    webhooks: list[WebhookShown]


class DeliveryShown(Value):
    """A delivery: what it tells, how often that was tried, and what the endpoint said last."""

    state: DeliveryState
    webhook_id: Id
    customer_id: CustomerId
    version: int
    event_id: Id
    type: Id
    at: Instant
    interaction_id: Id | None
    journey_id: Id | None
    channel: str | None
    data: dict[str, Any]
    queued_at: Instant
    attempts: int
    said: str | None
    said_at: Instant | None


class DeliveriesShown(Value):
    """Deliveries of one state."""

    deliveries: list[DeliveryShown]


class Redriven(Value):
    """How many dead letters are on their way again."""

    redriven: int


@router.get("/webhooks", response_model=WebhooksShown)
async def list_webhooks(hub: HubHere, caller: Admin) -> Response:
    """List the tenant's webhooks, and how their queues do."""
    return answer({"webhooks": await hub.webhooks.listed(caller.tenant)})


@router.post("/webhooks/{name}/redrive", response_model=Redriven)
async def redrive(name: _NAME, hub: HubHere, caller: Admin) -> Response:
    """Send all that was given up again, from the beginning; an endpoint that had answered 410 is called again."""
    return answer({"redriven": await hub.webhooks.redrive(caller.tenant, name)})


@router.get("/webhooks/{name}/{state}", response_model=DeliveriesShown)
async def list_deliveries(
    name: _NAME, state: DeliveryState, hub: HubHere, caller: Admin, limit: _MOST = 200
) -> Response:
    """List deliveries that are `waiting` (the oldest first), `delivered` lately, or `dead` (the newest first)."""
    return answer({"deliveries": await hub.webhooks.deliveries(caller.tenant, name, state, limit)})
