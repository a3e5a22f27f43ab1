"""Merges on a real server: everything leads home, killed anywhere they are completed, undone nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from ctxhub.errors import (
    ContextFull,
    CtxhubError,
    CustomerUnknown,
    EventIdReused,
    Forbidden,
    Invalid,
    JourneyUnknown,
    Merged,
    MergeUnknown,
    Unavailable,
    VerifiedApart,
    WrongState,
)
from ctxhub.hub.changes import Request
from ctxhub.hub.hub import Hub
from ctxhub.hub.merging import MergeBody
from ctxhub.model.context import Context
from ctxhub.model.customer import AssuranceClaim, Identifier
from ctxhub.model.disclosure import Reader
from ctxhub.model.event import Ref, Telling
from ctxhub.store.contexts import Contexts, Who
from ctxhub.store.lookups import Lookups
from ctxhub.store.redis import Server, connected
from tests.hub.scenes import a_stranger, an_operation, begin, context_of, in_one, offer, tell, told_of
from tests.hub.test_interactions import Crash, another, crashing_at, killed
from tests.model.test_merging import as_never_linked
from tests.support import ACME, ADAPTER, ADMIN, DESK, KEEP, SECOND, Clock, a_phone, ways

C1, C2, C3 = (Who(ACME, name) for name in ("c1", "c2", "c3"))
PHONE = "+8613900139000"
EVERYTHING = Reader(role="admin")


async def two(hub: Hub) -> tuple[str, str, dict[str, Any]]:
    """Two customers, each in an interaction in which a city was named; the second one waits for a human."""
    one = await in_one(hub, "x1", 2, customer_id="c1", identifiers=[a_phone()])
    other = await in_one(
        hub, "x2", 2, customer_id="c2", identifiers=[a_phone(PHONE)], refs=[Ref(system="acd", id="77")]
    )
    await tell(hub, "fact.stated", one, "e1", C1, name="city", value="Xi'an")
    await tell(hub, "fact.stated", other, "e2", C2, name="city", value="Lhasa")
    await tell(hub, "journey.started", other, "e3", C2, kind="refund", journey_id="jr_2")
    await tell(hub, "message.received", other, "e4", C2, text="hello")
    return one, other, await offer(hub, other, C2)


async def both(hub: Hub) -> tuple[Context, Context]:
    """Both contexts as they are kept, without the signposts that a merge leaves."""
    return as_never_linked(await context_of(hub, C1)), as_never_linked(await context_of(hub, C2))


async def all_leads_to(hub: Hub, who: Who, interaction_id: str, handoff_id: str) -> None:
    """Whatever led to the second customer leads here."""
    assert (await hub.customers.lookup(ACME, a_phone(PHONE))) == who
    assert (await hub.interactions.lookup(ACME, Ref(system="acd", id="77")))[0] == who
    assert await hub.lookups.external(ACME, "chat", "x2") == (who.customer_id, interaction_id)
    assert await hub.lookups.handoff(ACME, handoff_id) == who.customer_id
    assert list((await hub.lookups.owners(ACME, [a_phone(PHONE)]))[0]) == [who.customer_id]


class TestThere:
    """One customer is another from now on."""

    async def test_all_that_led_to_the_other_leads_home(self, hub: Hub) -> None:
        _, other, handoff = await two(hub)
        await hub.merging.merge(C1, "c2")
        await all_leads_to(hub, C1, other, handoff["handoff_id"])
        home = await context_of(hub, C1)
        assert (sorted(f.value for f in home.facts), list(home.journeys)) == (["Lhasa", "Xi'an"], ["jr_2"])

    async def test_the_open_handoff_is_taken_there_under_its_fence_and_token(self, hub: Hub) -> None:
        _, other, handoff = await two(hub)
        await hub.merging.merge(C1, "c2")
        taken = await hub.handoffs.accept(DESK, handoff["handoff_id"], "ann")
        assert taken["context"]["customer_id"] == "c1"
        assert await hub.interactions.by_token(ACME, handoff["token"])
        assert [h.handoff_id for h in await hub.handoffs.waiting(ACME, "cards", "accepted")] == [handoff["handoff_id"]]
        assert (await context_of(hub, C1)).interactions[other].holder.id == "ann"

    async def test_lists_name_it_once_and_under_its_new_home(self, hub: Hub) -> None:
        _, other, handoff = await two(hub)
        await hub.merging.merge(C1, "c2")
        waiting = await hub.handoffs.waiting(ACME, "cards", "offered")
        assert [(h.handoff_id, h.customer_id) for h in waiting] == [(handoff["handoff_id"], "c1")]
        found = await hub.interactions.open_on(ACME, "chat")
        assert [(one["interaction_id"], one["customer_id"]) for one in found if one["interaction_id"] == other] == [
            (other, "c1")
        ]

    async def test_the_other_is_nowhere_but_there(self, hub: Hub) -> None:
        _, other, _ = await two(hub)
        await hub.merging.merge(C1, "c2")
        message = Telling(event_id="e9", type="message.received", interaction_id=other, data={"text": "hi"})
        fact = Telling(event_id="e9", type="fact.stated", interaction_id=other, data={"name": "a", "value": 1})
        work: list[Callable[[], Awaitable[object]]] = [
            lambda: hub.contexts.read(C2, EVERYTHING),
            lambda: hub.contexts.timeline(C2, EVERYTHING, None, None, 10),
            lambda: hub.events.tell(C2, [message], Request()),
            lambda: hub.events.tell(C2, [fact], Request()),
            lambda: hub.events.tell(C2, [message], Request(operation=an_operation("k"))),
            lambda: hub.interactions.end(C2, other, None, None),
            lambda: hub.customers.add_identifier(C2, a_phone("+8613700137000")),
            lambda: anext(hub.streams.customer(C2, EVERYTHING, None)),
        ]
        for do in work:
            with pytest.raises(Merged) as refusal:
                await do()
            assert refusal.value.ids["customer_id"] == "c1"

    async def test_what_was_told_there_before_is_recognised_there(self, hub: Hub) -> None:
        _, other, _ = await two(hub)
        keyed = await tell(hub, "fact.stated", other, "e5", C2, "key", name="a", value=1)
        await hub.merging.merge(C1, "c2")
        again = await tell(hub, "message.received", other, "e4", C2, text="hello")
        assert again["results"][0] == {"event_id": "e4", "version": 4, "duplicate": True}
        assert (await tell(hub, "fact.stated", other, "e2", C2, name="city", value="Lhasa"))["results"][0]["duplicate"]
        once_more = await tell(hub, "fact.stated", other, "e5", C2, "key", name="a", value=1)
        assert once_more["version"] == keyed["version"]
        assert (await hub.changes.contexts.wherever(C2)).state == "moved:c1"

    async def test_who_calls_by_the_old_name_or_number_is_taken_home(self, hub: Hub) -> None:
        await two(hub)
        await hub.merging.merge(C1, "c2")
        assert (await begin(hub, "x3", customer_id="c2"))["customer_id"] == "c1"
        assert (await hub.interactions.start(ADAPTER, a_stranger("x4", a_phone(PHONE))))[0]["customer_id"] == "c1"
        assert (await begin(hub, "x2", customer_id="c2"))["customer_id"] == "c1"
        assert ((await hub.lookups.external(ACME, "chat", "x3")) or ("", ""))[0] == "c1"

    async def test_who_turns_out_to_be_the_old_one_moves_to_the_new(self, hub: Hub) -> None:
        await two(hub)
        await hub.merging.merge(C1, "c2")
        stray = (await hub.interactions.start(ADAPTER, a_stranger("x5")))[0]
        home, view, _ = await hub.interactions.identify(
            Who(ACME, stray["customer_id"]), stray["interaction"]["interaction_id"], "c2", None
        )
        assert (home, view.external_id) == (C1, "x5")

    async def test_the_timeline_of_both_is_shown_by_time_each_under_its_own_ids(self, hub: Hub, clock: Clock) -> None:
        one, other, _ = await two(hub)
        await hub.merging.merge(C1, "c2")
        clock.move(SECOND)
        await tell(hub, "message.received", one, "e8", C1, text="later")
        events, mark, found = [], None, []
        while mark is not None or not found:
            events, mark, _ = await hub.contexts.whole(C1, EVERYTHING, mark, 3)
            found += events
        assert [e["version"] for e in found if e["customer_id"] == "c1"] == [1, 2, 3, 4]
        assert [e["version"] for e in found if e["customer_id"] == "c2"] == [1, 2, 3, 4, 5, 6]
        assert found[-1]["event_id"] == "e8"
        recent = (await hub.contexts.read(C1, EVERYTHING, 3)).value["recent"]
        assert (len(recent), recent[-1]["event_id"]) == (3, "e8")
        assert other in {e["interaction_id"] for e in found if "interaction_id" in e}

    async def test_the_same_merge_again_is_the_same(self, hub: Hub) -> None:
        await two(hub)
        first = await hub.merging.merge(C1, "c2", request=Request(operation=an_operation("m")))
        again = await hub.merging.merge(C1, "c2", request=Request(operation=an_operation("m")))
        asked = await hub.merging.merge(C1, "c2")
        assert first.merge_id == again.merge_id == asked.merge_id
        assert first.version == asked.version

    async def test_of_two_at_once_the_other_way_round_one_is_done_or_none_and_nobody_hangs(self, hub: Hub) -> None:
        await two(hub)
        answers = await asyncio.gather(hub.merging.merge(C1, "c2"), hub.merging.merge(C2, "c1"), return_exceptions=True)
        assert all(isinstance(answer, CtxhubError) or answer.merge_id for answer in answers if answer is not None)
        for who in (C1, C2):
            loaded = await hub.changes.contexts.wherever(who)
            assert loaded.context is not None
            assert not any(merge.is_under_way for merge in loaded.context.merges.values())
        states = {(await hub.changes.contexts.wherever(who)).state for who in (C1, C2)}
        assert "live" in states

    async def test_the_same_at_once_is_one_merge(self, hub: Hub, server: Server, clock: Clock) -> None:
        await two(hub)
        hubs = [hub, another(server, clock)]
        answers = await asyncio.gather(*(hubs[n % 2].merging.merge(C1, "c2") for n in range(6)))
        assert len({answer.merge_id for answer in answers}) == 1
        assert (await told_of(hub, C1)).count("identity.merged") == 1


class TestRefused:
    """Some merges are none."""

    async def test_with_itself(self, hub: Hub) -> None:
        await in_one(hub, customer_id="c1")
        with pytest.raises(Invalid):
            await hub.merging.merge(C1, "c1")

    async def test_in_a_circle(self, hub: Hub) -> None:
        await two(hub)
        await hub.merging.merge(C1, "c2")
        with pytest.raises(Merged):
            await hub.merging.merge(C2, "c1")
        await in_one(hub, "x3", customer_id="c3")
        with pytest.raises(WrongState) as refusal:
            await hub.merging.merge(C3, "c2")
        assert refusal.value.ids["customer_id"] == "c1"

    async def test_of_somebody_who_is_not_there(self, hub: Hub) -> None:
        await in_one(hub, customer_id="c1")
        for work in (hub.merging.merge(C1, "c9"), hub.merging.merge(Who(ACME, "c9"), "c1")):
            with pytest.raises(CustomerUnknown):
                await work

    async def test_of_two_accounts_unless_an_admin_says_so(self, hub: Hub) -> None:
        for name in ("c1", "c2"):
            account = Identifier(type="account", value=f"A-{name}", strength="verified")
            await in_one(hub, name, customer_id=name, identifiers=[account])
        with pytest.raises(VerifiedApart):
            await hub.merging.merge(C1, "c2")
        forced = MergeBody.model_validate({"from": "c2", "force": True})
        supervisor = ADMIN.model_copy(update={"role": "supervisor"})
        with pytest.raises(Forbidden):
            await hub.merging.asked(supervisor, C1, forced)
        assert (await hub.merging.asked(ADMIN, C1, forced)).merge_id

    async def test_that_would_not_fit_leaves_both_as_they_were(self, hub: Hub) -> None:
        for who, external_id in ((C1, "x1"), (C2, "x2")):
            interaction_id = await in_one(hub, external_id, 2, customer_id=who.customer_id)
            for number in range(3):
                await tell(hub, "fact.stated", interaction_id, f"big{number}", who, name=f"f{number}",
                           value=f"{who.customer_id}{number}" * 16_000)  # fmt: skip
        before = await both(hub)
        with pytest.raises(ContextFull):
            await hub.merging.merge(C1, "c2")
        assert await both(hub) == before


STEPS = [("kept", "commit", 1), ("kept", "commit", 2), ("kept", "commit", 3), ("kept", "commit", 4),
         ("lookups", "link", 1), ("lookups", "unlink", 1), ("lookups", "set_external", 1), ("lookups", "set_refs", 1),
         ("lookups", "repoint_handoffs", 1)]  # fmt: skip


def part_of(hub: Hub, part: str) -> Contexts | Lookups:
    """What is killed at one of its calls."""
    return hub.lookups if part == "lookups" else hub.changes.contexts


class TestKilled:
    """At whatever step, the wake that is noted completes it."""

    @pytest.mark.parametrize(("part", "step", "call"), STEPS)
    async def test_a_merge_is_completed_when_next_woken(
        self, hub: Hub, server: Server, clock: Clock, part: str, step: str, call: int
    ) -> None:
        _, other, handoff = await two(hub)
        mend = crashing_at(part_of(hub, part), step, call)
        await killed(hub.merging.merge(C1, "c2"))
        mend()
        fresh = another(server, clock)
        if (part, call) == ("kept", 1):
            assert (await context_of(fresh, C1)).merges == {}
            return
        assert C1 in await fresh._outbox.due(fresh._outbox.partitions, clock())
        await fresh.wake(C1)
        await all_leads_to(fresh, C1, other, handoff["handoff_id"])
        assert [merge.state for merge in (await context_of(fresh, C1)).merges.values()] == ["done"]
        assert C1 not in await fresh._outbox.due(fresh._outbox.partitions, clock())

    @pytest.mark.parametrize(("part", "step", "call"), STEPS[1:3] + STEPS[4:])
    async def test_an_undoing_is_completed_when_next_woken(
        self, hub: Hub, server: Server, clock: Clock, part: str, step: str, call: int
    ) -> None:
        _, other, handoff = await two(hub)
        before = await both(hub)
        merge_id = (await hub.merging.merge(C1, "c2")).merge_id or ""
        mend = crashing_at(part_of(hub, part), step, call)
        await killed(hub.merging.unmerge(C1, merge_id))
        mend()
        fresh = another(server, clock)
        assert C1 in await fresh._outbox.due(fresh._outbox.partitions, clock())
        with pytest.raises(Unavailable):
            await tell(fresh, "fact.stated", None, "e9", C1, party="system", name="a", value=1)
        await fresh.wake(C1)
        assert await both(fresh) == before
        await all_leads_to(fresh, C2, other, handoff["handoff_id"])

    async def test_between_freezing_and_taking_in_whoever_writes_is_told_to_wait(
        self, hub: Hub, server: Server, clock: Clock
    ) -> None:
        _, other, _ = await two(hub)
        mend = crashing_at(hub.changes.contexts, "commit", 3)
        await killed(hub.merging.merge(C1, "c2"))
        mend()
        for type_, data in (("message.received", {"text": "a"}), ("fact.stated", {"name": "a", "value": 1})):
            with pytest.raises(Merged):
                await tell(hub, type_, other, "e9", C2, **data)
            with pytest.raises(Unavailable):
                await tell(hub, type_, other, "e9", C1, **data)

    async def test_asked_again_after_a_crash_it_is_completed_at_once(self, hub: Hub) -> None:
        _, other, handoff = await two(hub)
        mend = crashing_at(hub.changes.contexts, "commit", 3)
        await killed(hub.merging.merge(C1, "c2"))
        mend()
        await hub.merging.merge(C1, "c2")
        await all_leads_to(hub, C1, other, handoff["handoff_id"])


class TestBack:
    """Undone, each is itself again."""

    async def test_both_are_as_before_and_all_leads_where_it_did(self, hub: Hub) -> None:
        _, other, handoff = await two(hub)
        before = await both(hub)
        merged = await hub.merging.merge(C1, "c2")
        await hub.merging.unmerge(C1, merged.merge_id or "")
        assert await both(hub) == before
        await all_leads_to(hub, C2, other, handoff["handoff_id"])
        waiting = await hub.handoffs.waiting(ACME, "cards", "offered")
        assert [(h.handoff_id, h.customer_id) for h in waiting] == [(handoff["handoff_id"], "c2")]

    async def test_a_number_of_both_leads_to_both_again(self, hub: Hub) -> None:
        for name in ("c1", "c2"):
            await in_one(hub, name, customer_id=name, identifiers=[a_phone()])
        merged = await hub.merging.merge(C1, "c2")
        assert list((await hub.lookups.owners(ACME, [a_phone()]))[0]) == ["c1"]
        await hub.merging.unmerge(C1, merged.merge_id or "")
        assert sorted((await hub.lookups.owners(ACME, [a_phone()]))[0]) == ["c1", "c2"]

    async def test_a_channel_that_knows_the_home_only_finds_the_way_back(self, hub: Hub) -> None:
        _, other, _ = await two(hub)
        merged = await hub.merging.merge(C1, "c2")
        await tell(hub, "message.received", other, "e8", C1, text="told while they were one")
        await hub.merging.unmerge(C1, merged.merge_id or "")
        with pytest.raises(Exception, match="c2") as refusal:
            await hub.contexts.read(C1, Reader(interaction_id=other))
        assert refusal.value.ids["customer_id"] == "c2"  # type: ignore[attr-defined]
        shown = await hub.contexts.whole(C2, Reader(interaction_id=other), None, 100)
        assert "e8" in {event["event_id"] for event in shown[0]}
        theirs = await hub.contexts.whole(C1, Reader(interaction_id=(await self.of(hub, C1))), None, 100)
        assert "e8" not in {event["event_id"] for event in theirs[0]}

    async def test_what_is_told_in_the_very_moment_of_parting_waits_and_is_told_once(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, other, _ = await two(hub)
        merged = await hub.merging.merge(C1, "c2")
        let_recognise = hub.merging._let_recognise
        refused: list[Unavailable] = []

        async def and_then_more_is_told(*given: Any) -> None:
            await let_recognise(*given)
            with pytest.raises(Unavailable) as refusal:
                await tell(hub, "message.received", other, "e20", C1, text="just now")
            refused.append(refusal.value)
            await tell(hub, "message.received", one, "e21", C1, text="of the other one")

        monkeypatch.setattr(hub.merging, "_let_recognise", and_then_more_is_told)
        await hub.merging.unmerge(C1, merged.merge_id or "")
        assert [refusal.ids["retry_after"] for refusal in refused] == [1]
        assert not (await tell(hub, "message.received", other, "e20", C2, text="just now"))["results"][0]["duplicate"]
        assert (await tell(hub, "message.received", other, "e20", C2, text="just now"))["results"][0]["duplicate"]
        stayed = [event["event_id"] for event in await hub.changes.contexts.timeline(C1, 0, None, 100)]
        assert ("e20" in stayed, "e21" in stayed) == (False, True)

    async def test_what_was_told_while_they_were_one_is_told_once_though_it_is_sent_again_afterwards(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ctxhub.hub.merging._AT_ONCE", 2)
        one, other, _ = await two(hub)
        merged = await hub.merging.merge(C1, "c2")
        for number in range(3):
            await tell(hub, "message.received", other, f"e1{number}", C1, text=f"{number}")
        await tell(hub, "fact.stated", other, "e13", C1, name="city", value="Ganzi")
        await tell(hub, "message.received", one, "e14", C1, text="of the other one")
        await hub.merging.unmerge(C1, merged.merge_id or "")
        before = (await hub.changes.contexts.wherever(C2)).version
        for number in range(3):
            again = await tell(hub, "message.received", other, f"e1{number}", C2, text=f"{number}")
            assert again["results"][0]["duplicate"]
            assert again["version"] <= before, "a channel may wait for that version here"
        again = await tell(hub, "fact.stated", other, "e13", C2, name="city", value="Ganzi")
        assert again["results"][0]["duplicate"]
        with pytest.raises(EventIdReused):
            await tell(hub, "message.received", other, "e10", C2, text="something else")
        assert (await hub.changes.contexts.wherever(C2)).version == before
        fresh = await tell(hub, "message.received", other, "e14", C2, text="of the other one")
        assert not fresh["results"][0]["duplicate"], "what was told of others leaves nothing here"

    async def of(self, hub: Hub, who: Who) -> str:
        """The interaction of a customer who has one."""
        return next(iter((await context_of(hub, who)).interactions))

    async def test_again_or_never_merged_there_is_nothing_to_undo(self, hub: Hub) -> None:
        await two(hub)
        merged = await hub.merging.merge(C1, "c2")
        await hub.merging.unmerge(C1, merged.merge_id or "", Request(operation=an_operation("u")))
        with pytest.raises(MergeUnknown):
            await hub.merging.unmerge(C1, merged.merge_id or "")
        again = await hub.merging.unmerge(C1, merged.merge_id or "", Request(operation=an_operation("u")))
        assert again.source == "c2"

    async def test_a_chain_leads_to_the_last_home_and_comes_apart_from_there(self, hub: Hub) -> None:
        _, other, handoff = await two(hub)
        await in_one(hub, "x3", customer_id="c3")
        before = await both(hub)
        inner = await hub.merging.merge(C1, "c2")
        outer = await hub.merging.merge(C3, "c1")
        await all_leads_to(hub, C3, other, handoff["handoff_id"])
        assert await hub.changes.contexts.home(C2) == C3
        events, _, _ = await hub.contexts.whole(C3, EVERYTHING, None, 100)
        assert {event["customer_id"] for event in events} == {"c1", "c2", "c3"}
        with pytest.raises(WrongState):
            await hub.merging.unmerge(C3, inner.merge_id or "")
        await hub.merging.unmerge(C3, outer.merge_id or "")
        await hub.merging.unmerge(C1, inner.merge_id or "")
        assert await both(hub) == before
        await all_leads_to(hub, C2, other, handoff["handoff_id"])

    async def test_forgotten_both_are_forgotten(self, hub: Hub, redis: Redis) -> None:
        await two(hub)
        await hub.merging.merge(C1, "c2")
        await hub.customers.forget(C1)
        for who in (C1, C2):
            assert (await hub.changes.contexts.wherever(who)).context is None
        assert [key for key in redis.scan_iter("*") if ":c2:" in key or ":c1:" in key] == []
        assert (await hub.lookups.owners(ACME, [a_phone(PHONE)]))[0] == {}


async def test_somebody_nobody_knew_becomes_the_known_one_without_losing_an_event(hub: Hub) -> None:
    await in_one(hub, "x1", 2, customer_id="c1")
    stray = (await hub.interactions.start(ADAPTER, a_stranger("CA1", a_phone(PHONE), channel="ivr")))[0]
    old, interaction_id = Who(ACME, stray["customer_id"]), stray["interaction"]["interaction_id"]
    await tell(hub, "message.received", interaction_id, "m1", old, text="I lost my card")
    await tell(hub, "fact.stated", interaction_id, "m2", old, name="city", value="Xi'an")
    told = {event["event_id"] for event in await hub.changes.contexts.timeline(old, 0, None, 100)}
    await hub.interactions.identify(old, interaction_id, "c1", AssuranceClaim(level=2, method="pin"))
    for reader in (EVERYTHING, Reader(interaction_id=interaction_id)):
        found = {event["event_id"] for event in (await hub.contexts.whole(C1, reader, None, 100))[0]}
        assert told <= found
    recent = (await hub.contexts.read(C1, Reader(interaction_id=interaction_id))).value["recent"]
    assert {"m1", "m2"} <= {event["event_id"] for event in recent}


@pytest.mark.parametrize(("claim", "shared"), [(None, set()), (AssuranceClaim(level=2, method="pin"), {"m3"})])
async def test_what_was_said_as_somebody_else_is_heard_by_no_other_interaction(
    hub: Hub, claim: AssuranceClaim | None, shared: set[str]
) -> None:
    other = await in_one(hub, "x1", 2, customer_id="c1")
    mine = a_phone(PHONE, strength="verified")
    stray = (await hub.interactions.start(ADAPTER, a_stranger("w1", mine, level=2)))[0]
    old, interaction_id = Who(ACME, stray["customer_id"]), stray["interaction"]["interaction_id"]
    await tell(hub, "message.received", interaction_id, "m1", old, text="pay it all")
    await hub.interactions.identify(old, interaction_id, "c1", claim)
    await tell(hub, "message.received", interaction_id, "m3", C1, text="to my bank")
    for reader, found in ((interaction_id, {"m1", "m3"}), (other, shared)):
        told = (await hub.contexts.whole(C1, Reader(interaction_id=reader), None, 100))[0]
        recent = (await hub.contexts.read(C1, Reader(interaction_id=reader))).value["recent"]
        for events in (told, recent):
            assert {event["event_id"] for event in events} & {"m1", "m3"} == found


class Twice:
    """The same row of operations twice on a server: with merges, killed at any call, and without."""

    def __init__(self, hub: Hub, clock: Clock, redis: Redis, called: dict[int, Who]) -> None:
        self.called = called
        self.hub = hub
        self.clock = clock
        redis.flushall()
        hub.changes.contexts._parsed.clear()
        clock.now = type(clock)().now
        self.owner: dict[str, Who] = {}
        self.count = 0

    async def run(self, operations: list[tuple[Any, ...]], linked: bool) -> tuple[Context, ...]:
        """Do it all; part whoever is merged; return all contexts."""
        for operation in operations:
            self.clock.move(SECOND)
            self.count += 1
            if operation[0] in ("link", "unlink") and not linked:
                continue
            await getattr(self, f"do_{operation[0]}")(*operation[1:])
        while linked and await self.do_unlink(0, 99):
            self.clock.move(SECOND)
        contexts = [await self.hub.changes.contexts.wherever(who) for who in (C1, C2, C3)]
        return tuple(as_never_linked(one.context) for one in contexts if one.context)

    async def do_begin(self, where: int) -> None:
        """Somebody known calls: who that is now, also where nobody was ever merged."""
        who = self.called.setdefault(self.count, await self.hub.changes.contexts.home((C1, C2, C3)[where]))
        answer = await begin(self.hub, f"x{self.count}", 2, customer_id=who.customer_id)
        self.owner[answer["interaction"]["interaction_id"]] = who

    async def do_write(self, which: int, kind: int) -> None:
        """Something is told in somebody's interaction."""
        if not self.owner:
            return
        key = list(self.owner)[which % len(self.owner)]
        home = await self.hub.changes.contexts.home(self.owner[key])
        kinds: list[tuple[str, str | None, dict[str, Any]]] = [
            ("fact.stated", None, {"name": "city", "value": self.count}),
            ("fact.confirmed", None, {"name": "city", "value": 1}),
            ("fact.rejected", None, {"name": "city"}),
            ("journey.started", f"jr_{key}", {"kind": "refund"}),
            ("journey.advanced", f"jr_{key}", {"step": "payout"}),
            ("message.received", None, {"text": "hello"}),
        ]
        type_, journey_id, data = kinds[kind % len(kinds)]
        with suppress(JourneyUnknown, WrongState):  # of a journey that has not begun, or has begun already
            await tell(self.hub, type_, key, f"e{self.count}", home, journey_id=journey_id, **data)

    async def do_link(self, one: int, other: int, call: int) -> None:
        """Merge two who are two, killed at some call, and completed by the wake."""
        home, source = [await self.hub.changes.contexts.home((C1, C2, C3)[n]) for n in (one, other)]
        there = [(await self.hub.changes.contexts.wherever(who)).context for who in (home, source)]
        if home == source or None in there:
            return
        await self._killed_at(call, lambda: self.hub.merging.merge(home, source.customer_id), home)

    async def do_unlink(self, which: int, call: int) -> bool:
        """Undo a merge that can be undone, killed at some call, and completed by the wake."""
        found = [await self.hub.changes.contexts.wherever(who) for who in (C1, C2, C3)]
        open_ = [(one.context.customer_id, key) for one in found if one.context and not one.context.frozen
                 for key in one.context.merges]  # fmt: skip
        if not open_:
            return False
        home, merge_id = open_[which % len(open_)]
        await self._killed_at(call, lambda: self.hub.merging.unmerge(Who(ACME, home), merge_id), Who(ACME, home))
        return True

    async def _killed_at(self, call: int, work: Callable[[], Awaitable[object]], who: Who) -> None:
        """Do it, killed at the n-th call of Redis that writes; then the hub wakes whom it has noted."""
        mend = crashing_at(self.hub.server, "run", call)
        try:
            await work()
        except Crash:
            pass
        finally:
            mend()
        self.hub.changes.contexts._parsed.clear()
        await self.hub.wake(who)


@pytest.fixture
def stage(redis_url: str, tenants_folder: Path) -> Iterator[tuple[asyncio.Runner, Hub, Clock, Redis]]:
    """A hub before the tests' own server, on a loop of its own."""
    with asyncio.Runner() as runner, Redis.from_url(redis_url) as redis:
        stack = AsyncExitStack()
        connection = runner.run(stack.enter_async_context(connected(redis_url, partitions=8)))
        clock = Clock()
        yield runner, Hub(connection, ways(clock, tenants=tenants_folder, keep=KEEP)), clock, redis
        runner.run(stack.aclose())


THIRDS = st.integers(0, 2)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), THIRDS),
        st.tuples(st.just("write"), st.integers(0, 9), st.integers(0, 5)),
        st.tuples(st.just("write"), st.integers(0, 9), st.integers(0, 5)),
        st.tuples(st.just("link"), THIRDS, THIRDS, st.integers(1, 14)),
        st.tuples(st.just("unlink"), st.integers(0, 2), st.integers(1, 14)),
    ),
    max_size=14,
)


@pytest.mark.timeout(300)
def test_link_write_unlink_killed_anywhere_equals_never_linked(
    stage: tuple[asyncio.Runner, Hub, Clock, Redis],
) -> None:
    runner, hub, clock, redis = stage

    @settings(max_examples=60, deadline=None)
    @given(OPERATIONS)
    def holds(operations: list[tuple[Any, ...]]) -> None:
        begun = [("begin", 0), ("begin", 1), *operations]
        called: dict[int, Who] = {}
        linked = runner.run(Twice(hub, clock, redis, called).run(begun, linked=True))
        apart = runner.run(Twice(hub, clock, redis, called).run(begun, linked=False))
        assert linked == apart

    holds()
