"""Persons: all that is known of one, whole and readable, as the law lets everybody ask for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson

from ctxhub.hub.changes import Changes
from ctxhub.hub.traces import Traces
from ctxhub.model.value import rfc3339
from ctxhub.store.codec import document_bytes
from ctxhub.store.contexts import Who

SCHEMA = "ctxhub.person/1"
_AT_ONCE = 500


class Persons:
    """Tells everything about one customer, however long its timeline is."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def export(self, who: Who) -> AsyncIterator[bytes]:
        """Yield one JSON object in pieces; `CustomerUnknown` before the first where there is nobody.

        It is all that was known at one version. What can't be read to its end says so: `complete` is false then.
        """
        loaded, context = await self._changes.contexts.existing(who)
        head: dict[str, Any] = {
            "schema": SCHEMA,
            "exported_at": rfc3339(self._changes.clock()),
            "tenant": who.tenant,
            "customer_id": who.customer_id,
            "version": loaded.version,
            "context": orjson.loads(document_bytes(context.told_outside)),
        }
        yield orjson.dumps(head)[:-1] + b',"timeline":['
        traces, count = Traces.of(context), 0
        async for event in self._events(who, loaded.version):
            traces.add(event, who.customer_id)
            yield (b"," if count else b"") + orjson.dumps(event)
            count += 1
        elsewhere = [copy._asdict() for copy in sorted(traces.elsewhere)]
        tail = {"copies_elsewhere": elsewhere, "events": count, "complete": count == loaded.version}
        yield b"]," + orjson.dumps(tail)[1:]

    async def _events(self, who: Who, version: int) -> AsyncIterator[dict[str, Any]]:
        """Yield a customer's events up to a version, oldest first, those of the archive included."""
        for first in range(0, version, _AT_ONCE):
            upto = min(first + _AT_ONCE, version) + 1
            for event in await self._changes.contexts.timeline(who, first, upto, _AT_ONCE):
                yield event
