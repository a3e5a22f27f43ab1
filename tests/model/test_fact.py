"""Facts: what a later word replaces, what stands beside it, what is rejected, and who hears of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from ctxhub.errors import Invalid, JourneyUnknown
from ctxhub.model.context import Context
from ctxhub.model.disclosure import Reader, sight
from ctxhub.model.fact import Fact, FactView
from ctxhub.model.view import context_view
from tests.support import (
    HOUR,
    MINUTE,
    NOON,
    PLAIN,
    SECOND,
    TENANT,
    a_fact,
    after,
    an_event,
    started,
    telling,
    with_one,
)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def shown(context: Context, interaction_id: str = "in_1", now: datetime = NOON) -> dict[str, FactView]:
    """The facts as the interaction's channel sees them."""
    seen = sight(context, Reader(interaction_id=interaction_id), PLAIN, now)
    return context_view(context, seen, PLAIN, now, interaction_id).facts


def values(context: Context, interaction_id: str = "in_1", name: str = "city", now: datetime = NOON) -> list[Any]:
    """The value of a name, then its rivals."""
    fact = shown(context, interaction_id, now).get(name)
    return [] if fact is None else [fact.value, *(other.value for other in fact.others)]


def test_a_later_word_of_the_same_party_replaces_the_earlier() -> None:
    context = after(with_one(), a_fact("Xi'an"), a_fact("Chengdu", at=at(1)))
    assert values(context, now=at(1)) == ["Chengdu"]
    assert len(context.facts) == 1


def test_of_two_words_told_in_the_wrong_order_the_later_one_stands() -> None:
    context = after(with_one(), a_fact("Chengdu", at=at(1)), a_fact("Xi'an"))
    assert values(context, now=at(1)) == ["Chengdu"]


def test_of_two_words_of_the_same_instant_the_one_told_last_stands() -> None:
    assert values(after(with_one(), a_fact("Xi'an"), a_fact("Chengdu"))) == ["Chengdu"]


def test_another_party_stands_beside() -> None:
    context = after(with_one(), a_fact("Xi'an"), a_fact("Chengdu", party="agent", at=at(1)))
    assert values(context, now=at(1)) == ["Chengdu", "Xi'an"]


def test_another_state_stands_beside() -> None:
    context = after(with_one(), a_fact("Xi'an"), a_fact("Chengdu", how="inferred", party="customer", at=at(1)))
    assert values(context, now=at(1)) == ["Xi'an", "Chengdu"]


def test_a_rival_of_the_same_value_is_none() -> None:
    context = after(with_one(), a_fact("Xi'an"), a_fact("Xi'an", how="observed", party="system"))
    assert values(context) == ["Xi'an"]


@pytest.mark.parametrize(
    ("better", "worse"),
    [("verified", "confirmed"), ("confirmed", "stated"), ("stated", "observed"), ("observed", "inferred")],
)
def test_states_come_first_in_their_order_however_old(better: str, worse: str) -> None:
    context = after(with_one(), a_fact(1, how=better, party="bot"), a_fact(2, how=worse, party="bot", at=at(60)))
    assert values(context, now=at(60)) == [1, 2]


def test_in_one_state_the_surer_customer_comes_first() -> None:
    context = after(with_one(), a_fact(1, party="bot"))
    context = started(context, "in_2", 3)
    context = after(context, a_fact(2, interaction_id="in_2", party="customer"))
    context = after(context, an_event("assurance.raised", at=at(1), level=2, method="otp"))
    context = after(context, a_fact(3, at=at(9), party="agent"))
    assert values(context, now=at(9)) == [2, 3, 1]


def test_at_one_level_the_latest_comes_first_then_the_most_confident() -> None:
    said = [a_fact(1, party="bot"), a_fact(2, party="agent", at=at(1)), a_fact(3, party="system", at=at(1))]
    said[1] = said[1].but(data=said[1].data | {"confidence": 0.4})
    assert values(after(with_one(), *said), now=at(1)) == [3, 2, 1]


def test_a_fact_of_a_journey_is_another_than_the_customer_s() -> None:
    context = after(with_one(), an_event("journey.started", kind="refund", journey_id="jr_1"), a_fact("Xi'an"))
    context = after(context, a_fact("Chengdu", journey_id="jr_1"))
    assert {(fact.journey_id, fact.value) for fact in context.facts} == {(None, "Xi'an"), ("jr_1", "Chengdu")}


def test_a_fact_of_a_journey_that_is_not_there_is_refused() -> None:
    with pytest.raises(JourneyUnknown):
        after(with_one(), a_fact("Chengdu", journey_id="jr_none"))


def test_where_two_journeys_hold_a_name_the_one_at_hand_stands_in_front() -> None:
    context = after(with_one(), an_event("journey.started", kind="refund", journey_id="jr_1"))
    context = after(
        context, a_fact("Xi'an", journey_id="jr_1"), an_event("journey.started", kind="x", journey_id="jr_2")
    )
    context = after(context, a_fact("Chengdu", journey_id="jr_2", at=at(-5)))
    assert values(context) == ["Chengdu", "Xi'an"]


def test_what_has_lapsed_is_shown_no_more() -> None:
    context = after(with_one(), a_fact("Xi'an").but(data={"name": "city", "value": "Xi'an", "expires_in": 60}))
    assert values(context, now=at(59.999)) == ["Xi'an"]
    assert values(context, now=at(60)) == []
    assert context.pruned(at(60)).facts == ()


def test_a_null_expiry_is_none() -> None:
    context = after(with_one(), a_fact("Xi'an", expires_in=None))
    assert context.facts[0].expires_at is None


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}, {"street": ["a", 1.5, None]}, "值 😀", 2**53])
def test_any_json_is_a_value(value: Any) -> None:
    context = after(with_one(), a_fact(value))
    assert shown(context)["city"].value == value
    assert type(shown(context)["city"].value) is type(value)


def test_a_value_nested_too_deeply_is_refused_with_its_place() -> None:
    deep: Any = "x"
    for _ in range(80):
        deep = [deep]
    with pytest.raises(Invalid, match="nested") as refusal:
        a_fact(deep)
    assert refusal.value.ids["errors"][0]["pointer"] == "/events/0/data"


def test_a_value_over_64_kib_is_refused_with_its_place() -> None:
    with pytest.raises(Invalid) as refusal:
        a_fact("x" * 70_000)
    assert refusal.value.ids["errors"][0]["pointer"] == "/events/0/data/value"


class TestRejecting:
    """A value, or all of a name, is not so."""

    def test_a_rejected_value_goes_and_the_others_stay(self) -> None:
        context = after(with_one(2), a_fact("Xi'an"), a_fact("Chengdu", party="agent", how="observed"))
        context = after(context, an_event("fact.rejected", at=at(1), name="city", value="Xi'an"))
        assert values(context, now=at(1)) == ["Chengdu"]

    def test_without_a_value_all_of_the_name_goes(self) -> None:
        context = after(with_one(2), a_fact("Xi'an"), a_fact("Chengdu", party="agent"), a_fact(1, name="other"))
        context = after(context, an_event("fact.rejected", at=at(1), name="city"))
        assert set(shown(context, now=at(1))) == {"other"}

    def test_an_earlier_rejection_told_late_leaves_what_was_said_since(self) -> None:
        context = after(with_one(2), a_fact("Xi'an", at=at(5)))
        context = after(context, an_event("fact.rejected", at=at(1), name="city"), now=at(6))
        assert values(context, now=at(6)) == ["Xi'an"]

    def test_said_again_it_stands_again(self) -> None:
        for level in (0, 2):
            context = after(with_one(level), a_fact("Xi'an"), an_event("fact.rejected", at=at(1), name="city"))
            context = after(context, a_fact("Xi'an", at=at(2)))
            assert values(context, now=at(2)) == ["Xi'an"], level

    def test_rejected_and_corrected_in_one_breath_the_correction_stands(self) -> None:
        for level in (0, 2):
            context = after(with_one(level), a_fact("Xi'an"))
            context = after(
                context, an_event("fact.rejected", at=at(1), name="city", value="Xi'an"), a_fact("Chengdu", at=at(1))
            )
            assert values(context, now=at(1)) == ["Chengdu"], level

    def test_of_a_journey_it_leaves_the_customer_s_own(self) -> None:
        context = after(with_one(), an_event("journey.started", kind="refund", journey_id="jr_1"), a_fact("Xi'an"))
        context = after(context, a_fact("Chengdu", journey_id="jr_1"))
        context = after(context, an_event("fact.rejected", at=at(1), name="city", journey_id="jr_1"))
        assert values(context, now=at(1)) == ["Xi'an"]

    def test_of_none_it_means_every_journey_s_too(self) -> None:
        for level in (0, 2):
            context = after(with_one(level), an_event("journey.started", kind="refund", journey_id="jr_1"))
            context = after(context, a_fact("Chengdu", journey_id="jr_1"))
            context = after(context, an_event("fact.rejected", at=at(1), name="city"))
            assert values(context, now=at(1)) == [], level

    def test_below_level_2_it_hides_only_what_its_own_interaction_sees(self) -> None:
        context = after(with_one(2), a_fact("Xi'an"))
        context = started(started(context, "in_2", 1), "in_3", 2)
        context = after(context, an_event("fact.rejected", "in_2", at(1), name="city"))
        assert values(context, "in_3", now=at(1)) == ["Xi'an"]
        context = after(context, an_event("assurance.raised", "in_2", at(2), level=2, method="otp"))
        assert values(context, "in_3", now=at(2)) == []

    def test_below_level_2_a_correction_does_not_bring_back_what_was_rejected(self) -> None:
        context = with_one(1)
        context = after(context, a_fact("Xi'an", party="bot", how="observed"))
        context = context.with_interaction(started(context, "in_2", 1).interactions["in_2"].but(lineage=("in_1",)))
        context = after(context, an_event("fact.rejected", "in_2", at(1), name="city"))
        context = after(context, a_fact("Chengdu", interaction_id="in_2", at=at(2)))
        assert values(context, "in_2", now=at(2)) == ["Chengdu"]

    def test_a_late_word_from_before_does_not_lift_it(self) -> None:
        context = after(with_one(0), a_fact("Xi'an", party="bot"))
        context = after(context, an_event("fact.rejected", at=at(5), name="city"))
        context = after(context, a_fact("Chengdu", at=at(1)), now=at(6))
        assert values(context, now=at(6)) == []

    def test_the_company_s_systems_reject_for_everybody(self) -> None:
        context = after(started(with_one(2), "in_2", 0), a_fact("Xi'an"), a_fact("Chengdu", interaction_id="in_2"))
        context = after(context, an_event("fact.rejected", None, at(1), name="city", party="system"))
        assert context.facts == ()

    def test_somebody_without_an_interaction_who_is_not_the_company_rejects_nothing(self) -> None:
        context = after(with_one(2), a_fact("Xi'an"))
        context = after(context, an_event("fact.rejected", None, at(1), name="city", party="customer"))
        assert values(context, now=at(1)) == ["Xi'an"]


class TestSensitivity:
    """The higher one sticks."""

    def sensitivity(self, *told: str, tenant: Any = PLAIN, name: str = "city") -> str:
        context = with_one()
        for number, sensitivity in enumerate(told):
            more = {"sensitivity": sensitivity} if sensitivity else {}
            context = after(context, a_fact(number, name=name, at=at(number), **more), tenant=tenant)
        return context.facts[-1].sensitivity

    def test_it_is_personal_unless_said_otherwise(self) -> None:
        assert self.sensitivity("") == "personal"
        assert self.sensitivity("public") == "public"

    def test_the_higher_one_sticks(self) -> None:
        assert self.sensitivity("sensitive", "public") == "sensitive"
        assert self.sensitivity("public", "internal", "public") == "internal"

    def test_the_tenant_declares_the_least(self) -> None:
        assert self.sensitivity("public", tenant=TENANT, name="card_number") == "sensitive"


class TestSharing:
    """What is told below level 2 stays with its interaction until its customer is verified."""

    def test_below_level_2_nobody_else_s_interaction_sees_it(self) -> None:
        context = started(after(with_one(1), a_fact("Xi'an")), "in_2", 3)
        assert values(context, "in_1") == ["Xi'an"]
        assert values(context, "in_2") == []

    def test_from_level_2_on_every_interaction_of_level_2_sees_it(self) -> None:
        context = started(started(after(with_one(2), a_fact("Xi'an")), "in_2", 2), "in_3", 1)
        assert values(context, "in_2") == ["Xi'an"]
        assert values(context, "in_3") == []

    def test_verified_in_the_interaction_it_is_shared(self) -> None:
        context = started(after(with_one(1), a_fact("Xi'an")), "in_2", 2)
        context = after(context, an_event("assurance.raised", at=at(1), level=2, method="pin"))
        assert values(context, "in_2", now=at(1)) == ["Xi'an"]

    def test_shared_late_it_yields_to_what_was_said_since(self) -> None:
        context = after(started(with_one(1), "in_2", 2), a_fact("Xi'an"))
        context = after(context, a_fact("Chengdu", interaction_id="in_2", at=at(5)))
        context = after(context, an_event("assurance.raised", at=at(9), level=2, method="pin"))
        assert [fact.value for fact in context.facts] == ["Chengdu"]

    def test_what_is_said_after_the_assurance_has_lapsed_is_not_shared(self) -> None:
        context = after(with_one(2), a_fact("Xi'an", at=NOON + HOUR), now=NOON + HOUR)
        context = started(context, "in_2", 2, now=NOON + HOUR)
        assert values(context, "in_2", now=NOON + HOUR) == []

    def test_a_verification_that_had_lapsed_before_it_was_told_shares_nothing(self) -> None:
        context = after(with_one(0), a_fact("Xi'an", at=NOON))
        late = an_event("assurance.raised", at=NOON - HOUR, level=2, method="pin", expires_in=60)
        context = after(context, late, now=NOON)
        assert [fact.origin.assurance for fact in context.facts] == [0]
        assert context.interactions["in_1"].level(NOON) == 0

    def test_the_company_s_systems_tell_everybody(self) -> None:
        context = after(with_one(2), a_fact("Xi'an", interaction_id=None, party="system", how="observed"))
        assert values(context) == ["Xi'an"]

    def test_a_customer_s_word_without_an_interaction_reaches_nobody(self) -> None:
        context = after(with_one(3), a_fact("Xi'an", interaction_id=None, party="customer"))
        assert values(context) == []


def test_evidence_and_origin_tell_where_a_fact_came_from() -> None:
    event = a_fact("Xi'an", event_id="ivr-3", at=at(1))
    fact = telling(with_one(2, channel="ivr"), event).context.facts[0]
    assert fact.evidence == "ivr-3"
    assert (fact.origin.channel, fact.origin.interaction_id, fact.origin.party) == ("ivr", "in_1", "customer")
    assert (fact.origin.assurance, fact.origin.at) == (2, at(1))


def test_a_fact_lives_until_its_expiry() -> None:
    fact = Fact.model_validate({
        "name": "city", "value": 1, "state": "stated", "evidence": "e", "expires_at": NOON + MINUTE,
        "origin": {"at": NOON},
    })  # fmt: skip
    assert fact.lives(NOON + MINUTE - SECOND)
    assert not fact.lives(NOON + MINUTE)
