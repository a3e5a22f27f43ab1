"""Customers: whom an identifier leads to, and which identifiers lead to a customer."""

from __future__ import annotations

from typing import Any

from ctxhub.client.contexts import what
from ctxhub.client.never_kept import without
from ctxhub.client.transport import Transport, read, segment
from ctxhub.model.customer import Identifier
from ctxhub.model.merging import Joined
from ctxhub.model.revealing import RevealedFact
from ctxhub.model.value import CustomerId, Instant, Name, Value

__all__ = ["CustomerFound", "Customers", "Opened", "Revealed"]


class CustomerFound(Value):
    """Whom an identifier leads to."""

    customer_id: CustomerId


class Revealed(Value):
    """Values that were masked, as they stand, and the version that tells of the reveal."""

    facts: list[RevealedFact]
    version: int


class Opened(Value):
    """A customer opened for a while to an agent who has nothing to do with him."""

    agent_id: Name
    reason: str
    until: Instant


class Customers:
    """Identifiers and the customers behind them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def lookup(self, identifier: Identifier) -> CustomerFound:
        """Return whom an identifier leads to; `Ambiguous` where that is several, `CustomerUnknown` where nobody."""
        return read(CustomerFound, await self._transport.ask("/v1/customers/lookup", {"identifier": what(identifier)}))

    async def add_identifier(
        self, customer_id: str, identifier: Identifier, *, interaction_id: str | None = None
    ) -> None:
        """Let an identifier lead to a customer; one claimed in an interaction below level 2 stays that one's own."""
        told_in = {"interaction_id": interaction_id} if interaction_id else {}
        await self._transport.change("POST", _path(customer_id), identifier.model_dump(mode="json") | told_in)

    async def remove_identifier(self, customer_id: str, identifier: Identifier) -> None:
        """Let an identifier no longer lead to a customer."""
        await self._transport.change("DELETE", _path(customer_id), what(identifier))

    async def preview_merge(self, customer_id: str, source: str) -> Joined:
        """Return what would come together, and what conflicts, if `source` were this customer; nothing is changed."""
        return await self._merged(customer_id, {"from": source, "preview": True})

    async def merge(self, customer_id: str, source: str, *, force: bool = False) -> Joined:
        """Let `source` be this customer from now on; `VerifiedApart` where both are verified under other accounts."""
        return await self._merged(customer_id, {"from": source} | ({"force": True} if force else {}))

    async def _merged(self, customer_id: str, body: dict[str, Any]) -> Joined:
        path = f"/v1/customers/{segment(customer_id)}/merge"
        return read(Joined, await self._transport.change("POST", path, body))

    async def unmerge(self, customer_id: str, merge_id: str) -> Joined:
        """Undo a merge: both are as they were, with what was told since of what is their own."""
        path = f"/v1/customers/{segment(customer_id)}/unmerge"
        return read(Joined, await self._transport.change("POST", path, {"merge_id": merge_id}))

    async def reveal(
        self, customer_id: str, interaction_id: str, names: list[str], *, reason: str, agent_id: str | None = None
    ) -> Revealed:
        """Return masked values to the agent who holds the interaction; the timeline tells who read them and why."""
        reason = await without(self._transport, reason)
        body = {"interaction_id": interaction_id, "names": names, "reason": reason, "agent_id": agent_id}
        path = f"/v1/customers/{segment(customer_id)}/reveal"
        return read(Revealed, await self._transport.change("POST", path, body))

    async def open_to(self, customer_id: str, agent_id: str, *, reason: str, minutes: int = 15) -> Opened:
        """Open a customer to an agent beside his work; supervisors see it, `TooMany` for one who does so too often."""
        reason = await without(self._transport, reason)
        body = {"agent_id": agent_id, "reason": reason, "minutes": minutes}
        path = f"/v1/customers/{segment(customer_id)}/access"
        return read(Opened, await self._transport.change("POST", path, body))

    async def forget(self, customer_id: str) -> dict[str, Any]:
        """Erase a customer, for an admin only; returns the receipt of what was erased."""
        path = f"/v1/customers/{segment(customer_id)}"
        receipt: dict[str, Any] = (await self._transport.change("DELETE", path, {})).json()
        return receipt


def _path(customer_id: str) -> str:
    return f"/v1/customers/{segment(customer_id)}/identifiers"
