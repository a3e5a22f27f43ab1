"""`ctxhub webhooks`: how each endpoint stands, what waits for it or was given up, and the re-drive of that."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import orjson

from ctxhub import log
from ctxhub.commands.places import opened, settings_of, with_redis
from ctxhub.commands.trail import by_operator
from ctxhub.hub.endpoints import Endpoints
from ctxhub.hub.tenants import Tenants
from ctxhub.model.audit import text_of
from ctxhub.model.value import to_millis
from ctxhub.settings import Settings
from ctxhub.store.deliveries import Deliveries
from ctxhub.store.trails import Notes

_COLUMNS = ("name", "waiting", "oldest_at", "dead", "delivered", "disabled_at", "url")

Done = TypeVar("Done")


def listed(arguments: argparse.Namespace) -> int:
    """List the endpoints of a tenant, or of all: what waits and since when, what is dead, and since when one is off."""

    async def standing(endpoints: Endpoints, tenants: Tenants) -> list[str]:
        names = [tenants.declared(arguments.tenant).tenant] if arguments.tenant else tenants.names()
        shown = [(name, each) for name in names for each in await endpoints.listed(name)]
        return ["\t".join([name, *(_told(each[column]) for column in _COLUMNS)]) for name, each in shown]

    for line in _on_endpoints(arguments, standing):
        print(line)
    return 0


def _told(part: object) -> str:
    return "-" if part is None else str(part)


def show(arguments: argparse.Namespace) -> int:
    """Print deliveries of an endpoint as JSON lines."""
    asked = (arguments.tenant, arguments.webhook, arguments.state, arguments.limit)
    for delivery in _on_endpoints(arguments, lambda endpoints, _: endpoints.deliveries(*asked), "deliveries.listed"):
        print(orjson.dumps(delivery).decode())
    return 0


def redrive(arguments: argparse.Namespace) -> int:
    """Queue all dead letters of an endpoint again; a hub that is at work sends them."""
    asked = (arguments.tenant, arguments.webhook)
    count = _on_endpoints(arguments, lambda endpoints, _: endpoints.redrive(*asked), "webhook.redriven")
    print(f"{count} dead letters are queued again for {arguments.webhook}; `ctxhub serve` sends them", file=sys.stderr)
    return 0


def _on_endpoints(
    arguments: argparse.Namespace, act: Callable[[Endpoints, Tenants], Awaitable[Done]], deed: str | None = None
) -> Done:
    """Do something with the endpoints; where it is a deed, the audit trail of the tenant tells of it."""

    async def done(settings: Settings) -> Done:
        async with opened(settings) as server:
            tenants = Tenants(settings.tenants)
            answer = await act(Endpoints(tenants, Deliveries(server), lambda: to_millis(datetime.now(UTC))), tenants)
            if settings.audit == "on" and deed is not None:
                told = by_operator(deed, {"name": arguments.webhook})
                await Notes(server).put({arguments.tenant: [text_of(told)]})
            return answer

    log.configure("warning", "console")
    with with_redis(settings_of(arguments)) as settings:
        return asyncio.run(done(settings))
