"""Routes of callbacks: for whatever dials, be it an ACD, a dialler or an agent's telephone."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from ctxhub.api.calls import HubHere, Route, Worker, answer, conditions_of
from ctxhub.model.callback import AttemptSaid
from ctxhub.model.handoff import HandoffView
from ctxhub.model.interaction import InteractionView
from ctxhub.model.value import Value

router = APIRouter(prefix="/v1", tags=["handoffs"], route_class=Route)


class AttemptBody(AttemptSaid):
    """What came of an attempt."""


class Dialled(Value):
    """The attempt to make now: the number, and the token that brings the call's context along."""

    handoff: HandoffView
    attempt: int
    number: str
    token: str
    uui: str


class Attempted(Value):
    """The callback after an attempt, and the interaction that the attempt opened."""

    handoff: HandoffView
    interaction: InteractionView | None = None


@router.post("/handoffs/{handoff_id}/dial", response_model=Dialled)
async def dial(handoff_id: str, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Take the attempt at a callback that is due, and the number with it; exactly one dials."""
    return _answer(await hub.callbacks.dial(caller, handoff_id, await conditions_of(request, caller)))


@router.post("/handoffs/{handoff_id}/attempts", response_model=Attempted)
async def attempted(handoff_id: str, body: AttemptBody, request: Request, hub: HubHere, caller: Worker) -> Response:
    """Tell what came of an attempt at a callback; told again it changes nothing."""
    body = hub.never_kept.said(caller.tenant, body)
    return _answer(await hub.callbacks.attempted(caller, handoff_id, body, await conditions_of(request, caller)))


def _answer(shown: dict[str, Any]) -> Response:
    """Answer with a callback's version as ETag."""
    etag = shown.pop("etag")
    return answer(shown, etag)
