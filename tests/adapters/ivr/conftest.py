"""A company's own systems, real ones on loopback, that check PINs and send text messages; and a hub that serves it."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from ctxhub.client import ContextHub
from tests.adapters.ivr.calling import Caller
from tests.adapters.ivr.serving import HOOK_SECRET, ServingHub, tenants
from tests.conftest import Many
from tests.many import environ_of

Ring = Callable[..., Caller]


@dataclass
class Company:
    """What the company's systems were asked, and how they answer."""

    url: str = ""
    pins: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    broken: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    answering: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Answer one request; an unsigned one is refused."""
        self.answering.wait(10)
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(HOOK_SECRET.encode(), signed, sha256).digest()).decode()
        if headers.get("webhook-signature") != f"v1,{mac}":
            return 401, b"{}"
        if path in self.broken:
            return self.broken[path]
        self.ids.append(headers["webhook-id"])
        return self._take(path, json.loads(body))

    def _take(self, path: str, asked: dict[str, Any]) -> tuple[int, bytes]:
        if path == "/sms":
            self.texts.append(asked)
            return 202, b""
        self.asked.append(asked)
        if path == "/secure":
            return 200, json.dumps(self.pins.get(asked["keyed"], {"outcome": "refused"})).encode()
        return 200, json.dumps(self.pins.get(asked["pin"], {"ok": False})).encode()

    def begin_anew(self) -> None:
        """Forget what was asked, and answer as usual."""
        for kept in (self.pins, self.asked, self.texts, self.ids, self.broken):
            kept.clear()
        self.answering.set()


@pytest.fixture(scope="session")
def systems() -> Iterator[Company]:
    """The company's systems, listening as long as the tests run."""
    with listening() as company:
        yield company


@contextmanager
def listening() -> Iterator[Company]:
    """The company's systems, for as long as the block lasts."""
    company = Company()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(company))
    company.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield company
    finally:
        company.answering.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def company(systems: Company) -> Iterator[Company]:
    """The company's systems, for one test."""
    systems.begin_anew()
    yield systems
    systems.begin_anew()


@pytest.fixture(scope="session")
def serving(many: Many, systems: Company, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingHub]:
    """A running hub with the telephone menus of several tenants; tests share it, so each takes callers of its own."""
    hub = ServingHub(tmp_path_factory.mktemp("hub"), tenants(systems.url), environ_of(many()))
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
def keys(serving: ServingHub) -> Callable[[str, str], str]:
    """Keys by tenant and role, each made once."""
    return lru_cache(lambda tenant, role: serving.key(tenant, role))


@pytest.fixture
async def wire(serving: ServingHub) -> AsyncIterator[httpx.AsyncClient]:
    """The platform's way to the webhooks."""
    async with httpx.AsyncClient(base_url=serving.url, timeout=20) as client:
        yield client


@pytest.fixture
def ring(wire: httpx.AsyncClient) -> Ring:
    """Somebody with a telephone."""
    return lambda tenant="acme", **about: Caller(wire, tenant, **about)


@pytest.fixture
async def hub(serving: ServingHub) -> AsyncIterator[ContextHub]:
    """The hub, under no good key yet."""
    async with ContextHub(serving.url, "none") as hub:
        yield hub


@pytest.fixture
def channel(hub: ContextHub, keys: Callable[[str, str], str]) -> Callable[..., ContextHub]:
    """The hub as another channel of a tenant reaches it."""
    return lambda tenant="acme": hub.with_key(keys(tenant, "adapter"))


@pytest.fixture
def office(hub: ContextHub, keys: Callable[[str, str], str]) -> Callable[..., ContextHub]:
    """The hub as the tenant itself reaches it: everything may be seen."""
    return lambda tenant="acme": hub.with_key(keys(tenant, "admin"))


@pytest.fixture
def desk(hub: ContextHub, keys: Callable[[str, str], str]) -> ContextHub:
    """The hub as ann's desk reaches it."""
    return hub.with_key(keys("acme", "agent"))


def _handler(systems: Company) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = systems.answer(self.path, headers, body)
            with suppress(ConnectionError):  # whoever asked did not wait
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
