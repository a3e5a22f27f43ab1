"""Whom nobody has heard of for a while lives on in the archive, and is just the same when touched again."""

from __future__ import annotations

import pytest
from redis import Redis

from ctxhub.errors import CustomerUnknown, EventIdReused, Lapsed
from ctxhub.hub.hub import Hub
from ctxhub.model.customer import AssuranceClaim
from ctxhub.model.event import Ref
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.archive.scenes import a_talk, archive_of, archived, forgotten, is_in_redis
from tests.hub.scenes import WHO, a_stranger, begin, context_of, in_one, offer, tell, told_of
from tests.support import ACME, ADAPTER, DAY, DESK, HOUR, MINUTE, Clock, a_phone


async def whole(hub: Hub) -> list[dict[str, object]]:
    """The whole timeline of c42."""
    return await hub.changes.contexts.timeline(WHO, 0, None, 10_000)


class TestForgotten:
    """Redis forgets, and everything is as before."""

    async def test_hours_after_the_last_contact_redis_has_nothing_of_a_customer(
        self, hub: Hub, clock: Clock, redis: Redis
    ) -> None:
        interaction_id = await a_talk(hub, identifiers=[a_phone()], refs=[{"system": "acd", "id": "77"}])
        await hub.asks.ask(WHO, ADAPTER.reader(interaction_id), interaction_id, ["city"], None)
        await forgotten(hub, clock)
        left = [name for name in redis.scan_iter("*") if "numbers" not in name and not name.startswith("ctxhub:{00}:")]
        assert [name for name in left if name.rsplit(":", 1)[1] not in ("outbox", "cursors", "relay")] == []

    async def test_the_context_is_the_same_when_it_is_read_again(self, hub: Hub, clock: Clock, redis: Redis) -> None:
        await a_talk(hub)
        clock.move(5 * HOUR)
        await hub.wake(WHO)
        before, told = await hub.changes.contexts.existing(WHO, 20), await whole(hub)
        clock.move(-5 * HOUR)
        await forgotten(hub, clock)
        assert not is_in_redis(redis)
        after = await hub.changes.contexts.existing(WHO, 20)
        assert after[1] == before[1]
        assert (after[0].version, after[0].document_version, after[0].commit, after[0].recent) == (
            before[0].version, before[0].document_version, before[0].commit, before[0].recent,
        )  # fmt: skip
        assert await whole(hub) == told

    async def test_an_event_told_again_gets_its_first_version(self, hub: Hub, clock: Clock) -> None:
        interaction_id = await a_talk(hub)
        first = await tell(hub, "x.seen", None, "seen-1")
        await forgotten(hub, clock)
        again = await tell(hub, "x.seen", None, "seen-1")
        assert again["results"] == [{"event_id": "seen-1", "version": first["version"], "duplicate": True}]
        with pytest.raises(EventIdReused):
            await tell(hub, "x.other", None, "seen-1")
        assert (await tell(hub, "message.received", interaction_id, "x1-m0", text="word 0"))["results"][0]["duplicate"]

    async def test_an_append_goes_on_where_it_was(self, hub: Hub, clock: Clock) -> None:
        await a_talk(hub)
        before = await told_of(hub)
        await forgotten(hub, clock)
        told = await told_of(hub)
        await forgotten(hub, clock)
        answer = await tell(hub, "note.added", None, "n1", text="back again")
        assert answer["version"] == len(told) + 1
        assert await told_of(hub) == [*before, "interaction.ended", "note.added"]

    async def test_an_interaction_that_silence_closed_is_reopened_by_the_next_word(
        self, hub: Hub, clock: Clock
    ) -> None:
        interaction_id = await a_talk(hub)
        await forgotten(hub, clock)
        await tell(hub, "message.received", interaction_id, "later", text="still there?")
        assert (await context_of(hub)).interactions[interaction_id].is_open

    async def test_a_call_that_comes_again_after_a_month_does_not_begin_twice(self, hub: Hub, clock: Clock) -> None:
        await a_talk(hub)
        await forgotten(hub, clock)
        clock.move(40 * DAY)
        await in_one(hub, "x2")
        await forgotten(hub, clock)
        with pytest.raises(Lapsed):
            await begin(hub, "x1")

    async def test_nobody_is_nobody(self, hub: Hub) -> None:
        with pytest.raises(CustomerUnknown):
            await hub.changes.contexts.existing(Who(ACME, "nobody"))
        with pytest.raises(CustomerUnknown):
            await tell(hub, "note.added", None, "n1", who=Who(ACME, "nobody"), text="x")


class TestFound:
    """What led to a customer leads there again."""

    async def test_by_a_phone_number(self, hub: Hub, clock: Clock, redis: Redis) -> None:
        await a_talk(hub, identifiers=[a_phone()])
        await forgotten(hub, clock)
        assert await hub.customers.lookup(ACME, a_phone()) == WHO
        assert not is_in_redis(redis)
        answer, _, _ = await hub.interactions.start(ADAPTER, a_stranger("x9", a_phone()))
        assert answer["customer_id"] == "c42"

    async def test_by_the_call_itself_and_by_other_systems_names(self, hub: Hub, clock: Clock) -> None:
        interaction_id = await a_talk(hub, refs=[{"system": "acd", "id": "77"}])
        await forgotten(hub, clock)
        who, view, _ = await hub.interactions.lookup(ACME, Ref(system="acd", id="77"))
        assert (who, view.interaction_id) == (WHO, interaction_id)
        await forgotten(hub, clock)
        answer, created, _ = await hub.interactions.start(ADAPTER, a_stranger("x1"))
        assert (answer["customer_id"], created) == ("c42", False)

    async def test_by_the_newest_meaning_of_a_name_whoever_is_archived_last(self, hub: Hub, clock: Clock) -> None:
        other, refs = Who(ACME, "c43"), [{"system": "acd", "id": "77"}]
        await a_talk(hub, refs=refs)
        await forgotten(hub, clock)
        await a_talk(hub, external_id="y1", who=other, refs=refs)
        await forgotten(hub, clock, other)
        await a_talk(hub, external_id="x2")
        await forgotten(hub, clock)
        assert (await hub.interactions.lookup(ACME, Ref(system="acd", id="77")))[0] == other

    async def test_by_a_number_that_moved_along_also_where_redis_lost_it(
        self, hub: Hub, clock: Clock, redis: Redis
    ) -> None:
        answer, _, _ = await hub.interactions.start(ADAPTER, a_stranger("z1", a_phone()))
        stranger = Who(ACME, answer["customer_id"])
        proven = AssuranceClaim(level=2, method="pin")
        await hub.interactions.identify(stranger, answer["interaction"]["interaction_id"], "c42", proven)
        await forgotten(hub, clock, WHO, stranger)
        redis.delete(*redis.scan_iter("ctxhub:*:identifier:*"), "nothing")
        assert await hub.customers.lookup(ACME, a_phone()) == WHO

    async def test_a_number_of_two_people_stays_ambiguous(self, hub: Hub, clock: Clock) -> None:
        other = Who(ACME, "c43")
        await a_talk(hub, identifiers=[a_phone()])
        await in_one(hub, "x2", 2, customer_id="c43", identifiers=[a_phone()])
        await forgotten(hub, clock, WHO, other)
        answer, _, _ = await hub.interactions.start(ADAPTER, a_stranger("x9", a_phone()))
        assert answer["ambiguous"]

    async def test_a_second_person_links_beside_the_one_who_is_forgotten(self, hub: Hub, clock: Clock) -> None:
        await a_talk(hub, identifiers=[a_phone()])
        await forgotten(hub, clock)
        await in_one(hub, "x2", 2, customer_id="c43", identifiers=[a_phone()])
        assert (await hub.identity.find(ACME, [a_phone()])).ambiguous

    async def test_an_identifier_taken_away_leads_nowhere_at_once(self, hub: Hub, clock: Clock) -> None:
        await a_talk(hub, identifiers=[a_phone()])
        await forgotten(hub, clock)
        await hub.customers.remove_identifier(WHO, a_phone())
        assert (await hub.identity.find(ACME, [a_phone()])).customer_id is None
        await forgotten(hub, clock)
        assert (await hub.identity.find(ACME, [a_phone()])).customer_id is None

    async def test_by_a_handoff_made_before(self, hub: Hub, clock: Clock) -> None:
        handoff = await offer(hub, await a_talk(hub))
        await forgotten(hub, clock)
        assert (await hub.handoffs.get(DESK, handoff["handoff_id"])).handoff.state == "expired"


class TestKept:
    """What goes on, waits or is held stays in Redis."""

    async def test_while_an_interaction_goes_on(self, hub: Hub, clock: Clock, redis: Redis) -> None:
        interaction_id = await a_talk(hub, channel="voice")
        for number in range(8):
            clock.move(3 * HOUR)
            await tell(hub, "message.received", interaction_id, f"t{number}", text="x")
            await archived(hub)
            await hub.archivist.release(hub._outbox.partitions)  # type: ignore[union-attr]
            assert is_in_redis(redis)

    async def test_a_customer_with_an_open_journey_stays_for_days(self, hub: Hub, clock: Clock, redis: Redis) -> None:
        interaction_id = await a_talk(hub)
        await tell(hub, "journey.started", interaction_id, "j", kind="refund")
        await forgotten(hub, clock)
        assert is_in_redis(redis)
        clock.move(14 * DAY)
        await forgotten(hub, clock)
        assert not is_in_redis(redis)
        assert [journey.kind for journey in (await context_of(hub)).journeys.values()] == ["refund"]

    async def test_whoever_writes_meanwhile_keeps_it(self, hub: Hub, clock: Clock, redis: Redis) -> None:
        await a_talk(hub)
        await forgotten(hub, clock)
        await tell(hub, "note.added", None, "n1", text="x")
        clock.move(5 * HOUR)
        await hub.archivist.release(hub._outbox.partitions)  # type: ignore[union-attr]
        assert is_in_redis(redis)
        clock.move(2 * HOUR)
        await hub.archivist.release(hub._outbox.partitions)  # type: ignore[union-attr]
        assert not is_in_redis(redis)

    async def test_one_whom_the_archive_has_not_yet_is_archived_first(
        self, hub: Hub, clock: Clock, redis: Redis
    ) -> None:
        await forgotten(hub, clock)  # the archivist has begun
        await a_talk(hub)
        clock.move(5 * HOUR)
        await hub.wake(WHO)
        clock.move(7 * HOUR)
        await hub.archivist.release(hub._outbox.partitions)  # type: ignore[union-attr]
        assert not is_in_redis(redis)
        assert len(await whole(hub)) == 6


class TestErased:
    """Forget means everywhere."""

    async def test_a_customer_erased_is_in_no_table_and_does_not_come_back(
        self, hub: Hub, clock: Clock, redis: Redis
    ) -> None:
        await a_talk(hub, identifiers=[a_phone()])
        await forgotten(hub, clock)
        receipt = await hub.customers.forget(WHO)
        assert receipt["erased"]["events"] == 6
        await archived(hub)
        with pytest.raises(CustomerUnknown):
            await hub.changes.contexts.existing(WHO)
        assert (await hub.identity.find(ACME, [a_phone()])).customer_id is None
        assert await archive_of(hub).held([WHO]) == {}  # type: ignore[list-item]
        assert await archive_of(hub).entries(WHO, 1, 100) == []  # type: ignore[arg-type]

    async def test_what_was_under_way_to_the_archive_does_not_arrive_any_more(self, hub: Hub, clock: Clock) -> None:
        await a_talk(hub)
        born = (await hub.changes.contexts.load(WHO)).born
        await hub.archiving.erase(WHO, born)  # type: ignore[union-attr]
        await archived(hub)
        assert await archive_of(hub).held([WHO]) == {}  # type: ignore[list-item]
        with pytest.raises(CustomerUnknown):  # killed between its steps, an erasure completes by itself
            await hub.changes.contexts.existing(WHO)

    async def test_someone_new_with_the_same_id_is_not_erased_for_the_one_before(self, hub: Hub, clock: Clock) -> None:
        await a_talk(hub)
        loaded, context = await hub.changes.contexts.existing(WHO)
        assert hub.archiving is not None
        await hub.archiving.erase(WHO, loaded.born)
        await hub.archiving.keep([WHO])  # the archivist comes upon an erasure that somebody else completes
        await hub.changes.contexts.forget(WHO, context)
        await a_talk(hub, messages=1, external_id="x2")
        await archived(hub)
        assert [e["version"] for e in await whole(hub)] == [1, 2, 3]

    async def test_who_came_while_the_archive_was_given_up_is_somebody_new(
        self, hub: Hub, server: Server, clock: Clock
    ) -> None:
        without = Hub(server, hub.ways)
        await in_one(without, "x1")
        await archived(hub)
        await hub.customers.forget(WHO)
        await in_one(without, "x2")
        await archived(hub)
        assert (await hub.changes.contexts.existing(WHO))[0].version > 0

    async def test_someone_new_may_have_the_same_id(self, hub: Hub, clock: Clock) -> None:
        await a_talk(hub)
        await archived(hub)
        await hub.customers.forget(WHO)
        await a_talk(hub, messages=1, external_id="x2")
        await forgotten(hub, clock)
        assert [e["version"] for e in await whole(hub)] == [1, 2, 3, 4]
        clock.move(MINUTE)
