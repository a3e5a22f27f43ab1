"""What is written on: the terminal or a pipe, in one language, with nothing in it that could move the cursor."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ctxhub.looking.words import SAID, Lang

__all__ = ["Paper", "plain", "written"]

# Wide enough that a table needs no folding where nobody has said how wide the page is.
_WIDTH_OF_A_PIPE = 160
_JOINS_LETTERS = {"\u200c", "\u200d", "\ufe0f"}
_UNITS = (
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("min", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
)


def plain(text: str) -> str:
    """Return a text with what can't be seen spelled out: customers must not paint on an operator's screen."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _JOINS_LETTERS else c.encode("unicode_escape").decode() for c in text)


def written(value: Any) -> str:
    """Write any value in one line: a text as it is, all else as JSON."""
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


class _Console(Console):
    """A console that lets the command know when whoever read it has had enough."""

    def on_broken_pipe(self) -> None:
        """Leave it to the command."""
        raise BrokenPipeError


class Paper:
    """A page for eyes; lines meant for nobody but eyes go to stderr."""

    def __init__(self, language: Lang) -> None:
        self.language = language
        self.console = _Console(highlight=False, markup=False, emoji=False, width=_width())
        self._aside = Console(highlight=False, markup=False, emoji=False, stderr=True)

    def say(self, word: str, **values: Any) -> str:
        """Return what the page says for a word."""
        return SAID[self.language][word].format(**values)

    def title(self, word: str) -> None:
        """Begin a part of the page."""
        self.console.print()
        self.console.print(Text(self.say(word), style="bold cyan"))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
        """Print rows under their heads, without the columns in which nothing stands."""
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
        cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        shown = [place for place in range(len(columns)) if any(row[place] for row in cells)]
        for place in shown:
            table.add_column(self.say(columns[place]), overflow="fold")
        for row in cells:
            table.add_row(*(row[place] for place in shown))
        self.console.print(table)

    def line(self, *parts: tuple[str, str] | str) -> None:
        """Print one line of texts, each with its style; it is broken where the page ends, nowhere else."""
        self.console.print(Text.assemble(*parts), soft_wrap=True)

    def aside(self, word: str, **values: Any) -> None:
        """Tell whoever looks what is no part of the output."""
        self._aside.print(Text(self.say(word, **values), style="dim"))

    def span(self, span: timedelta) -> str:
        """Write how long something lasts, in its largest unit."""
        unit, size = next(((unit, size) for unit, size in _UNITS if span >= size), _UNITS[-1])
        return self.say(unit, n=span // size)

    def when(self, at: datetime | None) -> str:
        """Write how long ago something was, or how soon it will be."""
        if at is None:
            return ""
        past = datetime.now(UTC) - at
        if abs(past) < timedelta(seconds=1):
            return self.say("now")
        return self.say("ago" if past > timedelta() else "in", span=self.span(abs(past)))


def _width() -> int | None:
    return None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
