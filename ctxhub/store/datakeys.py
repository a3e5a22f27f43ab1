"""The wrapped data keys of all customers in Redis: gone through, and put in place anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server

SCANNED_AT_ONCE = 1000


class DataKeys:
    """Reads and replaces data keys where they stand, beside contexts, without reading those."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def every(self) -> AsyncIterator[list[tuple[Who, str]]]:
        """Yield whose data keys there are, some at a time; one may come twice."""
        async for names in self._server.scan(self._server.keys.contexts_pattern, SCANNED_AT_ONCE):
            found = await self._server.pipeline(*[("HGET", name, "key") for name in names])
            whos = [Who(*self._server.keys.whose(name.decode())) for name in names]
            yield [(who, key.decode()) for who, key in zip(whos, found, strict=True) if key]

    async def replace(self, changes: Sequence[tuple[Who, str, str]]) -> int:
        """Replace data keys, given as before and after, where they are still so; return how many."""
        calls = [([self._server.keys.customer(*who).context], [old, new]) for who, old, new in changes]
        return sum(await self._server.run_many("rewrap", calls)) if calls else 0
