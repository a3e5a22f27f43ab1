"""The compose file: whole by its schema, careful, and about files, settings and ports that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ctxhub.settings import Settings, describe_settings
from ctxhub.worker import _GONE_AT_LAST
from tests.deploy.conftest import Tool
from tests.deploy.reading import COMPOSE, DEPLOY, documents
from tests.deploy.servers import VALKEY, run
from tests.deploy.test_valkey import doctor

HUBS = ("hub-1", "hub-2")
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def services() -> dict[str, dict[str, Any]]:
    """Return every service."""
    [document] = documents(COMPOSE)
    found: dict[str, dict[str, Any]] = document["services"]
    return found


def filled(value: str, given: dict[str, str]) -> str:
    """Fill in variables as compose does."""
    return _VARIABLE.sub(lambda found: given.get(found[1]) or (found[3] if found[2] == "-" else ""), value)


def environ(given: dict[str, str]) -> dict[str, str]:
    """Return the environment of a hub."""
    return {name: filled(value, given) for name, value in services()["hub-1"]["environment"].items()}


def test_it_is_whole(module: Any) -> None:
    check: Tool = module("check_jsonschema")
    checked = check("--builtin-schema", "vendor.compose-spec", str(COMPOSE))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_service_is_careful() -> None:
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_two_hubs_are_alike_but_for_their_port_and_folder() -> None:
    first, second = (services()[name] for name in HUBS)
    assert {part for part in first if first[part] != second[part]} == {"ports", "volumes"}
    assert float(first["stop_grace_period"].removesuffix("s")) > _GONE_AT_LAST


def test_secrets_are_asked_for_and_settings_are_ours() -> None:
    known = {line.variable for line in describe_settings()}
    assert services()["hub-1"]["environment"].keys() <= known
    for name in ("CTXHUB_MASTER_KEY", "CTXHUB_ADMIN_KEY"):
        assert ":?" in services()["hub-1"]["environment"][name], "without it compose must refuse to start"
    settings = Settings.from_env(environ({"CTXHUB_MASTER_KEY": "m" * 64, "CTXHUB_ADMIN_KEY": "a" * 64}))
    assert settings.durability == "safe"


def test_the_example_of_its_env_names_every_variable_that_has_no_image() -> None:
    lines = (DEPLOY / "compose" / "env.example").read_text("utf-8").splitlines()
    named = {line.partition("=")[0] for line in lines if line and not line.startswith("#")}
    used = {found[0] for found in _VARIABLE.findall(COMPOSE.read_text("utf-8"))}
    assert named == {name for name in used if not name.endswith("_IMAGE")}


def test_what_is_mounted_is_there() -> None:
    [document] = documents(COMPOSE)
    for name, service in services().items():
        for source, target, *_ in (filled(volume, {}).split(":") for volume in service["volumes"]):
            if source.startswith("."):
                assert (COMPOSE.parent / source).exists(), f"{name}: {source}"
            else:
                assert source in document["volumes"], f"{name}: {source}"
            assert target.startswith("/")


def test_valkey_as_it_is_started_there_leaves_the_doctor_nothing_to_say(tmp_path: Path) -> None:
    told = services()["valkey"]["command"]
    socket = tmp_path / "server.sock"
    where = {
        "valkey-server": VALKEY, "/etc/valkey/valkey.conf": str(DEPLOY / "valkey" / "valkey.conf"),
        "/run/valkey/valkey.sock": str(socket), "/data": str(tmp_path),
    }  # fmt: skip
    assert where.keys() <= set(told)
    hub = environ({"CTXHUB_MASTER_KEY": "m" * 64, "CTXHUB_ADMIN_KEY": "a" * 64})
    assert hub["CTXHUB_REDIS_URL"] == "unix:///run/valkey/valkey.sock"
    assert hub["CTXHUB_TENANTS"] == "/etc/ctxhub/tenants"
    with run([where.get(part, part) for part in told], tmp_path) as server:
        assert doctor(server.url, **hub | {"durability": "safe", "CTXHUB_TENANTS": str(DEPLOY / "tenants")}) == (0, [])
    assert services()["valkey"]["network_mode"] == "none"


def test_prometheus_and_grafana_find_what_they_are_for() -> None:
    [config] = documents(DEPLOY / "prometheus" / "prometheus.yml")
    [job] = config["scrape_configs"]
    assert job["job_name"] == "ctxhub"
    assert job["static_configs"][0]["targets"] == [f"{name}:8080" for name in HUBS]
    [source] = documents(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yaml")
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    [provider] = documents(DEPLOY / "grafana" / "provisioning" / "dashboards" / "ctxhub.yaml")
    mounted = dict(volume.split(":")[:2] for volume in services()["grafana"]["volumes"])
    assert mounted["../grafana/dashboards"] == provider["providers"][0]["options"]["path"]
    for name in ("prometheus", "grafana", *HUBS):
        assert "inside" in services()[name]["networks"]


@pytest.mark.parametrize("given", ["", "${X}", "${X:-usual}", "${X:?must}"])
def test_variables_are_filled_in_as_compose_does(given: str) -> None:
    assert filled(given, {"X": "said"}) == ("said" if given else "")
    assert filled(given, {}) == ("usual" if "usual" in given else "")
