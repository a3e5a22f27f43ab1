"""What is counted and timed, all in one place; `GET /metrics` shows it to Prometheus.

Several workers count into files of one folder (`PROMETHEUS_MULTIPROC_DIR`, set by the supervisor), and whichever
of them is asked answers with the sum.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.metrics_core import Metric

__all__ = [
    "ARCHIVED",
    "ARCHIVE_BACKLOG",
    "ARCHIVE_LAG",
    "ARCHIVE_UP",
    "BROUGHT_BACK",
    "BROUGHT_BACK_SECONDS",
    "CODES_REFUSED",
    "CONTENT_TYPE",
    "EVENTS",
    "HANDOFFS",
    "IDENTIFIERS_IGNORED",
    "LIMITED",
    "OUT_OF_TURN",
    "QUESTIONS_SAVED",
    "REDIS_ROUND_TRIPS",
    "REDIS_SPARED",
    "RELEASED",
    "REPEATS",
    "REQUESTS",
    "REQUEST_SECONDS",
    "SOURCES_ASKED",
    "SOURCE_SECONDS",
    "STREAMS_OPEN",
    "WEBHOOK_ATTEMPTS",
    "WEBHOOK_OLDEST",
    "WEBHOOK_WAITING",
    "WORKERS_FOLDER",
    "exposition",
]

CONTENT_TYPE = CONTENT_TYPE_LATEST
WORKERS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

REQUESTS = Counter("ctxhub_requests", "Requests answered.", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("ctxhub_request_seconds", "Time to the answer's start.", ["route"], buckets=_SECONDS)
EVENTS = Counter("ctxhub_events", "Events told, repeated ones left out.", ["family"])
REPEATS = Counter("ctxhub_repeats", "Usable facts asked for again without reason.", ["channel"])
QUESTIONS_SAVED = Counter("ctxhub_questions_saved", "Questions a channel did not have to ask.", ["channel"])
HANDOFFS = Counter("ctxhub_handoffs", "Handoffs, by the state they went into.", ["transition"])
IDENTIFIERS_IGNORED = Counter("ctxhub_identifiers_ignored", "Identifiers that lead nowhere, and why.", ["reason"])
OUT_OF_TURN = Counter("ctxhub_out_of_turn", "Messages sent by somebody who did not have the floor.", ["channel"])
NEVER_KEPT = Counter("ctxhub_never_kept", "Card numbers, codes and passwords taken out.", ["kind"])
CODES_REFUSED = Counter("ctxhub_codes_refused", "Handoff codes refused: unknown, or too many tries.", ["why"])
LIMITED = Counter("ctxhub_limited", "Calls refused by a limit: of a key, a customer, or look-ups.", ["limit"])
STREAMS_OPEN = Gauge("ctxhub_streams_open", "Streams open now.", ["kind"], multiprocess_mode="livesum")
REDIS_ROUND_TRIPS = Counter("ctxhub_redis_round_trips", "Round trips to Redis.", ["operation"])
REDIS_SPARED = Counter("ctxhub_redis_spared", "Calls refused at once since Redis did not answer the ones before.")

ARCHIVE_UP = Gauge(
    "ctxhub_archive_up", "Whether the archive answers: 1, or 0; absent where there is none.", ["database"],
    multiprocess_mode="livemin",
)  # fmt: skip
ARCHIVE_BACKLOG = Gauge(
    "ctxhub_archive_backlog", "Writes that the archive does not have yet.", multiprocess_mode="livesum"
)
ARCHIVE_LAG = Gauge(
    "ctxhub_archive_lag_seconds", "Age of the oldest write that the archive does not have yet.",
    multiprocess_mode="livemax",
)  # fmt: skip
ARCHIVED = Counter("ctxhub_archived_events", "Events written to the archive.")
RELEASED = Counter("ctxhub_released", "Customers whom Redis forgot because the archive has them.")
BROUGHT_BACK = Counter("ctxhub_brought_back", "Customers brought back from the archive.")
BROUGHT_BACK_SECONDS = Histogram("ctxhub_brought_back_seconds", "Time to bring a customer back.", buckets=_SECONDS)

WEBHOOK_ATTEMPTS = Counter(
    "ctxhub_webhook_attempts", "Attempts to deliver: delivered, failed or dead.", ["tenant", "webhook", "outcome"]
)
WEBHOOK_WAITING = Gauge(
    "ctxhub_webhook_waiting", "Deliveries that an endpoint has not acknowledged yet.", ["tenant", "webhook"],
    multiprocess_mode="livesum",
)  # fmt: skip
WEBHOOK_OLDEST = Gauge(
    "ctxhub_webhook_oldest_seconds", "Age of the oldest of them.", ["tenant", "webhook"], multiprocess_mode="livemax"
)
SOURCES_ASKED = Counter(
    "ctxhub_sources_asked", "Sources asked: answered, cached, late or failed.", ["tenant", "source", "state"]
)
SOURCE_SECONDS = Histogram(
    "ctxhub_source_seconds", "Time until a source has answered.", ["tenant", "source"], buckets=_SECONDS
)


def exposition(numbers: Iterable[Metric] = ()) -> bytes:
    """All metrics of the hub as Prometheus reads them, whichever worker is asked; `numbers` stand after the others."""
    return _of_processes() + generate_latest(_Read(tuple(numbers)))


def _of_processes() -> bytes:
    """Return what the hub's own processes counted and timed."""
    if WORKERS_FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class _Read(CollectorRegistry):
    """A registry of metrics that were read elsewhere."""

    def __init__(self, metrics: tuple[Metric, ...]) -> None:
        super().__init__()
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield from self._metrics
