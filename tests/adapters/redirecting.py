"""A system that is asked something and sends the asker elsewhere, as one would who wants to see the inner network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Redirecting:
    """Answers every call with a redirect to a place that would say yes; notes what was asked for."""

    def __init__(self, status: int) -> None:
        self._status = status
        self.asked: list[str] = []
        self.url = ""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one call."""
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        self.asked.append(path)
        body = b'{"ok": true, "customer_id": "c42"}' if path == "/inside" else b""
        head = "200 OK" if path == "/inside" else f"{self._status} Elsewhere\r\nlocation: {self.url}/inside"
        writer.write(f"HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def redirecting(status: int) -> AsyncIterator[Redirecting]:
    """Have it listen on loopback."""
    found = Redirecting(status)
    server = await asyncio.start_server(found.take, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found
