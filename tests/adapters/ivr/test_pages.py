"""Documents say one fact a sentence, name in the action what they ask, and tell nothing to whom it does not belong."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from ctxhub_ivr.pages import Link, Pages
from ctxhub_ivr.settings import IvrChannel
from ctxhub_ivr.translate import State, mark_of

from ctxhub.client import FactSpec, Kind, Tenant

BASE = "https://ctx.example.com/ivr/twilio/acme"
KINDS = [Kind(kind=f"Service_{n}", say={"en": f"task {n}", "zh": f"业务{n}"}) for n in range(1, 11)]
TENANT = Tenant(
    tenant="acme", journeys=KINDS, facts={"to.city/🚌": FactSpec(say={"en": "destination", "zh": "目的地"})}
)
ENGLISH = Pages(BASE, TENANT, IvrChannel(), "en-US", has_pin=True, has_link=True)
CHINESE = replace(ENGLISH, language="zh-CN")


def said(document: bytes) -> list[str]:
    return [say.text or "" for say in ElementTree.fromstring(document).iter("Say")]


def the(tag: str, document: bytes) -> Element:
    [found] = ElementTree.fromstring(document).iter(tag)
    return found


def action(document: bytes) -> tuple[str, list[tuple[str, str]]]:
    parts = urlsplit(the("Gather", document).get("action", ""))
    return parts.path.removeprefix(urlsplit(BASE).path), parse_qsl(parts.query)


def test_the_menu_offers_eight_kinds_more_a_pin_a_link_and_a_human() -> None:
    document = ENGLISH.menu(State(n=1))
    assert said(document) == [
        *(f"For task {n}, press {n}." for n in range(1, 9)),
        "For more, press 9.",
        "To go on where you were, press star and enter your PIN.",
        "To go on in the chat, press the pound key.",
        "To speak to a human, or for a complaint, press 0.",
    ]
    assert said(CHINESE.menu(State(n=1, page=2)))[:2] == ["业务9，请按1。", "业务10，请按2。"]
    assert action(document) == ("/menu", [("n", "1")])


def test_what_is_not_there_is_not_offered() -> None:
    bare = replace(ENGLISH, tenant=Tenant(tenant="acme", journeys=KINDS[:1]), has_pin=False, has_link=False)
    assert said(bare.menu(State(n=1))) == ["For task 1, press 1.", "To speak to a human, or for a complaint, press 0."]


def test_after_three_wrong_pins_the_menu_offers_none() -> None:
    assert not any("PIN" in line for line in said(ENGLISH.menu(State(n=7, tries=3))))


def test_a_question_names_its_fact_in_the_action_and_aloud() -> None:
    document = CHINESE.ask(State(n=4, journeys=("jr_1",)), "to.city/🚌", ["你好。"])
    assert said(document) == ["你好。", "请告诉我们：目的地。"]
    assert action(document) == ("/fact", [("n", "4"), ("journey", "jr_1"), ("fact", "to.city/🚌"), ("ask", "ask")])
    assert the("Gather", document).get("input") == "dtmf speech"
    assert the("Gather", document).get("language") == "zh-CN"


def test_a_value_to_be_confirmed_is_read_out_but_not_put_into_the_url() -> None:
    document = ENGLISH.confirm(State(n=4, journeys=("jr_1",)), "to.city/🚌", "Fresno")
    assert said(document) == ["We have destination: Fresno. Is that right? Press 1 for yes, 2 for no."]
    assert ("ask", "confirm") in action(document)[1]
    assert ("mark", mark_of("Fresno")) in action(document)[1]
    assert "Fresno" not in the("Gather", document).get("action", "")


def test_each_known_fact_is_a_sentence_of_its_own_with_the_value_as_it_was_given() -> None:
    lines = ENGLISH.known([("to.city/🚌", 'San "Diego" <&>'), ("Buses_1.leaving_time", "10:30")])
    assert lines == ['We already have destination: San "Diego" <&>.', "We already have Buses 1 leaving time: 10:30."]
    assert said(ENGLISH.done(State(n=2), lines))[:2] == lines


def test_however_much_is_known_a_document_stays_below_the_platforms_limit() -> None:
    lines = CHINESE.known((f"Service_{n}.fact", "🚌" * 5000) for n in range(500))
    assert len(lines) == 40
    assert len(CHINESE.ask(State(), "x", [*lines, *lines])) < 64 * 1024


def test_a_value_as_long_as_anybody_speaks_is_said_whole() -> None:
    assert ENGLISH.known([("a", "x" * 150)]) == [f"We already have a: {'x' * 150}."]
    assert ENGLISH.known([("a", "x" * 151)]) == [f"We already have a: {'x' * 150}…."]


def test_the_pin_is_keyed_in_and_never_spoken() -> None:
    gather = the("Gather", ENGLISH.pin(State(n=2)))
    assert (gather.get("input"), gather.get("finishOnKey"), gather.get("numDigits")) == ("dtmf", "#", None)


@pytest.mark.parametrize("has_link", [True, False])
def test_a_link_is_offered_where_it_can_be_sent_and_was_not_just_sent(has_link: bool) -> None:
    pages = replace(ENGLISH, has_link=has_link)
    offer = "For a link to go on in the chat, press 2."
    assert (offer in said(pages.done(State(n=2), []))) is has_link
    link = Link("Go on here: https://h/#T", "+15550100", within_call=True)
    sent = pages.done(State(n=2), [], link)
    assert offer not in said(sent)
    assert (the("Sms", sent).get("to"), the("Sms", sent).text) == ("+15550100", "Go on here: https://h/#T")
    assert b"Sms" not in pages.done(State(n=2), [], replace(link, within_call=False))


@pytest.mark.parametrize(
    ("channel", "tag", "text"),
    [
        (IvrChannel(sip_target="sip:a@pbx.example.com", queue="q"), "Sip", "sip:a@pbx.example.com?x-ctx-degraded=1"),
        (
            IvrChannel(workflow_sid="WW1", queue="q"),
            "Task",
            '{"ctx_token": null, "queue": "q", "language": "en-US", "ctx_degraded": true}',
        ),
        (IvrChannel(queue="人工"), "Enqueue", "人工"),
    ],
)
def test_without_the_hub_the_caller_gets_to_a_human_without_a_token(channel: IvrChannel, tag: str, text: str) -> None:
    document = replace(ENGLISH, channel=channel).degraded(State(n=3))
    assert said(document) == ["One moment please, we connect you."]
    assert the(tag, document).text == text


def test_a_journey_is_offered_by_its_place_and_the_action_keeps_the_order() -> None:
    document = ENGLISH.resume(State(n=3, journeys=("b", "a")), ["Thank you."], KINDS[:2])
    assert said(document)[:3] == ["Thank you.", "To go on with task 1, press 1.", "To go on with task 2, press 2."]
    assert action(document) == ("/resume", [("n", "3"), ("journey", "b"), ("journey", "a")])


COMPLAINT = Kind(kind="grievance", complaint=True, say={"en": "a complaint", "zh": "投诉"})


@pytest.mark.parametrize(
    ("pages", "last"),
    [
        (ENGLISH, ["For a complaint, press 8.", "To speak to a human, press 0."]),
        (CHINESE, ["投诉，请按8。", "人工服务，请按0。"]),
    ],
)
def test_a_complaint_is_one_step_away_in_every_menu(pages: Pages, last: list[str]) -> None:
    here = replace(pages, tenant=TENANT.but(journeys=[COMPLAINT, *KINDS]))
    state = State(n=1)
    for document in (here.menu(state), here.menu(replace(state, page=2)), here.resume(state, [], KINDS[:1]),
                     here.done(state, [])):  # fmt: skip
        assert said(document)[-2:] == last
    assert len([line for line in said(here.menu(state)) if "task" in line or "业务" in line]) == 7
