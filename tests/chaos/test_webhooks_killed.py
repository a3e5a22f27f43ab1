"""The hub is killed between a write and its delivery, and in the middle of one: every event still arrives, as one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ctxhub.client import Start, told
from tests.chaos.running import FULL, KillableHub
from tests.hub.receiving import SECRET, Receiver, receiving, saying, silent

pytestmark = pytest.mark.chaos
KILLS = 6 if FULL else 2
CUSTOMERS = ("c1", "c2", "c3")
AT_ONCE = 5


@pytest.fixture
async def crm() -> AsyncIterator[Receiver]:
    """An endpoint that takes calls and says nothing, until it is told to."""
    async with receiving() as receiver:
        receiver.answer = silent
        yield receiver


def tenants(folder: Path, crm: Receiver) -> Path:
    """The folder of a tenant who wants everything told."""
    folder.mkdir()
    webhook = {"url": crm.url, "secret": "HOOK_SECRET", "events": ["x.happened"], "timeout": 30}
    (folder / "default.yaml").write_text(json.dumps({"webhooks": {"crm": webhook}}), encoding="utf-8")
    return folder


async def test_every_acknowledged_event_reaches_the_endpoint_in_order_though_the_hub_is_killed(
    tmp_path: Path, crm: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    hub = KillableHub(
        tmp_path / "data", tenants=str(tenants(tmp_path / "tenants", crm)), webhook_allow="127.0.0.1"
    )  # fmt: skip
    await asyncio.to_thread(hub.start)
    acknowledged: dict[str, list[str]] = {customer_id: [] for customer_id in CUSTOMERS}
    for kill in range(KILLS):
        async with hub.client() as client:
            for customer_id in CUSTOMERS:
                start = Start(channel="chat", external_id=f"visit of {customer_id}", customer_id=customer_id)
                here = (await client.interactions.start(start)).interaction.interaction_id
                for number in range(AT_ONCE):
                    event_id = f"{customer_id}-{kill}-{number}"
                    await client.events.tell(customer_id, told("x.happened", event_id=event_id, interaction_id=here))
                    acknowledged[customer_id].append(event_id)
        if kill % 2:
            async with asyncio.timeout(20):
                while not crm.got:
                    await asyncio.sleep(0.02)  # killed while the endpoint has a call and has not answered it
        await asyncio.to_thread(hub.kill)
        crm.answer = silent if kill < KILLS - 1 else saying()
        await asyncio.to_thread(hub.start)
    first_time = await all_of(crm, sum(map(len, acknowledged.values())))
    await asyncio.to_thread(hub.stop)
    assert {who: [e for e in first_time if e.startswith(f"{who}-")] for who in CUSTOMERS} == acknowledged
    ids = {(event["data"]["event_id"], event["id"]) for event in crm.events}
    assert len(ids) == len({event_id for event_id, _ in ids}) == len({id_ for _, id_ in ids})


async def all_of(crm: Receiver, many: int) -> list[str]:
    """Wait until so many events were sent; return their ids in the order in which each came first."""
    async with asyncio.timeout(60):
        while True:
            first_time = list(dict.fromkeys(event["data"]["event_id"] for event in crm.events))
            if len(first_time) >= many:
                return first_time
            await asyncio.sleep(0.1)
