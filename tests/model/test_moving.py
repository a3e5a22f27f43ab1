"""Moving an interaction to whom it really is: with its words, journeys and handoffs, and nothing else."""

from __future__ import annotations

import pytest

from ctxhub.errors import InteractionUnknown, Moved, Unavailable
from ctxhub.model import handoff as handoffs
from ctxhub.model.context import Context, Move
from ctxhub.model.customer import Assurance
from ctxhub.model.disclosure import Reader, sight
from ctxhub.model.fact import Origin
from ctxhub.model.interaction import end, start
from ctxhub.model.moving import adopt, arrival, bundle, depart, release, stay
from tests.model.scenes import offered, state, the
from tests.support import (
    HOUR,
    MINUTE,
    NOON,
    PLAIN,
    a_context,
    a_fact,
    a_phone,
    a_start,
    after,
    an_event,
    an_interaction,
    started,
)

SURELY = Assurance(level=2, method="pin", until=NOON + HOUR)


def met() -> Context:
    """A stranger with two interactions; one has said something, begun a journey, been promised something, and waits."""
    context = started(started(a_context("pc_1"), "in_1", 1), "in_2", 1)
    context = after(context, an_event("journey.started", kind="refund", journey_id="jr_1"))
    context = after(context, a_fact("A-17", name="order_id", journey_id="jr_1"), a_fact("Xi'an"))
    context = after(context, a_fact("Chengdu", interaction_id="in_2"))
    context = after(context, an_event("commitment.made", what="call", owner="x", due_at=NOON, commitment_id="cm_1"))
    return offered(context)


def moved(assurance: Assurance | None = None, home: Context | None = None) -> tuple[Context, Context]:
    """The old place and the new home after a move."""
    left = depart(met(), "in_1", "c42", NOON, assurance).context
    taken = adopt(home or a_context(), bundle(left, "in_1"), left.moves["in_1"], "pc_1", NOON).context
    return release(left, "in_1", NOON).context, taken


def test_what_belongs_to_it_goes_along_and_nothing_else() -> None:
    old, home = moved()
    assert list(home.interactions) == ["in_1"]
    assert sorted(fact.value for fact in home.facts) == ["A-17", "Xi'an"]
    assert (list(home.journeys), list(home.handoffs), list(home.commitments)) == (["jr_1"], ["ho_1"], ["cm_1"])
    assert list(old.interactions) == ["in_2"]
    assert [fact.value for fact in old.facts] == ["Chengdu"]
    assert (old.journeys, old.handoffs, old.commitments, old.moves) == ({}, {}, {}, {})


def test_the_old_place_points_to_the_new_home() -> None:
    old, _ = moved()
    assert old.moved == {"in_1": "c42"}
    with pytest.raises(Moved) as refusal:
        sight(old, Reader(interaction_id="in_1"), PLAIN, NOON)
    assert refusal.value.ids["customer_id"] == "c42"


def test_its_fence_and_its_place_in_the_queue_stay_good() -> None:
    _, home = moved()
    assert an_interaction(home).fence == 1
    assert (the(home).waits_in, the(home).waiting_since) == ("queue:cards", NOON)


def test_unverified_its_words_stay_with_it_at_the_new_home_too() -> None:
    _, home = moved()
    assert {fact.origin.scope for fact in home.facts} == {"in_1"}


def test_verified_by_the_move_its_words_are_shared_there() -> None:
    _, home = moved(SURELY)
    assert an_interaction(home).level(NOON) == 2
    assert {fact.origin.scope for fact in home.facts} == {None}
    assert home.journeys["jr_1"].origin.scope is None


def proven_elsewhere() -> Context:
    """A stranger who has proven a number of their own, and has told a second chat of the journey of the first."""
    mine = (a_phone(strength="verified"),)
    context = started(started(a_context("pc_1").but(known=False, identifiers=mine), "in_1", 3), "in_2", 3)
    context = after(context, an_event("journey.started", kind="refund", journey_id="jr_1"))
    context = after(context, a_fact("A-17", name="order_id", journey_id="jr_1"), a_fact("Xi'an"))
    context = after(context, a_fact("mine", name="bank", journey_id="jr_1", interaction_id="in_2"))
    context = after(context, a_fact("yes", name="checked", journey_id="jr_1", interaction_id=None, party="system"))
    context = after(context, an_event("intent.detected", name="payout", confidence=1.0))
    context = after(context, an_event("consent.granted", purpose="marketing"))
    context = after(context, an_event("commitment.made", what="call", owner="x", due_at=NOON, commitment_id="cm_1"))
    return offered(end(context, "in_2", NOON).context)


def gone_to(assurance: Assurance | None) -> Context:
    """The new home of the first chat of `proven_elsewhere`, where it came alone."""
    left = depart(proven_elsewhere(), "in_1", "c42", NOON, assurance).context
    return adopt(a_context(), bundle(left, "in_1"), left.moves["in_1"], "pc_1", NOON).context


def origins(home: Context) -> list[Origin]:
    """Where all that came along came from."""
    told = [fact.origin for fact in home.facts] + [journey.origin for journey in home.journeys.values()]
    return told + [promise.origin for promise in home.commitments.values()] + [c.origin for c in home.consents]


def test_what_was_proven_for_somebody_else_is_a_claim_at_the_new_home() -> None:
    home = gone_to(None)
    arrived = an_interaction(home)
    assert (arrived.assurance.level, arrived.assurance.method, arrived.assurance.raised_at) == (1, "identifier", None)
    assert (arrived.intent and arrived.intent.assurance, arrived.shared_intent) == (1, None)
    assert len(origins(home)) == 7
    assert {origin.assurance for origin in origins(home)} == {1}
    assert {fact.value: fact.origin.scope for fact in home.facts} == {
        "A-17": "in_1", "Xi'an": "in_1", "mine": "in_2", "yes": "in_1"
    }  # fmt: skip
    assert the(home).offered_level == 1
    assert home.identifiers == ()


def test_a_move_that_proves_it_shares_what_was_said_in_it_and_not_what_others_told_elsewhere() -> None:
    home = gone_to(SURELY)
    assert {fact.value: fact.origin.assurance for fact in home.facts} == {"A-17": 2, "Xi'an": 2, "mine": 1, "yes": 2}
    assert the(home).offered_level == 2


def test_what_leads_to_a_stranger_who_has_another_interaction_stays() -> None:
    context = proven_elsewhere()
    left = depart(context, "in_1", "c42", NOON, SURELY).context
    assert bundle(left, "in_1").identifiers == ()
    alone = left.but(interactions={"in_1": left.interactions["in_1"]})
    assert bundle(alone, "in_1").identifiers == context.identifiers
    unsure = alone.but(moves={"in_1": alone.moves["in_1"].but(assurance=None)})
    assert bundle(unsure, "in_1").identifiers == ()


def test_a_warning_caps_what_a_move_proves() -> None:
    context = after(proven_elsewhere(), an_event("risk.flagged", kind="odd", level="medium"))
    left = depart(context.but(interactions={"in_1": context.interactions["in_1"]}), "in_1", "c42", NOON, SURELY).context
    assert bundle(left, "in_1").identifiers == ()
    home = adopt(a_context(), bundle(left, "in_1"), left.moves["in_1"], "pc_1", NOON).context
    assert {origin.assurance for origin in origins(home)} == {1}


def test_a_later_word_of_the_home_s_own_is_not_replaced() -> None:
    home = after(started(a_context(), "in_9", 2), a_fact("Lhasa", interaction_id="in_9", at=NOON + MINUTE))
    _, taken = moved(SURELY, home)
    assert [fact.value for fact in taken.facts if fact.name == "city"] == ["Lhasa"]


def test_each_step_may_be_repeated() -> None:
    left = depart(met(), "in_1", "c42", NOON, None).context
    assert depart(left, "in_1", "c42", NOON + MINUTE, None) == (left, [])
    move, taken = left.moves["in_1"], bundle(left, "in_1")
    home = adopt(a_context(), taken, move, "pc_1", NOON).context
    assert adopt(home, taken, move, "pc_1", NOON + MINUTE) == (home, [])
    gone = release(left, "in_1", NOON).context
    assert release(gone, "in_1", NOON + MINUTE) == (gone, [])


def test_while_it_moves_it_can_t_be_sent_elsewhere() -> None:
    left = depart(met(), "in_1", "c42", NOON, None).context
    with pytest.raises(Unavailable):
        depart(left, "in_1", "c7", NOON, None)


def test_once_it_has_moved_the_old_place_says_where() -> None:
    old, _ = moved()
    with pytest.raises(Moved):
        depart(old, "in_1", "c7", NOON, None)


def test_what_is_not_there_can_t_move() -> None:
    with pytest.raises(InteractionUnknown):
        depart(met(), "in_none", "c42", NOON, None)


def test_nothing_is_written_to_what_is_moving() -> None:
    left = depart(met(), "in_1", "c42", NOON, None).context
    for event in (a_fact("x"), a_fact("x", journey_id="jr_1", interaction_id=None, party="system")):
        with pytest.raises(Unavailable):
            after(left, event)


def test_there_and_back_each_arrival_has_an_id_of_its_own() -> None:
    old, home = moved()
    first = arrival(bundle(met(), "in_1"))
    back = depart(home, "in_1", "pc_1", NOON, None).context
    again = bundle(back, "in_1")
    assert arrival(again) != first
    returned = adopt(old, again, back.moves["in_1"], "c42", NOON).context
    assert ("in_1" in returned.interactions, returned.moved) == (True, {})


def test_the_handoff_that_brought_it_is_done_as_it_leaves() -> None:
    context = offered(started(a_context("pc_1"), "in_1"), to={"channel": "chat"})
    context = start(context, a_start("in_2"), "in_2", NOON, the(context)).context
    context = handoffs.redeem(context, "ho_1", context.interactions["in_2"], NOON).context
    left = depart(context, "in_2", "c42", NOON, None).context
    assert state(release(left, "in_2", NOON).context) == "completed"


def test_it_remembers_where_it_was_told_of_before() -> None:
    old, home = moved()
    assert an_interaction(home).told_at == ("pc_1",)
    back = depart(home, "in_1", "pc_1", NOON, None).context
    returned = adopt(old, bundle(back, "in_1"), back.moves["in_1"], "c42", NOON).context
    assert an_interaction(returned).told_at == ("pc_1", "c42")


def test_who_is_this_very_customer_by_now_keeps_it() -> None:
    left = depart(met(), "in_1", "c42", NOON, None).context
    assert stay(left, "in_1").context == met()


def test_what_was_said_of_it_here_is_out_of_sight_here_but_to_supervisors() -> None:
    old, _ = moved()
    seen = sight(old, Reader(interaction_id="in_2"), PLAIN, NOON)._replace(level=2)
    assert not seen.sees_told("message.received", "in_1", 2)
    assert sight(old, Reader(role="supervisor"), PLAIN, NOON).sees_told("message.received", "in_1", 2)


def test_both_sides_tell_of_the_move() -> None:
    left = depart(met(), "in_1", "c42", NOON, None).context
    move = Move(interaction_id="in_1", to="c42", at=NOON)
    there = adopt(a_context(), bundle(left, "in_1"), move, "pc_1", NOON).events
    here = release(left, "in_1", NOON).events
    assert [(event.type, event.data) for event in (*there, *here)] == [
        ("interaction.moved", {"from": "pc_1", "to": "c42"}),
        ("interaction.moved", {"from": "pc_1", "to": "c42"}),
    ]
