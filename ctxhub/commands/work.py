"""Commands that work on a hub of their own: import, export, audit, epochs."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from ctxhub import auditing, epochs, log
from ctxhub.bulk import work
from ctxhub.commands.places import settings_of, with_redis
from ctxhub.settings import CannotStart, Settings


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
        return work.take_out(arguments, settings)


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
        return epochs.turn(arguments, settings)
