"""The hub as a channel sees it: one tenant, one key, every noun."""

from __future__ import annotations

from copy import copy
from datetime import date
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from ctxhub.client.agents import Agents
from ctxhub.client.asks import Asks
from ctxhub.client.away import Away
from ctxhub.client.commitments import Commitments
from ctxhub.client.contexts import Contexts
from ctxhub.client.customers import Customers
from ctxhub.client.events import Events
from ctxhub.client.feed import Feeds
from ctxhub.client.handoffs import Handoffs
from ctxhub.client.interactions import Interactions
from ctxhub.client.journeys import Journeys
from ctxhub.client.queues import Queues
from ctxhub.client.spool import Spool, SpoolFile
from ctxhub.client.tenants import Tenants
from ctxhub.client.transport import Introduces, Transport, given

__all__ = ["ContextHub"]


class ContextHub:
    """A hub under one key; many tasks may share it.

    Every call is answered within `timeout` seconds, however often it must be sent: up to `tries` times. With a
    `transport` calls go through that, for a hub in the same process; streams always go to `stream_url`, or `url`.

    With a `spool` what is told by `hub.spool` is kept while the hub is away and sent on later, also after a restart;
    and calls are refused at once while the hub is known to be away, so that a channel need not wait each time.

    What `introduces` returns as a call goes out are headers that say on whose behalf it does.
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
        spool: SpoolFile | None = None,
        introduces: Introduces | None = None,
    ) -> None:
        self._spool_file = spool
        sending = Transport(
            url,
            key,
            timeout=timeout,
            tries=tries,
            transport=transport,
            stream_url=stream_url,
            breaks=spool is not None,
            introduces=introduces,
        )
        if spool is not None:
            spool.belongs_to(sending)
        self._bind(sending, own=True)

    def with_key(self, key: str, agent_id: str | None = None) -> ContextHub:
        """Return the same hub under another key; it shares the connections, and closing it closes them.

        A key of no agent's own calls for the agent named.
        """
        other = copy(self)
        other._bind(self._transport.under(key, agent_id), own=False)
        return other

    async def numbers(
        self,
        *,
        first: date | None = None,
        last: date | None = None,
        channel: str | None = None,
        lang: Literal["en", "zh"] | None = None,
    ) -> dict[str, Any]:
        """Return the numbers of a span of days, today's unless said otherwise, with metrics and definitions."""
        days = {"from": first and first.isoformat(), "to": last and last.isoformat()}
        wanted = given(days | {"channel": channel, "lang": lang})
        answer: dict[str, Any] = (await self._transport.get("/v1/numbers", wanted)).json()
        return answer

    @property
    def away(self) -> Away:
        """What calls have shown lately: whether the hub is here, slow or away."""
        return self._transport.away

    async def open(self) -> None:
        """Begin to send what a spool holds from before; `async with` does this too."""
        if self._spool_file is not None:
            await self._spool_file.open()

    async def aclose(self) -> None:
        """Close the connections; feeds end, and what a spool still holds stays there."""
        if self._spool_file is not None:
            await self._spool_file.aclose()
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _bind(self, transport: Transport, *, own: bool) -> None:
        """Give every noun the transport that it sends by."""
        self._transport = transport
        self.interactions = Interactions(transport)
        self.events = Events(transport)
        self.contexts = Contexts(transport)
        self.asks = Asks(transport)
        self.commitments = Commitments(transport)
        self.handoffs = Handoffs(transport)
        self.journeys = Journeys(transport)
        self.queues = Queues(transport)
        self.agents = Agents(transport)
        self.feeds = Feeds(transport)
        self.tenants = Tenants(transport)
        self.customers = Customers(transport)
        self.spool = Spool(transport, self._spool_file, own=own)
