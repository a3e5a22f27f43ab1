"""Disclosing: notes in a tenant's trail that its file shows or keeps back other things than it did before.

What was noted last stands in Redis: a change that was made while no hub was at work is noted by the next, and one that
all processes see is noted once.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import orjson
import structlog

from ctxhub.errors import CtxhubError
from ctxhub.hub.audit import Audit
from ctxhub.hub.changes import Clock
from ctxhub.hub.tenants import Tenants
from ctxhub.model.audit import Entry, text_of
from ctxhub.model.tenant import Tenant
from ctxhub.store.trails import Disclosed

log = structlog.get_logger()
LOOK_EVERY = 1.0


class Disclosing:
    """Watches over the tenants' files."""

    def __init__(self, disclosed: Disclosed, tenants: Tenants, audit: Audit, clock: Clock) -> None:
        self._disclosed = disclosed
        self._tenants = tenants
        self._audit = audit
        self._clock = clock
        self._seen: dict[str, Tenant] = {}

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # what was not noted is noted at the next look
                log.exception("disclosure.not_noted")
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Note what has changed since it was noted last."""
        for name in self._tenants.names() if self._audit.on else ():
            tenant = self._tenants.of(name)
            if self._seen.get(name) is tenant:
                continue
            with suppress(CtxhubError):  # Redis is away: the next look is for that
                await self._note(name, tenant.discloses)
                self._seen[name] = tenant

    async def _note(self, name: str, present: dict[str, Any]) -> None:
        """Note a change of one tenant; who has noted it already is believed."""
        kept = await self._disclosed.of(name)
        before = orjson.loads(kept) if kept is not None else present
        changed = {
            what: [before.get(what), present.get(what)]
            for what in sorted(before.keys() | present.keys())
            if before.get(what) != present.get(what)
        }
        if kept is not None and not changed:
            return
        text = text_of(self._entry(name, changed)) if changed else b""
        await self._disclosed.note(name, kept, orjson.dumps(present, option=orjson.OPT_SORT_KEYS), text)

    def _entry(self, name: str, changed: dict[str, Any]) -> Entry:
        """Return the line of a change: what was so before, and what is now; null is what was not declared."""
        return Entry(
            at=self._clock(), action="disclosure.changed", by="tenant file", role="operator",
            about={"changed": changed}, source=f"{name}.yaml",
        )  # fmt: skip
