"""A way to a real hub that a test can cut or let lose its answers; and what stands at the hub afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import pytest
from starlette.types import ASGIApp

from ctxhub.client import ContextHub, Event, SpoolFile, Start, Telling, told
from ctxhub.client import away as away_of
from ctxhub.client import spool as spool_of
from tests.api.scenes import fresh

SECRET = "a secret for tests alone"
Mood = Literal["here", "gone", "unavailable", "loses answers", "busy"]


@dataclass
class Way(httpx.AsyncBaseTransport):
    """The way to a hub in this process."""

    app: ASGIApp
    mood: Mood = "here"
    sent: list[str] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Bring a request to the hub, or not, and its answer back, or not."""
        self.sent.append(f"{request.method} {request.url.path}")
        if self.mood == "gone":
            raise httpx.ConnectError("nobody listens", request=request)
        if self.mood in ("unavailable", "busy"):
            return _problem(request, 503 if self.mood == "unavailable" else 429)
        response = await httpx.ASGITransport(self.app).handle_async_request(request)
        if self.mood == "loses answers":
            await response.aread()
            raise httpx.ReadError("cut off", request=request)
        return response


def _problem(request: httpx.Request, status: int) -> httpx.Response:
    code = {503: "unavailable", 429: "too_many"}[status]
    return httpx.Response(status, json={"code": code, "status": status}, request=request)


def client(way: Way, key: str, path: Path, **more: object) -> ContextHub:
    """A channel's client with a spool."""
    file = SpoolFile(path, SECRET, of="default", **more)  # type: ignore[arg-type]
    return ContextHub("http://hub.test", key, transport=way, tries=1, timeout=5.0, spool=file)


def a_start(**more: object) -> Start:
    """A chat that nobody else has."""
    return Start(channel="chat", external_id=fresh("visit"), **more)  # type: ignore[arg-type]


def said(text: str, event_id: str | None = None, **more: object) -> Telling:
    """Something a customer says."""
    return told("message.received", event_id=event_id or fresh("said"), party="customer", text=text, **more)  # type: ignore[arg-type]


async def texts(hub: ContextHub, customer_id: str) -> list[str]:
    """What was said, as the hub has it."""
    return [event.data["text"] for event in await events(hub, customer_id) if event.type.startswith("message.")]


async def events(hub: ContextHub, customer_id: str) -> list[Event]:
    """The whole timeline."""
    found: list[Event] = []
    after: int | None = 0
    while after is not None:
        page = await hub.contexts.timeline(customer_id, after=after, limit=1000)
        found += page.events
        after = page.next
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody pause for long before a next try."""
    monkeypatch.setattr(spool_of, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(spool_of, "_LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(away_of, "_FIRST_REST", 0.001)
    monkeypatch.setattr(away_of, "_LONGEST_REST", 0.01)
