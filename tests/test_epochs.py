"""`ctxhub epochs` as an operator meets it, on the server of a hub that runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ctxhub.backup import backup
from ctxhub.hub.audit import Wanted
from ctxhub.hub.masterkeys import KeysFile
from ctxhub.server import opened
from ctxhub.settings import CannotStart, Settings
from ctxhub.store.embedded import embedded_server
from tests.commanding import commanded
from tests.hub.scenes import WHO, context_of, in_one, tell


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """The settings of a hub whose server runs, and of whom somebody has told a secret."""
    with embedded_server(Settings(data=tmp_path / "data", durability="fast")) as server:
        settings = Settings(data=tmp_path / "data", durability="fast").with_secrets().with_redis(server.url)
        asyncio.run(a_secret(settings))
        yield settings


async def a_secret(settings: Settings) -> None:
    """Have somebody tell a secret."""
    async with opened(settings) as hub:
        interaction_id = await in_one(hub, level=2)
        await tell(hub, "fact.stated", interaction_id, "s", name="income", value="6225", sensitivity="sensitive")


async def read(settings: Settings) -> list[object]:
    """The values of the facts, as a hub that starts now reads them."""
    async with opened(settings) as hub:
        return [fact.value for fact in (await context_of(hub)).facts]


def epochs(settings: Settings, *arguments: str) -> CompletedProcess[str]:
    """Run `ctxhub epochs` beside the hub."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
    environ = clean | {"CTXHUB_DURABILITY": "fast"}
    return commanded("epochs", *arguments, "--data", str(settings.data), environ=environ)


def test_an_epoch_begins_takes_everything_over_and_the_old_one_is_destroyed(settings: Settings) -> None:
    assert epochs(settings, "list").stdout == "epoch 1\tpresent\t1 data keys in Redis, 0 in the archive\n"
    assert epochs(settings, "begin").stdout == "epoch 2 has begun; next: ctxhub epochs rewrap\n"
    refused = epochs(settings, "destroy", "1")
    assert (refused.returncode, "ctxhub epochs rewrap" in refused.stderr) == (1, True)
    assert epochs(settings, "rewrap").stdout == "1 data keys were wrapped anew under epoch 2\n"
    assert "epoch 1 is destroyed here" in epochs(settings, "destroy", "1").stdout
    listed = epochs(settings, "list").stdout.splitlines()
    assert [line.split("\t")[:2] for line in listed] == [["epoch 1", "destroyed"], ["epoch 2", "present"]]
    assert asyncio.run(read(settings)) == ["6225"]
    assert "is the present one" in epochs(settings, "destroy", "2").stderr
    assert asyncio.run(noted(settings)) == [("epoch.begun", 2), ("epoch.rewrapped", 2), ("epoch.destroyed", 1)]


async def noted(settings: Settings) -> list[tuple[str, int]]:
    """What the trail says of epochs."""
    async with opened(settings) as hub:
        found = await hub.audit.find("default", Wanted())
        return [(each.entry.action, each.entry.about["epoch"]) for each in found if each.entry.role == "operator"]


def test_a_key_is_prepared_before_it_is_used(settings: Settings) -> None:
    assert "epoch 2 is prepared" in epochs(settings, "begin", "--prepare").stdout
    assert "epoch 2\tprepared" in epochs(settings, "list").stdout
    assert epochs(settings, "begin").stdout.startswith("epoch 2 has begun")


def test_a_hub_does_not_start_without_the_keys_that_its_redis_is_sealed_with(
    settings: Settings, tmp_path: Path
) -> None:
    path = settings.data / "sealing.keys"
    away = path.rename(tmp_path / "away")
    KeysFile.made(path)
    with pytest.raises(CannotStart, match=r"sealing\.keys"):
        asyncio.run(read(settings))
    path.unlink()
    away.rename(path)
    assert asyncio.run(read(settings)) == ["6225"]


def test_keys_that_are_lost_for_good_take_what_they_sealed_along_and_nothing_else(settings: Settings) -> None:
    (settings.data / "sealing.keys").unlink()
    assert "whatever was sealed up to epoch 1 is gone; epoch 2 has begun" in epochs(settings, "lost").stdout
    assert asyncio.run(read(settings)) == []
    asyncio.run(said_again(settings))
    assert asyncio.run(read(settings)) == ["7"]


async def said_again(settings: Settings) -> None:
    """Have the same customer tell it again."""
    async with opened(settings) as hub:
        interaction_id = next(iter((await context_of(hub)).interactions))
        await tell(hub, "fact.stated", interaction_id, "s2", WHO, name="income", value="7", sensitivity="sensitive")


def test_a_backup_leaves_the_sealing_keys_out_and_says_so(settings: Settings, tmp_path: Path) -> None:
    told = backup(Settings(data=settings.data, durability="fast"), tmp_path / "copy")
    assert not (tmp_path / "copy" / "sealing.keys").exists()
    assert [line for line in told if "sealing.keys" in line and line.startswith("not here")]


def test_one_epoch_that_is_derived_is_written_out_before_another_begins(tmp_path: Path) -> None:
    with embedded_server(Settings(data=tmp_path / "data", durability="fast")) as server:
        given = {"data": tmp_path / "data", "durability": "fast", "master_key": "a master key of this test alone"}
        before = Settings.model_validate(given).with_secrets().with_redis(server.url)
        asyncio.run(a_secret(before))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CTXHUB_")}
        environ = clean | {"CTXHUB_MASTER_KEY": "a master key of this test alone", "CTXHUB_DURABILITY": "fast"}
        said = [commanded("epochs", action, "--data", str(before.data), environ=environ) for action in ("begin",) * 2]
        assert "epoch 2 is prepared" in said[0].stdout
        assert "epoch 2 has begun" in said[1].stdout
        after = Settings.model_validate(given).with_secrets().with_redis(server.url)
        assert after.sealing_keys_file == before.data / "sealing.keys"
        assert asyncio.run(read(after)) == ["6225"]
