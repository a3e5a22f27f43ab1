"""The hub is killed while it archives and releases, at any moment: no gap, nothing twice, nobody lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ctxhub.archive import Archive
from ctxhub.client import Start, told
from ctxhub.hub.hub import Hub
from ctxhub.store.redis import connected
from tests.archive.scenes import a_talk, archived, archivist_of
from tests.chaos.running import FULL, Books, KillableHub, whole_timeline
from tests.hub.scenes import WHO
from tests.support import HOUR, Clock, ways

pytestmark = pytest.mark.chaos
KILLS = 5 if FULL else 2


class Killed(Exception):
    """Stands for the end of the process."""


async def test_killed_after_the_archive_has_it_and_before_the_cursor_moves_it_is_archived_once(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, url = Clock(), f"sqlite:///{tmp_path / 'archive.db'}"
    archive = Archive(url)
    async with connected(redis_url, partitions=8) as server:
        await server.call("FLUSHALL")
        first = Hub(server, ways(clock), archive)
        await a_talk(first)

        async def killed(*_: Any) -> None:
            raise Killed

        monkeypatch.setattr(first._outbox, "advance", killed)
        with pytest.raises(Killed):
            await archived(first)
        clock.move(HOUR)  # the lease of whoever is dead ends
        second = Hub(server, ways(clock), archive)
        await archived(second)
        assert set(await second._outbox.cursors(second._outbox.partitions, "archive")) != {"0-0"}
        await second.wake(WHO)
        clock.move(7 * HOUR)
        await archivist_of(second).release(second._outbox.partitions)
        assert await server.call("EXISTS", second.changes.contexts.keys(WHO).context) == 0
        versions = [event["version"] for event in await second.changes.contexts.timeline(WHO, 0, None, 100)]
        assert versions == list(range(1, len(versions) + 1))
        assert len(await archive.entries(WHO, 1, 100)) == len(versions)  # type: ignore[arg-type]
    await archive.aclose()


async def test_a_hub_killed_while_customers_come_and_go_has_them_all(tmp_path: Path) -> None:
    quick = {"keep_closed": "200ms", "timer_tick": "50ms"}
    hub = await asyncio.to_thread(KillableHub(tmp_path / "data", **quick).start)
    books = {f"c{number}": Books() for number in range(12)}
    for life in range(KILLS + 1):
        async with hub.client() as client:
            for customer_id, own in books.items():
                external = f"{customer_id}-{life}"
                start = Start(channel="chat", external_id=external, customer_id=customer_id)
                here = (await client.interactions.start(start)).interaction.interaction_id
                said = told("message.received", event_id=f"m-{external}", interaction_id=here, text="hello again")
                kept = (await client.events.tell(customer_id, said)).results
                own.note([(result.event_id, result.version) for result in kept])
                await client.interactions.end(customer_id, here)
        await asyncio.sleep(0.35 * life)  # killed sooner or later after that
        if life < KILLS:
            await asyncio.to_thread(hub.kill)
            await asyncio.to_thread(hub.start)
    try:
        async with hub.client() as client:
            found = {customer_id: await whole_timeline(client, customer_id) for customer_id in books}
        assert {customer_id: own.faults(found[customer_id]) for customer_id, own in books.items()} == {
            customer_id: [] for customer_id in books
        }
        assert {len(events) for events in found.values()} == {3 * (KILLS + 1)}
        with Redis(unix_socket_path=str(tmp_path / "data" / "valkey" / "server.sock")) as redis:
            async with asyncio.timeout(20):
                while list(redis.scan_iter("ctxhub:*:context")):
                    await asyncio.sleep(0.1)
    finally:
        await asyncio.to_thread(hub.stop)
