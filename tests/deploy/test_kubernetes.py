"""The manifests: whole by Kubernetes' own schemas, about a hub as it is, and fit for its promises."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from ctxhub.hub.declarations import check
from ctxhub.server import CHANNELS
from ctxhub.settings import Settings, describe_settings
from ctxhub.worker import _GONE_AT_LAST
from tests.chaos.running import KillableHub
from tests.deploy.conftest import Tool
from tests.deploy.reading import DEPLOY, documents, manifest, manifests, step

FOLDER = DEPLOY / "kubernetes"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")


def pod() -> dict[str, Any]:
    """Return what runs in each pod."""
    found: dict[str, Any] = manifest("StatefulSet")["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    """Return the hub in it."""
    [found] = pod()["containers"]
    return dict(found)


@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_they_are_whole(module: Any, version: str) -> None:
    validate: Tool = module("kubernetes_validate")
    checked = validate("--strict", "--kubernetes-version", version, *map(str, FILES))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count(" passed ") + checked.stderr.count(" passed ") == len(manifests())


def test_every_one_is_applied_but_the_example_of_the_secret() -> None:
    [kustomization] = documents(FOLDER / "kustomization.yaml")
    assert {*kustomization["resources"], "secret.example.yaml"} == {path.name for path in FILES}


def test_settings_are_ours_and_a_hub_can_start_with_them() -> None:
    given = manifest("ConfigMap")["data"] | manifest("Secret")["stringData"]
    assert given.keys() <= {line.variable for line in describe_settings()}
    settings = Settings.from_env(given | {"CTXHUB_MASTER_KEY": "m" * 64})
    assert (settings.host, settings.port, str(settings.data)) == ("0.0.0.0", 8080, step("VOLUME"))
    assert settings.redis_url is not None
    assert settings.redis_url.startswith("rediss://")


def test_its_tenants_have_no_fault(tmp_path: Path) -> None:
    for name, text in manifest("ConfigMap", "ctxhub-tenants")["data"].items():
        (tmp_path / name).write_text(text)
    assert check(tmp_path, CHANNELS) == []


def test_probes_are_the_hubs_own_and_without_redis_it_stays_in_reach(running: KillableHub) -> None:
    starts, lives, ready = (_asked(container()[f"{probe}Probe"]) for probe in ("startup", "liveness", "readiness"))
    assert [_answer(running, path) for path in (starts, lives, ready)] == [200, 200, 200]
    [redis] = [pid for pid in running.children() if b"valkey" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(redis, signal.SIGSTOP)
    try:
        assert [_answer(running, path) for path in (starts, lives, ready)] == [503, 200, 200]
    finally:
        os.kill(redis, signal.SIGCONT)


def _asked(probe: dict[str, Any]) -> str:
    [port] = container()["ports"]
    assert probe["httpGet"]["port"] == port["name"]
    assert port["containerPort"] == 8080
    return str(probe["httpGet"]["path"])


def _answer(hub: KillableHub, path: str) -> int:
    return httpx.get(hub.url + path, timeout=10, trust_env=False).status_code


def test_a_hub_has_time_to_say_goodbye() -> None:
    *_, pause = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert pod()["terminationGracePeriodSeconds"] > int(pause) + _GONE_AT_LAST


def test_pods_are_careful_and_run_as_the_image_does() -> None:
    user, group = map(int, step("USER").split(":"))
    runs, may = pod()["securityContext"], container()["securityContext"]
    assert (runs["runAsNonRoot"], runs["runAsUser"], runs["runAsGroup"]) == (True, user, group)
    assert runs["fsGroup"] == group
    assert runs["seccompProfile"] == {"type": "RuntimeDefault"}
    assert may == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod()["automountServiceAccountToken"] is False
    writable = {mount["mountPath"] for mount in container()["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {step("VOLUME"), "/tmp"}


def test_what_channels_kept_outlives_a_pod() -> None:
    [claim] = manifest("StatefulSet")["spec"]["volumeClaimTemplates"]
    [mount] = [mount for mount in container()["volumeMounts"] if mount["mountPath"] == step("VOLUME")]
    assert claim["metadata"]["name"] == mount["name"]
    assert set(manifest("StatefulSet")["spec"]["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}


def test_everything_means_the_same_pods() -> None:
    labels = manifest("StatefulSet")["spec"]["template"]["metadata"]["labels"]
    spread = [each["labelSelector"]["matchLabels"] for each in pod()["topologySpreadConstraints"]]
    chosen = [manifest("Service", name)["spec"]["selector"] for name in ("ctxhub", "ctxhub-pods")]
    chosen += [manifest(kind)["spec"]["selector"]["matchLabels"] for kind in ("StatefulSet", "PodDisruptionBudget")]
    chosen.append(manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
    assert all(selector == labels for selector in chosen + spread)
    target = manifest("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("StatefulSet", "ctxhub")
    assert "replicas" not in manifest("StatefulSet")["spec"], "they are the autoscaler's"
    assert manifest("StatefulSet")["spec"]["serviceName"] == "ctxhub-pods"


def test_an_eviction_leaves_hubs() -> None:
    assert manifest("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert manifest("HorizontalPodAutoscaler")["spec"]["minReplicas"] >= 2
