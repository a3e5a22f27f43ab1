"""Interactions: started, found again, linked to other systems' names, moved to whom they belong, ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ctxhub.client.handoffs import WentOn
from ctxhub.client.never_kept import start_without, without
from ctxhub.client.transport import Transport, given, read, segment
from ctxhub.model.context import Started
from ctxhub.model.customer import AssuranceClaim, Identifier
from ctxhub.model.event import Ref
from ctxhub.model.interaction import InteractionView, Outcome, Start
from ctxhub.model.value import CustomerId, Value

__all__ = ["Found", "Interactions", "ListedInteraction", "MovedInteraction"]


class Found(Value):
    """An interaction, and whose it is."""

    customer_id: CustomerId
    interaction: InteractionView


class ListedInteraction(InteractionView):
    """An interaction in a list, with whose it is."""

    customer_id: CustomerId


class MovedInteraction(Found):
    """An interaction at its new home, and the version there."""

    version: int


class _Listed(Value):
    interactions: list[ListedInteraction]


class Interactions:
    """What a channel does with its calls, chats and visits."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def start(self, start: Start, *, key: str | None = None) -> Started:
        """Begin an interaction, or find the one that the system began before; brings everything to go on with."""
        start = await start_without(self._transport, start)
        return read(Started, await self._transport.change("POST", "/v1/interactions", start, key=key))

    async def lookup(self, ref: Ref) -> Found:
        """Find an interaction by another system's name for it."""
        return read(Found, await self._transport.ask("/v1/interactions/lookup", {"ref": ref}))

    async def add_refs(self, customer_id: str, interaction_id: str, refs: Sequence[Ref]) -> InteractionView:
        """Add other systems' names for an interaction."""
        path = f"{_path(customer_id, interaction_id)}/refs"
        return read(Found, await self._transport.change("PUT", path, {"refs": list(refs)})).interaction

    async def end(
        self,
        customer_id: str,
        interaction_id: str,
        *,
        disposition: str | None = None,
        outcome: Outcome | None = None,
    ) -> InteractionView:
        """End an interaction; what happened before its end may still be told."""
        path = f"{_path(customer_id, interaction_id)}/end"
        body = await without(self._transport, given({"disposition": disposition, "outcome": outcome}))
        return read(Found, await self._transport.change("POST", path, body)).interaction

    async def go_on(self, customer_id: str, interaction_id: str) -> WentOn:
        """Take the place back that a call from the same number lost a moment ago, if there is one."""
        path = f"{_path(customer_id, interaction_id)}/continue"
        return read(WentOn, await self._transport.change("POST", path, {}))

    async def list(
        self, *, channel: str | None = None, agent_id: str | None = None, state: Literal["open", "ended"] = "open"
    ) -> list[ListedInteraction]:
        """List a channel's interactions, or those whose calls are at an agent's phone: `legs` says how."""
        query = given({"channel": channel, "agent_id": agent_id, "state": state})
        response = await self._transport.get("/v1/interactions", query)
        return read(_Listed, response).interactions

    async def identify(
        self,
        customer_id: str,
        interaction_id: str,
        *,
        to: str | None = None,
        identifiers: Sequence[Identifier] | None = None,
        assurance: AssuranceClaim | None = None,
        reason: Literal["verified", "not_this_customer"] = "verified",
    ) -> MovedInteraction:
        """Move an interaction to whom it really is: a customer by id, or by identifiers; its fence stays good.

        Without either, for the reason `not_this_customer`, that is somebody new.
        """
        path = f"{_path(customer_id, interaction_id)}/identify"
        body = {"customer_id": to, "identifiers": identifiers, "assurance": assurance, "reason": reason}
        return read(MovedInteraction, await self._transport.change("POST", path, given(body)))


def _path(customer_id: str, interaction_id: str) -> str:
    return f"/v1/customers/{segment(customer_id)}/interactions/{segment(interaction_id)}"
