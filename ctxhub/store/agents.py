"""Agents: their presence, what each of them has, and who routes.

Presence is in no customer's slot. What agents have and what rings for them is in lists that commits write: it is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ctxhub.store.contexts import Who
from ctxhub.store.indexes import instant, millis
from ctxhub.store.redis import Server

PRESENCE_LIVES = timedelta(hours=48)


class Work(NamedTuple):
    """A handoff that an agent has or that rings for him, and since or until when."""

    who: Who
    handoff_id: str
    channel: str
    agent_id: str
    at: datetime


class Agents:
    """Reads and changes what is known of agents, each change a step of its own that may be repeated."""

    def __init__(self, server: Server, holder: str) -> None:
        self._server = server
        self._holder = holder

    async def every(self, tenant: str) -> dict[str, bytes]:
        """Return the presence of all agents of whom there is any, as it is kept."""
        found = await self._server.call("HGETALL", self._server.keys.agents(tenant))
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {agent_id.decode(): kept for agent_id, kept in pairs}

    async def one(self, tenant: str, agent_id: str) -> bytes | None:
        """Return the presence of one agent as it is kept."""
        kept: bytes | None = await self._server.call("HGET", self._server.keys.agents(tenant), agent_id)
        return kept

    async def swap(
        self, tenant: str, agent_id: str, before: bytes | None, after: bytes | None, tell: bool = True
    ) -> bool:
        """Keep an agent's presence, or none, in place of what was read; False if it is another by now.

        Whoever routes hears of it where he is to be told.
        """
        key, partition = self._server.keys.agents(tenant), self._server.keys.router_home(tenant)
        hints = self._server.keys.of_partition(partition, "hints")
        lives = round(PRESENCE_LIVES.total_seconds() * 1000)
        args = [agent_id, before or b"", after or b"", lives, hints, f"{tenant}:agents\n" if tell else ""]
        return bool(await self._server.run("swap", [key], args))

    async def work(self, tenant: str) -> tuple[list[Work], list[Work]]:
        """Return all that agents hold, and all that was suggested to one and is not settled yet."""
        keys, partitions = self._server.keys, self._server.keys.every_partition()
        places = [keys.list_part(p, tenant, place) for place in ("work:held", "work:ringing") for p in partitions]
        found = await self._server.pipeline(*[("ZRANGE", place, 0, -1, "WITHSCORES") for place in places])
        read = [[_work(tenant, *pair) for pair in _scored(part)] for part in found]
        held, ringing = read[: len(partitions)], read[len(partitions) :]
        return [work for part in held for work in part], [work for part in ringing for work in part]

    async def lease(self, tenant: str, now: datetime, span: timedelta) -> dict[str, int]:
        """Take or keep the routing of a tenant: the fence of every partition, or nothing where somebody else has any.

        Where it is decided who routes comes first, so that two who begin at once do not get a half each.
        """
        home, partitions = self._server.keys.router_home(tenant), self._server.keys.every_partition()
        first = await self._leased(tenant, now, span, [home])
        if not first[home]:
            return {}
        fences = first | await self._leased(tenant, now, span, [p for p in partitions if p != home])
        return fences if all(fences.values()) else {}

    async def give_up(self, tenant: str, now: datetime) -> None:
        """Let another take over the routing of a tenant at once."""
        await self._leased(tenant, now, timedelta(0), self._server.keys.every_partition())

    async def _leased(self, tenant: str, now: datetime, span: timedelta, partitions: Sequence[str]) -> dict[str, int]:
        """Take, keep or give up the routing of a tenant in some partitions; return fences, 0 where another has it."""
        args = [self._holder, millis(now), round(span.total_seconds() * 1000)]
        calls = [([self._server.keys.router(partition, tenant)], args) for partition in partitions]
        fences = await self._server.run_many("lease", calls)
        return {partition: int(fence) for partition, fence in zip(partitions, fences, strict=True)}


def _scored(part: Sequence[Any]) -> list[tuple[bytes, float]]:
    """Read members and scores, in either shape that the client gives."""
    nested = bool(part) and isinstance(part[0], list | tuple)
    pairs = part if nested else zip(part[::2], part[1::2], strict=True)
    return [(member, float(score)) for member, score in pairs]


def _work(tenant: str, member: bytes, score: float) -> Work:
    """Read one piece of work."""
    customer_id, handoff_id, channel, agent_id = member.decode().split("\n")
    return Work(Who(tenant, customer_id), handoff_id, channel, agent_id, instant(str(round(score)).encode()))
