"""Alerts and dashboards: whole for their own tools, about metrics that a hub shows, and each alert with a way on."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from ctxhub import metrics
from ctxhub.client import away, spool
from ctxhub.hub.scrape import EXPOSED, TIMES
from tests.chaos.running import KEY, KillableHub
from tests.deploy.conftest import Tool
from tests.deploy.reading import (
    DASHBOARDS,
    DEPLOY,
    ROOT,
    alerts,
    dashboard,
    documents,
    labels_of,
    metrics_of,
    panels,
    queries,
    recorded,
)
from tests.docs.reading import anchors
from tests.test_serving import eventually

PROMETHEUS = DEPLOY / "prometheus"
RUNBOOK = ROOT / "docs" / "how-to" / "runbook.md"

#: What Prometheus itself knows of a target, and labels that are nobody's own.
ITS_OWN = {"up"}
ITS_LABELS = {"job", "instance", "le"}
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def exposed(text: str) -> set[str]:
    """Return the name of every series that a hub shows, also of those that have no value yet."""
    families = text_string_to_metric_families(text)
    return {f"{family.name}{suffix}" for family in families for suffix in _SUFFIXES[family.type]}


@pytest.fixture(scope="module")
def shown(running: KillableHub) -> str:
    """What Prometheus reads of a real hub."""
    return httpx.get(f"{running.url}/metrics", trust_env=False).text


def test_every_metric_that_is_asked_for_is_one_that_a_hub_shows(shown: str) -> None:
    known = exposed(shown) | recorded() | ITS_OWN
    asked = {name for query in queries() for name in metrics_of(query)}
    assert len(asked) > 40
    assert asked - known == set()


def test_a_metric_that_no_hub_shows_would_be_seen() -> None:
    query = 'sum by (tenant) (max without (instance) (increase(ctxhub_a_total{how=~"b|c"}[1h] offset 1d))) > on () up'
    assert metrics_of(query) == {"ctxhub_a_total", "up"}
    assert labels_of(query) == {"ctxhub_a_total": {"how"}}


def test_queries_choose_by_labels_that_there_are() -> None:
    known = labels()
    found = {(name, label) for query in queries() for name, chosen in labels_of(query).items() for label in chosen}
    assert {label for _, label in found} >= {"outcome", "state", "became", "status"}
    wrong = [(name, label) for name, label in found if label not in known.get(_family(name), set()) | ITS_LABELS]
    assert wrong == []


def labels() -> dict[str, set[str]]:
    """Return the labels of every metric, by the name of its family."""
    own = [value for value in vars(metrics).values() if hasattr(value, "_labelnames")]
    found = {metric._name: set(metric._labelnames) for metric in [*own, away.DEGRADED, spool.SPOOLED, spool.PENDING]}
    found |= {f"ctxhub_numbers_{each.name}": {"tenant", *each.labels} for each in EXPOSED}
    return found | {f"ctxhub_numbers_{name}": {"tenant"} for name, _ in TIMES.values()}


def _family(series: str) -> str:
    return re.sub(r"_(total|bucket|sum|count)$", "", series)


def test_every_alert_leads_to_its_own_section_of_the_runbook_and_none_is_left_over() -> None:
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/guides/how-to/runbook#{name.lower()}")
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
    sections = re.findall(r"^## (\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert sections == list(alerts())
    assert {name.lower() for name in alerts()} <= anchors(RUNBOOK)


def test_every_section_of_the_runbook_says_what_it_means_where_to_look_and_what_to_do() -> None:
    _, *sections = re.split(r"^## ", RUNBOOK.read_text("utf-8"), flags=re.MULTILINE)
    for section in sections:
        assert re.findall(r"^\*\*(Means|Look|Do)\*\*", section, re.MULTILINE) == ["Means", "Look", "Do"], section


def test_the_runbook_that_alerts_lead_to_is_served_by_every_hub(running: KillableHub) -> None:
    page = httpx.get(f"{running.url}/docs/guides/how-to/runbook", trust_env=False)
    assert page.status_code == 200
    assert all(f'id="{name.lower()}"' in page.text for name in alerts())


def test_rules_and_configuration_are_whole(promtool: Tool) -> None:
    for what, file in (("config", "prometheus.yml"), ("rules", "rules.yml")):
        checked = promtool("check", what, str(PROMETHEUS / file))
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_silent_before_and_rings_after(promtool: Tool) -> None:
    checked = promtool("test", "rules", str(PROMETHEUS / "rules_test.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert set(tried()) == {(name, rings) for name in alerts() for rings in (False, True)}


def tried() -> Iterator[tuple[str, bool]]:
    """Yield which alert was tried, and whether it was to ring."""
    [document] = documents(PROMETHEUS / "rules_test.yml")
    for test in document["tests"]:
        for case in test["promql_expr_test"]:
            [name] = re.findall(r'alertname="(\w+)"', case["expr"])
            yield name, bool(case["exp_samples"])


def test_names_and_units_are_as_prometheus_wants_them(promtool: Tool, shown: str) -> None:
    checked = promtool("check", "metrics", said=shown)
    assert [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith("ctxhub_")] == []


def test_every_query_of_a_dashboard_can_be_asked(promtool: Tool, tmp_path: Path) -> None:
    asked = [target["expr"] for path in DASHBOARDS for panel in panels(path) for target in panel["targets"]]
    assert len(asked) > 40
    filled = [query.replace("$__rate_interval", "5m").replace("$tenant", "acme") for query in asked]
    assert not [query for query in filled if "$" in query]
    rules = [{"record": f"asked:{number}", "expr": query} for number, query in enumerate(filled)]
    file = tmp_path / "asked.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    checked = promtool("check", "rules", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_tidy(path: Path) -> None:
    shown = dashboard(path)
    assert shown["uid"].startswith("ctxhub-")
    assert shown["description"]
    every = shown["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    cells = [cell for panel in every for cell in _cells(panel["gridPos"])]
    assert len(set(cells)) == len(cells), "panels lie over each other"
    assert max(x for x, _ in cells) < 24
    for panel in panels(path):
        assert panel["title"], panel["id"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
    assert shown["templating"]["list"][0]["name"] == "datasource"


def _cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def test_no_metric_of_the_hub_itself_is_personal() -> None:
    ours = {label for metric in REGISTRY._names_to_collectors.values() for label in getattr(metric, "_labelnames", ())}
    assert not ours & {"customer", "customer_id", "agent", "agent_id", "interaction", "interaction_id", "key", "phone"}


@pytest.fixture(scope="module")
def prometheus(
    running: KillableHub, need: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A real Prometheus with our files, but for the hub's address and for a second in place of a quarter minute."""
    folder = tmp_path_factory.mktemp("prometheus")
    text = (PROMETHEUS / "prometheus.yml").read_text("utf-8")
    text = text.replace("hub-1:8080, hub-2:8080", f'"{running.url.removeprefix("http://")}"')
    text = text.replace("interval: 15s", "interval: 1s").replace("timeout: 5s", "timeout: 1s")
    (folder / "prometheus.yml").write_text(text)
    (folder / "rules.yml").write_bytes((PROMETHEUS / "rules.yml").read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [need("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--web.listen-address={address}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--storage.tsdb.path={folder / 'data'}"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://{address}/api/v1", trust_env=False, timeout=10) as client:
            eventually(lambda: _answers(client, "up{job='ctxhub'} == 1"), within=30)
            yield client
    finally:
        process.kill()
        process.wait(10)


def _answers(client: httpx.Client, query: str) -> bool:
    """Tell whether a query is answered with something."""
    try:
        answer = client.get("/query", params={"query": query})
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and bool(answer.json()["data"]["result"])


def test_a_hub_that_is_well_rings_no_alarm_and_every_rule_can_be_worked_out(prometheus: httpx.Client) -> None:
    def rules() -> list[dict[str, Any]]:
        groups = prometheus.get("/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    eventually(lambda: all(rule["health"] != "unknown" for rule in rules()), within=30)
    assert {rule["name"] for rule in rules()} == alerts().keys() | recorded()
    assert [(rule["name"], rule.get("lastError")) for rule in rules() if rule["health"] != "ok"] == []
    assert [rule["name"] for rule in rules() if rule.get("state") == "firing"] == []


def test_what_a_dashboard_asks_is_answered(prometheus: httpx.Client, running: KillableHub) -> None:
    body = {"channel": "web", "external_id": "visit-1", "customer_id": "c7"}
    begun = httpx.post(
        f"{running.url}/v1/interactions", json=body, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False
    )
    assert begun.status_code == 201
    eventually(lambda: _answers(prometheus, "ctxhub_numbers_interactions_total > 0"), within=30)
    for path in DASHBOARDS:
        for panel in panels(path):
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", "5m").replace("$tenant", ".*")
                answer = prometheus.get("/query", params={"query": query})
                assert answer.status_code == 200, f"{panel['title']}: {answer.text}"
    for query in ("max(ctxhub_numbers_up)", "max(ctxhub_outbox_oldest_seconds)", "max(ctxhub_redis_used_bytes)"):
        assert _answers(prometheus, query), query
