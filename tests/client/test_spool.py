"""The spool against a real hub, over a way that can be cut: what is told meanwhile arrives later, once, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from ctxhub.client import (
    ContextHub,
    InUse,
    Invalid,
    SpoolFile,
    SpoolFull,
    Unavailable,
    Unknown,
    told,
)
from ctxhub.client import spool as spool_of
from ctxhub.client.sealed import SealedLog
from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.api.living import ADMIN_KEY, living, settings_for
from tests.api.scenes import fresh
from tests.client.spooling import SECRET, Mood, Way, a_start, client, events, quick, said, texts

__all__ = ["quick"]

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with embedded_server(Settings(data=tmp_path_factory.mktemp("spool-server"), durability="fast")) as server:
        yield server


@pytest.fixture(scope="module")
async def app(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ASGIApp]:
    async with living(settings_for(tmp_path_factory.mktemp("spool-hub"), server.url)) as app:
        yield app


@pytest.fixture
def way(app: ASGIApp) -> Way:
    return Way(app)


@pytest.fixture
async def hub(way: Way, tmp_path: Path) -> AsyncIterator[ContextHub]:
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        yield hub


async def drained(hub: ContextHub) -> None:
    async with asyncio.timeout(10):
        await hub.spool.drained()


async def test_while_the_hub_is_there_it_is_told_at_once_and_nothing_is_kept(hub: ContextHub, tmp_path: Path) -> None:
    start = a_start()
    begun = await hub.spool.start(start)
    assert begun is not None
    answer = await hub.spool.tell(begun.customer_id, said("hello", interaction_id=begun.interaction.interaction_id))
    assert not answer.kept
    assert answer.results[0].version == answer.version
    assert await hub.spool.end(begun.customer_id, begun.interaction.interaction_id, outcome="resolved")
    assert await texts(hub, begun.customer_id) == ["hello"]
    assert hub.spool.pending == 0


@pytest.mark.parametrize("mood", ["gone", "unavailable", "busy", "loses answers"])
async def test_a_call_that_begins_while_the_hub_is_away_arrives_whole(hub: ContextHub, way: Way, mood: Mood) -> None:
    way.mood = mood
    start = a_start()
    assert await hub.spool.start(start) is None
    first = await hub.spool.tell(start, said("hello"))
    assert (first.kept, first.version, first.results) == (True, 0, [])
    await hub.spool.tell(start, told("fact.stated", name="order_id", value="A-17", party="customer"))
    assert await hub.spool.end(start) is False
    assert hub.spool.pending == 4
    way.mood = "here"
    await drained(hub)
    begun = await hub.interactions.start(start)
    assert begun.interaction.state == "ended"
    kept = await events(hub, begun.customer_id)
    assert [event.type for event in kept] == [
        "interaction.started", "message.received", "fact.stated", "interaction.ended",
    ]  # fmt: skip
    assert {event.interaction_id for event in kept} == {begun.interaction.interaction_id}


async def test_what_is_told_when_it_is_back_goes_behind_what_waits(hub: ContextHub, way: Way) -> None:
    start, way.mood = a_start(), "gone"
    for number in range(5):
        await hub.spool.tell(start, said(f"before {number}"))
    way.mood = "here"
    behind = await hub.spool.tell(start, said("after"))
    assert behind.kept
    await drained(hub)
    begun = await hub.interactions.start(start)
    assert await texts(hub, begun.customer_id) == [*(f"before {number}" for number in range(5)), "after"]


async def test_an_event_has_the_time_at_which_it_was_said(way: Way, tmp_path: Path) -> None:
    noon = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    start = a_start()
    async with client(way, ADMIN_KEY, tmp_path / "spool", clock=lambda: noon) as hub:
        way.mood = "gone"
        own_time = noon - timedelta(minutes=1)
        await hub.spool.tell(start, said("then"), said("earlier", at=own_time))
        way.mood = "here"
        await drained(hub)
        begun = await hub.interactions.start(start)
        spoken = [event.at for event in await events(hub, begun.customer_id) if event.type == "message.received"]
    assert spoken == [noon, own_time]


async def test_the_next_process_sends_what_the_one_before_kept(way: Way, tmp_path: Path) -> None:
    start, way.mood = a_start(), "gone"
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        await hub.spool.tell(start, said("one"))
        await hub.spool.tell(start, said("two"))
    way.mood = "here"
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        await drained(hub)
        begun = await hub.interactions.start(start)
        assert await texts(hub, begun.customer_id) == ["one", "two"]


async def test_nothing_that_was_said_stands_in_the_file(hub: ContextHub, way: Way, tmp_path: Path) -> None:
    way.mood = "gone"
    await hub.spool.tell(a_start(), said("my card number is 4111"))
    for file in tmp_path.iterdir():
        assert b"4111" not in file.read_bytes()
        assert b"card" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0
    way.mood = "here"
    await drained(hub)


async def test_an_event_that_waits_already_is_not_kept_twice(hub: ContextHub, way: Way) -> None:
    start, way.mood = a_start(), "gone"
    for _ in range(3):
        await hub.spool.tell(start, said("once", "m1"))
        await hub.spool.end(start)
    assert hub.spool.pending == 2
    way.mood = "here"
    await drained(hub)
    begun = await hub.interactions.start(start)
    assert await texts(hub, begun.customer_id) == ["once"]


async def test_an_event_that_the_hub_took_before_its_answer_was_lost_counts_once(hub: ContextHub, way: Way) -> None:
    begun = await hub.interactions.start(a_start())
    event = said("once", interaction_id=begun.interaction.interaction_id)
    way.mood = "loses answers"
    assert (await hub.spool.tell(begun.customer_id, event)).kept
    way.mood = "here"
    await drained(hub)
    assert (await hub.events.tell(begun.customer_id, event)).results[0].duplicate
    assert await texts(hub, begun.customer_id) == ["once"]
    assert await hub.spool.refused() == []


async def test_what_a_bot_said_meanwhile_is_reported_as_said(hub: ContextHub, way: Way) -> None:
    begun = await hub.interactions.start(a_start())
    at = begun.interaction.interaction_id
    way.mood = "gone"
    await hub.spool.tell(begun.customer_id, told("message.sent", interaction_id=at, party="bot", text="hi", fence=1))
    agents = told("message.sent", interaction_id=at, party="agent", text="let me see", fence=7)
    await hub.spool.tell(begun.customer_id, agents)
    way.mood = "here"
    await drained(hub)
    sent = [event for event in await events(hub, begun.customer_id) if event.type == "message.sent"]
    assert [(event.data["text"], event.data.get("delivered")) for event in sent] == [("hi", True)]
    [refusal] = await hub.spool.refused()
    assert refusal.code == "not_the_holder"


async def test_what_is_refused_for_good_is_set_aside_and_the_rest_goes_on(
    hub: ContextHub, way: Way, caplog: pytest.LogCaptureFixture
) -> None:
    start, way.mood = a_start(), "gone"
    await hub.spool.tell("nobody-of-that-name", told("fact.confirmed", name="order_id", value="A-17"))
    bad = told("fact.stated", name="order_id")
    await hub.spool.tell(start, said("first"), bad, said("second"))
    await hub.spool.tell(start, said("long ago", at=datetime.now(UTC) - timedelta(days=31)))
    await hub.spool.tell(start, said("third"))
    way.mood = "here"
    with caplog.at_level(logging.WARNING):
        await drained(hub)
    begun = await hub.interactions.start(start)
    assert await texts(hub, begun.customer_id) == ["first", "second", "third"]
    refused = await hub.spool.refused()
    assert [refusal.code for refusal in refused] == ["customer_unknown", "invalid", "invalid"]
    assert refused[1].write["events"][0]["event_id"] == bad.event_id
    assert "30 days" in refused[2].detail
    assert caplog.text.count("spool.refused") == 3


async def test_what_was_refused_is_still_there_at_the_next_start_until_it_is_forgotten(
    way: Way, tmp_path: Path
) -> None:
    way.mood = "gone"
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        await hub.spool.tell("nobody-of-that-name", told("fact.confirmed", name="order_id", value="A-17"))
        way.mood = "here"
        await drained(hub)
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        [refusal] = await hub.spool.refused()
        assert refusal.write["customer_id"] == "nobody-of-that-name"
        assert b"A-17" not in (tmp_path / "spool.refused").read_bytes()
        assert await hub.spool.forget_refused() == 1
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        assert await hub.spool.refused() == []


async def test_what_was_refused_goes_when_its_time_is_over_and_the_oldest_of_too_many_at_once(
    way: Way, tmp_path: Path
) -> None:
    start, now = a_start(), datetime.now(UTC)
    async with client(way, ADMIN_KEY, tmp_path / "spool", most_refused=2) as hub:
        begun = await hub.interactions.start(start)
        way.mood = "gone"
        for name in ("a", "b", "c"):
            await hub.spool.tell(begun.customer_id, told("fact.stated", event_id=fresh(name), name=name))
        way.mood = "here"
        await drained(hub)
        assert [refusal.write["events"][0]["data"]["name"] for refusal in await hub.spool.refused()] == ["b", "c"]
    before = (tmp_path / "spool.refused").stat().st_size
    aside = [tmp_path / f"spool{word}-20260101T000000" for word in (".damaged", ".refused.cut", ".no-spool")]
    aside.append(tmp_path / "spool.damaged-20269901T000000")
    for file in aside:
        file.write_bytes(b"x")
    late = now + timedelta(days=30, minutes=1)
    async with client(way, ADMIN_KEY, tmp_path / "spool", clock=lambda: late) as hub:
        assert await hub.spool.refused() == []
        await _until(lambda: (tmp_path / "spool.refused").stat().st_size < before)
    assert [file.exists() for file in aside] == [False, False, True, True]


async def test_nothing_that_was_refused_of_a_customer_stays_once_it_is_forgotten(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what was refused before, in whichever process's spool, nor what is refused because of it."""
    path = tmp_path / "spool"
    async with client(way, ADMIN_KEY, path, processes=2) as one, client(way, ADMIN_KEY, path, processes=2) as two:
        other = (await one.interactions.start(a_start())).customer_id
        begun = await one.interactions.start(a_start())
        way.mood = "gone"
        for customer_id in (begun.customer_id, other):
            await one.spool.tell(customer_id, told("fact.stated", name="a"))
            await two.spool.tell(customer_id, told("fact.stated", name="b"))
        way.mood = "here"
        await drained(one)
        await drained(two)
        assert [len(await hub.spool.refused()) for hub in (one, two)] == [2, 2]
        await one.customers.forget(begun.customer_id)
        way.mood = "gone"
        await one.spool.tell(begun.customer_id, said("a secret"))
        way.mood = "here"
        await drained(one)
        assert "a secret" not in "".join(refusal.model_dump_json() for refusal in await one.spool.refused())
    async with client(way, ADMIN_KEY, path, processes=2) as hub:
        await _until_left(hub, [other, begun.customer_id, other])
        assert (await hub.spool.refused())[1].write["events"][0].keys() == {"event_id", "type"}
    monkeypatch.setattr(spool_of, "_LOOKED_AFTER_EVERY", 0.01)
    async with client(way, ADMIN_KEY, path, processes=2) as hub:
        await hub.customers.forget(other)
        await _until_left(hub, [begun.customer_id])


async def test_with_a_most_of_none_nothing_that_was_refused_is_kept(way: Way, tmp_path: Path) -> None:
    way.mood = "gone"
    async with client(way, ADMIN_KEY, tmp_path / "spool", most_refused=0) as hub:
        await hub.spool.tell("nobody-of-that-name", told("fact.confirmed", name="order_id", value="A-17"))
        way.mood = "here"
        await drained(hub)
        assert await hub.spool.refused() == []
    assert _refused_log(tmp_path).open() == []


async def test_a_file_renamed_aside_goes_while_the_spool_is_open_and_nothing_was_refused(
    hub: ContextHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_of, "_LOOKED_AFTER_EVERY", 0.01)
    first, second = (tmp_path / f"spool.damaged-20200101T00000{number}" for number in range(2))
    first.write_bytes(b"x")
    assert await hub.spool.refused() == []
    await _until(lambda: not first.exists())
    second.write_bytes(b"x")
    await _until(lambda: not second.exists())


@pytest.mark.parametrize("stands_in_the_way", ["a hub that is away", "a file that can't be written"])
async def test_a_look_that_came_to_nothing_is_repeated_soon(
    stands_in_the_way: str, way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(spool_of, "_LOOKED_AGAIN_AFTER", 0.01)
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        begun = await hub.interactions.start(a_start())
        way.mood = "gone"
        await hub.spool.tell(begun.customer_id, told("fact.stated", name="a"))
        way.mood = "here"
        await drained(hub)
        await hub.customers.forget(begun.customer_id)
    blocked = tmp_path / "spool.refused.new"
    if stands_in_the_way == "a hub that is away":
        way.mood, way.sent = "gone", []
    else:
        blocked.mkdir()
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        assert len(await hub.spool.refused()) == 1
        await _until(lambda: len(way.sent) > 1 if way.mood == "gone" else "spool.not_looked_after" in caplog.text)
        assert len(await hub.spool.refused()) == 1
        way.mood = "here"
        if blocked.exists():
            blocked.rmdir()
        await _until_left(hub, [])


@pytest.mark.parametrize("can_be_written", [True, False])
async def test_what_is_not_understood_among_the_refused_ages_from_the_first_start_on(
    can_be_written: bool, way: Way, tmp_path: Path
) -> None:
    refusals, now = _refused_log(tmp_path), datetime.now(UTC).replace(microsecond=0)
    refusals.open()
    refusals.append([b'{"later":1}', b"\xff"])
    refusals.close()
    if not can_be_written:
        (tmp_path / "spool.refused.new").mkdir()
    async with client(way, ADMIN_KEY, tmp_path / "spool", clock=lambda: now) as hub:
        assert [refusal.refused_at for refusal in await hub.spool.refused()] == [now, now]
    late = now + timedelta(days=30, minutes=1)
    async with client(way, ADMIN_KEY, tmp_path / "spool", clock=lambda: late) as hub:
        assert len(await hub.spool.refused()) == (0 if can_be_written else 2)


def _refused_log(folder: Path) -> SealedLog:
    """What was refused, as it stands on the disk."""
    return SealedLog(folder / "spool.refused", SECRET.encode(), "http://hub.test default")


async def _until_left(hub: ContextHub, customers: list[str]) -> None:
    """Wait until what was refused is of these customers alone."""
    async with asyncio.timeout(10):
        while [refusal.of_whom for refusal in await hub.spool.refused()] != customers:
            await asyncio.sleep(0.01)


async def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_what_another_version_wrote_is_set_aside_and_the_rest_goes_on(way: Way, tmp_path: Path) -> None:
    start, way.mood = a_start(), "gone"
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        await hub.spool.tell(start, said("one"))
    odd = [b'{"what":"dance"}', b'{"done":"x"}', b"\xff"]
    log = SealedLog(tmp_path / "spool", SECRET.encode(), "http://hub.test default")
    log.open()
    log.append(odd)
    log.close()
    refusals = _refused_log(tmp_path)
    refusals.open()
    refusals.append([b'{"later":1}'])
    refusals.close()
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        await hub.spool.tell(start, said("two"))
        way.mood = "here"
        await drained(hub)
        begun = await hub.interactions.start(start)
        assert await texts(hub, begun.customer_id) == ["one", "two"]
        refused = await hub.spool.refused()
        assert [refusal.code for refusal in refused] == ["not_understood"] * 3
        assert [refusal.write for refusal in refused] == [
            {"content": '{"later":1}'}, {"content": '{"what":"dance"}'}, {"content": "\\xff"},
        ]  # fmt: skip
        assert await hub.spool.forget_refused() == 3
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        assert await hub.spool.refused() == []


async def test_a_call_that_ended_is_told_of_later_all_the_same(hub: ContextHub, way: Way) -> None:
    begun = await hub.interactions.start(a_start())
    at = begun.interaction.interaction_id
    way.mood = "gone"
    await hub.spool.tell(begun.customer_id, said("before the end", interaction_id=at))
    way.mood = "here"
    await hub.interactions.end(begun.customer_id, at)
    await drained(hub)
    assert "before the end" in await texts(hub, begun.customer_id)
    assert await hub.spool.refused() == []


async def test_a_wrong_key_of_the_adapters_own_keeps_everything_until_it_is_put_right(way: Way, tmp_path: Path) -> None:
    start, way.mood = a_start(), "gone"
    async with client(way, "not-a-key", tmp_path / "spool") as hub:
        await hub.spool.tell(start, said("hello"))
        way.mood, way.sent = "here", []
        async with asyncio.timeout(10):
            while len(way.sent) < 3:
                await asyncio.sleep(0.01)
        assert hub.spool.pending == 1
        assert await hub.spool.refused() == []
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        await drained(hub)
        begun = await hub.interactions.start(start)
        assert await texts(hub, begun.customer_id) == ["hello"]


async def test_what_somebody_elses_key_told_is_sent_under_that_key(hub: ContextHub, way: Way, tmp_path: Path) -> None:
    begun = await hub.interactions.start(a_start())
    mine, stranger = hub.with_key(ADMIN_KEY), hub.with_key("not-a-key")
    note = told("note.added", text="call back", party="agent", interaction_id=begun.interaction.interaction_id)
    way.mood = "gone"
    await mine.spool.tell(begun.customer_id, note)
    await stranger.spool.tell(begun.customer_id, said("not allowed"))
    way.mood = "here"
    await drained(hub)
    assert [event.type for event in await events(hub, begun.customer_id)][-1] == "note.added"
    [refusal] = await hub.spool.refused()
    assert refusal.code == "unauthenticated"
    assert "not-a-key" not in refusal.model_dump_json()


async def test_a_full_spool_says_so_and_keeps_what_it_has(way: Way, tmp_path: Path) -> None:
    start, way.mood = a_start(), "gone"
    async with client(way, ADMIN_KEY, tmp_path / "spool", limit=4000) as hub:

        async def fill() -> None:
            while True:
                await hub.spool.tell(start, said("x" * 300))

        with pytest.raises(SpoolFull, match="limit of 4000 bytes"):
            await fill()
        kept = hub.spool.pending
        assert kept > 3
        way.mood = "here"
        await drained(hub)
        assert not (await hub.spool.tell(start, said("there is room again"))).kept
        begun = await hub.interactions.start(start)
        assert len(await texts(hub, begun.customer_id)) == kept + 1


async def test_two_processes_never_share_a_spool(hub: ContextHub, way: Way, tmp_path: Path) -> None:
    way.mood = "gone"
    await hub.spool.tell(a_start(), said("hello"))
    with pytest.raises(InUse, match="another process"):
        async with client(way, ADMIN_KEY, tmp_path / "spool"):
            pass
    way.mood = "here"
    await drained(hub)


async def test_a_spool_of_another_tenant_is_put_aside_and_never_sent(way: Way, tmp_path: Path) -> None:
    way.mood = "gone"
    async with client(way, ADMIN_KEY, tmp_path / "spool") as hub:
        await hub.spool.tell(a_start(), said("for the default tenant"))
    way.mood, way.sent = "here", []
    file = SpoolFile(tmp_path / "spool", SECRET, of="other")
    async with ContextHub("http://hub.test", ADMIN_KEY, transport=way, spool=file) as hub:
        assert hub.spool.pending == 0
    assert way.sent == []
    assert [path.name.split("-2")[0] for path in tmp_path.glob("spool.another*")] == ["spool.another-hub"]


async def test_what_a_caller_did_not_wait_for_is_kept_all_the_same(hub: ContextHub, way: Way) -> None:
    begun = await hub.interactions.start(a_start())
    way.mood = "loses answers"
    event = said("hello", interaction_id=begun.interaction.interaction_id)
    task = asyncio.create_task(hub.spool.tell(begun.customer_id, event))
    while not any(path.endswith("/events") for path in way.sent):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    way.mood = "here"
    await drained(hub)
    assert await texts(hub, begun.customer_id) == ["hello"]


async def test_without_a_file_it_tells_at_once_or_says_that_it_can_not(way: Way) -> None:
    async with ContextHub("http://hub.test", ADMIN_KEY, transport=way, tries=1) as hub:
        start = a_start()
        assert not (await hub.spool.tell(start, said("hello"))).kept
        way.mood = "gone"
        with pytest.raises(Unavailable):
            await hub.spool.tell(start, said("lost"))
        way.mood = "here"
        with pytest.raises(Unknown):
            await hub.spool.end("nobody-of-that-name", "in_1")


async def test_what_could_never_be_sent_is_refused_before_it_is_kept(hub: ContextHub, way: Way) -> None:
    way.mood = "gone"
    with pytest.raises(Invalid, match="1 to 100"):
        await hub.spool.tell("c42")
    with pytest.raises(Invalid, match="UTF-8"):
        await hub.spool.tell("c42", told("note.added", text="\ud800"))
    with pytest.raises(Invalid, match="interaction"):
        await hub.spool.end("c42")
    assert hub.spool.pending == 0


async def test_while_the_hub_is_known_to_be_away_calls_are_refused_at_once(hub: ContextHub, way: Way) -> None:
    way.mood = "gone"
    assert hub.away.state == "here"
    for _ in range(3):
        with pytest.raises(Unavailable):
            await hub.tenants.read()
    assert hub.away.state == "away"
    way.sent = []
    refused = 0
    for _ in range(50):
        with pytest.raises(Unavailable):
            await hub.contexts.read("c42")
        refused += 1
    assert len(way.sent) < refused
    way.mood = "here"
    async with asyncio.timeout(10):
        while hub.away.state != "here":
            try:
                await hub.tenants.read()
            except Unavailable:
                await asyncio.sleep(0.002)
    assert (await hub.tenants.read()).tenant == "default"
