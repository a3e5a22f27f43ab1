"""Endpoints that are not ours: they answer on loopback as they are told, and remember what they were sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ENVIRON = {"HOOK_SECRET": SECRET, "NEWER_SECRET": OTHER}


class Got(NamedTuple):
    """One request as it came."""

    head: dict[str, str]
    body: bytes
    path: str

    @property
    def event(self) -> dict[str, Any]:
        """The body as JSON."""
        event: dict[str, Any] = orjson.loads(self.body)
        return event


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(status: str = "204 No Content", body: bytes = b"", head: str = "", length: int | None = None) -> Answer:
    """An answer that comes at once; `length` is said in the head instead of the true one."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = f"HTTP/1.1 {status}\r\ncontent-length: {len(body) if length is None else length}\r\n{head}\r\n"
        writer.write(said.encode() + body)
        await writer.drain()

    return answer


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the caller goes."""
    await reader.read()


async def slamming(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up without a word."""
    writer.transport.abort()


def hanging_up(body: bytes) -> Answer:
    """Say 200 and a part of what was announced, then go."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying("200 OK", body, length=len(body) + 100)(reader, writer)
        writer.close()

    return answer


async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say something that is no HTTP."""
    writer.write(b"220 mail.example.com ESMTP\r\n")
    writer.close()


def trickling(head: str) -> Answer:
    """Say a head, then a little again and again, so that no single read is slow, and never come to an end."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode())
        while True:
            writer.write(b" ")
            try:
                await asyncio.wait_for(reader.read(1), 0.1)
                return
            except TimeoutError:
                continue

    return answer


class Pouring:
    """Say 200 and a hundred million bytes; `poured` is how many were taken."""

    def __init__(self) -> None:
        self.poured = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        try:
            while self.poured < 100_000_000:
                writer.write(b"x" * 65_536)
                await writer.drain()
                self.poured += 65_536
        except OSError:
            return


class Receiver:
    """Something that answers on loopback, and what it was sent."""

    def __init__(self) -> None:
        self.answer: Answer = saying()
        self.got: list[Got] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def events(self) -> list[dict[str, Any]]:
        """What it was sent, as JSON."""
        return [got.event for got in self.got]

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request after the other, and answer each as told."""
        try:
            while True:
                raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *heads = raw.rstrip("\r\n").split("\r\n")
                head = {name.lower(): value for name, _, value in (one.partition(": ") for one in heads)}
                body = await reader.readexactly(int(head["content-length"]))
                self.got.append(Got(head, body, line.split()[1]))
                await self.answer(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver for as long as the block lasts."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.take, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
