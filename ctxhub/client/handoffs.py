"""Handoffs: offered, accepted, completed or returned; redeemed where the customer arrives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ctxhub.client.never_kept import fields_without, start_without, without
from ctxhub.client.transport import Transport, given, read, segment
from ctxhub.model.callback import AttemptSaid
from ctxhub.model.context import ContextView, Started
from ctxhub.model.customer import Identifier
from ctxhub.model.handoff import Delivery, Draft, HandoffState, HandoffView, OfferRequest, Target
from ctxhub.model.interaction import InteractionView, Start
from ctxhub.model.queue import QueueView
from ctxhub.model.value import Instant, Value

__all__ = ["Accepted", "Dialled", "Handoffs", "Offered", "Returned", "WentOn"]


class Offered(Value):
    """A handoff on offer, with its token and code, and how long its queue is."""

    handoff: HandoffView
    queue: QueueView | None = None
    live: list[InteractionView] = []


class WentOn(Value):
    """Whether a call that was cut off has its place back, the handoff that waits there, and its queue."""

    place_kept: bool
    handoff: HandoffView | None = None
    queue: QueueView | None = None


class _Announced(Value):
    handoff_id: str
    until: Instant


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


class Dialled(Value):
    """The attempt to make now: the number, and the token that brings the call's context along."""

    handoff: HandoffView
    attempt: int
    number: str
    token: str
    uui: str


class _Attempted(Value):
    handoff: HandoffView
    interaction: InteractionView | None = None


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
        request = await fields_without(self._transport, request, "reason", "note", "say")
        return read(Offered, await self._transport.change("POST", "/v1/handoffs", request, key=key))

    async def elsewhere(
        self, handoff_id: str, channel: str, *, delivery: Delivery = "message", expires_in: int = 3600,
        announce: bool = False, key: str | None = None,
    ) -> Offered:  # fmt: skip
        """Offer a waiting customer a way to go on in another channel; `place_kept` says if the place goes along."""
        body = {"channel": channel, "delivery": delivery, "expires_in": expires_in, "announce": announce}
        path = f"/v1/handoffs/{segment(handoff_id)}/elsewhere"
        return read(Offered, await self._transport.change("POST", path, body, key=key))

    async def announce(self, handoff_id: str, identifiers: Sequence[Identifier] | None = None) -> datetime:
        """Announce a call to an offer to go on by telephone; return until when a call from the number finds it."""
        named = None if identifiers is None else list(identifiers)
        return read(_Announced, await self._post(handoff_id, "announce", identifiers=named)).until

    async def accept(self, handoff_id: str, agent_id: str) -> Accepted:
        """Take a handoff, and the floor with it; exactly one wins, the others get `HeldByAnother`."""
        return read(Accepted, await self._post(handoff_id, "accept", agent_id=agent_id))

    async def dial(self, handoff_id: str, *, key: str | None = None) -> Dialled:
        """Take the attempt at a callback that is due, and the number with it; exactly one dials."""
        path = f"/v1/handoffs/{segment(handoff_id)}/dial"
        return read(Dialled, await self._transport.change("POST", path, {}, key=key))

    async def attempted(self, handoff_id: str, said: AttemptSaid) -> HandoffView:
        """Tell what came of an attempt at a callback; told again it changes nothing."""
        said = await fields_without(self._transport, said, "reason")
        body = said.model_dump(mode="json", exclude_none=True)
        return read(_Attempted, await self._post(handoff_id, "attempts", **body)).handoff

    async def decline(self, handoff_id: str, agent_id: str, reason: str) -> HandoffView:
        """Leave a handoff to others."""
        reason = await without(self._transport, reason)
        return _shown(await self._post(handoff_id, "decline", agent_id=agent_id, reason=reason))

    async def cancel(self, handoff_id: str) -> HandoffView:
        """Take an offer back."""
        return _shown(await self._post(handoff_id, "cancel"))

    async def complete(
        self, handoff_id: str, agent_id: str, fence: int, outcome: str, *, disposition: str | None = None
    ) -> HandoffView:
        """Finish a handoff, by a code of its queue; the floor goes back to the bot while the interaction is open."""
        outcome, disposition = await without(self._transport, [outcome, disposition])
        body = {"agent_id": agent_id, "fence": fence, "outcome": outcome, "disposition": disposition}
        return _shown(await self._post(handoff_id, "complete", **body))

    async def draft(self, handoff_id: str, agent_id: str, fence: int, draft: Draft) -> HandoffView:
        """Keep what an agent has written so far; it comes back with the handoff, wherever that is opened again."""
        draft = await fields_without(self._transport, draft, "text", "outcome", "disposition")
        body = {"agent_id": agent_id, "fence": fence, "draft": draft.model_dump(exclude_none=True)}
        path = f"/v1/handoffs/{segment(handoff_id)}/draft"
        return _shown(await self._transport.change("PUT", path, body))

    async def give_back(
        self,
        handoff_id: str,
        agent_id: str,
        fence: int,
        *,
        note: str,
        to: Target | None = None,
        step: str | None = None,
        say: str | None = None,
    ) -> Returned:
        """Return a handoff to where it came from, or `to` somebody else, to go on at `step`; a bot first says `say`."""
        note = await without(self._transport, note)
        body = {"agent_id": agent_id, "fence": fence, "note": note, "to": to, "step": step}
        body |= {"say": await without(self._transport, say)} if say is not None else {}
        return read(Returned, await self._post(handoff_id, "return", **body))

    async def renew(self, handoff_id: str, agent_id: str, fence: int) -> HandoffView:
        """Hold a handoff for another lease."""
        return _shown(await self._post(handoff_id, "renew", agent_id=agent_id, fence=fence))

    async def receipt(self, handoff_id: str, agent_id: str) -> HandoffView:
        """Say that the agent was shown the context."""
        return _shown(await self._post(handoff_id, "receipt", agent_id=agent_id))

    async def redeem(self, start: Start, *, token: str | None = None, code: str | None = None) -> Started:
        """Begin an interaction where a handoff led, by its token, or its code with the customer's identifiers."""
        start = await start_without(self._transport, start)
        body = start.model_dump(exclude_unset=True, exclude_none=True) | given({"token": token, "code": code})
        return read(Started, await self._transport.change("POST", "/v1/handoffs/redeem", body))

    async def get(self, handoff_id: str) -> HandoffView:
        """Return a handoff as it stands."""
        return _shown(await self._transport.get(f"/v1/handoffs/{segment(handoff_id)}"))

    async def list(
        self, *, queue: str | None = None, agent_id: str | None = None, state: HandoffState = "offered"
    ) -> list[HandoffView]:
        """List a queue's handoffs, or those offered to an agent by name, those that wait longest first."""
        response = await self._transport.get(
            "/v1/handoffs", given({"queue": queue, "agent_id": agent_id}) | {"state": state}
        )
        return read(_Listed, response).handoffs

    async def lookup(self, token: str) -> HandoffView:
        """Look at the handoff that a token stands for, without using it."""
        return _shown(await self._transport.ask("/v1/handoffs/lookup", {"token": token}))

    async def _post(self, handoff_id: str, verb: str, **body: Any) -> Any:
        """Do something to a handoff."""
        return await self._transport.change("POST", f"/v1/handoffs/{segment(handoff_id)}/{verb}", given(body))


def _shown(response: Any) -> HandoffView:
    return read(_Shown, response).handoff
