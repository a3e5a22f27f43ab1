"""Routes of agents: who is there for work, and what each of them has."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from ctxhub.api.calls import HubHere, Reviewer, Route, Supervisor, answer
from ctxhub.model.presence import AgentView, PresenceRequest
from ctxhub.model.value import Id, Name, Value

router = APIRouter(prefix="/v1", tags=["agents"], route_class=Route)


class SeveralAgents(Value):
    """Agents, by their ids."""

    agents: list[AgentView]


@router.put("/agents/{agent_id}/presence", response_model=AgentView)
async def say(agent_id: Annotated[Id, Path()], body: PresenceRequest, hub: HubHere, caller: Reviewer) -> Response:
    """Say whether an agent is there for work; it lapses after `expires_in` seconds, unless said again or followed."""
    return _shown(await hub.presences.say(caller, agent_id, hub.never_kept.said(caller.tenant, body)))


@router.get("/agents/{agent_id}/presence", response_model=AgentView)
async def show(agent_id: Annotated[Id, Path()], hub: HubHere, caller: Reviewer) -> Response:
    """Show whether an agent is there, what he can do, and what he has."""
    return _shown(await hub.presences.show(caller, agent_id))


@router.get("/agents", response_model=SeveralAgents)
async def several(hub: HubHere, caller: Supervisor, queue: Annotated[Name | None, Query()] = None) -> Response:
    """List the agents of a queue, or all: those whom the tenant declares, and those who said that they are there."""
    found = await hub.presences.of_queue(caller, queue)
    return answer(SeveralAgents(agents=found).model_dump_json().encode())


def _shown(view: AgentView) -> Response:
    """Answer with one agent."""
    return answer(view.model_dump_json().encode())
