"""Bodies over a real socket: late, in pieces, too many that are not whole; and honest ones beside them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive

from ctxhub.api.bodies import MAX_BODY, Bodies
from ctxhub.api.problems import Borders, problem_response
from ctxhub.errors import Busy, TooLarge, TooSlow
from tests.api.scenes import Caller, known, ok
from tests.chaos.running import KEY, KillableHub
from tests.on_a_port import on_a_port
from tests.test_heads import answered

WITHIN = 0.5
MOST = 4
POST = b"POST /a HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: 10\r\n"


def said(*parts: Message) -> Receive:
    """Return a receive that says this, and then nothing more."""
    waiting = list(parts)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return receive


def part(body: bytes, more: bool = True) -> Message:
    """A piece of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


class TestBodies:
    """What is waited for, and for how long."""

    @pytest.mark.parametrize(
        "parts",
        [[part(b"abc", False)], [part(b"a"), part(b"bc", False)], [part(b""), part(b"abc"), part(b"", False)]],
        ids=["whole", "in two", "with an end of its own"],
    )
    async def test_a_body_is_brought_in_one_piece_and_then_whatever_comes(self, parts: Sequence[Message]) -> None:
        gone: Message = {"type": "http.disconnect"}
        receive = await Bodies().whole(said(*parts, gone))
        assert await receive() == part(b"abc", False)
        assert await receive() == gone

    async def test_whoever_goes_away_in_the_middle_has_said_nothing(self) -> None:
        receive = await Bodies().whole(said(part(b"a"), {"type": "http.disconnect"}))
        assert (await receive())["type"] == "http.disconnect"

    async def test_more_than_a_body_may_have_is_refused_as_soon_as_it_is_there(self) -> None:
        with pytest.raises(TooLarge):
            await Bodies().whole(said(part(b"a" * MAX_BODY), part(b"a")))
        with pytest.raises(TooLarge):
            await Bodies().whole(said(part(b"a" * (MAX_BODY + 1), False)))

    @pytest.mark.parametrize("parts", [[], [part(b"a")]], ids=["nothing", "a beginning"])
    async def test_what_is_not_whole_in_time_is_refused(self, parts: Sequence[Message]) -> None:
        with pytest.raises(TooSlow):
            await Bodies(within=0.02).whole(said(*parts))

    async def test_of_what_waits_for_the_rest_there_is_no_more_than_so_much(self) -> None:
        bodies = Bodies(most=10)
        waiting = [asyncio.create_task(bodies.whole(said(part(b"a" * 5)))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await bodies.whole(said(part(b"a")))
        await bodies.whole(said(part(b"a" * 100, False)))
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        await bodies.whole(said(part(b"a"), part(b"b", False)))
        waiting[1].cancel()
        await asyncio.gather(waiting[1], return_exceptions=True)


class TestSlow:
    """Whose body trickles in."""

    @pytest.fixture
    async def port(self) -> AsyncIterator[int]:
        async with on_a_port(Borders(_echo, bodies=Bodies(within=WITHIN))) as port:
            yield port

    @pytest.mark.parametrize("parts", [[b""], [b"a"] * 9], ids=["nothing", "byte by byte"])
    async def test_it_is_told_so_and_hung_up_on(self, port: int, parts: list[bytes]) -> None:
        answer = await answered(port, POST + b"\r\n", *parts, pause=0.08)
        told = json.loads(answer.body)
        assert (answer.status, told["code"]) == (408, "too_slow")
        assert told == json.loads(bytes(problem_response(TooSlow(told["detail"])).body))
        assert answer.headers["connection"] == "close"

    async def test_one_that_is_whole_in_time_is_heard(self, port: int) -> None:
        answer = await answered(port, POST + b"Connection: close\r\n\r\n", *[b"aa"] * 5, pause=0.02)
        assert (answer.status, answer.body) == (200, b"a" * 10)


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    """A hub that has few calls in hand at once."""
    hub = await asyncio.to_thread(KillableHub(tmp_path / "data", most_at_once=str(MOST)).start)
    try:
        async with httpx.AsyncClient(base_url=hub.url, timeout=30, trust_env=False) as http:
            yield Caller(http, KEY)
    finally:
        await asyncio.to_thread(hub.stop)


@contextmanager
def begun(port: int, path: str, authorization: bytes) -> Iterator[None]:
    """Keep many connections open, each with a body of which one byte has come."""
    with ExitStack() as stack:
        for _ in range(10 * MOST):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(POST.replace(b"/a", path.encode()) + authorization + b"\r\n{")
        yield


async def test_bodies_that_are_never_whole_shut_nobody_out(caller: Caller) -> None:
    scene = await known(caller)
    port = caller.http.base_url.port
    assert port is not None
    for authorization in (b"", b"Authorization: Bearer nonsense\r\n"):
        for path in ("/v1/interactions", f"{scene.base}/events", "/v1/handoffs"):
            with begun(port, path, authorization):
                await asyncio.sleep(0.2)
                ok(await caller.get("/v1/queues/q"))
                await scene.tell(scene.event("message.received", {"text": "heard all the same"}))
