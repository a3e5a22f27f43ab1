"""A real HTTP server on loopback of which a test decides every byte: what it answers, and when it breaks off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

Script = Callable[["Asked", "Line"], Awaitable[None]]

EVENT_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Line:
    """One connection, as the server holds it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, content: bytes) -> None:
        """Send, in a packet of its own."""
        self.writer.write(content)
        await self.writer.drain()
        await asyncio.sleep(0)

    def cut(self) -> None:
        """Break off."""
        self.writer.close()

    async def closed_by_the_other_side(self) -> None:
        """Return once the client has closed it."""
        await self.reader.read()


@dataclass
class Wire:
    """The server, and what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    open: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def changed(self) -> None:
        """Tell who waits that something came or went."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, true: Callable[[Wire], bool], seconds: float = 5.0) -> None:
        """Wait until something is true of what was asked and of the connections."""
        async with asyncio.timeout(seconds):
            while not true(self):
                await self._changed.wait()


@asynccontextmanager
async def wire(script: Script) -> AsyncIterator[Wire]:
    """Serve by a script, on a port of its own; whatever hangs is cut at the end."""
    served = Wire()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_serve(served, script, reader, writer))
        tasks.add(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(wire: Wire, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what comes on one connection, until either side closes it."""
    wire.open += 1
    try:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                asked = await _read(reader)
                wire.asked.append(asked)
                wire.changed()
                await script(asked, Line(reader, writer))
    finally:
        writer.close()
        wire.open -= 1
        wire.changed()


async def _read(reader: asyncio.StreamReader) -> Asked:
    """Read one request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return Asked(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def in_turn(*scripts: Script) -> Script:
    """Answer by one script after the other, whatever the connection; the last one stays."""
    left = list(scripts)

    async def script(asked: Asked, line: Line) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked, line)

    return script


def answer(status: int = 200, body: Any = None, /, **headers: str) -> Script:
    """Answer with a status and JSON; `retry_after="1"` becomes a header of that name."""
    content = (
        b"" if status == HTTPStatus.NOT_MODIFIED else body if isinstance(body, bytes) else json.dumps(body).encode()
    )

    async def script(_: Asked, line: Line) -> None:
        head = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(content)}"]
        head += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await line.send("\r\n".join([*head, "", ""]).encode() + content)

    return script


async def lose_the_reply(_: Asked, line: Line) -> None:
    """Take a request, and break off without a byte."""
    line.cut()


async def say_nothing(_: Asked, line: Line) -> None:
    """Keep whoever asked waiting, until they give up."""
    await line.closed_by_the_other_side()
    line.cut()


def stream(*parts: bytes, then: Script = say_nothing) -> Script:
    """Send a stream part by part, and then stay silent, or do as `then` does."""

    async def script(asked: Asked, line: Line) -> None:
        await line.send(EVENT_STREAM)
        for part in parts:
            await line.send(chunk(part))
        await then(asked, line)

    return script


def chunk(part: bytes) -> bytes:
    """Wrap a part of a stream as HTTP/1.1 wants it."""
    return b"%x\r\n%s\r\n" % (len(part), part)


async def break_off(_: Asked, line: Line) -> None:
    """Close without an end of the stream, as a killed server does."""
    line.cut()


async def end(_: Asked, line: Line) -> None:
    """End a stream properly."""
    await line.send(b"0\r\n\r\n")
    line.cut()


def event(type_: str, id_: str | int | None = None, /, **data: Any) -> bytes:
    """Write one event of a stream."""
    mark = "" if id_ is None else f"id: {id_}\n"
    return f"{mark}event: {type_}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def told(version: int, type_: str = "message.received", **data: Any) -> bytes:
    """Write one event of a customer's timeline, as their stream does."""
    kept = {"event_id": f"e{version}", "type": type_, "at": "2030-01-02T10:00:00Z", "version": version, "data": data}
    return event(type_, version, **kept)
