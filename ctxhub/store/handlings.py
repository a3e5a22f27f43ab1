"""Handlings: how long agents had each customer of a queue, for as long as that says how long it takes now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ctxhub.model.queue import Handled
from ctxhub.store.codec import digest
from ctxhub.store.indexes import millis
from ctxhub.store.redis import Server

RECENT = timedelta(hours=1)
_LIVES = round(RECENT.total_seconds() * 1000)


class Handling(NamedTuple):
    """One customer whom an agent of a queue had, until when and for how many seconds; it is noted once by its event."""

    tenant: str
    queue: str
    event_id: str
    agent_id: str
    ended_at: datetime
    seconds: float


class Handlings:
    """Notes handlings, and reads those of the last hour; neither customer nor agent can be told from what is kept."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def note(self, handlings: Sequence[Handling]) -> None:
        """Note handlings; the same again changes nothing."""
        commands: list[tuple[Any, ...]] = []
        for one in handlings:
            key, ended = self._server.keys.handled(one.tenant, one.queue), millis(one.ended_at)
            agent = digest(one.tenant, one.agent_id)[:12]
            commands.append(("ZADD", key, ended, f"{digest(one.event_id)[:16]}:{agent}:{one.seconds}"))
            commands.append(("ZREMRANGEBYSCORE", key, "-inf", ended - _LIVES))
            commands.append(("PEXPIRE", key, _LIVES))
        await self._server.pipeline(*commands, writes=True)

    async def recent(self, tenant: str, queue: str, now: datetime) -> Handled:
        """Return what was handled in the last hour."""
        since = millis(now) - _LIVES
        found = await self._server.call("ZRANGE", self._server.keys.handled(tenant, queue), since, "+inf", "BYSCORE")
        parts = [member.decode().split(":") for member in found]
        return Handled(seconds=tuple(float(seconds) for _, _, seconds in parts), agents=len({a for _, a, _ in parts}))
