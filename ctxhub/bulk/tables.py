"""Rows of a CSV file: quoted texts may run over several lines, and one that never ends costs a single row."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ctxhub.bulk.lines import LONGEST, Line
from ctxhub.bulk.record import Fault

_DELIMITERS = ",;\t|"
_QUOTE = '"'
_MOST_LINES = 1000


class Row(NamedTuple):
    """One row: the number of its first line, that of the next row's, the byte there, its cells or what is wrong."""

    number: int
    next_line: int
    ends_at: int
    cells: list[str] | Fault


class Dialect(NamedTuple):
    """How a file is written: its encoding and what stands between two cells."""

    encoding: str
    delimiter: str

    def text(self, line: Line) -> str | Fault:
        """Return a line's text, or why it can't be read."""
        if line.content is None:
            return too_long()
        try:
            text = line.content.decode(self.encoding)
        except UnicodeDecodeError as error:
            return undecodable(error, self.encoding)
        return Fault("", "a NUL byte stands in it", "take it out: this may be no text file") if "\0" in text else text


def too_long() -> Fault:
    """Return the fault of a line that is too long."""
    return Fault(
        "", f"the line has more than {LONGEST >> 20} MiB", "split it; a customer's document has 256 KB at most"
    )


def undecodable(error: UnicodeDecodeError, encoding: str) -> Fault:
    """Return the fault of bytes that are not in the encoding."""
    problem = f"byte {error.start + 1} is not {encoding}: 0x{error.object[error.start]:02x}"
    return Fault("", problem, "say the file's own --encoding, such as gb18030")


def delimiter_of(header: str) -> str:
    """Return what stands between the cells of a header: whatever of the usual ones there is most of."""
    bare = "".join(header.split(_QUOTE)[::2])
    return max(_DELIMITERS, key=bare.count)


def rows(lines: Iterable[Line], dialect: Dialect) -> Iterator[Row]:
    """Yield the rows of some lines; empty ones are passed over."""
    csv.field_size_limit(LONGEST)
    waiting = _Waiting(lines)
    for line in waiting:
        text = dialect.text(line)
        if isinstance(text, Fault):
            yield Row(line.number, line.number + 1, line.ends_at, text)
        elif text.count(_QUOTE) % 2 == 0:
            if text.strip():
                yield _row(line.number, line, text, dialect.delimiter)
        else:
            yield _over_several(waiting, line, text, dialect)


class _Waiting:
    """Lines, some of which may be given back to be read again."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._back: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return self._back.popleft() if self._back else next(self._lines)

    def give_back(self, lines: list[Line]) -> None:
        """Let lines be read again."""
        self._back.extendleft(reversed(lines))


def _over_several(waiting: _Waiting, first: Line, text: str, dialect: Dialect) -> Row:
    """Return a row whose quoted text goes on in the next lines; where no quote ends it, the first line is at fault."""
    parts, taken, size = [text], [], len(text)
    for line in waiting:
        taken.append(line)
        more = dialect.text(line)
        if isinstance(more, Fault):
            break
        parts.append(more)
        size += len(more)
        if more.count(_QUOTE) % 2:
            return _row(first.number, line, "".join(parts), dialect.delimiter)
        if size > LONGEST or len(taken) >= _MOST_LINES:
            break
    waiting.give_back(taken)
    unclosed = Fault("", "a quote is opened and never closed", "close or double it")
    return Row(first.number, first.number + 1, first.ends_at, unclosed)


def _row(number: int, last: Line, text: str, delimiter: str) -> Row:
    """Return one row's cells."""
    cells: list[str] | Fault
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        cells = Fault("", f"that is no CSV: {error}", "put quotes around a text, and double its own")
    return Row(number, last.number + 1, last.ends_at, cells)
