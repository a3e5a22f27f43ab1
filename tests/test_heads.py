"""Heads over a real socket: too long, too many, too slow; and honest ones beside them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from ctxhub.api.problems import problem_response
from ctxhub.errors import HeadersTooLarge
from ctxhub.heads import LONGEST_HEAD, LONGEST_REST, BoundedHeads
from tests.on_a_port import on_a_port

GET = b"GET / HTTP/1.1\r\nHost: hub\r\n"


class Quick(BoundedHeads):
    """The same, with less patience than a hub has."""

    within = 0.5


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with how many bytes the body has."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    said = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    """Where it listens."""
    async with on_a_port(_app, Quick) as port:
        yield port


class Answer(NamedTuple):
    """What came back until the connection was closed, and how long that took."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


async def answered(port: int, *parts: bytes, pause: float = 0) -> Answer:
    """Send parts as long as that is possible, with a pause before each but the first; read until the end."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_sent(writer, parts, pause))
    try:
        async with asyncio.timeout(10):
            whole = await _read(reader)
    finally:
        sending.cancel()
        writer.close()
    head, _, body = whole.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return Answer(int((lines[0].split() or ["", 0])[1]), headers, body, time.monotonic() - began)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Read until the connection is closed, or reset."""
    whole = b""
    with suppress(ConnectionResetError):
        while part := await reader.read(65536):
            whole += part
    return whole


async def _sent(writer: asyncio.StreamWriter, parts: Iterable[bytes], pause: float) -> None:
    for number, part in enumerate(parts):
        await asyncio.sleep(pause if number else 0)
        writer.write(part)
        await writer.drain()


ENDLESS: dict[str, list[bytes]] = {
    "one header": [GET + b"X-A: " + b"a" * (LONGEST_HEAD + 1)],
    "one header in pieces": [GET + b"X-A: ", *[b"a" * 8000] * 9],
    "many headers": [GET, *[b"X-%d: a\r\n" % number * 100 for number in range(100)]],
    "an address": [b"GET /" + b"a" * (LONGEST_HEAD + 1)],
    "much more than is looked at": [GET + b"X-A: ", *[b"a" * 65536] * 8],
}


@pytest.mark.parametrize("name", ENDLESS)
async def test_a_head_that_does_not_end_is_refused_with_a_problem(port: int, name: str) -> None:
    answer = await answered(port, *ENDLESS[name])
    told = json.loads(answer.body)
    assert (answer.status, told["status"], told["code"]) == (431, 431, "headers_too_large")
    assert told == json.loads(bytes(problem_response(HeadersTooLarge(told["detail"])).body))
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert int(answer.headers["content-length"]) == len(answer.body)


async def test_a_head_that_trickles_in_is_hung_up_on_in_time(port: int) -> None:
    answer = await answered(port, GET, *[b"X-A: a\r\n"] * 100, pause=0.05)
    assert (answer.status, answer.body) == (0, b"")
    assert 0.4 < answer.seconds < 3


@pytest.mark.parametrize(
    "parts", [[], [b"\r\n"] * 100, [b"G", *[b"E"] * 100]], ids=["nothing", "blank lines", "a verb"]
)
async def test_a_connection_that_asks_nothing_is_not_kept(port: int, parts: list[bytes]) -> None:
    assert (await answered(port, *parts, pause=0.05)).seconds < 3


async def test_the_next_head_of_a_connection_has_its_time_too(port: int) -> None:
    answer = await answered(port, GET + b"\r\n", *[b"GET / HTTP/1.1\r\nX-A: a\r\n", *[b"X-A: a\r\n"] * 100], pause=0.05)
    assert (answer.status, answer.body) == (200, b"0")
    assert answer.seconds < 3


async def test_a_body_may_take_longer_than_a_head(port: int) -> None:
    post = b"POST / HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: 20\r\n\r\n"
    answer = await answered(port, post, *[b"aa"] * 10, pause=0.08)
    assert (answer.status, answer.body) == (200, b"20")
    assert answer.seconds > Quick.within


async def test_a_long_head_within_bounds_is_answered(port: int) -> None:
    answer = await answered(port, GET + b"Connection: close\r\nX-A: " + b"a" * (LONGEST_HEAD - 1000) + b"\r\n\r\n")
    assert answer.status == 200


async def test_an_answer_under_way_is_not_broken_into(port: int) -> None:
    post = b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 1\r\n\r\na"
    answer = await answered(port, post + GET + b"X-A: " + b"a" * (2 * LONGEST_HEAD))
    assert b"431" not in answer.body


async def test_trailers_come_to_an_end(port: int) -> None:
    chunked = b"POST / HTTP/1.1\r\nHost: hub\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: "
    answer = await answered(port, chunked, *[b"a" * 65536] * (LONGEST_REST // 65536 + 2))
    assert answer.status == 0
