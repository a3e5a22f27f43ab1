"""What a person hears and sees is read from the channels' own answers, and each kind of failure shows in it."""

from __future__ import annotations

from typing import Any

import pytest

from ctxhub.replay.judge import Outcome, Shown, judge
from ctxhub.replay.pages import Chat, Heard, Work, hear, key_for
from ctxhub.replay.tenants import Labels

LABELS = Labels(["Buses_1.from", "Buses_1.date"], "en")
KINDS = Labels(["Buses_1", "Hotels_1", "Hotels_4"], "en")
TOLD = {"Buses_1.from": "Bonn", "Buses_1.date": "8 March"}


def twiml(*says: str, fact: str | None = None, step: str = "fact") -> Heard:
    """What a caller hears, from TwiML as the telephone menu answers it."""
    spoken = "".join(f'<Say language="en-US">{say}</Say>' for say in says)
    query = f"n=4&amp;journey=jr_1&amp;fact={fact}&amp;ask=ask" if fact else "n=1"
    action = f"https://hub.example/ivr/twilio/acme/{step}?{query}"
    return hear(f'<Response><Gather action="{action}">{spoken}</Gather></Response>'.encode())


def a_chat(**more: Any) -> Chat:
    """What the chat's page gets."""
    return Chat.model_validate({"session": "s", "status": "bot", "messages": [], "facts": []} | more)


def a_row(name: str, value: Any, **more: Any) -> dict[str, Any]:
    """A fact as chat and desk show it."""
    return {"name": name, "label": LABELS[name], "value": value, "withheld": False} | more


def a_desk(*rows: dict[str, Any], missing: tuple[str, ...] = ()) -> Work:
    """What the desk's page gets."""
    handoff = {"handoff_id": "ho_1", "customer_id": "c1", "interaction_id": "in_1", "fence": 2, "mine": True}
    return Work.model_validate({"handoff": handoff, "facts": list(rows), "missing": list(missing), "version": 3})


def outcomes(shown: Shown) -> list[Outcome]:
    """What became of the two facts."""
    return [fact.outcome for fact in judge(TOLD, shown)]


# The telephone menu


def test_a_caller_hears_what_is_known_and_what_is_asked() -> None:
    heard = twiml("We already have Buses from: Bonn.", "Please tell us: Buses date.", fact="Buses_1.date")
    assert heard.shown(LABELS) == Shown({"Buses_1.from": ("Bonn",)}, frozenset({"Buses_1.date"}))
    assert outcomes(heard.shown(LABELS)) == ["carried", "asked again"]
    assert heard.step == "fact"


def test_a_caller_hears_a_wrong_value_and_misses_a_lost_one() -> None:
    heard = twiml("We already have Buses from: Köln.", step="done")
    assert outcomes(heard.shown(LABELS)) == ["wrong", "lost"]


def test_a_caller_hears_chinese() -> None:
    labels = Labels(["酒店.价格"], "zh")
    heard = twiml("我们已经有了酒店的价格：200-300元。")
    assert heard.shown(labels).values == {"酒店.价格": ("200-300元",)}


def test_a_question_that_does_not_name_its_fact_asks_for_nothing_that_a_caller_could_tell() -> None:
    assert twiml("Please tell us: something.", fact="Buses_1.date").asks(LABELS) is None
    assert twiml("Please tell us: Buses date.").asks(LABELS) is None
    assert twiml("Please tell us: Buses date.", fact="Buses_1.date").asks(LABELS) == "Buses_1.date"


def test_where_nothing_is_waited_for_there_is_no_step() -> None:
    heard = hear(b"<Response><Say>Goodbye.</Say><Hangup/></Response>")
    assert (heard.sentences, heard.action, heard.step) == (("Goodbye.",), None, "")


def test_a_menu_gives_each_kind_its_key() -> None:
    menu = twiml("Welcome.", "For Buses, press 1.", "For Hotels 4, press 2.", "For more, press 9.", step="menu")
    keys = [key_for(kind, KINDS, menu) for kind in ("Buses_1", "Hotels_4", "Hotels_1")]
    assert keys == ["1", "2", None]


# The chat


def test_the_panel_shows_names_and_values() -> None:
    chat = a_chat(facts=[a_row("Buses_1.from", "Bonn"), a_row("Buses_1.date", "8 March")])
    assert outcomes(Shown(chat.values(LABELS))) == ["carried", "carried"]


def test_a_withheld_and_an_empty_fact_are_not_shown() -> None:
    chat = a_chat(facts=[a_row("Buses_1.from", "Bonn", withheld=True), a_row("Buses_1.date", "")])
    assert outcomes(Shown(chat.values(LABELS))) == ["lost", "lost"]


def test_a_rival_beside_the_right_value_is_seen() -> None:
    chat = a_chat(facts=[a_row("Buses_1.from", "Bonn", others=["Köln"]), a_row("Buses_1.date", "8 March", others=[])])
    assert outcomes(Shown(chat.values(LABELS))) == ["wrong", "carried"]


def test_the_bots_greeting_counts_as_shown_and_can_contradict_the_panel() -> None:
    said = {"id": "m1", "party": "bot", "text": "We already have:\nBuses from: Köln\nBuses date: 8 March"}
    greeted = a_chat(messages=[said])
    assert outcomes(Shown(greeted.values(LABELS))) == ["wrong", "carried"]
    assert outcomes(Shown(a_chat(messages=[said], facts=[a_row("Buses_1.from", "Bonn")]).values(LABELS)))[0] == "wrong"


@pytest.mark.parametrize(
    "message",
    [
        {"id": "m1", "party": "customer", "text": "Buses from: Köln"},
        {"id": "m1", "party": "bot", "text": "Noted: Buses from: Köln; Buses date: never."},
    ],
)
def test_what_others_say_and_what_stands_within_a_sentence_is_no_greeting(message: dict[str, str]) -> None:
    assert a_chat(messages=[message]).values(LABELS) == {}


def test_the_bot_still_wants_what_its_journey_lists() -> None:
    journey = {"kind": "Buses_1", "missing": [{"name": "Buses_1.date", "label": "Buses date"}]}
    assert (a_chat(journey=journey).wanted, a_chat().wanted) == ({"Buses_1.date"}, set())


def test_the_first_button_is_that_of_the_last_message_that_has_any() -> None:
    said = [
        {"id": "1", "party": "bot", "text": "?", "quick_replies": ["Old"]},
        {"id": "2", "party": "bot", "text": "?", "quick_replies": ["Skip this", "Talk to a person"]},
        {"id": "3", "party": "agent", "text": "!"},
    ]
    assert (a_chat(messages=said).first_button, a_chat().first_button) == ("Skip this", "")


# The desk


def test_the_desk_shows_rows_and_what_is_missing() -> None:
    desk = a_desk(a_row("Buses_1.from", "Bonn"), missing=("Buses_1.date",))
    assert outcomes(Shown(desk.values, frozenset(desk.missing))) == ["carried", "asked again"]


def test_a_name_in_two_rows_must_have_one_value() -> None:
    desk = a_desk(a_row("Buses_1.from", "Bonn"), a_row("Buses_1.from", "Köln", journey_id="jr_2"))
    assert outcomes(Shown(desk.values)) == ["wrong", "lost"]


def test_a_rival_at_the_desk_is_seen_and_a_withheld_value_is_not() -> None:
    desk = a_desk(
        a_row("Buses_1.from", "Bonn", others=[{"value": "Köln", "state": "stated"}]),
        a_row("Buses_1.date", None, withheld=True),
    )
    assert outcomes(Shown(desk.values)) == ["wrong", "lost"]


def test_values_that_are_no_texts_are_read_as_they_are_shown() -> None:
    assert a_desk(a_row("Buses_1.from", 2)).values == {"Buses_1.from": ("2",)}
