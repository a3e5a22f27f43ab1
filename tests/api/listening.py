"""Hubs that really listen, in processes of their own; and what comes down a stream."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.api.living import ADMIN_KEY, TENANT
from tests.api.scenes import Caller

ROOT = Path(__file__).parents[2]


class ListeningHub:
    """`ctxhub serve` as its operator runs it; started again it takes the same port."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self._port = "0"
        self.url = ""
        tenants = folder / "tenants"
        tenants.mkdir(parents=True, exist_ok=True)
        (tenants / "default.yaml").write_text(TENANT, encoding="utf-8")

    @property
    def pid(self) -> int:
        """The process that was started."""
        assert self._process is not None
        return self._process.pid

    def set(self, **settings: str) -> None:
        """Set something for the next start."""
        self._settings |= settings

    async def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        self.spawn()
        await self.ready()

    def spawn(self) -> None:
        """Start it, from this very thread: the server it brings dies with the thread that spawned it."""
        command = [sys.executable, "-m", "ctxhub", "serve", "--port", self._port, "--data", str(self.folder / "data")]
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self._environ(), stdout=subprocess.PIPE, stderr=log, text=True
            )

    async def ready(self) -> None:
        """Wait until it says so."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        async with asyncio.timeout(30):
            line = await asyncio.to_thread(process.stdout.readline)
        assert line.startswith("ctxhub ready http://"), f"{line!r}\n{self.log()}"
        self.url = line.split()[-1]
        self._port = self.url.rsplit(":", 1)[1]

    def tell(self, what: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(what)

    async def gone(self, within: float = 10) -> int:
        """Its exit code, once it is gone."""
        process = self._process
        assert process is not None
        code = await asyncio.to_thread(process.wait, within)
        assert process.stdout is not None
        process.stdout.close()
        self._process = None
        return code

    async def stop(self) -> None:
        """Stop it, if it runs, whatever it takes."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            await self.gone()
        except subprocess.TimeoutExpired:
            process.kill()
            await self.gone()

    def log(self) -> str:
        """What it has written to its log, for a test that failed."""
        return (self.folder / "log").read_text()[-4000:]

    def _environ(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
        found_here = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
        set_here = {"CTXHUB_ADMIN_KEY": ADMIN_KEY, "CTXHUB_TENANTS": str(self.folder / "tenants")}
        return (
            ours | found_here | set_here | {f"CTXHUB_{name.upper()}": value for name, value in self._settings.items()}
        )


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                found += [int(folder.name)] if int(parent) == pid else []
    return found


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Heard(NamedTuple):
    """One event of a stream."""

    id: str | None
    type: str
    data: dict[str, Any]


class Following:
    """A stream as it is read: what was heard, and what comes."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.heard: list[Heard] = []
        self.comments = 0
        self._lines = response.aiter_lines()

    async def next(self, within: float = 10) -> Heard:
        """The next event; `EOFError` at the end."""
        said: dict[str, str] = {}
        async with asyncio.timeout(within):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments += 1
                if not line and "event" in said:
                    self.heard.append(Heard(said.get("id"), said["event"], json.loads(said["data"])))
                    return self.heard[-1]
                name, _, value = line.partition(": ")
                said[name] = value
        raise EOFError

    async def until(self, type_: str, about: str = "", within: float = 10) -> Heard:
        """The next event of a type, and about something if it is named."""
        async with asyncio.timeout(within):
            while True:
                heard = await self.next(within)
                if heard.type == type_ and about in str(heard.data):
                    return heard

    async def rest(self, within: float = 10) -> list[Heard]:
        """Everything till the end."""
        with suppress(EOFError):
            while True:
                await self.next(within)
        return self.heard


@asynccontextmanager
async def following(caller: Caller, path: str, last: str | None = None, **query: Any) -> AsyncIterator[Following]:
    """Follow a stream for as long as the block lasts."""
    headers = {"Authorization": f"Bearer {caller.key}"} if caller.key else {}
    headers |= {"Last-Event-ID": last} if last is not None else {}
    async with caller.http.stream("GET", path, headers=headers, params=query or None, timeout=30) as response:
        if response.status_code != 200:
            await response.aread()
            raise AssertionError(f"{response.status_code}: {response.text}")
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Following(response)
