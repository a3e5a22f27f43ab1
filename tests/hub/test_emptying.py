"""Forgotten with a customer: what was told of its interactions before they came, and nothing of anybody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from redis import Redis

from ctxhub.hub.forgetting import Forgetting
from ctxhub.hub.hub import Hub
from ctxhub.store.codec import FORGOTTEN, unpacked
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import a_stranger, begin, context_of, in_one, tell
from tests.hub.test_forgetting import Killed, killed_at
from tests.support import ACME, ADAPTER, Clock, ways

CANARY = "canary-4711"
OTHER = "of-somebody-else"
HOME = Who(ACME, "c42")


@pytest.fixture
def raw(redis_url: str) -> Iterator[Redis]:
    """The server, byte by byte."""
    with Redis.from_url(redis_url) as redis:
        yield redis


async def told_before(hub: Hub, external_id: str = "x9") -> tuple[Who, str]:
    """A stranger who said something in two interactions, of which the first turns out to be a known customer's."""
    stray = (await hub.interactions.start(ADAPTER, a_stranger(external_id)))[0]
    old, interaction_id = Who(ACME, stray["customer_id"]), stray["interaction"]["interaction_id"]
    other = await in_one(hub, f"{external_id}-too", customer_id=old.customer_id)
    await tell(hub, "message.received", interaction_id, "m1", old, text=CANARY)
    await tell(hub, "message.received", other, "m2", old, text=OTHER)
    await tell(hub, "fact.stated", interaction_id, "m3", old, name="city", value=CANARY)
    await tell(hub, "journey.started", interaction_id, "m4", old, kind="refund", journey_id="jr_9")
    await tell(hub, "fact.observed", None, "m5", old, party="system", journey_id="jr_9", name="order", value=CANARY)
    return old, interaction_id


async def types_of(hub: Hub, who: Who) -> list[str]:
    """The types of what stands on a timeline."""
    return [event["type"] for event in await hub.changes.contexts.timeline(who, 0, None, 1000)]


def holds(redis: Redis, word: str) -> bool:
    """Tell whether a word stands anywhere in Redis, packed or not."""
    return any(word.encode() in _plain(value) for key in redis.scan_iter() for value in _values(redis, key))


def _plain(value: bytes) -> bytes:
    """A value with what is packed in it unpacked."""
    packed = value.split(b" ", 3)[-1] if value[:2] in (b"0 ", b"1 ", b"2 ", b"3 ") else value
    with suppress(Exception):
        return value + unpacked(packed)
    return value


def _values(redis: Redis, key: bytes) -> list[bytes]:
    """Everything that stands under a key of whatever kind."""
    kind = redis.type(key)
    if kind == b"list":
        return list(redis.lrange(key, 0, -1))
    if kind == b"hash":
        return [part for pair in redis.hgetall(key).items() for part in pair]
    return [redis.get(key) or b""] if kind == b"string" else [redis.dump(key) or b""]


async def test_what_was_told_before_is_emptied_and_another_s_words_stay(hub: Hub, raw: Redis) -> None:
    old, interaction_id = await told_before(hub)
    await begin(hub, "x1", level=2)
    await hub.interactions.identify(old, interaction_id, "c42", None)
    assert holds(raw, CANARY)
    receipt = await hub.customers.forget(HOME)
    assert receipt["beside"]["told_elsewhere"] == 6
    assert not holds(raw, CANARY)
    assert holds(raw, OTHER)
    assert (await types_of(hub, old)).count(FORGOTTEN) == 6
    again = await tell(hub, "message.received", interaction_id, "m1", old, text=CANARY)
    assert again["results"][0]["duplicate"]


async def test_over_two_places_both_are_emptied(hub: Hub, raw: Redis) -> None:
    old, interaction_id = await told_before(hub)
    between = Who(ACME, "c7")
    for number, who in enumerate((between, HOME)):
        await begin(hub, f"x{number}", level=2, customer_id=who.customer_id)
    await hub.interactions.identify(old, interaction_id, "c7", None)
    await tell(hub, "message.received", interaction_id, "m6", between, text=CANARY)
    await hub.interactions.identify(between, interaction_id, "c42", None)
    await hub.customers.forget(HOME)
    assert not holds(raw, CANARY)
    assert holds(raw, OTHER)


async def test_what_went_on_to_somebody_else_is_not_touched(hub: Hub, raw: Redis) -> None:
    old, interaction_id = await told_before(hub)
    for number, name in enumerate(("c7", "c42")):
        await begin(hub, f"x{number}", level=2, customer_id=name)
    await hub.interactions.identify(old, interaction_id, "c42", None)
    await hub.interactions.identify(HOME, interaction_id, "c7", None)
    await hub.customers.forget(HOME)
    assert FORGOTTEN not in await types_of(hub, old)
    assert holds(raw, CANARY)


async def test_of_whoever_was_merged_what_left_the_home_since_is_not_touched(hub: Hub, raw: Redis) -> None:
    old, interaction_id = await told_before(hub)
    for number, name in enumerate(("c7", "c1", "c42")):
        await begin(hub, f"x{number}", level=2, customer_id=name)
    await hub.interactions.identify(old, interaction_id, "c1", None)
    await hub.merging.merge(HOME, "c1")
    await hub.interactions.identify(HOME, interaction_id, "c7", None)
    await hub.customers.forget(HOME)
    assert FORGOTTEN not in await types_of(hub, old)


async def test_under_a_legal_hold_it_stays(hub: Hub) -> None:
    old, interaction_id = await told_before(hub)
    await begin(hub, "x1", level=2)
    await hub.interactions.identify(old, interaction_id, "c42", None)
    await hub.holds.begin(old, "a case", "law")
    await hub.customers.forget(HOME)
    assert FORGOTTEN not in await types_of(hub, old)
    await hub.holds.end(old, "law")


@pytest.mark.parametrize("step", ["_leave_lookups", "_leave_feeds"])
async def test_killed_after_it_another_process_completes_it(
    hub: Hub, server: Server, clock: Clock, raw: Redis, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    old, interaction_id = await told_before(hub)
    await begin(hub, "x1", level=2)
    await hub.interactions.identify(old, interaction_id, "c42", None)
    with monkeypatch.context() as patched:
        killed_at(patched, Forgetting, step)
        with pytest.raises(Killed):
            await hub.customers.forget(HOME)
    await Hub(server, ways(clock)).wake(HOME)
    assert not holds(raw, CANARY)
    assert (await context_of(hub, old)).customer_id == old.customer_id
