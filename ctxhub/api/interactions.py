"""Routes of interactions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, model_validator
from pydantic.config import JsonDict

from ctxhub.api.calls import Adapter, HubHere, Onlooker, Route, Worker, answer, conditions_of, worked_in
from ctxhub.hub import asserting
from ctxhub.hub.interactions import NOT_THIS_CUSTOMER
from ctxhub.model.context import Started
from ctxhub.model.customer import AssuranceClaim, Identifier
from ctxhub.model.event import Ref
from ctxhub.model.interaction import HandoffHint, InteractionView, Outcome, Start
from ctxhub.model.value import CustomerId, Id, Name, Value

router = APIRouter(prefix="/v1", tags=["interactions"], route_class=Route)

_START: JsonDict = {
    "channel": "ivr",
    "system": "twilio-main",
    "external_id": "CA9f",
    "identifiers": [{"type": "phone", "value": "+8613800138000", "strength": "claimed"}],
    "assurance": {"level": 1, "method": "ani", "expires_in": 1800},
}
_AT_PHONE = "the agent at whose phone their calls ring, or who is on the line; `legs` says which"


class StartBody(Start):
    """What a channel knows as an interaction begins."""

    model_config = {"json_schema_extra": {"examples": [_START]}}


class RedeemBody(Start):
    """The same as a start, with the token, or the code and identifiers it is bound to."""

    model_config = {"json_schema_extra": {"examples": [{"channel": "chat", "external_id": "web-77", "token": "07Qz…"}]}}
    token: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    code: Annotated[str, Field(min_length=1, max_length=16)] | None = None

    def as_start(self) -> Start:
        """Return it as a start that names its handoff."""
        shown = {name: getattr(self, name) for name in Start.model_fields}
        return Start.model_construct(**shown | {"handoff": HandoffHint(token=self.token, code=self.code)})


class RefLookup(Value):
    """Another system's name for an interaction."""

    ref: Ref


class RefsBody(Value):
    """More names for an interaction."""

    refs: Annotated[list[Ref], Field(min_length=1, max_length=32)]


class EndBody(Value):
    """How an interaction ended."""

    disposition: Name | None = None
    outcome: Outcome | None = None


class IdentifyBody(Value):
    """Who it really is; `not_this_customer` alone where all that is known is who it is not."""

    customer_id: CustomerId | None = None
    identifiers: Annotated[list[Identifier], Field(max_length=64)] | None = None
    assurance: AssuranceClaim | None = None
    reason: Annotated[str, Field(pattern="^(verified|not_this_customer)$")] = "verified"

    @model_validator(mode="after")
    def _names_somebody(self) -> IdentifyBody:
        """Refuse a request that names nobody."""
        if self.customer_id is None and not self.identifiers and self.reason != NOT_THIS_CUSTOMER:
            raise ValueError("name a customer_id or identifiers, or say not_this_customer")
        return self


class Found(Value):
    """An interaction, and whose it is."""

    customer_id: CustomerId
    interaction: InteractionView
    version: int


@router.post(
    "/interactions", response_model=Started, status_code=201,
    responses={200: {"model": Started, "description": "It had begun before."}},
)  # fmt: skip
async def start(body: StartBody, request: Request, hub: HubHere, caller: Adapter) -> Response:
    """Find or start an interaction; brings back everything a channel needs in one call."""
    body = hub.never_kept.said(caller.tenant, body)
    started, created, version = await hub.interactions.start(caller, body, await conditions_of(request, caller))
    return answer(started, version, 201 if created else 200)


@router.post("/handoffs/redeem", response_model=Started, tags=["handoffs"])
async def redeem(body: RedeemBody, request: Request, hub: HubHere, caller: Adapter) -> Response:
    """Let a token or code bring an interaction in, with everything already said."""
    start = hub.never_kept.said(caller.tenant, body).as_start()
    redeemed, version = await hub.interactions.redeem(caller, start, await conditions_of(request, caller))
    return answer(redeemed, version)


@router.post("/interactions/lookup", response_model=Found)
async def lookup(body: RefLookup, hub: HubHere, caller: Worker) -> Response:
    """Find an interaction by another system's name; an agent one of a customer in his sight."""
    who, view, version = await hub.interactions.lookup(caller.tenant, body.ref)
    caller.must_speak_on(view.channel)
    if caller.role == "agent":
        await hub.contexts.sight(who, caller.reader())
    return _found(who, view, version)


@router.get("/interactions")
async def open_on(
    hub: HubHere,
    caller: Onlooker,
    channel: Annotated[str | None, Query(max_length=40)] = None,
    agent_id: Annotated[Id | None, Query(description=_AT_PHONE)] = None,
    state: str = "open",
) -> Response:
    """List the open interactions of a channel, or the calls at an agent's phone; to an agent those in his sight."""
    if state != "open":
        return answer({"interactions": []})
    return answer({"interactions": await hub.interactions.listed(caller, channel, agent_id)})


@router.put("/customers/{customer_id}/interactions/{interaction_id}/refs", response_model=Found)
async def add_refs(
    customer_id: str, interaction_id: str, body: RefsBody, request: Request, hub: HubHere, caller: Worker
) -> Response:
    """Add other systems' names for an interaction."""
    who, conditions = await worked_in(request, caller, customer_id), await conditions_of(request, caller)
    refs = hub.never_kept.said(caller.tenant, body).refs
    view, version = await hub.interactions.add_refs(who, interaction_id, refs, conditions)
    return _found(who, view, version)


@router.post("/customers/{customer_id}/interactions/{interaction_id}/end", response_model=Found)
async def end(
    customer_id: str, interaction_id: str, body: EndBody, request: Request, hub: HubHere, caller: Worker
) -> Response:
    """End an interaction; whoever waited in a queue for a human has left."""
    who, conditions = await worked_in(request, caller, customer_id), await conditions_of(request, caller)
    said = (body.outcome, body.disposition)
    view, version = await hub.interactions.end(who, interaction_id, *said, conditions, caller.agent)
    return _found(who, view, version)


@router.post("/customers/{customer_id}/interactions/{interaction_id}/identify", response_model=Found)
async def identify(
    customer_id: str, interaction_id: str, body: IdentifyBody, request: Request, hub: HubHere, caller: Worker
) -> Response:
    """Move an interaction, with what belongs to it and nothing else, to whom it really is, be it somebody new."""
    body = hub.never_kept.said(caller.tenant, body)
    named, claim, identifiers = body.customer_id, body.assurance, body.identifiers or []
    asserting.claim(caller, claim)
    asserting.identifiers(caller, identifiers)
    who, conditions = await worked_in(request, caller, customer_id), await conditions_of(request, caller)
    if identifiers and named is None:
        await hub.limits.count_lookup(caller)
    found = await hub.interactions.identify_as(
        who, interaction_id, named, identifiers, claim, body.reason, conditions
    )  # fmt: skip
    return _found(*found)


def _found(who: tuple[str, str], view: InteractionView, version: int) -> Response:
    """Answer with an interaction and whose it is."""
    shown = {"customer_id": who[1], "interaction": view.model_dump(mode="json"), "version": version}
    return answer(shown, version)
