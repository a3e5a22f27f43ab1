"""Scrape: the counters of all tenants as Prometheus reads them, from Redis, the same from every process.

Labels are few: whatever a tenant has not declared (channels beyond the usual ones, facts, kinds of journeys) goes under
`other`, and nothing of a customer or an agent is ever a label.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import NamedTuple

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from ctxhub.errors import CtxhubError
from ctxhub.hub.keys import Keys
from ctxhub.hub.numbers import totals_of
from ctxhub.hub.tenants import DEFAULT, Tenants
from ctxhub.hub.vitals import EVERYWHERE
from ctxhub.model.counting import FAMILIES
from ctxhub.model.measure import BEYOND, BOUNDS, Totals
from ctxhub.model.tenant import Tenant
from ctxhub.store.lists import Lists

log = structlog.get_logger()
FRESH_FOR = 5.0
READ_WITHIN = 2.0
OTHER = "other"
USUAL_CHANNELS = frozenset(
    {"ivr", "voice", "chat", "app", "web", "wechat", "whatsapp", "sms", "email", "desk", "store"}
)  # fmt: skip


class Exposed(NamedTuple):
    """How a family of counters is exposed: its name, and which of its dimensions become labels."""

    family: str
    name: str
    labels: tuple[str, ...]


EXPOSED = (
    Exposed("interactions", "interactions", ("channel",)),
    Exposed("asked", "questions_asked", ("channel", "purpose")),
    Exposed("repeats", "repeats", ("channel", "fact")),
    Exposed("saved", "questions_saved", ("channel",)),
    Exposed("carried", "facts_carried", ("from", "to")),
    Exposed("hops", "hops", ("from", "to", "by")),
    Exposed("hops_known", "hops_with_facts", ("from", "to", "by")),
    Exposed("hops_repeated", "hops_repeated", ("from", "to", "by")),
    Exposed("handoffs", "handoffs", ("channel", "state")),
    Exposed("decided", "handoff_offers", ("channel", "offered_to", "outcome")),
    Exposed("legs", "agent_work_ended", ("channel", "how")),
    Exposed("commitments", "commitments", ("state",)),
    Exposed("journeys", "journeys", ("kind", "verb")),
    Exposed("resume", "resume_offers", ("answer",)),
    Exposed("out_of_turn", "out_of_turn_messages", ("channel",)),
)
TIMES = {
    "accept": ("handoff_wait_seconds", "from the beginning of the wait to the first acceptance by an agent"),
    "handle": ("handoff_handle_seconds", "from an agent's acceptance to the end of that agent's work"),
    "context": ("handoff_context_seconds", "from acceptance to the receipt of the context"),
}
_CHANNELS = ("channel", "from", "to")


class Scrape:
    """Reads the counters of all tenants, at most every few seconds."""

    def __init__(
        self, keys: Keys, tenants: Tenants, lists: Lists, vitals: Callable[[], Awaitable[list[Metric]]],
        clock: Callable[[], float] = time.monotonic, within: float = READ_WITHIN,
    ) -> None:  # fmt: skip
        self._keys = keys
        self._tenants = tenants
        self._lists = lists
        self._vitals = vitals
        self._clock = clock
        self._within = within
        self._read_at = float("-inf")
        self._metrics: list[Metric] = []
        self._turn = asyncio.Lock()

    async def metrics(self) -> list[Metric]:
        """Return them as they stand, at most a few seconds old; none but `up` 0 where Redis does not answer in time."""
        try:
            async with asyncio.timeout(self._within), self._turn:
                if self._clock() - self._read_at >= FRESH_FOR:
                    self._metrics, self._read_at = await self._read(), self._clock()
                return self._metrics
        except TimeoutError:
            log.warning("numbers.not_read", reason="Redis is slow")
            return [_up(False)]

    async def _read(self) -> list[Metric]:
        """Read everything; a Redis that does not answer must not keep a process's own metrics from being seen."""
        try:
            totals = {tenant: totals_of(await self._lists.numbers_total(tenant)) for tenant in await self._every()}
            vitals = await self._vitals()
        except CtxhubError as error:
            log.warning("numbers.not_read", reason=error.detail)
            return [_up(False)]
        counters = [_counter(exposed, self._labelled(exposed, totals)) for exposed in EXPOSED]
        return [*counters, *(_histogram(what, totals) for what in TIMES), *vitals, _up(True)]

    async def _every(self) -> list[str]:
        """Return every tenant: those with a file, and those with a key."""
        return sorted({DEFAULT, *self._tenants.names(), *(record["tenant"] for record in await self._keys.list())})

    def _labelled(self, exposed: Exposed, totals: dict[str, Totals]) -> dict[tuple[str, ...], int]:
        """Return the sums of a family by tenant and bounded labels."""
        dimensions = FAMILIES[exposed.family].dimensions
        places = [dimensions.index(label) for label in exposed.labels]
        sums: dict[tuple[str, ...], int] = {}
        for tenant, counted in totals.items():
            declared = self._tenants.of(tenant)
            for values, amount in counted.by(exposed.family, *places).items():
                named = (_bounded(label, value, declared) for label, value in zip(exposed.labels, values, strict=True))
                key = (tenant, *named)
                sums[key] = sums.get(key, 0) + amount
        return sums


def _bounded(label: str, value: str, tenant: Tenant) -> str:
    """Return a label's value, if it is one of few."""
    if label in _CHANNELS:
        return value if value in USUAL_CHANNELS or value in tenant.channels or not value else OTHER
    if label == "fact":
        return value if value in tenant.facts or any(value in kind.needs for kind in tenant.journeys) else OTHER
    if label == "kind":
        return value if any(kind.kind == value for kind in tenant.journeys) else OTHER
    return value


def _counter(exposed: Exposed, sums: dict[tuple[str, ...], int]) -> Metric:
    """Return a family of counters."""
    help_ = f"{FAMILIES[exposed.family].counts.capitalize()}{EVERYWHERE}."
    family = CounterMetricFamily(f"ctxhub_numbers_{exposed.name}", help_, labels=("tenant", *exposed.labels))
    for labels, amount in sums.items():
        family.add_metric(labels, amount)
    return family


def _histogram(what: str, totals: dict[str, Totals]) -> Metric:
    """Return durations as a histogram."""
    name, meaning = TIMES[what]
    help_ = f"Seconds {meaning}{EVERYWHERE}."
    family = HistogramMetricFamily(f"ctxhub_numbers_{name}", help_, labels=("tenant",))
    for tenant, counted in totals.items():
        times = counted.times(what)
        if times.n:
            family.add_metric([tenant], list(_cumulative(times.buckets)), sum_value=times.total)
    return family


def _cumulative(buckets: dict[str, int]) -> Iterator[tuple[str, float]]:
    """Yield each bound with how many lie at or below it."""
    so_far = 0
    for bound in _bounds():
        so_far += buckets.get(bound, 0)
        yield "+Inf" if bound == BEYOND else bound, so_far


def _bounds() -> Iterable[str]:
    """Return the names of all buckets, shortest first."""
    return (*map(str, BOUNDS), BEYOND)


def _up(reads: bool) -> Metric:
    """Return whether the counters could be read."""
    help_ = "Whether the counters of all tenants could be read from Redis: 1 or 0."
    return GaugeMetricFamily("ctxhub_numbers_up", help_, value=int(reads))
