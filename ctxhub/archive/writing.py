"""What is written to the archive, each in one transaction, and the same however often it is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, and_, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from ctxhub.archive.reading import held, of_each
from ctxhub.archive.rows import Copy, Row
from ctxhub.archive.tables import WRITTEN_AT, about, documents, erased, events, leads, strays
from ctxhub.errors import Unavailable

#: Bytes of a SQLite file that is written anew after erasures; a larger one would hold up writing for too long.
LARGEST_IN_PASSING = 512 * 1024 * 1024


class Kept(NamedTuple):
    """What became of copies: customers whom somebody else wrote meanwhile, erased ones, and entries set aside."""

    stale: list[Row]
    erased: list[Row]
    strays: int


def keep(connection: Connection, copies: Sequence[Copy], now: int) -> Kept:
    """Write copies; those made on something else than what is here by now are left out, and those of erased lives."""
    present = held(connection, [copy.row for copy in copies], locked=True)
    gone = _erased_among(connection, copies)
    fresh = [copy for copy in copies if present.get(copy.row) == copy.had and copy.row not in gone]
    aside = sum(_set_aside(connection, copy, now) for copy in fresh if copy.replaces)
    _upsert(connection, events, [_event(copy.row, entry) for copy in fresh for entry in copy.entries])
    _upsert(connection, documents, [_document(copy, now) for copy in fresh if copy.document is not None])
    _note(connection, [copy for copy in fresh if copy.document is None], now)
    _put_leads(connection, [copy for copy in fresh if copy.leads is not None], now)
    _upsert(connection, about, [{"name": WRITTEN_AT, "value": str(now)}])
    done = {copy.row for copy in fresh} | gone
    return Kept([copy.row for copy in copies if copy.row not in done], sorted(gone), aside)


def life(row: Row, born: str) -> str:
    """Name one life of a customer without naming anybody."""
    return hashlib.blake2b("\x1f".join((*row, born)).encode(), digest_size=16).hexdigest()


def _erased_among(connection: Connection, copies: Sequence[Copy]) -> set[Row]:
    """Return whose life was erased."""
    lives = {life(copy.row, copy.born): copy.row for copy in copies}
    names = list(lives)
    found: set[Row] = set()
    for at in range(0, len(names), 500):
        answers = connection.execute(select(erased.c.life).where(erased.c.life.in_(names[at : at + 500])))
        found |= {lives[name] for name in answers.scalars()}
    return found


def _event(row: Row, entry: Any) -> dict[str, Any]:
    """Spell one row of the events."""
    return {"tenant": row.tenant, "customer_id": row.customer_id, **entry._asdict()}


def _document(copy: Copy, now: int) -> dict[str, Any]:
    """Spell one row of the documents."""
    last = copy.entries[-1].digest if copy.entries else copy.had.last_digest if copy.had else b""
    return {
        "tenant": copy.row.tenant,
        "customer_id": copy.row.customer_id,
        "born": copy.born,
        "version": copy.version,
        "document_version": copy.document_version,
        "commit_id": copy.commit,
        "last_digest": last,
        "leads_print": copy.leads_print,
        "live": copy.live,
        "archived_at": now,
        "beside": copy.beside,
        "document": copy.document,
    }


def _upsert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Write rows, over those that are there."""
    if not rows:
        return
    statement = _insert(connection)(table)
    keys = [column.name for column in table.primary_key.columns]
    changes = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes), rows)


def _insert(connection: Connection) -> Callable[[Table], Any]:
    """Return the way to insert that knows conflicts."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


_NOTED = ("version", "last_digest", "archived_at", "beside")


def _note(connection: Connection, copies: Sequence[Copy], now: int) -> None:
    """Note how far the timelines of customers go whose documents did not change."""
    rows = [_document(copy, now) for copy in copies]
    if rows:
        noted = documents.update().where(_named(documents)).values({name: bindparam(f"new_{name}") for name in _NOTED})
        wanted = ("tenant", "customer_id")
        connection.execute(
            noted, [{f"of_{k}": row[k] for k in wanted} | {f"new_{k}": row[k] for k in _NOTED} for row in rows]
        )


def _named(table: Table) -> Any:
    """Return the condition that a row belongs to the customer that is given with it."""
    return and_(table.c.tenant == bindparam("of_tenant"), table.c.customer_id == bindparam("of_customer_id"))


def _put_leads(connection: Connection, copies: Sequence[Copy], now: int) -> None:
    """Let just these look-ups lead to customers, and no others; one that led there before stays untouched.

    A name that was used twice leads to where it was used last.
    """
    before = _leading(connection, [copy.row for copy in copies if copy.had is not None])
    named = [(copy.row, lead) for copy in copies for lead in copy.leads or ()]
    after = set({(lead.digest, row): _Led(lead.digest, row.customer_id, row.tenant, lead.kind, lead.to)
                 for row, lead in named}.values())  # fmt: skip
    if gone := [{"of_digest": led.digest, "of_customer_id": led.customer_id} for led in before - after]:
        where = and_(leads.c.digest == bindparam("of_digest"), leads.c.customer_id == bindparam("of_customer_id"))
        connection.execute(delete(leads).where(where), gone)
    _upsert(connection, leads, [led._asdict() | {"archived_at": now} for led in sorted(after - before)])


class _Led(NamedTuple):
    """A row of the look-ups, but for since when it stands."""

    digest: str
    customer_id: str
    tenant: str
    kind: str
    leads_to: str


def _leading(connection: Connection, rows: Sequence[Row]) -> set[_Led]:
    """Return what leads to customers."""
    columns = [leads.c[name] for name in _Led._fields]
    found: set[_Led] = set()
    for at in range(0, len(rows), 500):
        found |= {_Led(*led) for led in connection.execute(select(*columns).where(of_each(rows[at : at + 500], leads)))}
    return found


def _drop(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Delete what a table has of customers."""
    if rows:
        named = [{"of_tenant": row.tenant, "of_customer_id": row.customer_id} for row in rows]
        connection.execute(delete(table).where(_named(table)), named)


def _set_aside(connection: Connection, copy: Copy, now: int) -> int:
    """Set aside the entries that are not in a whole copy, and make room for it; return how many."""
    columns = (events.c.version, events.c.digest, events.c.entry)
    here = (events.c.tenant == copy.row.tenant) & (events.c.customer_id == copy.row.customer_id)
    first = copy.entries[0].version if copy.entries else 1
    kept = {(entry.version, entry.digest) for entry in copy.entries}
    found = connection.execute(select(*columns).where(here, events.c.version >= first))
    aside = [dict(row._mapping) for row in found if (row.version, bytes(row.digest)) not in kept]
    _upsert(connection, strays, [{**copy.row._asdict(), **row, "found_at": now} for row in aside])
    connection.execute(delete(events).where(here, events.c.version >= first))
    return len(aside)


def set_aside(connection: Connection, row: Row, entries: Sequence[tuple[int, bytes, bytes]], now: int) -> int:
    """Keep aside what a timeline has otherwise, given as version, digest, entry; return how many these were."""
    here = (events.c.tenant == row.tenant) & (events.c.customer_id == row.customer_id)
    known = {
        (version, bytes(digest))
        for version, digest in connection.execute(select(events.c.version, events.c.digest).where(here))
    }
    aside = [one for one in entries if one[:2] not in known]
    rows = [{"version": version, "digest": digest, "entry": entry} for version, digest, entry in aside]
    _upsert(connection, strays, [{**row._asdict(), **one, "found_at": now} for one in rows])
    return len(aside)


def put_besides(connection: Connection, changes: Sequence[tuple[Row, bytes, bytes]]) -> int:
    """Change what stands beside documents, given as before and after, where it is still so; return how often."""
    before = documents.c.beside == bindparam("before")
    put = documents.update().where(_named(documents), before).values(beside=bindparam("after"))
    done = [
        connection.execute(
            put, {"of_tenant": row.tenant, "of_customer_id": row.customer_id, "before": old, "after": new}
        )
        for row, old, new in changes
    ]
    return sum(result.rowcount for result in done)


def erase(connection: Connection, row: Row, born: str, now: int) -> None:
    """Delete all of a customer, and let nothing of that life be written any more."""
    for table in (events, documents, leads, strays):
        _drop(connection, table, [row])
    _upsert(connection, erased, [{"life": life(row, born), "erased_at": now}])


def write_anew(connection: Connection) -> bool:
    """Let go of what was erased; tell whether the files surely hold nothing of it any more.

    PostgreSQL frees its rows, whose bytes stand until others take their place. SQLite overwrites a row that is deleted,
    but not the copy that stayed behind when its page was once divided, in a gap that nothing reads: the whole file is
    written anew, unless it is too large to be done in passing. Then its log goes into it and is emptied.
    """
    if connection.dialect.name == "postgresql":
        names = ", ".join(table.name for table in (events, documents, leads, strays))
        connection.exec_driver_sql(f"VACUUM {names}")
        return False
    pages, size = (connection.exec_driver_sql(f"PRAGMA {of}").scalar_one() for of in ("page_count", "page_size"))
    whole = bool(pages * size <= LARGEST_IN_PASSING)
    if whole:
        connection.exec_driver_sql("VACUUM")
    busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if busy:
        raise Unavailable("somebody reads from the archive's log, so that it can't be emptied now", retry_after=1)
    return whole


def blank(connection: Connection, row: Row, changes: Sequence[tuple[int, bytes, bytes]]) -> int:
    """Change entries of a timeline, given by version as before and after, where they are still so; how many."""
    is_so = and_(events.c.version == bindparam("of_version"), events.c.entry == bindparam("before"))
    put = events.update().where(_named(events), is_so).values(entry=bindparam("after"))
    whose = {"of_tenant": row.tenant, "of_customer_id": row.customer_id}
    done = [
        connection.execute(put, whose | {"of_version": version, "before": before, "after": after})
        for version, before, after in changes
    ]
    return sum(result.rowcount for result in done)


def drop_aside(connection: Connection, row: Row, before: int) -> int:
    """Delete what was set aside of a timeline before an instant in ms; return how many entries."""
    whose = and_(strays.c.tenant == row.tenant, strays.c.customer_id == row.customer_id)
    return connection.execute(strays.delete().where(whose, strays.c.found_at < before)).rowcount
