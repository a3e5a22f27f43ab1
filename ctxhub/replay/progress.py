"""How far a run is: a bar for eyes, a line now and then for a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ctxhub.replay.play import Played
from ctxhub.replay.run import Progress as Told

_LINE_EVERY = 5.0


@contextmanager
def progress_of(total: int, console: Console) -> Iterator[Told]:
    """Show the progress of so many plays for as long as the block lasts."""
    if not console.is_terminal:
        yield _Lines(total, console)
        return
    columns = (TextColumn("playing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("playing", total=total)
        yield lambda played: bar.advance(task)


class _Lines:
    """Prints a line every few seconds."""

    def __init__(self, total: int, console: Console) -> None:
        self._total = total
        self._console = console
        self._done = 0
        self._next_at = time.monotonic() + _LINE_EVERY

    def __call__(self, played: Played) -> None:
        self._done += 1
        if time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + _LINE_EVERY
        self._console.print(f"{self._done} of {self._total} plays", highlight=False)
