"""A hub as a reader starts it: in an empty folder, with the settings that the pages name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

ROOT = Path(__file__).parents[2]
WRITTEN = "http://127.0.0.1:8080"
SECRET = "not-a-real-token"
LOGIN_KEY = "a-secret-of-32-characters-or-more"
_READY_WITHIN = 30
_GONE_WITHIN = 10


class Reader:
    """Somebody who types what a page says, in a folder where a hub runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = _environ(folder)
        command = [sys.executable, "-m", "ctxhub", "serve", "--port", "0"]
        with (folder / "log").open("w") as log:
            self._hub = subprocess.Popen(
                command, cwd=folder, env=self.environ, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._hub.stdout is not None
        ready = _line_within(self._hub.stdout, _READY_WITHIN)
        assert ready.startswith("ctxhub ready http://"), f"{ready!r}\n{(folder / 'log').read_text()}"
        self.url = ready.split()[-1]

    def types(self, script: str, within: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a script as written, but for the address: the port that the pages name may be taken here."""
        text = "set -euo pipefail\n" + script.replace(WRITTEN, self.url)
        return subprocess.run(
            ["bash", "-c", text],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=within, check=False,
        )  # fmt: skip

    def leaves(self) -> None:
        """Stop the hub."""
        self._hub.send_signal(signal.SIGTERM)
        try:
            self._hub.wait(_GONE_WITHIN)
        finally:
            self._hub.kill()
            assert self._hub.stdout is not None
            self._hub.stdout.close()


def _environ(folder: Path) -> dict[str, str]:
    """Return an environment in which `ctxhub` is a command, and a telephone platform's secret is set."""
    (folder / "tenants").mkdir()
    programs = folder / "programs"
    programs.mkdir()
    (programs / "ctxhub").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ctxhub "$@"\n')
    (programs / "ctxhub").chmod(0o755)
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
    return ours | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")]),
        "CTXHUB_TENANTS": "tenants",
        "TWILIO_AUTH_TOKEN": SECRET,
        "APP_LOGIN_KEY": LOGIN_KEY,
    }


def _line_within(stream: IO[str], seconds: float) -> str:
    """Read a line; an empty one if none comes in time."""
    lines: list[str] = []
    thread = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    thread.start()
    thread.join(seconds)
    return lines[0].strip() if lines else ""


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader with a hub of their own."""
    reader = Reader(tmp_path)
    try:
        yield reader
    finally:
        reader.leaves()


@pytest.fixture(scope="module")
def onlooker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader whose hub serves a whole module of tests, which only look at it."""
    reader = Reader(tmp_path_factory.mktemp("onlooker"))
    try:
        yield reader
    finally:
        reader.leaves()
