"""Imports and exports in a word."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ctxhub.bulk.exporting import Exporter, Scope
from ctxhub.bulk.importing import Importer
from ctxhub.bulk.lines import Source
from ctxhub.bulk.mapping import Meanings, said
from ctxhub.bulk.reading import Way, format_of
from ctxhub.bulk.report import Counts, Refusals, Tally
from ctxhub.bulk.restoring import Restorer
from ctxhub.bulk.run import Import, Job
from ctxhub.bulk.shape import Head, Line, written
from ctxhub.hub.hub import Hub
from ctxhub.model.context import Context
from ctxhub.store.contexts import Who
from ctxhub.store.redis import connected
from tests.support import ACME, NOON

EVERYTHING = Scope(tenant=None, customer_id=None, live=False, keys=True)


class Bringing:
    """Imports files into a hub, as the command does."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder

    def file(self, content: str | bytes, name: str = "crm.csv") -> Path:
        """Write a file."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def job(self, path: Path, *map_: str, **more: Any) -> Job:
        """Say what is to be imported, and how."""
        told = {name: more.pop(name) for name in ("encoding", "delimiter", "timezone", "told_at") if name in more}
        meanings = more.pop("meanings", Meanings(columns=said(map_), timezone=told.get("timezone")))
        way = Way(
            format=format_of(path),
            encoding=told.get("encoding", "utf-8"),
            delimiter=told.get("delimiter"),
            meanings=meanings,
            told_at=told.get("told_at", NOON),
        )
        usual: dict[str, Any] = {"batch": 100, "several_lines": False, "dry": False, "resume": False}
        return Job(path=path, way=way, tenant=ACME, source="crm", refused=self.refused(path),
                   journal=path.with_name(f"{path.name}.journal"), **usual | more)  # fmt: skip

    async def bring(self, path: Path, *map_: str, **more: Any) -> Counts:
        """Import a file."""
        with closing(Source(path)) as source:
            job = self.job(path, *map_, **more)
            return await Import(job, source).run(importer_of(self.hub, job), lambda passed: None)

    async def table(self, content: str | bytes, *map_: str, **more: Any) -> Counts:
        """Import a table."""
        return await self.bring(self.file(content), *map_, **more)

    async def objects(self, *lines: Any, **more: Any) -> Counts:
        """Import JSON lines; what is no text is written as JSON."""
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        return await self.bring(self.file(text, "crm.jsonl"), **more)

    def refused(self, path: Path) -> Path:
        """Where refused lines are told."""
        return path.with_name(f"{path.name}.refused.jsonl")

    def told(self, name: str = "crm.csv") -> list[dict[str, Any]]:
        """What was told about refused lines."""
        path = self.folder / f"{name}.refused.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def context(self, customer_id: str) -> Context:
        """The context of a customer as it is kept."""
        return (await self.hub.changes.contexts.existing(Who(ACME, customer_id)))[1]

    async def version(self, customer_id: str) -> int:
        """The version of a customer."""
        return (await self.hub.changes.contexts.existing(Who(ACME, customer_id)))[0].version

    async def facts(self, customer_id: str) -> dict[str, Any]:
        """The facts of a customer, by name."""
        return {fact.name: fact.value for fact in (await self.context(customer_id)).facts}


def importer_of(hub: Hub, job: Job) -> Importer:
    """What brings a job's lines into a hub."""
    return Importer(hub, job.tenant, job.source, job.way.told_at, job.dry)


async def exported(hub: Hub, scope: Scope = EVERYTHING) -> list[Line]:
    """The lines of an export."""
    return [line async for line in Exporter(hub, scope).lines()]


def on_disk(lines: Sequence[Line], path: Path) -> Path:
    """Write an export's lines."""
    path.write_bytes(b"".join(map(written, lines)))
    return path


async def put_back(hub: Hub, path: Path) -> Tally:
    """Put an export back."""
    refused = path.with_name(f"{path.name}.refused.jsonl")
    await hub.keyring.found(hub.ways.master_key)
    with closing(Source(path, 64 << 20)) as source:
        return await Restorer(hub, Refusals(refused)).run(source, lambda passed: None)


@asynccontextmanager
async def hub_with(redis_url: str, partitions: int, like: Hub, **ways: Any) -> AsyncIterator[Hub]:
    """A hub on an emptied server with another number of partitions."""
    async with connected(redis_url, partitions=partitions) as server:
        await server.call("FLUSHALL", writes=True)
        yield Hub(server, replace(like.ways, **ways))


def head_of(lines: Sequence[Line]) -> Head:
    """The first line."""
    assert isinstance(lines[0], Head)
    return lines[0]
