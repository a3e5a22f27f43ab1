"""Who may see what, as a table; and whether a channel may ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ctxhub.errors import Forbidden, InteractionUnknown
from ctxhub.model import handoff as handoffs
from ctxhub.model.calling import BY_AGENT
from ctxhub.model.context import Context, ContextView
from ctxhub.model.disclosure import EVERYTHING, NOTHING, Reader, Role, Sight, answers, sight, sight_of
from ctxhub.model.event import Event
from ctxhub.model.lapsing import end
from ctxhub.model.tenant import Policies, Tenant
from ctxhub.model.view import context_view, live
from tests.model.scenes import offered
from tests.support import HOUR, LEASE, MINUTE, NOON, PLAIN, a_fact, after, an_event, started, with_one

OFF = PLAIN.but(policies=Policies(knowledge="off"))
ROLES: list[tuple[Role, str | None]] = [("agent", "ann"), ("supervisor", None), ("admin", None), ("adapter", None)]


def a_customer() -> Context:
    """Who said one thing of each sensitivity at level 2 in a call, and one at level 1 in a chat."""
    context = started(with_one(2, channel="ivr", language="zh-CN"), "in_low", 1)
    context = after(context, an_event("journey.started", kind="refund", journey_id="jr_1"))
    context = after(context, *(a_fact(s, name=s, sensitivity=s, interaction_id=None, party="system", how="observed")
                               for s in ("public", "internal", "personal", "sensitive")))  # fmt: skip
    context = after(context, an_event("commitment.made", what="call", owner="cards", due_at=NOON, commitment_id="cm_1"))
    context = after(context, an_event("intent.detected", name="refund"))
    return after(context, a_fact("whispered", name="whispered", interaction_id="in_low", sensitivity="public"))


def view_of(context: Context, seen: Sight, interaction_id: str | None = None) -> ContextView:
    return context_view(context, seen, PLAIN, NOON, interaction_id)


def values(view: ContextView) -> dict[str, Any]:
    return {name: "withheld" if fact.withheld else fact.value for name, fact in view.facts.items()}


HELD_BACK = "withheld"
ROWS = {
    "nobody": (NOTHING, {}),
    "level 0": (Sight(level=0), {}),
    "level 1": (Sight(level=1), {}),
    "level 2": (
        Sight(level=2),
        {"public": "public", "personal": "personal", "sensitive": HELD_BACK},
    ),
    "level 2, proven just now": (Sight(level=2, fresh=True), {"public": "public", "personal": "personal",
                                                              "sensitive": "sensitive"}),
    "level 3": (Sight(level=3), {"public": "public", "personal": "personal", "sensitive": "sensitive"}),
    "a colleague at level 2": (Sight(level=2, internal=True), {
        "public": "public", "personal": "personal", "internal": "internal", "sensitive": HELD_BACK}),
    "a colleague at level 1": (Sight(level=1, internal=True), {}),
    "an agent at level 1": (Sight(level=1, internal=True, masks=True), {
        "public": "public", "internal": "internal", "personal": HELD_BACK, "sensitive": HELD_BACK}),
    "who said it": (Sight(level=0, lineage=frozenset({"in_low"})), {"whispered": "whispered"}),
    "who said it, verified": (Sight(level=2, lineage=frozenset({"in_low"})), {
        "public": "public", "personal": "personal", "sensitive": HELD_BACK,
        "whispered": "whispered"}),
    "everything": (EVERYTHING, {"public": "public", "personal": "personal", "internal": "internal",
                                "sensitive": "sensitive", "whispered": "whispered"}),
}  # fmt: skip


@pytest.mark.parametrize("who", ROWS)
def test_facts_are_shown_by_level_and_origin(who: str) -> None:
    seen, facts = ROWS[who]
    assert values(view_of(a_customer(), seen)) == facts


@pytest.mark.parametrize("who", ROWS)
def test_what_is_withheld_says_nothing_but_that_there_is_something(who: str) -> None:
    for fact in view_of(a_customer(), ROWS[who][0]).facts.values():
        if fact.withheld:
            assert (fact.value, fact.origin, fact.evidence, fact.others) == (None, None, None, [])


@pytest.mark.parametrize(
    ("seen", "shared"),
    [(NOTHING, False), (Sight(level=1), False), (Sight(level=2), True), (Sight(level=3), True), (EVERYTHING, True)],
)
def test_journeys_promises_intent_and_identifiers_are_shown_from_level_2_on(seen: Sight, shared: bool) -> None:
    view = view_of(a_customer(), seen)
    assert [journey.journey_id for journey in view.journeys] == (["jr_1"] if shared else [])
    assert [promise.commitment_id for promise in view.commitments] == (["cm_1"] if shared else [])
    assert (view.intent is not None) is shared
    assert [i.interaction_id for i in view.interactions] == (
        ["in_1", "in_low"] if seen.everything else ["in_1"] if shared else []
    )


def test_everybody_is_steered_by_what_is_known() -> None:
    steering = {"known": True, "journeys": ["refund"], "language": "zh-CN"}
    assert {str(view_of(a_customer(), seen).steering) for seen, _ in ROWS.values()} == {str(steering)}


@pytest.mark.parametrize(
    ("type_", "own", "internal", "level", "told_at", "seen"),
    [
        ("message.received", True, False, 0, 0, True),
        ("message.received", False, False, 0, 0, False),
        ("message.received", False, False, 1, 2, False),
        ("message.received", False, False, 2, 1, False),
        ("message.received", False, False, 2, 2, True),
        ("note.added", True, False, 3, 3, False),
        ("note.added", True, True, 0, 0, True),
        ("note.added", False, True, 2, 2, True),
        ("note.added", False, True, 1, 2, False),
    ],
)
def test_events_are_seen_by_level_and_origin_and_notes_by_colleagues(
    type_: str, own: bool, internal: bool, level: int, told_at: int, seen: bool
) -> None:
    reader = Sight(level=level, lineage=frozenset({"in_own"}), internal=internal)
    assert reader.sees_told(type_, "in_own" if own else "in_other", told_at) is seen


@pytest.mark.parametrize("colleague", [True, False])
def test_a_value_held_back_on_the_timeline_says_what_would_clear_it_and_to_colleagues_its_mask(colleague: bool) -> None:
    told = {"type": "fact.stated", "assurance": 2, "data": {"name": "card", "value": "a", "sensitivity": "sensitive"}}
    keyed = {"type": "input.collected", "assurance": 2, "data": {"prompt": "which", "value": "138 0013 8000"}}
    unlock = {"level": 3, "again": 2, "within": 300}
    seen = Sight(level=2, internal=colleague, masks=colleague)
    mask = {"masked": "••••"} if colleague else {}
    held_back = {"name": "card", "sensitivity": "sensitive", "withheld": True, "unlock": unlock}
    assert seen.told(told) == told | {"data": held_back | mask}
    assert seen.told(keyed) == keyed | {"data": {"prompt": "which", "withheld": True, "unlock": unlock}}


class TestReaders:
    """What a role sees, for an interaction or without one."""

    @pytest.mark.parametrize("role", ["admin", "supervisor"])
    def test_admins_and_supervisors_see_everything(self, role: Role) -> None:
        assert sight(a_customer(), Reader(role=role), PLAIN, NOON) == EVERYTHING

    @pytest.mark.parametrize("knowledge", [PLAIN, OFF])
    def test_a_supervisor_sees_of_an_interaction_what_its_agent_does_and_who_stands_in_for_a_channel_does_not(
        self, knowledge: Tenant
    ) -> None:
        context = offered(started(a_customer(), "in_2", 1), interaction_id="in_2", to={"queue": "cards"})
        agent, supervisor, admin, adapter = (
            sight(context, Reader(role=role, interaction_id="in_2", agent_id=agent_id), knowledge, NOON)
            for role, agent_id in ROLES
        )
        assert values(view_of(context, supervisor)) == values(view_of(context, agent))
        assert supervisor.internal
        assert admin == adapter

    def test_an_adapter_without_an_interaction_sees_nothing(self) -> None:
        assert sight(a_customer(), Reader(), PLAIN, NOON) == NOTHING

    def test_an_adapter_sees_as_much_as_its_interaction_s_assurance_allows_now(self) -> None:
        reader = Reader(interaction_id="in_1")
        assert sight(a_customer(), reader, PLAIN, NOON).level == 2
        assert sight(a_customer(), reader, PLAIN, NOON + HOUR).level == 0

    def test_an_interaction_that_is_not_there_is_unknown(self) -> None:
        with pytest.raises(InteractionUnknown):
            sight(a_customer(), Reader(interaction_id="in_none"), PLAIN, NOON)

    def test_an_agent_without_a_handoff_is_refused(self) -> None:
        for reader in (
            Reader(role="agent", agent_id="ann"),
            Reader(role="agent", agent_id="ann", interaction_id="in_1"),
        ):
            with pytest.raises(Forbidden):
                sight(a_customer(), reader, PLAIN, NOON)

    def test_an_agent_sees_what_he_was_offered_holds_or_wrapped_up_within_a_day(self) -> None:
        ann, bob = (Reader(role="agent", agent_id=agent) for agent in ("ann", "bob"))
        context = offered(a_customer(), to={"queue": "cards"})
        assert sight(context, ann, PLAIN, NOON).internal
        context = handoffs.accept(context, "ho_1", "ann", NOON, LEASE).context
        assert sight(context, ann, PLAIN, NOON).level == 2
        with pytest.raises(Forbidden):
            sight(context, bob, PLAIN, NOON)
        context = handoffs.complete(context, "ho_1", "ann", 2, None, NOON).context
        assert sight(context, ann, PLAIN, NOON + timedelta(hours=23, minutes=59)).internal
        with pytest.raises(Forbidden):
            sight(context, ann, PLAIN, NOON + timedelta(hours=24))

    @pytest.mark.parametrize("role", [None, "joined"])
    def test_who_was_consulted_sees_as_much_as_who_was_offered_it_until_a_day_later(self, role: str | None) -> None:
        bob, offer = Reader(role="agent", agent_id="bob"), offered(a_customer(), to={"agent": "bob"})
        context = after(a_customer(), an_event("call.consulted", agent_id="bob", **({"role": role} if role else {})))
        assert sight(context, bob, PLAIN, NOON) == sight(offer, bob, PLAIN, NOON)
        context = after(context, an_event("call.ended", agent_id="bob"))
        assert sight(context, bob, PLAIN, NOON + timedelta(hours=23, minutes=59)).internal
        for reader, late in ((bob, 24), (Reader(role="agent", agent_id="cat"), 0)):
            with pytest.raises(Forbidden):
                sight(context, reader, PLAIN, NOON + timedelta(hours=late))

    def test_a_call_that_ends_otherwise_counts_from_its_end(self) -> None:
        context = after(a_customer(), an_event("call.consulted", agent_id="bob"))
        over = end(context, "in_1", NOON + HOUR).context
        bob = Reader(role="agent", agent_id="bob")
        assert sight(over, bob, PLAIN, NOON + timedelta(hours=24)).internal
        with pytest.raises(Forbidden):
            sight(over, bob, PLAIN, NOON + timedelta(hours=25))

    @pytest.mark.parametrize(("verb", "more"), [("consulted", {"role": "monitoring"}), ("alerting", {})])
    def test_who_listened_or_was_only_rung_is_out_when_his_leg_ends(self, verb: str, more: dict[str, str]) -> None:
        context = after(a_customer(), an_event("call.answered", agent_id="ann"))
        context = after(context, an_event(f"call.{verb}", agent_id="bob", **more))
        bob = Reader(role="agent", agent_id="bob")
        assert sight(context, bob, PLAIN, NOON).internal
        with pytest.raises(Forbidden):
            sight(after(context, an_event("call.ended", agent_id="bob")), bob, PLAIN, NOON)

    @pytest.mark.parametrize("verb", ["alerting", "consulted", "conferenced"])
    def test_what_an_agent_tells_of_himself_lets_him_in_nowhere(self, verb: str) -> None:
        taken = handoffs.accept(offered(a_customer(), to={"queue": "cards"}), "ho_1", "ann", NOON, LEASE).context
        context = after(taken, an_event(f"call.{verb}", agent_id="bob").but(marks=[BY_AGENT]))
        with pytest.raises(Forbidden):
            sight(context, Reader(role="agent", agent_id="bob"), PLAIN, NOON)

    def test_an_offer_to_another_agent_or_to_a_channel_lets_nobody_in(self) -> None:
        for to in ({"agent": "bob"}, {"channel": "chat"}):
            with pytest.raises(Forbidden):
                sight(offered(a_customer(), to=to), Reader(role="agent", agent_id="ann"), PLAIN, NOON)

    def test_who_names_no_agent_reads_who_waits_and_whom_any_agent_holds(self) -> None:
        waiting = offered(a_customer(), to={"queue": "billing"})
        held = handoffs.accept(waiting, "ho_1", "ann", NOON, LEASE).context
        for context in (waiting, held):
            assert sight(context, Reader(role="agent"), PLAIN, NOON).level == 2
        with pytest.raises(Forbidden, match="neither holds nor was offered"):
            sight(held, Reader(role="agent", agent_id="bob"), PLAIN, NOON)

    def test_what_waits_in_a_queue_is_for_agents_who_serve_that_queue(self) -> None:
        waiting = offered(a_customer(), to={"queue": "billing"})
        agent = Reader(role="agent", agent_id="ann")
        assert sight(waiting, agent.but(queues=frozenset({"billing", "cards"})), PLAIN, NOON).level == 2
        with pytest.raises(Forbidden, match="neither holds nor was offered"):
            sight(waiting, agent.but(queues=frozenset({"cards"})), PLAIN, NOON)
        for_ann = offered(a_customer(), to={"agent": "ann"})
        assert sight(for_ann, agent.but(queues=frozenset({"cards"})), PLAIN, NOON).level == 2

    def test_an_agent_of_one_interaction_sees_nothing_of_another_below_level_2(self) -> None:
        context = offered(a_customer(), to={"queue": "cards"})
        seen = sight(context, Reader(role="agent", agent_id="ann"), PLAIN, NOON)
        assert "whispered" not in view_of(context, seen).facts

    def test_with_knowledge_off_only_what_was_said_here_is_left_and_an_agent_has_no_facts(self) -> None:
        context = offered(after(a_customer(), a_fact("Xi'an")), to={"queue": "cards"})
        here = sight(context, Reader(interaction_id="in_1"), OFF, NOON)
        assert values(view_of(context, here)) == {"city": "Xi'an"}
        assert values(view_of(context, sight(context, Reader(role="agent", agent_id="ann"), OFF, NOON))) == {}


def test_other_live_interactions_are_named_from_level_2_on() -> None:
    context = started(a_customer(), "in_3", 2)

    def others(interaction_id: str) -> list[str]:
        seen = sight_of(context.interactions[interaction_id], NOON)
        return [i.interaction_id for i in live(context, seen, interaction_id, NOON)]

    assert (others("in_1"), others("in_3"), others("in_low")) == (["in_3"], ["in_1"], [])


class TestAsking:
    """May I ask? `known`, `confirm`, `ask` or `withheld`."""

    def verdict(self, context: Context, name: str = "city", interaction_id: str = "in_1", **more: Any) -> str:
        seen = sight_of(context.interactions[interaction_id], NOON)
        answer = answers(context, seen, [name], more.get("journey_id"), NOON)[0]
        assert answer.reason
        assert (answer.value is not None) == (answer.verdict in ("known", "confirm"))
        assert (answer.origin is not None) == (answer.verdict in ("known", "confirm"))
        return answer.verdict

    @pytest.mark.parametrize(
        ("how", "confidence", "verdict"),
        [
            ("verified", 0.1, "known"),
            ("confirmed", 0.1, "known"),
            ("stated", 0.8, "known"),
            ("stated", 0.79, "confirm"),
            ("observed", 0.8, "known"),
            ("observed", 0.79, "confirm"),
            ("inferred", 1.0, "confirm"),
        ],
    )
    def test_a_state_and_a_confidence_decide(self, how: str, confidence: float, verdict: str) -> None:
        assert self.verdict(after(with_one(), a_fact("Xi'an", how=how, confidence=confidence))) == verdict

    def test_nothing_known_is_asked(self) -> None:
        assert self.verdict(with_one()) == "ask"

    @pytest.mark.parametrize(("how", "verdict"), [("stated", "confirm"), ("confirmed", "known"), ("verified", "known")])
    def test_a_rival_makes_it_a_question_unless_it_was_confirmed(self, how: str, verdict: str) -> None:
        context = after(with_one(), a_fact("Xi'an", how=how), a_fact("Chengdu", how="observed", party="bot"))
        assert self.verdict(context) == verdict

    def test_a_rival_of_the_same_value_makes_it_none(self) -> None:
        context = after(with_one(), a_fact("Xi'an"), a_fact("Xi'an", how="inferred", party="bot"))
        assert self.verdict(context) == "known"

    def test_from_level_2_on_what_a_higher_level_would_show_is_withheld(self) -> None:
        context = after(with_one(3), a_fact("4111", sensitivity="sensitive"))
        context = started(started(context, "in_2", 2, now=NOON - 5 * MINUTE), "in_3", 1)
        found = [self.verdict(context, interaction_id=i) for i in ("in_1", "in_2", "in_3")]
        assert found == ["known", "withheld", "ask"]
        assert self.verdict(started(context, "in_4", 2), interaction_id="in_4") == "known", "proven just now"

    def test_an_agent_is_told_what_is_masked_and_what_would_clear_it_as_in_the_context(self) -> None:
        context = started(a_customer(), "in_2", 1)
        for level, judged in ((1, ["known", "known", "ask", "ask"]), (2, ["known", "known", "known", "withheld"])):
            agent = Sight(level=level, internal=True, masks=True)
            shown = view_of(context, agent).facts
            found = answers(context, agent, ["public", "internal", "personal", "sensitive"], None, NOON)
            assert [answer.verdict for answer in found] == judged
            for answer in found:
                fact = shown[answer.name]
                assert (answer.value, answer.masked, answer.unlock) == (fact.value, fact.masked, fact.unlock)

    def test_for_a_journey_only_its_own_and_the_customer_s_own_facts_count(self) -> None:
        events: list[Event] = [an_event("journey.started", kind="x", journey_id=f"jr_{n}") for n in (1, 2)]
        context = after(with_one(), *events, a_fact("Xi'an", journey_id="jr_1"))
        assert self.verdict(context, journey_id="jr_1") == "known"
        assert self.verdict(context, journey_id="jr_2") == "ask"
        assert self.verdict(context) == "known"
        assert self.verdict(after(context, a_fact("Chengdu")), journey_id="jr_2") == "known"

    def test_answers_come_in_the_order_of_the_names(self) -> None:
        context = after(with_one(), a_fact("Xi'an"))
        found = answers(context, sight_of(context.interactions["in_1"], NOON), ["a", "city", "a"], None, NOON)
        assert [(answer.name, answer.verdict) for answer in found] == [("a", "ask"), ("city", "known"), ("a", "ask")]
