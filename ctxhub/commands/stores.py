"""`ctxhub backup`, `ctxhub restore` and `ctxhub archive`: the hub's own server, archive and keys."""

from __future__ import annotations

import argparse
import asyncio
import sys

from ctxhub import log
from ctxhub.backup import backup, restore
from ctxhub.commands.places import opened, settings_of, with_redis
from ctxhub.settings import Settings
from ctxhub.store.keyring import Keyring


def saved(arguments: argparse.Namespace) -> int:
    """Copy the hub's own server, archive and keys into a new folder."""
    for told in backup(settings_of(arguments), arguments.folder):
        print(told)
    return 0


def put_back(arguments: argparse.Namespace) -> int:
    """Put a backup into a data folder where no hub is."""
    for told in restore(settings_of(arguments), arguments.folder):
        print(told)
    return 0


def part_with_archive(arguments: argparse.Namespace) -> int:
    """Let this Redis go with another archive, or none, from the next start on."""

    async def part(settings: Settings) -> None:
        async with opened(settings) as server:
            await Keyring(server).part_with_archive()

    log.configure("warning", "console")
    with with_redis(settings_of(arguments)) as settings:
        asyncio.run(part(settings))
    print("the next start fixes another archive; who is only in the one before is not found any more", file=sys.stderr)
    return 0
