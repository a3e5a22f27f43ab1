"""The hub and its server are killed together, under load: what was acknowledged is there, once."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from tests.api.listening import Heard, ListeningHub, children_of, following, runs
from tests.api.scenes import Caller, Scene, known, ok
from tests.chaos.conftest import running
from tests.chaos.ledger import Ledger
from tests.chaos.test_many_writers import whole_timeline

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
TIMERS_WITHIN = 2.0


class Load:
    """Writers who go on until they are told to stop, and a follower who misses nothing."""

    def __init__(self, caller: Caller, scene: Scene) -> None:
        self.ledger = Ledger()
        self.heard: list[Heard] = []
        self._caller = caller
        self._scene = scene
        self._over = False
        self._writers: list[asyncio.Task[None]] = []
        self._follower: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Let all of them begin."""
        self._writers = [asyncio.create_task(self._write(number)) for number in range(6)]
        self._follower = asyncio.create_task(self._follow())

    async def end(self) -> list[dict[str, object]]:
        """Let the writers finish and the follower hear the last; the whole timeline."""
        self._over = True
        await asyncio.gather(*self._writers)
        told = await whole_timeline(self._scene, self._caller)
        async with asyncio.timeout(20):
            while not self.heard or self.heard[-1].id != str(told[-1]["version"]):
                await asyncio.sleep(0.05)
        assert self._follower is not None
        self._follower.cancel()
        return told

    async def grown(self) -> None:
        """Wait until some more has been acknowledged."""
        before = len(self.ledger.acknowledged)
        async with asyncio.timeout(30):
            while len(self.ledger.acknowledged) < before + 40:
                await asyncio.sleep(0.01)

    async def _write(self, number: int) -> None:
        n = 0
        while not self._over:
            n += 1
            fact = self._scene.fact(f"writer {number}", n)
            word = self._scene.event("message.received", {"text": f"{number}/{n}"})
            await self.ledger.tell(self._caller, self._scene.base, fact if n % 3 == 0 else word)

    async def _follow(self) -> None:
        """Follow and come back after each break, with what was heard last."""
        while True:
            last = self.heard[-1].id if self.heard else "0"
            with suppress(httpx.HTTPError, EOFError, TimeoutError, AssertionError):
                async with following(self._caller, f"{self._scene.base}/stream", last) as stream:
                    while True:
                        heard = await stream.next(20)
                        self.heard += [heard] if heard.id else []
            await asyncio.sleep(0.05)


async def expired_within(caller: Caller, handoff_id: str, scene: Scene) -> float:
    """How long a timer takes to tell that an offer has expired."""
    began = time.monotonic()
    async with asyncio.timeout(15):
        while all(event["event_id"] != f"{handoff_id}:expired" for event in await scene.all_told(caller)):
            await asyncio.sleep(0.02)
    return time.monotonic() - began


@pytest.mark.parametrize("server_too", [True, False], ids=["both at once", "the hub alone"])
async def test_nothing_acknowledged_is_missing_or_doubled_after_kills(
    hub: ListeningHub, figure: Callable[[int, int], int], server_too: bool
) -> None:
    async with running(hub) as [caller]:
        scene, waiting = await known(caller), await known(caller)
        load = Load(caller, scene)
        load.begin()
        for _ in range(figure(1, 5)):
            await load.grown()
            offer = await waiting.offer({"queue": "billing"}, expires_in=1)
            victims = [hub.pid, *(children_of(hub.pid) if server_too else [])]
            servers = children_of(hub.pid)
            assert servers
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            await hub.gone()
            await nobody_left(servers)
            await asyncio.sleep(1.0 if server_too else 0.1)  # the offer expires while nobody is there
            hub.spawn()
            await hub.ready()
            due_in = 0.0 if server_too else 1.0
            assert await expired_within(caller, offer["handoff_id"], waiting) < TIMERS_WITHIN + due_in
        told = await load.end()
        assert load.ledger.faults(told) == []
        assert [int(heard.id or 0) for heard in load.heard] == [event["version"] for event in told]
        assert load.ledger.retries > 0
        context = ok(await caller.get(f"{scene.base}/context"))
        assert context["version"] == len(told)


async def nobody_left(pids: list[int]) -> None:
    """Wait until processes are gone; they must be soon."""
    async with asyncio.timeout(3):
        while any(runs(pid) for pid in pids):
            await asyncio.sleep(0.01)


async def test_a_killed_server_alone_comes_back_and_nothing_is_lost(
    hub: ListeningHub, figure: Callable[[int, int], int]
) -> None:
    async with running(hub) as [caller]:
        load = Load(caller, await known(caller))
        load.begin()
        for _ in range(figure(1, 5)):
            await load.grown()
            [server] = children_of(hub.pid)
            os.kill(server, signal.SIGKILL)
            await nobody_left([server])
        await load.grown()
        assert load.ledger.faults(await load.end()) == []
