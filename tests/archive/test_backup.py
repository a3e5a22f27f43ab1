"""Backup and restore, tried on real servers, in both directions: an older Redis, an older archive."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.backup import backup, restore
from ctxhub.client import Start, told
from ctxhub.settings import CannotStart, Settings
from tests.chaos.running import ROOT, Books, KillableHub, whole_timeline

QUICK = {"keep_closed": "1s", "timer_tick": "100ms", "durability": "fast"}


def running(data: Path) -> KillableHub:
    """A hub on a folder."""
    return KillableHub(data, **QUICK).start()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[KillableHub]:
    """A hub that runs."""
    hub = running(tmp_path / "data")
    yield hub
    if hub.process is not None and hub.process.poll() is None:
        hub.stop()


async def said(hub: KillableHub, customer_id: str, *event_ids: str, goes_on: bool = False) -> Books:
    """Have a customer say things, and let them go home unless they go on; the books of it."""
    books = Books()
    async with hub.client() as client:
        start = Start(channel="chat", external_id=f"{customer_id}-{event_ids[0]}", customer_id=customer_id)
        here = (await client.interactions.start(start)).interaction.interaction_id
        for event_id in event_ids:
            event = told("message.received", event_id=event_id, interaction_id=here, text=f"text of {event_id}")
            kept = (await client.events.tell(customer_id, event)).results
            books.note([(result.event_id, result.version) for result in kept])
        if not goes_on:
            await client.interactions.end(customer_id, here)
    return books


async def faults(hub: KillableHub, customer_id: str, books: Books) -> list[str]:
    """What is missing or doubled of what a customer said."""
    async with hub.client() as client:
        return books.faults(await whole_timeline(client, customer_id))


async def released(hub: KillableHub, customer_id: str) -> None:
    """Wait until only the archive has a customer."""
    with Redis(unix_socket_path=str(hub._folder / "valkey" / "server.sock")) as redis:
        async with asyncio.timeout(20):
            while list(redis.scan_iter(f"ctxhub:*:{customer_id}:context")):
                await asyncio.sleep(0.1)


def the_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `ctxhub` with the master key that the hub has."""
    command = [sys.executable, "-m", "ctxhub", *map(str, arguments)]
    environ = os.environ | {"CTXHUB_MASTER_KEY": "a master key for tests alone"}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)


async def test_a_backup_of_a_running_hub_is_a_whole_hub_elsewhere(hub: KillableHub, tmp_path: Path) -> None:
    gone = await said(hub, "gone", "g1", "g2")
    await released(hub, "gone")
    here = await said(hub, "here", "h1", "h2", goes_on=True)
    done = the_command("backup", tmp_path / "copy", "--data", tmp_path / "data")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "copy" / "backup.json").read_text())["holds"] == done.stdout.splitlines()
    await said(hub, "here", "after-the-copy")
    hub.kill()
    done = the_command("restore", tmp_path / "copy", "--data", tmp_path / "elsewhere")
    assert (done.returncode, done.stderr) == (0, "")
    again = running(tmp_path / "elsewhere")
    try:
        assert await faults(again, "gone", gone) == []
        assert await faults(again, "here", here) == []
        assert (await said(again, "here", "h1", "h3")).acknowledged["h1"] == here.acknowledged["h1"]
    finally:
        again.stop()


async def test_an_earlier_redis_beside_a_later_archive_loses_nothing(hub: KillableHub, tmp_path: Path) -> None:
    before = await said(hub, "both", "b1")
    await asyncio.to_thread(backup, Settings(data=tmp_path / "data"), tmp_path / "earlier")
    between = await said(hub, "both", "b2")
    stranger = await said(hub, "new", "n1")
    await released(hub, "both")
    await released(hub, "new")
    await asyncio.to_thread(backup, Settings(data=tmp_path / "data"), tmp_path / "later")
    hub.kill()
    shutil.rmtree(tmp_path / "later" / "appendonlydir")
    shutil.copytree(tmp_path / "earlier" / "appendonlydir", tmp_path / "later" / "appendonlydir")
    restore(Settings(data=tmp_path / "mixed"), tmp_path / "later")
    again = running(tmp_path / "mixed")
    try:
        books = Books(before.acknowledged | between.acknowledged)
        async with again.client() as client:
            async with asyncio.timeout(10):  # until it has looked what fits together
                while books.faults(await whole_timeline(client, "both")):
                    await asyncio.sleep(0.1)
        assert await faults(again, "new", stranger) == []
    finally:
        again.stop()


async def test_a_later_redis_beside_an_earlier_archive_brings_it_up_to_date(hub: KillableHub, tmp_path: Path) -> None:
    first = await said(hub, "both", "b1", goes_on=True)
    await asyncio.to_thread(backup, Settings(data=tmp_path / "data"), tmp_path / "earlier")
    second = await said(hub, "both", "b2")
    stranger = await said(hub, "new", "n1", goes_on=True)
    await asyncio.to_thread(backup, Settings(data=tmp_path / "data"), tmp_path / "later")
    hub.kill()
    shutil.copy(tmp_path / "earlier" / "archive.db", tmp_path / "later" / "archive.db")
    restore(Settings(data=tmp_path / "mixed"), tmp_path / "later")
    again = running(tmp_path / "mixed")
    try:
        books = Books(first.acknowledged | second.acknowledged)
        assert await faults(again, "both", books) == []
        assert await faults(again, "new", stranger) == []
        async with again.client() as client:
            for interaction in (await client.contexts.read("both")).interactions:
                await client.interactions.end("both", interaction.interaction_id)
        await released(again, "both")
        assert await faults(again, "both", books) == []
    finally:
        again.stop()


def test_a_backup_overwrites_nothing_and_a_restore_neither(tmp_path: Path) -> None:
    hub = running(tmp_path / "data")
    hub.stop()
    settings = Settings(data=tmp_path / "data")
    assert backup(settings, tmp_path / "copy")[:2] == ["the hub's own server", "the archive"]
    with pytest.raises(CannotStart, match="is there already"):
        backup(settings, tmp_path / "copy")
    with pytest.raises(CannotStart, match="is there already"):
        restore(settings, tmp_path / "copy")
    with pytest.raises(CannotStart, match="holds no backup"):
        restore(settings, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_backup_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="is not there"):
        backup(Settings(data=tmp_path / "empty"), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert list(tmp_path.glob(".copy*")) == []


def test_what_is_not_the_hubs_own_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    settings = Settings(
        data=tmp_path / "data", redis_url="redis://127.0.0.1:1", archive="postgresql://somebody@127.0.0.1/somewhere"
    )
    told_ = backup(settings, tmp_path / "copy")
    assert ["CTXHUB_REDIS_URL" in told_[0], "pg_dump" in told_[1]] == [True, True]


def test_anchors_go_along_and_those_that_stood_there_are_kept_as_proof(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", redis_url="redis://elsewhere", archive="off")
    anchors = tmp_path / "data" / "audit" / "default.anchors"
    anchors.parent.mkdir(parents=True)
    anchors.write_text("then\n")
    assert "the audit trail's anchors" in backup(settings, tmp_path / "copy")
    anchors.write_text("then\nlater\n")
    for number in (1, 2):
        restore(settings, tmp_path / "copy")
        assert anchors.read_text() == "then\n"
        assert (tmp_path / "data" / f"audit.before-restore-{number}" / "default.anchors").is_file()
    assert (tmp_path / "data" / "audit.before-restore-1" / "default.anchors").read_text() == "then\nlater\n"
    assert anchors.parent.stat().st_mode & 0o077 == 0


async def test_after_a_restore_the_trail_is_sound_and_a_cut_one_is_not(hub: KillableHub, tmp_path: Path) -> None:
    await said(hub, "here", "h1", goes_on=True)
    where = tmp_path / "data"
    assert the_command("audit", "anchor", "--data", where).returncode == 0
    assert the_command("backup", tmp_path / "copy", "--data", where).returncode == 0
    hub.kill()
    assert the_command("restore", tmp_path / "copy", "--data", tmp_path / "elsewhere").returncode == 0
    assert the_command("audit", "verify", "--data", tmp_path / "elsewhere").returncode == 0
    with sqlite3.connect(tmp_path / "elsewhere" / "archive.db") as archive:
        archive.execute("DELETE FROM ctxhub_trail")
    assert the_command("audit", "verify", "--data", tmp_path / "elsewhere").returncode == 1
