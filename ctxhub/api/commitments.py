"""Routes of commitments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from ctxhub.api.calls import HubHere, Route, allowed, answer
from ctxhub.hub.keys import Principal
from ctxhub.model.commitment import CommitmentState, ListedCommitment
from ctxhub.model.value import Name, Value

router = APIRouter(prefix="/v1", tags=["commitments"], route_class=Route)

Keeper = Annotated[Principal, Depends(allowed("agent", "supervisor"))]


class Promised(Value):
    """Open promises, what is due first, first."""

    commitments: list[ListedCommitment]


@router.get("/commitments", response_model=Promised)
async def listed(
    hub: HubHere,
    caller: Keeper,
    state: CommitmentState | None = None,
    owner: Annotated[Name | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Response:
    """List open promises over all customers, in one state or all, of one owner or all; what is due first, first."""
    found = await hub.commitments.listed(caller.tenant, state, owner, limit)
    return answer({"commitments": [promise.model_dump(mode="json") for promise in found]})
