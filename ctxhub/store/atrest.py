"""What deleted keys leave in the server's own files, until those are written anew."""

from __future__ import annotations

import asyncio
import time

from redis import exceptions

from ctxhub.store.redis import Server

_POLL = 0.05


class NotAllowed(Exception):
    """The server does not let this user write its files anew; an operator has to."""


class AtRest:
    """Has the server write its append-only file anew, without what was deleted."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def note_erasure(self) -> None:
        """Note that something was erased since the files were written anew."""
        await self._server.call("HINCRBY", self._server.keys.founding, "erasures", 1, writes=True)

    async def is_behind(self) -> int:
        """Return the number of the last erasure that the files may still hold; 0 where there is none."""
        found = await self._server.call("HMGET", self._server.keys.founding, "erasures", "rewritten")
        erasures, rewritten = (int(number or 0) for number in found)
        return erasures if erasures > rewritten else 0

    async def note_rewritten(self, erasure: int) -> None:
        """Note up to which erasure the files hold nothing any more."""
        await self._server.call("HSET", self._server.keys.founding, "rewritten", erasure, writes=True)

    async def rewrite(self, within: float) -> bool:
        """Write the append-only file anew; False where that did not end in time, `NotAllowed` where it may not."""
        give_up_at = time.monotonic() + within
        try:
            if not await self._ended(give_up_at):  # one that began before the erasure does not count
                return False
            await self._begin()
            return await self._ended(give_up_at)
        except exceptions.NoPermissionError as error:
            raise NotAllowed(str(error)) from error

    async def _begin(self) -> None:
        """Ask for a rewrite; where another one got in between, that one will do as well."""
        try:
            await self._server.call("BGREWRITEAOF", writes=True)
        except exceptions.NoPermissionError:
            raise
        except exceptions.ResponseError:
            return

    async def _ended(self, give_up_at: float) -> bool:
        """Wait until no rewrite is under way."""
        while True:
            info = (await self._server.call("INFO", "persistence")).decode()
            if "aof_rewrite_in_progress:1" not in info and "aof_rewrite_scheduled:1" not in info:
                return "aof_last_bgrewrite_status:ok" in info
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(_POLL)
