"""`ctxhub keys`: make, list, replace and revoke API keys."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from ctxhub import log
from ctxhub.commands.places import opened, settings_of, with_redis
from ctxhub.commands.trail import by_operator
from ctxhub.hub.keys import KeyMade, Keys
from ctxhub.model.audit import text_of
from ctxhub.settings import Settings
from ctxhub.store.keyring import Keyring
from ctxhub.store.trails import Notes

_COLUMNS = ("tenant", "name", "role", "agent", "key_id", "created_at", "scopes", "expires_at", "last_used")
#: What the trail tells of a key, by what it is called on the command line and there.
_NOTED = {"name": "name", "role": "role", "agent": "agent", "scope": "scopes", "channel": "channels",
          "queue": "queues", "level": "level", "method": "methods", "expires": "expires_at"}  # fmt: skip

Done = TypeVar("Done")


def create(arguments: argparse.Namespace) -> int:
    """Make a key; it is shown this once."""
    given = (arguments.tenant, arguments.name, arguments.role, arguments.agent, arguments.expires)
    narrowed = {
        "scopes": arguments.scope, "channels": arguments.channel, "queues": arguments.queue,
        "level": arguments.level, "methods": arguments.method,
    }  # fmt: skip
    said = {part: names for part, names in narrowed.items() if names is not None}
    key_id, secret = _on_keys(arguments, "key.created", lambda keys: keys.create(*given, **said))
    print(f"key {key_id}, role {arguments.role}, tenant {arguments.tenant}; it is shown this once:", file=sys.stderr)
    print(secret)
    return 0


def rotate(arguments: argparse.Namespace) -> int:
    """Make a new key in a key's place; it is shown this once."""
    overlap = timedelta(hours=arguments.overlap)
    made = _on_keys(arguments, "key.rotated", lambda keys: keys.rotate(arguments.tenant, arguments.name, overlap))
    print(f"key {made.key_id} takes its place in {arguments.overlap:g} h; it is shown this once:", file=sys.stderr)
    print(made.key)
    return 0


def listed(arguments: argparse.Namespace) -> int:
    """List keys, without the keys themselves."""
    for record in _on_keys(arguments, "keys.listed", lambda keys: keys.list(arguments.tenant)):
        shown = (_told(record.get(column)) for column in _COLUMNS)
        print("\t".join(shown))
    return 0


def revoke(arguments: argparse.Namespace) -> int:
    """Make a key worthless."""
    _on_keys(arguments, "key.revoked", lambda keys: keys.revoke(arguments.tenant, arguments.name))
    print(f"key {arguments.name} of tenant {arguments.tenant} is revoked", file=sys.stderr)
    return 0


def _told(part: Any) -> str:
    return ",".join(part) or "-" if isinstance(part, list) else part or "-"


def _about(arguments: argparse.Namespace, answer: object) -> dict[str, Any]:
    """Return which key was in question, and what it may, as the trail tells it."""
    said = {name: getattr(arguments, given, None) for given, name in _NOTED.items()}
    made = {"key_id": answer.key_id} if isinstance(answer, KeyMade) else {}
    return {name: part for name, part in said.items() if part not in (None, [])} | made


def _on_keys(arguments: argparse.Namespace, deed: str, act: Callable[[Keys], Awaitable[Done]]) -> Done:
    """Do something with the keys; the audit trail of their tenant tells of it."""

    async def done(settings: Settings) -> Done:
        async with opened(settings) as server:
            answer = await act(Keys(Keyring(server)))
            if settings.audit == "on" and arguments.tenant is not None:
                told = by_operator(deed, _about(arguments, answer))
                await Notes(server).put({arguments.tenant: [text_of(told)]})
            return answer

    log.configure("warning", "console")
    with with_redis(settings_of(arguments)) as settings:
        return asyncio.run(done(settings))
