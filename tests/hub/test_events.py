"""Events: what is told is kept once, whichever way it is kept and however often it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ctxhub.errors import (
    Changed,
    CustomerUnknown,
    EventIdReused,
    IdempotencyKeyReused,
    InteractionEnded,
    Invalid,
    NotTheHolder,
)
from ctxhub.hub.changes import Request
from ctxhub.hub.hub import Hub
from ctxhub.model.event import Telling
from tests.hub.scenes import WHO, an_operation, begin, context_of, in_one, tell, told_of
from tests.support import DAY, HOUR, MINUTE, NOON, SECOND, Clock

FACT: dict[str, Any] = {"name": "city", "value": "Xi'an"}
#: One event that is appended, and one that is decided upon.
BOTH = [("message.received", {"text": "hello"}), ("fact.stated", FACT)]


def duplicates(answer: dict[str, Any]) -> list[bool]:
    return [result["duplicate"] for result in answer["results"]]


def versions(answer: dict[str, Any]) -> list[int]:
    return [result["version"] for result in answer["results"]]


def told(event_id: str, type_: str, interaction_id: str, data: dict[str, Any], **more: Any) -> Telling:
    return Telling(event_id=event_id, type=type_, interaction_id=interaction_id, data=data, **more)


class TestOnce:
    """Every event is recognised the second time."""

    @pytest.mark.parametrize(("type_", "data"), BOTH)
    async def test_replaying_an_event_changes_nothing(self, hub: Hub, type_: str, data: dict[str, Any]) -> None:
        interaction_id = await in_one(hub)
        first = await tell(hub, type_, interaction_id, "e1", **data)
        await tell(hub, "note.added", interaction_id, "e2", text="x")
        before = await context_of(hub), await told_of(hub)
        again = await tell(hub, type_, interaction_id, "e1", **data)
        assert (versions(again), duplicates(first), duplicates(again)) == (versions(first), [False], [True])
        assert (await context_of(hub), await told_of(hub)) == before

    @pytest.mark.parametrize(("type_", "data"), BOTH)
    async def test_one_id_with_two_contents_is_refused(self, hub: Hub, type_: str, data: dict[str, Any]) -> None:
        interaction_id = await in_one(hub)
        await tell(hub, type_, interaction_id, "e1", **data)
        for other in (data | {next(iter(data)): "another"}, data):
            kind = type_ if other != data else "x.seen"
            with pytest.raises(EventIdReused):
                await tell(hub, kind, interaction_id, "e1", **other)

    @pytest.mark.parametrize(("type_", "data"), BOTH)
    async def test_of_twenty_who_tell_it_at_once_one_does(self, hub: Hub, type_: str, data: dict[str, Any]) -> None:
        interaction_id = await in_one(hub)
        answers = await asyncio.gather(*(tell(hub, type_, interaction_id, "e1", **data) for _ in range(20)))
        assert {version for answer in answers for version in versions(answer)} == {2}
        assert sorted(flag for answer in answers for flag in duplicates(answer)) == [False] + [True] * 19

    async def test_a_mixed_request_keeps_what_is_new(self, hub: Hub) -> None:
        interaction_id = await in_one(hub)
        await tell(hub, "fact.stated", interaction_id, "e1", **FACT)
        events = [
            told("e1", "fact.stated", interaction_id, FACT),
            told("e2", "note.added", interaction_id, {"text": "x"}),
        ]
        answer = await hub.events.tell(WHO, events, Request())
        assert (versions(answer), duplicates(answer), answer["version"]) == ([2, 3], [True, False], 3)

    async def test_twice_in_one_request_it_is_kept_once(self, hub: Hub) -> None:
        interaction_id = await in_one(hub)
        for number, (type_, data) in enumerate(BOTH):
            events = [told(f"e{number}", type_, interaction_id, data)] * 2
            answer = await hub.events.tell(WHO, events, Request())
            assert (versions(answer), duplicates(answer)) == ([2 + number] * 2, [False, True])

    async def test_one_that_is_refused_refuses_all(self, hub: Hub) -> None:
        interaction_id = await in_one(hub)
        events = [told("e1", "fact.stated", interaction_id, FACT),
                  told("e2", "message.sent", interaction_id, {"text": "x"}, party="bot")]  # fmt: skip
        with pytest.raises(NotTheHolder):
            await hub.events.tell(WHO, events, Request())
        assert ((await context_of(hub)).facts, await told_of(hub)) == ((), ["interaction.started"])


class TestKeys:
    """The same Idempotency-Key is the same answer."""

    @pytest.mark.parametrize(("type_", "data"), BOTH)
    async def test_a_repeated_request_gets_its_first_answer(self, hub: Hub, type_: str, data: dict[str, Any]) -> None:
        interaction_id = await in_one(hub)
        first = await tell(hub, type_, interaction_id, "e1", keyed="k1", **data)
        await tell(hub, "note.added", interaction_id, "e2", text="x")
        again = await tell(hub, type_, interaction_id, "e1", keyed="k1", **data)
        assert again["results"] == first["results"]
        assert len(await told_of(hub)) == 3

    @pytest.mark.parametrize(("type_", "data"), BOTH)
    async def test_for_another_request_it_is_refused(self, hub: Hub, type_: str, data: dict[str, Any]) -> None:
        interaction_id = await in_one(hub)
        events = [told("e1", type_, interaction_id, data)]
        await hub.events.tell(WHO, events, Request(operation=an_operation("k1", "one")))
        with pytest.raises(IdempotencyKeyReused):
            await hub.events.tell(WHO, events, Request(operation=an_operation("k1", "another")))

    async def test_what_was_decided_the_first_time_and_only_appended_the_second_is_the_same_answer(
        self, hub: Hub, clock: Clock
    ) -> None:
        interaction_id = await in_one(hub)
        clock.move(HOUR)
        await hub.wake(WHO)
        first = await tell(hub, "message.received", interaction_id, "e1", keyed="k1", text="still there?")
        assert await told_of(hub) == [
            "interaction.started",
            "interaction.ended",
            "interaction.reopened",
            "message.received",
        ]
        again = await tell(hub, "message.received", interaction_id, "e1", keyed="k1", text="still there?")
        assert again["results"] == first["results"]

    async def test_what_was_appended_the_first_time_and_is_decided_the_second_is_the_same_answer(
        self, hub: Hub
    ) -> None:
        interaction_id = await in_one(hub)
        events = [told(f"e{n}", "x.seen", interaction_id, {}) for n in range(3)]
        keyed = an_operation("k1")
        first = await hub.events.tell(WHO, events, Request(operation=keyed))
        again = await hub.events.tell(WHO, events, Request(if_match=first["etag"], operation=keyed))
        assert again["results"] == first["results"]

    async def test_a_refusal_is_not_remembered(self, hub: Hub) -> None:
        interaction_id = await in_one(hub)
        with pytest.raises(NotTheHolder):
            await tell(hub, "message.sent", interaction_id, "e1", keyed="k1", text="x", fence=9)
        answer = await tell(hub, "message.sent", interaction_id, "e1", keyed="k1", text="x", fence=9, delivered=True)
        assert duplicates(answer) == [False]


class TestVersions:
    """What was acknowledged is in the next read."""

    async def test_messages_between_reading_and_deciding_move_the_version_that_is_answered(self, hub: Hub) -> None:
        interaction_id = await in_one(hub)
        kept = hub.changes.contexts
        load, once = kept.load, [True]

        async def meanwhile(*args: Any, **more: Any) -> Any:
            loaded = await load(*args, **more)
            if once:
                once.clear()
                await tell(hub, "message.received", interaction_id, "m1", text="meanwhile")
            return loaded

        kept.load = meanwhile  # type: ignore[method-assign]
        answer = await tell(hub, "fact.stated", interaction_id, "e1", **FACT)
        assert (versions(answer), answer["etag"]) == ([3], 3)
        told_ = await kept.timeline(WHO, 0)
        assert [(event["version"], event["event_id"]) for event in told_[1:]] == [(2, "m1"), (3, "e1")]

    async def test_if_match_holds_while_the_document_is_the_same(self, hub: Hub) -> None:
        interaction_id = await in_one(hub)
        await tell(hub, "message.received", interaction_id, "m1", text="x")
        for given, event_id in ((1, "e1"), (3, "e2")):
            events = [told(event_id, "fact.stated", interaction_id, FACT)]
            await hub.events.tell(WHO, events, Request(if_match=given))
        for given in (2, 99):
            with pytest.raises(Changed):
                await hub.events.tell(WHO, [told("e9", "fact.stated", interaction_id, FACT)], Request(if_match=given))

    async def test_writers_of_facts_and_messages_lose_nothing_and_leave_no_gap(self, hub: Hub) -> None:
        interaction_id = await in_one(hub)

        async def writes(writer: int) -> list[int]:
            found: list[int] = []
            for turn in range(5):
                fact = await tell(
                    hub, "fact.stated", interaction_id, f"f{writer}.{turn}", name=f"n{writer}.{turn}", value=1
                )
                said = await tell(hub, "message.received", interaction_id, f"m{writer}.{turn}", text="x")
                found += versions(fact) + versions(said)
            return found

        found = await asyncio.gather(*(writes(writer) for writer in range(20)))
        assert sorted(version for each in found for version in each) == list(range(2, 202))
        assert len((await context_of(hub)).facts) == 100


class TestTimes:
    """`at` lies at most five minutes ahead or thirty days back."""

    @pytest.mark.parametrize("at", [NOON + 5 * MINUTE, NOON - 30 * DAY])
    async def test_in_between_it_is_taken(self, hub: Hub, at: Any) -> None:
        interaction_id = await in_one(hub)
        await hub.events.tell(WHO, [told("e1", "x.seen", interaction_id, {}, at=at)], Request())

    @pytest.mark.parametrize("at", [NOON + 5 * MINUTE + SECOND, NOON - 30 * DAY - SECOND])
    async def test_beyond_it_is_refused_at_its_place(self, hub: Hub, at: Any) -> None:
        interaction_id = await in_one(hub)
        events = [told("e1", "x.seen", interaction_id, {}), told("e2", "x.seen", interaction_id, {}, at=at)]
        with pytest.raises(Invalid) as refusal:
            await hub.events.tell(WHO, events, Request())
        assert refusal.value.ids["errors"][0]["pointer"] == "/events/1/at"
        assert len(await told_of(hub)) == 1


class TestEnded:
    """Of an interaction that is over."""

    @pytest.mark.parametrize(("type_", "data"), BOTH)
    async def test_what_happened_before_is_taken_and_since_refused(
        self, hub: Hub, clock: Clock, type_: str, data: dict[str, Any]
    ) -> None:
        interaction_id = await in_one(hub)
        clock.move(MINUTE)
        await hub.interactions.end(WHO, interaction_id, None, None)
        clock.move(MINUTE)
        await hub.events.tell(WHO, [told("e1", type_, interaction_id, data, at=NOON)], Request())
        with pytest.raises(InteractionEnded):
            await tell(hub, type_, interaction_id, "e2", **data)

    @pytest.mark.parametrize(("type_", "data"), BOTH)
    async def test_what_silence_closed_the_next_word_takes_up(
        self, hub: Hub, clock: Clock, type_: str, data: dict[str, Any]
    ) -> None:
        interaction_id = await in_one(hub)
        clock.move(HOUR)
        await hub.wake(WHO)
        await tell(hub, type_, interaction_id, "e1", **data)
        assert (await context_of(hub)).interactions[interaction_id].is_open
        assert len(await hub.interactions.open_on("acme", "chat")) == 1


@pytest.mark.parametrize(("type_", "data"), BOTH)
async def test_of_a_customer_who_is_not_there_nothing_can_be_told(hub: Hub, type_: str, data: dict[str, Any]) -> None:
    with pytest.raises(CustomerUnknown):
        await tell(hub, type_, None, "e1", **data)


async def test_the_teller_learns_of_new_journeys_promises_and_repeats(hub: Hub) -> None:
    interaction_id = (await begin(hub))["interaction"]["interaction_id"]
    for _ in range(2):
        answer = await tell(hub, "journey.started", interaction_id, "e1", kind="refund")
        assert answer["results"][0]["journey_id"] == next(iter((await context_of(hub)).journeys))
        answer = await tell(
            hub, "commitment.made", interaction_id, "e2", what="x", owner="y", due_at="2026-11-23T00:00:00Z"
        )
        assert answer["results"][0]["commitment_id"] == next(iter((await context_of(hub)).commitments))
    await tell(hub, "fact.stated", interaction_id, "e3", **FACT)
    answer = await tell(hub, "question.asked", interaction_id, "e4", names=["city", "street"])
    assert answer["results"][0]["repeat"] == ["city"]
