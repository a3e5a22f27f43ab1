"""A whole hub in this process, on a server of its own: adapters mounted, relay at work, only nothing listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.types import ASGIApp, Message

from ctxhub.client import Stopping
from ctxhub.model.value import to_millis
from ctxhub.server import create_app, ways_of
from ctxhub.settings import Settings
from tests.api.scenes import Caller, ok
from tests.support import PATIENT

MASTER_KEY = "a master key for tests alone"
ADMIN_KEY = "the-first-key"

TENANT = """
languages: [en, zh]
default_region: CN
journeys:
  - kind: refund
    say: {en: a refund, zh: 退款}
    steps:
      - {step: order, facts: [order_id]}
      - {step: payout, facts: [bank, account]}
facts:
  card_number: {sensitivity: sensitive}
queues:
  billing: {routing: hub}
  cards: {routing: hub}
  fraud: {routing: hub}
  phone: {routing: external}
  desks: {routing: hub, continue_elsewhere: chats}
  chats: {routing: hub}
dial: {number: "+864008001234"}
policies: {fraud_queue: fraud}
"""


def settings_for(folder: Path, redis_url: str, **more: Any) -> Settings:
    """Settings of a hub on a server, with the declarations of two tenants; it shares its process, and waits for it."""
    tenants = folder / "tenants"
    tenants.mkdir(parents=True, exist_ok=True)
    for tenant in ("default", "other"):
        (tenants / f"{tenant}.yaml").write_text(TENANT, encoding="utf-8")
    secrets = {"admin_key": SecretStr(ADMIN_KEY), "master_key": SecretStr(MASTER_KEY)}
    usual = {"durability": "fast", "connect_timeout": timedelta(seconds=PATIENT)}
    return Settings(data=folder, redis_url=redis_url, tenants=tenants, **secrets, **usual, **more)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = to_millis(datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        """Let time pass."""
        self.now = to_millis(self.now + timedelta(**span))


@asynccontextmanager
async def living(settings: Settings, clock: Callable[[], datetime] | None = None) -> AsyncIterator[ASGIApp]:
    """The application, alive for as long as the block lasts."""
    ways = replace(ways_of(settings), clock=clock) if clock else None
    app = create_app(settings, Stopping(), ways)
    life = _Life()
    living = asyncio.create_task(life.of(app))
    try:
        await asyncio.wait({living, life.begun}, return_when=asyncio.FIRST_COMPLETED)
        if living.done():
            await living
        yield app
    finally:
        life.over.set()
        await living


class _Life:
    """An application's life as a server lets it live: a start, and in the end a shutdown."""

    def __init__(self) -> None:
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()
        self._started = False

    async def of(self, app: ASGIApp) -> None:
        """Live it; ends after the shutdown, or with what kept it from starting."""
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, self._receive, self._send)

    async def _receive(self) -> Message:
        if not self._started:
            self._started = True
            return {"type": "lifespan.startup"}
        await self.over.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "lifespan.startup.complete":
            self.begun.set_result(None)


def http_to(app: ASGIApp) -> httpx.AsyncClient:
    """A client that calls the application in process; what it lets escape fails the test."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hub.test", timeout=30)


class Callers:
    """A caller of each role, in two tenants; `ann` and `bob` are agents with keys bound to them."""

    def __init__(self, http: httpx.AsyncClient, admin_key: str = ADMIN_KEY) -> None:
        self._http = http
        self.admin = Caller(http, admin_key)
        self.adapter = self.agent = self.ann = self.bob = self.supervisor = self.admin
        self.other_adapter = self.other_admin = self.nobody = self.admin

    async def make(self) -> Callers:
        """Make every key by the first one, as an operator does."""
        self.adapter = await self._key("channels", "adapter")
        self.agent = await self._key("desk", "agent")
        self.ann = await self._key("ann", "agent", agent="ann")
        self.bob = await self._key("bob", "agent", agent="bob")
        self.supervisor = await self._key("supervisor", "supervisor")
        self.other_adapter = await self._key("channels", "adapter", tenant="other")
        self.other_admin = await self._key("admin", "admin", tenant="other")
        self.nobody = Caller(self._http, "not-a-key")
        return self

    async def _key(self, name: str, role: str, **more: str) -> Caller:
        """Make a key; every test of a process rests on it: a busy machine's 503 is waited out as is asked, twice."""
        body = {"name": name, "role": role} | more
        answer = await self.admin.post("/v1/keys", body)
        for _ in range(2):
            if answer.status_code == 503:
                await asyncio.sleep(float(answer.headers["Retry-After"]))
                answer = await self.admin.post("/v1/keys", body)
        return Caller(self._http, ok(answer, 201)["key"])
