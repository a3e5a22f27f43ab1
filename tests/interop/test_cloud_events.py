"""What leaves is read by others' libraries: envelopes by npm's `cloudevents`, signatures by `standardwebhooks`."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from standardwebhooks import Webhook, WebhookVerificationError

from ctxhub.hub.hub import Hub
from ctxhub.model.inward import allowed_of
from ctxhub.model.value import to_millis
from ctxhub.store.embedded import EmbeddedServer
from ctxhub.store.redis import connected
from tests.hub.receiving import ENVIRON, OTHER, SECRET, Got, Receiver, receiving
from tests.hub.scenes import WHO, in_one, offer, tell
from tests.support import ACME, TENANT, ways


def read(package: Path, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the SDK makes of requests."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    ran = subprocess.run(
        ["node", "reader.mjs"], cwd=package, input=lines, capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def as_request(got: Got) -> dict[str, Any]:
    """A request as the SDK takes it."""
    return {"headers": got.head, "body": got.body.decode()}


@pytest.fixture
async def hub(interop_server: EmbeddedServer, tmp_path: Path, crm: Receiver) -> AsyncIterator[Hub]:
    """A hub that tells the endpoint of everything, with its clock right."""
    with Redis.from_url(interop_server.url) as redis:
        redis.flushall()
    everything = {
        "url": crm.url, "secret": "NEWER_SECRET", "secrets": ["HOOK_SECRET"], "content": "brief", "role": "agent",
        "events": ["interaction.*", "handoff.*", "commitment.*", "fact.*", "x.咨询"],
    }  # fmt: skip
    declared = TENANT.model_dump(mode="json", exclude={"tenant"}) | {"webhooks": {"crm": everything}}
    (tmp_path / f"{ACME}.yaml").write_text(json.dumps(declared), encoding="utf-8")
    async with connected(interop_server.url, partitions=8) as server:
        hub = Hub(server, ways(lambda: to_millis(datetime.now(UTC)), tenants=tmp_path, environ=ENVIRON,
                               webhook_allow=allowed_of("127.0.0.1")))  # fmt: skip
        yield hub
        await hub.outward.aclose()


@pytest.fixture
async def crm() -> AsyncIterator[Receiver]:
    """An endpoint that acknowledges."""
    async with receiving() as receiver:
        yield receiver


async def test_every_envelope_is_valid_and_every_signature_verifies(
    hub: Hub, crm: Receiver, package: Path, need: Callable[[str], str]
) -> None:
    need("node")
    here = await in_one(hub, level=2)
    await tell(hub, "fact.stated", here, "f1", name="城市", value="里昂")
    await tell(hub, "x.咨询", here, "e1", anything={"deep": [1]})
    due_at = datetime(2027, 1, 1, tzinfo=UTC).isoformat()
    await tell(hub, "commitment.made", here, "p1", party="agent", what="回电", owner="service", due_at=due_at)
    await offer(hub, here)
    await hub.relay._keep_leases()
    await hub.relay._drain()
    while len(crm.got) < 5:
        async with asyncio.TaskGroup() as group:
            await hub.webhooks.send_due(group)
    said = await asyncio.to_thread(read, package, [as_request(got) for got in crm.got])
    assert [one["event"]["type"] for one in said] == [
        "interaction.started", "fact.stated", "x.咨询", "commitment.made", "handoff.offered",
    ]  # fmt: skip
    for got, one in zip(crm.got, said, strict=True):
        sent = got.event
        assert {name: one["event"][name] for name in sent if name != "time"} == {
            n: v for n, v in sent.items() if n != "time"
        }
        assert datetime.fromisoformat(one["event"]["time"]) == datetime.fromisoformat(sent["time"])
        for secret in (SECRET, OTHER):
            assert Webhook(secret).verify(got.body, got.head) == sent
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(got.body.replace(b"c42", b"c43"), got.head)
    assert len({got.head["webhook-id"] for got in crm.got}) == 5
    assert WHO.customer_id == crm.events[0]["subject"]


async def test_the_reader_would_refuse_what_is_no_cloud_event(package: Path) -> None:
    whole = {"specversion": "1.0", "id": "1", "source": "/a", "type": "b"}
    head = {"content-type": "application/cloudevents+json"}
    bodies = [
        whole,
        *({name: part for name, part in whole.items() if name != left_out} for left_out in ("source", "type")),
    ]
    said = await asyncio.to_thread(read, package, [{"headers": head, "body": json.dumps(body)} for body in bodies])
    assert ["fault" in one for one in said] == [False, True, True]
