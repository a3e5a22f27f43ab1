"""What `ctxhub epochs` does: look at the epochs of sealing, begin one, move the data keys over, destroy an old one."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from pathlib import Path

from ctxhub.hub.epochs import Epochs
from ctxhub.hub.hub import Hub
from ctxhub.hub.masterkeys import KeysFile, with_next, without, written
from ctxhub.server import connection, opened
from ctxhub.settings import CannotStart, Settings
from ctxhub.store.keyring import Keyring
from ctxhub.store.sealing import MasterKeys, proof_of

__all__ = ["turn"]

ON_ITS_WAY = 5.0  # longer than any request, or write to the archive that is under way, takes


def turn(arguments: argparse.Namespace, settings: Settings) -> int:
    """Do what is asked; prints what came of it."""
    for told in asyncio.run(_ACTIONS[arguments.action](arguments, settings)):
        print(told)
    return 0


async def _listed(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    """List the epochs, and how many data keys each of them wraps."""
    async with opened(settings) as hub:
        uses = await _epochs(hub).uses()
        return list(_lines(hub.sealing.provider.master_keys(), uses.redis, uses.archive))


def _lines(masters: MasterKeys, redis: dict[int, int], archive: dict[int, int]) -> Iterator[str]:
    """Yield a line for each epoch that there is or was."""
    for epoch in sorted({*masters.by_epoch, *masters.destroyed, *redis, *archive}):
        state = "present" if epoch == masters.present else "kept" if epoch in masters.by_epoch else "missing"
        state = "destroyed" if epoch in masters.destroyed else "prepared" if epoch > masters.present else state
        counted = f"{redis.get(epoch, 0)} data keys in Redis, {archive.get(epoch, 0)} in the archive"
        yield f"epoch {epoch}\t{state}\t{counted}"


async def _begun(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    """Take a new epoch into use, or only prepare it so that its key can be brought to other machines first."""
    path = _file(settings)
    async with opened(settings) as hub:
        waits = arguments.prepare or settings.sealing_keys_file is None  # then no hub that runs looks there yet
        masters = with_next(hub.sealing.provider.master_keys(), in_use=not waits)
        written(path, masters)
        if waits:
            return [f"epoch {max(masters.by_epoch)} is prepared in {path}: bring that to every machine of this hub",
                    "start those anew that had no such file, then run `ctxhub epochs begin` to use it"]  # fmt: skip
        await hub.keyring.sealed_with(masters.present, proof_of(masters.by_epoch[masters.present]), anew=True)
        return [f"epoch {masters.present} has begun; next: ctxhub epochs rewrap"]


async def _rewrapped(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    """Wrap all data keys under the present epoch."""
    async with opened(settings) as hub:
        done = await _epochs(hub).rewrap()
        return [f"{done} data keys were wrapped anew under epoch {hub.sealing.provider.master_keys().present}"]


async def _destroyed(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    """Destroy an epoch that no data key needs any more."""
    path, epoch = _file(settings), arguments.epoch
    async with opened(settings) as hub:
        left = without(hub.sealing.provider.master_keys(), epoch)
        if await _epochs(hub).is_needed(epoch, ON_ITS_WAY):
            raise CannotStart(f"data keys are still wrapped under epoch {epoch}: run `ctxhub epochs rewrap` first")
        written(path, left)
        return [f"epoch {epoch} is destroyed here: destroy every other copy of its line, and old backups stay shut"]


async def _lost(arguments: argparse.Namespace, settings: Settings) -> list[str]:
    """Give up the keys of a Redis that are lost for good, and begin anew after their epoch."""
    path = _file(settings)
    async with connection(settings) as server:
        keyring = Keyring(server)
        held = KeysFile.made(path).master_keys()
        epoch, _ = await keyring.sealed_with(held.present, proof_of(held.by_epoch[held.present]))
        lost = held._replace(present=epoch, by_epoch={}, destroyed=held.destroyed | set(range(1, epoch + 1)))
        masters = with_next(lost, in_use=True)
        written(path, masters)
        await keyring.sealed_with(masters.present, proof_of(masters.by_epoch[masters.present]), anew=True)
        return [f"whatever was sealed up to epoch {epoch} is gone; epoch {masters.present} has begun"]


_ACTIONS = {"list": _listed, "begin": _begun, "rewrap": _rewrapped, "destroy": _destroyed, "lost": _lost}


def _epochs(hub: Hub) -> Epochs:
    """Return the epochs of a hub."""
    archive = hub.archiving.archive if hub.archiving is not None else None
    return Epochs(hub.server, archive, hub.sealing)


def _file(settings: Settings) -> Path:
    """Return the file of epochs; keys that come from elsewhere are changed there."""
    if settings.sealing_keys is not None:
        raise CannotStart(
            "the epochs stand in CTXHUB_SEALING_KEYS: put a new key first there, and start every hub anew"
        )
    return settings.sealing_keys_file or settings.data / "sealing.keys"
