"""Deliveries to endpoints: queued beside the customer, each endpoint by itself, each customer in order.

All of it lies in the customer's partition, so that queuing, settling and erasing are one step each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from ctxhub.model.webhook import Delivery, Settled
from ctxhub.store.contexts import Who
from ctxhub.store.indexes import millis
from ctxhub.store.lists import scored
from ctxhub.store.redis import Server

OVER_LIVES = timedelta(days=30)
MOST_OVER = 1000
OverState = Literal["delivered", "dead"]
DeliveryState = Literal["waiting", "delivered", "dead"]
_DIGITS = 15


class Endpoint(NamedTuple):
    """An endpoint as a tenant names it."""

    tenant: str
    name: str


class Due(NamedTuple):
    """What is to be tried: for whom, and of which event, whose version is spelled in so many digits."""

    partition: str
    endpoint: Endpoint
    customer_id: str
    version: str

    @property
    def named(self) -> tuple[str, str]:
        """How it is called among the deliveries of its endpoint."""
        return self.customer_id, self.version


class Queued(NamedTuple):
    """A delivery as it stands in its queue."""

    due: Due
    content: bytes

    @property
    def endpoint(self) -> Endpoint:
        """For whom it is."""
        return self.due.endpoint

    @property
    def delivery(self) -> Delivery:
        """The delivery itself."""
        return Delivery.model_validate_json(self.content)


class Backlog(NamedTuple):
    """How much waits for an endpoint, since when the oldest does, and how much was given up or acknowledged lately."""

    waiting: int
    oldest_at: datetime | None
    dead: int
    delivered: int


class Deliveries:
    """Keeps what endpoints are still to be told, until they have acknowledged it or it is given up."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def queue(self, wanted: Sequence[tuple[Endpoint, Delivery, bool]], now: datetime) -> int:
        """Queue deliveries, each with whether it goes in order, unless it is queued; return how many were."""
        calls = []
        for endpoint, delivery, in_order in wanted:
            who = Who(endpoint.tenant, delivery.customer_id)
            customer, keys = self._server.keys.customer(*who), self._server.keys
            queues = keys.webhook(customer.partition, *endpoint)
            names = [customer.context, *keys.deliveries(*who), queues.next, queues.waiting,
                     keys.of_partition(customer.partition, "endpoints")]  # fmt: skip
            args: list[Any] = [_field(endpoint, delivery), _written(delivery), _member(delivery), millis(now)]
            calls.append((names, [*args, "\n".join(endpoint), "1" if in_order else ""]))
        return sum(await self._server.run_many("queue_delivery", calls)) if calls else 0

    def place(self, endpoint: Endpoint, delivery: Delivery) -> tuple[str, Endpoint]:
        """Return in which queue a delivery stands: of which partition, and for whom."""
        return self._server.keys.customer(endpoint.tenant, delivery.customer_id).partition, endpoint

    async def endpoints(self, partitions: Sequence[str]) -> list[tuple[str, Endpoint]]:
        """Return, by partition, for whom anything was ever queued."""
        names = [self._server.keys.of_partition(partition, "endpoints") for partition in partitions]
        found = await self._server.pipeline(*[("SMEMBERS", name) for name in names])
        return [
            (partition, Endpoint(*member.decode().split("\n")))
            for partition, members in zip(partitions, found, strict=True)
            for member in sorted(members)
        ]

    async def due(self, places: Sequence[tuple[str, Endpoint]], now: datetime, most: int) -> list[Due]:
        """Return what is to be tried by now, the most overdue first; of each place at most so many."""
        queues = [self._server.keys.webhook(partition, *endpoint) for partition, endpoint in places]
        commands = [("ZRANGE", q.next, "-inf", millis(now), "BYSCORE", "LIMIT", 0, most, "WITHSCORES") for q in queues]
        found = await self._server.pipeline(*commands)
        due = [
            (at, _due(*place, member)) for place, each in zip(places, found, strict=True) for member, at in scored(each)
        ]
        return [one for _, one in sorted(due)]

    async def read(self, due: Due) -> Queued | None:
        """Return a delivery as it stands in its queue; None for one that was settled or erased meanwhile."""
        name = self._server.keys.deliveries(due.endpoint.tenant, due.customer_id).waiting
        content = await self._server.call("HGET", name, f"{due.endpoint.name}\n{due.version}")
        return Queued(due, content) if content else None

    async def settle(self, queued: Queued, done: Settled) -> bool:
        """Note what came of an attempt; False where it was settled or erased meanwhile."""
        before = queued.delivery
        queues = self._server.keys.webhook(queued.due.partition, *queued.endpoint)
        over = queues.undelivered if done.how == "dead" else queues.delivered
        deliveries = self._server.keys.deliveries(queued.endpoint.tenant, before.customer_id)
        args = [
            _field(queued.endpoint, before), queued.content, "again" if done.how == "again" else "over",
            _written(done.delivery), millis(done.at), _member(before), MOST_OVER, _in_millis(OVER_LIVES),
        ]  # fmt: skip
        names = [*deliveries, queues.next, queues.waiting, over]
        return bool(await self._server.run("settle_delivery", names, args))

    async def redrive(self, endpoint: Endpoint, now: datetime) -> int:
        """Queue every dead letter of an endpoint again, from the beginning; return how many."""
        count = 0
        for partition, content in await self._over(endpoint, "dead"):
            dead = Delivery.model_validate_json(content)
            queues = self._server.keys.webhook(partition, *endpoint)
            names = [queues.undelivered, *self._server.keys.deliveries(endpoint.tenant, dead.customer_id),
                     queues.next, queues.waiting]  # fmt: skip
            anew = dead.but(attempts=0, queued_at=now)
            args = [content, _written(anew), _field(endpoint, dead), _member(dead), millis(now)]
            count += int(await self._server.run("redrive_delivery", names, args))
        return count

    async def _over(self, endpoint: Endpoint, state: OverState) -> list[tuple[str, bytes]]:
        """Return what is over for an endpoint, by partition, the oldest first."""
        partitions = self._server.keys.every_partition()
        queues = [self._server.keys.webhook(partition, *endpoint) for partition in partitions]
        names = [q.undelivered if state == "dead" else q.delivered for q in queues]
        found = await self._server.pipeline(*[("ZRANGE", name, 0, -1) for name in names])
        return [(partition, content) for partition, each in zip(partitions, found, strict=True) for content in each]

    async def listed(self, endpoint: Endpoint, state: DeliveryState, most: int = 200) -> list[Delivery]:
        """Return deliveries of an endpoint: those waiting, the oldest first; those that are over, the newest first."""
        if state != "waiting":
            over = [Delivery.model_validate_json(content) for _, content in await self._over(endpoint, state)]
            return sorted(over, key=lambda one: one.said_at or one.queued_at, reverse=True)[:most]
        places = [(partition, endpoint) for partition in self._server.keys.every_partition()]
        names = [self._server.keys.webhook(partition, *endpoint).waiting for partition, _ in places]
        found = await self._server.pipeline(*[("ZRANGE", name, 0, most - 1) for name in names])
        due = [_due(*place, member) for place, each in zip(places, found, strict=True) for member in each]
        queued = await asyncio.gather(*map(self.read, due))
        return sorted((one.delivery for one in queued if one), key=lambda one: one.queued_at)[:most]

    async def backlog(self, endpoint: Endpoint, partitions: Sequence[str] | None = None) -> Backlog:
        """Return how an endpoint's queue stands, in some partitions or all."""
        wanted = self._server.keys.every_partition() if partitions is None else partitions
        queues = [self._server.keys.webhook(partition, *endpoint) for partition in wanted]
        commands = [
            command
            for q in queues
            for command in (("ZCARD", q.waiting), ("ZRANGE", q.waiting, 0, 0, "WITHSCORES"),
                            ("ZCARD", q.undelivered), ("ZCARD", q.delivered))
        ]  # fmt: skip
        found = await self._server.pipeline(*commands)
        oldest = min((at for each in found[1::4] for _, at in scored(each)), default=None)
        at = datetime.fromtimestamp(oldest / 1000, tz=UTC) if oldest is not None else None
        return Backlog(sum(found[::4]), at, sum(found[2::4]), sum(found[3::4]))

    async def leave(self, who: Who) -> int:
        """Take a customer out of every queue, and out of what is over; return how much it was."""
        keys = self._server.keys
        partition = keys.customer(*who).partition
        names = [*keys.deliveries(*who)]
        for _, endpoint in await self.endpoints([partition]):
            if endpoint.tenant == who.tenant:
                queues = keys.webhook(partition, *endpoint)
                names += [queues.next, queues.waiting, queues.delivered, queues.undelivered]
        return int(await self._server.run("leave_deliveries", names, [who.customer_id]))

    async def disable(self, endpoint: Endpoint, url: str, now: datetime) -> None:
        """Note that an endpoint wants nothing more at this address."""
        name = self._server.keys.endpoint(*endpoint)
        await self._server.call("HSET", name, "url", url, "disabled_at", millis(now), writes=True)

    async def enable(self, endpoint: Endpoint) -> None:
        """Forget that an endpoint wanted nothing more."""
        await self._server.call("DEL", self._server.keys.endpoint(*endpoint), writes=True)

    async def disabled(self, endpoints: Sequence[Endpoint]) -> dict[Endpoint, tuple[str, datetime]]:
        """Return which endpoints want nothing more: at which address, and since when."""
        names = [self._server.keys.endpoint(*endpoint) for endpoint in endpoints]
        found = await self._server.pipeline(*[("HMGET", name, "url", "disabled_at") for name in names])
        return {
            endpoint: (url.decode(), datetime.fromtimestamp(int(at) / 1000, tz=UTC))
            for endpoint, (url, at) in zip(endpoints, found, strict=True)
            if url and at
        }


def _due(partition: str, endpoint: Endpoint, member: bytes) -> Due:
    """Read a member of an endpoint's queues."""
    return Due(partition, endpoint, *member.decode().split("\n"))


def _field(endpoint: Endpoint, delivery: Delivery) -> str:
    """Spell under what a delivery stands among a customer's."""
    return f"{endpoint.name}\n{delivery.version:0{_DIGITS}}"


def _member(delivery: Delivery) -> str:
    """Spell how a delivery is called in its endpoint's queues."""
    return f"{delivery.customer_id}\n{delivery.version:0{_DIGITS}}"


def _written(delivery: Delivery) -> str:
    """Write a delivery."""
    return delivery.model_dump_json(exclude_none=True)


def _in_millis(span: timedelta) -> int:
    """Return a length of time in ms."""
    return round(span.total_seconds() * 1000)
