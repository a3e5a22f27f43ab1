"""API keys by their digests, tickets that are good once, and what was fixed at the first start."""

from __future__ import annotations

import asyncio

import pytest
from redis import Redis

from ctxhub.store.keyring import Keyring
from ctxhub.store.redis import Server, connected
from tests.support import MASTER_KEY

pytestmark = pytest.mark.usefixtures("no_key_leaks")


@pytest.fixture
def keyring(server: Server) -> Keyring:
    return Keyring(server)


async def test_a_key_is_kept_until_it_is_dropped(keyring: Keyring) -> None:
    record = {"tenant": "acme", "name": "n"}
    await keyring.put("digest", record)
    assert (await keyring.get("digest"), await keyring.every()) == (record, {"digest": record})
    await keyring.drop("digest")
    assert (await keyring.get("digest"), await keyring.every()) == (None, {})


async def test_a_ticket_is_good_once(keyring: Keyring) -> None:
    await keyring.put_ticket("t1", {"for": "x"}, 60)
    taken = await asyncio.gather(*(keyring.take_ticket("t1") for _ in range(10)))
    assert sorted(taken, key=str) == [None] * 9 + [{"for": "x"}]


async def test_a_ticket_is_good_for_a_while_and_not_to_be_read_from_its_key(keyring: Keyring, redis: Redis) -> None:
    await keyring.put_ticket("t1-secret", {"for": "x"}, 60)
    key = next(redis.scan_iter())
    assert 0 < redis.pttl(key) <= 60_000
    assert "secret" not in key


async def test_the_newest_format_is_the_one_that_stands_whoever_comes_after(keyring: Keyring) -> None:
    assert await keyring.found(MASTER_KEY) == (8, True)
    assert await keyring.keeps(2, "0.1.0") == (2, "0.1.0")
    assert await keyring.keeps(2, "0.1.9") == (2, "0.1.0")
    assert await keyring.keeps(10, "0.3.0") == (10, "0.3.0")
    assert await keyring.keeps(2, "0.1.0") == (10, "0.3.0")


async def test_the_first_start_fixes_the_number_of_partitions_and_the_master_key(
    keyring: Keyring, redis_url: str
) -> None:
    assert await keyring.found(MASTER_KEY) == (8, True)
    assert await keyring.found(MASTER_KEY) == (8, True)
    assert await keyring.found(b"another") == (8, False)
    async with connected(redis_url, partitions=64) as server:
        assert await Keyring(server).found(MASTER_KEY) == (8, True)
