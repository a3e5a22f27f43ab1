"""Contexts in Redis: load, append, commit; what each script promises, to the letter."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis

from ctxhub.errors import (
    ContextFull,
    CustomerUnknown,
    EventIdReused,
    IdempotencyKeyReused,
    Lapsed,
    Moved,
    NotTheHolder,
    WrittenByNewer,
)
from ctxhub.model.context import Hold
from ctxhub.model.customer import Assurance
from ctxhub.store.codec import packed
from ctxhub.store.contexts import Contexts, Noting, NotOpen, Operation, Plan, Who
from ctxhub.store.indexes import millis
from ctxhub.store.redis import Server
from tests.model.scenes import held, offered
from tests.store.scenes import KEYED, WHO, an_append, born, plan, seen
from tests.support import DAY, HOUR, KEEP, MINUTE, NOON, SECOND, a_context, a_fact, after, started

pytestmark = pytest.mark.usefixtures("no_key_leaks")


def everything(redis: Redis) -> dict[str, Any]:
    """All that stands in Redis, to see that nothing was written."""
    read = {"hash": redis.hgetall, "zset": lambda k: redis.zrange(k, 0, -1, withscores=True), "string": redis.get,
            "list": lambda k: redis.lrange(k, 0, -1), "stream": redis.xrange, "set": redis.smembers}  # fmt: skip
    return {key: read[redis.type(key)](key) for key in sorted(redis.scan_iter())}


class TestLoading:
    """What a decision needs, in one step."""

    async def test_a_customer_who_is_not_there_is_empty(self, kept: Contexts) -> None:
        loaded = await kept.load(WHO, 5, ["e1", "e2"], KEYED)
        assert (loaded.context, loaded.version, loaded.commit, loaded.recent) == (None, 0, "", [])
        assert (loaded.seen, loaded.record) == ([None, None], None)

    async def test_must_be_there_is_refused_where_nobody_is(self, kept: Contexts) -> None:
        with pytest.raises(CustomerUnknown):
            await kept.existing(WHO)

    async def test_it_brings_context_versions_and_the_newest_events_oldest_first(self, kept: Contexts) -> None:
        await born(kept, "e1", "e2", "e3")
        loaded = await kept.load(WHO, 2)
        assert loaded.context == started(a_context())
        assert (loaded.version, loaded.document_version) == (3, 3)
        assert [(event["version"], event["event_id"]) for event in loaded.recent] == [(2, "e2"), (3, "e3")]

    async def test_it_says_of_event_ids_which_are_known_at_which_version(self, kept: Contexts) -> None:
        await born(kept, "e1", "e2")
        assert (await kept.load(WHO, 0, ["e2", "e9", "e1"])).seen == [(2, "p"), None, (1, "p")]

    async def test_another_process_reads_the_same(self, kept: Contexts, server: Server) -> None:
        written = await born(kept)
        assert await Contexts(server, KEEP).load(WHO) == written

    async def test_a_document_known_already_is_not_sent_again(self, kept: Contexts, redis: Redis) -> None:
        loaded = await born(kept)
        redis.set(kept.keys(WHO).document, "nobody reads this", keepttl=True)
        assert (await kept.load(WHO)).context is loaded.context

    async def test_events_brought_before_are_not_read_again(self, kept: Contexts) -> None:
        await born(kept, "e1", "e2", "e3")
        before = (await kept.load(WHO, 2)).recent
        await kept.append(WHO, [an_append("e4")], NOON)
        after_ = (await kept.load(WHO, 3)).recent
        assert [event["event_id"] for event in after_] == ["e2", "e3", "e4"]
        assert [new is old for new, old in zip(after_, before, strict=False)] == [True, True]

    async def test_an_event_written_over_in_its_place_is_read_anew(self, kept: Contexts, redis: Redis) -> None:
        await born(kept, "e1", "e2", "e3")
        await kept.load(WHO, 3)
        redis.eval("redis.call('LSET', KEYS[1], 1, redis.call('LINDEX', KEYS[1], 0))", 1, kept.keys(WHO).timeline)
        assert [event["event_id"] for event in (await kept.load(WHO, 3)).recent] == ["e1", "e1", "e3"]

    async def test_what_redis_says_again_is_the_same_object_until_anything_is_another(
        self, kept: Contexts, redis: Redis
    ) -> None:
        await born(kept, "e1", "e2", "e3")
        await kept.load(WHO, 3)
        first = await kept.load(WHO, 3)
        assert await kept.load(WHO, 3) is first
        assert (await kept.load(WHO, 3, ["e1"])).seen == [(1, "p")]
        assert len((await kept.load(WHO, 2)).recent) == 2
        changes = (
            lambda: redis.hset(kept.keys(WHO).context, "last", 1),
            lambda: redis.eval(
                "redis.call('LSET', KEYS[1], 0, redis.call('LINDEX', KEYS[1], 1))", 1, kept.keys(WHO).timeline
            ),
            lambda: redis.hset(kept.keys(WHO).context, "state", "moved:c43"),
        )
        for change in changes:
            same = await kept.wherever(WHO, 3)
            assert await kept.wherever(WHO, 3) is same
            change()
            assert await kept.wherever(WHO, 3) is not same

    async def test_what_is_read_again_is_noted_in_the_same_step(self, kept: Contexts, redis: Redis) -> None:
        commit = (await born(kept, "e1", "e2")).commit
        noting = Noting("ctxhub:{00}:read", b"version ", b" was read", None)
        before = await kept.load(WHO, 5)
        assert await kept.again(WHO, 5, commit, noting) is before
        await kept.append(WHO, [an_append("e3")], NOON)
        after_ = await kept.again(WHO, 5, commit, noting)
        assert after_ is not None
        assert [event["event_id"] for event in after_.recent] == ["e1", "e2", "e3"]
        assert await kept.load(WHO, 5) is after_
        assert await kept.again(WHO, 5, commit, noting._replace(version=3)) is after_
        for most in (0, 1, 2):
            again = await kept.again(WHO, most, commit, noting._replace(stream="ctxhub:{00}:other"))
            assert again is not None
            assert len(again.recent) == most
        said = [fields["e"] for _, fields in redis.xrange(noting.stream)]
        assert said == [f"version {number} was read" for number in (2, 3, 3)]
        redis.delete(noting.stream, "ctxhub:{00}:other")

    async def test_nothing_is_noted_of_what_is_another_by_now_or_not_there(self, kept: Contexts, redis: Redis) -> None:
        commit = (await born(kept, "e1", "e2")).commit
        noting = Noting("ctxhub:{00}:read", b"", b"", None)
        assert await kept.again(WHO, 5, "another", noting) is None
        assert await kept.again(WHO, 5, commit, noting._replace(version=1)) is None
        assert await kept.again(Who(WHO.tenant, "nobody"), 5, commit, noting) is None
        redis.hset(kept.keys(WHO).context, "commit", "newer")
        assert await kept.again(WHO, 5, commit, noting) is None
        redis.hset(kept.keys(WHO).context, mapping={"commit": commit, "state": "moved:c43"})
        assert await kept.again(WHO, 5, commit, noting) is None
        redis.hset(kept.keys(WHO).context, "state", "live")
        redis.delete(kept.keys(WHO).document)
        assert await kept.again(WHO, 5, commit, noting) is None
        assert redis.exists(noting.stream) == 0

    async def test_of_who_is_forgotten_no_event_is_held(self, kept: Contexts) -> None:
        await born(kept, "e1")
        held_before = (await kept.load(WHO, 1)).recent
        kept.drop(WHO)
        assert (await kept.load(WHO, 1)).recent[0] is not held_before[0]

    async def test_a_context_without_its_document_has_lapsed(self, server: Server, redis: Redis) -> None:
        await born(Contexts(server, KEEP))
        fresh = Contexts(server, KEEP)
        redis.delete(fresh.keys(WHO).document)
        with pytest.raises(Lapsed):
            await fresh.existing(WHO)
        with pytest.raises(Lapsed):
            await fresh.append(WHO, [an_append("e9")], NOON)

    async def test_who_comes_again_after_its_context_has_lapsed_is_somebody_new(
        self, server: Server, redis: Redis
    ) -> None:
        kept = Contexts(server, KEEP)
        await born(kept, "e1", "e2", "e3")
        redis.delete(kept.keys(WHO).document, kept.keys(WHO).timeline, kept.keys(WHO).events)
        loaded = await kept.load(WHO)
        assert (loaded.context, loaded.has_lapsed) == (None, True)
        assert await kept.commit(WHO, loaded, plan(started(a_context()), "e1"), NOON, None) == (1, 1)
        assert [event["version"] for event in await kept.timeline(WHO, 0)] == [1]

    @pytest.mark.parametrize(("state", "error"), [("moved:c7", Moved), ("gone", Lapsed)])
    async def test_who_moved_or_is_gone_is_refused(
        self, kept: Contexts, redis: Redis, state: str, error: type[Exception]
    ) -> None:
        await born(kept)
        redis.hset(kept.keys(WHO).context, "state", state)
        with pytest.raises(error):
            await kept.load(WHO)
        with pytest.raises(error):
            await kept.append(WHO, [an_append("e9")], NOON)

    async def test_what_a_newer_version_wrote_is_not_misread(self, server: Server, redis: Redis) -> None:
        await born(Contexts(server, KEEP))
        fresh = Contexts(server, KEEP)
        redis.set(fresh.keys(WHO).document, b"\x03" + packed(b"{}")[1:], keepttl=True)
        with pytest.raises(WrittenByNewer, match="newer ctxhub"):
            await fresh.load(WHO)


class TestCommitting:
    """Replace the document, unless it changed since it was read."""

    async def test_each_event_raises_the_version_by_one(self, kept: Contexts) -> None:
        loaded = await born(kept, "e1", "e2")
        assert await kept.commit(WHO, loaded, plan(loaded.context, "e3", "e4"), NOON, None) == (4, 4)
        told = await kept.timeline(WHO, 0)
        assert [(event["version"], event["event_id"]) for event in told] == [(n, f"e{n}") for n in (1, 2, 3, 4)]
        assert {(event["assurance"], event["channel"]) for event in told} == {(2, "chat")}

    async def test_without_a_new_document_only_the_version_rises(self, kept: Contexts) -> None:
        loaded = await born(kept)
        assert await kept.commit(WHO, loaded, plan(None, "e2"), NOON, None) == (2, 1)
        assert (await kept.load(WHO)).commit == loaded.commit

    async def test_without_an_event_nothing_is_told_and_the_version_stays(self, kept: Contexts, redis: Redis) -> None:
        loaded = await born(kept)
        changed = after(started(a_context()), a_fact(1))
        assert await kept.commit(WHO, loaded, Plan(changed), NOON, None) == (1, 1)
        assert redis.xlen(kept.keys(WHO).outbox) == 1
        assert (await kept.load(WHO)).context == changed

    async def test_a_document_that_changed_since_refuses_all(self, kept: Contexts, redis: Redis) -> None:
        loaded = await born(kept)
        assert await kept.commit(WHO, loaded, plan(loaded.context, "e2"), NOON, None)
        before = everything(redis)
        assert await kept.commit(WHO, loaded, plan(loaded.context, "e3"), NOON, None) is None
        assert everything(redis) == before

    async def test_two_who_create_the_same_customer_one_does(self, kept: Contexts) -> None:
        empty = await kept.load(WHO)
        done = await asyncio.gather(*(
            kept.commit(WHO, empty, plan(started(a_context()), f"e{n}"), NOON, None) for n in range(5)
        ))  # fmt: skip
        assert sorted(done, key=str) == [(1, 1), None, None, None, None]

    async def test_an_append_in_between_disturbs_no_decision_and_its_version_counts(self, kept: Contexts) -> None:
        loaded = await born(kept)
        await kept.append(WHO, [an_append("e2"), an_append("e3")], NOON)
        assert await kept.commit(WHO, loaded, plan(loaded.context, "e4"), NOON, None) == (4, 4)

    async def test_an_event_id_known_by_now_refuses_all(self, kept: Contexts, redis: Redis) -> None:
        loaded = await born(kept)
        await kept.append(WHO, [an_append("e2")], NOON)
        before = everything(redis)
        assert await kept.commit(WHO, loaded, plan(loaded.context, "e9", "e2"), NOON, None) is None
        assert everything(redis) == before

    async def test_an_operation_is_recorded_with_its_effect_and_not_done_twice(
        self, kept: Contexts, redis: Redis
    ) -> None:
        loaded = await born(kept)
        done = plan(None, "e2", record=f"{KEYED.fingerprint} {{}}")
        assert await kept.commit(WHO, loaded, done, NOON, KEYED)
        assert (await kept.load(WHO, 0, (), KEYED)).record == "{}"
        before = everything(redis)
        again = plan(None, "e3", record=f"{KEYED.fingerprint} {{}}")
        assert await kept.commit(WHO, loaded, again, NOON, KEYED) is None
        assert everything(redis) == before

    async def test_a_key_with_another_request_is_refused(self, kept: Contexts) -> None:
        loaded = await born(kept)
        await kept.commit(WHO, loaded, plan(None, "e2", record=f"{KEYED.fingerprint} {{}}"), NOON, KEYED)
        with pytest.raises(IdempotencyKeyReused):
            await kept.load(WHO, 0, (), Operation(KEYED.digest, "print-2"))

    async def test_what_is_due_stands_in_the_index_and_leaves_it(self, kept: Contexts, redis: Redis) -> None:
        loaded, due = await born(kept), kept.keys(WHO).due
        for when, stands in ((NOON + MINUTE, [("acme\nc42", millis(NOON + MINUTE))]), (None, [])):
            assert await kept.commit(WHO, loaded, Plan(None, due=when), NOON, None)
            assert redis.zrange(due, 0, -1, withscores=True) == stands

    async def test_a_wait_is_in_its_list_with_the_commit_and_out_of_it_with_the_next(
        self, kept: Contexts, redis: Redis
    ) -> None:
        loaded = await born(kept)
        waiting = offered(started(a_context()), priority=3)
        assert await kept.commit(WHO, loaded, plan(waiting, "e2"), NOON, None)
        place = f"ctxhub:{{{kept.keys(WHO).partition}}}:acme:waiting:queue:cards"
        assert redis.zrange(place, 0, -1, withscores=True) == [("c42\nho_1", millis(NOON) - 3e13)]
        loaded = await kept.load(WHO)
        assert await kept.commit(WHO, loaded, plan(started(a_context()), "e3"), NOON, None)
        assert not redis.exists(place)

    async def test_look_ups_are_written_with_it(self, kept: Contexts, server: Server, redis: Redis) -> None:
        key = server.keys.handoff(kept.keys(WHO).partition, "ho_1")
        assert await kept.commit(WHO, await born(kept), plan(None, "e2", lookups=[(key, "acme\nc42")]), NOON, None)
        assert redis.get(key) == "acme\nc42"
        assert 0 < redis.pttl(key) <= 7 * DAY / timedelta(milliseconds=1)

    async def test_one_over_the_limit_is_refused_and_says_what_fills_it(self, kept: Contexts, redis: Redis) -> None:
        loaded = await born(kept)
        told = [a_fact("x" * 60_000, name=f"n{n}") for n in range(5)]
        context = after(started(a_context()), *told, a_fact("small"))
        before = everything(redis)
        with pytest.raises(ContextFull) as refusal:
            await kept.commit(WHO, loaded, plan(context, "e2"), NOON, None)
        largest = refusal.value.ids["largest"]
        assert largest[0] == {"part": "facts"}
        assert {one["fact"] for one in largest[1:]} == {f"n{n}" for n in range(5)}
        assert everything(redis) == before

    async def test_a_cancelled_write_is_read_anew(self, kept: Contexts) -> None:
        loaded = await born(kept)
        writing = asyncio.create_task(
            kept.commit(WHO, loaded, plan(after(started(a_context()), a_fact(1)), "e2"), NOON, None)
        )
        await asyncio.sleep(0)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        fresh = await kept.load(WHO)
        assert fresh.context is not None
        assert len(fresh.context.facts) == fresh.version - 1


class TestAppending:
    """Add to the timeline what no decision depends on."""

    async def test_the_version_rises_and_the_document_stays(self, kept: Contexts) -> None:
        loaded = await born(kept)
        outcome = await kept.append(WHO, [an_append("e2"), an_append("e3")], NOON)
        assert outcome == (3, 1, "00", [2, 3])
        fresh = await kept.load(WHO)
        assert (fresh.version, fresh.document_version, fresh.commit) == (3, 1, loaded.commit)

    async def test_nobody_there_is_refused(self, kept: Contexts, redis: Redis) -> None:
        with pytest.raises(CustomerUnknown):
            await kept.append(WHO, [an_append("e1")], NOON)
        assert everything(redis) == {}

    async def test_one_seen_before_gets_its_first_version(self, kept: Contexts, redis: Redis) -> None:
        await born(kept)
        assert (await kept.append(WHO, [an_append("e2")], NOON)).versions == [2]
        before = everything(redis)
        assert await kept.append(WHO, [an_append("e2")], NOON) == (2, 1, "1", [2])
        assert everything(redis) == before

    async def test_one_seen_before_and_a_new_one_go_together(self, kept: Contexts) -> None:
        await born(kept)
        await kept.append(WHO, [an_append("e2")], NOON)
        assert await kept.append(WHO, [an_append("e3"), an_append("e2")], NOON) == (3, 1, "01", [3, 2])

    async def test_twice_in_one_request_it_is_told_once(self, kept: Contexts) -> None:
        await born(kept)
        assert await kept.append(WHO, [an_append("e2"), an_append("e2")], NOON) == (2, 1, "01", [2, 2])
        assert len(await kept.timeline(WHO, 0)) == 2

    @pytest.mark.parametrize("together", [False, True])
    async def test_one_id_with_two_contents_refuses_all(self, kept: Contexts, redis: Redis, together: bool) -> None:
        await born(kept)
        told = [an_append("e2", "one")]
        if not together:
            await kept.append(WHO, told, NOON)
        before = everything(redis)
        with pytest.raises(EventIdReused) as refusal:
            await kept.append(WHO, [*told, an_append("e3"), an_append("e2", "another")], NOON)
        assert refusal.value.ids == {"event_id": "e2"}
        assert everything(redis) == before

    async def test_an_interaction_that_is_not_open_needs_a_decision(self, kept: Contexts, redis: Redis) -> None:
        await born(kept)
        before = everything(redis)
        with pytest.raises(NotOpen):
            await kept.append(WHO, [an_append("e2"), an_append("e3", interaction_id="in_9")], NOON)
        assert everything(redis) == before

    @pytest.mark.parametrize(
        ("fence", "delivered", "party", "flag"),
        [("2", False, "agent", "0"), ("2", True, "bot", "0"), ("1", True, "agent", "2"), ("", True, "bot", "2"),
         ("", True, "agent", "0"), ("-", False, "system", "0")],
    )  # fmt: skip
    async def test_what_was_said_in_turn_is_told_and_out_of_turn_marked(
        self, kept: Contexts, fence: str, delivered: bool, party: str, flag: str
    ) -> None:
        await kept.commit(WHO, await kept.load(WHO), plan(held(started(a_context())), "e1"), NOON, None)
        told = an_append("e2", fence=fence, delivered=delivered, party=party)
        assert (await kept.append(WHO, [told], NOON)).flags == flag
        assert (await kept.timeline(WHO, 1))[0].get("marks") == (["out_of_turn"] if flag == "2" else None)

    @pytest.mark.parametrize("fence", ["1", "3", ""])
    async def test_who_has_not_the_floor_is_refused_and_told_who_has(
        self, kept: Contexts, redis: Redis, fence: str
    ) -> None:
        await kept.commit(WHO, await kept.load(WHO), plan(held(started(a_context())), "e1"), NOON, None)
        before = everything(redis)
        with pytest.raises(NotTheHolder) as refusal:
            await kept.append(WHO, [an_append("e2"), an_append("e3", fence=fence)], NOON)
        assert refusal.value.ids == {"interaction_id": "in_1", "fence": 2, "holder": {"party": "agent"}}
        assert everything(redis) == before

    async def test_it_notes_when_an_interaction_and_its_holder_were_last_heard(self, kept: Contexts) -> None:
        await born(kept)
        await kept.append(WHO, [an_append("e2")], NOON + SECOND)
        assert (await kept.load(WHO)).activities["in_1"] == (NOON + SECOND, None)
        await kept.append(WHO, [an_append("e3", fence="1")], NOON + MINUTE)
        assert (await kept.load(WHO)).activities["in_1"] == (NOON + MINUTE, NOON + MINUTE)
        await kept.append(WHO, [an_append("e4", fence="9", delivered=True)], NOON + HOUR)
        assert (await kept.load(WHO)).activities["in_1"] == (NOON + HOUR, NOON + MINUTE)

    async def test_it_tells_the_assurance_of_its_interaction_while_that_lasts(self, kept: Contexts) -> None:
        await born(kept, level=2)
        for number, at in enumerate((NOON, NOON + 30 * MINUTE - SECOND / 1000, NOON + 30 * MINUTE), 2):
            await kept.append(WHO, [an_append(f"e{number}")], at)
        told = await kept.timeline(WHO, 1)
        assert [(event["assurance"], event["channel"]) for event in told] == [(2, "chat"), (2, "chat"), (0, "chat")]

    async def test_assurance_without_an_end_is_as_good_as_none_here_and_in_the_model(self, kept: Contexts) -> None:
        context = started(a_context())
        endless = context.with_interaction(context.interactions["in_1"].but(assurance=Assurance(level=0)))
        await kept.commit(WHO, await kept.load(WHO), plan(endless, "e1"), NOON, None)
        await kept.append(WHO, [an_append("e2")], NOON)
        assert (await kept.timeline(WHO, 1))[0]["assurance"] == endless.interactions["in_1"].level(NOON)

    async def test_without_an_interaction_it_tells_the_teller_s_own(self, kept: Contexts) -> None:
        await born(kept)
        await kept.append(WHO, [an_append("e2", interaction_id=None, level=2)], NOON)
        told = (await kept.timeline(WHO, 1))[0]
        assert (told["assurance"], told.get("channel"), told.get("interaction_id")) == (2, None, None)

    async def test_a_repeated_request_gets_its_first_answer(self, kept: Contexts, redis: Redis) -> None:
        await born(kept)
        told = [an_append("e2"), an_append("e2"), an_append("e3", fence="9", delivered=True)]
        first = await kept.append(WHO, told, NOON, KEYED)
        assert first == (3, 1, "012", [2, 2, 3])
        before = everything(redis)
        assert await kept.append(WHO, told, NOON, KEYED) == first
        assert everything(redis) == before

    async def test_a_key_with_another_request_is_refused(self, kept: Contexts, redis: Redis) -> None:
        await born(kept)
        await kept.append(WHO, [an_append("e2")], NOON, KEYED)
        before = everything(redis)
        with pytest.raises(IdempotencyKeyReused):
            await kept.append(WHO, [an_append("e3")], NOON, Operation(KEYED.digest, "print-2"))
        assert everything(redis) == before

    async def test_a_key_from_before_a_customer_was_forgotten_stands_for_nothing(self, kept: Contexts) -> None:
        loaded = await born(kept)
        await kept.append(WHO, [an_append("e2")], NOON, KEYED)
        assert loaded.context is not None
        await kept.forget(WHO, loaded.context)
        await born(kept)
        assert await kept.append(WHO, [an_append("e2")], NOON, KEYED) == (2, 1, "0", [2])
        assert (await kept.append(WHO, [an_append("e3")], NOON)).versions == [3]

    async def test_it_hints_at_the_customer_s_growth(self, kept: Contexts, redis: Redis) -> None:
        await born(kept)
        with redis.pubsub() as listening:
            listening.psubscribe("ctxhub:*")
            listening.get_message(timeout=1)
            await kept.append(WHO, [an_append("e2")], NOON)
            await kept.append(WHO, [an_append("e2")], NOON)
            message = listening.get_message(timeout=1)
            assert message is not None
            assert message["data"] == "acme\nc42\n2"
            assert listening.get_message(timeout=0.05) is None


class TestReading:
    """The timeline between two versions."""

    async def test_bounds_are_exclusive_and_the_limit_holds(self, kept: Contexts) -> None:
        await born(kept, *(f"e{n}" for n in range(1, 10)))

        async def versions(*bounds: Any) -> list[int]:
            return [event["version"] for event in await kept.timeline(WHO, *bounds)]

        assert await versions(0) == list(range(1, 10))
        assert await versions(3, 7) == [4, 5, 6]
        assert await versions(3, None, 2) == [4, 5]
        assert await versions(0, 9, 3) == [1, 2, 3]
        assert await versions(9) == await versions(5, 6) == await versions(5, 2) == []

    async def test_of_several_customers_in_one_call(self, kept: Contexts) -> None:
        other = Who("acme", "c7")
        await born(kept, "e1", "e2", "e3")
        await born(kept, "f1", who=other)
        found = await kept.spans([(WHO, 2, 3), (other, 1, 1), (Who("acme", "nobody"), 1, 5)])
        assert [[event["event_id"] for event in events] for events in found] == [["e2", "e3"], ["f1"], []]
        assert [context is not None for context in await kept.many([WHO, Who("acme", "no"), other])] == [
            True, False, True,
        ]  # fmt: skip

    async def test_what_was_told_comes_back_as_it_was(self, kept: Contexts) -> None:
        await born(kept)
        told = seen("e2 城市 😀", data={"a": [1, 2.5, None, True, "x" * 60_000]}).but(
            data={"a": [1, 2.5, None, True, "é"]}
        )
        await kept.append(WHO, [an_append("e2")._replace(event=told)], NOON)
        found = (await kept.timeline(WHO, 1))[0]
        assert (found["event_id"], found["data"]) == (told.event_id, told.data)


class TestForgetting:
    """All that a customer has in the slot is deleted."""

    async def test_nothing_of_the_customer_is_left(self, kept: Contexts, redis: Redis) -> None:
        loaded = await born(kept)
        waiting = offered(started(a_context()))
        await kept.commit(WHO, loaded, plan(waiting, "e2", due=NOON), NOON, None)
        await kept.forget(WHO, waiting)
        assert [key for key in redis.scan_iter() if not key.endswith("outbox")] == []
        assert (await kept.load(WHO)).context is None


async def test_twenty_writers_of_one_customer_in_one_process_lose_nothing(kept: Contexts) -> None:
    await born(kept)

    async def writes(writer: int) -> None:
        for turn in range(5):
            async with kept.turn(WHO):
                loaded, context = await kept.existing(WHO)
                changed = after(context, a_fact(turn, name=f"n{writer}-{turn}"))
                assert await kept.commit(WHO, loaded, plan(changed, f"w{writer}-{turn}"), NOON, None)
            await kept.append(WHO, [an_append(f"a{writer}-{turn}")], NOON)

    await asyncio.gather(*(writes(writer) for writer in range(20)))
    loaded, context = await kept.existing(WHO)
    told = [event["event_id"] for event in await kept.timeline(WHO, 0, None, 1000)]
    assert (len(context.facts), loaded.version, len(told), len(set(told))) == (100, 201, 201, 201)


async def test_a_turn_is_one_s_own_and_nobody_else_s_customer_waits(kept: Contexts) -> None:
    order: list[str] = []

    async def takes(who: Who, name: str) -> None:
        async with kept.turn(who):
            order.append(f"{name} begins")
            await asyncio.sleep(0.01)
            order.append(f"{name} ends")

    await asyncio.gather(takes(WHO, "a"), takes(WHO, "b"), takes(Who("acme", "c7"), "other"))
    assert order.index("a ends") < order.index("b begins")
    assert order.index("other begins") < order.index("a ends")


async def test_a_hold_keeps_all_of_a_customer_until_it_ends(kept: Contexts, redis: Redis) -> None:
    loaded = await born(kept)
    keys = kept.keys(WHO)
    names = (keys.context, keys.document, keys.timeline, keys.events)
    assert loaded.context is not None
    held = loaded.context.but(hold=Hold(reason="a case in court", at=NOON, by="ann"))
    assert await kept.commit(WHO, loaded, plan(held, "e2"), NOON, None)
    await kept.append(WHO, [an_append("e3")], NOON)
    assert {redis.pttl(name) for name in names} == {-1}
    assert await kept.commit(WHO, await kept.load(WHO), plan(loaded.context, "e4"), NOON, None)
    assert min(redis.pttl(name) for name in names) > 0


async def test_all_of_a_customer_lapses_together_and_each_write_prolongs_it(kept: Contexts, redis: Redis) -> None:
    loaded = await born(kept)
    keys = kept.keys(WHO)
    names = (keys.document, keys.timeline, keys.events)
    for write in (
        kept.append(WHO, [an_append("e2")], NOON),
        kept.commit(WHO, loaded, plan(None, "e3"), NOON, None),
    ):
        for name in names:
            redis.pexpire(name, 5000)
        await write
        left = [redis.pttl(name) for name in names]
        assert min(left) > 29 * DAY / timedelta(milliseconds=1)
        assert max(left) - min(left) < 100
        assert abs(redis.pttl(keys.context) - 2 * max(left)) < 100  # so long it is known that somebody was there
