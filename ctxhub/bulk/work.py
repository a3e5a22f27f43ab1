"""What `ctxhub import` and `ctxhub export` do, on a hub of their own that serves nobody."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import uvloop
from pydantic import TypeAdapter, ValidationError

from ctxhub.bulk.beside import Beside, Errand, collecting_rarely, patient_hub
from ctxhub.bulk.exporting import Exporter, Scope
from ctxhub.bulk.importing import Importer
from ctxhub.bulk.lines import Source
from ctxhub.bulk.mapping import Meanings, read_meanings, said
from ctxhub.bulk.reading import Way, format_of
from ctxhub.bulk.report import Counts, Refusals, Tally, Told, progress_of, restored, summary
from ctxhub.bulk.restoring import Restorer
from ctxhub.bulk.run import Import, Job
from ctxhub.bulk.shape import written
from ctxhub.errors import Unavailable
from ctxhub.hub.hub import Hub
from ctxhub.model.value import CustomerId, Instant, Name, TenantId, to_millis
from ctxhub.settings import CannotStart, Settings

Done = TypeVar("Done")
Tell = Callable[[Hub, Scope], Awaitable[None]]
_LARGE = 1 << 20
_LONGEST_LINE = 64 << 20
_CUSTOMER = TypeAdapter(CustomerId)
_TENANT = TypeAdapter(TenantId)
_NAME = TypeAdapter(Name)
_INSTANT = TypeAdapter(Instant)


def bring_in(arguments: argparse.Namespace, settings: Settings) -> int:
    """Import a file; 1 where some of its lines were refused."""
    if arguments.whole:
        return put_back(arguments, settings)
    began_at = time.monotonic()
    job = _job(arguments)
    with closing(Source(job.path)) as source, progress_of(source.size, "importing") as told:
        processes = _processes(arguments.processes, job, source.size)
        counts = _run(_imported(job, source, processes, settings, told))
    for line in summary(counts, job.refused, time.monotonic() - began_at, job.dry):
        print(line)
    return int(counts.refused > 0)


async def _imported(job: Job, source: Source, processes: int, settings: Settings, told: Told) -> Counts:
    """Import; a Redis that stays away ends it where it is."""
    async with patient_hub(settings) as hub:
        try:
            if processes == 1:
                importer = Importer(hub, job.tenant, job.source, job.way.told_at, job.dry)
                return await Import(job, source).run(importer, told)
            errand = Errand(settings.handed_down(), job.tenant, job.source, job.way.told_at, os.getpid())
            with closing(Beside(processes, errand)) as beside:
                return await Import(job, source).run(beside, told)
        except Unavailable as error:
            raise CannotStart(f"{error.detail}; what was brought in stays: go on with --resume") from error


def _processes(given: int | None, job: Job, size: int) -> int:
    """Return how many processes bring a file in; where order matters, or little is to be done, it is one."""
    if job.several_lines or job.dry:
        return 1
    return given or (min(2, os.cpu_count() or 1) if size > _LARGE else 1)


def _job(arguments: argparse.Namespace) -> Job:
    """Return what the command line says is to be imported."""
    path: Path = arguments.file
    if not path.is_file():
        raise CannotStart(f"{path} is no file: name a CRM's export, CSV or JSON lines, gzipped or not")
    meanings = _meanings(arguments)
    beside = f"{path.name}.dry-run" if arguments.dry_run else path.name  # an import that was stopped stays as it is
    return Job(
        path=path,
        way=Way(
            format=arguments.format or format_of(path),
            encoding=arguments.encoding,
            delimiter=_delimiter(arguments.delimiter),
            meanings=meanings,
            told_at=_told_at(arguments.at, path),
        ),
        tenant=_checked(_TENANT, "--tenant", arguments.tenant),
        source=_checked(_NAME, "--source", arguments.source or meanings.source or "crm"),
        batch=arguments.batch,
        refused=arguments.refused or path.with_name(f"{beside}.refused.jsonl"),
        journal=arguments.journal or path.with_name(f"{beside}.journal"),
        several_lines=arguments.several_lines,
        dry=arguments.dry_run,
        resume=arguments.resume,
    )


def _meanings(arguments: argparse.Namespace) -> Meanings:
    """Return what the columns mean: as the file says, and over it the command line."""
    read = read_meanings(arguments.mapping) if arguments.mapping else Meanings()
    return read.but(
        columns=read.columns | said(arguments.map), timezone=arguments.timezone or read.timezone
    )  # fmt: skip


def _delimiter(given: str | None) -> str | None:
    """Return the delimiter that is said; `\\t` may be spelled."""
    if given is None:
        return None
    spelled = given.replace("\\t", "\t")
    if len(spelled) != 1 or spelled in '"\r\n':
        raise CannotStart(f"--delimiter {given}: write one character, such as ';' or '\\t'")
    return spelled


def _told_at(given: str | None, path: Path) -> datetime:
    """Return when a file's content was so: as said, else when the file was written."""
    if given is None:
        return to_millis(datetime.fromtimestamp(path.stat().st_mtime, UTC))
    return _checked(_INSTANT, "--at", given)


def _checked(kind: TypeAdapter[Done], option: str, given: str) -> Done:
    """Return what an option says; one that is misspelled is refused."""
    try:
        return kind.validate_python(given)
    except ValidationError as error:
        raise CannotStart(f"{option} {given}: {error.errors()[0]['msg']}") from error


def put_back(arguments: argparse.Namespace, settings: Settings) -> int:
    """Put an export back; 1 where some of it was refused."""
    path: Path = arguments.file
    if not path.is_file():
        raise CannotStart(f"{path} is no file: name what `ctxhub export` wrote")
    refused = arguments.refused or path.with_name(f"{path.name}.refused.jsonl")
    with closing(Source(path, _LONGEST_LINE)) as source, progress_of(source.size, "putting back") as told:
        tally = _on_hub(settings, lambda hub: _restored(Restorer(hub, Refusals(refused)), source, told))
    for line in restored(tally, refused):
        print(line)
    return int(tally.refused > 0)


async def _restored(restorer: Restorer, source: Source, told: Told) -> Tally:
    """Put an export back; a Redis that stays away ends it where it is."""
    try:
        return await restorer.run(source, told)
    except Unavailable as error:
        raise CannotStart(f"{error.detail}; what was put back stays: run it again") from error


def take_out(arguments: argparse.Namespace, settings: Settings, tell: Tell) -> int:
    """Export to a file or stdout, and tell of it before anything goes out; the file is there only once it is whole."""
    tenant = arguments.tenant or ("default" if arguments.customer else None)
    scope = Scope(
        tenant and _checked(_TENANT, "--tenant", tenant),
        arguments.customer and _checked(_CUSTOMER, "--customer", arguments.customer),
        arguments.live,
        arguments.keys,
    )
    return _on_hub(settings, lambda hub: _exported(hub, scope, arguments.out, tell))


async def _exported(hub: Hub, scope: Scope, out: Path | None, tell: Tell) -> int:
    """Write an export."""
    exporter = Exporter(hub, scope, partial(tell, hub, scope))
    if out is None:
        async for line in exporter.lines():
            sys.stdout.buffer.write(written(line))
        sys.stdout.buffer.flush()
    else:
        await _to_file(exporter, out)
    told = f"{exporter.customers:,} customers, {exporter.events:,} events, {exporter.others:,} others"
    print(f"exported {told}", file=sys.stderr)
    return 0


async def _to_file(exporter: Exporter, out: Path) -> None:
    """Write an export beside its place, and put it there when it is whole; nobody else may read it."""
    coming = out.with_name(f"{out.name}.part")
    try:
        with _opened(coming, gzipped=out.suffix == ".gz") as file:
            async for line in exporter.lines():
                file.write(written(line))
        coming.replace(out)
    except OSError as error:
        raise CannotStart(f"{out} can't be written: {error.strerror}") from error
    finally:
        coming.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path, gzipped: bool) -> Iterator[BinaryIO | gzip.GzipFile]:
    """Open a file to write that only its owner may read, synced to disk before it is closed."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
        if gzipped:
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6) as file:
                yield file
        else:
            yield raw
        raw.flush()
        os.fsync(raw.fileno())


def _on_hub(settings: Settings, act: Callable[[Hub], Awaitable[Done]]) -> Done:
    """Do something with a hub of our own, beside those that may be running."""

    async def done() -> Done:
        async with patient_hub(settings) as hub:
            return await act(hub)

    return _run(done())


def _run(work: Coroutine[Any, Any, Done]) -> Done:
    """Run something to its end."""
    with collecting_rarely(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
