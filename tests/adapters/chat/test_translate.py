"""Page and hub, each in the other's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ctxhub_chat import bot, translate
from ctxhub_chat.bot import Found, Heard, Line, Memory, Message, Question, Reply, Understood
from ctxhub_chat.translate import Arriving, Opening

from ctxhub.client import Event, Invalid, Telling

from .scenes import CHAT, NOON, TENANT, a_fact, a_journey, a_scene, an_offer

ARRIVING = {"session": "s", "message_id": "m1", "text": "hi"}
QUESTION = Question("jr_train", "train_ticket", "to_city", about="jr_train", moves_to="route")


def arriving(**fields: Any) -> Arriving:
    return translate.read_body(Arriving, json.dumps(ARRIVING | fields).encode())


def kept(tellings: list[Telling], start: int = 1) -> list[Event]:
    """The events as the timeline keeps them."""
    return [
        Event(at=NOON, version=start + n, **told.model_dump(exclude={"at"}, exclude_unset=True))
        for n, told in enumerate(tellings)
    ]


# Up


def test_facts_come_as_an_object_or_a_list() -> None:
    assert arriving(facts={"a": "1"}).message.facts == (Found("a", "1"),)
    assert arriving(facts=[{"name": "a", "value": 1, "confidence": 0.5}]).message.facts == (Found("a", 1, 0.5),)


def test_no_facts_and_nobody_having_looked_are_two_things() -> None:
    assert arriving(facts={}).message == Message("hi", ())
    assert arriving().message == Message("hi", None)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"text": 3}, "/text"),
        ({"message_id": "a b"}, "/message_id"),
        ({"message_id": "+greeting"}, "/message_id"),
        ({"colour": "red"}, "/colour"),
        ({"facts": {"a": None}}, "/facts/0/value"),
        ({"facts": [{"name": "a", "value": 1, "confidence": 2}]}, "/facts/0/confidence"),
        ({"facts": {f"f{n}": n for n in range(41)}}, "/facts"),
        ({"intent": {"confidence": 1}}, "/intent/name"),
    ],
)
def test_faults_are_told_with_their_place(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refusal:
        arriving(**fields)
    assert refusal.value.ids["errors"][0]["pointer"] == pointer


def test_a_body_that_is_not_json_is_refused() -> None:
    with pytest.raises(Invalid):
        translate.read_body(Opening, b"{")


def test_a_browsers_id_is_a_claim_and_a_token_brings_its_own_assurance() -> None:
    visitor = Opening(visitor="v" * 20)
    claimed = translate.start_of(visitor, "x", "zh")
    assert claimed.identifiers[0].strength == "claimed"
    assert claimed.assurance is not None
    assert (claimed.assurance.level, claimed.language) == (1, "zh-CN")
    redeeming = translate.start_of(visitor.model_copy(update={"token": "T"}), "x", "en")
    assert redeeming.assurance is None
    assert redeeming.handoff is not None
    assert redeeming.handoff.token == "T"


def test_a_message_comes_to_the_same_events_each_time() -> None:
    scene = a_scene(a_journey("train_ticket", "from_city"))
    message = Message("A room in Bonn", (Found("city", "Bonn"),), ("hotel", 0.8))
    understood = bot.understand(message, Memory(), scene)
    once, again = (translate.heard("m1", message.text, understood, scene.mine) for _ in range(2))
    assert once == again
    assert [(told.type, told.event_id) for told in once] == [
        ("message.received", "m1@in_chat"),
        ("intent.detected", "m1+intent@in_chat"),
        ("journey.started", "m1+start.0@in_chat"),
        ("fact.stated", "m1+fact.0@in_chat"),
    ]
    assert once[2].journey_id == once[3].journey_id is not None
    assert all(told.party == "customer" for told in once)


def test_another_message_starts_another_journey() -> None:
    understood = Understood("told", starts=("hotel",))
    one, other = (translate.heard(key, "", understood, a_scene().mine)[1].journey_id for key in ("m1", "m2"))
    assert one != other


def test_a_turn_tells_what_is_asked_and_said_and_remembers_it() -> None:
    scene = a_scene(a_journey("train_ticket", "to_city"), fence=3)
    memory = Memory(asks="to_city", about="jr_train", fence=3, skipped=("from_city",))
    told = translate.spoken("m1", Reply((Line("Where to?", ("Skip this",), "to_city"),), memory, QUESTION), scene.mine)
    assert [(event.type, event.journey_id) for event in told] == [
        ("journey.advanced", "jr_train"),
        ("question.asked", "jr_train"),
        ("message.sent", None),
        ("x.chat.turn", None),
    ]
    assert told[2].data["fence"] == 3
    assert translate.memory_of(a_scene(recent=kept(told)).view, CHAT) == memory


def test_turning_to_another_journey_is_told() -> None:
    mine = a_scene(a_journey("hotel")).mine
    told = translate.spoken("m1", Reply((), Memory(), QUESTION._replace(moves_to=None)), mine)
    assert [(event.type, event.journey_id) for event in told][:2] == [
        ("journey.resumed", "jr_train"),
        ("question.asked", "jr_train"),
    ]


def test_a_turn_is_found_again_by_its_key_and_in_its_own_chat_only() -> None:
    mine = a_scene().mine
    events = kept(translate.spoken("m1", Reply((Line("a"), Line("b")), Memory()), mine))
    said = translate.said_in_turn(events, "m1", CHAT)
    assert [event.data["text"] for event in said or []] == ["a", "b"]
    assert translate.said_in_turn(events, "m", CHAT) is None
    assert translate.said_in_turn(events, "m1", "in_other") is None


# Down


def test_messages_are_shown_with_their_buttons_and_what_they_ask() -> None:
    events = kept(translate.spoken("m1", Reply((Line("Where to?", ("Skip",), "to_city"),), Memory()), a_scene().mine))
    (shown,) = translate.conversation(events, CHAT, "en")
    assert (shown.party, shown.text, shown.asks, shown.quick_replies) == ("bot", "Where to?", "to_city", ["Skip"])


def test_a_customers_own_message_has_the_pages_own_id() -> None:
    (event,) = kept(translate.heard("m1", "hi", Understood("chitchat"), a_scene().mine))
    shown = translate.shown(event, "en")
    assert shown is not None
    assert (shown.id, shown.party) == ("m1", "customer")


def test_what_was_said_in_other_interactions_is_not_shown() -> None:
    event = Event(event_id="e", type="message.sent", at=NOON, interaction_id="in_call", data={"text": "secret"})
    assert translate.conversation([event], CHAT, "en") == []


def test_an_agents_message_with_foreign_attachments_is_shown() -> None:
    event = Event(
        event_id="e", type="message.sent", at=NOON, interaction_id=CHAT, party="agent",
        data={"text": "Hello", "attachments": [{"name": "a.pdf"}, {"kind": "image"}]},
    )  # fmt: skip
    assert translate.conversation([event], CHAT, "en")[0].text == "Hello"


@pytest.mark.parametrize(
    ("type_", "data", "text"),
    [
        ("handoff.offered", {"to": {"queue": "back"}, "ends_parent": "transferred"}, "Waiting for a colleague"),
        ("handoff.offered", {"to": {"queue": "service"}}, None),
        ("handoff.offered", {"to": {"channel": "app"}}, None),
        ("handoff.offered", {"to": {"bot": "bot"}, "ends_parent": "returned"}, None),
        ("handoff.accepted", {"agent_id": "ann"}, "A colleague has joined"),
        ("handoff.accepted", {"bot": "bot"}, None),
        ("handoff.returned", {}, "The assistant has taken over again"),
        ("handoff.completed", {"agent_id": "ann"}, "The assistant has taken over again"),
        ("handoff.completed", {}, None),
        ("handoff.lapsed", {"agent_id": "ann"}, "The colleague had to leave; waiting for another"),
        ("handoff.shown", {"agent_id": "ann"}, None),
        ("fact.stated", {"name": "a", "value": "b"}, None),
    ],
)
def test_people_who_join_and_leave_are_worth_a_notice(type_: str, data: dict[str, Any], text: str | None) -> None:
    event = Event(event_id="e", type=type_, at=NOON, interaction_id=CHAT, data=data)
    shown = translate.shown(event, "en")
    assert (shown.text if shown else None) == text


def test_the_panel_lists_every_fact_with_where_it_came_from() -> None:
    unsure, withheld = a_fact(2, confidence=0.5), a_fact("4711", withheld=True)
    facts = {"to_city": a_fact("Fresno", "Bonn"), "seats": unsure, "card": withheld}
    scene = a_scene(a_journey(), facts=facts)
    rows = translate.panel(scene.view, CHAT, TENANT, "en")
    assert [(row.name, row.label, row.value, row.unsure, row.others) for row in rows] == [
        ("to_city", "destination", "Fresno", True, ["Bonn"]),
        ("seats", "seats", "2", True, []),
        ("card", "card", "", False, []),
    ]
    assert rows[0].model_dump(by_alias=True)["from"] == "You, by phone menu"


@pytest.mark.parametrize(
    ("state", "unsure"), [("verified", False), ("confirmed", False), ("stated", False), ("inferred", True)]
)
def test_what_is_only_inferred_is_unsure(state: str, unsure: bool) -> None:
    scene = a_scene(facts={"a": a_fact("1", state=state)})
    assert translate.panel(scene.view, CHAT, TENANT, "en")[0].unsure is unsure


def test_the_standing_says_who_the_customer_is_with() -> None:
    memory = Memory(asks="to_city")

    def of(**scene: Any) -> tuple[str, str | None]:
        stands = translate.standing(a_scene(**scene).view, CHAT, memory, TENANT, "en")
        return stands.status, stands.asks

    assert of() == ("bot", "to_city")
    assert of(handoffs=[an_offer()]) == ("waiting", None)
    assert of(holder={"party": "agent", "id": "ann"}) == ("agent", None)


def test_an_agents_id_is_not_told_to_the_customer() -> None:
    scene = a_scene(holder={"party": "agent", "id": "ann.smith"})
    stands = translate.standing(scene.view, CHAT, Memory(), TENANT, "en")
    assert "ann" not in stands.model_dump_json()


def test_the_journey_is_shown_with_what_it_still_misses() -> None:
    stands = translate.standing(a_scene(a_journey("train_ticket", "to_city")).view, CHAT, Memory(), TENANT, "zh")
    assert stands.journey is not None
    assert stands.journey.label == "火车票"
    assert [(fact.name, fact.label) for fact in stands.journey.missing] == [("to_city", "目的地")]


def test_an_answer_without_the_hub_says_so_and_nothing_else() -> None:
    answer = translate.degraded("zh", "m1", "sealed")
    assert (answer.degraded, answer.session, answer.facts) == (True, "sealed", [])
    assert answer.messages[0].party == "system"


def test_a_rejection_has_no_journey_of_its_own() -> None:
    heard = Understood("no", (Heard("fact.rejected", {"name": "a", "value": "1"}, None),))
    told = translate.heard("m1", "no", heard, a_scene().mine)[1]
    assert (told.type, told.journey_id, told.data) == ("fact.rejected", None, {"name": "a", "value": "1"})
