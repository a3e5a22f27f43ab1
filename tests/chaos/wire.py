"""A lean HTTP client that loses nothing of what happened to a call: answered, cut off, out of time, or given up."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any, NamedTuple


class Cut(Exception):
    """The call has no answer: the connection broke, or its time ran out."""


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Tell whether it was done."""
        return 200 <= self.status < 300

    @property
    def version(self) -> int | None:
        """Return the customer's version as the answer shows it."""
        tag = self.headers.get("etag", "").strip('"')
        return int(tag) if tag.isdigit() else None

    def json(self) -> Any:
        """Return what it says."""
        return json.loads(self.body)


class Line:
    """One kept-alive connection of one client, made anew after whatever broke it."""

    def __init__(self, url: str, key: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._address = (host, int(port))
        self._key = key
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: Any = None, key: str = "", within: float = 6.0) -> Answer:
        """Send one request and return its answer; `Cut` where none came."""
        try:
            async with asyncio.timeout(within):
                writer = await self._sent(method, path, body, key)
                return await self._answer(writer[0])
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            self.hang_up()
            raise Cut(repr(error)) from error
        except BaseException:
            self.hang_up()
            raise

    async def give_up(self, method: str, path: str, body: Any = None, key: str = "", after: float = 0.01) -> None:
        """Send one request and go away before the answer, or in the middle of it."""
        try:
            async with asyncio.timeout(1):
                await self._sent(method, path, body, key)
                await asyncio.sleep(random.uniform(0, after))
        except (OSError, TimeoutError):
            pass
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Break the connection as a process that dies does."""
        if self._ends is not None:
            self._ends[1].transport.abort()
            self._ends = None

    async def _sent(
        self, method: str, path: str, body: Any, key: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request on the connection that stands, or on a new one."""
        if self._ends is None or self._ends[1].is_closing() or self._ends[0].at_eof():
            self.hang_up()
            self._ends = await asyncio.open_connection(*self._address, limit=2**24)
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: hub", f"Authorization: Bearer {self._key}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        lines += [f"Idempotency-Key: {key}"] if key else []
        self._ends[1].write("\r\n".join([*lines, "", ""]).encode() + content)
        await self._ends[1].drain()
        return self._ends

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        """Read one answer."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.hang_up()
        return Answer(int(head[0].split()[1]), headers, body)
