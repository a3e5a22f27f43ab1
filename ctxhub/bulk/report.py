"""What an import tells: refused lines in a file, how far it is, and what it came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ctxhub.bulk.record import Fault
from ctxhub.settings import CannotStart

#: Called with how many bytes of the file are read.
Told = Callable[[int], None]


class Counts(NamedTuple):
    """What became of the lines so far."""

    lines: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    ambiguous: int = 0

    def plus(self, **more: int) -> Self:
        """Return the counts with some of them raised."""
        return self._replace(**{name: getattr(self, name) + amount for name, amount in more.items()})

    @property
    def taken(self) -> int:
        """How many lines were not refused."""
        return self.lines - self.refused


class Tally(NamedTuple):
    """What an export put back came to."""

    customers: int = 0
    there: int = 0
    events: int = 0
    others: int = 0
    refused: int = 0
    lapsed: int = 0


class Refusals:
    """The file of refused lines and of notices: JSON lines; there only if there are any."""

    def __init__(self, path: Path, length: int = 0) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._length = length
        if not length:
            path.unlink(missing_ok=True)

    def add(self, line: int, faults: Sequence[Fault], is_refused: bool) -> None:
        """Note what is wrong with a line."""
        for fault in faults:
            told = {"line": line, "column": fault.column, "problem": fault.problem, "remedy": fault.remedy}
            self._opened().write(orjson.dumps(told | {"refused": is_refused}) + b"\n")

    def _opened(self) -> BinaryIO:
        """Open the file; what a killed run wrote after its last batch is cut off, since it comes again."""
        if self._file is None:
            try:
                self._file = self.path.open("r+b" if self._length else "wb")
            except OSError as error:
                raise CannotStart(f"{self.path} can't be written ({error.strerror}): say --refused PATH") from error
            self._file.truncate(self._length)
            self._file.seek(self._length)
        return self._file

    def length(self) -> int:
        """Return how long the file is, with everything written out."""
        if self._file is None:
            return self._length
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


@contextmanager
def progress_of(size: int, what: str) -> Iterator[Told]:
    """Show on stderr how far a file is read, where somebody looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda passed: None
        return
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=size)
        yield lambda passed: bar.update(task, completed=passed)


def summary(counts: Counts, refused: Path, seconds: float, dry: bool) -> Iterator[str]:
    """Tell in a few lines what an import came to."""
    rate = f"{counts.lines / seconds:,.0f} a second" if seconds > 0 else ""
    if dry:
        yield f"would take {counts.taken:,} of {counts.lines:,} lines; nothing was written"
    else:
        told = f"{counts.new:,} new, {counts.changed:,} changed, {counts.unchanged:,} as they were"
        yield f"took {counts.taken:,} of {counts.lines:,} lines: {told}; {seconds:,.1f} s, {rate}"
    if counts.refused:
        yield f"refused {counts.refused:,} lines: {refused} says which and why"
    if counts.ambiguous:
        yield f"{counts.ambiguous:,} identifiers are ambiguous: {refused} says which"


def restored(tally: Tally, refused: Path) -> Iterator[str]:
    """Tell in a few lines what putting an export back came to."""
    yield f"put back {tally.customers:,} customers with {tally.events:,} events, and {tally.others:,} others"
    if tally.there:
        yield f"{tally.there:,} customers were there already, just so"
    if tally.lapsed:
        yield f"{tally.lapsed:,} customers have lapsed since"
    if tally.refused:
        yield f"refused {tally.refused:,} lines: {refused} says which and why"
