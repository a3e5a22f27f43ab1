"""Tools that check what is deployed, and a hub that it is held against."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.running import KillableHub
from tests.deploy.reading import ROOT

Tool = Callable[..., subprocess.CompletedProcess[str]]


def ran(*command: str, said: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool at the top of the repository."""
    return subprocess.run(command, cwd=ROOT, input=said, capture_output=True, text=True, timeout=100, check=False)


@pytest.fixture(scope="session")
def module() -> Callable[[str], Tool]:
    """Find a tool that is a Python package: where it is missing the test is skipped, but fails when CI=true."""

    def find(name: str) -> Tool:
        if importlib.util.find_spec(name) is None:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is not installed")
        return lambda *arguments: ran(sys.executable, "-m", name, *arguments)

    return find


@pytest.fixture(scope="session")
def promtool(need: Callable[[str], str]) -> Tool:
    """Prometheus' own tool."""
    path = need("promtool")
    return lambda *arguments, said=None: ran(path, *arguments, said=said)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableHub]:
    """A hub in a process of its own, with its own server and archive."""
    folder: Path = tmp_path_factory.mktemp("deployed") / "data"
    hub = KillableHub(folder).start()
    try:
        yield hub
    finally:
        hub.kill()
