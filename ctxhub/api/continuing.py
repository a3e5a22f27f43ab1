"""Routes by which a customer goes on elsewhere with the place in the queue kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field
from pydantic.config import JsonDict

from ctxhub.api.calls import Adapter, HubHere, Route, Worker, answer, conditions_of, worked_for
from ctxhub.api.handoffs import Offered
from ctxhub.model.claiming import Claim, ClaimRequest
from ctxhub.model.continuing import ElsewhereRequest
from ctxhub.model.customer import Identifier
from ctxhub.model.handoff import HandoffView
from ctxhub.model.queue import QueueView
from ctxhub.model.value import Id, Instant, Value

router = APIRouter(prefix="/v1", tags=["handoffs"], route_class=Route)

_ELSEWHERE: JsonDict = {"channel": "chat", "delivery": "message", "expires_in": 3600}
_CLAIM: JsonDict = {"step": "payout", "by": "app-payments-3", "for_seconds": 60}


class ElsewhereBody(ElsewhereRequest):
    """Where a waiting customer may go on, and how the way there is told."""

    model_config = {"json_schema_extra": {"examples": [_ELSEWHERE]}}


class AnnounceBody(Value):
    """From which numbers a call is to come; without them, from the customer's own."""

    identifiers: Annotated[list[Identifier], Field(max_length=16)] | None = None


class Announced(Value):
    """Until when a call finds the offer; it says nothing about any number."""

    handoff_id: Id
    until: Instant


class WentOn(Value):
    """Whether whoever calls again has the place back, the handoff that waits there, and its queue."""

    place_kept: bool
    handoff: HandoffView | None
    queue: QueueView | None


class ClaimBody(ClaimRequest):
    """Who wants to do which step, for how long at most."""

    model_config = {"json_schema_extra": {"examples": [_CLAIM]}}


class Claimed(Value):
    """The step is the caller's until then; `fence` goes to whoever does it, who refuses lower ones."""

    claim: Claim


@router.post("/handoffs/{handoff_id}/elsewhere", response_model=Offered, status_code=201)
async def elsewhere(handoff_id: str, body: ElsewhereBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Offer a waiting customer a way to go on in another channel; `place_kept` says whether the place goes along."""
    body = hub.never_kept.said(caller.tenant, body)
    shown = await hub.continuing.elsewhere(caller, handoff_id, body, await conditions_of(request, caller))
    return answer(shown, shown.pop("etag"), 201)


@router.post("/handoffs/{handoff_id}/announce", response_model=Announced)
async def announce(handoff_id: str, body: AnnounceBody, hub: HubHere, caller: Worker) -> Response:
    """Announce a call to an offer to go on by telephone: a call from the number finds it for two minutes."""
    identifiers = hub.never_kept.said(caller.tenant, body).identifiers
    shown = await hub.continuing.announce(caller, handoff_id, identifiers)
    return answer(shown, shown.pop("etag"))


@router.post("/customers/{customer_id}/interactions/{interaction_id}/continue", response_model=WentOn)
async def go_on(customer_id: str, interaction_id: str, request: Request, hub: HubHere, caller: Adapter) -> Response:
    """Give whoever was cut off in a queue, and calls again from the same number, the place back."""
    who, conditions = await worked_for(request, caller, customer_id), await conditions_of(request, caller)
    shown = await hub.continuing.go_on(caller, who, interaction_id, conditions)
    return answer(shown, shown.pop("etag"))


@router.post("/customers/{customer_id}/journeys/{journey_id}/claim", response_model=Claimed, tags=["journeys"])
async def claim(
    customer_id: str, journey_id: str, body: ClaimBody, request: Request, hub: HubHere, caller: Worker
) -> Response:
    """Claim a step that must not be done twice; exactly one worker has it, until the journey moves on or it lapses."""
    who, conditions = await worked_for(request, caller, customer_id), await conditions_of(request, caller)
    held, version = await hub.journeys.claim(who, journey_id, body, conditions)
    return answer({"claim": held.model_dump(mode="json")}, version)
