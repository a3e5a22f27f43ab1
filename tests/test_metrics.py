"""The metrics as Prometheus reads them; those of several workers are tested with serving."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ctxhub import metrics


def shown(name: str, **labels: str) -> float | None:
    """A metric's value as it is shown."""
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_what_is_counted_is_shown() -> None:
    before = shown("ctxhub_repeats_total", channel="ivr") or 0
    metrics.REPEATS.labels("ivr").inc()
    assert shown("ctxhub_repeats_total", channel="ivr") == before + 1


def test_open_streams_go_up_and_down() -> None:
    with metrics.STREAMS_OPEN.labels("queue").track_inprogress():
        assert shown("ctxhub_streams_open", kind="queue") == 1
    assert shown("ctxhub_streams_open", kind="queue") == 0


def test_time_is_told_finely_where_promises_are_made() -> None:
    metrics.REQUEST_SECONDS.labels("/v1/test").observe(0.015)
    assert shown("ctxhub_request_seconds_bucket", route="/v1/test", le="0.01") == 0
    assert shown("ctxhub_request_seconds_bucket", route="/v1/test", le="0.02") == 1


@pytest.mark.parametrize(
    "name", [name for name in metrics.__all__ if name.isupper() and name not in ("CONTENT_TYPE", "WORKERS_FOLDER")]
)
def test_every_metric_bears_our_name_and_says_what_it_is(name: str) -> None:
    metric = getattr(metrics, name)
    (described,) = metric.describe()
    assert re.fullmatch(r"ctxhub_[a-z_]+", described.name)
    assert described.documentation.endswith(".")
