"""The tables, their version, and how an older version becomes this one."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    inspect,
    select,
    update,
)

from ctxhub.settings import CannotStart

SCHEMA = 2
WRITTEN_AT = "written_at"
_ONE_AT_A_TIME = 0x637478687562

metadata = MetaData()

#: The version of the schema, the id by which a Redis knows its archive, and when something was written last, in ms.
about = Table(
    "ctxhub_about",
    metadata,
    Column("name", String(20), primary_key=True),
    Column("value", String(100), nullable=False),
)

#: The last document of each customer, with what stood beside it; `archived_at` is in ms.
documents = Table(
    "ctxhub_documents",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("customer_id", String(128), primary_key=True),
    Column("born", String(32), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("document_version", BigInteger, nullable=False),
    Column("commit_id", String(32), nullable=False),
    Column("last_digest", LargeBinary, nullable=False),
    Column("leads_print", String(32), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("archived_at", BigInteger, nullable=False),
    Column("beside", LargeBinary, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("ctxhub_documents_archived_at", "archived_at"),
    sqlite_with_rowid=False,
)

#: Every event of every timeline, byte for byte as Redis had it; `at` is in ms.
events = Table(
    "ctxhub_events",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("customer_id", String(128), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
    Column("fingerprint", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("lasting", Boolean, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

#: What leads to customers, by HMACs: identifiers with their strength, other systems' names with their interaction.
leads = Table(
    "ctxhub_leads",
    metadata,
    Column("digest", String(32), primary_key=True),
    Column("customer_id", String(128), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("leads_to", String(128), nullable=False),
    Column("archived_at", BigInteger, nullable=False),
    Index("ctxhub_leads_of_customer", "tenant", "customer_id"),
    sqlite_with_rowid=False,
)

#: Entries that a Redis of an earlier state no longer had and wrote others in their place: set aside, not lost.
strays = Table(
    "ctxhub_strays",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("customer_id", String(128), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, primary_key=True),
    Column("found_at", BigInteger, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

#: Which lives of customers were erased, as digests that name nobody: nothing of them is written any more.
erased = Table(
    "ctxhub_erased",
    metadata,
    Column("life", String(32), primary_key=True),
    Column("erased_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: The audit trail of each tenant, a row for each batch that was chained together, by its last number; `at` is in ms.
trail = Table(
    "ctxhub_trail",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("batch", LargeBinary, nullable=False),
    Index("ctxhub_trail_at", "tenant", "at"),
    sqlite_with_rowid=False,
)

#: How each tenant's trail stands: its end, how far what was noted is chained, and the sealed start of what is kept.
trail_heads = Table(
    "ctxhub_trail_heads",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("link", String(32), nullable=False),
    Column("chained", String(40), nullable=False),
    Column("start", String(400), nullable=False),
    sqlite_with_rowid=False,
)


def _add_trails(connection: Connection) -> None:
    """Make the tables of audit trails."""
    metadata.create_all(connection, tables=[trail, trail_heads])


#: From each older version of the schema, the step to the next.
STEPS: dict[int, Callable[[Connection], None]] = {1: _add_trails}


def prepare(connection: Connection) -> str:
    """Make the tables, or bring older ones up to date; return the archive's id. A newer version is refused."""
    if connection.dialect.name == "postgresql":  # several hubs may start at once
        connection.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    if not inspect(connection).has_table(about.name):
        metadata.create_all(connection)
        first = {"schema": str(SCHEMA), "id": secrets.token_hex(8)}
        connection.execute(about.insert(), [{"name": name, "value": value} for name, value in first.items()])
    _bring_up_to_date(connection, int(_about(connection, "schema")))
    return _about(connection, "id")


def _bring_up_to_date(connection: Connection, version: int) -> None:
    """Take every step from a version to the present one."""
    if version > SCHEMA:
        raise CannotStart(
            f"the archive was written by a newer ctxhub (its schema is {version}, this one knows {SCHEMA}): "
            "run that version, or set CTXHUB_ARCHIVE to another archive"
        )
    for before in range(version, SCHEMA):
        STEPS[before](connection)
    connection.execute(update(about).where(about.c.name == "schema").values(value=str(SCHEMA)))


def _about(connection: Connection, name: str) -> str:
    """Return what is noted about the archive itself."""
    return str(connection.execute(select(about.c.value).where(about.c.name == name)).scalar_one())
