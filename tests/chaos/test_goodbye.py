"""Fifty streams are open as the hub is told to stop: each hears `bye`, and a follower who comes back misses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from httpx_sse import aconnect_sse

from ctxhub.client import Start, told
from tests.chaos.running import KEY, KillableHub

pytestmark = pytest.mark.chaos
STREAMS = 50


async def _heard(client: httpx.AsyncClient, url: str, after: int | None, heard: list[tuple[str, str]]) -> None:
    """Follow one stream to its end."""
    headers = {"Authorization": f"Bearer {KEY}"} | ({"Last-Event-ID": str(after)} if after is not None else {})
    async with aconnect_sse(client, "GET", url, headers=headers) as source:
        async for event in source.aiter_sse():
            heard.append((event.event, event.id))


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_every_stream_hears_bye_and_comes_back_without_a_gap(tmp_path: Path, workers: str) -> None:
    hub = KillableHub(tmp_path / "data", workers=workers, durability="fast").start()
    sdk = hub.client()
    started = await sdk.interactions.start(Start(channel="chat", external_id="s", customer_id="s"))
    here = started.interaction.interaction_id
    url = f"{hub.url}/v1/customers/s/stream"
    heard: list[list[tuple[str, str]]] = [[] for _ in range(STREAMS)]
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as client:
        follows = [asyncio.create_task(_heard(client, url, 0, each)) for each in heard]
        await sdk.events.tell("s", *[told("x.ping", event_id=f"p{n}", interaction_id=here) for n in range(20)])
        async with asyncio.timeout(20):
            while not all(each and each[-1][1] == "21" for each in heard):
                await asyncio.sleep(0.02)
        took = await asyncio.to_thread(hub.stop)
        await asyncio.wait_for(asyncio.gather(*follows), 10)
        assert took < 5
        assert all(each[-1][0] == "bye" for each in heard)
        await asyncio.to_thread(hub.start)
        await sdk.events.tell("s", *[told("x.pong", event_id=f"q{n}", interaction_id=here) for n in range(20)])
        again: list[tuple[str, str]] = []
        follow = asyncio.create_task(_heard(client, url, 10, again))
        async with asyncio.timeout(20):
            while not again or again[-1][1] != "41":
                await asyncio.sleep(0.02)
        follow.cancel()
    await sdk.aclose()
    hub.stop()
    assert [event_id for kind, event_id in again if kind != "ready"] == [str(n) for n in range(11, 42)]
