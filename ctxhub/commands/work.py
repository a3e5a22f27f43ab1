"""Commands that work on a hub of their own: import, export, audit, epochs."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable

from ctxhub import auditing, epochs, log
from ctxhub.bulk import work
from ctxhub.bulk.exporting import Scope
from ctxhub.commands.places import settings_of, with_redis
from ctxhub.commands.trail import tell
from ctxhub.hub.hub import Hub
from ctxhub.server import opened
from ctxhub.settings import CannotStart, Settings

#: How the trail calls what is done with epochs.
_TURNED = {
    "begin": "epoch.begun", "rewrap": "epoch.rewrapped", "destroy": "epoch.destroyed", "lost": "epochs.lost",
}  # fmt: skip


def bring_in(arguments: argparse.Namespace) -> int:
    """Bring customers in from a file."""
    log.configure("warning", "console")
    with with_redis(settings_of(arguments)) as settings:
        return work.bring_in(arguments, settings)


def take_out(arguments: argparse.Namespace) -> int:
    """Take customers out as JSON lines."""
    log.configure("warning", "console")
    given = settings_of(arguments)
    if given.redis_url is None and not given.data.is_dir():
        raise CannotStart(f"there is no hub in {given.data}: name its folder with --data, or its Redis")
    with with_redis(given) as settings:
        return work.take_out(arguments, settings, _tell_of_export)


async def _tell_of_export(hub: Hub, scope: Scope) -> None:
    """Let the trail of whoever is exported say so."""
    deed = "customer.exported" if scope.customer_id else "customers.exported"
    await tell(hub, deed, {"keys": True} if scope.keys else {}, scope.tenant, scope.customer_id)


def audit(arguments: argparse.Namespace) -> int:
    """Check the audit trail, or look into it."""
    log.configure("warning", "console")
    deed: Callable[[Settings, argparse.Namespace], int] = getattr(auditing, arguments.deed)
    with with_redis(settings_of(arguments)) as settings:
        return deed(settings, arguments)


def turn_epochs(arguments: argparse.Namespace) -> int:
    """Look at the master keys' epochs, or turn them."""
    log.configure("warning", "console")
    with with_redis(settings_of(arguments)) as settings:
        came_to = epochs.turn(arguments, settings)
        if arguments.action in _TURNED:
            asyncio.run(_tell_of_turn(arguments, settings))
        return came_to


async def _tell_of_turn(arguments: argparse.Namespace, settings: Settings) -> None:
    """Let every trail say what was done with the keys that seal what is in them."""
    async with opened(settings) as hub:
        masters = hub.sealing.provider.master_keys()
        newest = max(masters.by_epoch) if arguments.action == "begin" else masters.present
        waits = {"prepared": True} if newest > masters.present else {}
        await tell(hub, _TURNED[arguments.action], {"epoch": getattr(arguments, "epoch", newest)} | waits)
