"""How far an import has come: kept beside the file, so that one that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from ctxhub.settings import CannotStart

_SHAPE = 1
_TABLES = """
CREATE TABLE told (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE customers (digest BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID;
"""


class Journal:
    """A small database: how far, what was counted, and on which line each customer stood first.

    It is written after Redis has taken a batch, so that it is never ahead; what is done twice changes nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._customers: dict[bytes, int] = {}
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")

    @classmethod
    def begun(cls, path: Path, of: str) -> Self:
        """Begin a journal anew; `of` says which file and which words it belongs to."""
        _remove(path)
        try:
            journal = cls(path)
            journal._database.executescript(_TABLES)
        except sqlite3.Error as error:
            raise CannotStart(f"{path} can't be written ({error}): name another place with --journal") from error
        journal.note({"shape": _SHAPE, "of": of})
        return journal

    @classmethod
    def resumed(cls, path: Path, of: str) -> Self:
        """Go on with a journal; one of another file, or of other words, is refused."""
        if not path.exists():
            raise CannotStart(f"there is no import to go on with, {path} is not there: leave out --resume")
        try:
            journal = cls(path)
            told = journal.told()
        except sqlite3.Error as error:
            raise CannotStart(f"{path} is no journal of an import ({error}): remove it, leave out --resume") from error
        if told.get("shape") != _SHAPE or told.get("of") != of:
            raise CannotStart(
                f"{path} belongs to another file, or to an import told otherwise: say the same words, "
                "or leave out --resume and begin anew; what is there already changes nothing"
            )
        return journal

    def note(self, more: Mapping[str, object]) -> None:
        """Keep some values, and the customers seen since, in one step."""
        pairs = [(key, json.dumps(value)) for key, value in more.items()]
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO told VALUES (?, ?)", pairs)
        self._database.executemany("INSERT OR IGNORE INTO customers VALUES (?, ?)", self._customers.items())
        self._database.execute("COMMIT")
        self._customers.clear()

    def told(self) -> dict[str, object]:
        """Return what was kept."""
        return {key: json.loads(value) for key, value in self._database.execute("SELECT key, value FROM told")}

    def first_line_of(self, customer: str, line: int) -> int:
        """Return the line on which a customer stood first, which may be this one."""
        digest = hashlib.blake2b(customer.encode(), digest_size=12).digest()
        if digest in self._customers:
            return self._customers[digest]
        found = self._database.execute("SELECT line FROM customers WHERE digest = ?", (digest,)).fetchone()
        if found is not None:
            return int(found[0])
        self._customers[digest] = line
        return line

    def close(self) -> None:
        """Leave it for a later run."""
        self._database.close()

    def remove(self) -> None:
        """Remove it, once closed: there is nothing to go on with."""
        _remove(self.path)


def _remove(path: Path) -> None:
    """Remove a journal and what its database keeps beside it."""
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
