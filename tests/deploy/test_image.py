"""The image: whole for its own tool, never root, with all that it needs and a health check that tells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.chaos.running import KEY, KillableHub
from tests.deploy.reading import DEPLOY, ROOT, step, steps

IGNORED = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
_CLOSED = """
mount --make-rprivate / && mount --bind "$DATA" "$DATA" && mount --bind "$TMPDIR" "$TMPDIR"
mount -o remount,bind,ro /
exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs \
    --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search \
    "$PYTHON" -m ctxhub serve --port 0 --data "$DATA"
"""


def test_its_steps_are_sound(need: Callable[[str], str]) -> None:
    tool = Path(sys.executable).parent / "hadolint"
    linted = subprocess.run(
        [str(tool) if tool.exists() else need("hadolint"), str(DEPLOY / "image" / "Dockerfile")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert linted.stdout == ""
    assert linted.returncode == 0


def test_it_is_never_root_and_its_base_can_be_another() -> None:
    assert step("USER") == "10001:10001"
    assert [told for word, told in steps() if word == "FROM"] == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
    assert steps()[0][1].startswith("PYTHON_IMAGE=")


def test_what_it_installs_is_pinned() -> None:
    [locked, own] = [told for word, told in steps() if word == "RUN" and "pip install" in told]
    assert "--requirement deploy/requirements.lock" in locked
    assert "--constraint deploy/requirements-dev.lock" in locked
    assert own.endswith("pip install --no-deps .")
    pins = (DEPLOY / "requirements-dev.lock").read_text("utf-8")
    assert "psycopg-binary==" in pins
    assert "opentelemetry-exporter-otlp-proto-http==" in pins


def test_all_that_a_wheel_is_built_of_is_let_through_and_nothing_else() -> None:
    assert IGNORED[1] == "*"
    let_through = {line[1:] for line in IGNORED if line.startswith("!")}
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", "deploy/requirements.lock", "deploy/requirements-dev.lock", *wheel["only-include"]}
    needed |= {source for source in wheel["force-include"] if not source.startswith("adapters/")}
    assert let_through == needed
    assert all((ROOT / place).exists() for place in let_through)


def test_its_health_check_passes_for_a_living_hub_and_fails_for_a_frozen_one(running: KillableHub) -> None:
    command = json.loads(step("HEALTHCHECK").partition("CMD ")[2])
    port = running.url.rpartition(":")[2]
    asking = [sys.executable, *(part.replace("8080", port) for part in command[1:])]
    assert "8080" in command[-1]
    assert subprocess.run(asking, timeout=10, check=False).returncode == 0
    assert running.process is not None
    running.process.send_signal(signal.SIGSTOP)
    try:
        frozen = subprocess.run(asking, timeout=10, check=False, capture_output=True)
    finally:
        running.process.send_signal(signal.SIGCONT)
    assert frozen.returncode != 0


def test_a_hub_needs_no_root_and_writes_to_its_folder_and_tmp_alone(need: Callable[[str], str], tmp_path: Path) -> None:
    need("setpriv")
    unshare = need("unshare")
    if os.geteuid() != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("only root can close a root folder")
    data, tmp = tmp_path / "data", tmp_path / "tmp"
    for folder in (data, tmp):
        folder.mkdir()
        os.chown(folder, 10001, 10001)
    given = {"PYTHON": sys.executable, "DATA": str(data), "TMPDIR": str(tmp), "CTXHUB_ADMIN_KEY": KEY}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")])
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
    with (tmp_path / "log").open("w") as log:
        hub = subprocess.Popen(
            [unshare, "--mount", "sh", "-euc", _CLOSED], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=log,
            env=ours | given | {"PYTHONPATH": paths},
        )  # fmt: skip
    with hub:
        assert hub.stdout is not None
        try:
            line = hub.stdout.readline()
            assert line.startswith("ctxhub ready"), (tmp_path / "log").read_text()[-2000:]
            assert _ids_of(hub.pid) == {"10001"}
            assert _starts_an_interaction(line.split()[-1]) == 201
            hub.terminate()
            assert hub.wait(10) == 0
        finally:
            hub.kill()
    assert {path.stat().st_uid for path in data.rglob("*")} == {10001}


def _ids_of(pid: int) -> set[str]:
    """Return as whom a process runs, in all respects."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:")]
    return set(line.split()[1:])


def _starts_an_interaction(url: str) -> int:
    body = {"channel": "web", "external_id": "visit-1", "customer_id": "c7"}
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.post(f"{url}/v1/interactions", json=body, headers=headers, trust_env=False).status_code
