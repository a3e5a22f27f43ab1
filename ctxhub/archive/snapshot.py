"""A copy of an archive that is a file, taken while hubs write to it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url

from ctxhub.settings import CannotStart

FILE = "archive.db"


def is_a_file(url: str) -> bool:
    """Tell whether an archive is a file, that can be copied here."""
    return make_url(url).get_backend_name() == "sqlite"


def copy_archive(url: str, into: Path) -> None:
    """Copy an archive as it stands at one instant."""
    source = Path(str(make_url(url).database))
    if not source.is_file():
        raise CannotStart(f"{source} is not there: set CTXHUB_ARCHIVE to the archive of this hub")
    try:
        with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(into / FILE)) as there:
            here.backup(there)
    except sqlite3.Error as error:
        raise CannotStart(f"the archive can't be copied: {error}") from error


def put_archive_back(copied: Path, url: str) -> None:
    """Put a copy where an archive is to be; one that is there already is not overwritten."""
    there = Path(str(make_url(url).database))
    if there.exists():
        raise CannotStart(f"{there} is there already: move it away, or name another folder with --data")
    there.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(copied / FILE, there)
