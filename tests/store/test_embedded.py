"""The server that the hub brings along, on real processes."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.settings import CannotStart, Settings
from ctxhub.store import embedded
from ctxhub.store.embedded import EmbeddedServer, embedded_server, own_data, running_server

HOLD = """
import sys, time
from pathlib import Path
from ctxhub import log
from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
log.configure("error")
with embedded_server(Settings(data=Path(sys.argv[1]))) as server:
    print(server.pid, flush=True)
    time.sleep(60)
"""


@contextmanager
def a_holder(data: Path) -> Iterator[tuple[int, int]]:
    """Another process that runs the server on this folder: its pid and the server's."""
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(data)], env=environ, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            yield holder.pid, int(holder.stdout.readline())
        finally:
            holder.kill()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    give_up_at = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < give_up_at, "it did not come about in time"
        time.sleep(0.01)


def config(url: str, *names: str) -> dict[str, str]:
    with Redis.from_url(url, decode_responses=True) as client:
        return dict(client.config_get(*names))


@pytest.mark.parametrize(
    ("durability", "appendfsync"), [("safe", "always"), ("replicated", "always"), ("fast", "everysec")]
)
def test_it_syncs_as_durability_asks_and_never_evicts(tmp_path: Path, durability: str, appendfsync: str) -> None:
    with embedded_server(Settings(data=tmp_path, durability=durability)) as server:
        assert config(server.url, "append*", "save", "maxmemory-policy", "port") == {
            "appenddirname": "appendonlydir",
            "appendfilename": "appendonly.aof",
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "maxmemory-policy": "noeviction",
            "port": "0",
            "save": "",
        }


def test_only_its_owner_reaches_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with embedded_server(Settings(data=data)) as server:
        assert server.socket.stat().st_mode & 0o777 == 0o700
        assert data.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["with space", "数据", "quo'te\"s", "per%20cent", "#?&"])
def test_any_folder_will_do(tmp_path: Path, name: str) -> None:
    with embedded_server(Settings(data=tmp_path / name)) as server, Redis.from_url(server.url) as client:
        assert client.set("told", "it")
    assert (tmp_path / name / "valkey" / "appendonlydir").is_dir()


def test_a_relative_folder_is_the_same_folder_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with embedded_server(Settings(data=Path("data"))) as server:
        monkeypatch.chdir("/")
        assert running_server(tmp_path / "data") == server.url


def test_a_socket_path_too_long_for_the_kernel_moves_to_a_short_private_folder(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 25)
    with embedded_server(Settings(data=data)) as server:
        assert len(str(server.socket)) < 104
        assert server.socket.parent.stat().st_mode & 0o777 == 0o700
        assert running_server(data) == server.url
    assert not server.socket.parent.exists()
    with embedded_server(Settings(data=data)) as again:
        assert again.socket == server.socket


def test_a_short_folder_that_others_can_write_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / ("long" * 25)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    with embedded_server(Settings(data=data)) as server:
        short = server.socket.parent
    short.mkdir(mode=0o777)
    short.chmod(0o777)
    try:
        with pytest.raises(CannotStart, match="is not a private folder of ours"), embedded_server(Settings(data=data)):
            pass
    finally:
        short.rmdir()


def test_what_was_acknowledged_is_there_after_the_server_is_killed(tmp_path: Path) -> None:
    with embedded_server(Settings(data=tmp_path)) as server, Redis.from_url(server.url) as client:
        for number in range(300):
            client.rpush("told", number)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: server.pid is None)
    with embedded_server(Settings(data=tmp_path)) as server, Redis.from_url(server.url) as client:
        assert client.llen("told") == 300


def test_it_dies_with_a_hub_that_is_killed_hard_and_the_next_one_takes_over(tmp_path: Path) -> None:
    with a_holder(tmp_path) as (hub, _), Redis.from_url(running_server(tmp_path) or "") as client:
        client.set("told", "once")
        os.kill(hub, signal.SIGKILL)
    with embedded_server(Settings(data=tmp_path)) as server, Redis.from_url(server.url) as client:
        assert client.get("told") == b"once"
        assert server_lock_holders(tmp_path) == [server.pid]


def server_lock_holders(data: Path) -> list[int]:
    """The servers that have this folder open."""
    holders = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            at_home = os.path.samefile(process / "cwd", data / "valkey")
        except OSError:
            continue
        if at_home and b"valkey" in (process / "cmdline").read_bytes():
            holders.append(int(process.name))
    return holders


def test_a_server_frozen_when_its_hub_died_is_killed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_ORPHAN_GONE_WITHIN", 0.1)
    with a_holder(tmp_path) as (hub, frozen), Redis.from_url(running_server(tmp_path) or "") as client:
        client.set("told", "once")
        os.kill(frozen, signal.SIGSTOP)
        os.kill(hub, signal.SIGKILL)
    with embedded_server(Settings(data=tmp_path)) as server, Redis.from_url(server.url) as client:
        assert client.get("told") == b"once"
        assert server.pid != frozen


def test_a_process_that_only_bears_the_noted_pid_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_ORPHAN_GONE_WITHIN", 0.1)
    folder = tmp_path / "valkey"
    folder.mkdir()
    with subprocess.Popen(["sleep", "60"], process_group=0) as stranger, open(folder / "server.lock", "w+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            lock.write(str(stranger.pid).encode())
            lock.flush()
            with pytest.raises(CannotStart, match=f"pid {stranger.pid}"), embedded_server(Settings(data=tmp_path)):
                pass
            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_socket_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "valkey" / "server.sock"))
    assert running_server(tmp_path) is None
    with embedded_server(Settings(data=tmp_path)) as server:
        assert running_server(tmp_path) == server.url


def test_a_second_owner_of_the_folder_is_refused_with_folder_and_pid(tmp_path: Path) -> None:
    with a_holder(tmp_path) as (hub, _):
        with pytest.raises(CannotStart, match=rf"a hub already runs on {tmp_path} \(pid {hub}\)"), own_data(tmp_path):
            pass
        assert running_server(tmp_path) is not None


def test_after_the_end_the_folder_is_free_and_no_server_is_found(tmp_path: Path) -> None:
    with embedded_server(Settings(data=tmp_path)):
        pass
    assert running_server(tmp_path) is None
    assert server_lock_holders(tmp_path) == []
    with own_data(tmp_path):
        pass


def test_a_server_that_can_not_read_its_data_says_so_in_its_own_words(tmp_path: Path) -> None:
    with embedded_server(Settings(data=tmp_path)) as server, Redis.from_url(server.url) as client:
        client.set("told", "it")
    manifest = tmp_path / "valkey" / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("not a manifest\n")
    with pytest.raises(CannotStart, match=r"ended at once: .*manifest") as refusal:
        EmbeddedServer(Settings(data=tmp_path)).start()
    assert "\n" not in str(refusal.value)
    assert server_lock_holders(tmp_path) == []


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"VALKEY099", "was written by a newer server: install the ctxhub that wrote it or a newer one, or restore a"),
        (b"LATERKEY1", "is damaged, or was written by a newer server: copy it aside, then install the ctxhub that"),
    ],
)
def test_data_of_a_newer_server_is_told_what_to_do_and_not_to_be_cut_off(
    tmp_path: Path, header: bytes, says: str
) -> None:
    with embedded_server(Settings(data=tmp_path)):
        pass
    (base,) = (tmp_path / "valkey" / "appendonlydir").glob("*.base.rdb")
    base.write_bytes(header + base.read_bytes()[len(header) :])
    with pytest.raises(CannotStart, match=f"ended at once: its data {says}") as refusal:
        EmbeddedServer(Settings(data=tmp_path)).start()
    assert "--fix" not in str(refusal.value)


def test_a_server_that_died_is_revived_with_its_data_but_not_in_a_mad_rush(tmp_path: Path) -> None:
    with embedded_server(Settings(data=tmp_path)) as server, Redis.from_url(server.url) as client:
        assert not server.revive()
        client.set("told", "once")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        eventually(server.revive)
        eventually(lambda: running_server(tmp_path) == server.url)
        assert client.get("told") == b"once"
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: server.pid is None)
        assert not server.revive()


def test_a_frozen_server_is_stopped_all_the_same(tmp_path: Path) -> None:
    with embedded_server(Settings(data=tmp_path)) as server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP)
    assert server_lock_holders(tmp_path) == []


def test_it_is_not_spawned_from_a_thread_that_may_end_before_the_hub(tmp_path: Path) -> None:
    refusals: list[RuntimeError] = []

    def start() -> None:
        try:
            EmbeddedServer(Settings(data=tmp_path)).start()
        except RuntimeError as refusal:
            refusals.append(refusal)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert len(refusals) == 1


def test_where_no_server_comes_along_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with (
        pytest.raises(CannotStart, match=r"no embedded server for Linux riscv64: install Valkey >= 7\.2 or Redis"),
        embedded_server(Settings(data=tmp_path)),
    ):
        pass


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with embedded_server(Settings(data=tmp_path)):
            pass
    assert (tmp_path / "valkey" / "valkey.log").exists()
    assert "bye bye" in (tmp_path / "valkey" / "valkey.log.1").read_text()
