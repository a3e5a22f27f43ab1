"""A hub that lives in a thread of this process, on a Valkey and in a folder that are gone afterwards."""

from __future__ import annotations

import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import httpx
import yaml
from pydantic import SecretStr

from ctxhub.client import ContextHub, Stopping
from ctxhub.server import create_app, ways_of
from ctxhub.settings import CannotStart, Settings
from ctxhub.store.embedded import embedded_server
from ctxhub.testing.clock import Clock
from ctxhub.worker import HubServer

__all__ = ["LiveHub", "Role", "Tenants", "a_hub"]

Role = Literal["adapter", "agent", "supervisor", "admin"]
#: What each tenant declares, as in its file; or the folder with these files.
Tenants = Mapping[str, Mapping[str, Any]] | Path

_READY_WITHIN = 20.0
_GONE_WITHIN = 5.0
# What is due comes about this soon after the clock was moved.
_TICK = timedelta(milliseconds=100)


class LiveHub:
    """A running hub: where it is, its clock, and keys for it."""

    def __init__(self, url: str, admin_key: str, clock: Clock) -> None:
        self.url = url
        self.admin_key = admin_key
        self.clock = clock

    def client(self, role: Role = "adapter", *, tenant: str = "default", agent: str | None = None) -> ContextHub:
        """Return a client under a new key; close it, or use it as `async with`."""
        return ContextHub(self.url, self.key(role, tenant=tenant, agent=agent))

    def key(self, role: Role = "adapter", *, tenant: str = "default", agent: str | None = None) -> str:
        """Make a key, for a process or a page of yours."""
        body = {"tenant": tenant, "role": role, "agent": agent, "name": f"{role}-{secrets.token_hex(4)}"}
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        made = httpx.post(f"{self.url}/v1/keys", json=body, headers=headers, trust_env=False).raise_for_status()
        return str(made.json()["key"])


@contextmanager
def a_hub(tenants: Tenants | None = None, **more: Any) -> Iterator[LiveHub]:
    """Run a hub for as long as the block lasts; `more` are settings by their names, such as `lease`.

    Enter it in the main thread: the server that comes with it must die with this process.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(_folder_for_the_moment()))
        settings = _settings(folder, {"tenants": _folder_of(tenants, folder / "tenants")} | more)
        if settings.redis_url is None:
            server = stack.enter_context(embedded_server(settings))
            settings = settings.with_redis(server.url)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        clock = Clock()
        stack.enter_context(_living(settings, clock, listener))
        assert settings.admin_key is not None
        yield LiveHub(settings.base_url, settings.admin_key.get_secret_value(), clock)


def _folder_for_the_moment() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ctxhub-testing-", ignore_cleanup_errors=True)


def _settings(folder: Path, more: dict[str, Any]) -> Settings:
    """Return settings for a hub that nobody misses afterwards, with secrets of its own."""
    usual = {
        "data": folder,
        "durability": "fast",
        "timer_tick": _TICK,
        "relay_lease": 3 * _TICK,
        "master_key": SecretStr(secrets.token_hex(32)),
        "admin_key": SecretStr(secrets.token_urlsafe(24)),
    }
    return Settings(**usual | more)


def _folder_of(tenants: Tenants | None, folder: Path) -> Path:
    """Return the folder of tenants' files, written here unless there is one."""
    if isinstance(tenants, Path):
        return tenants
    folder.mkdir()
    for name, declared in (tenants or {}).items():
        text = yaml.safe_dump(dict(declared), allow_unicode=True)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@contextmanager
def _living(settings: Settings, clock: Clock, listener: socket.socket) -> Iterator[None]:
    """Serve in a thread until the block ends; a start that is refused is raised here."""
    stopping, ready = Stopping(), Future[None]()
    app = create_app(settings, stopping, replace(ways_of(settings), clock=clock))
    server = HubServer(app, stopping, on_ready=lambda: ready.set_result(None), proxies=settings.trusted_proxies)
    thread = threading.Thread(target=_serve, args=(server, listener, ready), name="ctxhub", daemon=True)
    thread.start()
    try:
        ready.result(_READY_WITHIN)
        yield
    finally:
        server.should_exit = True
        stopping.set()
        thread.join(_GONE_WITHIN)


def _serve(server: HubServer, listener: socket.socket, ready: Future[None]) -> None:
    """Serve; whoever waits for it to be ready hears if it never will be."""
    try:
        server.run(sockets=[listener])
    except Exception as error:  # it is raised where the hub was asked for
        ready.set_exception(error)
    if not ready.done():
        ready.set_exception(CannotStart("the hub ended before it was ready"))
