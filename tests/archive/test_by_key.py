"""Whatever is asked of the archive of customers is looked up: no question looks through all of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, event

from ctxhub.archive import Archive
from ctxhub.archive.rows import Copy, Entry, Held, Lead, Row

OF_CUSTOMERS = ("ctxhub_documents", "ctxhub_events", "ctxhub_leads", "ctxhub_strays", "ctxhub_erased")
ROWS = [Row("acme", "c1"), Row("acme", "c2"), Row("bank", "c1")]


class Asked(NamedTuple):
    """A statement, and what it was asked with."""

    statement: str
    given: Any


@pytest.fixture
def asked() -> Iterator[list[Asked]]:
    """Every statement that is sent to a database while the test runs."""
    noted: list[Asked] = []

    def note(_: Any, __: Any, statement: str, given: Any, ___: Any, many: bool) -> None:
        noted.append(Asked(statement, given[0] if many else given))

    event.listen(Engine, "before_cursor_execute", note)
    yield noted
    event.remove(Engine, "before_cursor_execute", note)


def a_copy(row: Row, version: int, had: Held | None = None, replaces: bool = False) -> Copy:
    """A customer up to a version, who has a telephone number."""
    entry = Entry(version, b"2 chat  x", f"digest-{version}".encode(), "p", 1_000 + version, lasting=False)
    leads = [Lead(f"{row.tenant}-{row.customer_id}", "phone", "verified")]
    return Copy(row, had, "born", version, 1, f"commit-{version}", b"{}", b"document", True, [entry], leads, "print",
                replaces)  # fmt: skip


async def everything_that_is_asked_of_customers(archive: Archive) -> None:
    """Write customers of two tenants, and write them again; ask all that the hub ever asks; erase one."""
    await archive.keep([a_copy(row, 1) for row in ROWS], 1)
    held = await archive.held(ROWS)
    await archive.keep([a_copy(row, 2, held[row]) for row in ROWS], 2)
    again = await archive.held(ROWS)
    unchanged = a_copy(ROWS[0], 3, again[ROWS[0]])._replace(document=None, leads=None)
    await archive.keep([unchanged, a_copy(ROWS[1], 3, again[ROWS[1]], replaces=True)], 3)
    assert (await archive.document(ROWS[0])) is not None
    assert await archive.leads(["acme-c1", "bank-c1"])
    assert await archive.names_of(ROWS)
    assert await archive.entries(ROWS[0], 1, 3)
    await archive.newest(ROWS[0], 3, 20, 0)
    await archive.blank(ROWS[0], [(1, b"2 chat  x", b"2 chat  y")])
    await archive.set_aside(ROWS[0], [(1, b"another", b"2 chat  z")], 4)
    await archive.drop_aside(ROWS[0], 5)
    await archive.besides(ROWS[0], 10)
    await archive.put_besides([(ROWS[0], b"{}", b"{ }")])
    await archive.versions_since(2, True, ROWS[0], 10)
    await archive.erase(ROWS[2], "born", 6)


async def test_no_question_looks_through_all_customers(tmp_path: Path, asked: list[Asked]) -> None:
    archive = Archive(f"sqlite:///{tmp_path / 'archive.db'}")
    try:
        await archive.identity()
        asked.clear()
        await everything_that_is_asked_of_customers(archive)
    finally:
        await archive.aclose()
    questions = [one for one in asked if any(table in one.statement for table in OF_CUSTOMERS)]
    assert len(questions) > 20
    with sqlite3.connect(tmp_path / "archive.db") as looked:
        plans = {one.statement: looked.execute(f"EXPLAIN QUERY PLAN {one.statement}", one.given).fetchall()
                 for one in questions}  # fmt: skip
    looked.close()
    through = {statement: plan for statement, plan in plans.items() for step in plan
               if step[3].startswith(tuple(f"SCAN {table}" for table in OF_CUSTOMERS))}  # fmt: skip
    assert through == {}
