"""An export is put back whole: what is broken, cut short or foreign is refused, and nothing is half there."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ctxhub.errors import CustomerUnknown
from ctxhub.hub.hub import Hub
from ctxhub.settings import CannotStart
from ctxhub.store.contexts import Who
from ctxhub.store.keys import TABLE
from ctxhub.store.whole import Whole, _named
from tests.bulk.scenes import EVERYTHING, exported, hub_with, on_disk, put_back
from tests.hub.scenes import in_one, tell
from tests.support import ACME, DAY, Clock, _spelled

Lines = list[dict[str, Any]]


@pytest.fixture
async def lines(hub: Hub) -> Lines:
    """An export of two customers with three events each."""
    await hub.keyring.found(hub.ways.master_key)
    for customer_id in ("c1", "c2"):
        call = await in_one(hub, f"x-{customer_id}", 2, customer_id=customer_id)
        await tell(hub, "fact.stated", call, "f1", Who(ACME, customer_id), name="city", value="Bern")
        await tell(hub, "message.received", call, "m1", Who(ACME, customer_id), text="hello")
    return [json.loads(line.model_dump_json(exclude_none=True)) for line in await exported(hub)]


def at(lines: Lines, customer_id: str) -> int:
    """The place of a customer's line."""
    return next(n for n, line in enumerate(lines) if line["kind"] == "customer" and line["customer_id"] == customer_id)


def as_file(lines: Lines, path: Path) -> Path:
    """Write lines to a file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def told(path: Path) -> list[dict[str, Any]]:
    """What was told about refused lines."""
    refused = path.with_name(f"{path.name}.refused.jsonl")
    return [json.loads(line) for line in refused.read_text().splitlines()] if refused.exists() else []


async def is_there(hub: Hub, customer_id: str) -> bool:
    """Tell whether a customer is there, whole."""
    try:
        loaded, _ = await hub.changes.contexts.existing(Who(ACME, customer_id))
    except CustomerUnknown:
        return False
    events = await hub.changes.contexts.timeline(Who(ACME, customer_id), 0, None, 100)
    return [event["version"] for event in events] == list(range(1, loaded.version + 1))


def _torn(lines: Lines) -> None:
    del lines[at(lines, "c1") + 1]


def _doubled(lines: Lines) -> None:
    lines.insert(at(lines, "c1") + 1, lines[at(lines, "c1") + 1])


def _short(lines: Lines) -> None:
    del lines[at(lines, "c1") + 3]


def _no_document(lines: Lines) -> None:
    lines[at(lines, "c1")]["document"] = {"customer_id": "c1", "mood": "sunny"}


def _no_versions(lines: Lines) -> None:
    del lines[at(lines, "c1")]["head"]["commit"]


def _strange_event(lines: Lines) -> None:
    lines[at(lines, "c1") + 2]["event"]["at"] = "yesterday"


def _strange_kind(lines: Lines) -> None:
    lines.insert(at(lines, "c1") + 2, {"kind": "poem"})


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (_torn, "version 2 stands where 1 should"),
        (_doubled, "version 1 stands where 2 should"),
        (_short, "1 events are missing"),
        (_no_document, "validation error"),
        (_no_versions, "its versions are not whole"),
        (_strange_event, "validation error"),
        (_strange_kind, "validation error"),
    ],
)
async def test_a_broken_line_costs_its_customer_and_no_other(
    lines: Lines, hub: Hub, redis_url: str, tmp_path: Path, harm: Callable[[Lines], None], says: str
) -> None:
    harm(lines)
    path = as_file(lines, tmp_path / "all.jsonl")
    async with hub_with(redis_url, 3, hub) as other:
        tally = await put_back(other, path)
        assert (tally.customers, tally.refused) == (1, 1)
        assert not await is_there(other, "c1")
        assert await is_there(other, "c2")
    [fault] = told(path)
    assert says in fault["problem"]
    assert "export it again" in fault["remedy"]


async def test_a_line_that_is_no_json_costs_its_customer(
    lines: Lines, hub: Hub, redis_url: str, tmp_path: Path
) -> None:
    path = as_file(lines, tmp_path / "all.jsonl")
    texts = path.read_text().splitlines(keepends=True)
    texts[at(lines, "c1") + 2] = texts[at(lines, "c1") + 2][:40] + "\n"
    path.write_text("".join(texts))
    async with hub_with(redis_url, 3, hub) as other:
        assert (await put_back(other, path)).refused == 1
        assert not await is_there(other, "c1")
        assert await is_there(other, "c2")


async def test_a_file_cut_short_is_noticed_and_what_it_held_is_whole(
    lines: Lines, hub: Hub, redis_url: str, tmp_path: Path
) -> None:
    last = max(at(lines, "c1"), at(lines, "c2"))
    path = as_file(lines[: last + 2], tmp_path / "all.jsonl")
    async with hub_with(redis_url, 3, hub) as other:
        with pytest.raises(CannotStart, match="has no last line: it was cut short"):
            await put_back(other, path)
        assert sorted([await is_there(other, "c1"), await is_there(other, "c2")]) == [False, True]
        whole = as_file(lines, tmp_path / "whole.jsonl")
        tally = await put_back(other, whole)
        assert (tally.customers, tally.there, tally.refused) == (1, 1, 0)
        assert await is_there(other, "c1")
        assert await is_there(other, "c2")


async def test_what_a_killed_run_left_waiting_is_forgotten_first(
    lines: Lines, hub: Hub, redis_url: str, tmp_path: Path
) -> None:
    async with hub_with(redis_url, 3, hub) as other:
        await Whole(other.server).add(Who(ACME, "c1"), [b"0   left over"], {b"digest": "1:hub"})
        assert (await put_back(other, as_file(lines, tmp_path / "all.jsonl"))).refused == 0
        assert await is_there(other, "c1")


async def test_somebody_else_of_that_name_stays(lines: Lines, hub: Hub, redis_url: str, tmp_path: Path) -> None:
    path = as_file(lines, tmp_path / "all.jsonl")
    async with hub_with(redis_url, 3, hub) as other:
        await in_one(other, "another", customer_id="c1")
        before = await other.changes.contexts.existing(Who(ACME, "c1"))
        assert (await put_back(other, path)).customers == 1
        assert await other.changes.contexts.existing(Who(ACME, "c1")) == before
    assert told(path)[0]["problem"] == "customer c1 is there already, at version 1"


async def test_twice_is_as_good_as_once(lines: Lines, hub: Hub, redis_url: str, tmp_path: Path) -> None:
    path = as_file(lines, tmp_path / "all.jsonl")
    async with hub_with(redis_url, 3, hub) as other:
        await put_back(other, path)
        with Redis.from_url(redis_url) as redis:
            before = {key: redis.dump(key) for key in redis.scan_iter()}
            tally = await put_back(other, path)
            assert (tally.customers, tally.there) == (0, 2)
            assert {key: redis.dump(key) for key in redis.scan_iter()} == before


async def test_a_customer_whose_time_is_over_is_left_out(
    lines: Lines, hub: Hub, clock: Clock, redis_url: str, tmp_path: Path
) -> None:
    lines[at(lines, "c1")]["until"] = round((clock() - DAY).timestamp() * 1000)
    async with hub_with(redis_url, 3, hub) as other:
        tally = await put_back(other, as_file(lines, tmp_path / "all.jsonl"))
        assert (tally.customers, tally.lapsed, tally.refused) == (1, 1, 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no export of ctxhub"),
        (b"customer_id,phone\nc1,138\n", "is no export of ctxhub"),
        (b'{"kind": "end", "customers": 0, "events": 0, "others": 0}\n', "is no export of ctxhub"),
        (b"\x1f\x8b\x08 not really gzip", "breaks off or is damaged"),
    ],
)
async def test_what_is_no_export_is_refused_at_once(hub: Hub, tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "all.jsonl"
    path.write_bytes(content)
    with pytest.raises(CannotStart, match=says):
        await put_back(hub, path)


async def test_a_format_of_the_future_is_refused(lines: Lines, hub: Hub, tmp_path: Path) -> None:
    lines[0] |= {"format": 2, "ctxhub": "9.1"}
    with pytest.raises(CannotStart, match=r"was written by ctxhub 9\.1: put it back with that version or a newer one"):
        await put_back(hub, as_file(lines, tmp_path / "all.jsonl"))


async def test_an_export_that_goes_with_another_archive_is_refused(lines: Lines, hub: Hub, tmp_path: Path) -> None:
    await hub.keyring.archive("this-one")
    lines[0] |= {"archive": "that-one"}
    with pytest.raises(CannotStart, match="goes with another archive than the export"):
        await put_back(hub, as_file(lines, tmp_path / "all.jsonl"))


async def test_a_long_timeline_comes_back_in_pieces(hub: Hub, redis_url: str, tmp_path: Path) -> None:
    await hub.keyring.found(hub.ways.master_key)
    call = await in_one(hub, "x", 2)
    who = Who(ACME, "c42")
    for n in range(1300):
        await tell(hub, "message.received", call, f"m{n}", who, text=f"{n} 您好")
    expected = await hub.changes.contexts.timeline(who, 0, None, 2000)
    path = tmp_path / "all.jsonl.gz"
    on_disk(await exported(hub, EVERYTHING._replace(tenant=ACME)), path)
    path.write_bytes(gzip.compress(path.read_bytes()))
    async with hub_with(redis_url, 3, hub) as other:
        await put_back(other, path)
        assert await other.changes.contexts.timeline(who, 0, None, 2000) == expected


async def test_ten_megabytes_of_one_customer_come_back_to_the_last_byte(
    hub: Hub, redis_url: str, tmp_path: Path
) -> None:
    await hub.keyring.found(hub.ways.master_key)
    call, who = await in_one(hub, "x", 2), Who(ACME, "c42")
    await tell(hub, "fact.stated", call, "f1", who, name="city", value="Bern")
    for n in range(200):
        await tell(hub, "message.received", call, f"m{n}", who, text=f"{n} " + "hello 您好 " * 4000)
    before = await person(hub, who)
    path = on_disk(await exported(hub, EVERYTHING._replace(tenant=ACME, customer_id="c42")), tmp_path / "c42.jsonl")
    assert path.stat().st_size > 10_000_000
    async with hub_with(redis_url, 3, hub) as other:
        tally = await put_back(other, path)
        assert (tally.customers, tally.refused) == (1, 0)
        assert await person(other, who) == before


async def person(hub: Hub, who: Who) -> bytes:
    """All that is known of a customer, as the law lets everybody ask for it."""
    return b"".join([piece async for piece in hub.persons.export(who)])


#: What an export leaves behind: made anew from the documents, told on before, at work for moments, or fixed by itself.
LEFT_BEHIND = {
    "document", "timeline", "events", "saved", "operations", "erased", "coming", "coming_events", "waiting", "held",
    "open", "calls", "promised", "outbox", "due", "leases", "relay", "cursors", "ticket", "keys", "founding",
    "audit", "audited", "access", "reading", "reasons", "whereabouts", "receipt",
    "handled", "lent", "announced", "work", "agents", "router",
    "deliveries", "delivery_order", "delivering", "awaiting", "delivered", "undelivered", "endpoint", "endpoints",
    "source",
}  # fmt: skip


def test_every_key_is_carried_or_known_to_be_left_behind() -> None:
    for row in TABLE:
        key = row.pattern.replace("{P}", "{07}").replace(":T:", ":acme:").replace(":C:", ":c42:")
        key = re.sub(r":D$", ":" + "d" * 32, key.replace(":DAY", ":2026-11-22")).replace("feed:F", "feed:queue:cards")
        assert re.fullmatch(_spelled(row.pattern), key), row.pattern
        words = set(key.split(":"))
        assert (_named(key.encode()) is not None) != bool(words & LEFT_BEHIND), row.pattern
