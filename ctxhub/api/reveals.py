"""The route of reveals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, StringConstraints

from ctxhub.api.calls import HubHere, Route, allowed, answer, conditions_of, who_of
from ctxhub.hub.keys import Principal
from ctxhub.model.revealing import RevealedFact
from ctxhub.model.value import Id, Name, Value

router = APIRouter(prefix="/v1", tags=["context"], route_class=Route)

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]
Colleague = Annotated[Principal, Depends(allowed("agent"))]


class RevealBody(Value):
    """What an agent asks to read unmasked, and why; the timeline keeps the reason."""

    interaction_id: Id
    names: Annotated[list[Name], Field(min_length=1, max_length=20)]
    reason: Reason
    agent_id: Id | None = None


class Revealed(Value):
    """The values as they stand, and the version that tells of it."""

    facts: list[RevealedFact]
    version: int


@router.post("/customers/{customer_id}/reveal", response_model=Revealed)
async def reveal(customer_id: str, body: RevealBody, request: Request, hub: HubHere, caller: Colleague) -> Response:
    """Read masked values of a customer whose interaction the agent holds; the timeline tells it, with the reason."""
    conditions = await conditions_of(request, caller)
    body = hub.never_kept.said(caller.tenant, body)
    wish = hub.reveals.wish(caller, body.agent_id, body.interaction_id, body.names, body.reason)
    facts, version = await hub.reveals.reveal(who_of(caller, customer_id), wish, conditions)
    return answer({"facts": [fact.model_dump(mode="json") for fact in facts], "version": version}, version)
