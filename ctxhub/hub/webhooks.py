"""Webhooks: what happens is queued for each endpoint that wants to know, then sent until it is acknowledged.

Queuing is a part of telling on: it is done before the relay's cursor moves, so that a hub killed in between does it
again, and it waits for no endpoint. Sending goes by the queues alone: whoever holds a partition's lease sends what is
due there, and an endpoint that is slow or away delays nobody but itself.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

import orjson
import structlog

from ctxhub.errors import CtxhubError
from ctxhub.hub.audit import Audit
from ctxhub.hub.briefs import Briefs
from ctxhub.hub.changes import Clock
from ctxhub.hub.endpoints import Endpoints
from ctxhub.hub.outward import Bounds, NotReached, Outward
from ctxhub.hub.tenants import Tenants
from ctxhub.metrics import WEBHOOK_ATTEMPTS, WEBHOOK_OLDEST, WEBHOOK_WAITING
from ctxhub.model.audit import Entry, text_of
from ctxhub.model.brief import Wanted
from ctxhub.model.brief_words import Audience
from ctxhub.model.circuit import CLOSED, Circuit
from ctxhub.model.disclosure import Reader
from ctxhub.model.signature import BadSecret, secret_of, signed
from ctxhub.model.webhook import (
    GIVEN_UP_AFTER,
    Answer,
    Delivery,
    Settled,
    Signing,
    WebhookSpec,
    delivery_of,
    envelope,
    settled,
)
from ctxhub.store.contexts import Who
from ctxhub.store.deliveries import Deliveries, DeliveryState, Due, Endpoint
from ctxhub.store.feed import Bell

log = structlog.get_logger()
LOOK_EVERY = 1.0
LEARN_EVERY = 30.0
MEASURE_EVERY = 5.0
LEFT_FOR = timedelta(minutes=1)
MOST_READ = 4096
AT_ONCE = 64
Place = tuple[str, Endpoint]
_AUDIENCES: dict[str, Audience] = {"agent": "agent", "adapter": "bot"}


class Mail(NamedTuple):
    """With what deliveries are sent: the way out, the environment with its secrets, and as whom we write."""

    outward: Outward
    environ: Mapping[str, str]
    source: str

    def secrets(self, spec: Signing) -> list[bytes]:
        """Return the secrets that sign, the newest first; `BadSecret` where one is missing or none."""
        return [secret_of(self.environ.get(name, "")) for name in spec.signed_with]

    def source_of(self, tenant: str) -> str:
        """Return as whom we write about a tenant's customers."""
        return f"{self.source}/{tenant}"


@dataclass
class _Line:
    """What this process knows of an endpoint: how it has answered lately, what is on its way, and what is next."""

    circuit: Circuit = CLOSED
    busy: set[tuple[str, str]] = field(default_factory=set)
    ahead: dict[tuple[str, str], Due] = field(default_factory=dict)


class Webhooks:
    """Queues deliveries and sends them."""

    def __init__(
        self, tenants: Tenants, deliveries: Deliveries, briefs: Briefs, audit: Audit, mail: Mail, clock: Clock,
        held: Callable[[], Sequence[str]], chance: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._tenants = tenants
        self._deliveries = deliveries
        self._endpoints = Endpoints(tenants, deliveries, clock)
        self._briefs = briefs
        self._audit = audit
        self._mail = mail
        self._clock = clock
        self._held = held
        self._chance = chance
        self._bell = Bell()
        self._lines: dict[Endpoint, _Line] = {}
        self._fresh: set[Place] = set()
        self._known: dict[str, set[Endpoint]] = {}
        self._asks_all_at = 0.0
        self._measured: set[Endpoint] = set()

    async def queue(self, told: Sequence[tuple[Who, dict[str, Any]]]) -> None:
        """Queue whatever endpoints want to know of events of timelines; again changes nothing."""
        now = self._clock()
        specs = {tenant: self._tenants.of(tenant).webhooks for tenant in {who.tenant for who, _ in told}}
        wanted = [
            (Endpoint(who.tenant, name), delivery_of(who.tenant, who.customer_id, event, now), spec.order == "customer")
            for who, event in told
            for name, spec in specs[who.tenant].items()
            if spec.wants(event)
        ]
        if await self._deliveries.queue(wanted, now):
            places = {self._deliveries.place(endpoint, delivery) for endpoint, delivery, _ in wanted}
            for partition, endpoint in places:
                self._known.get(partition, set()).add(endpoint)
            self._fresh |= places
            self._bell.ring()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        loop, looked_at = asyncio.get_running_loop(), float("-inf")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._measure_on())
            while True:
                everywhere = loop.time() - looked_at >= LOOK_EVERY
                looked_at = loop.time() if everywhere else looked_at
                await self._tried(partial(self.send_due, group, everywhere))
                await self._bell.wait(LOOK_EVERY)

    async def _tried(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Do some work; what kept it from being done is logged, and ends nothing else."""
        try:
            await work()
        except CtxhubError as error:
            log.warning("webhooks.delayed", reason=error.detail)
        except Exception:  # one delivery that can't be read must not end the others
            log.exception("webhooks.failed")

    async def send_due(self, group: asyncio.TaskGroup, everywhere: bool = True) -> None:
        """Begin to send what is due, no more than each endpoint takes at once; look `everywhere`, or where it grew."""
        held = set(self._held())
        places, self._fresh = self._fresh, set()
        if everywhere:
            places = set(await self._places(held))
        await self._look({place for place in places if place[0] in held})
        for endpoint, line in list(self._lines.items()):
            for one in self._taken(endpoint, line, held):
                group.create_task(self._tried(partial(self._one, one)))

    async def _places(self, held: Collection[str]) -> list[Place]:
        """Return where anything may wait in partitions that this process holds.

        Redis is asked about a partition when this process takes it over; from then on nobody else queues there. What
        was queued while another process had it for a moment is found as all are asked again, twice a minute.
        """
        now = asyncio.get_running_loop().time()
        asked = sorted(held if now >= self._asks_all_at else set(held) - self._known.keys())
        # What is queued while Redis is asked is added to the same sets.
        self._known = known = {partition: self._known.get(partition, set()) for partition in held}
        try:
            for partition, endpoint in await self._deliveries.endpoints(asked):
                known[partition].add(endpoint)
        except CtxhubError:
            self._known = {}
            raise
        if len(asked) == len(held):
            self._asks_all_at = now + LEARN_EVERY
        return [(partition, endpoint) for partition, endpoints in known.items() for endpoint in endpoints]

    async def _look(self, places: set[Place]) -> None:
        """Learn what is due in some places, unless enough is known for now."""
        now = self._clock()
        wanted = [place for place in places if self._is_short(place[1], now)]
        self._fresh |= places - set(wanted)
        due = await self._deliveries.due(wanted, now, AT_ONCE) if wanted else []
        found = Counter((one.partition, one.endpoint) for one in due)
        self._fresh |= {place for place, count in found.items() if count == AT_ONCE}
        for one in due:
            line = self._line(one.endpoint)
            if one.named not in line.busy:
                line.ahead.setdefault(one.named, one)

    def _is_short(self, endpoint: Endpoint, now: datetime) -> bool:
        """Tell whether more could be sent to an endpoint than is known to be due."""
        room = self._room(endpoint, now)
        return room > 0 and len(self._line(endpoint).ahead) < self._at_once(endpoint)

    def _taken(self, endpoint: Endpoint, line: _Line, held: set[str]) -> Iterator[Due]:
        """Yield what an endpoint takes now; it is on its way there from then on."""
        now = self._clock()
        while line.ahead and self._room(endpoint, now):
            one = line.ahead.pop(next(iter(line.ahead)))
            if one.partition in held and one.named not in line.busy:
                line.busy.add(one.named)
                yield one

    def _line(self, endpoint: Endpoint) -> _Line:
        """Return what is known of an endpoint."""
        return self._lines.setdefault(endpoint, _Line())

    def _spec(self, endpoint: Endpoint) -> WebhookSpec | None:
        """Return what a tenant declares of an endpoint now."""
        return self._tenants.of(endpoint.tenant).webhooks.get(endpoint.name)

    def _at_once(self, endpoint: Endpoint) -> int:
        """Return how many deliveries an endpoint takes at once."""
        spec = self._spec(endpoint)
        return spec.concurrency if spec else 1

    def _room(self, endpoint: Endpoint, now: datetime) -> int:
        """Return how many more deliveries may go to an endpoint now."""
        line = self._line(endpoint)
        return line.circuit.room(now, self._at_once(endpoint), len(line.busy))

    async def _one(self, due: Due) -> None:
        """Send one delivery that is still there, note what came of it, and look for the next."""
        try:
            queued = await self._deliveries.read(due)
            if queued is not None:
                done = await self._attempted(due.endpoint, queued.delivery)
                await self._deliveries.settle(queued, done)
                self._fresh.add((due.partition, due.endpoint))
                self._note(due.endpoint, done)
        finally:
            self._line(due.endpoint).busy.discard(due.named)
            self._bell.ring()

    async def _attempted(self, endpoint: Endpoint, delivery: Delivery) -> Settled:
        """Try to send a delivery, if its endpoint is declared, has a secret and wants it."""
        spec, now = self._spec(endpoint), self._clock()
        if spec is None:
            return self._left(delivery, "undeclared", now)
        disabled = await self._deliveries.disabled([endpoint])
        if endpoint in disabled and disabled[endpoint][0] == spec.url:
            return Settled("dead", delivery.but(said="disabled", said_at=now), now)
        try:
            secrets = self._mail.secrets(spec)
        except BadSecret as error:
            log.error("webhook.no_secret", tenant=endpoint.tenant, webhook=endpoint.name, reason=str(error))
            return self._left(delivery, "no_secret", now)
        answer = await self._answer(endpoint, spec, delivery, secrets)
        if answer.is_gone:
            await self._deliveries.disable(endpoint, spec.url, now)
            log.warning("webhook.disabled", tenant=endpoint.tenant, webhook=endpoint.name, remedy="redrive enables it")
        return settled(delivery, answer, self._clock(), self._chance())

    def _left(self, delivery: Delivery, why: str, now: datetime) -> Settled:
        """Leave a delivery for a while that can't even be tried, or give it up after days."""
        left = delivery.but(said=why, said_at=now)
        if now - delivery.queued_at >= GIVEN_UP_AFTER:
            return Settled("dead", left, now)
        return Settled("again", left, now + LEFT_FOR)

    async def _answer(
        self, endpoint: Endpoint, spec: WebhookSpec, delivery: Delivery, secrets: Sequence[bytes]
    ) -> Answer:
        """Send a delivery, and learn by its answer how its endpoint does."""
        brief = await self._brief(endpoint, spec, delivery) if spec.content == "brief" else None
        body = orjson.dumps(envelope(delivery, self._mail.source_of(endpoint.tenant), brief))
        now = self._clock()
        headers = signed(secrets, delivery.webhook_id, now, body)
        try:
            got = await self._mail.outward.post(spec.url, headers, body, Bounds(spec.timeout, MOST_READ), now)
            answer = Answer(got.status, retry_after=got.retry_after)
        except NotReached as error:
            answer = Answer(None, error.reason)
        self._learn(endpoint, answer)
        return answer

    def _learn(self, endpoint: Endpoint, answer: Answer) -> None:
        """Leave an endpoint alone that fails again and again, or asks us to wait."""
        line, now = self._line(endpoint), self._clock()
        before = line.circuit.state(now)
        line.circuit = line.circuit.failed(now) if answer.blames_endpoint else line.circuit.answered()
        if answer.retry_after is not None and answer.status in (429, 503):
            line.circuit = line.circuit.held(now + answer.retry_after)
        after = line.circuit.state(now)
        if after != before:
            log.warning("webhook.circuit", tenant=endpoint.tenant, webhook=endpoint.name, state=after)

    async def _brief(self, endpoint: Endpoint, spec: WebhookSpec, delivery: Delivery) -> dict[str, Any] | None:
        """Return what the endpoint's role may be told of the customer now; None where that is nothing."""
        wanted = Wanted(view=_AUDIENCES[spec.role], lang=spec.lang, interaction_id=delivery.interaction_id)
        reader = Reader(role=spec.role, interaction_id=delivery.interaction_id)
        try:
            told = await self._briefs.read(Who(endpoint.tenant, delivery.customer_id), reader, wanted)
        except CtxhubError as refusal:
            log.info("webhook.without_brief", tenant=endpoint.tenant, webhook=endpoint.name, reason=refusal.code)
            return None
        await self._note_read(endpoint, spec, delivery, told.brief.version)
        lines = [line.model_dump(mode="json", include={"text", "evidence"}) for line in told.brief.lines]
        return {"version": told.brief.version, "language": told.brief.language, "lines": lines}

    async def _note_read(self, endpoint: Endpoint, spec: WebhookSpec, delivery: Delivery, version: int) -> None:
        """Leave a line in the audit trail: a brief that is sent is read."""
        if self._audit.on:
            customer = self._audit.pseudonym(endpoint.tenant, delivery.customer_id)
            line = Entry(
                at=self._clock(), action="brief.sent", by=f"webhook {endpoint.name}", role=spec.role,
                customer=customer, interaction_id=delivery.interaction_id, version=version,
            )  # fmt: skip
            await self._audit.note(endpoint.tenant, text_of(line))

    def _note(self, endpoint: Endpoint, done: Settled) -> None:
        """Count an attempt, and log what was given up."""
        outcome = "failed" if done.how == "again" else done.how
        WEBHOOK_ATTEMPTS.labels(endpoint.tenant, endpoint.name, outcome).inc()
        told = {"tenant": endpoint.tenant, "webhook": endpoint.name, "delivery": done.delivery.webhook_id}
        if done.how == "dead":
            log.error("delivery.given_up", **told, said=done.delivery.said, attempts=done.delivery.attempts)
        elif done.how == "again":
            log.info("delivery.failed", **told, said=done.delivery.said, attempts=done.delivery.attempts)

    async def _measure_on(self) -> None:
        """Say every few seconds how much waits, and since when."""
        while True:
            await self._tried(self._measure)
            await asyncio.sleep(MEASURE_EVERY)

    async def _measure(self) -> None:
        """Say how much waits in the partitions that this process holds, and how old the oldest is."""
        places = await self._places(set(self._held()))
        endpoints = {endpoint for _, endpoint in places}
        for endpoint in endpoints | self._measured:
            backlog = await self._deliveries.backlog(endpoint, [place for place, other in places if other == endpoint])
            age = (self._clock() - backlog.oldest_at).total_seconds() if backlog.oldest_at else 0.0
            WEBHOOK_WAITING.labels(*endpoint).set(backlog.waiting)
            WEBHOOK_OLDEST.labels(*endpoint).set(age)
        self._measured |= endpoints

    async def listed(self, tenant: str) -> list[dict[str, Any]]:
        """Return every endpoint of a tenant as it stands; its circuit is the one of this process."""
        now = self._clock()
        return [
            each | {"circuit": self._line(Endpoint(tenant, each["name"])).circuit.state(now)}
            for each in await self._endpoints.listed(tenant)
        ]

    async def deliveries(self, tenant: str, name: str, state: DeliveryState, most: int) -> list[dict[str, Any]]:
        """Return deliveries to an endpoint that wait, were acknowledged lately, or were given up."""
        return await self._endpoints.deliveries(tenant, name, state, most)

    async def redrive(self, tenant: str, name: str) -> int:
        """Queue all that was given up for an endpoint again, and let it be called again; return how much it was."""
        count = await self._endpoints.redrive(tenant, name)
        self._line(Endpoint(tenant, name)).circuit = CLOSED
        self._bell.ring()
        return count
