"""A hub with its hands full says so at once, and loses nothing of what it has taken on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from ctxhub.api.admission import Admission
from ctxhub.client import ContextHub, told
from ctxhub.errors import Busy
from tests.api.scenes import Caller, known, ok, problem
from tests.chaos.running import KEY, KillableHub, whole_timeline

MOST = 4


class Held:
    """An application whose answers begin when they are let go, and end when that is allowed too."""

    def __init__(self) -> None:
        self.came = 0
        self.begin, self.end = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.came += 1
        await self.begin.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.end.wait()
        await send({"type": "http.response.body", "body": b""})


async def ask(app: Admission, path: str = "/v1/customers/c42/context") -> list[Message]:
    """Send one request; return what came back."""
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        said.append(message)

    await app({"type": "http", "method": "GET", "path": path, "headers": []}, receive, send)
    return said


async def came(held: Held, count: int) -> None:
    """Return when so many requests have reached the application."""
    async with asyncio.timeout(5):
        while held.came < count:
            await asyncio.sleep(0)


class TestCounting:
    """What is in hand, and what is not."""

    @pytest.fixture
    async def held(self) -> Held:
        return Held()

    @pytest.fixture
    def app(self, held: Held) -> Admission:
        return Admission(held, MOST)

    async def test_one_more_than_fit_is_refused_at_once(self, held: Held, app: Admission) -> None:
        calls = [asyncio.create_task(ask(app)) for _ in range(MOST)]
        await came(held, MOST)
        start, body = await ask(app)
        assert start["status"] == Busy.status
        assert (b"retry-after", b"1") in start["headers"]
        assert b'"code":"busy"' in body["body"]
        held.begin.set()
        held.end.set()
        assert [(await call)[0]["status"] for call in calls] == [200] * MOST
        assert (await ask(app))[0]["status"] == 200

    async def test_a_stream_that_has_begun_takes_no_room(self, held: Held, app: Admission) -> None:
        held.begin.set()
        streams = [asyncio.create_task(ask(app)) for _ in range(3 * MOST)]
        await came(held, 3 * MOST)
        held.end.set()
        assert [(await stream)[0]["status"] for stream in streams] == [200] * 3 * MOST

    @pytest.mark.parametrize("path", ["/health/live", "/metrics", "/ivr/twilio/acme", "/chat/acme"])
    async def test_channels_and_health_are_let_in(self, held: Held, app: Admission, path: str) -> None:
        calls = [asyncio.create_task(ask(app)) for _ in range(MOST)]
        await came(held, MOST)
        one_more = asyncio.create_task(ask(app, path))
        await came(held, MOST + 1)
        held.begin.set()
        held.end.set()
        await asyncio.gather(*calls)
        assert (await one_more)[0]["status"] == 200

    async def test_who_hangs_up_makes_room(self, held: Held, app: Admission) -> None:
        calls = [asyncio.create_task(ask(app)) for _ in range(MOST)]
        await came(held, MOST)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        held.begin.set()
        held.end.set()
        assert (await ask(app))[0]["status"] == 200


class TestOverload:
    """More than a running hub takes."""

    @pytest.fixture
    async def caller(self, tmp_path: Path) -> AsyncIterator[Caller]:
        hub = await asyncio.to_thread(KillableHub(tmp_path / "data", most_at_once=str(MOST)).start)
        try:
            async with httpx.AsyncClient(
                base_url=hub.url, timeout=30, limits=httpx.Limits(max_connections=100)
            ) as http:
                yield Caller(http, KEY)
        finally:
            await asyncio.to_thread(hub.stop)

    async def test_what_is_refused_is_not_there_and_what_is_taken_is(self, caller: Caller) -> None:
        scene = await known(caller)
        events = [scene.event("message.received", {"text": f"word {n}"}) for n in range(200)]
        answers = await asyncio.gather(*(scene.try_tell(event) for event in events))
        refused = [answer for answer in answers if answer.status_code == Busy.status]
        assert refused
        for answer in refused:
            problem(answer, Busy.status, "busy")
            assert int(answer.headers["Retry-After"]) >= 1
        taken = {e["event_id"] for e, answer in zip(events, answers, strict=True) if answer.status_code == 200}
        timeline = ok(await caller.get(f"{scene.base}/timeline", limit="1000"))["events"]
        assert {e["event_id"] for e in timeline if e["type"] == "message.received"} == taken
        assert len(taken) + len(refused) == len(events)

    async def test_the_client_waits_and_all_of_it_arrives_once(self, caller: Caller) -> None:
        scene = await known(caller)
        sdk = ContextHub(str(caller.http.base_url), KEY, timeout=30, tries=100)
        try:
            words = [told("message.received", interaction_id=scene.interaction_id, text=f"word {n}") for n in range(40)]
            await asyncio.gather(*(sdk.events.tell(scene.customer_id, word) for word in words))
            kept = [e.event_id for e in await whole_timeline(sdk, scene.customer_id) if e.type == "message.received"]
        finally:
            await sdk.aclose()
        assert sorted(kept) == sorted(word.event_id for word in words)
