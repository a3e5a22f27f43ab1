"""Of whom a source was asked, so that it is not asked again while it is being asked, or what it said is still good."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server

_ASKING, _ANSWERED = "asking", "answered"


class Asked:
    """Notes by customer which sources were asked, and have answered."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def _key(self, who: Who, source: str) -> str:
        """Spell the key of one source and customer, which names neither."""
        text = "\x1f".join((source, *who)).encode()
        return self._server.keys.lookup(who.tenant, "source", hashlib.blake2b(text, digest_size=16).hexdigest())

    async def begin(self, who: Who, source: str, lasts: timedelta) -> Literal["asking", "answered"] | None:
        """Be the one who asks, for so long at most; else return how it stands."""
        args = (self._key(who, source), _ASKING, "NX", "GET", "PX", _in_millis(lasts))
        before: bytes | None = await self._server.call("SET", *args, writes=True)
        if before is None:
            return None
        return "answered" if before.decode() == _ANSWERED else "asking"

    async def answered(self, who: Who, source: str, good_for: timedelta) -> None:
        """Note that a source has answered, and for how long that is good."""
        await self._server.call("SET", self._key(who, source), _ANSWERED, "PX", _in_millis(good_for), writes=True)

    async def leave(self, who: Who, sources: Sequence[str]) -> None:
        """Forget that sources were asked about a customer, so that the next occasion asks again."""
        commands = [("DEL", self._key(who, source)) for source in sources]
        await self._server.pipeline(*commands, writes=True)


def _in_millis(span: timedelta) -> int:
    """Return a length of time in ms."""
    return round(span.total_seconds() * 1000)
