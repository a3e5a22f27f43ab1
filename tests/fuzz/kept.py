"""What was kept or sent on its way, and may be damaged: the hub's bytes in Redis, streams, the spool's file."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import httpx
import orjson

from ctxhub.client import Fed, SpoolFile, feed
from ctxhub.client.feed import Feeds
from ctxhub.client.sealed import SealedLog
from ctxhub.client.transport import Transport
from ctxhub.model.context import Context
from ctxhub.store.codec import (
    context_from,
    document_bytes,
    emptied,
    event_from,
    packed,
    sealed_document,
    unpacked,
    without_words,
)
from tests.fuzz.told import a_context

_SECRET, _NAME = b"a secret for tests alone", "http://hub.test default"


def read_entry(data: bytes) -> list[bytes]:
    """Read an entry of a timeline; one whose event stands there as JSON is packed first, as the hub does."""
    head, brace, rest = data.partition(b"{")
    entry = head + packed(brace + rest) if brace else data
    event_from(entry, 1)
    return [without_words(entry), emptied(entry)]


def is_still_an_entry(entries: list[bytes]) -> None:
    """See that what is left of an event, once its value or all of it had to go, can be read."""
    for entry in entries:
        assert "value" not in event_from(entry, 1)["data"]


def entries() -> list[bytes]:
    """Return entries as the hub writes them, whole, damaged and of a later version."""
    event = (
        b'{"event_id":"e1","type":"fact.stated","at":"2026-11-22T12:00:00.000Z","party":"customer","data":{"name":"a"}}'
    )
    head = b"2 chat redacted,by_agent "
    return [head + event, head + packed(event), b"0   " + packed(event), head + b"\x03" + event, head, *_damaged(event)]


def _damaged(json: bytes) -> list[bytes]:
    """Return bytes that claim to be more than they are, or are."""
    sealed = b"\x02\x00\x01\x00\x00\x00\x04seal" + packed(json)[1:]
    endless = (131_072 << 3 | 2).to_bytes(3, "little") + b"a"
    bombs = [b"\xc0\x38" + size.to_bytes(8, "little") + endless * 900 for size in (900 * 131_072, 2**40, 2**63)]
    return [sealed, b"\x02\xff\xff\xff\xff\xff\xff", packed(json)[:-3], *(b"\x01" + bomb for bomb in bombs)]


def read_document(data: bytes) -> Context:
    """Read a context as it is kept; one that stands there as JSON is packed first."""
    kept = packed(data) if data[:1] == b"{" else data
    unpacked(kept)
    return context_from(kept)


def is_kept_again(context: Context) -> None:
    """See that a context that was read is the same after it was kept again."""
    again = context_from(sealed_document(context, None)[0])
    assert again == context, (again, context)


def documents() -> list[bytes]:
    """Return contexts as they are kept."""
    json = document_bytes(a_context())
    return [json, packed(json), *_damaged(json)]


class _OneAnswer(Transport):
    """A way to a hub that answers one stream, with these parts, and is closed then."""

    _parts: list[bytes] = []
    _answered = False

    def answering(self, parts: list[bytes]) -> _OneAnswer:
        """Begin anew with other parts."""
        self._parts, self._answered = parts, False
        return self

    @property
    def is_closed(self) -> bool:
        """Tell whether it has answered."""
        return self._answered

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, Any], last: str | None, silence: float
    ) -> AsyncIterator[httpx.Response]:
        """Answer with the stream."""
        self._answered = True
        yield httpx.Response(200, headers={"content-type": "text/event-stream"}, content=self._content())

    async def _content(self) -> AsyncIterator[bytes]:
        """Yield what comes."""
        for part in self._parts:
            yield part


class Streamed(NamedTuple):
    """What a feed brought, of a stream that came whole and of the same in pieces, by each way of following."""

    whole: list[list[Fed]]
    pieces: list[list[Fed]]


_BEFORE = b'id: 4\nevent: ready\ndata: {"version":4}\n\n' + b"".join(
    b'id: %d\nevent: note.added\ndata: {"customer_id":"c42","event_id":"e%d","version":%d}\n\n' % (n, n, n)
    for n in (5, 6)
)


def read_stream(data: bytes) -> Streamed:
    """Follow a stream that goes on with these bytes behind two good events."""
    whole = _BEFORE + data
    size = 1 + (len(data) * 7 + sum(data[:4])) % 50
    pieces = [whole[n : n + size] for n in range(0, len(whole), size)]
    with mock.patch.object(feed, "_FIRST_PAUSE", 0.0):
        return Streamed(_followed([whole]), _followed(pieces))


def _followed(parts: list[bytes]) -> list[list[Fed]]:
    """Return what comes of a stream, as a customer's feed and as a queue's."""
    return _loop().run_until_complete(_all_of(parts))


@cache
def _way() -> _OneAnswer:
    """The way that streams take here."""
    return _OneAnswer("http://hub.test", "ctx_key", timeout=1.0, tries=1)


async def _all_of(parts: list[bytes]) -> list[list[Fed]]:
    """Follow a stream to its end, both ways."""
    customers = [fed async for fed in Feeds(_way().answering(parts)).customer("c42")]
    queues = [fed async for fed in Feeds(_way().answering(parts)).queue("service")]
    return [customers, queues]


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop in which feeds and spools run here."""
    return asyncio.new_event_loop()


def nothing_is_lost_before(streamed: Streamed) -> None:
    """See that what came before the damage is there, and that it does not matter in which pieces a stream comes."""
    for found in streamed.whole:
        assert [fed.id for fed in found[:3]] == ["4", "5", "6"], found
    assert streamed.pieces == streamed.whole


def streams() -> list[bytes]:
    """Return how streams go on: well, and in all the ways that are none."""
    event = orjson.dumps(
        {"event_id": "e7", "type": "note.added", "at": "2026-11-22T12:00:00Z", "version": 7, "data": {}}
    )
    good = b"id: 7\nevent: note.added\ndata: " + event + b"\n\n"
    return [
        good, good * 2, b": silence\n\n" + good, good.replace(b"\n", b"\r\n"), good.replace(b"\n", b"\r"),
        b"event: reset\ndata: {}\n\nevent: bye\ndata:\n\n" + good, b"retry: x\nid\nevent\ndata\n\n",
        b"\xef\xbb\xbf" + good, b"\xff\xfe\n\n", b"data: \xf0\x9f\n\n",
        b"id: " + b"9" * 5000 + b"\nevent: x\ndata: {}\n\n" + good, b"id: a\0b\ndata: [1]\n\n" + good, good[:-1],
        b"event: x\ndata: " + b"[" * 3000 + b"\n\n" + good, b"data: {\"version\": 1" + b"0" * 5000 + b"}\n\n",
        b"event: x\ndata: {\"customer_id\": [1], \"event_id\": {}, \"version\": true}\n\n" + good,
        "event: x\u2028\x85\x0b\x1c\ndata: {\"a\":\ndata: \"\u2029\"}\n\n".encode() + good,
    ]  # fmt: skip


class Opened(NamedTuple):
    """What a sealed log held, what it gives back after the damage, and all bytes that stand beside it then."""

    wrote: list[bytes]
    found: list[bytes]
    damaged: bytes
    beside: list[bytes]


@cache
def _folder() -> Path:
    """A folder that goes when this process ends."""
    _held.append(tempfile.TemporaryDirectory(prefix="ctxhub-fuzz-"))
    return Path(_held[0].name)


_held: list[tempfile.TemporaryDirectory[str]] = []
_NUMBERS = itertools.count()


@contextmanager
def _fresh() -> Iterator[Path]:
    """Make a folder for one trial."""
    folder = _folder() / str(next(_NUMBERS))
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@cache
def _three_writes() -> tuple[list[bytes], bytes]:
    """Three contents, and the file that holds them: the same bytes each time, so that an input can be tried again."""
    contents = [b"first", b"second " * 9, b'{"third": 3}']
    log = SealedLog(_folder() / "whole", _SECRET, _NAME, sync=False)
    with mock.patch.object(os, "urandom", lambda count: b"\x07" * count):
        log.open()
        log.append(contents)
    log.close()
    return contents, (_folder() / "whole").read_bytes()


def read_log(data: bytes) -> Opened:
    """Open a sealed log that was damaged: each three bytes say where, and by how much; `=` says what stands there."""
    wrote, whole = _three_writes()
    damaged = data[1:] if data[:1] == b"=" else _hit(whole, data)
    with _fresh() as folder:
        path = folder / "spool"
        path.write_bytes(damaged)
        log = SealedLog(path, _SECRET, _NAME, sync=False)
        try:
            found = log.open()
        finally:
            log.close()
        beside = [other.read_bytes() for other in folder.iterdir() if other.suffix != ".lock"]
        return Opened(wrote, found, damaged, beside)


def _hit(whole: bytes, data: bytes) -> bytes:
    """Return a file with some of its bytes others, and perhaps cut off."""
    damaged = bytearray(whole)
    for high, low, by in zip(data[::3], data[1::3], data[2::3], strict=False):
        damaged[(high << 8 | low) % len(damaged)] ^= by
    return bytes(damaged[: len(damaged) - data[-1]] if len(data) % 3 == 1 else damaged)


def keeps_what_it_can_not_read(opened: Opened) -> None:
    """See that what is given back was written, in order, and that nothing else is gone but an unfinished head."""
    assert opened.found == opened.wrote[: len(opened.found)]
    if len(opened.damaged.rstrip(b"\0")) >= _head():
        assert any(one + other == opened.damaged for one in opened.beside for other in (b"", *opened.beside))


@cache
def _head() -> int:
    """How long the head of a log is."""
    log = SealedLog(_folder() / "empty", _SECRET, _NAME, sync=False)
    log.open()
    log.close()
    return log.size


def logs() -> list[bytes]:
    """Return damages: none, bits that are others, ends that are cut off, files that are none."""
    _, whole = _three_writes()
    cut = [b"=" + whole[:length] for length in (0, 5, 16, 40, 90, len(whole) - 1)]
    return [
        b"",
        b"\x00\x05\x01",
        b"\x00\x50\x80",
        b"\x00\x95\x01",
        b"\x07",
        *cut,
        b"=" + whole + b"\0" * 64,
        b"=not ours",
    ]


class Found(NamedTuple):
    """What stood in a spool's file behind two good writes, and what became of the two: do they wait?"""

    behind: list[bytes]
    waiting: int


def read_spool(data: bytes) -> Found:
    """Open a spool in whose file these lines stand, behind two good writes."""
    behind = [line for line in data.split(b"\n") if line]
    with _fresh() as folder:
        log = SealedLog(folder / "spool", _SECRET, _NAME, sync=False)
        log.open()
        log.append([*_two_writes(), *behind])
        log.close()
        return Found(behind, _loop().run_until_complete(_opened(folder / "spool")))


async def _opened(path: Path) -> int:
    """Open a spool whose hub is away; return how many writes of a customer wait."""
    spool = SpoolFile(path, _SECRET, of="default", sync=False)
    spool.belongs_to(_away())
    try:
        await spool.open()
        return spool.pending_of("c42")
    finally:
        await spool.aclose()


@cache
def _away() -> Transport:
    """A way to a hub that is away."""
    return Transport("http://hub.test", "ctx_key", timeout=1.0, tries=1, transport=_Away())


class _Away(httpx.AsyncBaseTransport):
    """A way to a hub where nobody listens."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Fail to connect."""
        raise httpx.ConnectError("nobody listens", request=request)


@cache
def _two_writes() -> list[bytes]:
    """Two writes as a spool keeps them."""
    told = [{"event_id": f"e{n}", "type": "note.added", "data": {"text": "hello"}} for n in (1, 2)]
    write = {"what": "tell", "kept_at": "2026-11-22T12:00:00.000Z", "customer_id": "c42"}
    return [orjson.dumps(write | {"write_id": event["event_id"], "events": [event]}) for event in told]


def goes_on(found: Found) -> None:
    """See that good writes before damaged ones wait, unless a note says that some are done."""
    assert found.waiting >= 2 or any(line.startswith(b'{"done"') for line in found.behind)


def lines() -> list[bytes]:
    """Return what may stand behind two good writes."""
    good = _two_writes()[0]
    return [
        good, b'{"done": 1}', b'{"done": 2}\n' + good, good[:-5], b"", b"not json", b'{"done"', b'{"done": "x"}',
        b'{"done": -1}', b"{}",
        good.replace(b'"what"', b'"later_field": 1, "what"'), b'{"done": 1e9}', b"[" * 2000, b"\xff\xfe", b"null",
        good.replace(b'"customer_id":"c42"', b'"start":{"channel":"chat","external_id":"x1"}'),
    ]  # fmt: skip
