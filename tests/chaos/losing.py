"""Load on a hub while its Redis servers are lost: what it acknowledged, when, and how long each answer took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from redis.crc import key_slot

from ctxhub.store.keys import Keys
from tests.api.scenes import Patient, Scene, known
from tests.chaos.running import KEY, Books, KillableHub
from tests.many import Process

CUSTOMERS = 8
IN_TIME = 2.5  # seconds within which every answer comes, whatever Redis does
_PAUSE = 0.02


@dataclass
class Told:
    """What one customer's channel was told by the hub."""

    scene: Scene
    books: Books = field(default_factory=Books)
    refused: int = 0
    longest_gap: float = 0.0
    longest_answer: float = 0.0
    slowest: str = ""
    codes: set[str] = field(default_factory=set)


class Losing:
    """Channels that tell, each of a customer of its own, every event until it is kept."""

    def __init__(self, told: list[Told]) -> None:
        self.told = told
        self._over = False

    @classmethod
    async def of(cls, http: httpx.AsyncClient, customers: int) -> Losing:
        """Let some customers call."""
        caller = Patient(http, KEY)
        return cls([Told(await known(caller)) for _ in range(customers)])

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Tell for as long as the block lasts; each event under way is told until it is kept."""
        async with asyncio.TaskGroup() as group:
            for one in self.told:
                group.create_task(self._tell_on(one))
            try:
                yield
            finally:
                self._over = True

    @property
    def acknowledged(self) -> int:
        """How many events were acknowledged."""
        return sum(len(one.books.acknowledged) for one in self.told)

    @property
    def refused(self) -> int:
        """How often it was said to come again."""
        return sum(one.refused for one in self.told)

    @property
    def gap(self) -> float:
        """The longest that any customer waited from one acknowledged event to the next, in seconds."""
        return max(one.longest_gap for one in self.told)

    @property
    def answer(self) -> float:
        """The longest that any answer took, in seconds."""
        return max(one.longest_answer for one in self.told)

    def told_of(self) -> str:
        """What happened, in one line of the report."""
        codes = sorted(set().union(*(one.codes for one in self.told)))
        return (
            f"{self.acknowledged} acknowledged, {self.refused} times told to come again ({', '.join(codes)}), longest "
            f"gap {self.gap:.2f} s, longest answer {self.answer:.2f} s ({self.slowest})"
        )

    @property
    def slowest(self) -> str:
        """What was answered so late."""
        return max(self.told, key=lambda one: one.longest_answer).slowest

    async def grown(self, by: int = 10, within: float = 30) -> None:
        """Wait until every customer has some more events acknowledged."""
        enough = [len(one.books.acknowledged) + by for one in self.told]
        async with asyncio.timeout(within):
            while any(len(one.books.acknowledged) < least for one, least in zip(self.told, enough, strict=True)):
                await asyncio.sleep(0.01)

    async def faults(self, http: httpx.AsyncClient) -> list[str]:
        """Return whatever of the acknowledged events is missing, doubled or moved."""
        caller = Patient(http, KEY)
        return [fault for one in self.told for fault in _faults(one, await _timeline(caller, one.scene))]

    async def _tell_on(self, one: Told) -> None:
        """Tell messages and facts until it is over."""
        n, last = 0, time.monotonic()
        while not self._over:
            n += 1
            word = one.scene.event("message.received", {"text": "a" * (n % 50 + 1)})
            event = one.scene.fact(f"fact {'b' * (n % 7)}", n) if n % 4 == 0 else word
            await self._told(one, event)
            now = time.monotonic()
            one.longest_gap, last = max(one.longest_gap, now - last), now
            await asyncio.sleep(_PAUSE)

    async def _told(self, one: Told, event: dict[str, Any]) -> None:
        """Tell an event until it is kept, as any client does: under the same id."""
        while True:
            began = time.monotonic()
            response = await one.scene.caller.http.post(
                f"{one.scene.base}/events", json={"events": [event]}, headers={"Authorization": f"Bearer {KEY}"}
            )
            took = time.monotonic() - began
            if took > one.longest_answer:
                one.longest_answer, one.slowest = took, f"{event['type']}: {response.status_code}"
            if response.status_code == httpx.codes.OK:
                one.books.note([(event["event_id"], response.json()["version"])])
                return
            assert response.status_code == httpx.codes.SERVICE_UNAVAILABLE, response.text
            assert response.headers["retry-after"]
            one.refused += 1
            one.codes.add(response.json()["code"])
            await asyncio.sleep(0.05)


async def _timeline(caller: Patient, scene: Scene) -> list[dict[str, Any]]:
    """Everything that stands on a customer's timeline."""
    events: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        response = await caller.get(f"{scene.base}/timeline", after=after, limit=1000)
        assert response.status_code == httpx.codes.OK, response.text
        page = response.json()
        events += page["events"]
        after = page.get("next")
    return events


def _faults(one: Told, events: list[dict[str, Any]]) -> list[str]:
    """Return whatever contradicts what one channel was told."""
    return one.books.contradicted([(event["event_id"], event["version"]) for event in events])


@asynccontextmanager
async def running(folder: Path, url: str, durability: str) -> AsyncIterator[tuple[httpx.AsyncClient, Losing]]:
    """A hub on these servers, and channels that are about to tell it."""
    hub = await asyncio.to_thread(KillableHub(folder / "data", url, durability=durability).start)
    try:
        async with httpx.AsyncClient(base_url=hub.url, timeout=10) as http:
            yield http, await Losing.of(http, CUSTOMERS)
    finally:
        await asyncio.to_thread(hub.stop)


def slot_of(customer_id: str, tenant: str = "default") -> int:
    """The slot where a customer's keys are."""
    return int(key_slot(Keys(64).customer(tenant, customer_id).context.encode()))


async def killed(server: Process, back_after: float) -> None:
    """Kill a server, and start it again after a while."""
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(back_after)
    await asyncio.to_thread(server.start)


async def frozen(server: Process, seconds: float) -> None:
    """Let a server stand still for a while."""
    server.freeze()
    await asyncio.sleep(seconds)
    server.thaw()
