"""What is measured over HTTP and is ours: ctxhub as its users start it, and the floor beside it."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import signal
import string
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from ctxhub.settings import Settings
from ctxhub.store.embedded import die_with_parent, embedded_server
from tests.bench.running import Running
from tests.bench.wire import Connection, Cycle

FACTS = 10
KEY = "bench-admin-key"
#: No call of a run may be refused for being one of too many; they are counted all the same.
UNREACHED = str(10**9)


def text() -> str:
    """Return 100 characters of chatter."""
    return "".join(random.choices(string.ascii_lowercase + "     ", k=100))


@contextmanager
def ctxhub(durability: str, module: str = "ctxhub", data: Path | None = None, **more: str) -> Iterator[Running]:
    """Run a hub, one worker, with its embedded server, on its data or new ones; `more` are settings by their names."""
    with tempfile.TemporaryDirectory(prefix="ctxhub-bench-") as own:
        folder = data or Path(own)
        given = {"durability": durability, "admin_key": KEY, "log_level": "error", "limit_key": UNREACHED, **more}
        environ = os.environ | {f"CTXHUB_{name.upper()}": value for name, value in given.items()}
        serving = ["serve"] if module == "ctxhub" else []
        with _started(["-m", module, *serving, "--port", "0", "--data", str(folder)], environ) as (hub, port):
            redis = Redis(unix_socket_path=f"{folder}/valkey/server.sock")
            yield Running(port, hub.pid, redis, begin_at_hub, KEY)


@contextmanager
def floor(size: int) -> Iterator[Running]:
    """Run the floor beside a server of its own like the hub's, `fast`; its contexts have so many bytes."""
    with valkey() as folder:
        url = f"unix://{folder}/valkey/server.sock"
        words = ["-m", "tests.bench.floor", "--redis", url, "--bytes", str(size)]
        with _started(words, dict(os.environ)) as (server, port):
            yield Running(port, server.pid, Redis.from_url(url), begin_at_floor, KEY)


@contextmanager
def valkey(port: int = 0) -> Iterator[Path]:
    """Run the server that the hub brings along, `fast`, on `valkey/server.sock` of the folder that this returns.

    It listens on a port as well where one is given, for who can't do otherwise.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        server = stack.enter_context(embedded_server(Settings(data=folder, durability="fast")))
        redis = stack.enter_context(Redis.from_url(server.url))
        redis.config_set("bind", "127.0.0.1")
        redis.config_set("port", port)
        yield folder


@contextmanager
def _started(words: list[str], environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a server that says on which port it is ready; it ends with this process, however that ends."""
    with subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE, env=environ, text=True, preexec_fn=die_with_parent(signal.SIGTERM),
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None
            ready = re.search(r"[: ](\d+)$", server.stdout.readline().strip())
            assert ready is not None
            yield server, int(ready[1])
        finally:
            server.terminate()


def with_channels_key(hub: Running) -> Running:
    """Return the same hub as a channel calls it: with a key bound to its channel and to what it may assert."""
    body = {"name": f"k{secrets.token_hex(4)}", "role": "adapter", "channels": ["chat"], "level": 3}
    head = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    content = json.dumps(body | {"methods": ["login", "app", "pin"]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{hub.port}/v1/keys", content, head)
    with urllib.request.urlopen(request) as answer:
        return Running(hub.port, hub.pid, hub.redis, hub.begin, json.load(answer)["key"])


async def start(connection: Connection, name: str) -> str:
    """Let a customer with ten facts be in a chat; return the interaction."""
    body = {"channel": "chat", "external_id": name, "customer_id": name, "assurance": {"level": 2, "method": "login"}}
    here = str((await connection.insist("POST", "/v1/interactions", body))["interaction"]["interaction_id"])
    told = [event(f"f{n}", "fact.stated", here, {"name": f"fact_{n}", "value": secrets.token_hex(4)})
            for n in range(FACTS)]  # fmt: skip
    await connection.insist("POST", f"/v1/customers/{name}/events", {"events": told})
    return here


async def say(connection: Connection, name: str, here: str, count: int) -> None:
    """Let a customer have said so much already, told in batches."""
    told = [event(f"b{n}", "message.received", here, {"text": text()}) for n in range(count)]
    for at in range(0, count, 100):
        await connection.insist("POST", f"/v1/customers/{name}/events", {"events": told[at : at + 100]})


def event(event_id: str, type_: str, interaction_id: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return an event to tell."""
    return {"event_id": event_id, "type": type_, "interaction_id": interaction_id, "party": "customer", "data": data}


async def begin_at_hub(connection: Connection, name: str, history: int = 0) -> Cycle:
    """Start a customer with ten facts; a cycle appends a message and reads the context back."""
    here = await start(connection, name)
    await say(connection, name, here, history)
    read = connection.request("GET", f"/v1/customers/{name}/context?interaction_id={here}&events=20")

    async def cycle(turn: int) -> None:
        said = text()
        told = {"events": [event(f"m{turn}", "message.received", here, {"text": said})]}
        append = connection.request("POST", f"/v1/customers/{name}/events", told)
        kept = json.loads((await connection.fetch(append)).body)
        seen = await connection.fetch(read)
        assert f'"{kept["version"]}"' in seen.header("etag")
        assert said.encode() in seen.body

    return cycle


async def begin_at_floor(connection: Connection, name: str, history: int = 0) -> Cycle:
    """Begin with a list of messages; a cycle appends one and reads as many bytes as a context has."""
    read = connection.request("GET", f"/read/{name}")
    for _ in range(history):
        await connection.fetch(connection.request("POST", f"/append/{name}", {"text": text()}))

    async def cycle(turn: int) -> None:
        told = {"events": [event(f"m{turn}", "message.received", name, {"text": text()})]}
        kept = json.loads((await connection.fetch(connection.request("POST", f"/append/{name}", told))).body)
        assert kept["version"] == history + turn + 1
        await connection.fetch(read)

    return cycle
