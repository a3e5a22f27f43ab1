"""Agents: who is there for work, and what each of them has."""

from __future__ import annotations

from ctxhub.client.never_kept import fields_without
from ctxhub.client.transport import Transport, given, read, segment
from ctxhub.model.presence import AgentView, PresenceRequest
from ctxhub.model.value import Value

__all__ = ["Agents"]


class _Listed(Value):
    agents: list[AgentView]


class Agents:
    """Saying who is there, and looking at it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def say(self, agent_id: str, presence: PresenceRequest) -> AgentView:
        """Say whether an agent is there; it lapses unless it is said again, or his feed is followed with his key."""
        presence = await fields_without(self._transport, presence, "reason")
        body = presence.model_dump(mode="json", exclude_none=True)
        return read(AgentView, await self._transport.change("PUT", _place(agent_id), body))

    async def show(self, agent_id: str) -> AgentView:
        """Return whether an agent is there, what he can do and what he has."""
        return read(AgentView, await self._transport.get(_place(agent_id)))

    async def list(self, *, queue: str | None = None) -> list[AgentView]:
        """List the agents of a queue, or all; for supervisors."""
        return read(_Listed, await self._transport.get("/v1/agents", given({"queue": queue}))).agents


def _place(agent_id: str) -> str:
    return f"/v1/agents/{segment(agent_id)}/presence"
