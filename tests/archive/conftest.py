"""What tests of the archive may ask for: a hub whose archive is a database of its own, its clock in hand."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import create_engine, make_url, text

from ctxhub.archive import Archive
from ctxhub.hub.hub import Hub
from ctxhub.store.redis import Server
from tests.archive.postgres import binaries, running
from tests.support import Clock, clock, server, tenants_folder, ways

__all__ = ["clock", "server", "tenants_folder"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real PostgreSQL server; where there is none the test is skipped, but fails when CI=true."""
    programs = binaries()
    if programs is None and os.environ.get("CI") != "true":
        pytest.skip("PostgreSQL is not installed")
    assert programs is not None, "PostgreSQL is not installed"
    with running(programs) as url:
        yield url


def a_database(postgres: str) -> str:
    """The address of an empty database on a server."""
    name = f"t{secrets.token_hex(6)}"
    url = make_url(postgres).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def archive_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an archive that is not there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'archive.db'}"
    return a_database(request.getfixturevalue("postgres"))


@pytest.fixture
async def archive(archive_url: str) -> AsyncIterator[Archive]:
    """An archive."""
    archive = Archive(archive_url, read_within=20)  # these tests are not about being slow
    yield archive
    await archive.aclose()


@pytest.fixture
async def hub(server: Server, clock: Clock, tenants_folder: Path, archive: Archive) -> Hub:
    """A hub with an archive; it neither listens nor relays unless asked to."""
    return Hub(server, ways(clock, tenants=tenants_folder), archive)


@pytest.fixture
def redis(redis_url: str, hub: Hub) -> Iterator[Redis]:
    """A plain client, to look at what really stands there."""
    with Redis.from_url(redis_url, decode_responses=True, encoding_errors="replace") as client:
        yield client
