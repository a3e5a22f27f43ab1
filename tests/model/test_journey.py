"""Journeys: begun, moved on, rested, declined and ended; what they still miss, and who may touch them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ctxhub.errors import Invalid, JourneyUnknown, WrongState
from ctxhub.model.context import Context
from ctxhub.model.disclosure import Reader, facts_in_sight, missing, sight, sight_of
from ctxhub.model.event import Event
from ctxhub.model.view import context_view, offers
from tests.support import MINUTE, NOON, TENANT, a_fact, after, an_event, started, telling, with_one


def begun(level: int = 0, **more: object) -> Context:
    """A customer in the middle of a refund."""
    return after(with_one(level), starting(**more), tenant=TENANT)


def starting(journey_id: str = "jr_1", kind: str = "refund", interaction_id: str = "in_1", **more: object) -> Event:
    return an_event("journey.started", interaction_id, kind=kind, journey_id=journey_id, **more)


def on(verb: str, journey_id: str = "jr_1", interaction_id: str = "in_1", **data: object) -> Event:
    return an_event(f"journey.{verb}", interaction_id, NOON + MINUTE, journey_id=journey_id, **data)


def still_missing(context: Context) -> list[str]:
    seen = sight_of(context.interactions["in_1"], NOON)
    return missing(context.journeys["jr_1"], facts_in_sight(context, seen, NOON), TENANT)


def resume(context: Context, interaction_id: str) -> list[str]:
    interaction = context.interactions[interaction_id]
    found = offers(context, sight_of(interaction, NOON), interaction, TENANT, NOON)
    return [offer.journey_id for offer in found]


def test_one_begins_at_its_kind_s_first_step() -> None:
    journey = begun().journeys["jr_1"]
    assert (journey.kind, journey.state, journey.step) == ("refund", "active", "order")


def test_one_of_a_kind_not_declared_has_no_step_and_misses_nothing() -> None:
    context = begun(kind="something else")
    assert context.journeys["jr_1"].step is None
    assert still_missing(context) == []


def test_without_an_id_it_gets_one_that_the_same_event_always_gets() -> None:
    event = an_event("journey.started", kind="refund", event_id="e1")
    first, second = telling(with_one(), event), telling(with_one(), event)
    assert first.events[0].journey_id == second.events[0].journey_id == next(iter(first.context.journeys))


def test_one_that_has_begun_does_not_begin_again() -> None:
    with pytest.raises(WrongState, match="jr_1 has begun already"):
        after(begun(), starting(at=NOON + MINUTE))


def test_it_becomes_what_its_interaction_is_about() -> None:
    assert begun().interactions["in_1"].journey_id == "jr_1"


def test_it_misses_the_facts_of_its_steps_in_their_order_each_once() -> None:
    context = begun()
    assert still_missing(context) == ["order_id", "bank", "account"]
    assert still_missing(after(context, a_fact("A-17", name="order_id", journey_id="jr_1"))) == ["bank", "account"]


def test_the_customer_s_own_fact_serves_a_journey_but_not_another_journey_s() -> None:
    context = after(begun(), a_fact("ICBC", name="bank"), starting("jr_2"))
    context = after(context, a_fact("A-17", name="order_id", journey_id="jr_2"))
    assert still_missing(context) == ["order_id", "account"]


def test_it_moves_on_rests_and_goes_on() -> None:
    context = after(begun(), on("advanced", step="payout"))
    assert (context.journeys["jr_1"].step, context.journeys["jr_1"].updated_at) == ("payout", NOON + MINUTE)
    context = after(context, on("suspended"))
    assert (context.journeys["jr_1"].state, context.journeys["jr_1"].step) == ("suspended", "payout")
    assert after(context, on("resumed")).journeys["jr_1"].state == "active"


@pytest.mark.parametrize("verb", ["completed", "abandoned"])
def test_ended_it_leaves_the_context_and_its_facts_with_it(verb: str) -> None:
    context = after(begun(), a_fact("A-17", name="order_id", journey_id="jr_1"), a_fact("Xi'an"))
    change = telling(context, on(verb))
    assert change.context.journeys == {}
    assert [fact.name for fact in change.context.facts] == ["city"]
    assert change.context.interactions["in_1"].journey_id is None
    assert change.events[0].data["kind"] == "refund"


@pytest.mark.parametrize("verb", ["advanced", "suspended", "resumed", "declined", "completed", "abandoned"])
def test_one_that_is_not_there_can_t_be_touched(verb: str) -> None:
    data = {"step": "payout"} if verb == "advanced" else {}
    with pytest.raises(JourneyUnknown):
        after(begun(), on(verb, "jr_none", **data))
    ended = after(begun(), on("completed"))
    with pytest.raises(JourneyUnknown):
        after(ended, on(verb, **data))


def test_an_event_of_a_journey_names_it() -> None:
    with pytest.raises(Invalid, match="needs the journey"):
        after(begun(), an_event("journey.suspended"))


def test_another_s_below_level_2_is_not_there_for_anybody_else() -> None:
    context = started(begun(1), "in_2", 3)
    for event in (on("completed", interaction_id="in_2"), a_fact("A-17", journey_id="jr_1", interaction_id="in_2")):
        with pytest.raises(JourneyUnknown):
            after(context, event)


def test_one_of_level_2_is_there_for_all_of_level_2() -> None:
    context = started(started(begun(2), "in_2", 2), "in_3", 1)
    assert after(context, on("advanced", interaction_id="in_2", step="payout")).journeys["jr_1"].step == "payout"
    with pytest.raises(JourneyUnknown):
        after(context, on("advanced", interaction_id="in_3", step="payout"))


def test_verified_in_its_interaction_it_is_shared() -> None:
    context = after(started(begun(1), "in_2", 2), an_event("assurance.raised", level=2, method="pin"))
    assert context.journeys["jr_1"].origin.assurance == 2
    assert resume(context, "in_2") == ["jr_1"]


def test_declined_it_is_not_offered_again_in_that_interaction() -> None:
    context = started(begun(2), "in_2", 2)
    assert resume(context, "in_2") == ["jr_1"]
    context = after(context, on("declined", interaction_id="in_2"))
    assert (resume(context, "in_1"), resume(context, "in_2")) == (["jr_1"], [])


def test_the_one_at_hand_is_offered_first_then_the_freshest() -> None:
    context = begun(2)
    for number in (2, 3):
        context = after(context, starting(f"jr_{number}", at=NOON + timedelta(seconds=number)))
    assert resume(context, "in_1") == ["jr_3", "jr_2", "jr_1"]
    context = after(context, on("resumed", "jr_1"))
    assert resume(context, "in_1") == ["jr_1", "jr_3", "jr_2"]


def test_only_kinds_of_shared_journeys_steer() -> None:
    context = after(started(begun(2), "in_2", 1), starting("jr_2", "secret", "in_2"))
    for reader in (Reader(), Reader(interaction_id="in_2")):
        seen = sight(context, reader, TENANT, NOON)
        assert context_view(context, seen, TENANT, NOON).steering["journeys"] == ["refund"]
