"""The hub is killed while it is read and written: the trail stays whole, and every answer that came has its line."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from tests.chaos.running import FULL, KEY, ROOT, KillableHub
from tests.hub.scenes import eventually

READERS = 8
KILLS = 10 if FULL else 1


async def _reads(url: str, customer_id: str, answered: Counter[str]) -> None:
    """Write and read one customer over and over until the hub is gone; note every read that was answered."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=5) as http:
        start = {"channel": "chat", "external_id": f"x-{customer_id}", "customer_id": customer_id}
        try:
            interaction_id = (await http.post("/v1/interactions", json=start)).json()["interaction"]["interaction_id"]
            for number in range(100_000):
                event = {"event_id": f"{interaction_id}-{number}", "type": "message.received",
                         "interaction_id": interaction_id, "data": {"text": "hello"}}  # fmt: skip
                await http.post(f"/v1/customers/{customer_id}/events", json={"events": [event]})
                answer = await http.get(f"/v1/customers/{customer_id}/context", params={"events": 0})
                answered[customer_id] += answer.status_code == 200
        except httpx.TransportError:
            return


def _all_at_it(answered: Counter[str]) -> Callable[[], Awaitable[bool]]:
    """Return the question whether every reader had some answers."""

    async def are() -> bool:
        return len(answered) == READERS and min(answered.values()) > 5

    return are


async def _noted(url: str, customer_id: str) -> int:
    """How many reads of a customer the trail tells of."""
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=20) as http:
        query: dict[str, str | int] = {"customer_id": customer_id, "action": "context.read", "limit": 1000}
        return len((await http.get("/v1/audit", params=query)).json()["lines"])


def _verify(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the trail beside the running hub."""
    command = [sys.executable, "-m", "ctxhub", "audit", "verify", "--data", str(folder)]
    secret = {"CTXHUB_MASTER_KEY": "a master key for tests alone"}
    return subprocess.run(command, cwd=ROOT, env=os.environ | secret, capture_output=True, text=True, timeout=60)


async def test_of_a_killed_hub_the_trail_is_sound_and_no_answered_read_is_missing(tmp_path: Path) -> None:
    hub = KillableHub(tmp_path / "data").start()
    try:
        for kill in range(KILLS):
            answered: Counter[str] = Counter()
            names = [f"c{kill}-{number}" for number in range(READERS)]
            reading = asyncio.gather(*(_reads(hub.url, name, answered) for name in names))
            await eventually(_all_at_it(answered), within=30)
            hub.kill()
            await reading
            hub.start()
            found = {name: await _noted(hub.url, name) for name in names}
            assert {name: answered[name] for name in names if found[name] < answered[name]} == {}
        checked = _verify(tmp_path / "data")
        assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        hub.stop()
