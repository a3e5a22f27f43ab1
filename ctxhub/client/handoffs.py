"""Handoffs: offered, accepted, completed or returned; redeemed where the customer arrives."""

from __future__ import annotations

from typing import Any

from ctxhub.client.transport import Transport, given, read, segment
from ctxhub.model.context import ContextView, Started
from ctxhub.model.handoff import HandoffState, HandoffView, OfferRequest, QueueView, Target
from ctxhub.model.interaction import InteractionView, Start
from ctxhub.model.value import Value

__all__ = ["Accepted", "Handoffs", "Offered", "Returned"]


class Offered(Value):
    """A handoff on offer, with its token and code, and how long its queue is."""

    handoff: HandoffView
    queue: QueueView | None = None


class Accepted(Value):
    """A handoff that is held now: everything to go on with, and the fence to speak with."""

    handoff: HandoffView
    interaction: InteractionView
    context: ContextView
    fence: int


class Returned(Value):
    """A handoff that was given back: the one that ended, and the one that took its place."""

    handoff: HandoffView
    offered: HandoffView


class _Shown(Value):
    handoff: HandoffView


class _Listed(Value):
    handoffs: list[HandoffView]


class Handoffs:
    """Handing customers over with all that was said."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def offer(self, request: OfferRequest, *, key: str | None = None) -> Offered:
        """Offer an interaction to a queue, an agent, a bot or another channel; one offer at a time."""
        return read(Offered, await self._transport.change("POST", "/v1/handoffs", request, key=key))

    async def accept(self, handoff_id: str, agent_id: str) -> Accepted:
        """Take a handoff, and the floor with it; exactly one wins, the others get `HeldByAnother`."""
        return read(Accepted, await self._post(handoff_id, "accept", agent_id=agent_id))

    async def decline(self, handoff_id: str, agent_id: str, reason: str) -> HandoffView:
        """Leave a handoff to others."""
        return _shown(await self._post(handoff_id, "decline", agent_id=agent_id, reason=reason))

    async def cancel(self, handoff_id: str) -> HandoffView:
        """Take an offer back."""
        return _shown(await self._post(handoff_id, "cancel"))

    async def complete(self, handoff_id: str, agent_id: str, fence: int, outcome: str) -> HandoffView:
        """Finish a handoff; the floor goes back to the bot while the interaction is open."""
        return _shown(await self._post(handoff_id, "complete", agent_id=agent_id, fence=fence, outcome=outcome))

    async def give_back(
        self,
        handoff_id: str,
        agent_id: str,
        fence: int,
        *,
        note: str,
        to: Target | None = None,
        step: str | None = None,
    ) -> Returned:
        """Return a handoff to where it came from, or `to` somebody else, to go on at `step`."""
        body = {"agent_id": agent_id, "fence": fence, "note": note, "to": to, "step": step}
        return read(Returned, await self._post(handoff_id, "return", **body))

    async def renew(self, handoff_id: str, agent_id: str, fence: int) -> HandoffView:
        """Hold a handoff for another lease."""
        return _shown(await self._post(handoff_id, "renew", agent_id=agent_id, fence=fence))

    async def receipt(self, handoff_id: str, agent_id: str) -> HandoffView:
        """Say that the agent was shown the context."""
        return _shown(await self._post(handoff_id, "receipt", agent_id=agent_id))

    async def redeem(self, start: Start, *, token: str | None = None, code: str | None = None) -> Started:
        """Begin an interaction where a handoff led, by its token, or its code with the customer's identifiers."""
        body = start.model_dump(exclude_unset=True, exclude_none=True) | given({"token": token, "code": code})
        return read(Started, await self._transport.change("POST", "/v1/handoffs/redeem", body))

    async def get(self, handoff_id: str) -> HandoffView:
        """Return a handoff as it stands."""
        return _shown(await self._transport.get(f"/v1/handoffs/{segment(handoff_id)}"))

    async def list(self, *, queue: str, state: HandoffState = "offered") -> list[HandoffView]:
        """List a queue's handoffs, those that wait longest first."""
        response = await self._transport.get("/v1/handoffs", {"queue": queue, "state": state})
        return read(_Listed, response).handoffs

    async def lookup(self, token: str) -> HandoffView:
        """Look at the handoff that a token stands for, without using it."""
        return _shown(await self._transport.ask("/v1/handoffs/lookup", {"token": token}))

    async def _post(self, handoff_id: str, verb: str, **body: Any) -> Any:
        """Do something to a handoff."""
        return await self._transport.change("POST", f"/v1/handoffs/{segment(handoff_id)}/{verb}", given(body))


def _shown(response: Any) -> HandoffView:
    return read(_Shown, response).handoff
