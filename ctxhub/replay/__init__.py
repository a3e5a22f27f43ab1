"""The player: recorded dialogues go from channel to channel, over real HTTP, and what is carried over is judged.

It does what customers and agents do, and sees what they see: TwiML, the chat's and the desk's own requests. Nothing
is judged by what the hub's API says. That the judge can see a loss is shown each time: the same dialogues are played
with the hub's knowledge switched off, where every fact must be asked for again on every hop.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvloop
from rich.console import Console

from ctxhub.replay.dialogues import BadFile, read
from ctxhub.replay.process import CannotPlay
from ctxhub.replay.progress import progress_of
from ctxhub.replay.report import show, write
from ctxhub.replay.run import run

__all__ = ["console_for", "main"]

_WIDTH = 110


def main(
    file: Path, url: str | None = None, limit: int | None = None, parallel: int = 1, json_path: Path | None = None
) -> int:
    """Play the dialogues of a file: 0 if all is as it should be, 1 if not, 2 if the file can't be played."""
    try:
        dialogues = read(file, limit)
    except BadFile as error:
        print(error, file=sys.stderr)
        return 2
    console = console_for()
    try:
        with progress_of(2 * len(dialogues), console) as progress:
            report = uvloop.run(run(dialogues, url, parallel, progress))
    except CannotPlay as error:
        print(f"ctxhub: {error}", file=sys.stderr)
        return 1
    show(report, console)
    if json_path is not None:
        write(report, json_path)
    return 1 if report.complaints() else 0


def console_for() -> Console:
    """Return what to print on: as wide as the terminal, and wide enough for a table where there is none."""
    return Console(width=None if sys.stdout.isatty() else _WIDTH)
