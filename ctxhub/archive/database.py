"""The connections to the database: made here and nowhere else, for SQLite and PostgreSQL alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ctxhub.settings import CannotStart

READERS = 2
#: Pages of the log, 32 MB, before they go into the file: what is written again meanwhile goes there once.
_LOGGED = 8000
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON",
            f"wal_autocheckpoint={_LOGGED}")  # fmt: skip
_BUSY_AFTER = 5.0
_CONNECTS_WITHIN = 2
_ANSWERS_WITHIN_MS = 30_000


def without_password(url: str) -> str:
    """The address as it may be shown."""
    return _parsed(url).render_as_string(hide_password=True)


def engines(url: str) -> tuple[Engine, Engine]:
    """Return how to read and how to write; nothing is connected to yet."""
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, writes=False), _sqlite(parsed, writes=True)
    return _postgresql(parsed, writes=False), _postgresql(parsed, writes=True)


def _parsed(url: str) -> URL:
    """Read an address; one that can't be used is refused with what can."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        backend = ""
    if backend not in ("sqlite", "postgresql"):
        raise CannotStart("CTXHUB_ARCHIVE: write sqlite:////path/to/file, postgresql://user@host/database, or off")
    return parsed.set(drivername="postgresql+psycopg") if backend == "postgresql" else parsed


def _sqlite(url: URL, writes: bool) -> Engine:
    """Return the way to a file: each transaction is on the disk before it counts; what is deleted is overwritten."""
    if not url.database or url.database == ":memory:":
        raise CannotStart("CTXHUB_ARCHIVE: an archive in memory keeps nothing: name a file, sqlite:////path/to/file")
    _make_folder(Path(url.database).parent)
    engine = create_engine(url, pool_size=READERS, max_overflow=0, connect_args={"timeout": _BUSY_AFTER})

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    if writes:

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _make_folder(folder: Path) -> None:
    """Make the folder of a file that is not there yet."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"CTXHUB_ARCHIVE: {folder} can't be made ({error.strerror})") from error


def _postgresql(url: URL, writes: bool) -> Engine:
    """Return the way to a server: it answers in time, or not at all."""
    arguments = {"connect_timeout": _CONNECTS_WITHIN, "options": f"-c statement_timeout={_ANSWERS_WITHIN_MS}"}
    more: dict[str, Any] = {} if writes else {"isolation_level": "AUTOCOMMIT"}
    try:
        return create_engine(
            url,
            pool_size=1 if writes else READERS,
            max_overflow=0,
            pool_timeout=_CONNECTS_WITHIN,
            pool_pre_ping=True,
            connect_args=arguments,
            **more,
        )
    except ImportError as error:
        raise CannotStart("CTXHUB_ARCHIVE: PostgreSQL needs its driver: pip install 'ctxhub[postgres]'") from error
