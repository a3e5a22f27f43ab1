"""Epochs on real servers: data keys move on while everybody works, and what was erased stays shut in backups."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ctxhub.archive import Archive
from ctxhub.errors import Unreadable
from ctxhub.hub.epochs import Epochs
from ctxhub.hub.hub import Hub
from ctxhub.hub.masterkeys import KeysFile, with_next, without, written
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from ctxhub.store.sealing import Sealing
from tests.archive.scenes import a_talk, archived, forgotten
from tests.hub.scenes import context_of, tell
from tests.support import ACME, Clock, ways

MANY = [Who(ACME, f"c{n}") for n in range(30)]


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """The file of epochs, with a first one."""
    return KeysFile.made(tmp_path / "sealing.keys").path


@pytest.fixture
async def hub(server: Server, clock: Clock, tenants_folder: Path, archive: Archive, keys_file: Path) -> Hub:
    """A hub that seals under the epochs of the file."""
    return a_hub(server, clock, tenants_folder, archive, keys_file)


def a_hub(server: Server, clock: Clock, tenants_folder: Path, archive: Archive, keys_file: Path) -> Hub:
    """A hub in another process, as far as what it remembers goes."""
    return Hub(server, ways(clock, tenants=tenants_folder, sealing=Sealing(KeysFile(keys_file))), archive)


def epochs_of(hub: Hub, archive: Archive) -> Epochs:
    """The epochs of a hub."""
    return Epochs(hub.server, archive, hub.sealing)


async def with_secret(hub: Hub, who: Who) -> str:
    """Have somebody tell a secret; return the interaction."""
    interaction_id = await a_talk(hub, 1, f"x-{who.customer_id}", who)
    await tell(hub, "fact.stated", interaction_id, "secret", who, name="card_number", value=secret_of(who))
    return interaction_id


def secret_of(who: Who) -> str:
    """The secret of a customer."""
    return f"secret-{who.customer_id}-tail"


async def read_back(hub: Hub, who: Who) -> Any:
    """The secret as a hub reads it."""
    return next((fact.value for fact in (await context_of(hub, who)).facts if fact.name == "card_number"), None)


def begin_epoch(keys_file: Path) -> None:
    """Take a new epoch into use."""
    written(keys_file, with_next(KeysFile(keys_file).master_keys(), in_use=True))


def dumped(redis_url: str) -> dict[bytes, bytes]:
    """A backup of all that stands in Redis."""
    with Redis.from_url(redis_url) as redis:
        return {name: redis.dump(name) for name in redis.scan_iter(count=1000)}  # type: ignore[misc]


def put_back(redis_url: str, backup: dict[bytes, bytes]) -> None:
    """Let Redis hold a backup and nothing else."""
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        for name, content in backup.items():
            redis.restore(name, 0, content)


@pytest.mark.parametrize("archive_url", ["sqlite", "postgresql"], indirect=True)
async def test_data_keys_move_to_another_epoch_while_everybody_reads_and_writes(
    hub: Hub, server: Server, clock: Clock, tenants_folder: Path, archive: Archive, keys_file: Path, redis_url: str
) -> None:
    calls = {who: await with_secret(hub, who) for who in MANY}
    away = MANY[:10]
    await forgotten(hub, clock, *away)  # these only the archive has
    calls |= {who: await with_secret(hub, who) for who in MANY[10:]}
    done = asyncio.Event()
    counted = {"read": 0, "written": 0}

    async def at_work(number: int) -> None:
        mine = a_hub(server, clock, tenants_folder, archive, keys_file)
        while not done.is_set():
            who = MANY[10 + (counted["read"] * 7 + number) % 20]
            mine.changes.contexts.drop(who)
            assert await read_back(mine, who) == secret_of(who)
            counted["read"] += 1
            event_id = f"more-{number}-{counted['written']}"
            await tell(mine, "fact.stated", calls[who], event_id, who, name="pin", value=1, sensitivity="sensitive")
            counted["written"] += 1

    async def turn() -> None:
        for _ in range(3):
            begin_epoch(keys_file)
            await epochs_of(hub, archive).rewrap()
        done.set()

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(at_work(number))
        group.create_task(turn())
    await epochs_of(hub, archive).rewrap()
    uses = await epochs_of(hub, archive).uses()
    assert (set(uses.redis), set(uses.archive)) == ({4}, {4})
    assert min(counted.values()) > 20
    for epoch in (1, 2, 3):
        assert not await epochs_of(hub, archive).is_needed(epoch, 0)
        written(keys_file, without(KeysFile(keys_file).master_keys(), epoch))
    last = a_hub(server, clock, tenants_folder, archive, keys_file)
    assert [await read_back(last, who) for who in MANY] == [secret_of(who) for who in MANY]


@pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)
async def test_an_epoch_is_needed_as_long_as_one_data_key_is_wrapped_under_it(
    hub: Hub, archive: Archive, keys_file: Path, clock: Clock
) -> None:
    here, away = MANY[:2]
    await with_secret(hub, away)
    await forgotten(hub, clock, away)
    await with_secret(hub, here)
    begin_epoch(keys_file)
    epochs = epochs_of(hub, archive)
    assert (dict((await epochs.uses()).redis), dict((await epochs.uses()).archive)) == ({1: 1}, {1: 1})
    assert await epochs.is_needed(1, 0)
    assert await epochs.rewrap() == 2
    assert await epochs.rewrap() == 0  # again changes nothing
    assert not await epochs.is_needed(1, 0)


@pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)
async def test_a_key_that_is_broken_keeps_its_epoch_and_stops_nobody_else(
    hub: Hub, archive: Archive, keys_file: Path, redis_url: str
) -> None:
    broken, whole = MANY[:2]
    for who in (broken, whole):
        await with_secret(hub, who)
    keys = hub.changes.contexts.keys
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        redis.hset(keys(broken).context, "key", str(redis.hget(keys(whole).context, "key")))
    begin_epoch(keys_file)
    assert await epochs_of(hub, archive).rewrap() == 1
    assert await epochs_of(hub, archive).is_needed(1, 0)


@pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)
async def test_an_old_backup_can_not_tell_of_who_was_forgotten_once_its_epoch_is_destroyed(
    hub: Hub, server: Server, clock: Clock, tenants_folder: Path, archive: Archive, keys_file: Path, redis_url: str
) -> None:
    gone, living = MANY[:2]
    for who in (gone, living):
        await with_secret(hub, who)
    await archived(hub)
    backup = dumped(redis_url)
    await hub.customers.forget(gone)
    begin_epoch(keys_file)
    await epochs_of(hub, archive).rewrap()
    now = dumped(redis_url)

    # As long as the epoch is there the backup tells everything: what makes the difference is its end.
    put_back(redis_url, backup)
    assert await read_back(a_hub(server, clock, tenants_folder, archive, keys_file), gone) == secret_of(gone)

    written(keys_file, without(KeysFile(keys_file).master_keys(), 1))
    thief = a_hub(server, clock, tenants_folder, archive, keys_file)
    assert await read_back(thief, gone) is None
    told = await thief.changes.contexts.timeline(gone, 0)
    assert [event["marks"] for event in told if event["event_id"] == "secret"] == [["unreadable"]]
    assert secret_of(gone) not in repr(told)

    put_back(redis_url, now)
    alive = a_hub(server, clock, tenants_folder, archive, keys_file)
    assert await read_back(alive, living) == secret_of(living)


@pytest.mark.parametrize("archive_url", ["sqlite"], indirect=True)
async def test_a_secret_comes_back_from_the_archive(hub: Hub, clock: Clock, redis_url: str) -> None:
    (who,) = MANY[:1]
    await with_secret(hub, who)
    before = await hub.changes.contexts.timeline(who, 0)
    await forgotten(hub, clock, who)
    with Redis.from_url(redis_url) as redis:
        assert not redis.exists(hub.changes.contexts.keys(who).context)
    from_archive = await hub.changes.contexts.timeline(who, 0, len(before) + 1)
    assert from_archive == before  # read there, nobody having touched the customer
    assert await read_back(hub, who) == secret_of(who)


async def test_a_broken_archive_entry_is_marked_not_misread(hub: Hub, clock: Clock, keys_file: Path) -> None:
    (who,) = MANY[:1]
    await with_secret(hub, who)
    await forgotten(hub, clock, who)
    keys_file.write_text(keys_file.read_text().replace("present 1", "present 9\n9 " + "A" * 43 + "="))
    keys_file.write_text("\n".join(line for line in keys_file.read_text().splitlines() if not line.startswith("1 ")))
    hub.sealing.provider = KeysFile(keys_file)
    with pytest.raises(Unreadable):
        await read_back(hub, who)
    told = await hub.changes.contexts.timeline(who, 0)
    assert [event["data"]["value"] for event in told if event["event_id"] == "secret"] == [None]
