"""Routes of merges, and of the timeline that runs through all that a customer was before."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from ctxhub.api.calls import HubHere, InteractionQuery, Onlooker, Route, Supervisor, answer, conditions_of, who_of
from ctxhub.hub.merging import MergeBody
from ctxhub.model.event import Event
from ctxhub.model.merging import Joined
from ctxhub.model.value import Id, Value

router = APIRouter(prefix="/v1", tags=["customers"], route_class=Route)


class UnmergeBody(Value):
    """The merge to be undone."""

    merge_id: Id


class WholePage(Value):
    """Events, oldest first, each with the customer on whose timeline it stands; after which mark to go on, or null."""

    events: list[Event]
    next: str | None


@router.post("/customers/{customer_id}/merge", response_model=Joined)
async def merge(customer_id: str, body: MergeBody, request: Request, hub: HubHere, caller: Supervisor) -> Response:
    """Let another customer be this one from now on, or only say what would come together."""
    conditions = await conditions_of(request, caller)
    return _joined(await hub.merging.asked(caller, who_of(caller, customer_id), body, conditions))


@router.post("/customers/{customer_id}/unmerge", response_model=Joined)
async def unmerge(customer_id: str, body: UnmergeBody, request: Request, hub: HubHere, caller: Supervisor) -> Response:
    """Let a customer be itself again, as if it had never been merged; what began since stays where it began."""
    conditions = await conditions_of(request, caller)
    return _joined(await hub.merging.unmerge(who_of(caller, customer_id), body.merge_id, conditions))


def _joined(joined: Joined) -> Response:
    """Answer with what a merge, or its end, came to."""
    return answer(joined.model_dump_json(by_alias=True).encode(), joined.version)


@router.get("/customers/{customer_id}/timeline/whole", response_model=WholePage, tags=["context"])
async def whole(
    customer_id: str,
    hub: HubHere,
    caller: Onlooker,
    after: Annotated[str | None, Query(max_length=4096, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    interaction_id: InteractionQuery = None,
) -> Response:
    """Read what happened to a customer, also under other ids before a merge or an identification, by time."""
    reader = caller.reader(interaction_id)
    events, more, version = await hub.contexts.whole(who_of(caller, customer_id), reader, after, limit)
    return answer({"events": events, "next": more}, version)
