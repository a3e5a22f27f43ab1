"""How Redis does and how long telling on has waited, as Prometheus reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from ctxhub.hub.hub import Hub
from ctxhub.hub.vitals import OF_THE_OUTBOX, OF_THE_SERVER, VitalSigns
from ctxhub.store.outbox import Outbox
from ctxhub.store.redis import Server, connected
from tests.hub.scenes import begin
from tests.hub.test_numbers import relayed


async def read(signs: VitalSigns) -> dict[str, float]:
    """What is shown, by name."""
    return {family.name: family.samples[0].value for family in await signs.metrics()}


def later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def test_how_redis_does_is_shown(hub: Hub, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.config_set("maxmemory", 2**30)
        found = await read(hub.vitals)
        redis.config_set("maxmemory", 0)
    assert 0 < found["ctxhub_redis_used_bytes"] < found["ctxhub_redis_limit_bytes"] == 2**30
    assert (found["ctxhub_redis_replicas"], found["ctxhub_redis_appends"]) == (0, 1)


async def test_a_server_without_an_append_only_file_is_seen(hub: Hub, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.config_set("appendonly", "no")
        found = await read(hub.vitals)
        redis.config_set("appendonly", "yes")
    assert found["ctxhub_redis_appends"] == 0


async def test_what_waits_to_be_told_on_has_an_age_until_it_is_told(hub: Hub, server: Server) -> None:
    signs = VitalSigns(server, Outbox(server, "looking"), lambda: later(60))
    assert (await read(signs))["ctxhub_outbox_oldest_seconds"] == 0
    await begin(hub)
    assert (await read(signs))["ctxhub_outbox_oldest_seconds"] == pytest.approx(60, abs=10)
    await relayed(hub)
    assert (await read(signs))["ctxhub_outbox_oldest_seconds"] == 0


async def test_a_server_that_does_not_let_us_ask_is_left_out(hub: Hub, redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.execute_command("ACL", "SETUSER", "hosted", "on", ">secret", "~*", "&*", "+@all", "-info")
    async with connected(redis_url.replace("unix://", "unix://hosted:secret@"), partitions=8) as server:
        found = await read(VitalSigns(server, Outbox(server, "looking"), hub.ways.clock))
    with Redis.from_url(redis_url) as redis:
        redis.execute_command("ACL", "DELUSER", "hosted")
    assert found.keys() == {f"ctxhub_{name}" for name in OF_THE_OUTBOX}
    assert not {f"ctxhub_{name}" for name in OF_THE_SERVER} & found.keys()
