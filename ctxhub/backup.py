"""Backup and restore of what a hub keeps itself: its own server's data, its archive, its secrets.

The audit trail's anchors are copied before the trail, so that it reaches as far as they attest. Redis is copied next
and the archive after it: whom Redis forgets in between, the copied archive has. What the
archive then has of a later state wins over the copied Redis, as the hub finds out by itself when it starts.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ctxhub import __version__
from ctxhub.archive.snapshot import copy_archive, is_a_file, put_archive_back
from ctxhub.settings import CannotStart, Settings
from ctxhub.store.embedded import own_data
from ctxhub.store.snapshot import copy_server, put_server_back

__all__ = ["backup", "restore"]

_NOTE = "backup.json"
_SECRETS = ("master.key", "admin.key")
_ANCHORS = "audit"


def backup(settings: Settings, folder: Path) -> list[str]:
    """Copy everything into a new folder, whether the hub runs or not; return what was copied and what was not."""
    if folder.exists():
        raise CannotStart(f"{folder} is there already: name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _all_or_nothing(folder) as unfinished:
        anchors = _copy_anchors(settings, unfinished)
        told = [*_copy_redis(settings, unfinished), *_copy_archive(settings, unfinished)]
        told += [*anchors, *_copy_secrets(settings, unfinished)]
        note = {"ctxhub": __version__, "made_at": datetime.now(UTC).isoformat(timespec="seconds"), "holds": told}
        (unfinished / _NOTE).write_text(json.dumps(note, indent=2) + "\n")
    return told


def restore(settings: Settings, folder: Path) -> list[str]:
    """Put a backup into a data folder where no hub is; return what was put back."""
    if not (folder / _NOTE).is_file():
        raise CannotStart(f"{folder} holds no backup: name a folder that `ctxhub backup` has made")
    with own_data(settings.data):
        return [
            *_put_redis_back(settings, folder),
            *_put_archive_back(settings, folder),
            *_put_anchors_back(settings, folder),
            *_put_secrets_back(settings, folder),
        ]


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[Path]:
    """A folder for its owner alone that gets its name when all is in it."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    try:
        yield unfinished
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    unfinished.rename(folder)


def _copy_redis(settings: Settings, into: Path) -> list[str]:
    if settings.redis_url is not None:
        return ["not here: the Redis that CTXHUB_REDIS_URL names; copy it before this, by its own means"]
    copy_server(settings.data, into)
    return ["the hub's own server"]


def _copy_archive(settings: Settings, into: Path) -> list[str]:
    if settings.archive_url is None:
        return []
    if not is_a_file(settings.archive_url):
        return ["not here: the database that CTXHUB_ARCHIVE names; copy it after this, with pg_dump"]
    copy_archive(settings.archive_url, into)
    return ["the archive"]


def _copy_anchors(settings: Settings, into: Path) -> list[str]:
    if not (settings.data / _ANCHORS).is_dir():
        return []
    shutil.copytree(settings.data / _ANCHORS, into / _ANCHORS)
    return ["the audit trail's anchors"]


def _copy_secrets(settings: Settings, into: Path) -> list[str]:
    found = [name for name in _SECRETS if (settings.data / name).is_file()]
    for name in found:
        shutil.copy(settings.data / name, into / name)
    epochs = settings.epochs_file
    apart = [f"not here: {epochs}, without which nothing sealed can be read; keep a copy of it apart from this"]
    return found + apart * (epochs is not None and epochs.is_file())


def _put_redis_back(settings: Settings, folder: Path) -> list[str]:
    if settings.redis_url is not None or not (folder / "appendonlydir").is_dir():
        return []
    put_server_back(folder, settings.data)
    return ["the hub's own server"]


def _put_archive_back(settings: Settings, folder: Path) -> list[str]:
    if settings.archive_url is None or not is_a_file(settings.archive_url) or not (folder / "archive.db").is_file():
        return []
    put_archive_back(folder, settings.archive_url)
    return ["the archive"]


def _put_anchors_back(settings: Settings, folder: Path) -> list[str]:
    """Put anchors back; those that are there attest a chain that is gone now, and are kept aside as its proof."""
    if not (folder / _ANCHORS).is_dir():
        return []
    place = settings.data / _ANCHORS
    if place.is_dir():
        place.rename(_aside(place))
    shutil.copytree(folder / _ANCHORS, place)
    os.chmod(place, 0o700)
    return ["the audit trail's anchors; check the trail by `ctxhub audit verify`"]


def _aside(place: Path) -> Path:
    """Return a name beside a folder that nothing has."""
    number = 1
    while (found := place.with_name(f"{place.name}.before-restore-{number}")).exists():
        number += 1
    return found


def _put_secrets_back(settings: Settings, folder: Path) -> list[str]:
    """Put keys back beside those that are there: another master key would open nothing."""
    found = [name for name in _SECRETS if (folder / name).is_file()]
    for name in found:
        (settings.data / name).unlink(missing_ok=True)
        shutil.copy(folder / name, settings.data / name)
        (settings.data / name).chmod(0o600)
    return found
