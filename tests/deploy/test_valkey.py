"""Redis and Valkey with the files that are shipped: what the doctor says, what is in force, what is kept."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

from tests.deploy.reading import DEPLOY, ROOT
from tests.deploy.servers import VALKEY, FromFile, started

_SIZES = {"mb": 2**20, "gb": 2**30}


def settings(file: str) -> dict[str, str]:
    """Return what a file sets, sizes in bytes."""
    lines = (DEPLOY / "valkey" / file).read_text("utf-8").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return {name: _in_bytes(value.strip('"')) for name, value in pairs}


def _in_bytes(value: str) -> str:
    """Write sizes out, as a server shows them."""
    return re.sub(r"\b(\d+)(mb|gb)\b", lambda found: str(int(found[1]) * _SIZES[found[2]]), value)


def doctor(url: str, durability: str, **more: str) -> tuple[int, list[str]]:
    """Return how `ctxhub doctor` ends, and every line of it that is not well; `more` are further settings."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
    looked = subprocess.run(
        [sys.executable, "-m", "ctxhub", "doctor"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        env=ours | more | {"CTXHUB_REDIS_URL": url, "CTXHUB_DURABILITY": durability},
    )  # fmt: skip
    findings = looked.stdout.partition("\nRedis at ")[2].splitlines()[1:]
    assert len(findings) >= 6, looked.stdout + looked.stderr
    return looked.returncode, [line for line in findings if not line.startswith("  ok ")]


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(
    request: pytest.FixtureRequest, need: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FromFile]:
    """A server with the file for it."""
    program = VALKEY if request.param == "valkey" else need("redis-server")
    with started(program, f"{request.param}.conf", tmp_path_factory.mktemp(request.param)) as server:
        yield server


def test_the_doctor_has_nothing_to_say(server: FromFile) -> None:
    assert doctor(server.url, "safe") == (0, [])


def test_what_is_written_is_in_force(server: FromFile) -> None:
    with server.client() as client:
        for name, value in settings(server.file).items():
            assert value in client.config_get(name)[name], name


def test_what_was_acknowledged_is_there_after_a_kill(server: FromFile) -> None:
    with server.client() as client:
        for number in range(100):
            client.set(f"k{number}", number)
    server.kill()
    server.start()
    with server.client() as client:
        assert client.mget([f"k{number}" for number in range(100)]) == [str(number) for number in range(100)]


def test_a_full_server_refuses_and_forgets_nobody(server: FromFile) -> None:
    with server.client() as client:
        client.flushall()
        room = int(client.info("memory")["used_memory"]) + 2**20
        client.config_set("maxmemory", room)
        kept = 0
        while kept < 200 and is_taken(client, f"full{kept}"):
            kept += 1
        assert 0 < kept < 200
        assert client.dbsize() == kept
        client.config_set("maxmemory", 0)


def is_taken(client: Redis, name: str) -> bool:
    """Write something large; tell whether the server took it."""
    try:
        return bool(client.set(name, "x" * 2**15))
    except OutOfMemoryError:
        return False


def test_both_files_set_the_same_and_say_why() -> None:
    assert settings("valkey.conf") == settings("redis.conf")
    for file in ("valkey.conf", "redis.conf", "replicated.conf"):
        lines = (DEPLOY / "valkey" / file).read_text("utf-8").splitlines()
        unexplained = [
            line for before, line in pairwise(lines)
            if line and not line.startswith("#") and not before
        ]  # fmt: skip
        assert unexplained == []


def test_replicated_has_a_replica_and_without_it_takes_no_write(tmp_path: Path) -> None:
    included = tmp_path / "replicated.conf"
    text = (DEPLOY / "valkey" / "replicated.conf").read_text("utf-8")
    included.write_text(text.replace("/etc/valkey", str(DEPLOY / "valkey")))
    folders = tmp_path / "primary", tmp_path / "replica"
    for folder in folders:
        folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    at_once = ("--repl-diskless-sync-delay", "0")
    with started(VALKEY, str(included), folders[0], "--port", port, *at_once) as primary:
        with started(VALKEY, str(included), folders[1], "--port", "0", "--replicaof", f"127.0.0.1 {port}"):
            with primary.client() as client:
                assert client.execute_command("WAIT", 1, 10_000) == 1
                assert client.set("ctxhub:{00}:kept", "twice")
            assert doctor(primary.url, "replicated") == (0, [])
        with primary.client() as client, pytest.raises(ResponseError, match="NOREPLICAS"):
            client.set("ctxhub:{00}:kept", "once")
