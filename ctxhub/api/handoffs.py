"""Routes of handoffs and queues."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field
from pydantic.config import JsonDict

from ctxhub.api.calls import HubHere, Onlooker, Route, Worker, answer, conditions_of, worked_for
from ctxhub.hub.handoffs import Shown
from ctxhub.model.context import ContextView
from ctxhub.model.handoff import Draft, HandoffView, OfferRequest, Target
from ctxhub.model.interaction import InteractionView
from ctxhub.model.queue import QueueView
from ctxhub.model.value import Fence, Id, Name, Text, Value

router = APIRouter(prefix="/v1", tags=["handoffs"], route_class=Route)

_OFFER: JsonDict = {
    "customer_id": "c42",
    "interaction_id": "in_…",
    "reason": "card blocked abroad",
    "to": {"queue": "cards"},
}


class OfferBody(OfferRequest):
    """What an offer says."""

    model_config = {"json_schema_extra": {"examples": [_OFFER]}}


class AgentBody(Value):
    """Which agent."""

    agent_id: Id


class DeclineBody(AgentBody):
    """Why an agent passes."""

    reason: Name = "declined"


class HeldBody(AgentBody):
    """Which agent, with the fence that was given out."""

    fence: Fence


class CompleteBody(HeldBody):
    """How the work ended: in words, and by one of the queue's codes."""

    outcome: Name | None = None
    disposition: Name | None = None


class DraftBody(HeldBody):
    """What an agent has written so far for the end of the work."""

    draft: Draft


class ReturnBody(HeldBody):
    """Where it goes back to, at which step, what to know, and what a bot is to say first."""

    to: Target | None = None
    step: Name | None = None
    note: Text | None = None
    say: Text | None = None


class TokenBody(Value):
    """A token to look at."""

    token: Annotated[str, Field(min_length=1, max_length=64)]


class Offered(Value):
    """The offer, with what lets the customer go on elsewhere, its queue, and the customer's other live interactions."""

    handoff: HandoffView
    queue: QueueView | None
    live: list[InteractionView] = []


class Accepted(Value):
    """Everything an agent needs."""

    handoff: HandoffView
    interaction: InteractionView
    context: ContextView
    fence: int | None


class Returned(Value):
    """The handoff, and the one by which it goes back."""

    handoff: HandoffView
    offered: HandoffView


class One(Value):
    """A handoff."""

    handoff: HandoffView


class Several(Value):
    """Handoffs, first in line first."""

    handoffs: list[HandoffView]


@router.post("/handoffs", response_model=Offered, status_code=201)
async def offer(body: OfferBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Offer an interaction to a queue, an agent, a bot or another channel."""
    await worked_for(request, caller, body.customer_id)
    body = hub.never_kept.said(caller.tenant, body)
    return _answer(await hub.handoffs.offer(caller, body, await conditions_of(request, caller)), 201)


def _answer(shown: dict[str, Any], status: int = 200) -> Response:
    """Answer with a handoff's version as ETag."""
    etag = shown.pop("etag")
    return answer(shown, etag, status)


def _one(shown: Shown) -> Response:
    """Answer with one handoff."""
    return answer({"handoff": shown.handoff.model_dump(mode="json")}, shown.version)


@router.post("/handoffs/lookup", response_model=One)
async def lookup(body: TokenBody, hub: HubHere, caller: Worker) -> Response:
    """Look at the handoff of a token without using it."""
    return _one(await hub.handoffs.by_token(caller, body.token))


_BY_NAME = "in place of a queue: those that were offered to this agent by name"


@router.get("/handoffs", response_model=Several)
async def waiting(
    hub: HubHere,
    caller: Onlooker,
    queue: Annotated[Name | None, Query()] = None,
    agent_id: Annotated[Id | None, Query(description=_BY_NAME)] = None,
    state: Literal["offered", "accepted"] = "offered",
) -> Response:
    """List the handoffs of a queue or for an agent, first in line first; an agent those that wait, and his own."""
    found = await hub.handoffs.listed(caller, queue, agent_id, state)
    return answer({"handoffs": [handoff.model_dump(mode="json") for handoff in found]})


@router.get("/handoffs/{handoff_id}", response_model=One)
async def get(handoff_id: str, hub: HubHere, caller: Onlooker) -> Response:
    """Show a handoff as it stands now."""
    return _one(await hub.handoffs.get(caller, handoff_id))


@router.post("/handoffs/{handoff_id}/accept", response_model=Accepted)
async def accept(handoff_id: str, body: AgentBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Take a handoff, and the floor with it; exactly one wins."""
    conditions = await conditions_of(request, caller)
    return _answer(await hub.handoffs.accept(caller, handoff_id, body.agent_id, conditions))


@router.post("/handoffs/{handoff_id}/decline", response_model=One)
async def decline(handoff_id: str, body: DeclineBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Pass; a queue goes on offering."""
    conditions = await conditions_of(request, caller)
    return _one(await hub.handoffs.decline(caller, handoff_id, body.agent_id, body.reason, conditions))


@router.post("/handoffs/{handoff_id}/cancel", response_model=One)
async def cancel(handoff_id: str, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Take back an open offer."""
    return _one(await hub.handoffs.cancel(caller, handoff_id, await conditions_of(request, caller)))


@router.post("/handoffs/{handoff_id}/complete", response_model=One)
async def complete(handoff_id: str, body: CompleteBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Finish the work; the floor goes back to the bot where the interaction goes on."""
    conditions = await conditions_of(request, caller)
    said = (body.agent_id, body.fence, body.outcome)
    return _one(await hub.handoffs.complete(caller, handoff_id, *said, conditions, body.disposition))


@router.put("/handoffs/{handoff_id}/draft", response_model=One)
async def draft(handoff_id: str, body: DraftBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Keep what an agent has written so far; whoever holds it gets it back with the handoff."""
    conditions = await conditions_of(request, caller)
    return _one(await hub.handoffs.draft(caller, handoff_id, body.agent_id, body.fence, body.draft, conditions))


@router.post("/handoffs/{handoff_id}/return", response_model=Returned)
async def give_back(handoff_id: str, body: ReturnBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Return the interaction to whoever had it, or to whom is named, at a step."""
    conditions = await conditions_of(request, caller)
    body = hub.never_kept.said(caller.tenant, body)
    said = (body.agent_id, body.fence, body.to, body.step, body.note)
    return _answer(await hub.handoffs.give_back(caller, handoff_id, *said, conditions, body.say))


@router.post("/handoffs/{handoff_id}/renew", response_model=One)
async def renew(handoff_id: str, body: HeldBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Hold a handoff for another lease."""
    conditions = await conditions_of(request, caller)
    return _one(await hub.handoffs.renew(caller, handoff_id, body.agent_id, body.fence, conditions))


@router.post("/handoffs/{handoff_id}/receipt", response_model=One)
async def receipt(handoff_id: str, body: AgentBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Note that the receiver was shown the context."""
    conditions = await conditions_of(request, caller)
    return _one(await hub.handoffs.receipt(caller, handoff_id, body.agent_id, conditions))


@router.get("/queues/{queue}", response_model=QueueView, tags=["queues"])
async def queue(queue: Annotated[Name, Path()], hub: HubHere, caller: Onlooker) -> Response:
    """Show a queue now."""
    caller.must_serve(queue)
    shown = await hub.queues.show(caller.tenant, queue)
    return answer(shown.model_dump_json().encode())
