"""The hub as a process: how it starts, what it survives, how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue

import httpx
import pytest
from redis import Redis

from ctxhub.client import Stopping
from ctxhub.store.embedded import running_server

ROOT = Path(__file__).parents[1]
SERVE = """
import os, sys
from ctxhub.serving import serve
from ctxhub.settings import CannotStart, Settings
try:
    sys.exit(serve(Settings.from_env(os.environ), "tests.serving_app:create_app"))
except CannotStart as refusal:
    sys.exit(f"ctxhub: {refusal}")
"""


class HubProcess:
    """A hub in a process of its own."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            cwd=ROOT,
            env=os.environ | {"CTXHUB_PORT": "0", "PYTHONPATH": str(ROOT)} | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: Queue[str] = Queue()
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_lines, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def url(self) -> str:
        """The address it says it is ready at."""
        found = None
        while found is None:
            try:
                found = re.fullmatch(r"ctxhub ready (http://\S+)\n", self.lines.get(timeout=20))
            except Empty:
                pytest.fail("not ready within 20 s: " + "".join(self.errors))
        return found[1]

    def ended(self, within: float) -> int:
        """Its exit code, once it is gone."""
        code = self.process.wait(within)
        for reader in self._readers:
            reader.join(5)
        return code

    def complaint(self) -> str:
        """What it wrote to stderr beside its log."""
        return "".join(line for line in self.errors if not line.startswith("{"))

    def _read_lines(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.process.stdout.close()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line)
        self.process.stderr.close()


@contextmanager
def a_hub(data: Path, **environ: str) -> Iterator[HubProcess]:
    """A hub on this folder; whatever the test left of it is gone afterwards."""
    hub = HubProcess({"CTXHUB_DATA": str(data)} | environ)
    try:
        yield hub
    finally:
        left = children_of(hub.pid)
        hub.process.kill()
        hub.ended(within=5)
        eventually(lambda: not any(is_running(child) for child in left))


def eventually(holds: Callable[[], bool], within: float = 10) -> None:
    """Wait until a condition holds."""
    give_up_at = time.monotonic() + within
    while not holds():
        assert time.monotonic() < give_up_at, "it did not come about in time"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Tell whether a process lives; a zombie whom nobody has collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def children_of(pid: int) -> list[int]:
    """The processes that a process started and that it has not collected yet."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def embedded(data: Path) -> Redis:
    """A client of the server that a hub runs on this folder."""
    url = running_server(data)
    assert url is not None
    return Redis.from_url(url)


def server_pid(data: Path) -> int:
    with embedded(data) as client:
        return int(client.info("server")["process_id"])


@asynccontextmanager
async def open_streams(url: str, count: int) -> AsyncIterator[list[AsyncIterator[str]]]:
    """Streams that have said `ready`."""
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=count)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, limits=limits, timeout=20))
        streams = [await stack.enter_async_context(client.stream("GET", "/stream")) for _ in range(count)]
        lines = [stream.aiter_lines() for stream in streams]
        for line in lines:
            assert await anext(line) == "event: ready"
        yield lines


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_told_to_stop_with_fifty_streams_open_it_says_goodbye_to_each_and_is_gone_in_five_seconds(
    tmp_path: Path, workers: str
) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS=workers) as hub:
        async with open_streams(hub.url(), 50) as streams:
            told_at = time.monotonic()
            hub.process.terminate()
            endings = await asyncio.gather(*(rest_of(stream) for stream in streams))
            code = await asyncio.to_thread(hub.ended, 5)
            assert time.monotonic() - told_at < 5
        assert code == 0
        assert ["event: bye" in ending for ending in endings] == [True] * 50
        assert running_server(tmp_path) is None


async def rest_of(lines: AsyncIterator[str]) -> list[str]:
    return [line async for line in lines]


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_stream_that_does_not_listen_is_cut_in_time(tmp_path: Path, workers: str) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS=workers) as hub:
        async with httpx.AsyncClient(base_url=hub.url(), timeout=20) as client, client.stream("GET", "/deaf") as deaf:
            assert await anext(deaf.aiter_lines()) == "event: ready"
            hub.process.terminate()
            await asyncio.to_thread(hub.ended, 5)


def test_an_app_that_does_not_end_is_cut_in_time(tmp_path: Path) -> None:
    with a_hub(tmp_path, NEVER_ENDS="1") as hub:
        hub.url()
        hub.process.terminate()
        hub.ended(within=5)


def test_a_frozen_worker_is_cut_in_time(tmp_path: Path) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS="2") as hub:
        hub.url()
        frozen, _ = workers_of(hub.pid)
        os.kill(frozen, signal.SIGSTOP)
        hub.process.terminate()
        assert hub.ended(within=5) == 0
        assert not is_running(frozen)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_it_like_sigterm(tmp_path: Path, workers: str) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS=workers) as hub:
        hub.url()
        os.kill(hub.pid, signal.SIGINT)
        assert hub.ended(within=5) == 0
        assert "Traceback" not in "".join(hub.errors)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_hub_killed_hard_takes_everything_with_it_and_the_next_one_has_all_data(tmp_path: Path, workers: str) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS=workers) as hub:
        url = hub.url()
        server, worker = server_pid(tmp_path), httpx.get(f"{url}/who").json()["pid"]
        with embedded(tmp_path) as client:
            for number in range(500):
                client.set(f"told:{number}", number)
        os.kill(hub.pid, signal.SIGKILL)
        with a_hub(tmp_path, CTXHUB_WORKERS=workers, CTXHUB_PORT=url.rpartition(":")[2]) as next_hub:
            assert next_hub.url() == url
            with embedded(tmp_path) as client:
                assert client.dbsize() == 500
            assert not is_running(server)
            assert not is_running(worker)


def test_hub_and_server_killed_together_lose_nothing_acknowledged(tmp_path: Path) -> None:
    acknowledged = 0
    for _ in range(3):
        with a_hub(tmp_path) as hub:
            hub.url()
            with embedded(tmp_path) as client:
                assert client.llen("told") == acknowledged
                for _ in range(200):
                    acknowledged = client.rpush("told", "it")
                server = server_pid(tmp_path)
            os.kill(server, signal.SIGKILL)
            os.kill(hub.pid, signal.SIGKILL)


def test_a_second_hub_on_the_same_folder_is_refused_by_name_and_pid(tmp_path: Path) -> None:
    with a_hub(tmp_path) as first:
        first.url()
        with a_hub(tmp_path) as second:
            assert second.ended(within=10) == 1
        assert second.complaint() == (
            f"ctxhub: a hub already runs on {tmp_path} (pid {first.pid}): stop it, or give this one a folder of its "
            "own with --data or CTXHUB_DATA\n"
        )
        assert running_server(tmp_path) is not None


def test_a_taken_port_gives_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with a_hub(tmp_path, CTXHUB_PORT=str(port)) as hub:
            assert hub.ended(within=10) == 1
    assert hub.complaint().startswith(f"ctxhub: port {port} on 127.0.0.1 is taken: stop what listens there")
    assert hub.complaint().count("\n") == 1


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("obstacle", "complaint"),
    [
        ("REFUSES_TO_START", "the partitions were 64 at first start: set CTXHUB_PARTITIONS=64"),
        ("REDIS_IS_AWAY", "Redis does not answer: `ctxhub doctor` says more"),
        ("HAS_A_FAULT", "the hub failed to start: the log says why"),
    ],
)
def test_an_app_that_does_not_start_says_why_in_one_line(
    tmp_path: Path, workers: str, obstacle: str, complaint: str
) -> None:
    with a_hub(tmp_path, **{"CTXHUB_WORKERS": workers, obstacle: "1"}) as hub:
        assert hub.ended(within=30) == 1
    assert hub.complaint() == f"ctxhub: {complaint}\n"


def test_ready_is_not_said_before_the_hub_is_healthy(tmp_path: Path) -> None:
    with a_hub(tmp_path, NEVER_READY="1") as hub:
        eventually(lambda: any("health was asked for" in line for line in list(hub.lines.queue)))
        eventually(lambda: hub.lines.queue.count("health was asked for\n") >= 3)
        assert not any("ready" in line for line in list(hub.lines.queue))
        hub.process.terminate()
        assert hub.ended(within=5) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_hub_that_is_ready_looks_for_garbage_seldom(tmp_path: Path, workers: str) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS=workers) as hub:
        collector = httpx.get(f"{hub.url()}/collector").json()
    assert collector["frozen"] > 10_000
    assert collector["youngest"] == 5_000


def test_a_hub_told_to_stop_while_it_starts_leaves_nothing_running(tmp_path: Path) -> None:
    with a_hub(tmp_path) as hub:
        eventually(lambda: (tmp_path / "hub.lock").exists())
        hub.process.terminate()
        assert hub.ended(within=5) in (0, -signal.SIGTERM)
        assert running_server(tmp_path) is None


def test_a_crashed_worker_is_replaced_while_the_others_serve(tmp_path: Path) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS="2") as hub:
        url = hub.url()
        crashed = httpx.get(f"{url}/who").json()["pid"]
        os.kill(crashed, signal.SIGKILL)
        eventually(lambda: workers_of(hub.pid) != [] and crashed not in workers_of(hub.pid))
        eventually(lambda: len(workers_of(hub.pid)) == 2)
        assert httpx.get(f"{url}/who", timeout=10).json()["pid"] != crashed
        eventually(lambda: hub.lines.empty())  # ready is said once


def workers_of(pid: int) -> list[int]:
    """The worker processes of a hub."""
    return [child for child in children_of(pid) if b"ctxhub.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_embedded_server_that_dies_is_started_again_with_its_data(tmp_path: Path, workers: str) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS=workers) as hub:
        hub.url()
        with embedded(tmp_path) as client:
            client.set("told", "once")
        died = server_pid(tmp_path)
        os.kill(died, signal.SIGKILL)
        eventually(lambda: running_server(tmp_path) is not None and not is_running(died))
        eventually(lambda: embedded(tmp_path).get("told") == b"once")


def test_every_worker_has_the_same_settings_and_no_secret_is_on_a_command_line(tmp_path: Path) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS="2", CTXHUB_ADMIN_KEY="open-sesame") as hub:
        url = hub.url()
        assert httpx.get(f"{url}/admin-key").text == "open-sesame"
        assert httpx.get(f"{url}/who").json()["base_url"] == url
        for worker in workers_of(hub.pid):
            assert b"open-sesame" not in Path(f"/proc/{worker}/cmdline").read_bytes()


def test_the_metrics_of_all_workers_are_summed(tmp_path: Path) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS="2") as hub:
        shown = httpx.get(f"{hub.url()}/metrics").text
        # each of the two workers was asked for its health once or more
        line = next(line for line in shown.splitlines() if line.startswith("ctxhub_requests_total{"))
        assert float(line.split()[-1]) >= 2


def test_the_numbers_of_a_hub_that_is_gone_are_wiped(tmp_path: Path) -> None:
    with a_hub(tmp_path, CTXHUB_WORKERS="2") as hub:
        hub.url()
        os.kill(hub.pid, signal.SIGKILL)
    left = {path.name for path in (tmp_path / "metrics").glob("*/")}
    with a_hub(tmp_path, CTXHUB_WORKERS="2") as hub:
        hub.url()
        now = {path.name for path in (tmp_path / "metrics").glob("*/")}
    assert len(left) == len(now) == 1
    assert left != now


def test_with_a_redis_of_the_operators_none_is_started(tmp_path: Path, redis_url: str) -> None:
    with a_hub(tmp_path, CTXHUB_REDIS_URL=redis_url) as hub:
        assert httpx.get(f"{hub.url()}/who").json()["redis_url"] == redis_url
        assert running_server(tmp_path) is None


async def test_whoever_waits_for_the_end_is_woken_from_another_thread_too() -> None:
    stopping = Stopping()
    waiting = [asyncio.create_task(stopping.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not stopping.is_set()
    await asyncio.to_thread(stopping.set)
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    await asyncio.wait_for(stopping.wait(), 5)
