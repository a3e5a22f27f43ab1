"""`ctxhub audit`: check the trails, and look into them, with or without a hub at work."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

import orjson

from ctxhub.hub.audit import Audit, Wanted
from ctxhub.server import opened
from ctxhub.settings import CannotStart, Settings

Done = TypeVar("Done")
_AROUND = timedelta(minutes=30)


def verify(settings: Settings, arguments: argparse.Namespace) -> int:
    """Check the chain of each tenant against its links and anchors; 1 where one is broken."""
    return _on_trails(settings, lambda audit: _verified(audit, arguments.tenant))


def anchor(settings: Settings, arguments: argparse.Namespace) -> int:
    """Chain what is noted, and write an anchor of each chain now."""
    return _on_trails(settings, _anchored)


def show(settings: Settings, arguments: argparse.Namespace) -> int:
    """Print the lines that are looked for, as JSON, oldest first."""
    return _on_trails(settings, lambda audit: _shown(audit, arguments))


def _on_trails(settings: Settings, act: Callable[[Audit], Awaitable[int]]) -> int:
    """Do something with the trails."""

    async def done() -> int:
        async with opened(settings) as hub:
            return await act(hub.audit)

    return asyncio.run(done())


async def _verified(audit: Audit, tenant: str | None) -> int:
    """Check chains, and print what became of each."""
    is_broken = False
    for name in [tenant] if tenant else await audit.tenants():
        found = await audit.verify(name)
        if found.broken is None:
            print(f"{name}: {found.entries} entries, up to number {found.sequence}: whole")
        else:
            is_broken = True
            print(f"{name}: broken at entry {found.broken.sequence}: {found.broken.why}")
    return int(is_broken)


async def _anchored(audit: Audit) -> int:
    """Write anchors, and print them."""
    await audit.settle()
    for name in await audit.tenants():
        written = audit.anchor(name)
        if written is not None:
            print(f"{name} {written.model_dump_json()}")
    return 0


async def _shown(audit: Audit, arguments: argparse.Namespace) -> int:
    """Print the lines that are looked for."""
    first, last = _instant(arguments.since), _instant(arguments.until)
    if arguments.at is not None:
        last = _instant(arguments.at)
        first = last - _AROUND if last else None
    customer = audit.pseudonym(arguments.tenant, arguments.customer) if arguments.customer else None
    wanted = Wanted(customer, arguments.agent, arguments.action, first, last)
    for found in await audit.find(arguments.tenant, wanted):
        line = {"sequence": found.sequence} | found.entry.model_dump(mode="json", exclude_defaults=True)
        print(orjson.dumps(line).decode())
    return 0


def _instant(text: str | None) -> datetime | None:
    """Read a time; one without an offset is in this machine's zone."""
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise CannotStart(f"{text!r} is no time: write it like 2026-11-28T14:03:22Z") from error
