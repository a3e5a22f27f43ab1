"""Interactions found or started: twins, races of first contacts, and what is left half done by a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from ctxhub.errors import CustomerUnknown, Forbidden, HandoffUnknown, InteractionUnknown, Lapsed, Moved, Unavailable
from ctxhub.hub.hub import Hub
from ctxhub.hub.interactions import NOT_THIS_CUSTOMER
from ctxhub.hub.keys import Principal
from ctxhub.model import context as contexts
from ctxhub.model.customer import AssuranceClaim, Identifier
from ctxhub.model.disclosure import Reader
from ctxhub.model.event import Ref
from ctxhub.model.interaction import HandoffHint
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Lookups, Owners
from ctxhub.store.redis import Server
from tests.hub.scenes import WHO, a_stranger, begin, context_of, in_one, offer, tell, told_of
from tests.support import ACME, ADAPTER, DESK, HOUR, MINUTE, SECOND, Clock, a_phone, a_start, ways

HOME = Who(ACME, "c7")


def another(server: Server, clock: Clock) -> Hub:
    """A second hub before the same server, as another process has."""
    return Hub(server, ways(clock))


class Crash(BaseException):
    """The process is gone at this very step."""


def crashing_at(owner: Any, name: str, call: int = 1) -> Callable[[], None]:
    """Let the n-th call of a method kill whoever calls it; return how to mend it."""
    whole = getattr(owner, name)
    calls = 0

    async def crash(*args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise Crash
        return await whole(*args, **more)

    setattr(owner, name, crash)
    return lambda: setattr(owner, name, whole)


async def killed(work: Awaitable[Any]) -> None:
    """Do some work that is killed on its way."""
    with pytest.raises(Crash):
        await work


class TestTwins:
    """The same call told twice, or by two processes at once."""

    async def test_at_the_same_instant_they_are_one_customer_and_one_interaction(
        self, hub: Hub, server: Server, clock: Clock
    ) -> None:
        hubs = [hub, another(server, clock)]
        request = a_stranger("CA1", a_phone(), channel="ivr")
        answers = await asyncio.gather(*(hubs[n % 2].interactions.start(ADAPTER, request) for n in range(10)))
        assert len({answer["customer_id"] for answer, _, _ in answers}) == 1
        assert len({answer["interaction"]["interaction_id"] for answer, _, _ in answers}) == 1
        assert [created for _, created, _ in answers].count(True) == 1
        who = Who(ACME, answers[0][0]["customer_id"])
        assert await told_of(hub, who) == ["interaction.started"]

    async def test_the_second_time_it_is_found_also_when_it_has_ended(self, hub: Hub) -> None:
        first = await begin(hub)
        await hub.interactions.end(WHO, first["interaction"]["interaction_id"], None, None)
        again, created, _ = await hub.interactions.start(ADAPTER, a_start("x1", customer_id="c42"))
        assert (created, again["interaction"]["state"]) == (False, "ended")

    async def test_all_that_is_answered_is_of_one_moment(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        await begin(hub, level=2)
        whole = hub.changes.contexts.existing

        async def and_then_another(*asked: Any) -> Any:
            found = await whole(*asked)
            monkeypatch.undo()
            await begin(hub, "x2", level=2)
            return found

        monkeypatch.setattr(hub.changes.contexts, "existing", and_then_another)
        answer = await begin(hub, "x3", level=2)
        assert [other["external_id"] for other in answer["live"]] == ["x1"]
        assert answer["context"]["version"] < (await hub.changes.contexts.load(WHO)).version

    async def test_two_calls_of_one_unknown_phone_at_once_are_one_customer(
        self, hub: Hub, server: Server, clock: Clock
    ) -> None:
        hubs = [hub, another(server, clock)]
        answers = await asyncio.gather(*(
            hubs[n % 2].interactions.start(ADAPTER, a_stranger(f"CA{n}", a_phone(), channel="ivr")) for n in range(10)
        ))  # fmt: skip
        customers = {answer["customer_id"] for answer, _, _ in answers}
        assert len(customers) == 1
        context = await context_of(hub, Who(ACME, customers.pop()))
        assert (len(context.interactions), [i.value for i in context.identifiers]) == (10, [a_phone().value])

    async def test_two_of_several_phones_in_another_order_are_one_customer_too(self, hub: Hub) -> None:
        phones = [a_phone(), a_phone("+8613900139000")]
        answers = await asyncio.gather(
            hub.interactions.start(ADAPTER, a_stranger("CA1", *phones)),
            hub.interactions.start(ADAPTER, a_stranger("CA2", *reversed(phones))),
        )
        assert len({answer["customer_id"] for answer, _, _ in answers}) == 1


class TestWhoItIs:
    """Handoff, then name, then verified, then claimed identifiers; one that leads to several picks none."""

    async def test_an_identifier_of_several_customers_picks_none_and_tells_nothing_of_them(self, hub: Hub) -> None:
        for customer_id in ("c1", "c2"):
            await begin(hub, customer_id, identifiers=[a_phone()], customer_id=customer_id)
        answer, created, _ = await hub.interactions.start(ADAPTER, a_stranger("CA1", a_phone(), channel="ivr"))
        assert (answer["ambiguous"], answer["known"], created) == (True, False, True)
        assert answer["customer_id"].startswith("pc_")
        assert answer["context"]["steering"]["journeys"] == []
        assert (await context_of(hub, Who(ACME, answer["customer_id"]))).identifiers == ()

    async def test_who_verified_it_goes_before_those_who_only_claim_it(self, hub: Hub) -> None:
        await begin(hub, "x1", identifiers=[a_phone()], customer_id="c1")
        await begin(hub, "x2", identifiers=[a_phone(strength="verified")], customer_id="c2")
        answer, _, _ = await hub.interactions.start(ADAPTER, a_stranger("CA1", a_phone()))
        assert (answer["customer_id"], answer["ambiguous"]) == ("c2", False)

    async def test_a_call_with_two_people_s_numbers_gives_neither_the_other_s(self, hub: Hub) -> None:
        mine, theirs = a_phone(), a_phone("+8613800138001")
        await begin(hub, "x1", customer_id="c1", identifiers=[mine])
        await begin(hub, "x2", customer_id="c2", identifiers=[theirs])
        answer, _, _ = await hub.interactions.start(ADAPTER, a_stranger("x3", mine, theirs))
        assert answer["customer_id"] == "c1"
        assert [each.value for each in (await context_of(hub, Who(ACME, "c1"))).identifiers] == [mine.value]
        assert list(await hub.identity.owners(ACME, theirs)) == ["c2"]

    async def test_a_phone_is_the_same_however_it_is_written(self, hub: Hub) -> None:
        await begin(hub, identifiers=[a_phone("+86 138 0013 8000")])
        answer, _, _ = await hub.interactions.start(ADAPTER, a_stranger("CA1", a_phone("138-0013-8000")))
        assert answer["customer_id"] == "c42"

    async def test_a_second_customer_s_phone_is_not_taken_from_the_first(self, hub: Hub) -> None:
        first, _, _ = await hub.interactions.start(ADAPTER, a_stranger("CA1", a_phone("+861")))
        both = a_stranger("CA2", a_phone("+860"), a_phone("+861"))
        second, _, _ = await hub.interactions.start(ADAPTER, both)
        assert second["customer_id"] == first["customer_id"]

    async def test_nobody_known_gets_an_id_of_ours_that_the_same_call_always_gets(
        self, hub: Hub, server: Server, clock: Clock
    ) -> None:
        answer, _, _ = await hub.interactions.start(ADAPTER, a_start("CA1"))
        await hub.customers.forget(Who(ACME, answer["customer_id"]))
        again, created, _ = await another(server, clock).interactions.start(ADAPTER, a_start("CA1"))
        assert (again["customer_id"], created) == (answer["customer_id"], True)


class TestCrashesOfAStart:
    """Killed at any of its steps, the same start completes it."""

    @pytest.mark.parametrize(
        ("part", "step"),
        [("lookups", "owners"), ("lookups", "link"), ("lookups", "claim_external"), ("kept", "commit"),
         ("lookups", "set_refs")],
    )  # fmt: skip
    async def test_begun_again_it_is_whole(self, hub: Hub, server: Server, clock: Clock, part: str, step: str) -> None:
        request = a_stranger("CA1", a_phone(), channel="ivr", refs=[Ref(system="acd", id="7")])
        mend = crashing_at(hub.lookups if part == "lookups" else hub.changes.contexts, step)
        await killed(hub.interactions.start(ADAPTER, request))
        mend()
        answer, _, _ = await another(server, clock).interactions.start(ADAPTER, request)
        who = Who(ACME, answer["customer_id"])
        context = await context_of(hub, who)
        assert await told_of(hub, who) == ["interaction.started"]
        assert [identifier.value for identifier in context.identifiers] == [a_phone().value]
        assert (await hub.identity.must_find(ACME, a_phone())) == who
        assert (await hub.interactions.lookup(ACME, Ref(system="acd", id="7")))[0] == who

    async def test_killed_before_it_began_the_next_call_of_that_phone_is_the_same_customer(self, hub: Hub) -> None:
        mend = crashing_at(hub.changes.contexts, "commit")
        await killed(hub.interactions.start(ADAPTER, a_stranger("CA1", a_phone())))
        mend()
        second, _, _ = await hub.interactions.start(ADAPTER, a_stranger("CA2", a_phone()))
        first, _, _ = await hub.interactions.start(ADAPTER, a_stranger("CA1", a_phone()))
        assert first["customer_id"] == second["customer_id"]


class TestIdentifying:
    """An interaction goes to whom it really is, whatever dies on the way."""

    async def met(self, hub: Hub) -> tuple[Who, str, dict[str, Any]]:
        """A stranger who said something, has another name, and waits in a queue."""
        request = a_stranger("CA1", a_phone(), channel="chat", refs=[Ref(system="acd", id="7")])
        answer, _, _ = await hub.interactions.start(ADAPTER, request)
        who, interaction_id = Who(ACME, answer["customer_id"]), answer["interaction"]["interaction_id"]
        await tell(hub, "fact.stated", interaction_id, "e1", who, name="city", value="Xi'an")
        return who, interaction_id, await offer(hub, interaction_id, who)

    async def has_arrived(self, hub: Hub, old: Who, interaction_id: str, handoff_id: str, proven: bool = False) -> None:
        """Check that everything is at the new home, once, and leads there; whose number it is only where proven."""
        home, left = await context_of(hub, HOME), await context_of(hub, old)
        assert [fact.value for fact in home.facts] == ["Xi'an"]
        assert (list(home.interactions), list(home.handoffs)) == ([interaction_id], [handoff_id])
        assert (left.interactions, left.facts, left.handoffs, left.moves) == ({}, (), {}, {})
        assert left.moved == {interaction_id: "c7"}
        assert (await told_of(hub, HOME)).count("interaction.moved") == 1
        assert (await told_of(hub, old)).count("interaction.moved") == 1
        assert (await hub.interactions.lookup(ACME, Ref(system="acd", id="7")))[0] == HOME
        assert (await hub.handoffs.get(DESK, handoff_id)).handoff.customer_id == "c7"
        assert [handoff.customer_id for handoff in await hub.handoffs.waiting(ACME, "cards", "offered")] == ["c7"]
        assert await hub.identity.must_find(ACME, a_phone()) == (HOME if proven else old)
        assert [len(context.identifiers) for context in (home, left)] == ([1, 0] if proven else [0, 1])
        again, created, _ = await hub.interactions.start(ADAPTER, a_stranger("CA1", channel="chat"))
        assert (again["customer_id"], created) == ("c7", False)

    async def test_everything_arrives(self, hub: Hub) -> None:
        old, interaction_id, handoff = await self.met(hub)
        where, shown, _ = await hub.interactions.identify(old, interaction_id, "c7", None)
        assert (where, shown.fence) == (HOME, 1)
        await self.has_arrived(hub, old, interaction_id, handoff["handoff_id"])

    @pytest.mark.parametrize(
        ("part", "step", "call"),
        [
            ("kept", "commit", 2), ("kept", "commit", 3), ("lookups", "set_external", 1), ("lookups", "set_refs", 1),
            ("lookups", "repoint_handoffs", 1), ("lookups", "unlink", 1), ("lookups", "link", 1),
        ],
    )  # fmt: skip
    async def test_killed_at_any_step_it_is_completed_when_next_woken(
        self, hub: Hub, server: Server, clock: Clock, part: str, step: str, call: int
    ) -> None:
        old, interaction_id, handoff = await self.met(hub)
        mend = crashing_at(hub.lookups if part == "lookups" else hub.changes.contexts, step, call)
        await killed(hub.interactions.identify(old, interaction_id, "c7", AssuranceClaim(level=2, method="pin")))
        mend()
        fresh = another(server, clock)
        assert old in await fresh._outbox.due(fresh._outbox.partitions, clock())
        await fresh.wake(old)
        await self.has_arrived(fresh, old, interaction_id, handoff["handoff_id"], proven=True)
        assert old not in await fresh._outbox.due(fresh._outbox.partitions, clock())

    async def test_killed_before_its_first_step_nothing_has_happened(self, hub: Hub) -> None:
        old, interaction_id, _ = await self.met(hub)
        mend = crashing_at(hub.changes.contexts, "commit")
        await killed(hub.interactions.identify(old, interaction_id, "c7", None))
        mend()
        context = await context_of(hub, old)
        assert (context.moves, list(context.interactions)) == ({}, [interaction_id])

    @pytest.mark.parametrize("pause", [HOUR, 48 * HOUR])
    async def test_woken_long_after_the_crash_it_still_arrives(
        self, hub: Hub, server: Server, clock: Clock, pause: Any
    ) -> None:
        old, interaction_id, _ = await self.met(hub)
        mend = crashing_at(hub.changes.contexts, "commit", 2)
        await killed(hub.interactions.identify(old, interaction_id, "c7", None))
        mend()
        clock.move(pause)
        await another(server, clock).wake(old)
        assert list((await context_of(hub, HOME)).interactions) == [interaction_id]
        assert (await context_of(hub, old)).moves == {}

    async def test_of_one_that_began_long_ago_the_move_is_no_silence(self, hub: Hub, clock: Clock) -> None:
        old, interaction_id, _ = await self.met(hub)
        for minutes in range(1, 5):
            clock.move(20 * MINUTE)
            await tell(hub, "message.received", interaction_id, f"m{minutes}", old, text="still here")
        _, shown, _ = await hub.interactions.identify(old, interaction_id, "c7", None)
        assert shown.state == "open"

    async def test_asked_again_after_a_crash_it_is_completed_at_once(self, hub: Hub) -> None:
        old, interaction_id, handoff = await self.met(hub)
        mend = crashing_at(hub.changes.contexts, "commit", 2)
        await killed(hub.interactions.identify(old, interaction_id, "c7", None))
        mend()
        await hub.interactions.identify(old, interaction_id, "c7", None)
        await self.has_arrived(hub, old, interaction_id, handoff["handoff_id"])

    async def test_while_it_moves_nobody_writes_to_it_and_it_goes_nowhere_else(self, hub: Hub) -> None:
        old, interaction_id, handoff = await self.met(hub)
        mend = crashing_at(hub.changes.contexts, "commit", 2)
        await killed(hub.interactions.identify(old, interaction_id, "c7", None))
        mend()
        for work in (
            tell(hub, "message.received", interaction_id, "m1", old, text="hello"),
            tell(hub, "fact.stated", interaction_id, "f1", old, name="city", value="x"),
            hub.handoffs.accept(DESK, handoff["handoff_id"], "ann"),
            hub.interactions.end(old, interaction_id, None, None),
            hub.interactions.identify(old, interaction_id, "c8", None),
        ):
            with pytest.raises(Unavailable):
                await work

    async def test_sent_on_before_the_first_move_was_over_it_is_at_one_place_only(
        self, hub: Hub, server: Server, clock: Clock
    ) -> None:
        old, interaction_id, _ = await self.met(hub)
        mend = crashing_at(hub.lookups, "set_external")
        await killed(hub.interactions.identify(old, interaction_id, "c7", None))
        mend()
        await hub.interactions.identify(HOME, interaction_id, "c8", None)
        await another(server, clock).wake(old)
        places = [
            who for who in (old, HOME, Who(ACME, "c8")) if interaction_id in (await context_of(hub, who)).interactions
        ]
        assert places == [Who(ACME, "c8")]
        assert (await context_of(hub, old)).moves == {}

    async def test_there_and_back_it_is_whole(self, hub: Hub) -> None:
        old, interaction_id, handoff = await self.met(hub)
        for source, to in ((old, "c7"), (HOME, old.customer_id), (old, "c7")):
            await hub.interactions.identify(source, interaction_id, to, None)
        assert list((await context_of(hub, HOME)).handoffs) == [handoff["handoff_id"]]
        assert [fact.value for fact in (await context_of(hub, HOME)).facts] == ["Xi'an"]

    async def test_the_old_place_points_to_the_new_home(self, hub: Hub) -> None:
        old, interaction_id, _ = await self.met(hub)
        await hub.interactions.identify(old, interaction_id, "c7", None)
        for work in (
            hub.contexts.read(old, Reader(interaction_id=interaction_id)),
            hub.interactions.end(old, interaction_id, None, None),
            tell(hub, "message.received", interaction_id, "m1", old, text="hello"),
            hub.interactions.identify(old, interaction_id, "c8", None),
        ):
            with pytest.raises(Moved) as refusal:
                await work
            assert refusal.value.ids["customer_id"] == "c7"

    async def test_verified_by_it_the_customer_is_known_there(self, hub: Hub) -> None:
        old, interaction_id, _ = await self.met(hub)
        claim = AssuranceClaim(level=2, method="pin")
        _, shown, _ = await hub.interactions.identify(old, interaction_id, "c7", claim)
        assert (shown.assurance.level, (await context_of(hub, HOME)).facts[0].origin.assurance) == (2, 2)

    async def test_already_there_only_the_assurance_rises_once(self, hub: Hub) -> None:
        interaction_id = await in_one(hub)
        claim = AssuranceClaim(level=2, method="pin")
        for _ in range(2):
            await hub.interactions.identify(WHO, interaction_id, "c42", claim)
        assert await told_of(hub) == ["interaction.started", "interaction.identified"]

    async def test_one_that_is_not_there_can_not_move(self, hub: Hub) -> None:
        await begin(hub)
        with pytest.raises(InteractionUnknown):
            await hub.interactions.identify(WHO, "in_none", "c7", None)

    async def test_the_token_that_brought_it_moves_a_running_interaction(self, hub: Hub) -> None:
        handoff = await offer(hub, await in_one(hub, level=2), to={"channel": "chat"})
        await begin(hub, "w1", customer_id=None)
        token = HandoffHint(token=handoff["token"])
        answer, created, _ = await hub.interactions.start(ADAPTER, a_start("w1", handoff=token))
        assert (answer["customer_id"], created) == ("c42", False)
        assert answer["interaction"]["assurance"]["level"] == 2

    async def test_whoever_has_proven_who_they_are_brings_no_token_of_another(self, hub: Hub) -> None:
        handoff = await offer(hub, await in_one(hub, level=2), to={"channel": "chat"})
        await begin(hub, "w1", 2, customer_id="c7")
        token = HandoffHint(token=handoff["token"])
        answer, _, _ = await hub.interactions.start(ADAPTER, a_start("w1", handoff=token))
        assert (answer["customer_id"], answer["interaction"]["assurance"]["level"]) == ("c7", 2)
        assert answer["handoff_problem"]["code"] == "handoff_unknown"
        with pytest.raises(HandoffUnknown):
            await hub.interactions.redeem(ADAPTER, a_start("w1", handoff=token))
        assert (await hub.handoffs.get(DESK, handoff["handoff_id"])).handoff.state == "offered"

    async def test_whoever_was_only_taken_for_a_customer_may_bring_it(self, hub: Hub) -> None:
        handoff = await offer(hub, await in_one(hub, level=2), to={"channel": "chat"}, delivery="message")
        await begin(hub, "w1", 1, customer_id="c7")
        token = HandoffHint(token=handoff["token"])
        answer, _ = await hub.interactions.redeem(ADAPTER, a_start("w1", handoff=token))
        assert (answer["customer_id"], answer["interaction"]["assurance"]["level"]) == ("c42", 1)


class TestSomebodyNew:
    """Where one is registered and another calls whom nobody has heard of."""

    async def called(self, hub: Hub) -> tuple[Who, str]:
        """A call from the number of c1, in which somebody else has said something."""
        await begin(hub, "a1", 2, customer_id="c1", identifiers=[a_phone(strength="verified")])
        call = (await hub.interactions.start(ADAPTER, a_stranger("CA1", a_phone())))[0]
        at = str(call["interaction"]["interaction_id"])
        await tell(hub, "fact.stated", at, "e1", Who(ACME, "c1"), name="city", value="Harbin")
        return Who(ACME, "c1"), at

    def account(self, strength: Any = "claimed") -> list[Identifier]:
        return [Identifier(type="account", value="A-new", strength=strength)]

    async def is_not(
        self, hub: Hub, who: Who, at: str, *identifiers: Identifier, level: int | None = None,
        reason: str = NOT_THIS_CUSTOMER,
    ) -> Who:  # fmt: skip
        claim = AssuranceClaim(level=level, method="pin") if level is not None else None
        return (await hub.interactions.identify_as(who, at, None, identifiers, claim, reason))[0]

    async def test_just_not_this_customer_it_is_that_of_somebody_new_with_nothing_else(self, hub: Hub) -> None:
        who, at = await self.called(hub)
        before = await context_of(hub, who)
        new = await self.is_not(hub, who, at)
        there, here = await context_of(hub, new), await context_of(hub, who)
        assert (there.known, there.identifiers, list(there.interactions)) == (False, (), [at])
        assert [fact.value for fact in there.facts] == ["Harbin"]
        assert (here.identifiers, at in here.interactions) == (before.identifiers, False)
        assert await hub.identity.must_find(ACME, a_phone()) == who
        moves = [
            event["data"] for place in (who, new) for event in await hub.changes.contexts.timeline(place, 0, None, 100)
            if event["type"] == "interaction.moved"
        ]  # fmt: skip
        assert moves == [{"from": "c1", "to": new.customer_id, "reason": NOT_THIS_CUSTOMER}] * 2

    async def test_what_nobody_has_leads_to_them_from_now_on(self, hub: Hub) -> None:
        who, at = await self.called(hub)
        new = await self.is_not(hub, who, at, *self.account())
        (held,) = (await context_of(hub, new)).identifiers
        assert (held.value, held.strength, held.source) == ("A-new", "claimed", "chat/chat")
        assert (await begin(hub, "CA2", customer_id=None, identifiers=self.account()))["customer_id"] == new.customer_id

    async def test_asked_again_it_is_the_same(self, hub: Hub) -> None:
        who, at = await self.called(hub)
        for identifiers in ([], self.account()):
            assert await self.is_not(hub, who, at, *identifiers) == await self.is_not(hub, who, at, *identifiers)
        assert (await told_of(hub, who)).count("interaction.moved") == 1

    @pytest.mark.parametrize("call", [1, 2, 3])
    async def test_killed_on_the_way_and_asked_again_it_is_whole(self, hub: Hub, call: int) -> None:
        who, at = await self.called(hub)
        mend = crashing_at(hub.changes.contexts, "commit", call)
        await killed(self.is_not(hub, who, at, *self.account()))
        mend()
        new = await self.is_not(hub, who, at, *self.account())
        there = await context_of(hub, new)
        assert (there.known, [one.value for one in there.identifiers], list(there.interactions)) == (
            False, ["A-new"], [at]
        )  # fmt: skip

    async def test_it_is_looked_once_whether_anybody_has_it(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        usual, asked = Lookups.owners, []

        async def counted(lookups: Lookups, tenant: str, identifiers: Sequence[Identifier]) -> list[Owners]:
            asked.append([one.value for one in identifiers])
            return await usual(lookups, tenant, identifiers)

        who, at = await self.called(hub)
        monkeypatch.setattr(Lookups, "owners", counted)
        identifiers = [
            *self.account("verified"),
            Identifier(type="email", value="new@example.com", strength="verified"),
        ]
        await self.is_not(hub, who, at, *identifiers, level=2)
        assert [len(values) for values in asked if len(values) > 1] == [2]

    async def test_whoever_has_it_a_moment_later_has_it(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        usual = hub.changes.contexts.existing

        async def faster(asked: Who) -> Any:
            monkeypatch.undo()
            await begin(hub, "a2", 2, customer_id="c2", identifiers=self.account("verified"))
            return await usual(asked)

        who, at = await self.called(hub)
        monkeypatch.setattr(hub.changes.contexts, "existing", faster)
        assert (await self.is_not(hub, who, at, *self.account("verified"), level=2)).customer_id == "c2"

    async def test_whom_somebody_is_found_by_is_found(self, hub: Hub) -> None:
        who, at = await self.called(hub)
        await begin(hub, "a2", 2, customer_id="c2", identifiers=self.account("verified"))
        assert (await self.is_not(hub, who, at, *self.account())).customer_id == "c2"

    @pytest.mark.parametrize(("strength", "level"), [("verified", None), ("claimed", 2)])
    async def test_proven_to_be_nobody_known_it_is_somebody_new_too(
        self, hub: Hub, strength: str, level: int | None
    ) -> None:
        who, at = await self.called(hub)
        new = await self.is_not(hub, who, at, *self.account(strength), level=level, reason="verified")
        there = await context_of(hub, new)
        assert (there.known, there.interactions[at].level(there.created_at)) == (False, level or 0)

    async def test_a_mere_claim_of_what_nobody_has_moves_nothing(self, hub: Hub) -> None:
        who, at = await self.called(hub)
        for level in (None, 1):
            with pytest.raises(CustomerUnknown):
                await self.is_not(hub, who, at, *self.account(), level=level, reason="verified")
        assert at in (await context_of(hub, who)).interactions

    async def test_for_an_interaction_that_is_not_there_nothing_leads_to_anybody(self, hub: Hub) -> None:
        who, _ = await self.called(hub)
        with pytest.raises(InteractionUnknown):
            await self.is_not(hub, who, "in_none", *self.account())
        assert (await hub.identity.owners(ACME, self.account()[0])) == {}


class TestTwoPeople:
    """A token of one customer in the hands of another."""

    async def offered(self, hub: Hub, level: int = 2, who: str | None = "c42", **more: Any) -> dict[str, Any]:
        """An offer to the chat: of c42 who has said something, or of nobody yet."""
        begun = await begin(hub, "x1", level, customer_id=who)
        at, whose = begun["interaction"]["interaction_id"], Who(ACME, begun["customer_id"])
        await tell(hub, "fact.stated", at, "e1", whose, name="city", value="Xi'an")
        return await offer(hub, at, whose, **{"to": {"channel": "chat"}} | more)

    async def comes(self, hub: Hub, handoff: dict[str, Any], level: int = 2, **more: Any) -> dict[str, Any]:
        """A chat begins with the token."""
        start = a_start("w1", level, handoff=HandoffHint(token=handoff["token"]), **more)
        return (await hub.interactions.start(ADAPTER, start))[0]

    def known(self, value: str = "A-7", strength: Any = "verified") -> Identifier:
        return Identifier(type="account", value=value, strength=strength)

    @pytest.mark.parametrize("delivery", ["signal", "message"])
    @pytest.mark.parametrize("by", ["name", "account", "both"])
    async def test_whoever_is_proven_to_be_another_stays_that_one(self, hub: Hub, by: str, delivery: str) -> None:
        await begin(hub, "a1", 2, customer_id="c7", identifiers=[self.known()])
        handoff = await self.offered(hub, delivery=delivery)
        said: dict[str, Any] = {} if by == "account" else {"customer_id": "c7"}
        said |= {} if by == "name" else {"identifiers": [self.known()]}
        with pytest.raises(HandoffUnknown):
            await hub.interactions.redeem(
                ADAPTER, a_start("w1", 2, handoff=HandoffHint(token=handoff["token"]), **said)
            )
        answer = await self.comes(hub, handoff, **said)
        assert (answer["customer_id"], answer["interaction"]["assurance"]["level"]) == ("c7", 2)
        assert answer["handoff_problem"]["code"] == "handoff_unknown"
        assert not [word for word in ("Xi'an", "c42", handoff["handoff_id"]) if word in str(answer)]
        assert (await hub.handoffs.get(DESK, handoff["handoff_id"])).handoff.state == "offered"
        assert (await context_of(hub)).identifiers == ()
        again = await self.comes(hub, handoff, **said)
        assert (again["customer_id"], again["handoff_problem"]["code"]) == ("c7", "handoff_unknown")

    async def test_who_has_become_the_same_customer_is_no_other(self, hub: Hub) -> None:
        await begin(hub, "a1", 2, customer_id="c7", identifiers=[self.known()])
        handoff = await self.offered(hub)
        await hub.merging.merge(WHO, "c7")
        answer = await self.comes(hub, handoff, customer_id="c7")
        assert (answer["customer_id"], answer["interaction"]["assurance"]["level"]) == ("c42", 2)
        assert "handoff_problem" not in answer

    async def test_a_shared_line_is_no_proof_of_another_and_stays_theirs(self, hub: Hub) -> None:
        await begin(hub, "a1", 2, customer_id="c7", identifiers=[a_phone(strength="verified")])
        handoff = await self.offered(hub)
        answer = await self.comes(hub, handoff, 0, identifiers=[a_phone()])
        assert (answer["customer_id"], answer["interaction"]["assurance"]["level"]) == ("c42", 2)
        assert (await context_of(hub)).identifiers == ()
        assert (await hub.identity.must_find(ACME, a_phone())).customer_id == "c7"

    @pytest.mark.parametrize(("delivery", "level"), [("signal", 2), ("message", 1)])
    async def test_proof_of_what_nobody_has_is_no_proof_of_a_customer(
        self, hub: Hub, delivery: str, level: int
    ) -> None:
        handoff = await self.offered(hub, delivery=delivery)
        answer = await self.comes(hub, handoff, identifiers=[self.known("A-new")])
        assert (answer["customer_id"], answer["interaction"]["assurance"]["level"]) == ("c42", level)
        assert [one.strength for one in (await context_of(hub)).identifiers] == ["claimed"]

    async def test_nobody_yet_becomes_whoever_brings_the_token(self, hub: Hub) -> None:
        handoff = await self.offered(hub, level=1, who=None)
        answer = await self.comes(hub, handoff, identifiers=[self.known("A-new")])
        assert (answer["interaction"]["assurance"]["level"], answer["known"]) == (2, False)
        whose = await context_of(hub, Who(ACME, answer["customer_id"]))
        assert [one.strength for one in whose.identifiers] == ["verified"]

    async def test_a_known_customer_hears_what_nobody_yet_said_and_shares_nothing_with_them(self, hub: Hub) -> None:
        handoff = await self.offered(hub, who=None)
        answer = await self.comes(hub, handoff, customer_id="c7")
        assert answer["customer_id"] != "c7"
        assert answer["interaction"]["assurance"]["level"] == 1
        assert answer["context"]["facts"]["city"]["value"] == "Xi'an"

    async def test_proof_of_who_it_is_counts_as_before(self, hub: Hub) -> None:
        handoff = await self.offered(hub, delivery="message")
        answer = await self.comes(hub, handoff, customer_id="c42", identifiers=[self.known("A-42")])
        assert (answer["customer_id"], answer["interaction"]["assurance"]["level"]) == ("c42", 2)
        assert [one.strength for one in (await context_of(hub)).identifiers] == ["verified"]


async def test_an_interaction_that_ended_so_long_ago_that_it_is_gone_has_lapsed(
    hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "MOST_ENDED", 1)
    for external_id in ("x1", "x2"):
        await hub.interactions.end(WHO, await in_one(hub, external_id), None, None)
        clock.move(SECOND)
    await in_one(hub, "x3")
    with pytest.raises(Lapsed):
        await begin(hub, "x1")
    assert (await begin(hub, "x2"))["interaction"]["state"] == "ended"


async def test_open_interactions_of_a_channel_are_listed_oldest_first(hub: Hub, clock: Clock) -> None:
    for number in range(3):
        await begin(hub, f"x{number}", customer_id=f"c{number}")
        clock.move(SECOND)
    await hub.interactions.end(Who(ACME, "c1"), await in_one(hub, "x1", customer_id="c1"), None, None)
    assert [i["customer_id"] for i in await hub.interactions.open_on(ACME, "chat")] == ["c0", "c2"]


async def test_a_call_that_silence_has_ended_is_listed_no_more_though_no_timer_has_run(hub: Hub, clock: Clock) -> None:
    silent = await in_one(hub, "x1", channel="voice", customer_id="c1")
    heard = await in_one(hub, "x2", channel="voice", customer_id="c2")
    for call, customer_id in ((silent, "c1"), (heard, "c2")):
        await tell(hub, "call.alerting", call, "a1", Who(ACME, customer_id), agent_id="ann")
    clock.move(3 * HOUR)
    await tell(hub, "call.queued", heard, "a2", Who(ACME, "c2"), position=1)
    clock.move(HOUR)

    async def listed() -> list[str]:
        on_channel = await hub.interactions.listed(ADAPTER, "voice", None)
        assert await hub.interactions.listed(ADAPTER, None, "ann") == on_channel
        return [one["customer_id"] for one in on_channel]

    assert (await context_of(hub, Who(ACME, "c1"))).interactions[silent].is_open
    assert await listed() == ["c2"]
    await hub.wake(Who(ACME, "c1"))
    assert await listed() == ["c2"]
    await tell(hub, "call.held", silent, "a3", Who(ACME, "c1"), agent_id="ann")
    assert await listed() == ["c1", "c2"]


async def test_a_desk_whose_key_is_for_other_channels_finds_every_call_at_its_phone_as_its_stream_tells(
    hub: Hub,
) -> None:
    call = await in_one(hub, "x1", channel="voice")
    await tell(hub, "call.alerting", call, "a1", agent_id="ann")
    desk = DESK.model_copy(update={"agent": "ann", "channels": frozenset({"desk"})})

    async def listed(principal: Principal) -> list[str]:
        return [one["interaction_id"] for one in await hub.interactions.listed(principal, None, "ann")]

    assert await listed(desk) == [call]
    assert await listed(ADAPTER) == [call]
    assert await listed(ADAPTER.model_copy(update={"channels": frozenset({"chat"})})) == []
    with pytest.raises(Forbidden):
        await hub.interactions.listed(desk, "voice", "ann")
