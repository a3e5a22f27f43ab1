"""An archive that is away, full, read-only, slow, newer, or another Redis's: Redis keeps all, nobody is doubled."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis import Redis
from sqlalchemy import text

from ctxhub.archive import Archive, Copy, Row
from ctxhub.archive.tables import SCHEMA
from ctxhub.errors import Unavailable
from ctxhub.hub.hub import Hub
from ctxhub.model.value import to_millis
from ctxhub.settings import CannotStart
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.archive.scenes import CONSUMERS, a_talk, archived, archivist_of, forgotten, is_in_redis
from tests.hub.scenes import WHO, a_stranger, begin, context_of, offer, tell, told_of
from tests.support import ACME, ADAPTER, DESK, HOUR, MINUTE, Clock, a_phone, ways

C43 = Who(ACME, "c43")


class Away:
    """A database whose calls fail as those of a server that is away do, until it is back."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._engines = archive._reader, archive._writer

    def __enter__(self) -> None:
        gone = Archive("postgresql://nobody@127.0.0.1:9/nowhere?connect_timeout=1")
        self._archive._reader, self._archive._writer = gone._reader, gone._writer

    def __exit__(self, *_: object) -> None:
        self._archive._reader, self._archive._writer = self._engines
        self._archive._not_before = 0.0


def is_up() -> float | None:
    """What the metrics say of the archive."""
    return REGISTRY.get_sample_value("ctxhub_archive_up", {"database": "sqlite"})


async def walks_over_all(redis: Redis, hub: Hub) -> int:
    """How often a hub that starts goes through all who are in Redis."""
    redis.config_resetstat()
    await archivist_of(hub).overtake()
    scanned: dict[str, int] = redis.info("commandstats").get("cmdstat_scan", {})
    return scanned.get("calls", 0)


@pytest.fixture
def archive_url(tmp_path: Path) -> str:
    """A file will do: what is tried here is the same for every database."""
    return f"sqlite:///{tmp_path / 'archive.db'}"


@pytest.fixture
def away(archive: Archive) -> Away:
    """Lets the archive be away for a block."""
    return Away(archive)


class TestAway:
    """The hub goes on from Redis, and says `unavailable` where only the archive could tell."""

    async def test_whoever_is_in_redis_is_served(self, hub: Hub, away: Away) -> None:
        interaction_id = await a_talk(hub)
        with away:
            await tell(hub, "message.received", interaction_id, "m9", text="hello")
            assert (await context_of(hub)).customer_id == "c42"

    async def test_whoever_may_be_in_the_archive_is_not_unknown_but_unavailable(
        self, hub: Hub, clock: Clock, away: Away
    ) -> None:
        await a_talk(hub, identifiers=[a_phone()])
        await forgotten(hub, clock)
        with away:
            for attempt in (
                hub.changes.contexts.existing(WHO),
                tell(hub, "note.added", None, "n1", text="x"),
                hub.interactions.start(ADAPTER, a_stranger("x9", a_phone())),
                begin(hub, "x8"),
                hub.customers.lookup(ACME, a_phone()),
                hub.customers.forget(WHO),
            ):
                with pytest.raises(Unavailable) as refused:
                    await attempt
                assert refused.value.ids["retry_after"] == 1
        assert (await hub.interactions.start(ADAPTER, a_stranger("x9", a_phone())))[0]["customer_id"] == "c42"

    async def test_for_a_month_redis_forgets_nothing(self, hub: Hub, clock: Clock, away: Away, redis: Redis) -> None:
        await a_talk(hub, identifiers=[a_phone()])
        await archived(hub)
        assert is_up() == 1  # it was never away
        await tell(hub, "note.added", None, "n1", text="not archived yet")
        with away:
            clock.move(30 * 24 * HOUR)
            await hub.wake(WHO)
            clock.move(7 * HOUR)
            for work in (archived(hub), archivist_of(hub).release(hub._outbox.partitions)):
                with pytest.raises(Unavailable):
                    await work
        assert is_in_redis(redis)
        assert {redis.ttl(name) for name in redis.scan_iter("ctxhub:*:c42:*")} <= {-1}
        assert await hub.backlog() > 0
        assert REGISTRY.get_sample_value("ctxhub_archive_backlog") != 0
        assert is_up() == 0
        await forgotten(hub, clock)
        assert not is_in_redis(redis)
        assert "note.added" in await told_of(hub)
        assert is_up() == 1

    async def test_what_is_due_of_a_forgotten_customer_waits_and_comes(
        self, hub: Hub, clock: Clock, away: Away
    ) -> None:
        interaction_id = await a_talk(hub)
        later = (clock() + 40 * 24 * HOUR).isoformat()
        await tell(hub, "commitment.made", interaction_id, "cm", what="call back", owner="cards", due_at=later)
        await forgotten(hub, clock)
        clock.move(15 * 24 * HOUR)
        await archivist_of(hub).release(hub._outbox.partitions)
        clock.move(30 * 24 * HOUR)
        assert await hub._outbox.due(hub._outbox.partitions, clock()) == [WHO]
        with away:
            await hub.wake(WHO)
            assert await hub._outbox.due(hub._outbox.partitions, clock()) == []
        clock.move(MINUTE)
        for who in await hub._outbox.due(hub._outbox.partitions, clock()):
            await hub.wake(who)
        assert "commitment.overdue" in await told_of(hub)

    async def test_a_move_to_a_forgotten_customer_waits_and_is_completed(
        self, hub: Hub, clock: Clock, away: Away, redis: Redis
    ) -> None:
        await a_talk(hub)
        await forgotten(hub, clock)
        answer, _, _ = await hub.interactions.start(ADAPTER, a_stranger("z1"))
        stranger, moving = Who(ACME, answer["customer_id"]), answer["interaction"]["interaction_id"]
        with away:
            with pytest.raises(Unavailable):
                await hub.interactions.identify(stranger, moving, "c42", None)
            await hub.wake(stranger)
            clock.move(MINUTE / 4)
            assert stranger not in await hub._outbox.due(hub._outbox.partitions, clock())
        clock.move(MINUTE)
        await hub.wake(stranger)
        assert moving in (await context_of(hub)).interactions

    async def test_it_is_told_of_once_and_once_when_it_is_back(
        self, hub: Hub, away: Away, capsys: pytest.CaptureFixture[str]
    ) -> None:
        await archived(hub)
        with away:
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await hub.changes.contexts.existing(WHO)
            assert hub.archive_state == "away"
        with pytest.raises(Exception, match="no customer"):
            await hub.changes.contexts.existing(WHO)
        assert hub.archive_state == "well"
        said = capsys.readouterr().out
        assert (said.count("archive.away"), said.count("archive.back")) == (1, 1)

    async def test_telling_goes_on_while_archiving_hangs(
        self, server: Server, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        release = asyncio.Event()

        async def hangs(*_: Any, **__: Any) -> Any:
            await release.wait()

        monkeypatch.setattr(archive, "held", hangs)
        hub = Hub(server, ways(lambda: to_millis(datetime.now(UTC))), archive)
        async with hub.working():
            interaction_id = await a_talk(hub)
            keys = hub._outbox.partitions
            async with asyncio.timeout(5):
                while set(await hub._outbox.cursors(keys, "telling")) == {"0-0"}:
                    await asyncio.sleep(0.02)
            assert set(await hub._outbox.cursors(keys, "archive")) == {"0-0"}
            assert await hub.backlog() > 0  # kept for the archive
            await tell(hub, "message.received", interaction_id, "m9", text="x")
            release.set()


class TestFull:
    """A database that takes nothing more is still read."""

    async def test_a_full_disk_costs_nothing_but_the_backlog(
        self, hub: Hub, clock: Clock, archive: Archive, redis: Redis
    ) -> None:
        await a_talk(hub)
        await forgotten(hub, clock)

        def fill(connection: Any) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

        with archive._writer.connect() as connection:
            fill(connection)
        await a_talk(hub, external_id="x2", who=C43)
        for number in range(50):
            await tell(hub, "note.added", None, f"n{number}", who=C43, text=os.urandom(2000).hex())
        with pytest.raises(Unavailable, match="full"):
            await archived(hub)
        assert hub.archive_state == "away"
        archive._not_before = 0
        assert len(await told_of(hub)) == 6  # reading goes on
        assert is_in_redis(redis, "c43")

    async def test_a_read_only_file_is_told_of(self, hub: Hub, clock: Clock, archive: Archive) -> None:
        await a_talk(hub)
        await archived(hub)
        with archive._writer.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only=ON")
        await tell(hub, "note.added", None, "n1", text="x")
        with pytest.raises(Unavailable, match="readonly"):
            await archived(hub)


class TestSlow:
    """A slow archive is not waited for, and does not hold up anybody else."""

    async def test_all_that_waits_is_counted_and_not_just_what_is_taken_at_once(
        self, hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ctxhub.hub.archivist.AT_ONCE", 3)
        await a_talk(hub, messages=9)
        waited = await hub.backlog()
        assert waited > 6
        fences, counted = await hub._outbox.lease_all(hub.ways.clock(), 10 * MINUTE), []
        for _ in range(waited // 3 + 1):
            await archivist_of(hub).archive(fences, CONSUMERS[1:])
            counted.append(REGISTRY.get_sample_value("ctxhub_archive_backlog"))
        assert counted[0] == waited
        assert counted == sorted(counted, reverse=True)
        assert counted[-1] < 3

    async def test_a_reader_waits_for_so_long_only(self, archive_url: str) -> None:
        archive = Archive(archive_url, read_within=0.05)
        await archive.identity()
        with pytest.raises(Unavailable, match="in time"):
            await archive._read(lambda connection: time.sleep(0.3))
        began = time.monotonic()
        with pytest.raises(Unavailable, match="a moment ago"):
            await archive.document(WHO)  # type: ignore[arg-type]
        assert time.monotonic() - began < 0.3
        await archive.aclose()

    async def test_questions_of_many_are_asked_together(self, archive: Archive) -> None:
        await archive.identity()
        asked: list[int] = []
        whole = archive._read

        async def counted(work: Any) -> Any:
            asked.append(1)
            return await whole(work)

        archive._read = counted  # type: ignore[method-assign]
        found = await asyncio.gather(*(archive.leads([f"d{number}"]) for number in range(100)))
        assert (found, len(asked) <= 3) == ([{}] * 100, True)


class TestStrange:
    """What does not belong together is refused at the start, with the remedy."""

    @pytest.fixture
    async def other(self, tmp_path: Path) -> AsyncIterator[Archive]:
        archive = Archive(f"sqlite:///{tmp_path / 'other.db'}")
        yield archive
        await archive.aclose()

    async def test_a_newer_schema(self, archive: Archive, archive_url: str) -> None:
        await archive.identity()
        with archive._writer.begin() as connection:
            connection.execute(text(f"UPDATE ctxhub_about SET value = '{SCHEMA + 1}' WHERE name = 'schema'"))
        late = Archive(archive_url)
        with pytest.raises(CannotStart, match=r"newer ctxhub .* run that version"):
            await late.identity()
        with pytest.raises(Unavailable, match="newer"):
            await late.held([])
        await late.aclose()

    async def test_another_redis_s_archive(self, hub: Hub, server: Server, clock: Clock, other: Archive) -> None:
        await archivist_of(hub).must_belong_here()
        with pytest.raises(CannotStart, match="goes with another archive"):
            await archivist_of(Hub(server, ways(clock), other)).must_belong_here()
        await hub.keyring.part_with_archive()
        await archivist_of(Hub(server, ways(clock), other)).must_belong_here()

    async def test_where_an_archive_begins_with_nobody_there_is_no_stock_to_take_later(
        self, hub: Hub, server: Server, clock: Clock, tenants_folder: Path, archive: Archive, redis: Redis
    ) -> None:
        await archivist_of(hub).overtake()
        await a_talk(hub)
        again = Hub(server, ways(clock, tenants=tenants_folder), archive)
        assert await walks_over_all(redis, again) == 0
        await forgotten(again, clock)
        assert not is_in_redis(redis)

    async def test_where_it_begins_with_somebody_stock_is_taken_once(
        self, server: Server, clock: Clock, tenants_folder: Path, archive: Archive, redis: Redis
    ) -> None:
        await a_talk(Hub(server, ways(clock, tenants=tenants_folder)))
        hub = Hub(server, ways(clock, tenants=tenants_folder), archive)
        assert await walks_over_all(redis, hub) == 1
        assert await walks_over_all(redis, hub) == 0
        await forgotten(hub, clock)
        assert not is_in_redis(redis)

    async def test_two_that_make_the_tables_at_once(self, archive_url: str) -> None:
        both = [Archive(archive_url) for _ in range(4)]
        assert len(set(await asyncio.gather(*(archive.identity() for archive in both)))) == 1
        for archive in both:
            await archive.aclose()

    @pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "nonsense"])
    def test_an_address_that_can_t_be_used(self, url: str) -> None:
        with pytest.raises(CannotStart, match="CTXHUB_ARCHIVE"):
            Archive(url)

    async def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "archive.db").write_bytes(b"this is no database at all, but a text" * 50)
        archive = Archive(f"sqlite:///{tmp_path / 'archive.db'}")
        with pytest.raises(Unavailable, match="not a database"):
            await archive.identity()
        await archive.aclose()


class TestReturnedToAnEarlierState:
    """After a restore of one of both the later state wins, and what has to give way is set aside."""

    async def test_a_redis_that_lost_everything_has_live_work_again_and_the_rest_when_touched(
        self, hub: Hub, server: Server, clock: Clock, tenants_folder: Path, archive: Archive, redis: Redis
    ) -> None:
        await a_talk(hub)
        await forgotten(hub, clock)
        await a_talk(hub, external_id="x2", who=C43, identifiers=[a_phone()])
        before = await context_of(hub, C43)
        await archived(hub)
        redis.flushall()
        again = Hub(server, ways(clock, tenants=tenants_folder), archive)
        await archived(again)
        assert is_in_redis(redis, "c43")
        assert not is_in_redis(redis, "c42")
        assert [one["customer_id"] for one in await again.interactions.open_on(ACME, "chat")] == ["c43"]
        assert await context_of(again, C43) == before
        assert (await again.customers.lookup(ACME, a_phone())).customer_id == "c43"
        assert len(await told_of(again)) == 6

    async def test_an_earlier_redis_is_overtaken_by_the_archive(
        self, hub: Hub, server: Server, clock: Clock, tenants_folder: Path, archive: Archive, redis_url: str
    ) -> None:
        interaction_id = await a_talk(hub)
        await archived(hub)
        with Redis.from_url(redis_url) as raw:
            saved = {name: raw.dump(name) for name in raw.scan_iter("*")}
        assert any(await hub._outbox.stamps())
        await tell(hub, "message.received", interaction_id, "late", text="after the copy")
        await archived(hub)
        with Redis.from_url(redis_url) as raw:
            raw.flushall()
            for name, dumped in saved.items():
                raw.restore(name, 0, dumped)  # type: ignore[arg-type]
        again = Hub(server, ways(clock, tenants=tenants_folder), archive)
        await archived(again)
        assert (await told_of(again))[-1] == "message.received"
        assert (await again.changes.contexts.existing(WHO))[0].version == 6

    async def test_an_earlier_redis_is_overtaken_also_where_nothing_goes_on(
        self, hub: Hub, server: Server, clock: Clock, tenants_folder: Path, archive: Archive, redis_url: str
    ) -> None:
        interaction_id = await a_talk(hub)
        handoff = await offer(hub, interaction_id)
        await archived(hub)
        with Redis.from_url(redis_url) as raw:
            saved = {name: raw.dump(name) for name in raw.scan_iter("*")}
        await hub.handoffs.cancel(DESK, handoff["handoff_id"])
        await hub.customers.add_identifier(WHO, a_phone())
        await hub.interactions.end(WHO, interaction_id, None, None)
        await archived(hub)
        with Redis.from_url(redis_url) as raw:
            raw.flushall()
            for name, dumped in saved.items():
                raw.restore(name, 0, dumped)  # type: ignore[arg-type]
        again = Hub(server, ways(clock, tenants=tenants_folder), archive)
        assert await archivist_of(again).overtake() == 1
        assert await archivist_of(again).overtake() == 0
        assert await again.handoffs.waiting(ACME, "cards", "offered") == []
        assert await again.interactions.open_on(ACME, "chat") == []
        assert await again.customers.lookup(ACME, a_phone()) == WHO
        assert not (await context_of(again)).interactions[interaction_id].is_open

    async def test_a_redis_of_before_anything_was_archived_is_overtaken_too(
        self, hub: Hub, server: Server, clock: Clock, tenants_folder: Path, archive: Archive, redis_url: str
    ) -> None:
        await archived(hub)  # it has begun
        interaction_id = await a_talk(hub)
        with Redis.from_url(redis_url) as raw:
            saved = {name: raw.dump(name) for name in raw.scan_iter("*")}
        await tell(hub, "message.received", interaction_id, "late", text="after the copy")
        await forgotten(hub, clock)
        with Redis.from_url(redis_url) as raw:
            raw.flushall()
            for name, dumped in saved.items():
                raw.restore(name, 0, dumped)  # type: ignore[arg-type]
        again = Hub(server, ways(clock, tenants=tenants_folder), archive)
        assert await archivist_of(again).overtake() == 1
        assert (await told_of(again))[-2:] == ["message.received", "interaction.ended"]

    async def test_what_an_archive_had_otherwise_is_set_aside_and_told_of(
        self, hub: Hub, clock: Clock, archive: Archive, redis: Redis, capsys: pytest.CaptureFixture[str]
    ) -> None:
        interaction_id = await a_talk(hub)
        await archived(hub)
        keys = hub.changes.contexts.keys(WHO)
        await tell(hub, "message.received", interaction_id, "one-way", text="x")
        await archived(hub)
        # As a Redis that lost its last second and went on another way.
        redis.rpop(keys.timeline)
        redis.hincrby(keys.context, "version", -1)
        await tell(hub, "message.received", interaction_id, "other-way", text="y")
        await tell(hub, "message.received", interaction_id, "other-way-2", text="y")
        await archived(hub)
        await forgotten(hub, clock)
        ids = [event["event_id"] for event in await hub.changes.contexts.timeline(WHO, 0, None, 100)]
        assert ids[5:7] == ["other-way", "other-way-2"]
        with archive._reader.connect() as connection:
            aside = connection.execute(text("SELECT version FROM ctxhub_strays")).scalars().all()
        assert aside == [6]
        assert "archive.diverged" in capsys.readouterr().out


def test_the_file_itself_holds_nothing_of_whom_it_forgot(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"

    async def fill() -> None:
        archive = Archive(url)
        row = Row(ACME, "c-very-particular")
        copy = Copy(row, None, "born", 1, 1, "commit", b"{}", b"a secret document", False, [], [], "")
        await archive.keep([copy], 1)
        await archive.erase(row, "born", 2)
        await archive.aclose()

    asyncio.run(fill())
    with sqlite3.connect(tmp_path / "archive.db") as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"c-very-particular" not in (tmp_path / "archive.db").read_bytes()
    assert b"a secret document" not in (tmp_path / "archive.db").read_bytes()
