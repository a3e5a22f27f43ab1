"""The archive as the hub calls it: every call has an end, runs beside the event loop, and says so where it can't."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from ctxhub.archive import reading, trails, writing
from ctxhub.archive.database import READERS, engines
from ctxhub.archive.rows import Archived, Copy, Held, Remembered, Row
from ctxhub.archive.tables import prepare
from ctxhub.archive.writing import Kept
from ctxhub.errors import Unavailable
from ctxhub.metrics import ARCHIVE_UP
from ctxhub.settings import CannotStart

log = structlog.get_logger()
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
_WRITTEN_WITHIN = 30.0
_LEFT_IN_PEACE = 1.0


class Archive:
    """Reads and writes rows; `Unavailable` where the database is away, full, read-only, or too slow."""

    def __init__(self, url: str, read_within: float = 1.0) -> None:
        self._reader, self._writer = engines(url)
        self._database = self._reader.dialect.name
        self._reading = ThreadPoolExecutor(READERS, "archive-reading")
        self._writing = ThreadPoolExecutor(1, "archive-writing")
        self._read_within = read_within
        self._id = ""
        self._well: bool | None = None
        self._not_before = 0.0
        self._documents = _Gathered(self._ask_documents)
        self._leads = _Gathered(self._ask_leads)

    @property
    def is_well(self) -> bool:
        """Tell whether the last call was answered."""
        return self._well is not False

    async def aclose(self) -> None:
        """Let go of all connections."""
        for executor in (self._reading, self._writing):
            executor.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(_dispose, self._reader, self._writer)

    async def identity(self) -> str:
        """Return by what a Redis knows this archive; makes the tables where there are none, `CannotStart` refuses."""
        if not self._id:
            self._id = await self._within(_WRITTEN_WITHIN, self._writing, partial(_done, self._writer, prepare))
        return self._id

    async def _prepared(self) -> None:
        """See to it that the tables are there."""
        try:
            await self.identity()
        except CannotStart as refusal:
            self._note(str(refusal))
            raise _away(str(refusal)) from refusal

    async def held(self, rows: Sequence[Row]) -> dict[Row, Held]:
        """Return how much the archive has of customers."""
        return await self._read(partial(reading.held, rows=rows))

    async def keep(self, copies: Sequence[Copy], now: int) -> Kept:
        """Write copies, all in one transaction."""
        return await self._write(partial(writing.keep, copies=copies, now=now))

    async def erase(self, row: Row, born: str, now: int) -> None:
        """Delete all of a customer, and let nothing of that life be written any more."""
        await self._write(partial(writing.erase, row=row, born=born, now=now))

    async def blank(self, row: Row, changes: Sequence[tuple[int, bytes, bytes]]) -> int:
        """Change entries of a timeline, given by version as before and after, where they are still so; how many."""
        return await self._write(partial(writing.blank, row=row, changes=changes))

    async def write_anew(self) -> bool:
        """Let the files of the database hold nothing that was erased; False where only others can see to that."""
        await self._prepared()
        return await self._within(_WRITTEN_WITHIN, self._writing, partial(_asked, self._reader, writing.write_anew))

    async def set_aside(self, row: Row, entries: Sequence[tuple[int, bytes, bytes]], now: int) -> int:
        """Keep aside what a timeline has otherwise, given as version, digest, entry; return how many these were."""
        return await self._write(partial(writing.set_aside, row=row, entries=entries, now=now))

    async def drop_aside(self, row: Row, before: int) -> int:
        """Delete what was set aside of a timeline before an instant in ms; return how many entries."""
        return await self._write(partial(writing.drop_aside, row=row, before=before))

    async def besides(self, after: Row, most: int) -> list[tuple[Row, bytes]]:
        """Return what stands beside documents, in the order of their names after one of them."""
        return await self._read(partial(reading.besides, after=after, most=most))

    async def put_besides(self, changes: Sequence[tuple[Row, bytes, bytes]]) -> int:
        """Change what stands beside documents, given as before and after, where it is still so; return how often."""
        return await self._write(partial(writing.put_besides, changes=changes))

    async def document(self, row: Row) -> Archived | None:
        """Return the last document of a customer."""
        return await self._documents.answer(row)

    async def leads(self, digests: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return where look-ups lead, as (customer, interaction or strength), the newest meaning last."""
        found = await asyncio.gather(*(self._leads.answer(digest) for digest in digests))
        return {digest: meanings for digest, meanings in zip(digests, found, strict=True) if meanings}

    async def names_of(self, rows: Sequence[Row]) -> list[tuple[str, str, str]]:
        """Return (tenant, kind, digest) of every look-up that leads to some customers."""
        return await self._read(partial(reading.names_of, rows=rows))

    async def entries(self, row: Row, first: int, last: int) -> list[tuple[int, bytes]]:
        """Return entries of a timeline with their versions."""
        return await self._read(partial(reading.entries, row=row, first=first, last=last))

    async def newest(
        self, row: Row, version: int, most: int, since: int
    ) -> tuple[list[tuple[int, bytes]], list[Remembered]]:
        """Return the newest entries up to a version, and the event ids that may come again."""
        return await self._read(partial(_newest, row=row, version=version, most=most, since=since))

    async def newest_at(self) -> int:
        """Return when something was archived last, in ms; 0 for an archive that has nothing."""
        return await self._write(reading.newest_at)

    async def versions_since(self, since: int, live_only: bool, after: Row, most: int) -> list[tuple[Row, Held, bool]]:
        """Return who was archived since an instant, in the order of their names after one of them."""
        ask = partial(reading.versions_since, since=since, live_only=live_only, after=after, most=most)
        return await self._write(ask)  # it may take longer than a channel can wait

    async def trail_tenants(self) -> set[str]:
        """Return the tenants of whose audit trails anything is here."""
        return await self._write(trails.tenants)

    async def trail_head(self, tenant: str) -> trails.TrailHead | None:
        """Return how a tenant's audit trail stands; None where there is none."""
        return await self._write(partial(trails.head, tenant=tenant))

    async def append_trail(self, tenant: str, before: int, row: trails.TrailRow, link: str, chained: str) -> bool:
        """Put a batch, whose last link is given, after entry number `before`; False if another did meanwhile."""
        ask = partial(trails.append, tenant=tenant, before=before, row=row, link=link, chained=chained)
        return await self._write(ask)

    async def trail_after(self, tenant: str, sequence: int, since: int) -> list[trails.TrailRow]:
        """Return the next batches of a trail that end after a number, of those chained since an instant in ms."""
        return await self._write(partial(trails.rows_after, tenant=tenant, sequence=sequence, since=since))

    async def trail_before(self, tenant: str, at: int) -> trails.TrailRow | None:
        """Return the last batch of a trail chained before an instant in ms."""
        return await self._write(partial(trails.last_before, tenant=tenant, at=at))

    async def let_go_of_trail(self, tenant: str, upto: int, start: str) -> None:
        """Let go of the entries of a trail up to a number; the sealed start stands for them."""
        await self._write(partial(trails.let_go, tenant=tenant, upto=upto, start=start))

    async def _ask_documents(self, rows: Sequence[Row]) -> dict[Row, Archived]:
        """Ask for several documents at once."""
        return await self._read(partial(reading.documents_of, rows=rows))

    async def _ask_leads(self, digests: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Ask for several look-ups at once."""
        return await self._read(partial(reading.leads_to, digests=digests))

    async def _read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Ask something; while the archive is away, not oftener than it can bear."""
        if not self.is_well and time.monotonic() < self._not_before:
            raise _away("it did not answer a moment ago")
        await self._prepared()
        return await self._within(self._read_within, self._reading, partial(_asked, self._reader, work))

    async def _write(self, work: Callable[[Connection], Answer]) -> Answer:
        """Do something in a transaction."""
        await self._prepared()
        return await self._within(_WRITTEN_WITHIN, self._writing, partial(_done, self._writer, work))

    async def _within(self, seconds: float, executor: ThreadPoolExecutor, work: Callable[[], Answer]) -> Answer:
        """Wait for some work, but not for ever."""
        try:
            async with asyncio.timeout(seconds):
                answer = await asyncio.get_running_loop().run_in_executor(executor, work)
        except TimeoutError as error:
            self._note(f"it does not answer within {seconds:g} s")
            raise _away("it does not answer in time") from error
        except (DBAPIError, NoConnection) as error:
            reason = _reason(error)
            self._note(reason)
            raise _away(reason) from error
        self._note(None)
        return answer

    def _note(self, reason: str | None) -> None:
        """Remember whether the archive answers, and log when that changes."""
        self._not_before = time.monotonic() + _LEFT_IN_PEACE
        well, before = reason is None, self._well
        if well is before:
            return
        self._well = well
        ARCHIVE_UP.labels(self._database).set(well)
        if well and before is not None:
            log.info("archive.back")
        if not well:
            log.error("archive.away", reason=reason, remedy="Redis keeps everything until it is back")


class _Gathered(Generic[Asked, Answer]):
    """Questions of concurrent callers, asked together: one query at a time, with all that waits."""

    def __init__(self, ask: Callable[[Sequence[Asked]], Awaitable[dict[Asked, Answer]]]) -> None:
        self._ask = ask
        self._waiting: dict[Asked, asyncio.Future[Answer | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def answer(self, asked: Asked) -> Answer | None:
        """Return the answer to one question; None where there is none."""
        loop = asyncio.get_running_loop()
        future = self._waiting.setdefault(asked, loop.create_future())
        if self._asking is None or self._asking.done():
            self._asking = loop.create_task(self._ask_all())
        return await asyncio.shield(future)

    async def _ask_all(self) -> None:
        """Ask until nothing waits."""
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            try:
                answers = await self._ask(list(asked))
            except BaseException as error:
                _fail(asked.values(), error)
                if not isinstance(error, Exception):
                    raise
                continue
            for question, future in asked.items():
                if not future.done():
                    future.set_result(answers.get(question))


def _fail(futures: Iterable[asyncio.Future[Any]], error: BaseException) -> None:
    """Give an error to all who wait."""
    for future in futures:
        if not future.done():
            future.set_exception(error)
            future.exception()  # whoever waited may be gone


def _away(reason: str) -> Unavailable:
    """Return the refusal of what only the archive can tell."""
    return Unavailable(f"the archive can't be asked just now: {reason}", retry_after=1)


def _reason(error: Exception) -> str:
    """Say in one line what is wrong with the database."""
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split()) or type(cause).__name__


def _asked(engine: Engine, work: Callable[[Connection], Answer]) -> Answer:
    """Ask something over a connection."""
    with engine.connect() as connection:
        return work(connection)


def _done(engine: Engine, work: Callable[[Connection], Answer]) -> Answer:
    """Do something in a transaction."""
    with engine.begin() as connection:
        return work(connection)


def _newest(
    connection: Connection, row: Row, version: int, most: int, since: int
) -> tuple[list[tuple[int, bytes]], list[Remembered]]:
    """Return the newest entries up to a version, and the event ids that may come again."""
    newest = reading.entries(connection, row, max(1, version - most + 1), version)
    return newest, reading.remembered(connection, row, version, since)


def _dispose(*engines_: Engine) -> None:
    """Close all connections."""
    for engine in engines_:
        engine.dispose()
