"""Sweeping: after erasures the files of the server and of the archive are written anew, often enough and no oftener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from ctxhub.archive import Archive
from ctxhub.errors import CtxhubError
from ctxhub.store.atrest import AtRest, NotAllowed

log = structlog.get_logger()
_ENDS_WITHIN = 60.0


class Sweeping:
    """Has files written anew that may still hold what was erased; one process does, the one that `leads`."""

    def __init__(self, at_rest: AtRest, archive: Archive | None, leads: Callable[[], bool], within: float) -> None:
        self._at_rest = at_rest
        self._archive = archive
        self._leads = leads
        self._pause = within / 4
        self._has_complained = False
        self._has_told = False

    async def run(self) -> None:
        """Sweep until cancelled; all that is erased between two rounds costs one."""
        while True:
            await asyncio.sleep(self._pause)
            try:
                if self._leads():
                    await self.sweep()
            except CtxhubError as error:
                log.warning("sweep.delayed", reason=error.detail)
            except Exception:  # the next round tries again; nothing else depends on it
                log.exception("sweep.failed")

    async def sweep(self) -> bool:
        """Have the files written anew if something was erased since; tell whether it was done."""
        erasure = await self._at_rest.is_behind()
        if not erasure:
            return False
        try:
            done = await self._at_rest.rewrite(_ENDS_WITHIN)
        except NotAllowed as refusal:
            self._complain(str(refusal))
            return False
        if self._archive is not None and not await self._archive.write_anew():
            self._tell_of_remnants()
        if done:
            await self._at_rest.note_rewritten(erasure)
            log.info("sweep.done", erasures=erasure)
        return done

    def _tell_of_remnants(self) -> None:
        """Say once that bytes of what was erased may stand in the archive's files until others take their place."""
        if not self._has_told:
            log.warning("sweep.remnants", remedy="run VACUUM (PostgreSQL: VACUUM FULL) on the archive at a quiet hour")
        self._has_told = True

    def _complain(self, why: str) -> None:
        """Say once what the operator has to do instead."""
        if not self._has_complained:
            remedy = "allow BGREWRITEAOF and INFO, or run BGREWRITEAOF after erasures yourself"
            log.error("sweep.not_allowed", reason=why, remedy=remedy)
        self._has_complained = True
