"""Tenants: what the company has declared, for adapters to speak and ask by."""

from __future__ import annotations

import asyncio

from ctxhub.client.transport import Transport, read
from ctxhub.errors import TooMany, Unavailable
from ctxhub.model.tenant import Tenant

__all__ = ["Tenants"]

_FRESH_FOR = 2.0
_REFRESHED_WITHIN = 1.0


class Tenants:
    """The declarations of the key's own tenant."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._last: Tenant | None = None
        self._stale_at = 0.0

    async def read(self) -> Tenant:
        """Return the declarations, about two seconds old at most; older ones while the hub is not available."""
        now = asyncio.get_running_loop().time()
        if self._last is not None and now < self._stale_at:
            return self._last
        self._stale_at = now + _FRESH_FOR  # meanwhile others make do with what is known: nobody waits behind another
        self._last = await self._refreshed()
        self._transport.formats = self._last.formats
        return self._last

    async def _refreshed(self) -> Tenant:
        """Ask the hub; while it is away, stay with what it said last."""
        if self._last is None:
            return await self._asked()
        try:
            async with asyncio.timeout(_REFRESHED_WITHIN):
                return await self._asked()
        except (Unavailable, TooMany, TimeoutError):
            return self._last

    async def _asked(self) -> Tenant:
        """Ask the hub."""
        return read(Tenant, await self._transport.get("/v1/tenant"))
