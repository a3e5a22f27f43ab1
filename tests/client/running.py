"""A hub that runs as its operator runs it: a process of its own, with a server and a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
ADMIN_KEY = "admin-key-for-tests-alone"

TENANT = """
languages: [en, zh]
journeys:
  - kind: refund
    say: {en: a refund, zh: 退款}
    steps:
      - {step: order, facts: [order_id]}
      - {step: payout, facts: [bank, account]}
facts:
  order_id: {sensitivity: personal, say: {en: order number, zh: 订单号}}
queues:
  billing: {routing: hub}
channels:
  ivr: {queue: billing}
"""


class RunningHub:
    """`ctxhub serve` on a free port, which it keeps when it is started again."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._more = environ or {}
        self._process: subprocess.Popen[str] | None = None
        self._port = "0"
        self.url = ""
        tenants = folder / "tenants"
        tenants.mkdir()
        (tenants / "default.yaml").write_text(TENANT, encoding="utf-8")

    def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        command = [sys.executable, "-m", "ctxhub", "serve", "--port", self._port, "--data", str(self._folder / "data")]
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environ(), stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        ready = _line_within(self._process.stdout, 30)
        assert ready.startswith("ctxhub ready http://"), f"{ready!r}\n{self.log()}"
        self.url = ready.split()[-1]
        self._port = self.url.rsplit(":", 1)[1]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, or kill it, and wait until it is gone."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def key(self, name: str, role: str, agent: str | None = None) -> str:
        """Make a key as the operator does."""
        given = ["--tenant", "default", "--name", name, "--role", role, "--data", str(self._folder / "data")]
        command = [sys.executable, "-m", "ctxhub", "keys", "create", *given, *(["--agent", agent] if agent else [])]
        made = subprocess.run(command, cwd=ROOT, env=self._environ(), capture_output=True, text=True, timeout=30)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def log(self) -> str:
        """What it has written to its log, for a test that failed."""
        return (self._folder / "log").read_text()

    def _environ(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
        set_here = {"CTXHUB_ADMIN_KEY": ADMIN_KEY, "CTXHUB_DURABILITY": "fast"}
        found_here = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
        return ours | set_here | found_here | {"CTXHUB_TENANTS": str(self._folder / "tenants"), **self._more}


def _line_within(stream: IO[str], seconds: float) -> str:
    """Read a line; an empty one if none comes in time."""
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.append(stream.readline()), daemon=True)
    reader.start()
    reader.join(seconds)
    return lines[0].strip() if lines else ""
