"""After erasures the file of a SQLite archive is written anew: no byte of who was erased stays, not even in a gap."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from ctxhub.archive import Archive, Copy, Entry, Row, database, writing
from ctxhub.errors import Unavailable
from ctxhub.store.codec import digest

CUSTOMERS = 600
MARK = re.compile(rb"of-c\d{4}-\d\d")


@pytest.fixture
async def file_archive(tmp_path: Path) -> AsyncIterator[Archive]:
    """An archive in a file."""
    archive = Archive(f"sqlite:///{tmp_path / 'archive.db'}")
    yield archive
    await archive.aclose()


def a_copy(number: int, versions: range, chance: random.Random) -> Copy:
    """A part of a customer's timeline as the hub archives it."""
    entries = [
        Entry(version, f"of-c{number:04}-{version:02}".encode() * chance.randint(3, 40),
              digest(f"e{number}-{version}").encode(), "p", 1, lasting=False)
        for version in versions
    ]  # fmt: skip
    return Copy(
        row=Row("acme", f"c{number:04}"), had=None, born="b", version=versions[-1], document_version=1, commit="x",
        beside=b"{}", document=b"d" * chance.randint(50, 900), live=False, entries=entries, leads=[], leads_print="",
        replaces=False,
    )  # fmt: skip


async def lived(archive: Archive) -> None:
    """Let many live side by side, in any order, and all but a few be erased."""
    chance = random.Random(7)
    for versions in (range(1, 4), range(4, 9)):
        numbers = list(range(CUSTOMERS))
        chance.shuffle(numbers)
        for at in range(0, CUSTOMERS, 25):
            rows = [Row("acme", f"c{number:04}") for number in numbers[at : at + 25]]
            held = await archive.held(rows)
            copies = [a_copy(number, versions, chance)._replace(had=held.get(row))
                      for number, row in zip(numbers[at : at + 25], rows, strict=True)]  # fmt: skip
            assert (await archive.keep(copies, 1)).stale == []
    for number in range(CUSTOMERS):
        if number % 20:
            await archive.erase(Row("acme", f"c{number:04}"), "b", 2)


def marks_in(folder: Path) -> set[bytes]:
    """The customers whose bytes stand in the archive's files."""
    content = b"".join(path.read_bytes() for path in folder.glob("archive.db*"))
    return {mark[3:8] for mark in MARK.findall(content)}


ALIVE = {f"c{number:04}".encode() for number in range(0, CUSTOMERS, 20)}


async def test_nothing_of_the_erased_stays_in_the_file(file_archive: Archive, tmp_path: Path) -> None:
    await lived(file_archive)
    assert await file_archive.write_anew() is True
    assert marks_in(tmp_path) == ALIVE


async def test_a_file_too_large_for_that_says_so_and_has_gaps(
    file_archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LARGEST_IN_PASSING", 1000)
    await lived(file_archive)
    assert await file_archive.write_anew() is False
    assert marks_in(tmp_path) > ALIVE


async def test_a_log_that_somebody_reads_is_not_taken_for_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_AFTER", 0.1)
    archive = Archive(f"sqlite:///{tmp_path / 'archive.db'}")
    await lived(archive)
    with closing(sqlite3.connect(tmp_path / "archive.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM ctxhub_events").fetchone()
        with pytest.raises(Unavailable, match="reads from the archive's log"):
            await archive.write_anew()
        reader.execute("COMMIT")
        assert await archive.write_anew() is True
    await archive.aclose()
