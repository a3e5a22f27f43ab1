"""What deleted keys leave in the server's own files, until those are written anew."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from redis import exceptions

from ctxhub.errors import Unavailable
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
        """Write the append-only files anew; False where that did not end in time, `NotAllowed` where it may not."""
        give_up_at = time.monotonic() + within
        if not await self._ended(give_up_at):  # one that began before the erasure does not count
            return False
        await self._told("BGREWRITEAOF")
        return await self._ended(give_up_at)

    async def _told(self, *command: str) -> list[Any]:
        """Tell every server that takes writes; what each of them answers, or says against it."""
        answers = await self._server.everywhere(*command)
        for answer in answers:
            if isinstance(answer, exceptions.NoPermissionError):
                raise NotAllowed(str(answer)) from answer
            if isinstance(answer, BaseException) and not isinstance(answer, exceptions.ResponseError):
                raise Unavailable("one of the Redis servers does not answer") from answer
        return answers  # where another rewrite got in between, that one will do as well

    async def _ended(self, give_up_at: float) -> bool:
        """Wait until no rewrite is under way anywhere."""
        while True:
            infos = [bytes(info).decode() for info in await self._told("INFO", "persistence")]
            if not any("aof_rewrite_in_progress:1" in info or "aof_rewrite_scheduled:1" in info for info in infos):
                return all("aof_last_bgrewrite_status:ok" in info for info in infos)
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(_POLL)
