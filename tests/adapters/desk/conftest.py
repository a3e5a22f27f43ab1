"""What the desk's tests may ask for: a running hub with the desk in it, customers who come, a real browser."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from ctxhub.client import (
    AssuranceClaim,
    ContextHub,
    HandoffView,
    Identifier,
    InteractionView,
    OfferRequest,
    Start,
    Target,
    told,
)
from tests.conftest import Many
from tests.many import environ_of

ROOT = Path(__file__).parents[3]
ADMIN_KEY = "the-first-key-of-these-tests"
HEADERS = {"X-Ctxhub-Desk": "1"}
TENANT = """
queues:
  suggesting: {weights: {}, ring: 600}
journeys:
  - kind: train_ticket
    say: {en: a train ticket, zh: 火车票}
    steps:
      - {step: route, facts: [from_city, to_city], say: {en: the route, zh: 路线}}
      - {step: travel, facts: [travel_date, adults.count], say: {en: the journey, zh: 行程}}
  - kind: refund
    say: {en: a refund, zh: 退款}
    steps:
      - {step: payout, once: true, say: {en: the payout, zh: 打款}}
      - {step: letter, say: {en: the letter, zh: 寄信}}
      - {step: gift, once: true, say: {en: the gift, zh: 赠品}}
facts:
  from_city: {say: {en: departure city, zh: 出发城市}}
  to_city: {say: {en: arrival city, zh: 到达城市}}
  travel_date: {say: {en: travel date, zh: 出行日期}}
  adults.count: {say: {en: travellers, zh: 人数}}
  card_number: {sensitivity: sensitive, disclose_from: 3, say: {en: card number, zh: 卡号}}
"""
_numbers = count(1)


class Customer(NamedTuple):
    """A customer who told a few things on the phone and now waits in a queue over chat."""

    customer_id: str
    queue: str
    interaction: InteractionView
    journey_id: str
    handoff: HandoffView


class RunningHub:
    """`ctxhub serve` as an operator runs it, on a free port that it keeps when it is started again."""

    admin_key = ADMIN_KEY

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._port = "0"
        self.url = ""
        self._keys: dict[str, str] = {}
        (folder / "tenants").mkdir()
        (folder / "tenants" / "default.yaml").write_text(TENANT, encoding="utf-8")
        settings = {"ADMIN_KEY": ADMIN_KEY, "DURABILITY": "fast", "TENANTS": str(folder / "tenants"),
                    "TRUSTED_PROXIES": "127.0.0.1"}  # fmt: skip
        self._environ = os.environ | {f"CTXHUB_{name}": value for name, value in settings.items()} | environ

    def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        with (self._folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                self._command("serve", "--port", self._port), cwd=ROOT, env=self._environ, stdout=subprocess.PIPE,
                stderr=log, text=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        ready = self._process.stdout.readline()
        if not ready.startswith("ctxhub ready http://"):
            self.stop(signal.SIGKILL)
            pytest.fail(f"the hub does not start: {self.log()}")
        self.url = ready.split()[-1]
        self._port = self.url.rpartition(":")[2]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it, or kill it, and wait until it is gone."""
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(how)
        self._process.wait(10)
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def key_of(self, agent: str) -> str:
        """Return an agent's own key, made as the operator makes it."""
        if agent not in self._keys:
            given = ["--tenant", "default", "--name", agent, "--role", "agent", "--agent", agent]
            made = subprocess.run(
                self._command("keys", "create", *given), cwd=ROOT, env=self._environ, capture_output=True, text=True,
                timeout=30,
            )  # fmt: skip
            assert made.returncode == 0, made.stderr
            self._keys[agent] = made.stdout.strip()
        return self._keys[agent]

    def revoke(self, agent: str) -> None:
        """Make an agent's key worthless."""
        given = ["--tenant", "default", "--name", agent]
        subprocess.run(self._command("keys", "revoke", *given), cwd=ROOT, env=self._environ, check=True, timeout=30)
        del self._keys[agent]

    @contextmanager
    def alone(self) -> Iterator[str]:
        """Run the desk in a process of its own against this hub, for as long as the block lasts."""
        settings = {"CTXHUB_URL": self.url, "CTXHUB_KEY": ADMIN_KEY, "PYTHONPATH": str(ROOT / "adapters")}
        command = [sys.executable, "-m", "ctxhub_desk", "--port", "0", "--data", str(self._folder / "alone")]
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("ctxhub_desk ready ").strip()
        finally:
            process.terminate()
            code = process.wait(10)
            process.stdout.close()
        assert code == 0

    def log(self) -> str:
        """What it has written to its log, for a test that failed."""
        return (self._folder / "log").read_text()

    def _command(self, verb: str, *given: str) -> list[str]:
        return [sys.executable, "-m", "ctxhub", verb, *given, "--data", str(self._folder / "data")]


@pytest.fixture(scope="session")
def running(many: Many, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub for all tests of the desk; each has customers and queues of its own."""
    hub = RunningHub(tmp_path_factory.mktemp("desk"), environ_of(many()))
    hub.start()
    yield hub
    hub.stop()


@pytest.fixture(scope="session")
async def channels(running: RunningHub) -> AsyncIterator[ContextHub]:
    """The hub as the customer's channels reach it."""
    async with ContextHub(running.url, ADMIN_KEY) as hub:
        yield hub


Comes = Callable[..., Awaitable[Customer]]


@pytest.fixture(scope="session")
def comes(channels: ContextHub) -> Comes:
    """Let a customer come: by phone with a PIN, then over chat, and into a queue."""

    async def come(queue: str | None = None, *, level: int = 2, language: str = "en", **offer: Any) -> Customer:
        number = next(_numbers)
        customer_id, queue = f"c{number}", queue or f"queue-{number}"
        call = await _starts(channels, customer_id, f"call-{number}", "ivr", 2, language)
        journey = told("journey.started", interaction_id=call.interaction_id, party="bot", kind="train_ticket")
        journey_id = (await channels.events.tell(customer_id, journey)).results[0].journey_id
        assert journey_id is not None
        about: dict[str, Any] = {"interaction_id": call.interaction_id, "journey_id": journey_id, "party": "customer"}
        await channels.events.tell(
            customer_id,
            told("fact.stated", **about, name="from_city", value="San Diego" if language == "en" else "杭州"),
            told("fact.stated", **about, name="to_city", value="Fresno" if language == "en" else "北京"),
            told("fact.stated", **about, name="card_number", value="4929 0000 0000 7731"),
        )
        chat = await _starts(channels, customer_id, f"chat-{number}", "chat", level, language)
        text = "I want a person, please." if language == "en" else "请转人工。"
        await channels.events.tell(customer_id, told("message.received", interaction_id=chat.interaction_id, text=text))
        given = {"reason": "asked for a person", "note": "wants to travel soon", "expires_in": 600} | offer
        request = OfferRequest(
            customer_id=customer_id, interaction_id=chat.interaction_id, journey_id=journey_id, to=Target(queue=queue),
            **given,
        )  # fmt: skip
        return Customer(customer_id, queue, chat, journey_id, (await channels.handoffs.offer(request)).handoff)

    return come


async def _starts(
    hub: ContextHub, customer_id: str, external_id: str, channel: str, level: int, language: str
) -> InteractionView:
    """Begin an interaction on a channel."""
    phone = Identifier(type="phone", value="+14155550100", strength="verified")
    start = Start(
        channel=channel, external_id=external_id, customer_id=customer_id, identifiers=[phone], language=language,
        assurance=AssuranceClaim(level=level, method="pin"),
    )  # fmt: skip
    return (await hub.interactions.start(start)).interaction


At = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def sits_down(running: RunningHub) -> AsyncIterator[At]:
    """Log an agent in and return what the page's requests go by."""
    desks: list[httpx.AsyncClient] = []

    async def sit_down(agent: str, queue: str) -> httpx.AsyncClient:
        desk = httpx.AsyncClient(base_url=f"{running.url}/desk/api/", headers=HEADERS, timeout=10)
        desks.append(desk)
        answer = await desk.post("login", json={"key": running.key_of(agent), "agent_id": agent, "queue": queue})
        assert answer.status_code == 200, answer.text
        return desk

    yield sit_down
    for desk in desks:
        await desk.aclose()


class Watched(NamedTuple):
    """A page at the desk, and what must not have happened there when the test is over."""

    page: Page
    faults: list[str]
    foreign: list[str]


Opens = Callable[..., Awaitable[Page]]


@pytest.fixture
async def opens(chromium: Browser, running: RunningHub) -> AsyncIterator[Opens]:
    """Open the desk in a browser of its own; afterwards nothing may have gone wrong or elsewhere."""
    watched: list[Watched] = []

    async def open_desk(
        agent: str | None = None, queue: str = "default", *, url: str = running.url, wide: int = 1280, **context: Any
    ) -> Page:
        place = await chromium.new_context(viewport={"width": wide, "height": 900}, **{"locale": "en-US"} | context)
        page = await place.new_page()
        watched.append(_watch(page, url))
        await page.goto(f"{url}/desk/")
        if agent is not None:
            await log_in(page, agent, running.key_of(agent), queue)
        return page

    yield open_desk
    for page, faults, foreign in watched:
        await page.context.close()
        assert faults == []
        assert foreign == []


def _watch(page: Page, url: str) -> Watched:
    """Note errors, broken policies and requests to anybody else."""
    watched = Watched(page, [], [])
    page.on("pageerror", lambda error: watched.faults.append(str(error)))
    page.on("console", lambda line: watched.faults.append(line.text) if _is_fault(line) else None)
    page.on(
        "request",
        lambda request: None if request.url.startswith((url, "data:")) else watched.foreign.append(request.url),
    )
    return watched


def _is_fault(line: ConsoleMessage) -> bool:
    """Tell an error of the page from the browser's remark that a request was refused."""
    return line.type == "error" and "Failed to load resource" not in line.text


async def log_in(page: Page, agent: str, key: str, queue: str) -> None:
    """Sit down at the desk as a person does."""
    await page.get_by_label("Agent id", exact=True).or_(page.get_by_label("坐席工号")).fill(agent)
    await page.locator("[name=key]").fill(key)
    await page.locator("[name=queue]").fill(queue)
    await page.locator("button[type=submit]").click()
    await expect(page.locator("#link.live")).to_be_visible()
