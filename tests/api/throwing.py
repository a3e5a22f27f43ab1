"""Throws bytes at a port: requests, handshakes of protocols that nobody speaks here, frames after them, and worse."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import NamedTuple

from tests.fuzz.mutating import mutated

AT_ONCE = 16
#: How long whoever throws waits for an answer to begin, and for more of it, in seconds.
PATIENCE = 0.5
MORE = 0.02
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTHS = (0, 1, 5, 125, 126, 127, 300)
_HOST = b"Host: hub\r\nAuthorization: Bearer the-first-key\r\n"
_UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
_HANDSHAKE = _HOST + _UPGRADE + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
_POST = b"POST /v1/interactions HTTP/1.1\r\n" + _HOST + b"Content-Type: application/json\r\n"
_START = b'{"channel":"chat","external_id":"thrown"}'
SEEDS = [
    b"GET /v1/customers/c1/stream HTTP/1.1\r\n" + _HANDSHAKE,
    b"GET /v1/queues/billing/stream HTTP/1.1\r\n" + _HANDSHAKE,
    b"GET /chat/default/stream HTTP/1.1\r\n" + _HANDSHAKE,
    b"GET /health/live HTTP/1.1\r\n" + _HANDSHAKE,
    b"GET / HTTP/1.1\r\n"
    + _HOST
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    _POST + b"Content-Length: %d\r\n\r\n" % len(_START) + _START,
    _POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(_START) + _START + b"\r\n0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n" + _HOST + b"\r\n",
]
WORDS = (
    b"\r\n",
    b"\x00",
    b"\x81\x85",
    b"\xff" * 8,
    b"Content-Length: 9",
    b"Transfer-Encoding: chunked",
    b"%00",
    b"/../",
)


def a_frame(chance: Random) -> bytes:
    """A WebSocket frame: masked or not, of any kind, and as long as it says or not."""
    said = chance.choice(_LENGTHS)
    head = bytes([chance.randrange(256), (chance.random() < 0.7) << 7 | min(said, 127)])
    longer = said.to_bytes(2, "big") if said == 126 else b"\xff" * 8 if said == 127 else b""
    payload = chance.randbytes(chance.choice((said, said, chance.randrange(64))))
    return head + longer + chance.randbytes(4) + payload


class Thrown(NamedTuple):
    """What comes on one connection: a head, and frames, which may wait until the head was answered."""

    head: bytes
    frames: list[bytes]
    waits: bool


def inputs(chance: Random, count: int) -> Iterator[Thrown]:
    """Yield so many inputs: one in two begins well."""
    for _ in range(count):
        head = chance.choice(SEEDS) if chance.random() < 0.5 else mutated(chance, SEEDS, WORDS)
        yield Thrown(head, [a_frame(chance) for _ in range(chance.randrange(5))], chance.random() < 0.5)


async def thrown(port: int, seed: int, count: int) -> Counter[int]:
    """Throw inputs at a port, some at a time; return how often each status was answered, 0 for no answer at all."""
    statuses: Counter[int] = Counter()
    waiting = inputs(Random(seed), count)

    async def throw_on() -> None:
        for one in waiting:
            answer = await _thrown(port, one)
            statuses.update([int(status) for status in _STATUS.findall(answer)] or [0])

    await asyncio.gather(*(throw_on() for _ in range(AT_ONCE)))
    return statuses


async def _thrown(port: int, one: Thrown) -> bytes:
    """Send an input on a connection of its own; return all that was said to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        writer.write(one.head)
        if one.waits:
            answer += await _heard(reader)
        for frame in one.frames:
            writer.write(frame)
            await asyncio.sleep(0)
        return answer + await _heard(reader)
    except ConnectionError:
        return answer
    finally:
        writer.transport.abort()


async def _heard(reader: asyncio.StreamReader) -> bytes:
    """Listen to what begins in time, until it is silent or over."""
    heard, wait = b"", PATIENCE
    with suppress(TimeoutError, ConnectionError):
        while part := await asyncio.wait_for(reader.read(65536), wait):
            heard, wait = heard + part, MORE
    return heard
