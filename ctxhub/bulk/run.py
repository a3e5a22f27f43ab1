"""An import from beginning to end: read a batch, bring it in, note how far it is, and so on."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ctxhub.bulk.importing import Numbered, Outcome
from ctxhub.bulk.journal import Journal
from ctxhub.bulk.lines import Source
from ctxhub.bulk.reading import START, Entry, From, Way, entries
from ctxhub.bulk.record import Fault, Incoming
from ctxhub.bulk.report import Counts, Refusals, Told
from ctxhub.settings import CannotStart

_MOST_BYTES = 8 << 20
_SEVERAL = "one line a customer: join them, or say --several-lines to take them in their order"


class Job(NamedTuple):
    """What is to be imported, and how."""

    path: Path
    way: Way
    tenant: str
    source: str
    batch: int
    refused: Path
    journal: Path
    several_lines: bool
    dry: bool
    resume: bool

    def told_as(self) -> str:
        """Return what tells this import from one of another file or with other words."""
        about = self.path.stat()
        words = (self.path.name, about.st_size, about.st_mtime_ns, self.way, self.tenant, self.source)
        return hashlib.sha256(repr((*words, self.several_lines, self.dry)).encode()).hexdigest()


class Brings(Protocol):
    """Brings batches in, here or elsewhere; so many may wait behind the one that comes next."""

    ahead: int

    async def bring(self, batch: Sequence[Numbered]) -> list[Outcome]:
        """Bring a batch in; say what became of each line."""


class Batch(NamedTuple):
    """Lines to be brought in side by side, those refused already, and where the next batch begins."""

    good: list[Numbered]
    refused: list[Outcome]
    ends: From


class Import:
    """One import under way."""

    def __init__(self, job: Job, source: Source) -> None:
        self._job = job
        self._source = source
        open_journal = Journal.resumed if job.resume else Journal.begun
        self._journal = open_journal(job.journal, job.told_as())
        told: dict[str, Any] = self._journal.told()
        self._at = From(*told.get("at", START))
        self.counts = Counts(*told.get("counts", ()))
        self._refusals = Refusals(job.refused, told.get("refused", 0))
        self._under_way: deque[tuple[Batch, asyncio.Task[list[Outcome]]]] = deque()

    async def run(self, importer: Brings, told: Told) -> Counts:
        """Bring everything in; what was done is noted after each batch, also where it ends by a fault."""
        try:
            await self._all(importer, told)
        finally:
            for _, task in self._under_way:
                task.cancel()
            await asyncio.gather(*(task for _, task in self._under_way), return_exceptions=True)
            self._refusals.close()
            self._journal.close()
        self._journal.remove()
        return self.counts

    async def _all(self, importer: Brings, told: Told) -> None:
        """Bring batch after batch in; while one waits for Redis the next is begun, where order does not matter."""
        ahead = 0 if self._job.several_lines else importer.ahead
        try:
            for batch in self._batches():
                self._under_way.append((batch, asyncio.create_task(importer.bring(batch.good))))
                if len(self._under_way) > ahead:
                    await self._finish()
                    told(self._source.passed)
        except CannotStart:  # the file breaks off: what it held is brought in
            await self._finish_all()
            raise
        await self._finish_all()

    async def _finish_all(self) -> None:
        """Finish every batch that is under way."""
        while self._under_way:
            await self._finish()

    async def _finish(self) -> None:
        """Wait for the oldest batch under way, count it, and note how far the import is."""
        batch, task = self._under_way[0]
        outcomes = await task
        self._under_way.popleft()
        for outcome in sorted([*batch.refused, *outcomes], key=lambda outcome: outcome.line):
            self._count(outcome)
        length = self._refusals.length()
        self._journal.note({"at": batch.ends, "counts": self.counts, "refused": length})

    def _batches(self) -> Iterator[Batch]:
        """Yield the lines in batches: as many as were asked for, or fewer where they are long."""
        read, begins = entries(self._source, self._job.way, self._at), self._at.byte
        batch = Batch([], [], self._at)
        for count, entry in enumerate(read, 1):
            batch = self._with(batch, entry)
            if count % self._job.batch == 0 or entry.ends_at - begins > _MOST_BYTES:
                yield batch
                batch, begins = Batch([], [], batch.ends), entry.ends_at
        if batch.good or batch.refused:
            yield batch

    def _with(self, batch: Batch, entry: Entry) -> Batch:
        """Add a line to a batch; one with faults, or about a customer who was there before, as refused."""
        faults = entry.incoming if isinstance(entry.incoming, list) else self._repeated(entry.line, entry.incoming)
        if faults:
            batch.refused.append(Outcome(entry.line, faults=faults))
        elif isinstance(entry.incoming, Incoming):
            batch.good.append(Numbered(entry.line, entry.incoming))
        return batch._replace(ends=From(entry.ends_at, entry.next_line))

    def _repeated(self, line: int, incoming: Incoming) -> list[Fault]:
        """Return the fault of a second line about a customer."""
        first = line if self._job.several_lines else self._journal.first_line_of(incoming.key, line)
        problem = f"the same customer stands on line {first}"
        return [Fault("customer_id", problem, _SEVERAL)] if first != line else []

    def _count(self, outcome: Outcome) -> None:
        """Count what became of a line, and report what is wrong with it."""
        self._refusals.add(outcome.line, outcome.faults, True)
        self._refusals.add(outcome.line, outcome.notices, False)
        became = "refused" if outcome.faults else outcome.became
        more = {became: 1} if became else {}
        self.counts = self.counts.plus(lines=1, ambiguous=len(outcome.notices), **more)
