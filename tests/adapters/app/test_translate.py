"""What the app shows and tells, without any hub."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ctxhub_app import translate
from ctxhub_app.login import Proven
from ctxhub_app.say import PAGE, RESUME, SENTENCES, Lang, Said, label_of_fact, language_of, value_aloud, words
from ctxhub_app.settings import AppChannel
from ctxhub_app.translate import Giving, Line, Scene, Teller

from ctxhub.client import (
    Answer,
    Assurance,
    Commitment,
    ContextView,
    Event,
    FactView,
    HandoffView,
    Holder,
    InteractionView,
    Invalid,
    JourneyView,
    Kind,
    Offer,
    Origin,
    QueueView,
    Started,
    Target,
    Tenant,
    Waiting,
)

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
MINE = "in_app"
TENANT = Tenant.model_validate(
    {
        "tenant": "acme",
        "journeys": [
            {
                "kind": "card_blocked",
                "say": {"en": "A blocked card", "zh": "银行卡被冻结"},
                "steps": [
                    {"step": "details", "facts": ["country", "card_last4"]},
                    {"step": "proof", "facts": ["id_number"]},
                    {"step": "decision"},
                    {"step": "sent", "facts": ["street"]},
                ],
            }
        ],
        "facts": {"country": {"say": {"en": "country", "zh-CN": "国家"}}},
    }
)
KIND = TENANT.journeys[0]


def a_journey(step: str | None = "details", *missing: str, **more: Any) -> JourneyView:
    """A blocked card that is under way."""
    fields = {"journey_id": "jr_1", "kind": "card_blocked", "state": "active", "updated_at": NOON}
    return JourneyView.model_validate(fields | {"step": step, "missing": list(missing)} | more)


def an_interaction(level: int = 2, interaction_id: str = MINE, **more: Any) -> InteractionView:
    """A visit to the app, or another contact."""
    fields: dict[str, Any] = {
        "interaction_id": interaction_id, "channel": "app", "system": "ctxhub-app", "external_id": "x", "state": "open",
        "holder": Holder(party="bot"), "fence": 1, "started_at": NOON, "assurance": Assurance(level=level),
    }  # fmt: skip
    return InteractionView.model_validate(fields | more)


def a_fact(value: Any = "Portugal", at: str = "in_call", **more: Any) -> FactView:
    """A fact told on the phone."""
    origin = Origin(channel="ivr", interaction_id=at, party="customer", assurance=2, at=NOON)
    fields = {"state": "stated", "confidence": 1.0, "sensitivity": "personal", "value": value, "origin": origin}
    return FactView.model_validate(fields | more)


def a_scene(
    *journeys: JourneyView,
    mine: InteractionView | None = None,
    lang: Lang = "en",
    resume: tuple[Offer, ...] = (),
    live: tuple[InteractionView, ...] = (),
    channel: AppChannel | None = None,
    tenant: Tenant = TENANT,
    **more: Any,
) -> Scene:
    """A visit as it stands."""
    mine = mine or an_interaction()
    view = ContextView(
        customer_id="c42", version=7, document_version=7, known=True, assurance=mine.assurance,
        journeys=list(journeys), interactions=[mine, *live], **more,
    )  # fmt: skip
    started = Started(
        interaction=mine, customer_id="c42", known=True, context=view, resume=list(resume), live=list(live)
    )  # fmt: skip
    return Scene(started, view, tenant, channel or AppChannel(), lang)


def an_offer(journey: JourneyView, code: str = "recent") -> Offer:
    return Offer.model_validate(dict(journey) | {"reason": "active since", "reason_code": code})


# Where a journey stands


@pytest.mark.parametrize(
    ("step", "missing", "next_step"),
    [
        ("details", ["country", "id_number", "street"], None),
        ("details", ["id_number", "street"], "proof"),
        ("details", ["street"], "decision"),
        (None, ["id_number"], "proof"),
        ("proof", ["country", "street"], "decision"),
        ("decision", [], None),
        ("decision", ["country", "id_number", "street"], None),
        ("sent", ["street"], None),
        ("sent", [], None),
        ("somewhere else", ["id_number"], "proof"),
    ],
)
def test_a_journey_moves_on_to_where_something_is_missing_or_it_is_the_companys_turn(
    step: str | None, missing: list[str], next_step: str | None
) -> None:
    assert translate.next_step(a_journey(step, *missing), KIND) == next_step


def test_a_journey_without_steps_stays_where_it_is() -> None:
    assert translate.next_step(a_journey(None), Kind(kind="complaint")) is None
    [shown] = translate.home(a_scene(a_journey(None, kind="complaint")), {}).journeys or []
    assert (shown.label, shown.number, shown.percent) == ("A complaint", None, None)


@pytest.mark.parametrize(
    ("step", "missing", "number", "percent"),
    [
        ("details", ["country", "card_last4"], 1, 0),
        ("details", ["card_last4"], 1, 12),
        ("proof", ["id_number"], 2, 25),
        ("decision", [], 3, 50),
        ("sent", [], 4, 100),
        (None, ["country", "card_last4"], 1, 0),
        ("gone", [], 1, 25),
    ],
)
def test_progress_counts_whole_steps_and_what_is_known_of_the_present_one(
    step: str | None, missing: list[str], number: int, percent: int
) -> None:
    [shown] = translate.home(a_scene(a_journey(step, *missing)), {}).journeys or []
    assert (shown.number, shown.steps, shown.percent) == (number, 4, percent)


@pytest.mark.parametrize(
    ("step", "names"),
    [
        ("details", ["country", "card_last4"]),
        ("proof", ["country", "card_last4", "id_number"]),
        (None, ["country", "card_last4"]),
    ],
)
def test_a_form_asks_for_nothing_that_comes_later(step: str | None, names: list[str]) -> None:
    assert translate.names_to_show(a_journey(step), KIND) == names


def test_what_is_worth_going_on_with_stands_in_front_with_its_reason() -> None:
    old = a_journey(journey_id="jr_old", updated_at=NOON - timedelta(days=2))
    new, mine = a_journey(journey_id="jr_new"), an_interaction(journey_id="jr_new")
    scene = a_scene(new, old, mine=mine, resume=(an_offer(old, "important"), an_offer(new, "at_hand")), lang="zh")
    shown = translate.home(scene, {}).journeys or []
    assert [(one.journey_id, one.offered, one.reason) for one in shown] == [
        ("jr_old", True, "这件事需要尽快办理。"),
        ("jr_new", False, "您正在办理这件事。"),
    ]


def test_a_colleague_at_work_on_it_is_seen() -> None:
    busy = a_journey(worker={"party": "agent", "id": "ann", "interaction_id": "in_1", "since": NOON})
    [shown] = translate.home(a_scene(busy), {}).journeys or []
    assert shown.worked_on
    assert "ann" not in shown.model_dump_json()


# Who may see what


def test_below_level_2_nothing_says_what_it_is_about() -> None:
    promise = Commitment(
        commitment_id="cm_1", what="A new card", owner="cards", due_at=NOON, evidence="e",
        origin=Origin(channel="ivr", interaction_id="in_call", party="bot", assurance=1, at=NOON),
    )  # fmt: skip
    scene = a_scene(
        a_journey("details", "card_last4"),
        mine=an_interaction(1),
        facts={"country": a_fact(), "city": a_fact("Porto", at=MINE)},
        commitments=[promise],
        live=(an_interaction(1, "in_call", channel="ivr"),),
    )
    home = translate.home(scene, {})
    [shown] = home.journeys or []
    assert (shown.label, shown.kind, shown.step, shown.missing) == ("A matter that you began", None, None, [])
    assert [(row.name, row.value) for row in home.facts or []] == [("city", "Porto")]
    assert home.promises == home.elsewhere == []


@pytest.mark.parametrize(("level", "known"), [(0, False), (1, False), (2, True)])
def test_below_level_2_the_page_does_not_even_say_that_there_is_a_customer(level: int, known: bool) -> None:
    scene = a_scene(mine=an_interaction(level))
    assert (scene.view.known, translate.home(scene, {}).customer.known) == (True, known)


def test_from_level_2_on_it_is_told() -> None:
    withheld = FactView(state="stated", confidence=1.0, sensitivity="sensitive", withheld=True)
    home = translate.home(a_scene(facts={"country": a_fact(), "pan": withheld}), {})
    assert [(row.label, row.value, row.withheld, row.whence) for row in home.facts or []] == [
        ("country", "Portugal", False, "You, phone menu"),
        ("pan", "", True, ""),
    ]


def test_a_form_shows_what_is_known_and_keeps_what_is_withheld() -> None:
    origin = a_fact().origin
    answers = [
        Answer(name="country", verdict="known", value="Portugal", origin=origin),
        Answer(name="city", verdict="confirm", value={"zip": 1}, origin=origin),
        Answer(name="pan", verdict="withheld"),
        Answer(name="street", verdict="ask"),
    ]
    form = translate.form(answers, TENANT, "zh", {})
    assert [(row.label, row.verdict, row.shown, row.whence) for row in form] == [
        ("国家", "known", "Portugal", "您，电话语音菜单"),
        ("city", "confirm", '{"zip": 1}', "您，电话语音菜单"),
        ("pan", "withheld", "", ""),
        ("street", "ask", "", ""),
    ]


# People and places


def test_a_place_is_counted_among_those_who_wait() -> None:
    waiting = Waiting(handoff_id="ho_2", queue="people", since=NOON)
    queue = QueueView(queue="people", waiting=3, expected_wait=120, open=False, opens_at=NOON)
    ahead = [_handoff(f"ho_{n}") for n in (1, 2, 3)]
    line = translate.line_of(waiting, queue, ahead)
    assert (line.place, line.waiting, line.expected_wait, line.open, line.opens_at) == (2, 3, 120, False, NOON)
    assert translate.line_of(waiting, queue, None).place is None
    assert translate.line_of(waiting, queue, ahead[:1]).place is None


def _handoff(handoff_id: str, to: Target | None = None, **more: Any) -> HandoffView:
    fields: dict[str, Any] = {
        "handoff_id": handoff_id, "state": "offered", "customer_id": "c42", "interaction_id": MINE, "reason": "asked",
        "to": to or Target(queue="people"), "mode": "cold", "kind": "live", "root_id": handoff_id,
        "offered_by": Holder(party="bot"), "waiting_since": NOON, "offered_at": NOON, "expires_at": NOON,
    }  # fmt: skip
    return HandoffView.model_validate(fields | more)


def test_where_the_customer_waits_is_seen_here_and_elsewhere() -> None:
    there = Waiting(handoff_id="ho_2", queue="people", since=NOON)
    mine = an_interaction(waits=Waiting(handoff_id="ho_1", queue="people", since=NOON))
    scene = a_scene(mine=mine, live=(an_interaction(2, "in_chat", channel="chat", waits=there),))
    assert [one.handoff_id for one in translate.waiting_in_sight(scene)] == ["ho_1", "ho_2"]
    line = Line(handoff_id="ho_2", queue="people", since=NOON, place=5)
    home = translate.home(scene, {"ho_2": line})
    assert home.status == "waiting"
    assert home.line is not None
    assert (home.line.handoff_id, home.line.place) == ("ho_1", None)
    [elsewhere] = home.elsewhere or []
    assert (elsewhere.label, elsewhere.status, elsewhere.line) == ("chat", "waiting", line)


@pytest.mark.parametrize(
    ("interaction", "status"),
    [
        (an_interaction(), "self"),
        (an_interaction(state="ended"), "ended"),
        (an_interaction(holder=Holder(party="agent", id="ann")), "agent"),
    ],
)
def test_the_status_says_who_the_customer_is_with(interaction: InteractionView, status: str) -> None:
    assert translate.status_of(interaction) == status


def _event(type_: str, party: str = "system", at: str = MINE, **data: Any) -> Event:
    return Event.model_validate(
        {"event_id": f"{type_}@{at}", "type": type_, "at": NOON, "interaction_id": at, "party": party, "data": data}
    )


def test_the_conversation_holds_what_was_said_here_and_who_came_and_went() -> None:
    events = [
        _event("handoff.offered", queue="people"),
        _event("handoff.offered", channel="chat"),
        _event("message.received", "customer", text="Hello?"),
        _event("handoff.accepted", agent_id="ann"),
        _event("handoff.accepted"),
        _event("message.sent", "agent", text="Hello!"),
        _event("message.sent", "agent", "in_chat", text="Elsewhere"),
        _event("fact.stated", "customer", name="a", value=1),
        _event("handoff.completed", agent_id="ann"),
        _event("handoff.expired"),
    ]
    said = translate.conversation(events, MINE, "en")
    assert [(one.party, one.text) for one in said] == [
        ("system", "Waiting for a colleague"),
        ("customer", "Hello?"),
        ("system", "A colleague has joined"),
        ("agent", "Hello!"),
        ("system", "The colleague has finished"),
    ]
    assert said[1].id == "message.received"


def test_only_a_way_by_phone_has_a_number() -> None:
    channel = AppChannel(dial="+49 30 123")
    by_phone = translate.way(_handoff("ho_1", Target(channel="voice"), token="t", code="12345678"), channel)
    assert (by_phone.dial, by_phone.code) == ("+49 30 123", "12345678")
    assert translate.way(_handoff("ho_1", Target(channel="chat"), link="https://h/#t"), channel).dial is None


# What the hub is told


def test_the_same_request_always_tells_the_same_events() -> None:
    body = b"""{"op_id": "op1", "journey_id": "jr_1", "facts": [
        {"name": "a/b.\xe5\x9f\x8e\xe5\xb8\x82 \xf0\x9f\x99\x82", "value": {"x": [1, null]}},
        {"name": "country", "value": "Spain", "how": "rejected"}, {"name": "city", "how": "rejected"}]}"""
    giving = translate.read_body(Giving, body)
    events = Teller(giving.op_id, MINE).given(giving)
    assert events == Teller(giving.op_id, MINE).given(giving)
    assert [(e.event_id, e.type, e.data) for e in events] == [
        ("op1+fact.0@in_app", "fact.stated", {"name": "a/b.城市 🙂", "value": {"x": [1, None]}}),
        ("op1+fact.1@in_app", "fact.rejected", {"name": "country", "value": "Spain"}),
        ("op1+fact.2@in_app", "fact.rejected", {"name": "city"}),
    ]
    assert {event.party for event in events} == {"customer"}


def test_what_is_asked_and_what_is_to_be_confirmed_are_told_apart() -> None:
    answers = [Answer(name=name, verdict=verdict) for name, verdict in
               [("a", "ask"), ("b", "confirm"), ("c", "known"), ("d", "withheld"), ("e", "ask")]]  # type: ignore[arg-type]  # fmt: skip
    told = Teller("op", MINE).asked(answers, "jr_1")
    assert [event.data for event in told] == [
        {"names": ["a", "e"], "purpose": "ask"},
        {"names": ["b"], "purpose": "confirm"},
    ]
    assert Teller("op", MINE).asked(answers[2:4], "jr_1") == []


@pytest.mark.parametrize(
    ("level", "lasts", "held", "left", "outranks"),
    [(2, 1800, 0, 0, True), (2, 1800, 2, 600, True), (2, 1800, 2, 1800, False), (2, 1800, 3, 60, False),
     (3, 60, 2, 1800, True)],
)  # fmt: skip
def test_a_login_counts_where_it_is_surer_or_lasts_longer(
    level: int, lasts: int, held: int, left: int, outranks: bool
) -> None:
    mine = an_interaction(assurance=Assurance(level=held, until=NOON + timedelta(seconds=left) if held else None))
    assert translate.outranks(Proven("c42", level, "login", lasts, "m"), mine, NOON) is outranks


def test_half_a_character_is_refused() -> None:
    with pytest.raises(Invalid):
        translate.read_body(Giving, b'{"op_id": "1", "facts": [{"name": "\\ud83d", "value": 1}]}')


# Words


@pytest.mark.parametrize("said", [SENTENCES, PAGE, RESUME], ids=["answers", "page", "links"])
def test_everything_is_said_in_both_languages(said: Said) -> None:
    for name, spoken in said.items():
        assert set(spoken) == {"en", "zh"}, name
        assert all(spoken.values()), name
    assert words(said, "zh").keys() == words(said, "en").keys()


@pytest.mark.parametrize(
    ("asked", "accepted", "spoken", "lang"),
    [
        (None, None, ["zh-CN", "en"], "zh"),
        (None, None, ["en"], "en"),
        ("zh-Hant", "en", ["en", "zh"], "zh"),
        ("fr", "zh-CN;q=0.8,en;q=0.9", ["zh", "en"], "en"),
        (None, "zh", ["en"], "en"),
        (None, "fr", ["de"], "en"),
        (None, "zh;q=0,en;q=x", ["zh", "en"], "zh"),
    ],
)
def test_the_language_is_the_one_asked_for_else_accepted_else_the_tenants(
    asked: str | None, accepted: str | None, spoken: list[str], lang: Lang
) -> None:
    assert language_of(asked, accepted, spoken) == lang


def test_names_without_words_are_called_by_their_last_part() -> None:
    assert label_of_fact("travel.from_city", TENANT, "en") == "from city"
    assert label_of_fact("country", TENANT, "zh") == "国家"
    assert label_of_fact("...", TENANT, "en") == "..."
    assert value_aloud({"城市": [1]}) == '{"城市": [1]}'


def test_a_degraded_answer_says_what_is_not_known_by_null_and_offers_what_is_left() -> None:
    answer = translate.degraded("en", "s", TENANT, AppChannel(dial="+49 30 123"), 3)
    shown = answer.model_dump(by_alias=True)
    assert shown["journeys"] is shown["promises"] is shown["facts"] is shown["customer"] is None
    assert [kind["name"] for kind in shown["menu"]] == ["card_blocked", "complaint"]
    assert (shown["dial"], shown["degraded"], shown["retry_after"], shown["chat"]) == ("+49 30 123", True, 3, False)
