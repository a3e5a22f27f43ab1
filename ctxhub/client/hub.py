"""The hub as a channel sees it: one tenant, one key, every noun."""

from __future__ import annotations

from copy import copy
from types import TracebackType
from typing import Any, Self

import httpx

from ctxhub.client.asks import Asks
from ctxhub.client.contexts import Contexts
from ctxhub.client.customers import Customers
from ctxhub.client.events import Events
from ctxhub.client.feed import Feeds
from ctxhub.client.handoffs import Handoffs
from ctxhub.client.interactions import Interactions
from ctxhub.client.queues import Queues
from ctxhub.client.tenants import Tenants
from ctxhub.client.transport import Transport

__all__ = ["ContextHub"]


class ContextHub:
    """A hub under one key; many tasks may share it.

    Every call is answered within `timeout` seconds, however often it must be sent: up to `tries` times. With a
    `transport` calls go through that, for a hub in the same process; streams always go to `stream_url`, or `url`.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 5.0,
        tries: int = 3,
        transport: httpx.AsyncBaseTransport | None = None,
        stream_url: str | None = None,
    ) -> None:
        self._bind(Transport(url, key, timeout=timeout, tries=tries, transport=transport, stream_url=stream_url))

    def with_key(self, key: str) -> ContextHub:
        """Return the same hub under another key; it shares the connections, and closing it closes them."""
        other = copy(self)
        other._bind(self._transport.under(key))
        return other

    async def numbers(self) -> dict[str, Any]:
        """Return repeats, questions saved, facts carried and handoffs by state, with their definitions."""
        answer: dict[str, Any] = (await self._transport.get("/v1/numbers")).json()
        return answer

    async def aclose(self) -> None:
        """Close the connections; feeds end."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _bind(self, transport: Transport) -> None:
        """Give every noun the transport that it sends by."""
        self._transport = transport
        self.interactions = Interactions(transport)
        self.events = Events(transport)
        self.contexts = Contexts(transport)
        self.asks = Asks(transport)
        self.handoffs = Handoffs(transport)
        self.queues = Queues(transport)
        self.feeds = Feeds(transport)
        self.tenants = Tenants(transport)
        self.customers = Customers(transport)
