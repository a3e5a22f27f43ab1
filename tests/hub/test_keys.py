"""A key's life: made, narrowed, replaced with an overlap, used, ended, revoked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from ctxhub.errors import Forbidden, Invalid, KeyUnknown, Unauthenticated
from ctxhub.hub.hub import Hub
from ctxhub.hub.keys import FRESH_FOR, USED_EVERY, Keys, Principal
from tests.support import ACME, HOUR, MINUTE, NOON, SECOND, Clock

OLD = "ctx_a-secret-of-an-old-key"
OLD_RECORD = {
    "tenant": ACME, "name": "old", "role": "agent", "agent": "ann",
    "key_id": hashlib.sha256(OLD.encode()).hexdigest()[:12], "created_at": "2026-11-01T08:00:00+00:00",
}  # fmt: skip
KEYS = "ctxhub:{00}:keys"
USED = "ctxhub:{00}:keys:used"
HALF = {"scopes": {"keys", "handoffs"}, "channels": {"chat", "ivr"}, "queues": {"cards", "billing"}}


@pytest.fixture
def keys(hub: Hub, clock: Clock) -> Keys:
    """The hub's keys, by the clock in hand."""
    return Keys(hub.keyring, b"a master key", clock)


class Ticks:
    """The seconds by which a process forgets what it knew of a key: each look comes after the last was forgotten."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 2 * FRESH_FOR
        return self.now


_ticks = Ticks()


async def who(keys: Keys, key: str) -> Principal | None:
    """Whose key it is, looked up anew, whenever it ends; None if nobody's."""
    try:
        return (await keys.principal(key, _ticks)).but(expires_at=None)
    except Unauthenticated:
        return None


async def who_of(keys: Keys, made: Iterable[str]) -> list[bool]:
    """Which keys are somebody's."""
    return [await who(keys, key) is not None for key in made]


async def put_old(hub: Hub) -> None:
    """A key as it was kept before ids stood in keys and keys were narrowed."""
    await hub.keyring.put(hashlib.sha256(OLD.encode()).hexdigest(), OLD_RECORD)


async def test_a_keys_id_stands_in_it_and_its_secret_stands_nowhere(keys: Keys, redis: Redis) -> None:
    key_id, key = await keys.create(ACME, "bot", "adapter")
    assert key.startswith(f"ctx_{key_id}_")
    assert key.removeprefix(f"ctx_{key_id}_") not in str(redis.hgetall(KEYS))
    assert [record["key_id"] for record in await keys.list(ACME)] == [key_id]


async def test_a_key_from_before_there_were_ids_in_keys_stays_valid(hub: Hub, keys: Keys) -> None:
    await put_old(hub)
    assert await who(keys, OLD) == Principal(tenant=ACME, name="old", role="agent", agent="ann")
    assert [record["key_id"] for record in await keys.list(ACME)] == [OLD_RECORD["key_id"]]


async def test_a_key_from_before_keys_were_narrowed_can_be_replaced(hub: Hub, keys: Keys) -> None:
    await put_old(hub)
    _, new = await keys.rotate(ACME, "old", HOUR)
    assert await who(keys, new) == await who(keys, OLD) == Principal(tenant=ACME, name="old", role="agent", agent="ann")


async def test_a_key_that_has_ended_is_nobodys(keys: Keys, clock: Clock) -> None:
    _, key = await keys.create(ACME, "bot", "adapter", expires_at=clock() + HOUR)
    clock.move(HOUR - SECOND)
    assert await who(keys, key) is not None
    clock.move(SECOND)
    assert await who(keys, key) is None


async def test_a_key_ends_in_time_also_where_a_process_knows_it(keys: Keys, clock: Clock) -> None:
    _, key = await keys.create(ACME, "bot", "adapter", expires_at=clock() + HOUR)
    await keys.principal(key, lambda: 0.0)
    clock.move(HOUR)
    with pytest.raises(Unauthenticated):
        await keys.principal(key, lambda: 0.0)


async def test_a_replaced_key_is_valid_beside_the_new_one_until_the_overlap_ends(keys: Keys, clock: Clock) -> None:
    _, old = await keys.create(ACME, "bot", "adapter", scopes={"handoffs"}, channels={"chat"}, level=1)
    clock.move(SECOND)
    _, new = await keys.rotate(ACME, "bot", HOUR)
    assert await who(keys, old) == await who(keys, new) is not None
    clock.move(HOUR - SECOND)
    assert await who_of(keys, (old, new)) == [True, True]
    clock.move(SECOND)
    assert await who_of(keys, (old, new)) == [False, True]


async def test_replacing_twice_does_not_prolong_the_first_key(keys: Keys, clock: Clock) -> None:
    _, first = await keys.create(ACME, "bot", "adapter")
    clock.move(SECOND)
    _, second = await keys.rotate(ACME, "bot", HOUR)
    clock.move(30 * MINUTE)
    _, third = await keys.rotate(ACME, "bot", 48 * HOUR)
    assert await who_of(keys, (first, second, third)) == [True, True, True]
    clock.move(30 * MINUTE)
    assert await who_of(keys, (first, second, third)) == [False, True, True]


async def test_replacing_with_no_overlap_ends_the_key_before(keys: Keys) -> None:
    _, old = await keys.create(ACME, "bot", "adapter")
    _, new = await keys.rotate(ACME, "bot", timedelta())
    assert await who_of(keys, (old, new)) == [False, True]


async def test_a_new_key_ends_when_the_one_before_would_have(keys: Keys, clock: Clock) -> None:
    ends = clock() + 2 * HOUR
    await keys.create(ACME, "bot", "adapter", expires_at=ends)
    clock.move(SECOND)
    _, second = await keys.rotate(ACME, "bot", timedelta())
    clock.move(SECOND)
    _, third = await keys.rotate(ACME, "bot", 48 * HOUR)
    clock.now = ends - SECOND
    assert await who_of(keys, (second, third)) == [True, True]
    clock.move(SECOND)
    assert await who_of(keys, (second, third)) == [False, False]


async def test_a_key_that_has_ended_is_not_replaced(keys: Keys, clock: Clock) -> None:
    await keys.create(ACME, "bot", "adapter", expires_at=clock() + HOUR)
    clock.move(HOUR)
    with pytest.raises(Invalid, match="has ended"):
        await keys.rotate(ACME, "bot")


async def test_revoking_ends_a_key_and_the_one_it_replaced(keys: Keys) -> None:
    _, old = await keys.create(ACME, "bot", "adapter")
    _, new = await keys.rotate(ACME, "bot", HOUR)
    assert await who_of(keys, (old, new)) == [True, True]
    await keys.revoke(ACME, "bot")
    assert await who_of(keys, (old, new)) == [False, False]
    with pytest.raises(KeyUnknown):
        await keys.rotate(ACME, "bot", HOUR)


async def test_another_tenants_key_of_the_same_name_is_left_alone(keys: Keys) -> None:
    _, theirs = await keys.create("other", "bot", "adapter")
    await keys.create(ACME, "bot", "adapter")
    await keys.rotate(ACME, "bot", timedelta())
    await keys.revoke(ACME, "bot")
    assert await who(keys, theirs) is not None


async def test_use_is_noted_once_a_minute_and_not_on_every_call(keys: Keys, clock: Clock) -> None:
    async def last_used() -> Any:
        return (await keys.list(ACME))[0]["last_used"]

    _, key = await keys.create(ACME, "bot", "adapter")
    assert await last_used() is None
    await who(keys, key)
    first = await last_used()
    clock.move(USED_EVERY - SECOND)
    await who(keys, key)
    assert await last_used() == first is not None
    clock.move(SECOND)
    await who(keys, key)
    assert await last_used() > first


async def test_a_revoked_keys_use_goes_with_it(keys: Keys, redis: Redis) -> None:
    _, key = await keys.create(ACME, "bot", "adapter")
    await who(keys, key)
    assert redis.hlen(USED) == 1
    await keys.revoke(ACME, "bot")
    assert redis.hgetall(USED) == {}


async def test_a_key_that_is_nobodys_leaves_no_trace(keys: Keys, redis: Redis) -> None:
    await keys.create(ACME, "bot", "adapter")
    before = {name: redis.dump(name) for name in redis.scan_iter()}
    for number in range(50):
        assert await who(keys, f"ctx_{number:012x}_guessed") is None
    assert {name: redis.dump(name) for name in redis.scan_iter()} == before
    assert keys._recent == {}
    assert keys._used == {}


@pytest.mark.parametrize(
    "wider",
    [
        {"scopes": set()}, {"scopes": {"keys", "context:read"}}, {"channels": set()}, {"channels": {"app"}},
        {"queues": set()}, {"queues": {"cards", "fraud"}}, {"level": 2}, {"methods": None}, {"methods": ("pin",)},
        {"agent": None}, {"agent": "bob"}, {"expires_at": None}, {"expires_at": NOON + HOUR + SECOND},
    ],
    ids=lambda wider: " ".join(f"{name}={sorted(one) if isinstance(one, set) else one}" for name, one in wider.items()),
)  # fmt: skip
async def test_a_narrowed_key_hands_out_none_that_may_more(keys: Keys, wider: dict[str, Any]) -> None:
    mine: dict[str, Any] = HALF | {"level": 1, "methods": ("otp", "card"), "agent": "ann", "expires_at": NOON + HOUR}
    by = Principal(tenant=ACME, name="narrow", role="admin", **mine)
    await keys.create(ACME, "as narrow", "admin", by=by, **mine)
    await keys.rotate(ACME, "as narrow", by=by)
    with pytest.raises(Forbidden):
        await keys.create(ACME, "wider", "admin", by=by, **mine | wider)
    await keys.create(ACME, "wider", "admin", **mine | wider)
    with pytest.raises(Forbidden):
        await keys.rotate(ACME, "wider", by=by)


async def test_a_key_refused_for_being_wider_is_not_replaced_either(keys: Keys) -> None:
    by = Principal(tenant=ACME, name="narrow", role="admin", scopes={"keys"})
    _, wide = await keys.create(ACME, "wide", "admin")
    with pytest.raises(Forbidden):
        await keys.rotate(ACME, "wide", timedelta(), by)
    assert await who(keys, wide) is not None


async def test_a_key_that_is_narrowed_to_nothing_hands_out_any(keys: Keys) -> None:
    by = Principal(tenant=ACME, name="all", role="admin")
    _, key = await keys.create(ACME, "bot", "adapter", by=by, **HALF)
    assert await who(keys, key) == Principal(tenant=ACME, name="bot", role="adapter", **HALF)
