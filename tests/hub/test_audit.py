"""The trail on a real server: nothing noted is lost, nothing is chained twice, and what is changed there is found."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis import Redis

from ctxhub.archive import Archive
from ctxhub.errors import TooMany, Unavailable
from ctxhub.hub.archived_trails import ArchivedTrail
from ctxhub.hub.audit import BROKEN_GLASS, Audit, Wanted
from ctxhub.hub.beside import Beside, Whereabouts
from ctxhub.hub.hub import Hub
from ctxhub.model.audit import Entry, Linked, text_of
from ctxhub.model.value import to_millis
from ctxhub.store.batches import batch_of, entries_in
from ctxhub.store.keys import AuditKeys
from ctxhub.store.redis import Server
from ctxhub.store.trails import MOST_WHEREABOUTS, KeptReasons, KeptWhereabouts, Notes, RedisTrail, Trail
from tests.support import ACME, Clock

KEY = b"a master key"
KEPT = timedelta(days=400)
ADDRESSES_KEPT = timedelta(days=30)


@pytest.fixture(params=["redis", "archive"])
async def trail(request: pytest.FixtureRequest, server: Server, clock: Clock, tmp_path: Path) -> AsyncIterator[Trail]:
    """Where chains are kept: in Redis, or in an archive."""
    if request.param == "redis":
        yield RedisTrail(server)
        return
    archive = Archive(f"sqlite:///{tmp_path}/archive.db")
    yield ArchivedTrail(archive, clock)
    await archive.aclose()


@pytest.fixture
def audit(server: Server, trail: Trail, clock: Clock, tmp_path: Path) -> Audit:
    """A trail whose anchors stand in a folder."""
    return an_audit(server, trail, clock, tmp_path)


def an_audit(server: Server, trail: Trail, clock: Clock, folder: Path) -> Audit:
    return Audit(Notes(server), trail, KEY, clock, KEPT, folder / "anchors")


def a_text(clock: Clock, number: int) -> bytes:
    return text_of(Entry(at=clock(), action="context.read", by="desk", role="agent", agent_id="a7", version=number))


async def note(audit: Audit, clock: Clock, first: int, count: int) -> None:
    await asyncio.gather(*[audit.note(ACME, a_text(clock, first + number)) for number in range(count)])


async def test_what_was_noted_is_chained_in_order_and_found(audit: Audit, clock: Clock) -> None:
    await note(audit, clock, 1, 500)
    found = await audit.find(ACME, Wanted(agent_id="a7"))
    assert [each.sequence for each in found] == list(range(1, 501))
    assert sorted(each.entry.version or 0 for each in found) == list(range(1, 501))
    assert (await audit.verify(ACME)).broken is None


async def test_concurrent_notes_go_out_in_few_writes(audit: Audit, clock: Clock, redis: Redis) -> None:
    before = redis.info("commandstats").get("cmdstat_xadd", {"calls": 0})["calls"]
    await note(audit, clock, 1, 300)
    written = redis.info("commandstats")["cmdstat_xadd"]["calls"] - before
    assert written <= 3


async def test_processes_that_chain_at_once_chain_each_line_once(
    server: Server, trail: Trail, clock: Clock, tmp_path: Path
) -> None:
    audits = [an_audit(server, trail, clock, tmp_path) for _ in range(4)]
    for round_ in range(5):
        await asyncio.gather(*[note(each, clock, 1000 * n + 50 * round_, 50) for n, each in enumerate(audits)])
        await asyncio.gather(*[each.chain(ACME) for each in audits])
    found = await audits[0].find(ACME, Wanted())
    assert [each.sequence for each in found] == list(range(1, 1001))
    assert len({each.entry.version for each in found}) == 1000
    assert (await audits[1].verify(ACME)).broken is None


async def test_whoever_dies_between_chaining_and_dropping_chains_nothing_twice(
    audit: Audit, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object) -> None:
        raise ConnectionError("killed")

    await note(audit, clock, 1, 20)
    with monkeypatch.context() as broken:
        broken.setattr(Notes, "drop", dies)
        with pytest.raises(ConnectionError):
            await audit.chain(ACME)
    await note(audit, clock, 21, 5)
    assert [each.sequence for each in await audit.find(ACME, Wanted())] == list(range(1, 26))
    assert (await audit.verify(ACME)).broken is None


def _one_line_changed(redis: Redis, keys: AuditKeys) -> None:
    for batch_id, lines in batches(redis, keys.trail):
        lines[11] = lines[11]._replace(text=lines[11].text.replace(b"a7", b"a8"))
        _written_anew(redis, keys, batch_id, lines)


def _end_cut_off(redis: Redis, keys: AuditKeys) -> None:
    for batch_id, lines in batches(redis, keys.trail):
        _written_anew(redis, keys, batch_id, lines[:-3])
        redis.hset(keys.head, mapping={"sequence": lines[-4].sequence, "link": lines[-4].link})


def _all_gone(redis: Redis, keys: AuditKeys) -> None:
    redis.delete("ctxhub:{00}:audited", *keys)


def _written_anew(redis: Redis, keys: AuditKeys, batch_id: str, lines: list[Linked]) -> None:
    redis.delete(keys.trail)
    redis.xadd(keys.trail, {"b": batch_of(lines)}, id=batch_id)


@pytest.mark.parametrize(("harm", "first"), [(_one_line_changed, 12), (_end_cut_off, 28), (_all_gone, 1)])
async def test_what_was_done_to_a_trail_in_redis_is_found_and_its_first_line_named(
    server: Server, clock: Clock, tmp_path: Path, redis: Redis, harm: Callable[[Redis, AuditKeys], None], first: int
) -> None:
    audit = an_audit(server, RedisTrail(server), clock, tmp_path)
    await note(audit, clock, 1, 30)
    await audit.settle()
    harm(redis, server.keys.audit(ACME))
    after = an_audit(server, RedisTrail(server), clock, tmp_path)
    assert await after.tenants() == [ACME]
    broken = (await after.verify(ACME)).broken
    assert broken is not None
    assert broken.sequence == first


async def test_without_its_anchors_an_end_that_was_cut_off_is_missed(
    server: Server, clock: Clock, tmp_path: Path, redis: Redis
) -> None:
    audit = an_audit(server, RedisTrail(server), clock, tmp_path)
    await note(audit, clock, 1, 30)
    await audit.settle()
    _end_cut_off(redis, server.keys.audit(ACME))
    shutil.rmtree(tmp_path / "anchors")
    verified = await an_audit(server, RedisTrail(server), clock, tmp_path).verify(ACME)
    assert (verified.entries, verified.broken) == (27, None)


async def test_a_trail_is_there_though_nothing_says_whose_there_are(
    server: Server, trail: Trail, clock: Clock, tmp_path: Path, redis: Redis
) -> None:
    await note(an_audit(server, trail, clock, tmp_path), clock, 1, 3)
    await an_audit(server, trail, clock, tmp_path).chain(ACME)
    redis.delete(server.keys.audited)
    called_audit = server.keys.customer("other", "audit").context
    redis.hset(called_audit, "state", "live")
    assert await an_audit(server, trail, clock, tmp_path).tenants() == [ACME]
    redis.delete(called_audit)


async def test_a_batch_that_can_not_be_read_is_where_the_chain_is_broken(
    server: Server, clock: Clock, tmp_path: Path, redis: Redis
) -> None:
    audit = an_audit(server, RedisTrail(server), clock, tmp_path)
    for first in (1, 11, 21):
        await note(audit, clock, first, 10)
        await audit.settle()
    trail = server.keys.audit(ACME).trail
    kept = batches(redis, trail)
    redis.delete(trail)
    for number, (batch_id, linked) in enumerate(kept):
        redis.xadd(trail, {"b": b"gone" if number == 1 else batch_of(linked)}, id=batch_id)
    verified = await audit.verify(ACME)
    assert verified.broken is not None
    assert (verified.entries, verified.broken.sequence) == (10, 11)


def batches(redis: Redis, trail: str) -> list[tuple[str, list[Linked]]]:
    """What stands in a trail in Redis, batch by batch, with their ids."""
    raw = Redis(unix_socket_path=redis.get_connection_kwargs()["path"])
    return [(batch_id.decode(), entries_in(fields[b"b"])) for batch_id, fields in raw.xrange(trail)]


async def test_what_is_older_than_is_kept_goes_and_the_rest_proves_itself(audit: Audit, clock: Clock) -> None:
    await note(audit, clock, 1, 20)
    await audit.settle()
    clock.now = later(clock)
    await asyncio.sleep(0.002)  # entries of a stream in Redis bear its own time
    cut = clock()
    await note(audit, clock, 21, 10)
    await audit.settle()
    await audit.let_go(ACME, cut)
    assert [each.sequence for each in await audit.find(ACME, Wanted())] == list(range(21, 31))
    verified = await audit.verify(ACME)
    assert (verified.entries, verified.broken) == (10, None)


def later(clock: Clock) -> datetime:
    """The clock's next time: the real one, which a server goes by, or a little after the clock's."""
    return max(to_millis(datetime.now(UTC)) + timedelta(milliseconds=2), clock() + timedelta(milliseconds=2))


async def test_a_server_that_does_not_answer_refuses_what_can_not_be_noted(
    audit: Audit, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("Redis does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(Notes, "put", away)
        with pytest.raises(Unavailable, match="audit trail"):
            await audit.note(ACME, a_text(clock, 1))
    await audit.note(ACME, a_text(clock, 2))
    assert [each.entry.version for each in await audit.find(ACME, Wanted())] == [2]


async def test_a_script_may_note_where_the_tenant_is_known_to_have_a_trail_on_the_same_server(
    audit: Audit, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert audit.stream(ACME) is None
    await audit.note(ACME, a_text(clock, 1))
    assert audit.stream(ACME) == audit._notes._server.keys.audit(ACME).new
    audit.on = False
    assert audit.stream(ACME) is None
    audit.on = True
    monkeypatch.setattr(audit._notes._server._fleet, "holds_all", False)
    assert audit.stream(ACME) is None


async def test_why_something_was_done_goes_with_the_customer_and_the_trail_stays_whole(
    server: Server, trail: Trail, clock: Clock, tmp_path: Path, redis: Redis
) -> None:
    audit = with_reasons(server, trail, clock, tmp_path)
    await reasoned(audit, clock, "c42", "Mr Wang called")
    await reasoned(audit, clock, "c7", "a letter")
    found = await audit.find(ACME, Wanted())
    assert [each.entry.reason for each in found] == ["Mr Wang called", "a letter"]
    shown = (await audit.report(ACME, Wanted()))["broken_glass"]
    assert [line["reason"] for line in shown] == ["Mr Wang called", "a letter"]
    assert await audit.leave(ACME, "c42") == {"reason": 1, "source": 0}
    assert [each.entry.reason for each in await audit.find(ACME, Wanted())] == [None, "a letter"]
    assert (await audit.verify(ACME)).broken is None


async def test_a_reason_that_was_changed_is_found_and_not_shown(
    server: Server, trail: Trail, clock: Clock, tmp_path: Path, redis: Redis
) -> None:
    audit = with_reasons(server, trail, clock, tmp_path)
    await note(audit, clock, 1, 4)
    await reasoned(audit, clock, "c42", "out of curiosity")
    key = server.keys.lookup(ACME, "reasons", audit.pseudonym(ACME, "c42"))
    for field in redis.hkeys(key):
        redis.hset(key, field, b"0123456789abcdef" + b"a complaint")
    assert (await audit.find(ACME, Wanted()))[-1].entry.reason is None
    broken = (await audit.verify(ACME)).broken
    assert broken is not None
    assert (broken.sequence, broken.why) == (5, "its reason was changed")


def with_reasons(server: Server, trail: Trail, clock: Clock, folder: Path) -> Audit:
    reasons = Beside("reason", KeptReasons(server), KEPT)
    whereabouts = Whereabouts(KeptWhereabouts(server), ADDRESSES_KEPT, clock)
    return Audit(Notes(server), trail, KEY, clock, KEPT, folder / "anchors", reasons=reasons, whereabouts=whereabouts)


async def called(audit: Audit, clock: Clock, customer_id: str, address: str) -> str:
    """A line of a customer's call from an address; the seal in it."""
    customer = audit.pseudonym(ACME, customer_id)
    seal = await audit.called_from(ACME, customer, address)
    line = Entry(at=clock(), action="context.read", by="app", role="adapter", customer=customer, about=dict(seal),
                 source="127.0.0.1")  # fmt: skip
    await audit.note(ACME, text_of(line))
    return seal["source_seal"]


async def test_from_where_a_customer_called_goes_with_him_and_the_trail_stays_whole(
    server: Server, trail: Trail, clock: Clock, tmp_path: Path
) -> None:
    audit = with_reasons(server, trail, clock, tmp_path)
    await called(audit, clock, "c42", "203.0.113.7")
    await called(audit, clock, "c7", "203.0.113.8")
    await reasoned(audit, clock, "c42", "Mr Wang called")
    found = await audit.find(ACME, Wanted())
    assert [each.entry.source for each in found] == ["203.0.113.7", "203.0.113.8", None]
    assert await audit.leave(ACME, "c42") == {"reason": 1, "source": 1}
    found = await audit.find(ACME, Wanted())
    assert [(each.entry.source, each.entry.reason) for each in found] == [
        ("127.0.0.1", None), ("203.0.113.8", None), (None, None),
    ]  # fmt: skip
    assert (await audit.verify(ACME)).broken is None
    await called(audit, clock, "c42", "203.0.113.7")
    assert (await audit.find(ACME, Wanted()))[-1].entry.source == "203.0.113.7", "who comes again is somebody new"


async def test_an_address_that_was_changed_is_found_and_not_shown(
    server: Server, trail: Trail, clock: Clock, tmp_path: Path, redis: Redis
) -> None:
    audit = with_reasons(server, trail, clock, tmp_path)
    seal = await called(audit, clock, "c42", "203.0.113.7")
    key = server.keys.lookup(ACME, "whereabouts", audit.pseudonym(ACME, "c42"))
    redis.lset(key, 0, seal.encode() + b"0123456789abcdef" + b"203.0.113.9")
    assert (await audit.find(ACME, Wanted()))[-1].entry.source == "127.0.0.1"
    assert (await audit.verify(ACME)).broken == (1, "its source was changed")


async def test_calls_of_an_hour_from_one_address_share_what_is_kept_and_of_many_the_newest_stay(
    server: Server, trail: Trail, clock: Clock, tmp_path: Path, redis: Redis
) -> None:
    audit = with_reasons(server, trail, clock, tmp_path)
    first = await called(audit, clock, "c42", "203.0.113.7")
    clock.move(timedelta(minutes=59))
    assert await called(audit, clock, "c42", "203.0.113.7") == first
    clock.move(timedelta(minutes=1))
    assert await called(audit, clock, "c42", "203.0.113.7") != first
    audit.drop(ACME, "c42")
    again = await called(audit, clock, "c42", "203.0.113.7")
    for number in range(MOST_WHEREABOUTS - 1):
        await audit.called_from(ACME, audit.pseudonym(ACME, "c42"), f"2001:db8::{number:x}")
    key = server.keys.lookup(ACME, "whereabouts", audit.pseudonym(ACME, "c42"))
    kept = redis.lrange(key, 0, -1)
    assert (len(kept), kept[-1][:32]) == (MOST_WHEREABOUTS, again)
    assert 0 < redis.pttl(key) <= ADDRESSES_KEPT.total_seconds() * 1000


async def reasoned(audit: Audit, clock: Clock, customer_id: str, reason: str) -> None:
    """Note that glass was broken for a reason."""
    customer = audit.pseudonym(ACME, customer_id)
    about = await audit.sealed(ACME, customer, reason)
    entry = Entry(at=clock(), action=BROKEN_GLASS, by="bob", role="agent", customer=customer, about=about)
    await audit.note(ACME, text_of(entry))


async def test_a_trail_that_is_off_notes_nothing(server: Server, trail: Trail, clock: Clock) -> None:
    audit = Audit(Notes(server), trail, KEY, clock, KEPT, on=False)
    await audit.note(ACME, a_text(clock, 1))
    assert await audit.find(ACME, Wanted()) == []


def test_a_pseudonym_is_the_same_always_and_another_for_each_tenant(server: Server, clock: Clock) -> None:
    audit = Audit(Notes(server), RedisTrail(server), KEY, clock, KEPT)
    assert audit.pseudonym(ACME, "c42") == audit.pseudonym(ACME, "c42")
    assert audit.pseudonym(ACME, "c42") != audit.pseudonym("other", "c42")
    assert "c42" not in audit.pseudonym(ACME, "c42")


async def test_an_agent_looks_at_no_more_customers_than_work_explains(hub: Hub) -> None:
    most = hub.tenants.of(ACME).policies.customers_in_ten_minutes
    for number in range(most):
        await hub.access.watch(ACME, "a7", f"customer {number}")
    await hub.access.watch(ACME, "a7", "customer 0")
    await hub.access.watch(ACME, "a8", "one more")
    with pytest.raises(TooMany, match="more customers than work explains"):
        await hub.access.watch(ACME, "a7", "one more")
