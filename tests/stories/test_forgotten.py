"""A thousand people are forgotten: whoever searches the whole server afterwards finds nothing of them.

Everything goes over HTTP into a hub with an archive, on a server whose append-only files are read byte by byte. The
same search finds those who live, and finds the forgotten too where only their keys were deleted.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ctxhub.errors import Unreadable
from ctxhub.settings import Settings
from ctxhub.store.codec import unpacked
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.api.living import Callers, http_to, living, settings_for
from tests.api.scenes import Caller, Patient, accept, known, ok, problem

MANY = 1000
LIVING = 20
SIDE_BY_SIDE = 25
CANARY = re.compile(rb"canary-(?:gone|live)-\d+")
PHONE = re.compile(rb"1381357\d{4}")


class Person:
    """Somebody whose phone, name and values can be told from everybody else's."""

    def __init__(self, number: int, lives: bool) -> None:
        self.number = number
        self.mark = f"canary-{'live' if lives else 'gone'}-{number}"
        self.phone = f"1381357{number + (5000 if lives else 0):04}"
        self.place = ""

    @property
    def marks(self) -> set[bytes]:
        """All that must not be found."""
        return {self.mark.encode(), self.phone.encode()}

    def identifiers(self) -> list[dict[str, Any]]:
        """What leads to the person."""
        phone = {"type": "phone", "value": f"+86{self.phone}", "strength": "verified"}
        return [phone, {"type": "email", "value": f"{self.mark}@example.com"}]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of its own, whose files are plain commands from the first to the last."""
    with embedded_server(Settings(data=tmp_path / "server", durability="fast")) as server:
        with Redis.from_url(server.url) as redis:
            redis.config_set("aof-use-rdb-preamble", "no")
            redis.bgrewriteaof()
        yield server


@asynccontextmanager
async def a_hub(tmp_path: Path, server: EmbeddedServer) -> AsyncIterator[Callers]:
    """The whole hub, with an archive and a spool; its files are written anew within two seconds of an erasure."""
    more = {"archive": f"sqlite:///{tmp_path / 'hub' / 'archive.db'}", "forget_within": "2s"}
    async with living(settings_for(tmp_path / "hub", server.url, **more)) as app, http_to(app) as http:
        callers = await Callers(http).make()
        for role in ("admin", "adapter", "agent"):
            setattr(callers, role, Patient(http, getattr(callers, role).key))
        yield callers


async def lives(person: Person, callers: Callers) -> None:
    """Have a person use a channel as people do, and leave something everywhere."""
    mark = person.mark
    scene = await known(
        callers.adapter, "chat", identifiers=person.identifiers(), customer_id=f"c{secrets.token_hex(6)}",
        external_id=f"ext-{mark}", refs=[{"system": "recorder", "kind": "recording", "id": f"rec-{mark}"}],
    )  # fmt: skip
    person.place = scene.base
    await scene.tell(
        scene.fact("name", f"name of {mark}"),
        scene.fact("card_number", f"card of {mark}"),
        scene.event("message.received", {"text": f"I am {mark}, call me on {person.phone}"}),
        scene.event("input.collected", {"prompt": "phone", "value": person.phone, "mode": "dtmf"}),
        scene.event("note.added", {"text": f"{mark} is nice"}),
        idempotency_key=f"key-{mark}",
    )
    if person.number % 5 == 0:
        await scene.asks("name", "card_number")
        ok(await callers.adapter.get(f"{scene.base}/context", interaction_id=scene.interaction_id))
        handoff = await scene.offer({"queue": "billing"}, note=f"about {mark}", idempotency_key=f"offer-{mark}")
        if person.number % 2 == 0:
            await accept(callers.agent, handoff["handoff_id"], "ann")
        wrong = {
            "channel": "ivr",
            "external_id": f"ivr-{mark}",
            "code": "00000000",
            "identifiers": person.identifiers(),
        }
        problem(await callers.adapter.post("/v1/handoffs/redeem", wrong), 404, "handoff_unknown")
    if person.number % 5 == 1:
        await scene.end()
    if person.number % 5 == 2:
        reason = {"reason": f"{mark} wrote from {person.phone}", "agent_id": f"agent-{person.number}"}
        ok(await callers.agent.post(f"{scene.base}/access", reason), 201)
    if person.number % 5 == 3:
        ok(await callers.admin.post(f"{scene.base}/hold", {"reason": f"{mark} v. the company"}))
        ok(await callers.admin.call("DELETE", f"{scene.base}/hold"))


async def each(people: list[Person], act: Any) -> list[Any]:
    """Do something with everybody, some at a time."""
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(person: Person) -> Any:
        async with gate:
            return await act(person)

    return await asyncio.gather(*map(one, people))


def readings(content: bytes) -> Iterator[bytes]:
    """Yield a content in every way in which the hub would read it."""
    yield content
    for kept in (content, content.split(b" ", 3)[-1]):
        if kept[:1] in (b"\x01", b"\x02"):
            try:
                yield unpacked(kept)
            except Unreadable:
                continue


def found_in(contents: Iterator[bytes]) -> set[bytes]:
    """Return every mark that stands in some contents, however they are read."""
    found: set[bytes] = set()
    for content in contents:
        for reading in readings(content):
            found |= set(CANARY.findall(reading)) | set(PHONE.findall(reading))
    return found


def everything_on(url: str) -> Iterator[bytes]:
    """Yield every key of a server, and every part of its value."""
    with Redis.from_url(url) as redis:
        for name in redis.scan_iter(count=1000):
            yield name
            yield from _parts(redis, name)


def _parts(redis: Any, name: bytes) -> Iterator[bytes]:
    """Yield what stands under a key."""
    kind = redis.type(name)
    if kind == b"string":
        yield redis.get(name) or b""
    elif kind == b"hash":
        yield from (part for pair in redis.hgetall(name).items() for part in pair)
    elif kind == b"list":
        yield from redis.lrange(name, 0, -1)
    elif kind in (b"set", b"zset"):
        yield from redis.sscan_iter(name) if kind == b"set" else redis.zrange(name, 0, -1)
    else:
        yield from (part for _, fields in redis.xrange(name) for pair in fields.items() for part in pair)


def in_files_of(server_data: Path) -> Iterator[bytes]:
    """Yield every argument of every command in a server's append-only files."""
    for path in sorted((server_data / "valkey" / "appendonlydir").glob("*.aof")):
        rest = path.read_bytes()
        at = 0
        while (begins := rest.find(b"$", at)) >= 0:
            ends = rest.index(b"\r\n", begins)
            size = int(rest[begins + 1 : ends])
            yield rest[ends + 2 : ends + 2 + size]
            at = ends + 2 + size


def blobs_of_archive(path: Path, people: list[Person], most: int) -> list[bytes]:
    """Return rows that an archive has of some people, as their bytes stand in its file."""
    ids = [person.place.rpartition("/")[2] for person in people]
    whose = f"customer_id IN ({', '.join('?' * len(ids))}) LIMIT {most}"
    with closing(sqlite3.connect(path)) as connection:
        events = connection.execute(f"SELECT entry FROM ctxhub_events WHERE {whose}", ids).fetchall()
        documents = connection.execute(f"SELECT document FROM ctxhub_documents WHERE {whose}", ids).fetchall()
    return [row[0][:200] for row in (*events, *documents)]


def files_of_archive(folder: Path) -> bytes:
    """Return all bytes of an archive's files."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("archive.db*")))


async def swept(url: str) -> None:
    """Wait until the files were written anew after the last erasure."""
    with Redis.from_url(url, decode_responses=True) as redis:
        async with asyncio.timeout(60):
            while True:
                erasures, rewritten = redis.hmget("ctxhub:{00}:founding", "erasures", "rewritten")
                if erasures == rewritten:
                    return
                await asyncio.sleep(0.1)


async def archived(path: Path, most: int) -> None:
    """Wait until the archive has everybody."""
    async with asyncio.timeout(60):
        while True:
            with closing(sqlite3.connect(path)) as connection:
                if connection.execute("SELECT count(*) FROM ctxhub_documents").fetchone()[0] >= most:
                    return
            await asyncio.sleep(0.2)


@pytest.mark.timeout(600)
async def test_a_thousand_who_are_forgotten_leave_nothing_readable_anywhere(
    tmp_path: Path, server: EmbeddedServer, capfd: pytest.CaptureFixture[str]
) -> None:
    gone, living_on = [Person(n, False) for n in range(MANY)], [Person(n, True) for n in range(LIVING)]
    marks = {mark for person in gone for mark in person.marks}
    alive = {mark for person in living_on for mark in person.marks}
    hub_folder, server_data = tmp_path / "hub", tmp_path / "server"
    async with a_hub(tmp_path, server) as callers:
        await each(gone + living_on, lambda person: lives(person, callers))
        await archived(hub_folder / "archive.db", MANY + LIVING)
        assert marks | alive <= found_in(everything_on(server.url))  # the search finds whoever is there
        assert marks | alive <= found_in(in_files_of(server_data))
        blobs = blobs_of_archive(hub_folder / "archive.db", gone, 6 * MANY)

        receipts = await each(gone, lambda person: _forget(person, callers.admin))
        await each(gone, lambda person: _is_unknown(person, callers.admin))
        assert await each(gone[:20], lambda person: _forget(person, callers.admin)) == receipts[:20]
        await swept(server.url)

        assert found_in(everything_on(server.url)) == alive
        assert found_in(in_files_of(server_data)) == alive
        files = files_of_archive(hub_folder)
        assert len(blobs) > 3 * MANY
        assert [blob for blob in blobs if blob in files] == []
        kept = [path.read_bytes() for path in hub_folder.rglob("*") if path.is_file() and "archive" not in path.name]
        assert found_in(iter(kept)) == set()
        glass = ok(await callers.supervisor.get("/v1/audit", action="access.broken_glass", limit=1000))["lines"]
        assert {line["reason"] and line["reason"].split()[0] for line in glass} == {
            None, *(person.mark for person in living_on if person.number % 5 == 2),
        }  # fmt: skip
        for person in living_on:
            context = ok(await callers.admin.get(f"{person.place}/context"))
            assert context["facts"]["card_number"]["value"] == f"card of {person.mark}"
    assert found_in(iter([(said := capfd.readouterr()).out.encode(), said.err.encode()])) == set()
    elsewhere = [{(copy["system"], copy["id"]) for copy in receipt["copies_elsewhere"]} for receipt in receipts]
    assert all(("recorder", f"rec-{person.mark}") in copies for person, copies in zip(gone, elsewhere, strict=True))
    assert sum(receipt["beside"]["reasons"] for receipt in receipts) == 2 * MANY // 5
    assert all(not set(PHONE.findall(repr(receipt).encode())) for receipt in receipts)
    assert {receipt["beside"]["operations"] > 0 for receipt in receipts} == {True}


async def _forget(person: Person, admin: Caller) -> dict[str, Any]:
    """Forget somebody; the receipt."""
    key = {"Idempotency-Key": f"forget-{person.mark}"}
    return ok(await admin.call("DELETE", person.place, key))


async def _is_unknown(person: Person, admin: Caller) -> None:
    """Whoever was forgotten is not found, like somebody who never was."""
    problem(await admin.get(f"{person.place}/context"), 404, "customer_unknown")


async def test_where_only_keys_are_deleted_the_files_still_tell(tmp_path: Path, server: EmbeddedServer) -> None:
    people = [Person(n, False) for n in range(5)]
    marks = {mark for person in people for mark in person.marks}
    async with a_hub(tmp_path, server) as callers:
        await each(people, lambda person: lives(person, callers))
        await archived(tmp_path / "hub" / "archive.db", len(people))
    blobs = blobs_of_archive(tmp_path / "hub" / "archive.db", people, 50)
    with Redis.from_url(server.url) as redis:
        redis.flushall()
    assert found_in(everything_on(server.url)) == set()
    assert marks <= found_in(in_files_of(tmp_path / "server"))
    assert any(blob in files_of_archive(tmp_path / "hub") for blob in blobs)
