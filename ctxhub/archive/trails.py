"""Audit trails as rows, one for each batch: appended, read in order, let go of at the beginning, and never changed."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Column, Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ctxhub.archive.tables import trail, trail_heads

AT_ONCE = 10


class TrailRow(NamedTuple):
    """Entries that were chained together; `sequence` is the last one's number, `at` is in ms."""

    sequence: int
    at: int
    batch: bytes


class TrailHead(NamedTuple):
    """How a trail stands; `start` is empty while nothing was let go."""

    sequence: int
    link: str
    chained: str
    start: str


def tenants(connection: Connection) -> set[str]:
    """Return the tenants of whose trails anything is here, be it an end without entries, or the other way round."""
    return {name for column in (trail_heads.c.tenant, trail.c.tenant) for name in _names(connection, column)}


def _names(connection: Connection, column: Column[str]) -> set[str]:
    """Return the names in a column, each once."""
    return set(connection.scalars(select(column).distinct()))


def head(connection: Connection, tenant: str) -> TrailHead | None:
    """Return how a tenant's trail stands; None where there is none."""
    columns = (trail_heads.c.sequence, trail_heads.c.link, trail_heads.c.chained, trail_heads.c.start)
    found = connection.execute(select(*columns).where(trail_heads.c.tenant == tenant)).first()
    return TrailHead(*found) if found else None


def append(connection: Connection, tenant: str, before: int, row: TrailRow, link: str, chained: str) -> bool:
    """Put a batch, whose last link is given, after entry number `before`; False where somebody else did meanwhile."""
    end = {"sequence": row.sequence, "link": link, "chained": chained}
    if not _move(connection, tenant, before, end):
        return False
    connection.execute(insert(trail).values(tenant=tenant, **row._asdict()))
    return True


def _move(connection: Connection, tenant: str, before: int, end: dict[str, object]) -> bool:
    """Move a trail's end from one entry to another; False where it is not there."""
    here = (trail_heads.c.tenant == tenant) & (trail_heads.c.sequence == before)
    if connection.execute(update(trail_heads).where(here).values(**end)).rowcount:
        return True
    if before or head(connection, tenant) is not None:
        return False
    try:
        with connection.begin_nested():
            connection.execute(insert(trail_heads).values(tenant=tenant, start="", **end))
    except IntegrityError:  # another hub began it in this very moment
        return False
    return True


def rows_after(connection: Connection, tenant: str, sequence: int, since: int) -> list[TrailRow]:
    """Return the next batches that end after a number, of those chained since an instant in ms."""
    columns = (trail.c.sequence, trail.c.at, trail.c.batch)
    question = (
        select(*columns)
        .where(trail.c.tenant == tenant, trail.c.sequence > sequence, trail.c.at >= since)
        .order_by(trail.c.sequence)
        .limit(AT_ONCE)
    )
    return [TrailRow(*found) for found in connection.execute(question)]


def last_before(connection: Connection, tenant: str, at: int) -> TrailRow | None:
    """Return the last batch chained before an instant in ms."""
    columns = (trail.c.sequence, trail.c.at, trail.c.batch)
    question = (
        select(*columns).where(trail.c.tenant == tenant, trail.c.at < at).order_by(trail.c.sequence.desc()).limit(1)
    )
    found = connection.execute(question).first()
    return TrailRow(*found) if found else None


def let_go(connection: Connection, tenant: str, upto: int, start: str) -> None:
    """Let go of the entries up to a number; the sealed start stands for them."""
    connection.execute(update(trail_heads).where(trail_heads.c.tenant == tenant).values(start=start))
    connection.execute(delete(trail).where(trail.c.tenant == tenant, trail.c.sequence <= upto))
