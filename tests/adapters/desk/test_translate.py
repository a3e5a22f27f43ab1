"""What the page shows of the hub's values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ctxhub_desk.translate import all_askable, beside, call, calls, entry, offers, spoken_by, told_before, work

from ctxhub.client import (
    Answer,
    Assurance,
    ContextView,
    Event,
    FactLine,
    FactSpec,
    FactView,
    HandoffView,
    Holder,
    InteractionView,
    JourneyView,
    Kind,
    ListedInteraction,
    Origin,
    Preference,
    Risk,
    Step,
    Target,
    Tenant,
    Unlock,
)

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)

TENANT = Tenant(
    tenant="acme",
    journeys=[
        Kind(
            kind="train", say={"en": "a train ticket", "zh": "火车票"}, steps=[Step(step="route", facts=["from", "to"])]
        ),
        Kind(kind="hotel", steps=[Step(step="stay", facts=["to", "nights"])]),
    ],
    facts={
        "from": FactSpec(say={"en": "departure city", "zh": "出发城市"}),
        "vip": FactSpec(say={"en": "loyalty tier"}),
    },
)


def a_handoff(**changes: Any) -> HandoffView:
    given: dict[str, Any] = {
        "handoff_id": "ho_1", "state": "accepted", "customer_id": "c42", "interaction_id": "in_2", "journey_id": "jr_1",
        "channel": "chat", "reason": "asked for a person", "to": Target(queue="default"), "mode": "cold",
        "kind": "live", "root_id": "ho_1", "offered_by": Holder(party="bot"), "agent_id": "ann", "fence": 2,
        "waiting_since": NOON, "offered_at": NOON, "expires_at": NOON + timedelta(minutes=5),
    }  # fmt: skip
    return HandoffView(**given | changes)


def an_interaction(interaction_id: str, channel: str, minutes: int, **changes: Any) -> InteractionView:
    given: dict[str, Any] = {
        "interaction_id": interaction_id, "channel": channel, "system": channel, "external_id": interaction_id,
        "state": "open", "holder": Holder(party="agent", id="ann"), "fence": 2, "journey_id": "jr_1",
        "assurance": Assurance(level=2, method="pin"), "started_at": NOON + timedelta(minutes=minutes),
    }  # fmt: skip
    return InteractionView(**given | changes)


def a_fact(value: Any, journey_id: str | None = "jr_1", **changes: Any) -> FactView:
    given: dict[str, Any] = {
        "value": value, "state": "stated", "confidence": 1.0, "sensitivity": "personal", "journey_id": journey_id,
        "origin": Origin(channel="ivr", interaction_id="in_1", party="customer", assurance=2, at=NOON),
    }  # fmt: skip
    return FactView(**given | changes)


def a_line(value: Any, journey_id: str | None) -> FactLine:
    return FactLine(value=value, state="observed", confidence=0.7, sensitivity="personal", journey_id=journey_id)


def a_journey(journey_id: str, kind: str, **changes: Any) -> JourneyView:
    return JourneyView(**{"journey_id": journey_id, "kind": kind, "state": "active", "updated_at": NOON} | changes)


def a_context(**changes: Any) -> ContextView:
    given: dict[str, Any] = {
        "customer_id": "c42", "version": 17, "document_version": 15, "known": True,
        "assurance": Assurance(level=2, method="pin"),
        "interactions": [an_interaction("in_2", "chat", 5, language="zh-CN"), an_interaction("in_1", "ivr", 0)],
        "journeys": [
            a_journey("jr_2", "hotel", state="suspended", missing=["nights"]),
            a_journey("jr_1", "train", step="route", missing=["from"]),
        ],
    }  # fmt: skip
    return ContextView(**given | changes)


def test_each_fact_is_a_row_with_its_label_value_and_origin() -> None:
    shown = work(a_handoff(), a_context(facts={"from": a_fact("Fresno")}), TENANT, "ann", "en")
    (row,) = shown.facts
    assert (row.name, row.label, row.value, row.journey_id) == ("from", "departure city", "Fresno", "jr_1")
    assert row.origin is not None
    assert (row.origin.channel, row.origin.party, row.origin.at) == ("ivr", "customer", NOON)


def test_values_of_any_kind_are_shown_as_they_were_told() -> None:
    facts = {"酒店.价格": a_fact("200-300元"), "adults": a_fact(2), "tags": a_fact(["a", "b"]), "window": a_fact(False)}
    shown = work(a_handoff(), a_context(facts=facts), TENANT, "ann", "en")
    assert {row.name: row.value for row in shown.facts} == {
        "酒店.价格": "200-300元", "adults": 2, "tags": ["a", "b"], "window": False,
    }  # fmt: skip


def test_a_withheld_fact_is_shown_as_such_without_its_value() -> None:
    facts = {"pin": a_fact("1234", withheld=True, origin=None)}
    (row,) = work(a_handoff(), a_context(facts=facts), TENANT, "ann", "en").facts
    assert row.withheld
    assert row.value is None


def test_a_masked_fact_shows_its_mask_and_what_would_clear_it() -> None:
    unlock = Unlock(level=3, again=2, within=300)
    facts = {"callback": a_fact("+49 30 1234567", withheld=True, masked="••••67", unlock=unlock, origin=None)}
    (row,) = work(a_handoff(), a_context(facts=facts), TENANT, "ann", "en").facts
    assert (row.value, row.masked, row.unlock) == (None, "••••67", unlock)


def test_what_warns_of_an_interaction_stands_with_it() -> None:
    risk = Risk(kind="stolen_phone", level="high", at=NOON, evidence="e9")
    shown = work(
        a_handoff(), a_context(interactions=[an_interaction("in_2", "chat", 5, risks=(risk,))]), TENANT, "ann", "en"
    )
    assert shown.interaction is not None
    assert shown.interaction.risks == [risk]


def test_a_customer_beside_the_work_is_shown_without_any_handoff() -> None:
    shown = beside(a_context(facts={"from": a_fact("Fresno")}), TENANT, "en")
    assert [(row.name, row.value) for row in shown.facts] == [("from", "Fresno")]
    assert [journey.current for journey in shown.journeys] == [False, False]
    assert (shown.path, shown.missing, shown.version) == (["ivr", "chat"], ["nights", "from"], 17)


def test_rivals_of_the_same_journey_stand_beside_the_value() -> None:
    facts = {"from": a_fact("Fresno", others=[a_line("Fremont", "jr_1")])}
    (row,) = work(a_handoff(), a_context(facts=facts), TENANT, "ann", "en").facts
    assert [other.value for other in row.others] == ["Fremont"]


def test_a_name_that_two_journeys_hold_is_a_row_in_each_and_no_conflict() -> None:
    facts = {"to": a_fact("Fresno", others=[a_line("Paris", "jr_2"), a_line("Fremont", "jr_1")])}
    rows = work(a_handoff(), a_context(facts=facts), TENANT, "ann", "en").facts
    assert [(row.journey_id, row.value, [o.value for o in row.others]) for row in rows] == [
        ("jr_1", "Fresno", ["Fremont"]), ("jr_2", "Paris", []),
    ]  # fmt: skip


def test_what_belongs_to_the_present_journey_comes_first_and_what_belongs_to_none_last() -> None:
    facts = {"vip": a_fact("gold", None), "nights": a_fact("2", "jr_2"), "from": a_fact("Fresno", "jr_1")}
    shown = work(a_handoff(), a_context(facts=facts), TENANT, "ann", "en")
    assert [row.name for row in shown.facts] == ["from", "nights", "vip"]
    assert [(journey.journey_id, journey.current) for journey in shown.journeys] == [("jr_1", True), ("jr_2", False)]


def test_missing_facts_are_named_once_the_present_journeys_first() -> None:
    journeys = [
        a_journey("jr_2", "hotel", missing=["to", "nights"]),
        a_journey("jr_1", "train", missing=["from", "to"]),
    ]
    assert work(a_handoff(), a_context(journeys=journeys), TENANT, "ann", "en").missing == ["from", "to", "nights"]


def test_labels_follow_the_agents_language_and_questions_the_customers() -> None:
    journey = work(a_handoff(), a_context(), TENANT, "ann", "en").journeys[0]
    assert journey.label == "a train ticket"
    assert journey.missing[0].label == "departure city"
    assert journey.missing[0].question == "请问您的“出发城市”是？"


def test_only_who_holds_a_handoff_gets_its_fence() -> None:
    assert work(a_handoff(), a_context(), TENANT, "ann", "en").handoff.fence == 2
    bobs = work(a_handoff(), a_context(), TENANT, "bob", "en").handoff
    assert (bobs.mine, bobs.fence, bobs.agent_id) == (False, None, "ann")


def test_a_handoff_that_ended_is_nobodys() -> None:
    assert not work(a_handoff(state="completed"), a_context(), TENANT, "ann", "en").handoff.mine


def test_the_path_names_the_channels_in_the_order_they_were_used() -> None:
    calls = [an_interaction("in_0", "ivr", -9), an_interaction("in_1", "ivr", 0), an_interaction("in_2", "chat", 5)]
    assert work(a_handoff(), a_context(interactions=calls[::-1]), TENANT, "ann", "en").path == ["ivr", "chat"]


def test_an_interaction_out_of_sight_leaves_a_page_without_it() -> None:
    shown = work(a_handoff(), a_context(interactions=[]), TENANT, "ann", "en")
    assert shown.interaction is None
    assert shown.path == ["chat"]


@pytest.mark.parametrize(("channel", "spoken"), [("ivr", True), ("voice", True), ("chat", False), ("app", False)])
def test_on_the_phone_an_agent_speaks_instead_of_writing(channel: str, spoken: bool) -> None:
    shown = work(a_handoff(), a_context(interactions=[an_interaction("in_2", channel, 0)]), TENANT, "ann", "en")
    assert shown.interaction is not None
    assert shown.interaction.spoken is spoken


def test_offers_stand_by_urgency_and_then_by_waiting_time() -> None:
    waiting = [
        a_handoff(handoff_id="late", state="offered", waiting_since=NOON + timedelta(seconds=9)),
        a_handoff(handoff_id="early", state="offered"),
        a_handoff(handoff_id="urgent", state="offered", priority=5, waiting_since=NOON + timedelta(minutes=1)),
        a_handoff(handoff_id="gone", state="accepted"),
    ]
    assert [card.handoff_id for card in offers(waiting)] == ["urgent", "early", "late"]


def test_a_handoff_that_follows_another_says_so() -> None:
    first, second = offers([a_handoff(state="offered"), a_handoff(handoff_id="z", state="offered", parent_id="ho_0")])
    assert (first.chained, second.chained) == (False, True)


def test_a_card_says_who_has_the_customer_already() -> None:
    card, other = offers(
        [a_handoff(state="offered", prefers=Preference(agent="a7")), a_handoff(handoff_id="z", state="offered")]
    )
    assert (card.prefers, other.prefers) == ("a7", None)


def test_an_entry_about_facts_carries_their_labels() -> None:
    told = Event(event_id="e1", type="fact.stated", at=NOON, data={"name": "from", "value": "Fresno"}, version=3)
    asked = Event(event_id="e2", type="question.asked", at=NOON, data={"names": ["from", "to"]}, version=4)
    said = Event(event_id="e3", type="message.received", at=NOON, data={"text": "hello"}, version=5)
    labels = [entry(event, TENANT, "zh").label for event in (told, asked, said)]
    assert labels == ["出发城市", "出发城市, to", None]


def test_an_entry_about_a_journey_carries_its_name() -> None:
    started = Event(event_id="e1", type="journey.started", at=NOON, data={"kind": "train"})
    assert entry(started, TENANT, "zh").label == "火车票"


def test_whatever_need_not_be_asked_is_told_before() -> None:
    answers = [
        Answer(name="from", verdict="known", value="Fresno"),
        Answer(name="to", verdict="ask"),
        Answer(name="pin", verdict="withheld"),
        Answer(name="nights", verdict="confirm", value="2"),
    ]
    told = told_before(answers, TENANT, "en")
    assert [(fact.name, fact.label, fact.verdict) for fact in told] == [
        ("from", "departure city", "known"), ("pin", "pin", "withheld"), ("nights", "nights", "confirm"),
    ]  # fmt: skip


def test_everything_declared_can_be_asked_for_once() -> None:
    assert [fact.name for fact in all_askable(TENANT, "en", "en")] == ["from", "vip", "to", "nights"]


@pytest.mark.parametrize(
    ("language", "words"), [("zh", "城"), ("zh-CN", "城"), ("en-GB", "city"), ("fr", "name"), ("zh-TW", "台")]
)
def test_a_sentence_is_found_in_the_nearest_language(language: str, words: str) -> None:
    assert spoken_by({"zh": "城", "en": "city", "zh-TW": "台"}, language, "name") == words


@pytest.mark.parametrize(
    ("verb", "data", "state"),
    [
        ("alerting", {"agent_id": "bob"}, "ringing"),
        ("consulted", {"agent_id": "bob", "holder": "ann", "role": "consulted"}, "ringing"),
        ("transferred", {"agent_id": "bob", "legs": [{"agent_id": "ann"}]}, "ringing"),
        ("transferred", {"agent_id": "bob", "holder": "bob", "role": "holder"}, "talking"),
        ("answered", {"agent_id": "bob", "holder": "ann"}, "talking"),
        ("conferenced", {"agent_id": "bob", "holder": "ann"}, "talking"),
        ("transferred", {"agent_id": "cat", "legs": [{"agent_id": "bob"}]}, "over"),
        ("ended", {"agent_id": "bob"}, "over"),
        ("ended", {"legs": [{"agent_id": "bob"}]}, "over"),
    ],
)
def test_a_report_says_whether_the_call_rings_at_an_agent_or_is_over_for_him(
    verb: str, data: dict[str, Any], state: str
) -> None:
    event = Event(event_id="e1", type=f"call.{verb}", at=NOON, interaction_id="in_1", customer_id="c42", data=data)
    shown = call(event, "bob")
    assert (shown.state, shown.role, shown.customer_id) == (state, data.get("role"), "c42")


def test_of_listed_calls_each_is_shown_as_it_is_at_the_agent_s_own_phone() -> None:
    rings = {"agent_id": "bob", "began_at": NOON, "role": "consulted"}
    talks = {"agent_id": "bob", "began_at": NOON, "answered_at": NOON + timedelta(minutes=1), "role": "holder"}
    legs: dict[str, list[dict[str, Any]]] = {
        "in_1": [{"agent_id": "ann", "state": "talking"}, rings | {"state": "alerting"}],
        "in_2": [talks | {"state": "ended"}, talks | {"state": "held"}],
        "in_3": [talks | {"state": "ended"}, {"agent_id": "ann", "state": "talking"}],
    }
    listed = [
        ListedInteraction(**dict(an_interaction(key, "voice", 0)) | {"customer_id": "c42", "legs": found})
        for key, found in legs.items()
    ]
    shown = [(one.interaction_id, one.state, one.role, one.at) for one in calls(listed, "bob")]
    assert shown == [
        ("in_1", "ringing", "consulted", NOON),
        ("in_2", "talking", "holder", NOON + timedelta(minutes=1)),
    ]
