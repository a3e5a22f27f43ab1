"""What is asked of the archive, each question one statement over a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, or_, select, tuple_

from ctxhub.archive.rows import Archived, Held, Remembered, Row
from ctxhub.archive.tables import WRITTEN_AT, about, documents, events, leads

AT_ONCE = 500
_HELD = (documents.c.version, documents.c.commit_id, documents.c.born, documents.c.last_digest, documents.c.leads_print)
_WHOLE = (
    documents.c.born,
    documents.c.version,
    documents.c.document_version,
    documents.c.commit_id,
    documents.c.beside,
    documents.c.document,
)


def _of(row: Row, table: Any = documents) -> Any:
    """Return the condition that something belongs to a customer."""
    return and_(table.c.tenant == row.tenant, table.c.customer_id == row.customer_id)


def of_each(rows: Sequence[Row], table: Table = documents) -> ColumnElement[bool]:
    """Return the condition that something belongs to one of several customers.

    It names a tenant and its customers, who are looked up by their key. Pairs in a list would say the same, but for
    those SQLite looks through the whole table.
    """
    by_tenant: dict[str, list[str]] = {}
    for row in rows:
        by_tenant.setdefault(row.tenant, []).append(row.customer_id)
    of = table.c
    return or_(*(and_(of.tenant == tenant, of.customer_id.in_(names)) for tenant, names in by_tenant.items()))


def _of_many(columns: Sequence[Any], rows: Sequence[Row]) -> Select[Any]:
    """Return the question for columns of several customers' documents."""
    return select(documents.c.tenant, documents.c.customer_id, *columns).where(of_each(rows))


def held(connection: Connection, rows: Sequence[Row], locked: bool = False) -> dict[Row, Held]:
    """Return how much the archive has of customers; where `locked`, nobody else writes them meanwhile."""
    found: dict[Row, Held] = {}
    for at in range(0, len(rows), AT_ONCE):
        question = _of_many(_HELD, rows[at : at + AT_ONCE])
        answers = connection.execute(question.with_for_update() if locked else question)
        found |= {Row(tenant, customer_id): Held(*rest) for tenant, customer_id, *rest in answers}
    return found


def documents_of(connection: Connection, rows: Sequence[Row]) -> dict[Row, Archived]:
    """Return the last documents of customers."""
    found: dict[Row, Archived] = {}
    for at in range(0, len(rows), AT_ONCE):
        for tenant, customer_id, *rest in connection.execute(_of_many(_WHOLE, rows[at : at + AT_ONCE])):
            row = Row(tenant, customer_id)
            found[row] = Archived(row, *rest)
    return found


def entries(connection: Connection, row: Row, first: int, last: int) -> list[tuple[int, bytes]]:
    """Return entries of a timeline with their versions."""
    question = (
        select(events.c.version, events.c.entry)
        .where(_of(row, events), events.c.version.between(first, last))
        .order_by(events.c.version)
    )
    return [(version, entry) for version, entry in connection.execute(question)]


def remembered(connection: Connection, row: Row, upto: int, since: int) -> list[Remembered]:
    """Return the event ids that may come again: those since an instant, and the lasting ones."""
    question = select(events.c.version, events.c.digest, events.c.fingerprint).where(
        _of(row, events), events.c.version <= upto, or_(events.c.at >= since, events.c.lasting)
    )
    return [Remembered(*found) for found in connection.execute(question)]


def leads_to(connection: Connection, digests: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Return where look-ups lead, the newest meaning last."""
    found: dict[str, list[tuple[str, str]]] = {}
    columns = (leads.c.digest, leads.c.customer_id, leads.c.leads_to)
    for at in range(0, len(digests), AT_ONCE):
        question = select(*columns).where(leads.c.digest.in_(digests[at : at + AT_ONCE])).order_by(leads.c.archived_at)
        for digest, customer_id, to in connection.execute(question):
            found.setdefault(digest, []).append((customer_id, to))
    return found


def names_of(connection: Connection, rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """Return (tenant, kind, digest) of every look-up that leads to some customers."""
    found: list[tuple[str, str, str]] = []
    for at in range(0, len(rows), AT_ONCE):
        wanted = of_each(rows[at : at + AT_ONCE], leads)
        question = select(leads.c.tenant, leads.c.kind, leads.c.digest).where(wanted)
        found += [(tenant, kind, digest) for tenant, kind, digest in connection.execute(question)]
    return found


def besides(connection: Connection, after: Row, most: int) -> list[tuple[Row, bytes]]:
    """Return what stands beside documents, in the order of their names after one of them."""
    here = tuple_(documents.c.tenant, documents.c.customer_id)
    question = (
        select(documents.c.tenant, documents.c.customer_id, documents.c.beside)
        .where(here > tuple_(after.tenant, after.customer_id))
        .order_by(documents.c.tenant, documents.c.customer_id)
        .limit(most)
    )
    return [(Row(tenant, customer_id), beside) for tenant, customer_id, beside in connection.execute(question)]


def newest_at(connection: Connection) -> int:
    """Return when something was archived last, in ms; 0 for an archive that has nothing."""
    return int(connection.execute(select(about.c.value).where(about.c.name == WRITTEN_AT)).scalar() or 0)


def versions_since(
    connection: Connection, since: int, live_only: bool, after: Row, most: int
) -> list[tuple[Row, Held, bool]]:
    """Return who was archived since an instant, in the order of their names after one of them."""
    here = tuple_(documents.c.tenant, documents.c.customer_id)
    question = (
        select(documents.c.tenant, documents.c.customer_id, documents.c.live, *_HELD)
        .where(documents.c.archived_at >= since, here > tuple_(after.tenant, after.customer_id))
        .order_by(documents.c.tenant, documents.c.customer_id)
        .limit(most)
    )
    if live_only:
        question = question.where(documents.c.live)
    return [
        (Row(tenant, customer), Held(*rest), live) for tenant, customer, live, *rest in connection.execute(question)
    ]
