"""An export leaves the archive in place: what only that has comes back from it, also under other partitions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.archive import Archive
from ctxhub.hub.hub import Hub
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server, connected
from tests.archive.scenes import a_talk, archived, archivist_of, forgotten, is_in_redis
from tests.bulk.scenes import EVERYTHING, Bringing, exported, on_disk, put_back
from tests.support import ACME, HOUR, NOON, Clock, a_phone, ways

WHO, GONE = Who(ACME, "c42"), Who(ACME, "gone")


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    """An archive of its own."""
    archive = Archive(f"sqlite:///{tmp_path / 'archive.db'}")
    yield archive
    await archive.aclose()


@pytest.fixture
async def hub(server: Server, clock: Clock, tenants_folder: Path, archive: Archive) -> Hub:
    """A hub with an archive."""
    hub = Hub(server, ways(clock, tenants=tenants_folder), archive)
    await hub.keyring.found(hub.ways.master_key)
    await archivist_of(hub).must_belong_here()
    return hub


async def timeline(hub: Hub, who: Who) -> list[dict[str, object]]:
    """All events of a customer."""
    return await hub.changes.contexts.timeline(who, 0, None, 2000)


async def test_a_move_leaves_the_archive_in_place_and_timelines_have_no_seam(
    hub: Hub, clock: Clock, archive: Archive, redis_url: str, tmp_path: Path
) -> None:
    await a_talk(hub, 300, who=WHO)
    await a_talk(hub, 3, "x2", who=GONE)
    await forgotten(hub, clock, WHO, GONE)
    await a_talk(hub, 3, "x3", who=WHO)  # comes back with its newest events
    await archived(hub)
    clock.move(HOUR)  # the leases taken to archive are over
    lines = await exported(hub)
    expected = await timeline(hub, WHO)
    [customer] = [line for line in lines if line.kind == "customer"]
    assert int(customer.head["base"]) > 0
    async with connected(redis_url, partitions=3) as server:
        await server.call("FLUSHALL", writes=True)
        other = Hub(server, hub.ways, archive)
        assert (await put_back(other, on_disk(lines, tmp_path / "all.jsonl"))).refused == 0
        await archivist_of(other).must_belong_here()
        assert await timeline(other, WHO) == expected
        with Redis.from_url(redis_url) as redis:
            assert not is_in_redis(redis, "gone")
        assert (await other.changes.contexts.existing(GONE))[1].customer_id == "gone"
        assert len(await timeline(other, GONE)) == 6
        await forgotten(other, clock, WHO)
        with Redis.from_url(redis_url) as redis:
            assert not is_in_redis(redis, "c42")
        assert (await timeline(other, WHO))[: len(expected)] == expected


async def test_one_customer_is_taken_out_whole_also_where_the_archive_has_most_of_him(
    hub: Hub, clock: Clock, server: Server, tmp_path: Path
) -> None:
    await a_talk(hub, 300, who=WHO)
    await forgotten(hub, clock, WHO)
    lines = await exported(hub, EVERYTHING._replace(tenant=ACME, customer_id="c42", keys=False))
    expected = await timeline(hub, WHO)
    assert len([line for line in lines if line.kind == "event"]) == len(expected)
    await server.call("FLUSHALL", writes=True)
    plain = Hub(server, hub.ways)
    await put_back(plain, on_disk(lines, tmp_path / "one.jsonl"))
    assert await timeline(plain, WHO) == expected


async def test_one_whom_only_the_archive_has_is_not_written_over_by_an_older_export(
    hub: Hub, clock: Clock, tmp_path: Path
) -> None:
    await a_talk(hub, 3, who=WHO)
    lines = await exported(hub, EVERYTHING._replace(tenant=ACME, customer_id="c42", keys=False))
    await a_talk(hub, 3, "x2", who=WHO)
    await forgotten(hub, clock, WHO)
    assert (await put_back(hub, on_disk(lines, tmp_path / "one.jsonl"))).refused == 1
    assert {event["event_id"] for event in await timeline(hub, WHO)} >= {"x1-m0", "x2-m2"}


async def test_an_import_adds_to_a_customer_whom_only_the_archive_has(
    hub: Hub, clock: Clock, tmp_path: Path, redis_url: str
) -> None:
    await a_talk(hub, 3, who=WHO, identifiers=[a_phone()])
    await forgotten(hub, clock, WHO)
    bringing = Bringing(hub, tmp_path)
    await bringing.table("customer_id,phone,tier\nc42,13800138000,gold\n", "tier=fact:tier", told_at=NOON)
    assert await bringing.facts("c42") == {"city": "Bern", "tier": "gold"}
    counts = await bringing.objects(
        {"identifiers": [{"type": "phone", "value": "+8613800138000"}], "facts": [{"name": "a", "value": 1}]}
    )
    assert counts.changed == 1
    assert await bringing.facts("c42") == {"city": "Bern", "tier": "gold", "a": 1}
