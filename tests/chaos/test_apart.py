"""The hub dies without its server, or the server without its hub: neither stays alone, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.scenes import Caller, Scene, known
from tests.chaos.running import FULL, KEY, Books, KillableHub, whole_timeline

pytestmark = pytest.mark.chaos
KILLS = 5 if FULL else 1
WRITERS = 4


class Load:
    """Writers of one customer, who try again under the same ids until they are told to stop."""

    def __init__(self, scene: Scene) -> None:
        self.books = Books()
        self.retries = 0
        self.scene = scene
        self._over = False

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Write for as long as the block lasts, and finish what was begun."""
        async with asyncio.TaskGroup() as group:
            for number in range(WRITERS):
                group.create_task(self._write(number))
            try:
                yield
            finally:
                self._over = True

    async def grown(self) -> None:
        """Wait until some more has been acknowledged."""
        enough = len(self.books.acknowledged) + 40
        async with asyncio.timeout(30):
            while len(self.books.acknowledged) < enough:
                await asyncio.sleep(0.01)

    async def _write(self, number: int) -> None:
        n = 0
        while not self._over:
            n += 1
            fact = self.scene.fact(f"writer {number}", n)
            word = self.scene.event("message.received", {"text": f"{number}/{n}"})
            await self._tell(fact if n % 3 == 0 else word)

    async def _tell(self, event: dict[str, Any]) -> None:
        async with asyncio.timeout(60):
            while not await self._is_told(event):
                self.retries += 1
                await asyncio.sleep(0.05)

    async def _is_told(self, event: dict[str, Any]) -> bool:
        try:
            response = await self.scene.try_tell(event)
        except httpx.TransportError:
            return False
        assert response.status_code in (200, 503), response.text
        if response.is_success:
            self.books.note([(event["event_id"], response.json()["version"])])
        return response.is_success


async def gone(pid: int) -> None:
    """Wait until a process is gone; it must be soon."""
    async with asyncio.timeout(3):
        while _runs(pid):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_server_does_not_outlive_the_hub_that_brought_it(tmp_path: Path) -> None:
    hub = await asyncio.to_thread(KillableHub(tmp_path / "data").start)
    async with httpx.AsyncClient(base_url=hub.url, timeout=10) as http:
        load = Load(await known(Caller(http, KEY)))
        async with load.at_work():
            for _ in range(KILLS):
                await load.grown()
                [server] = hub.children()
                await asyncio.to_thread(hub.kill, server_too=False)
                await gone(server)
                await asyncio.to_thread(hub.start)
            await load.grown()
        await nothing_lost(hub, load)


async def test_a_hub_brings_back_the_server_it_has_lost(tmp_path: Path) -> None:
    hub = await asyncio.to_thread(KillableHub(tmp_path / "data").start)
    async with httpx.AsyncClient(base_url=hub.url, timeout=10) as http:
        load = Load(await known(Caller(http, KEY)))
        async with load.at_work():
            for _ in range(KILLS):
                await load.grown()
                [server] = hub.children()
                os.kill(server, signal.SIGKILL)
                await gone(server)
            await load.grown()
        await nothing_lost(hub, load)


async def nothing_lost(hub: KillableHub, load: Load) -> None:
    """Make sure of it, and stop the hub."""
    sdk = hub.client()
    assert load.books.faults(await whole_timeline(sdk, load.scene.customer_id)) == []
    assert load.retries > 0
    await sdk.aclose()
    await asyncio.to_thread(hub.stop)
