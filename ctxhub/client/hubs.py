"""What a host hands an adapter: the hub under each tenant's key, and the word that the server is going down."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from ctxhub.client.hub import ContextHub

__all__ = ["Hubs", "Stopping"]


class Stopping:
    """The word that the server is going down; made before there is a loop, set from a signal handler or a thread."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: set[asyncio.Future[None]] = set()

    def set(self) -> None:
        """Wake everybody who waits, and whoever will."""
        self._is_set = True
        for future in list(self._waiting):
            with suppress(RuntimeError):  # its loop has ended, and nobody waits there any more
                future.get_loop().call_soon_threadsafe(_settle, future)

    def is_set(self) -> bool:
        """Tell whether the server is going down."""
        return self._is_set

    async def wait(self) -> None:
        """Return once the server is going down."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            if not self._is_set:  # asked after joining, so that a signal in between wakes us too
                await future
        finally:
            self._waiting.discard(future)


class Hubs(Protocol):
    """The hub as its adapters reach it; what it hands out is closed by whoever hands it out."""

    @property
    def stopping(self) -> Stopping:
        """Set when the server is going down: streams then say `bye` and end at once."""

    def of(self, tenant: str) -> ContextHub:
        """Return the hub under the adapter's own key for a tenant; an unknown tenant is `Unknown`."""

    def with_key(self, key: str, agent_id: str | None = None) -> ContextHub:
        """Return the hub under somebody's own key, such as an agent's; a bad one shows at its first call."""

    def tenants(self) -> list[str]:
        """Return the names of the tenants that are served here."""

    async def of_token(self, token: str) -> str:
        """Return the tenant whose handoff a token stands for; `HandoffUnknown` where that is nobody's."""


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
