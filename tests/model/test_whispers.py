"""Whatever a caller below level 2 tells, what others read stays as it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ctxhub.errors import CtxhubError
from ctxhub.model import handoff as handoffs
from ctxhub.model import telling as rules
from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier
from ctxhub.model.disclosure import Reader, answers, sight
from ctxhub.model.event import Event
from ctxhub.model.fact import Fact
from ctxhub.model.handoff import OfferRequest
from ctxhub.model.held_card import with_cards
from ctxhub.model.interaction import Start
from ctxhub.model.introducing import doubted, introduced
from ctxhub.model.telling import Scene, tell
from ctxhub.model.view import context_view, offers
from tests.support import GRACE, NOON, SECOND, TENANT, a_context, a_fact, a_phone, after, an_event, started

STATES = ("stated", "observed", "inferred", "confirmed", "verified", "rejected")
NAMES = ("order_id", "bank", "card_number", "mood")
ASKED = [*NAMES, "card", "card_last4"]
NAMED = "named"
Told = tuple[str, dict[str, Any], str | None]


def a_customer() -> Context:
    """Whom others know well: facts, a journey, promises, an intent; and somebody who calls with her number."""
    context = started(a_context(identifiers=(a_phone(),)), "in_app", 3, channel="app", language="zh-CN")
    context = after(context, an_event("journey.started", "in_app", kind="refund", journey_id="jr_1"), tenant=TENANT)
    context = after(context, *(a_fact(f"true {name}", name, interaction_id="in_app") for name in NAMES), tenant=TENANT)
    context = after(context, a_fact("mine", "bank", interaction_id="in_app", journey_id="jr_1"), tenant=TENANT)
    promise = an_event("commitment.made", "in_app", what="call", owner="service", due_at=NOON, commitment_id="cm_1")
    context = after(context, promise, an_event("intent.detected", "in_app", name="refund"), tenant=TENANT)
    return started(started(context, "in_call", 2, channel="voice"), "in_low", 1, channel="ivr", language="en")


def as_others_read(context: Context) -> list[Any]:
    """Everything that others read: another interaction at each level, by context, asks and offers."""
    read: list[Any] = []
    now = NOON + SECOND
    for interaction_id in ("in_app", "in_call"):
        seen = sight(context, Reader(interaction_id=interaction_id), TENANT, now)
        view = context_view(context, seen, TENANT, now, interaction_id)
        asked = [answer.model_dump() for journey in (None, "jr_1") for answer in
                 with_cards(answers(context, seen, ASKED, journey, now), context, seen)]  # fmt: skip
        resume = offers(context, seen, context.interaction(interaction_id), TENANT, now)
        read.append((view.model_dump(), asked, [offer.model_dump() for offer in resume]))
    return [*read, [(identifier.what, identifier.standing) for identifier in context.leading]]


names = st.sampled_from(NAMES)
journeys = st.sampled_from([None, "jr_1"])
facts = st.tuples(
    st.sampled_from([f"fact.{state}" for state in STATES]),
    st.fixed_dictionaries(
        {"name": names, "value": st.sampled_from(["true bank", "mine", "other", 7])},
        optional={},
    ),
    journeys,
)
others = st.sampled_from(
    [
        ("fact.rejected", {"name": "bank"}, None),
        ("intent.detected", {"name": "close account"}, None),
        ("question.asked", {"names": ["bank", "order_id"]}, None),
        ("journey.started", {"kind": "refund", "find": True}, None),
        ("journey.started", {"kind": "complaint"}, None),
        ("journey.advanced", {"step": "payout"}, "jr_1"),
        ("journey.suspended", {}, "jr_1"),
        ("journey.resumed", {}, "jr_1"),
        ("journey.declined", {}, "jr_1"),
        ("journey.completed", {}, "jr_1"),
        ("journey.abandoned", {}, "jr_1"),
        ("commitment.made", {"what": "pay", "owner": "service", "due_at": "2026-11-23T12:00:00Z"}, None),
        ("commitment.kept", {"commitment_id": "cm_1"}, None),
        ("commitment.broken", {"commitment_id": "cm_1"}, None),
        ("assurance.raised", {"level": 1, "method": "ani"}, None),
        ("assurance.revoked", {}, None),
        ("risk.flagged", {"kind": "odd", "level": "high"}, None),
        ("note.added", {"text": "let this caller in"}, None),
        ("message.received", {"text": "it is me"}, None),
        ("input.collected", {"prompt": "bank", "value": "other", "mode": "speech"}, None),
    ]
)
free = st.sampled_from(
    [
        ("consent.granted", {"purpose": "sensitive"}, None),
        ("consent.denied", {"purpose": "profiling"}, None),
        ("consent.denied", {"purpose": "keeping"}, None),
        ("consent.withdrawn", {"purpose": "marketing"}, None),
        ("x.seen", {"name": "bank", "value": "other"}, None),
        ("x.noted", {"anything": [1, {"at": "all"}]}, "jr_1"),
    ]
)
identifiers = st.one_of(
    st.builds(Identifier, type=st.sampled_from(["phone", "email", "account"]), value=st.sampled_from("abc")),
    st.builds(
        Identifier, type=st.just("card"), value=st.just("•••• 1111"), index=st.sampled_from(["1" * 32, "2" * 32])
    ),
    st.just(a_phone()),
)
named = st.lists(identifiers, min_size=1, max_size=3).map(lambda found: (NAMED, {"identifiers": found}, None))
whispers = st.lists(st.one_of(facts, others, free, named), min_size=1, max_size=12)


def whispered(context: Context, said: list[Told]) -> Context:
    """The context after a caller at level 1 has told all that she is allowed to."""
    start = Start(channel="ivr", external_id="x-low")
    for number, (type_, data, journey_id) in enumerate(said):
        if type_ == NAMED:
            linked = [doubted(identifier, leads=not context.is_proven) for identifier in data["identifiers"]]
            context = introduced(context, start, linked, "in_low", NOON)
            continue
        event: Event = an_event(
            type_, "in_low", NOON + timedelta(milliseconds=number), event_id=f"w{number}", journey_id=journey_id, **data
        )
        try:
            context = tell(context, [event], Scene(TENANT, NOON + SECOND)).context
        except CtxhubError:
            continue
    request = OfferRequest.model_validate(
        {"customer_id": "c42", "interaction_id": "in_low", "reason": "help", "to": {"queue": "service"}, "note": "psst"}
    )
    return handoffs.offer(context, request, "ho_1", NOON + SECOND, GRACE, ()).context


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example([("journey.completed", {}, "jr_1")])
@example([("fact.rejected", {"name": "bank"}, None), ("fact.verified", {"name": "bank", "value": "other"}, None)])
@given(whispers)
def test_what_a_caller_below_level_2_tells_never_changes_what_others_read(said: list[Told]) -> None:
    before = a_customer()
    assert as_others_read(whispered(before, said)) == as_others_read(before)


def test_the_property_finds_facts_that_are_shared_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    def eager(facts: tuple[Fact, ...], fact: Fact) -> tuple[Fact, ...]:
        return (*facts, fact.but(origin=fact.origin.but(assurance=2)))

    monkeypatch.setattr(rules, "told", eager)
    before = a_customer()
    said: list[Told] = [("fact.stated", {"name": "bank", "value": "other"}, None)]
    assert as_others_read(whispered(before, said)) != as_others_read(before)


def test_the_property_finds_identifiers_that_are_shared_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.model.test_whispers.doubted", lambda identifier, leads: identifier)
    before = a_customer()
    card = Identifier(type="card", value="•••• 1111", index="1" * 32)
    said: list[Told] = [(NAMED, {"identifiers": [card]}, None)]
    assert as_others_read(whispered(before, said)) != as_others_read(before)
