"""Hubs as processes that can be killed, and the books that say what must be there afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctxhub.client import ContextHub, Event

ROOT = Path(__file__).parents[2]
KEY = "the-first-key"
FULL = os.environ.get("CTXHUB_CHAOS") == "full"


class KillableHub:
    """`ctxhub serve` on a port that it keeps, in a process group of its own."""

    def __init__(
        self, folder: Path, redis_url: str | None = None, *, module: Sequence[str] = ("ctxhub",),
        environ: Mapping[str, str] = {}, **settings: str,
    ) -> None:  # fmt: skip
        self._folder = folder
        self._module = module
        self._environ = environ
        self._settings = {f"CTXHUB_{name.upper()}": value for name, value in settings.items()}
        if redis_url is not None:
            self._settings["CTXHUB_REDIS_URL"] = redis_url
        self._port = "0"
        self.process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> KillableHub:
        """Start it and return when it is ready."""
        serving = ["serve", "--port", self._port, "--data", str(self._folder)]
        command = [sys.executable, "-m", *self._module, *serving]
        secrets = {"CTXHUB_ADMIN_KEY": KEY, "CTXHUB_MASTER_KEY": "a master key for tests alone"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
        with (self._folder.parent / "hub.log").open("a") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=inherited | secrets | self._settings | self._environ,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ctxhub ready"), (self._folder.parent / "hub.log").read_text()[-2000:]
        self.url = line.split()[-1]
        self._port = self.url.rsplit(":", 1)[1]
        return self

    def kill(self, server_too: bool = True) -> None:
        """Kill hub and embedded server together, or the hub alone, without a warning."""
        assert self.process is not None
        for pid in [*(self.children() if server_too else []), self.process.pid]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def children(self) -> list[int]:
        """Return the processes that it has started."""
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]

    def stop(self) -> float:
        """Tell it to stop; return how many seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(15)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return time.monotonic() - began

    def client(self, timeout: float = 20.0) -> ContextHub:
        """Return a client with time enough to see a restart through."""
        return ContextHub(self.url, KEY, timeout=timeout, tries=100)


@dataclass
class Books:
    """What was acknowledged: event id and version; and whatever contradicts it."""

    acknowledged: dict[str, int] = field(default_factory=dict)

    def note(self, results: Iterable[tuple[str, int]]) -> None:
        """Note what was acknowledged."""
        self.acknowledged |= dict(results)

    def faults(self, timeline: list[Event]) -> list[str]:
        """Return everything lost, doubled, moved, or missing between versions."""
        return self.contradicted([(event.event_id, event.version or 0) for event in timeline])

    def contradicted(self, timeline: Sequence[tuple[str, int]]) -> list[str]:
        """Return the same of a timeline given as event ids and versions."""
        seen = Counter(event_id for event_id, _ in timeline)
        kept = dict(timeline)
        versions = [version for _, version in timeline]
        lost = [f"lost {event_id}" for event_id in self.acknowledged if event_id not in kept]
        doubled = [f"doubled {event_id}" for event_id, times in seen.items() if times > 1]
        moved = [f"moved {e}" for e, version in self.acknowledged.items() if e in kept and kept[e] != version]
        gaps = [] if versions == list(range(1, len(versions) + 1)) else ["versions have gaps"]
        return lost + doubled + moved + gaps


async def whole_timeline(hub: ContextHub, customer_id: str) -> list[Event]:
    """Read a timeline from its beginning to its end."""
    events: list[Event] = []
    after: int | None = 0
    while after is not None:
        page = await hub.contexts.timeline(customer_id, after=after, limit=1000)
        events += page.events
        after = page.next
    return events
