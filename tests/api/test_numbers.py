"""Numbers over HTTP: as JSON with their definitions, as a table, and as Prometheus reads them."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp

from ctxhub.api.numbers import COLUMNS, table
from ctxhub.model.metric import DEFINITIONS
from ctxhub.store.embedded import EmbeddedServer
from tests.api.living import Callers, http_to, living, settings_for
from tests.api.scenes import Caller, fresh, ok, pointers, problem
from tests.hub.scenes import eventually

JANUARY = {"from": "2026-01-01", "to": "2026-01-31"}


def rows_of(text: str) -> list[dict[str, str]]:
    """A table's rows."""
    return list(csv.DictReader(StringIO(text)))


async def test_numbers_are_of_days_in_order_and_not_too_many(callers: Callers) -> None:
    numbers = ok(await callers.supervisor.get("/v1/numbers", **JANUARY))
    assert (numbers["from"], numbers["to"], numbers["time_zone"]) == ("2026-01-01", "2026-01-31", "UTC")
    assert numbers["repeats"] == {
        "total": 0, "by_channel": {}, "by_fact": {}, "by_hop": {}, "by_fact_and_hop": [], "instrumented": {},
    }  # fmt: skip
    for first, last in ("2026-01-02", "2026-01-01"), ("2020-01-01", "2026-01-01"):
        assert pointers(await callers.supervisor.get("/v1/numbers", **{"from": first, "to": last})) == ["/from"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("from", "yesterday"), ("to", "31.12.2026"), ("channel", "No Channel"), ("lang", "fr"), ("format", "xml")],
)
async def test_what_makes_no_sense_is_named(callers: Callers, name: str, value: str) -> None:
    assert pointers(await callers.supervisor.get("/v1/numbers", **{name: value})) == [f"/{name}"]


async def test_adapters_and_agents_read_no_numbers(adapter: Caller, desk: Caller) -> None:
    for caller in (adapter, desk):
        problem(await caller.get("/v1/numbers"), 403, "forbidden")


async def test_every_metric_stands_in_the_answer_with_its_definition_and_window(callers: Callers) -> None:
    metrics = ok(await callers.supervisor.get("/v1/numbers", **JANUARY))["metrics"]
    assert [metric["id"] for metric in metrics] == [definition.id for definition in DEFINITIONS]
    for metric in metrics:
        assert metric["formula"]
        assert metric["version"] >= 1
        assert metric["window"] == JANUARY | {"time_zone": "UTC"}
        assert metric["status"] != "not_instrumented" or metric["why"]


async def test_names_and_formulas_come_in_chinese_too(callers: Callers) -> None:
    metrics = ok(await callers.supervisor.get("/v1/numbers", lang="zh"))["metrics"]
    assert metrics[0]["name"] == "重复询问率"


@pytest.mark.parametrize("last", ["9999-12-31", "0001-01-01", "2040-01-01"])
async def test_days_far_away_are_refused(callers: Callers, last: str) -> None:
    assert pointers(await callers.supervisor.get("/v1/numbers", to=last)) == ["/to"]


@pytest.mark.parametrize(("headers", "query"), [({"Accept": "text/csv"}, {}), ({}, {"format": "csv"})])
async def test_as_a_table_they_have_a_row_each(callers: Callers, headers: Any, query: Any) -> None:
    found = await callers.supervisor.get("/v1/numbers", headers, **JANUARY | query)
    assert found.status_code == 200
    assert found.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="numbers-2026-01-01-2026-01-31.csv"' in found.headers["content-disposition"]
    rows = rows_of(found.text)
    ids = [row["id"] for row in rows if row["part"] == "metric" and not row["dimension"]]
    assert ids == [definition.id for definition in DEFINITIONS]
    counts = {(row["id"], row["dimension"], row["key"]) for row in rows if row["part"] == "count"}
    assert {("repeats", "total", ""), ("handoffs", "times", "accept n"), ("resume", "taken", "")} <= counts


async def test_whoever_takes_both_gets_json(callers: Callers) -> None:
    found = await callers.supervisor.get("/v1/numbers", {"Accept": "application/json, text/csv"})
    assert found.headers["content-type"] == "application/json"


def test_a_text_in_a_table_is_never_a_formula() -> None:
    found: dict[str, Any] = dict.fromkeys(("from", "to", "time_zone", "channel"), "") | {"metrics": []}
    found |= {"definitions": {"repeats": "=1+1"}, "repeats": {"by_fact": {"=HYPERLINK(1)": 3, 'a "b", c\n': 1}}}
    rows = rows_of(table(found))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["key"], row["value"], row["meaning"]) for row in rows] == [
        ("'=HYPERLINK(1)", "3", "'=1+1"), ('a "b", c\n', "1", "'=1+1"),
    ]  # fmt: skip


# As Prometheus reads them


@pytest.fixture
async def scraped(api_server: EmbeddedServer, tmp_path: Path) -> AsyncIterator[ASGIApp]:
    """A hub of its own, which has read nothing yet."""
    async with living(settings_for(tmp_path, api_server.url)) as app:
        yield app


def samples_of(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of an exposition; one that stands twice would be a fault."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation.endswith(".") or not family.name.startswith("ctxhub_")
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


async def _asked_twice(adapter: Caller, fact: str) -> None:
    """Let a customer say something and be asked for it."""
    start = {"channel": "chat", "external_id": fresh("x"), "customer_id": fresh("c"),
             "assurance": {"level": 2, "method": "pin"}}  # fmt: skip
    started = ok(await adapter.post("/v1/interactions", start), 201)
    about = {"interaction_id": started["interaction"]["interaction_id"]}
    told = [{"event_id": "e1", "type": "fact.stated", **about, "data": {"name": fact, "value": 1}},
            {"event_id": "e2", "type": "question.asked", **about, "data": {"names": [fact]}}]  # fmt: skip
    ok(await adapter.post(f"/v1/customers/{started['customer_id']}/events", {"events": told}))


async def test_prometheus_sees_the_counters_of_every_tenant_and_no_fact_that_nobody_declared(
    callers: Callers, adapter: Caller, scraped: ASGIApp
) -> None:
    fact = fresh("fact")
    await _asked_twice(adapter, fact)

    async def counted() -> bool:
        by_fact: dict[str, int] = ok(await callers.supervisor.get("/v1/numbers"))["repeats"]["by_fact"]
        return fact in by_fact

    await eventually(counted, within=5)
    async with http_to(scraped) as http:
        text = (await http.get("/metrics")).text
    samples = samples_of(text)
    repeats = {labels: n for (name, labels), n in samples.items() if name == "ctxhub_numbers_repeats_total"}
    assert any({("channel", "chat"), ("fact", "other")} <= set(labels) and n >= 1 for labels, n in repeats.items())
    assert samples["ctxhub_numbers_up", ()] == 1
    assert samples["ctxhub_outbox_backlog_writes", ()] >= 0
    assert fact not in text


async def test_what_is_exposed_is_well_formed(http: Any) -> None:
    samples = samples_of((await http.get("/metrics")).text)
    names = {name for name, _ in samples}
    assert {"ctxhub_numbers_interactions_total", "ctxhub_requests_total"} <= names
    for name, labels in samples:
        if name.startswith("ctxhub_numbers_") and name.endswith("_bucket"):
            assert "le" in dict(labels)
