"""The service: whole for systemd, narrowed, and with time to end."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from ctxhub.settings import Settings, describe_settings
from ctxhub.worker import _GONE_AT_LAST
from tests.deploy.conftest import ran
from tests.deploy.reading import DEPLOY

UNIT = DEPLOY / "systemd" / "ctxhub.service"
ENVIRON = DEPLOY / "systemd" / "ctxhub.env"
#: Tenths; ten times ten would be a service that may do anything.
MOST_EXPOSED = 15


def said(name: str) -> str:
    """Return what the unit says."""
    [found] = re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)
    return str(found)


def test_it_is_whole(need: Callable[[str], str], tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    program = said("ExecStart").split()[0]
    unit.write_text(UNIT.read_text("utf-8").replace(program, sys.executable))
    checked = ran(need("systemd-analyze"), "verify", "--man=no", str(unit))
    assert checked.stdout + checked.stderr == ""
    assert checked.returncode == 0


def test_it_is_narrowed_to_what_a_hub_needs(need: Callable[[str], str]) -> None:
    checked = ran(
        need("systemd-analyze"), "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(UNIT)
    )
    assert checked.returncode == 0, checked.stdout[-300:]


def test_it_has_time_to_say_goodbye() -> None:
    assert int(said("TimeoutStopSec")) > _GONE_AT_LAST


def test_its_settings_are_ours() -> None:
    lines = [line.removeprefix("# ") for line in ENVIRON.read_text("utf-8").splitlines()]
    given = dict(line.split("=", 1) for line in lines if line.startswith("CTXHUB_"))
    assert len(given) > 5
    assert given.keys() <= {line.variable for line in describe_settings()}
    Settings.from_env(given)
