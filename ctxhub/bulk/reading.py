"""A file as the customers it brings: JSON lines or a table, one after the other, each with where it ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ctxhub.bulk.lines import Line, Source
from ctxhub.bulk.mapping import Meanings, Table, understood
from ctxhub.bulk.record import Fault, Incoming, read_json
from ctxhub.bulk.tables import Dialect, delimiter_of, rows, too_long
from ctxhub.settings import CannotStart

Format = Literal["csv", "jsonl"]


class Entry(NamedTuple):
    """One customer of a file, or what is wrong with its line; the next begins at byte `ends_at`, line `next_line`."""

    line: int
    next_line: int
    ends_at: int
    incoming: Incoming | list[Fault]


class Way(NamedTuple):
    """How a file is to be read."""

    format: Format
    encoding: str
    delimiter: str | None
    meanings: Meanings
    told_at: datetime


class From(NamedTuple):
    """Where to begin: at which byte, which is the start of which line."""

    byte: int = 0
    line: int = 1


START = From()


def format_of(path: Path) -> Format:
    """Return how a file is written, by its name."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    if suffixes and suffixes[-1] in (".csv", ".tsv", ".txt"):
        return "csv"
    if suffixes and suffixes[-1] in (".jsonl", ".ndjson", ".json"):
        return "jsonl"
    raise CannotStart(f"{path.name} does not say how it is written: add --format csv or --format jsonl")


def entries(source: Source, way: Way, begin: From = START) -> Iterator[Entry]:
    """Yield the customers of a file from a place on; a header that does not fit is refused at once."""
    if way.format == "jsonl":
        return _objects(source, begin)
    return _table(source, way, begin)


def _objects(source: Source, begin: From) -> Iterator[Entry]:
    """Yield the customers of JSON lines; empty ones are passed over."""
    for line in source.lines(*begin):
        if line.content is None or line.content.strip():
            yield Entry(line.number, line.number + 1, line.ends_at, _read(line))


def _read(line: Line) -> Incoming | list[Fault]:
    """Read one JSON line."""
    return read_json(line.content) if line.content is not None else [too_long()]


def _table(source: Source, way: Way, begin: From) -> Iterator[Entry]:
    """Yield the customers of a table."""
    header = next(source.lines(), None)
    if header is None:
        raise CannotStart(f"{source.path} is empty")
    dialect, table = _opened(header, way)
    start = begin if begin.byte else From(header.ends_at, 2)
    for row in rows(source.lines(*start), dialect):
        incoming = [row.cells] if isinstance(row.cells, Fault) else table.read(row.cells)
        yield Entry(row.number, row.next_line, row.ends_at, incoming)


def _opened(header: Line, way: Way) -> tuple[Dialect, Table]:
    """Return how a table is written and what its columns mean."""
    text = Dialect(_encoding(way.encoding), ",").text(header)
    if isinstance(text, Fault):
        raise CannotStart(f"the header can't be read: {text.problem}; {text.remedy}")
    dialect = Dialect(_encoding(way.encoding), way.delimiter or delimiter_of(text))
    row = next(rows([header], dialect), None)
    if row is None or isinstance(row.cells, Fault):
        raise CannotStart("the first line must name the columns; it is empty or not closed")
    names = [name.strip() for name in row.cells]
    return dialect, Table(names, understood(names, way.meanings.columns), _zone(way.meanings), way.told_at)


def _encoding(name: str) -> str:
    """Return an encoding in which a line ends where its bytes say so."""
    try:
        if "\n".encode(name) == b"\n":
            return name
    except LookupError:
        pass
    raise CannotStart(f"--encoding {name}: write utf-8, gb18030, big5 or another in which a line's end is one byte")


def _zone(meanings: Meanings) -> ZoneInfo | None:
    """Return the zone of times without an offset."""
    if meanings.timezone is None:
        return None
    try:
        return ZoneInfo(meanings.timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise CannotStart(f"--timezone {meanings.timezone}: write a name such as Asia/Shanghai or UTC") from None
