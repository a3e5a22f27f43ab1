"""Routing: who is suggested to whom, by weights, with reasons; the order of what comes in decides nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ctxhub.model.routing import Agent, Choice, Served, Suggesting, Suggestion, Waits, Weights, fits, parts, route
from tests.support import DAY, HOUR, MINUTE, NOON, SECOND

CARDS = Suggesting(weights=Weights())
QUEUES = {"cards": CARDS}
NOTHING = dict.fromkeys(("skill", "language", "served", "idle", "priority", "waiting"), 0)


def an_agent(agent_id: str, idle: timedelta = MINUTE, **more: Any) -> Agent:
    """An agent of the queue, there for an hour."""
    usual: dict[str, Any] = {"queues": frozenset({"cards"}), "since": NOON - HOUR, "idle_since": NOON - idle}
    named = ("skills", "languages", "queues")
    sets: dict[str, Any] = {name: frozenset(more.pop(name)) for name in named if name in more}
    return Agent(agent_id, **usual | sets | more)


def waiting(handoff_id: str = "h1", waited: timedelta = timedelta(0), **more: Any) -> Waits:
    """A handoff that waits in the queue."""
    named = ("must", "wanted", "passed")
    sets: dict[str, Any] = {name: frozenset(more.pop(name)) for name in named if name in more}
    usual: dict[str, Any] = {"queue": "cards", "channel": "chat", "waiting_since": NOON - waited}
    return Waits(handoff_id, **usual | sets | more)


def only(**weights: int) -> dict[str, Suggesting]:
    """A queue in which nothing counts but what is named."""
    return {"cards": Suggesting(weights=Weights(**NOTHING | weights))}


def chosen(waits: Waits, *agents: Agent, queues: dict[str, Suggesting] = QUEUES) -> str | None:
    """To whom one handoff is suggested."""
    found = route([waits], agents, queues, NOON)
    return found[0].agent_id if found else None


def ringing(agent_id: str | None, ago: timedelta = timedelta(0), ring: int = 20, **more: Any) -> Suggestion:
    """A suggestion that was made some time ago."""
    usual: dict[str, Any] = {"number": 1, "queue": "cards", "rings": 1}
    return Suggestion(agent_id=agent_id, at=NOON - ago, until=NOON - ago + ring * SECOND, **usual | more)


class TestWeights:
    """Each weight alone decides between two who are alike in all else."""

    @pytest.mark.parametrize(
        ("weight", "waits", "better", "worse"),
        [
            ("skill", {"wanted": {"loans"}, "waited": HOUR}, {"skills": {"loans"}}, {"skills": {"cards"}}),
            ("language", {"language": "zh", "waited": HOUR}, {"languages": {"zh"}}, {"languages": {"en"}}),
            ("served", {"served": {"zoe": Served(NOON - DAY)}}, {}, {}),
            ("served", {"served": {"zoe": Served(NOON - HOUR, is_now=True)}}, {}, {}),
            ("idle", {}, {"idle": 2 * MINUTE}, {"idle": MINUTE}),
        ],
    )
    def test_the_better_agent_is_chosen_although_the_other_comes_first_by_name(
        self, weight: str, waits: dict[str, Any], better: dict[str, Any], worse: dict[str, Any]
    ) -> None:
        agents = [an_agent("abe", **worse), an_agent("zoe", **better)]
        assert chosen(waiting(**waits), *agents, queues=only(**{weight: 1})) == "zoe"

    @pytest.mark.parametrize(("weight", "better"), [("priority", {"priority": 1}), ("waiting", {"waited": MINUTE})])
    def test_the_customer_who_comes_first_gets_the_only_agent(self, weight: str, better: dict[str, Any]) -> None:
        both = [waiting("a", waited=SECOND), waiting("z", **{"waited": SECOND} | better)]
        assert [c.handoff_id for c in route(both, [an_agent("ann")], only(**{weight: 1}), NOON)] == ["z"]

    def test_waiting_counts_without_end_so_that_nobody_is_overtaken_for_ever(self) -> None:
        urgent, patient = waiting("urgent", priority=100), waiting("patient", waited=26 * MINUTE)
        assert [c.handoff_id for c in route([urgent, patient], [an_agent("ann")], QUEUES, NOON)] == ["patient"]
        less = waiting("patient", waited=24 * MINUTE)
        assert [c.handoff_id for c in route([urgent, less], [an_agent("ann")], QUEUES, NOON)] == ["urgent"]

    def test_whoever_just_got_something_is_idle_no_more(self) -> None:
        agents = [an_agent("ann", idle=HOUR, capacity={"chat": 4}), an_agent("bob", capacity={"chat": 4})]
        found = route([waiting("h1"), waiting("h2")], agents, QUEUES, NOON)
        assert [(c.handoff_id, c.agent_id) for c in found] == [("h1", "ann"), ("h2", "bob")]

    @pytest.mark.parametrize("wrong", [{"skill": -1}, {"idle": 1001}, {"skill": 1.5}, {"luck": 1}])
    def test_a_weight_that_is_none_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Weights(**wrong)


class TestWhoMay:
    """An agent is asked only if he can take it."""

    @pytest.mark.parametrize(
        "unable",
        [
            {"is_available": False},
            {"queues": {"loans"}},
            {"skills": {"loans"}},
            {"capacity": {"chat": 0}},
            {"capacity": {"chat": 1}, "work": {"h9": "chat"}},
            {"capacity": {"chat": 4}, "work": {"h9": "voice"}},
            {"capacity": {"chat": 4}, "work": dict.fromkeys(("h6", "h7", "h8", "h9"), "chat")},
        ],
    )
    def test_who_can_not_is_not_asked(self, unable: dict[str, Any]) -> None:
        assert chosen(waiting(must={"cards"}), an_agent("ann", **{"skills": {"cards"}} | unable)) is None

    def test_four_chats_or_one_call_and_no_call_beside_a_chat(self) -> None:
        three: dict[str, Any] = {"capacity": {"chat": 4, "voice": 1}, "work": dict.fromkeys(("h7", "h8", "h9"), "chat")}
        assert chosen(waiting(), an_agent("ann", **three)) == "ann"
        assert chosen(waiting(channel="voice"), an_agent("ann", **three)) is None
        assert chosen(waiting(channel="voice"), an_agent("ann", capacity={"chat": 4})) == "ann"

    def test_all_of_a_queue_at_once_never_get_more_than_they_can_take(self) -> None:
        agents = [an_agent("ann", capacity={"chat": 2}), an_agent("bob", capacity={"chat": 3}, work={"x": "chat"})]
        found = route([waiting(f"h{n}") for n in range(9)], agents, QUEUES, NOON)
        assert sorted(choice.agent_id or "" for choice in found) == ["ann", "ann", "bob", "bob"]

    @pytest.mark.parametrize(
        ("has", "asked"),
        [
            ({"h9": "voice"}, True),
            (dict.fromkeys(("h6", "h7", "h8", "h9"), "chat"), True),
            ({"h9": "voice", "h8": "chat"}, False),
        ],
    )
    def test_whoever_has_this_very_customer_in_another_channel_may_have_one_too_many(
        self, has: dict[str, str], asked: bool
    ) -> None:
        ann, bob = an_agent("ann", capacity={"chat": 4, "voice": 1}, work=has), an_agent("bob", idle=HOUR)
        hers: dict[str, Any] = {"served": {"ann": Served(NOON, is_now=True)}, "with_now": "ann"}
        assert chosen(waiting(**hers), ann, bob) == ("ann" if asked else "bob")
        assert chosen(waiting(**hers | {"with_now": None}), ann, bob) == "bob"
        assert chosen(waiting(**hers), replace(ann, capacity={"chat": 0}), bob) == "bob"
        both = [waiting("h1", **hers), waiting("h2", **hers)]
        assert sorted(choice.agent_id or "" for choice in route(both, [ann], QUEUES, NOON)) == ["ann"] * asked

    def test_that_goes_on_ringing_there_and_is_said(self) -> None:
        hers = waiting(with_now="ann", suggestion=ringing("ann"))
        ann = an_agent("ann", work={"h9": "voice", "h1": "chat"})
        assert route([hers], [ann], QUEUES, NOON) == []
        [choice] = route([hers._replace(suggestion=None)], [ann], QUEUES, NOON)
        assert [reason.why for reason in choice.reasons] == ["beyond_capacity"]

    def test_skills_and_language_are_a_must_until_the_queue_no_longer_insists(self) -> None:
        ann = an_agent("ann", languages={"en"})
        for waits in ({"wanted": {"loans"}}, {"language": "zh"}):
            assert chosen(waiting(waited=59 * SECOND, **waits), ann) is None
            assert chosen(waiting(waited=60 * SECOND, **waits), ann) == "ann"

    def test_of_whom_no_language_is_known_is_taken_to_speak_with_everybody(self) -> None:
        [choice] = route([waiting(language="zh")], [an_agent("ann")], QUEUES, NOON)
        assert (choice.agent_id, [reason.why for reason in choice.reasons]) == ("ann", ["idle"])

    def test_what_the_queue_itself_asks_for_is_a_must_for_ever(self) -> None:
        assert chosen(waiting(must={"cards"}, waited=DAY), an_agent("ann")) is None

    def test_who_declined_is_not_asked_again(self) -> None:
        assert chosen(waiting(passed={"ann"}), an_agent("ann")) is None

    def test_a_queue_without_weights_suggests_to_nobody(self) -> None:
        assert route([waiting()], [an_agent("ann")], {"cards": Suggesting()}, NOON) == []


class TestOneAfterAnother:
    """One agent for a set time, then the next, then the whole queue."""

    def test_while_it_rings_nobody_else_is_asked(self) -> None:
        agents = [an_agent("ann", work={"h1": "chat"}), an_agent("bob", idle=HOUR)]
        assert route([waiting(suggestion=ringing("ann", 19 * SECOND))], agents, QUEUES, NOON) == []

    def test_then_the_next_is_asked_and_not_the_one_who_let_it_ring(self) -> None:
        over = waiting(suggestion=ringing("ann", 20 * SECOND))
        assert chosen(over, an_agent("ann", idle=HOUR), an_agent("bob")) == "bob"
        assert chosen(over, an_agent("ann", idle=HOUR)) is None

    def test_who_let_it_ring_is_asked_again_once_he_has_come_back(self) -> None:
        back = an_agent("ann", since=NOON - SECOND, idle_since=NOON - SECOND)
        assert chosen(waiting(suggestion=ringing("ann", 20 * SECOND)), back) == "ann"

    @pytest.mark.parametrize("gone", [{"is_available": False}, {"queues": {"loans"}}, {"work": {"h9": "voice"}}])
    def test_it_is_taken_from_one_who_can_not_take_it_any_more(self, gone: dict[str, Any]) -> None:
        rings = waiting(suggestion=ringing("ann", SECOND))
        assert chosen(rings, an_agent("ann", **gone), an_agent("bob")) == "bob"

    def test_it_is_taken_from_one_of_whom_nothing_is_known_any_more(self) -> None:
        assert chosen(waiting(suggestion=ringing("ann", SECOND)), an_agent("bob")) == "bob"

    def test_what_rang_and_rings_no_more_makes_room_at_once(self) -> None:
        declined = waiting("h1", suggestion=ringing("ann", SECOND), passed={"ann"})
        ann = an_agent("ann", work={"h1": "chat"})
        found = route([declined, waiting("h2")], [ann], QUEUES, NOON)
        assert [(c.handoff_id, c.agent_id) for c in found] == [("h2", "ann"), ("h1", None)]

    def test_with_nobody_left_the_whole_queue_hears_of_it_once(self) -> None:
        [choice] = route([waiting(suggestion=ringing("ann", MINUTE))], [], QUEUES, NOON)
        assert (choice.agent_id, choice.exclusive, choice.reasons) == (None, False, ())
        assert route([waiting(suggestion=ringing(None, MINUTE))], [], QUEUES, NOON) == []
        assert route([waiting()], [], QUEUES, NOON) == []

    def test_once_enough_were_asked_it_is_nobody_s_alone(self) -> None:
        alone = {"cards": Suggesting(weights=Weights(), exclusive=True, rings=2)}
        ann = an_agent("ann")
        for asked, exclusive in ((0, True), (1, True), (2, False), (9, False)):
            waits = waiting(suggestion=ringing("zoe", MINUTE, rings=asked))
            assert route([waits], [ann], alone, NOON)[0].exclusive is exclusive
        elsewhere = waiting(suggestion=ringing("zoe", MINUTE, rings=9, queue="loans"))
        assert route([elsewhere], [ann], alone, NOON)[0].exclusive is True


class TestInWords:
    """A suggestion says why."""

    def test_each_reason_is_said_in_both_languages(self) -> None:
        waits = waiting(must={"cards"}, wanted={"loans"}, language="zh", priority=50, waited=3 * MINUTE,
                        served={"ann": Served(NOON - 30 * HOUR)})  # fmt: skip
        ann = an_agent("ann", idle=4 * MINUTE, skills={"cards", "loans", "tech"}, languages={"zh"})
        [choice] = route([waits], [ann], QUEUES, NOON)
        assert "; ".join(reason.say["en"] for reason in choice.reasons) == (
            "has skills cards, loans; speaks zh; served this customer yesterday; idle 4 min; priority 50; "
            "the customer waits 3 min"
        )
        assert "；".join(reason.say["zh"] for reason in choice.reasons) == (
            "具备技能 cards、loans；会说 zh；昨天服务过该客户；已空闲 4 分钟；优先级 50；客户已等待 3 分钟"
        )

    @pytest.mark.parametrize(
        ("ago", "said"),
        [
            (30 * SECOND, "30 s ago"),
            (HOUR, "1 h ago"),
            (23 * HOUR, "23 h ago"),
            (DAY, "yesterday"),
            (3 * DAY, "3 days ago"),
        ],
    )
    def test_how_long_ago_it_was_is_said_roughly(self, ago: timedelta, said: str) -> None:
        [choice] = route([waiting(served={"ann": Served(NOON - ago)})], [an_agent("ann")], QUEUES, NOON)
        assert f"served this customer {said}" in [reason.say["en"] for reason in choice.reasons]

    def test_what_is_lacking_is_said_too_and_so_is_who_is_with_the_customer(self) -> None:
        waits = waiting(wanted={"loans"}, language="zh", waited=HOUR, served={"ann": Served(NOON, is_now=True)})
        ann = an_agent("ann", work={"x": "chat"}, capacity={"chat": 2}, languages={"en"})
        [choice] = route([waits], [ann], QUEUES, NOON)
        assert [reason.why for reason in choice.reasons] == ["lacks_skill", "lacks_language", "with_now", "waiting"]


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Waits], list[Agent]]:
    """Some who wait and some agents, alike enough for ties."""
    names, spans = st.sampled_from(["cards", "loans"]), st.sampled_from([timedelta(0), MINUTE, HOUR])
    some = st.frozensets(names, max_size=2)
    count, staff = draw(st.integers(0, 6)), draw(st.integers(0, 5))
    waits = [
        waiting(f"h{n}", waited=draw(spans), wanted=draw(some), language=draw(st.sampled_from([None, "zh", "en"])),
                priority=draw(st.sampled_from([0, 50])))
        for n in range(count)
    ]  # fmt: skip
    agents = [
        an_agent(f"a{n}", idle=draw(spans), skills=draw(some), languages=draw(st.sampled_from([["zh"], ["zh", "en"]])),
                 capacity={"chat": draw(st.integers(0, 3))}, is_available=draw(st.booleans()))
        for n in range(staff)
    ]  # fmt: skip
    return waits, agents


def standing_idle(waits: list[Waits], agents: list[Agent], choices: list[Choice], spec: Suggesting) -> list[str]:
    """List whoever could still be asked although somebody waits for just that; what was chosen counts as work."""
    by_id = {waits_.handoff_id: waits_ for waits_ in waits}
    staff = {agent.agent_id: agent for agent in agents}
    for choice in choices:
        if choice.agent_id is not None:
            channel = by_id[choice.handoff_id].channel
            staff[choice.agent_id] = staff[choice.agent_id].with_work(choice.handoff_id, channel)
    left = [waits_ for waits_ in waits if waits_.handoff_id not in {c.handoff_id for c in choices if c.agent_id}]
    return [f"{a.agent_id} beside {w.handoff_id}" for w in left for a in staff.values() if fits(a, w, spec, NOON)]


@settings(max_examples=60)
@given(scenes(), st.randoms(use_true_random=False))
def test_whatever_comes_in_the_order_decides_nothing_and_nobody_stands_idle(
    scene: tuple[list[Waits], list[Agent]], dice: random.Random
) -> None:
    waits, agents = scene
    found = route(waits, agents, QUEUES, NOON)
    assert standing_idle(waits, agents, found, CARDS) == []
    for agent in agents:
        mine = [choice.handoff_id for choice in found if choice.agent_id == agent.agent_id]
        assert len(mine) <= agent.capacity["chat"]
    shuffled = [dice.sample(each, len(each)) for each in (waits, agents)]
    assert route(shuffled[0], shuffled[1], QUEUES, NOON) == found  # type: ignore[arg-type]


def trying_all(waits: list[Waits], agents: list[Agent], queues: dict[str, Suggesting]) -> list[tuple[str, str]]:
    """Who gets whom where every pair is tried again and again."""
    by_id, staff = {one.handoff_id: one for one in waits}, {agent.agent_id: agent for agent in agents}
    found = []
    while True:
        pairs = [
            (-sum(part for _, part in parts(one, agent, queues[one.queue], NOON)), one.waiting_since, one.handoff_id,
             agent.load, agent.idle_since, agent.agent_id)
            for one in by_id.values() for agent in staff.values() if fits(agent, one, queues[one.queue], NOON)
        ]  # fmt: skip
        if not pairs:
            return found
        _, _, handoff_id, _, _, agent_id = min(pairs)
        found.append((handoff_id, agent_id))
        staff[agent_id] = staff[agent_id].with_work(handoff_id, by_id.pop(handoff_id).channel)


@settings(max_examples=80)
@given(scenes(), st.data())
def test_what_is_found_the_short_way_is_what_trying_all_pairs_finds(
    scene: tuple[list[Waits], list[Agent]], data: st.DataObject
) -> None:
    plain, agents = scene
    names = st.sampled_from([agent.agent_id for agent in agents] or ["nobody"])
    queues = {name: Suggesting(weights=Weights(idle=data.draw(st.sampled_from([0, 10, 900]))), insist=30)
              for name in ("cards", "loans")}  # fmt: skip
    waits = [
        one._replace(
            queue=data.draw(st.sampled_from(["cards", "loans"])), channel=data.draw(st.sampled_from(["chat", "voice"])),
            passed=data.draw(st.frozensets(names, max_size=2)),
            served={name: Served(NOON - HOUR) for name in data.draw(st.lists(names, max_size=2))},
            with_now=data.draw(st.one_of(st.none(), names)),
            suggestion=data.draw(st.one_of(st.none(), st.builds(ringing, names, st.just(MINUTE)))),
        )
        for one in plain
    ]  # fmt: skip
    some = st.frozensets(st.sampled_from(["cards", "loans"]), min_size=1)
    agents = [
        replace(agent, queues=data.draw(some), since=NOON - data.draw(st.sampled_from([SECOND, HOUR])),
                work={f"w-{agent.agent_id}": "chat"} if data.draw(st.booleans()) else {})
        for agent in agents
    ]  # fmt: skip
    found = [(choice.handoff_id, choice.agent_id) for choice in route(waits, agents, queues, NOON)]
    assert [pair for pair in found if pair[1] is not None] == trying_all(waits, agents, queues)


def test_points_do_not_depend_on_the_hour_of_the_day() -> None:
    later = datetime(2031, 3, 1, 3, 0, tzinfo=NOON.tzinfo)
    shift = later - NOON
    moved = an_agent("ann", since=later, idle_since=later - MINUTE)
    [choice] = route([waiting(waited=-shift)], [moved], QUEUES, later)
    assert choice.until == later + 20 * SECOND
