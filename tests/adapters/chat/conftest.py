"""What the chat's tests may ask for: a running hub, customers on the phone, pages, a shop, a real browser."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from ctxhub.client import AssuranceClaim, ContextHub, OfferRequest, Start, Target, told
from tests.conftest import Many
from tests.many import environ_of

ROOT = Path(__file__).parents[3]
KEY = "the-first-key-of-the-chats-tests"
TENANT = """
languages: [en, zh]
journeys:
  - kind: train_ticket
    say: {en: a train ticket, zh: 火车票}
    steps:
      - {step: route, facts: [from_city, to_city]}
      - {step: time, facts: [travel_date]}
      - {step: passengers, facts: [seats]}
  - kind: hotel
    say: {en: a hotel room, zh: 酒店}
    steps:
      - {step: stay, facts: [city, nights]}
facts:
  from_city: {say: {en: departure city, zh: 出发城市}}
  to_city: {say: {en: destination, zh: 目的地}}
  travel_date: {say: {en: travel date, zh: 出行日期}}
  seats: {say: {en: number of seats, zh: 座位数}}
  city: {say: {en: city, zh: 城市}}
  nights: {say: {en: "How many nights will you stay?", zh: "住几晚？"}}
channels:
  chat: {queue: people, title: {en: Far Away Travel, zh: 远方旅行}}
"""
SHOP = """<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Shop</title><h1>Shop</h1>
<script>
  const widget = document.createElement("script");
  widget.type = "module";
  widget.src = location.search.slice(1);
  document.head.append(widget);
</script>"""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a shop's own site; put a script's address behind it as `?…`, and its page has that script."""
    folder = tmp_path_factory.mktemp("shop")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (folder / "index.html").write_text(SHOP, encoding="utf-8")
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="session")
def hub_url(many: Many, tmp_path_factory: pytest.TempPathFactory, shop: str) -> Iterator[str]:
    """The address of a hub that was started as an operator would."""
    folder = tmp_path_factory.mktemp("chat")
    (folder / "tenants").mkdir()
    embedded = TENANT.replace("{queue: people", f"{{queue: people, embed: ['{shop}', 'javascript:x']")
    (folder / "tenants" / "default.yaml").write_text(embedded, encoding="utf-8")
    (folder / "tenants" / "other.yaml").write_text(TENANT, encoding="utf-8")
    environ = {"CTXHUB_ADMIN_KEY": KEY, "CTXHUB_DURABILITY": "fast", "CTXHUB_TENANTS": str(folder / "tenants")}
    command = ["ctxhub", "serve", "--port", "0", "--data", str(folder / "data")]
    with running(command, environ | environ_of(many()), folder / "log") as (process, url):
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@contextmanager
def running(module: list[str], environ: dict[str, str], log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a module until it says that it is ready; it is gone afterwards, whatever happens."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            env=os.environ | {"PYTHONPATH": path} | environ,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        ready = re.search(r"ready (http://\S+)", process.stdout.readline())
        assert ready, log.read_text()
        yield process, ready[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
async def company(hub_url: str) -> AsyncIterator[ContextHub]:
    """The company's own systems: telephone menu and desks, as the hub knows them."""
    async with ContextHub(hub_url, KEY) as hub:
        yield hub


class Caller:
    """A customer who told the telephone menu a few things."""

    def __init__(self, company: ContextHub, customer_id: str, interaction_id: str) -> None:
        self.company = company
        self.customer_id = customer_id
        self.interaction_id = interaction_id

    @classmethod
    async def of(cls, company: ContextHub, **facts: Any) -> Caller:
        """Call, prove who it is, and begin a train ticket with these facts."""
        proof = AssuranceClaim(level=2, method="pin")
        start = Start(channel="ivr", system="twilio", external_id=secrets.token_hex(16), assurance=proof)
        started = await company.interactions.start(start)
        caller = cls(company, started.customer_id, started.interaction.interaction_id)
        at, journey_id = caller.interaction_id, f"jr_{secrets.token_hex(6)}"
        stated = [
            told("fact.stated", interaction_id=at, party="customer", journey_id=journey_id, name=name, value=value)
            for name, value in facts.items()
        ]
        begun = told("journey.started", interaction_id=at, party="customer", kind="train_ticket", journey_id=journey_id)
        await company.events.tell(caller.customer_id, begun, *stated)
        return caller

    async def token(self) -> str:
        """Want to go on in the chat."""
        offered = await self.company.handoffs.offer(
            OfferRequest(
                customer_id=self.customer_id,
                interaction_id=self.interaction_id,
                reason="goes on in the chat",
                to=Target(channel="chat"),
            )
        )
        assert offered.handoff.token is not None
        return offered.handoff.token


class Page:
    """What a page does: posts, and keeps the newest session; without a page's own eyes."""

    def __init__(self, http: httpx.AsyncClient, tenant: str = "default") -> None:
        self.http = http
        self.at = f"/chat/{tenant}/"
        self.visit = secrets.token_urlsafe(18)
        self.session = ""
        self._sent = 0

    async def open(self, **body: Any) -> dict[str, Any]:
        """Begin the chat, or come back to it."""
        return self._kept(await self.http.post(f"{self.at}sessions", json={"visit": self.visit, "lang": "en"} | body))

    async def say(self, text: str, **beside: Any) -> dict[str, Any]:
        """Send a message and return the answer."""
        return self._kept(await self.post(text, **beside))

    async def post(self, text: str, **beside: Any) -> httpx.Response:
        """Send a message."""
        self._sent += 1
        body = {"session": self.session, "message_id": f"m{self._sent}", "text": text}
        return await self.http.post(f"{self.at}messages", json=body | beside)

    def _kept(self, response: httpx.Response) -> dict[str, Any]:
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        self.session = answer["session"]
        return answer


@pytest.fixture
async def http(hub_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the hub."""
    async with httpx.AsyncClient(base_url=hub_url, timeout=10) as client:
        yield client


@pytest.fixture
def page(http: httpx.AsyncClient) -> Page:
    """A page of the chat that has not been opened yet."""
    return Page(http)


async def until(condition: Callable[[], Any], within: float = 10.0) -> Any:
    """Wait until a condition holds, asking again and again; return what it came to."""
    async with asyncio.timeout(within):
        while True:
            met = condition()
            met = await met if asyncio.iscoroutine(met) else met
            if met:
                return met
            await asyncio.sleep(0.02)
