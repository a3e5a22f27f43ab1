"""Whatever is kept for a time is in no key of the server a minute after that, however often it was written over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.api.living import Callers, Clock, http_to, living, settings_for
from tests.api.scenes import Scene, known
from tests.store.test_acl import _sent
from tests.stories.test_forgotten import everything_on, found_in

MANY = 40
#: Commands that give a field of a hash an end of its own.
FIELD_ENDS = {"hexpire", "hpexpire", "hexpireat", "hpexpireat", "hsetex", "hgetex"}
GOES, STAYS = "canary-gone-{}", "canary-live-{}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of its own, every key of which is looked through."""
    with embedded_server(Settings(data=tmp_path / "server", durability="fast")) as server:
        yield server


@pytest.fixture
async def callers(tmp_path: Path, server: EmbeddedServer, clock: Clock) -> AsyncIterator[Callers]:
    """Callers of a hub whose tenant keeps what is personal for a day."""
    settings = settings_for(tmp_path / "hub", server.url)
    with (tmp_path / "hub" / "tenants" / "default.yaml").open("a") as declared:
        declared.write("retention: {sensitivity: {personal: 1}}\n")
    async with living(settings, clock) as app, http_to(app) as http:
        yield await Callers(http).make()


@pytest.fixture
def clock() -> Clock:
    """A clock that a day passes on at once."""
    return Clock()


async def has_told(callers: Callers, number: int) -> None:
    """Have a customer tell what goes and what stays, and the channel go on writing."""
    scene: Scene = await known(callers.adapter, "chat")
    goes, stays = GOES.format(number), STAYS.format(number)
    await scene.tell(
        scene.fact("order_id", goes, sensitivity="personal"), scene.fact("mood", stays, sensitivity="public")
    )
    for n in range(3):
        await scene.tell(scene.event("x.seen", {"n": n}), scene.fact(f"later {n}", n, sensitivity="public"))
    await scene.end()


async def test_a_minute_after_its_end_no_value_stands_in_any_key(
    callers: Callers, server: EmbeddedServer, clock: Clock
) -> None:
    for number in range(MANY):
        await has_told(callers, number)
    going, staying = ({mark.format(n).encode() for n in range(MANY)} for mark in (GOES, STAYS))
    assert found_in(everything_on(server.url)) == going | staying
    clock.move(days=1)
    async with asyncio.timeout(60):
        while found_in(everything_on(server.url)) != staying:
            await asyncio.sleep(0.1)


def test_an_end_of_a_field_that_a_later_write_takes_away_is_relied_on_nowhere(server: EmbeddedServer) -> None:
    with Redis.from_url(server.url) as redis:
        redis.hset("trap", "order_id", "A-17")
        redis.hpexpire("trap", 60_000, "order_id")
        assert redis.hpttl("trap", "order_id")[0] > 0
        redis.hset("trap", "order_id", "A-18")
        assert redis.hpttl("trap", "order_id") == [-1]
    sent = _sent()
    assert "hset" in sent
    assert sent & FIELD_ENDS == set()
