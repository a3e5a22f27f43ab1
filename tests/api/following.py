"""What comes down a stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from tests.api.scenes import Caller


class Heard(NamedTuple):
    """One event of a stream."""

    id: str | None
    type: str
    data: dict[str, Any]


class Following:
    """A stream as it is read: what was heard, and what comes."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.heard: list[Heard] = []
        self._lines = response.aiter_lines()

    async def next(self, within: float = 10) -> Heard:
        """The next event; `EOFError` at the end."""
        said: dict[str, str] = {}
        async with asyncio.timeout(within):
            async for line in self._lines:
                if not line and "event" in said:
                    self.heard.append(Heard(said.get("id"), said["event"], json.loads(said["data"])))
                    return self.heard[-1]
                name, _, value = line.partition(": ")
                said[name] = value
        raise EOFError

    async def until(self, type_: str, about: str = "", within: float = 10) -> Heard:
        """The next event of a type, and about something if it is named."""
        async with asyncio.timeout(within):
            while True:
                heard = await self.next(within)
                if heard.type == type_ and about in str(heard.data):
                    return heard


@asynccontextmanager
async def following(caller: Caller, path: str, last: str | None = None, **query: Any) -> AsyncIterator[Following]:
    """Follow a stream for as long as the block lasts."""
    headers = {"Authorization": f"Bearer {caller.key}"} if caller.key else {}
    headers |= {"Last-Event-ID": last} if last is not None else {}
    async with caller.http.stream("GET", path, headers=headers, params=query or None, timeout=30) as response:
        if response.status_code != 200:
            await response.aread()
            raise AssertionError(f"{response.status_code}: {response.text}")
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Following(response)
