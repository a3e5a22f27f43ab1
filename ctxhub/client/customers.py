"""Customers: whom an identifier leads to, and which identifiers lead to a customer."""

from __future__ import annotations

from typing import Any

from ctxhub.client.contexts import what
from ctxhub.client.transport import Transport, read, segment
from ctxhub.model.customer import Identifier
from ctxhub.model.value import CustomerId, Value

__all__ = ["CustomerFound", "Customers"]


class CustomerFound(Value):
    """Whom an identifier leads to."""

    customer_id: CustomerId


class Customers:
    """Identifiers and the customers behind them."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def lookup(self, identifier: Identifier) -> CustomerFound:
        """Return whom an identifier leads to; `Ambiguous` where that is several, `CustomerUnknown` where nobody."""
        return read(CustomerFound, await self._transport.ask("/v1/customers/lookup", {"identifier": what(identifier)}))

    async def add_identifier(self, customer_id: str, identifier: Identifier) -> None:
        """Let an identifier lead to a customer."""
        await self._transport.change("POST", _path(customer_id), identifier)

    async def remove_identifier(self, customer_id: str, identifier: Identifier) -> None:
        """Let an identifier no longer lead to a customer."""
        await self._transport.change("DELETE", _path(customer_id), what(identifier))

    async def forget(self, customer_id: str) -> dict[str, Any]:
        """Erase a customer, for an admin only; returns the receipt of what was erased."""
        path = f"/v1/customers/{segment(customer_id)}"
        receipt: dict[str, Any] = (await self._transport.change("DELETE", path, {})).json()
        return receipt


def _path(customer_id: str) -> str:
    return f"/v1/customers/{segment(customer_id)}/identifiers"
