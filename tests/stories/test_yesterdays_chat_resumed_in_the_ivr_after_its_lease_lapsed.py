"""Yesterday's chat, long gone from Redis, goes on in today's phone call as if it had never been away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta

import pytest
from redis import Redis

from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.api.living import Callers, Clock, http_to, living, settings_for
from tests.api.scenes import Caller, ok

SOON = timedelta(milliseconds=50)
PHONE = {"type": "phone", "value": "+8613800138000", "strength": "claimed"}


@pytest.fixture
def clock() -> Clock:
    """A clock of this story's own."""
    return Clock()


@pytest.fixture(scope="module")
def one_with_an_archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server to which an archive belongs."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("archived"), durability="fast")) as server:
        yield server


@pytest.fixture
async def callers(
    one_with_an_archive: EmbeddedServer, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callers]:
    """A caller of each role, of a hub with an archive."""
    folder = tmp_path_factory.mktemp("story")
    with Redis.from_url(one_with_an_archive.url) as redis:
        redis.flushall()
    settings = settings_for(
        folder,
        one_with_an_archive.url,
        timer_tick=SOON,
        relay_lease=10 * SOON,
        archive=f"sqlite:///{folder}/archive.db",
    )
    async with living(settings, clock) as app, http_to(app) as http:
        yield await Callers(http).make()


@pytest.fixture
def is_in_redis(one_with_an_archive: EmbeddedServer) -> Iterator[Callable[[], bool]]:
    """Tells whether Redis holds anything of the customer."""
    with Redis.from_url(one_with_an_archive.url) as redis:
        yield lambda: bool(list(redis.scan_iter("ctxhub:*:c42:context")))


async def forgotten(is_in_redis: Callable[[], bool], clock: Clock) -> None:
    """Let hours pass until Redis has forgotten."""
    async with asyncio.timeout(20):
        while is_in_redis():
            clock.move(hours=7)
            await asyncio.sleep(0.3)


async def test_yesterdays_chat_is_resumed_in_the_ivr(
    callers: Callers, clock: Clock, is_in_redis: Callable[[], bool]
) -> None:
    adapter: Caller = callers.adapter
    said = {"channel": "chat", "external_id": "chat-1", "customer_id": "c42", "identifiers": [PHONE],
            "assurance": {"level": 2, "method": "login"}}  # fmt: skip
    chat = ok(await adapter.post("/v1/interactions", said), 201)["interaction"]["interaction_id"]
    events = [
        {"event_id": "b1", "type": "journey.started", "interaction_id": chat, "data": {"kind": "refund"}},
        {"event_id": "b2", "type": "message.received", "interaction_id": chat, "data": {"text": "order A-17, please"}},
    ]
    answer = ok(await adapter.post("/v1/customers/c42/events", {"events": events}))
    journey = answer["results"][0]["journey_id"]
    fact = {"event_id": "b3", "type": "fact.stated", "interaction_id": chat, "journey_id": journey,
            "data": {"name": "order_id", "value": "A-17"}}  # fmt: skip
    told = ok(await adapter.post("/v1/customers/c42/events", {"events": [fact]}))["version"]
    ok(await adapter.post(f"/v1/customers/c42/interactions/{chat}/end", {"outcome": "unresolved"}))

    clock.move(days=14)
    await forgotten(is_in_redis, clock)

    called = {"channel": "ivr", "external_id": "CA-1", "identifiers": [PHONE],
              "assurance": {"level": 2, "method": "pin"}}  # fmt: skip
    call = ok(await adapter.post("/v1/interactions", called), 201)
    assert (call["customer_id"], call["known"]) == ("c42", True)
    assert [offer["journey_id"] for offer in call["resume"]] == [journey]
    ivr = call["interaction"]["interaction_id"]
    asks = ok(await adapter.post("/v1/customers/c42/asks", {"interaction_id": ivr, "names": ["order_id"]}))
    assert (asks["answers"][0]["verdict"], asks["answers"][0]["value"]) == ("known", "A-17")

    again = ok(await adapter.post("/v1/customers/c42/events", {"events": [fact]}))
    assert (again["results"][0]["version"], again["results"][0]["duplicate"]) == (told, True)
    page = ok(await callers.admin.get("/v1/customers/c42/timeline?after=0&limit=1000"))
    versions = [event["version"] for event in page["events"]]
    assert versions == list(range(1, len(versions) + 1))
    assert [event["event_id"] for event in page["events"]][1:4] == ["b1", "b2", "b3"]


async def test_a_chat_that_comes_again_under_its_own_name_is_the_same_chat_of_the_same_person(
    callers: Callers, clock: Clock, is_in_redis: Callable[[], bool]
) -> None:
    adapter: Caller = callers.adapter
    said = {"channel": "chat", "external_id": "chat-1", "customer_id": "c42"}
    chat = ok(await adapter.post("/v1/interactions", said), 201)["interaction"]["interaction_id"]
    clock.move(hours=1)
    await forgotten(is_in_redis, clock)
    nameless = {"channel": "chat", "external_id": "chat-1"}
    again = ok(await adapter.post("/v1/interactions", nameless))
    assert (again["customer_id"], again["interaction"]["interaction_id"]) == ("c42", chat)


async def test_erased_meanwhile_the_caller_is_not_known_and_asked_once(
    callers: Callers, clock: Clock, is_in_redis: Callable[[], bool]
) -> None:
    adapter: Caller = callers.adapter
    said = {"channel": "chat", "external_id": "chat-1", "customer_id": "c42", "identifiers": [PHONE]}
    ok(await adapter.post("/v1/interactions", said), 201)
    clock.move(hours=1)
    await forgotten(is_in_redis, clock)
    receipt = ok(await callers.admin.call("DELETE", "/v1/customers/c42"))
    assert receipt["erased"]["identifiers"] == 1
    called = {"channel": "ivr", "external_id": "CA-1", "identifiers": [PHONE]}
    call = ok(await adapter.post("/v1/interactions", called), 201)
    assert call["customer_id"] != "c42"
    assert (call["known"], call["resume"], call["context"]["facts"]) == (False, [], {})
