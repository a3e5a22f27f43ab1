"""The brief: whole sentences within a budget, from what the reader may see, and nothing but that."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ctxhub.errors import CtxhubError
from ctxhub.model import lapsing
from ctxhub.model.brief import LONGEST, SHORTEST, Brief, Wanted
from ctxhub.model.brief_points import About
from ctxhub.model.brief_words import SENTENCES, Audience
from ctxhub.model.disclosure import Reader, sight
from ctxhub.model.quoted import CLOSE, OPEN, fenced
from ctxhub.model.view import context_view
from tests.model.briefing import AUDIENCES, BANK, HERE, SCENES, TELCO, Story, readers, sheet
from tests.support import HOUR, MINUTE, NOON, PATIENCE

ORDER: list[About] = ["why", "known", "tried", "promised", "next"]
UNSPEAKABLE = re.compile(r"[<>&()\[\]{}（）【】《》*_#`|\\^~\"“”⟦⟧]")
FENCED = re.compile("⟦[^⟦⟧]*⟧")
NOTED = re.compile(r"noteq\w+")
WORD = re.compile(r"(?:val|what|note|said)q[a-z]+z")


@pytest.mark.parametrize("scene", SCENES)
def test_a_scene_is_told_as_it_was_read_and_judged(scene: str) -> None:
    kept = (HERE / f"{scene}.txt").read_text(encoding="utf-8")
    assert sheet(scene) == kept, "read what `python -m tests.model.briefing` writes, aloud, before keeping it"


def test_no_sheet_is_left_of_a_scene_that_is_gone() -> None:
    assert {path.stem for path in HERE.iterdir()} == set(SCENES)


def told(scene: str, audience: Audience, lang: str | None = "en", max_chars: int = LONGEST) -> Brief:
    """A scene told to whoever asks for such a view."""
    story, interaction_id = SCENES[scene]()
    reader = readers(interaction_id, story)[audience]
    wanted = Wanted(view=audience, lang=lang, max_chars=max_chars, interaction_id=reader.interaction_id)
    return story.told(reader, wanted)


def texts(brief: Brief) -> list[str]:
    return [line.text for line in brief.lines]


# The languages


def test_both_languages_have_the_same_sentences_with_the_same_places() -> None:
    places = re.compile(r"{(\w+)}")
    for audience in AUDIENCES:
        english, chinese = SENTENCES[audience]["en"], SENTENCES[audience]["zh"]
        assert english.keys() == chinese.keys()
        for name in english.keys() - {"chain_once", "repeats_once"}:
            assert set(places.findall(english[name])) == set(places.findall(chinese[name])), (audience, name)


@pytest.mark.parametrize(
    ("asked", "language", "fallback"),
    [("zh", "zh", False), ("zh-CN", "zh", False), ("cmn-Hans-CN", "zh", False), ("en-GB", "en", False),
     ("de", "zh", True), ("fr-CA", "zh", True)],
)  # fmt: skip
def test_another_language_falls_back_to_the_tenants_first_and_says_so(
    asked: str, language: str, fallback: bool
) -> None:
    brief = told("a_blocked_card", "agent", asked)
    assert (brief.language, brief.fallback) == (language, fallback)
    assert texts(brief) == texts(told("a_blocked_card", "agent", language))


def test_a_tenant_whose_languages_are_not_spoken_here_is_told_in_english() -> None:
    story = Story(BANK.but(languages=["de", "fr"])).start("in_1", "chat", 2)
    brief = story.told(Reader(interaction_id="in_1"), Wanted(lang="it", interaction_id="in_1"))
    assert (brief.language, brief.fallback) == ("en", True)


def test_without_a_language_it_is_told_in_that_of_the_interaction() -> None:
    assert told("a_disputed_payment", "agent", None).language == "en"
    assert told("a_blocked_card", "agent", None).language == "zh"
    assert not told("a_blocked_card", "agent", None).fallback


def test_what_the_tenant_calls_nothing_is_called_by_its_name_as_words() -> None:
    story = Story(BANK).start("in_1", "chat", 2).fact("in_1", "delivery.street_name", "Main Street")
    brief = story.told(Reader(interaction_id="in_1"), Wanted(lang="en", interaction_id="in_1"))
    assert "Delivery street name: Main Street, says the customer." in texts(brief)


# The budget


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("audience", AUDIENCES)
def test_more_room_never_loses_a_line_and_no_room_is_exceeded(scene: str, audience: Audience) -> None:
    whole = texts(told(scene, audience))
    briefs = [told(scene, audience, max_chars=most) for most in range(SHORTEST, 1500, 23)]
    for brief, most in zip(briefs, range(SHORTEST, 1500, 23), strict=True):
        assert len("\n".join(texts(brief))) <= most
        assert brief.dropped == len(whole) - len(brief.lines)
        assert [text for text in whole if text in texts(brief)] == texts(brief)
    for less, more in pairwise(briefs):
        assert set(texts(less)) <= set(texts(more))


def test_why_they_came_and_what_is_overdue_are_the_last_to_go() -> None:
    assert texts(told("a_complaint", "ivr", max_chars=90)) == [
        "You came to us about a complaint.",
        "Sorry, we are late with our promise: call back.",
    ]
    assert texts(told("a_complaint", "agent", max_chars=130)) == [
        "Came about: a complaint.",
        "Overdue, since 20:00 yesterday: call back (cards).",
        "A promise is overdue, since 18:00 today.",
    ]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_the_smallest_brief_still_says_why_they_came(audience: Audience) -> None:
    for scene in ("a_blocked_card", "a_disputed_payment", "a_broadband_fault", "a_complaint", "two_at_once"):
        [first, *_] = told(scene, audience, max_chars=SHORTEST).lines
        assert first.about == "why"


@pytest.mark.parametrize("wrong", [79, 4001, 0, -1, "many"])
def test_a_budget_outside_its_bounds_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError, match="max_chars"):
        Wanted(max_chars=wrong)


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_value_too_long_is_said_to_be_there_and_never_cut(audience: Audience) -> None:
    story = Story(BANK).start("in_1", "chat", 2).tell("journey.started", "in_1", kind="complaint", journey_id="jr_1")
    story.fact("in_1", "about", "word " * 60).fact("in_1", "merchant", {"a": ["long " * 30] * 9})
    wanted = Wanted(view=audience, lang="en", interaction_id="in_1")
    said = " ".join(texts(story.told(Reader(interaction_id="in_1"), wanted)))
    assert "word" not in said
    assert "long long" not in said
    assert said.count("a longer text that we have in full" if audience == "ivr" else "a long text (see the time") == 2


def test_of_many_names_the_first_are_said_and_how_many_more() -> None:
    facts = [f"thing_{letter}" for letter in "abcdefghi"]
    kind = {"kind": "move", "say": {"en": "a move", "zh": "搬家"}, "steps": [{"step": "all", "facts": facts}]}
    story = Story(TELCO.model_validate(TELCO.model_dump() | {"journeys": [kind]})).start("in_1", "chat", 2)
    story.tell("journey.started", "in_1", kind="move", journey_id="jr_1")
    reader = Reader(interaction_id="in_1")
    english = texts(story.told(reader, Wanted(lang="en", interaction_id="in_1")))
    assert "Still to ask: thing a, thing b, thing c, thing d, thing e, thing f and 3 more." in english
    chinese = texts(story.told(reader, Wanted(lang="zh", interaction_id="in_1")))
    assert "还需询问：thing a、thing b、thing c、thing d、thing e、thing f等共9项。" in chinese


# The audiences


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_spoken_has_nothing_that_a_voice_or_its_markup_would_stumble_over(scene: str, lang: str) -> None:
    said = "\n".join(texts(told(scene, "ivr", lang)))
    assert not UNSPEAKABLE.search(said)
    assert not re.search(r"\b(?:ev-\d|in_|ho_|jr_|cm_)", said)
    assert not re.search(r"\d{5,}", said)


def test_the_caller_hears_neither_notes_nor_names_of_who_works_here() -> None:
    for scene in SCENES:
        said = " ".join(texts(told(scene, "ivr")))
        assert not re.search(r"\bann\b|In a hurry|credit|angry|vip|risk|presumed", said)


def test_what_somebody_wrote_can_not_end_its_fence() -> None:
    for line in texts(told("words_that_would_command", "bot")):
        outside = FENCED.sub("", line)
        assert not {OPEN, CLOSE} & set(outside)
        assert not re.search(r"ignore|SYSTEM|obey|refund|generous|assistant", outside, re.IGNORECASE)


@given(st.text())
def test_a_fence_holds_whatever_is_put_into_it(text: str) -> None:
    inside = fenced(text)[1:-1]
    assert not {OPEN, CLOSE, "\n"} & set(inside)
    assert fenced(fenced(text)) == f"{OPEN}({inside}){CLOSE}"


def test_a_prompt_marks_the_customers_words_as_untrusted() -> None:
    [line] = [text for text in texts(told("a_blocked_card", "bot")) if text.startswith("Country")]
    assert line == (
        "Country of the payment: untrusted text ⟦Portugal⟧, says the customer (phone menu, 18 minutes ago)."
    )


def test_an_agent_reads_a_guess_as_a_guess_and_the_caller_does_not_hear_it() -> None:
    assert "Travel plans: seems to be abroad, presumed, not confirmed." in texts(told("what_is_held_back", "agent"))
    assert "abroad" not in " ".join(texts(told("what_is_held_back", "ivr")))


def test_what_is_for_colleagues_reaches_neither_the_caller_nor_a_prompt_even_when_a_colleague_asks() -> None:
    story, interaction_id = SCENES["what_is_held_back"]()
    colleague = Reader(role="agent", interaction_id=interaction_id, agent_id="ann")
    for view in ("ivr", "bot"):
        said = story.told(colleague, Wanted(view=view, lang="en", interaction_id=interaction_id))
        assert "71" not in " ".join(texts(said))
    assert "71" in " ".join(texts(story.told(colleague, Wanted(lang="en", interaction_id=interaction_id))))


def test_where_no_caller_is_named_nothing_sensitive_is_spoken() -> None:
    story, _ = SCENES["what_is_held_back"]()
    for view in ("ivr", "bot"):
        said = " ".join(texts(story.told(Reader(role="admin"), Wanted(view=view, lang="en"))))
        assert "7731" not in said.replace(" ", "")
        assert "gold" in said


def test_whoever_proved_nothing_hears_only_what_was_said_in_the_very_call() -> None:
    for view in ("agent", "ivr", "bot"):
        said = " ".join(texts(told("a_stranger", view)))
        assert "48,200" not in said
        assert "disput" not in said
        assert "800" in said.replace(" ", "")


# Time


@pytest.mark.parametrize(
    ("due", "english", "chinese"),
    [
        (-3 * HOUR, "Overdue, since 17:00 today: call (cards).", "承诺已逾期（今天17:00到期）：call，责任方：cards。"),
        (30 * MINUTE, "Due soon, by 20:30 today: call (cards).", "承诺即将到期（今天20:30前）：call，责任方：cards。"),
        (24 * HOUR, "Promised by 20:00 tomorrow: call (cards).", "已向客户承诺（明天20:00前）：call，责任方：cards。"),
        (
            72 * HOUR,
            "Promised by 20:00 on 25 November: call (cards).",
            "已向客户承诺（11月25日20:00前）：call，责任方：cards。",
        ),
    ],
)
def test_due_times_are_said_by_the_tenants_clock(due: timedelta, english: str, chinese: str) -> None:
    story = Story(BANK).start("in_1", "chat", 2)
    story.tell("commitment.made", "in_1", what="call", owner="cards", due_at=NOON + due, party="agent")
    story.clock.now = NOON
    for lang, sentence in (("en", english), ("zh", chinese)):
        assert sentence in texts(story.told(Reader(role="admin"), Wanted(lang=lang)))


@pytest.mark.parametrize(
    ("due", "english", "chinese"),
    [
        (-3 * HOUR, "Overdue, for 3 hours: call (cards).", "承诺已逾期（已超3小时）：call，责任方：cards。"),
        (-90 * MINUTE, "Overdue, for 90 minutes: call (cards).", "承诺已逾期（已超90分钟）：call，责任方：cards。"),
        (72 * HOUR, "Promised within 3 days: call (cards).", "已向客户承诺（3天内）：call，责任方：cards。"),
    ],
)
def test_without_a_time_zone_due_times_are_said_as_spans(due: timedelta, english: str, chinese: str) -> None:
    story = Story(TELCO).start("in_1", "chat", 2)
    story.tell("commitment.made", "in_1", what="call", owner="cards", due_at=NOON + due, party="agent")
    story.clock.now = NOON
    for lang, sentence in (("en", english), ("zh", chinese)):
        assert sentence in texts(story.told(Reader(role="admin"), Wanted(lang=lang)))


# Whatever happened


WORDS = st.integers(0, 26**3 - 1).map(lambda n: "".join(chr(97 + n // 26**place % 26) for place in range(3)))
INTERACTIONS = st.sampled_from(["in_1", "in_2", "in_3", None])
DEEDS = st.one_of(
    st.tuples(st.just("fact"), INTERACTIONS, WORDS, st.sampled_from(["stated", "verified", "inferred", "rejected"]),
              st.sampled_from(["public", "internal", "personal", "sensitive"]),
              st.sampled_from(["customer", "bot", "agent", "system"])),
    st.tuples(st.just("promise"), INTERACTIONS, WORDS, st.integers(-300, 300)),
    st.tuples(st.just("note"), INTERACTIONS, WORDS),
    st.tuples(st.just("said"), INTERACTIONS, WORDS),
    st.tuples(st.just("journey"), INTERACTIONS, st.sampled_from(["dispute", "card_blocked", "undeclared"])),
    st.tuples(st.just("raise"), st.sampled_from(["in_1", "in_2", "in_3"]), st.integers(1, 3)),
    st.tuples(st.just("offer"), st.sampled_from(["in_1", "in_2", "in_3"]), WORDS),
    st.tuples(st.just("accept")),
    st.tuples(st.just("back"), WORDS),
    st.tuples(st.just("asked"), st.sampled_from(["in_1", "in_2", "in_3"])),
    st.tuples(st.just("wait"), st.integers(0, 120)),
)  # fmt: skip
READERS = st.one_of(
    st.just(Reader(role="admin")),
    st.just(Reader(role="adapter")),
    st.builds(Reader, role=st.sampled_from(["adapter", "supervisor"]), interaction_id=INTERACTIONS),
    st.builds(Reader, role=st.just("agent"), agent_id=st.sampled_from(["ann", "bob"]), interaction_id=INTERACTIONS),
)
LIVES = st.lists(DEEDS, max_size=25)


def lived(deeds: list[tuple[Any, ...]]) -> Story:
    """A life of such deeds; what the rules refuse is left out."""
    story = Story(BANK)
    for number, (interaction_id, channel) in enumerate((("in_1", "ivr"), ("in_2", "chat"), ("in_3", "voice"))):
        story.start(interaction_id, channel, number)
    for number, deed in enumerate(deeds):
        try:
            _live(story, number, *deed)
        except (CtxhubError, StopIteration):
            continue
    return story


def _live(story: Story, number: int, what: str, *how: Any) -> None:
    """Let one deed be done."""
    match what, *how:
        case "fact", where, word, state, sensitivity, party:
            name, value = f"name_{number % 4}", f"valq{word}z"
            story.fact(where, name, value, state, sensitivity=sensitivity, party=party)
        case "promise", where, word, minutes:
            due = story.clock() + timedelta(minutes=minutes)
            story.tell("commitment.made", where, what=f"whatq{word}z", owner="cards", due_at=due, party="agent")
        case "note", where, word:
            story.tell("note.added", where, text=f"noteq{word}z", party="agent")
        case "said", where, word:
            story.tell("message.received", where, text=f"saidq{word}z")
        case "journey", where, kind:
            story.tell("journey.started", where, kind=kind)
        case "raise", where, level:
            story.tell("assurance.raised", where, level=level, method="otp")
        case "offer", where, word:
            story.offer(f"ho_{number}", where, {"queue": "cards"}, "help", note=f"noteq{word}z")
        case ("accept",):
            story.accept(next(key for key, h in story.context.handoffs.items() if h.state == "offered"))
        case "back", word:
            held = next(key for key, h in story.context.handoffs.items() if h.state == "accepted")
            story.give_back(held, f"ho_{number}", f"noteq{word}z")
        case "asked", where:
            story.tell("question.asked", where, names=["name_0", "name_1", "name_2", "name_3"])
        case "wait", minutes:
            story.later(minutes * MINUTE)


def shown(story: Story, reader: Reader) -> str:
    """All that a reader's context and timeline show."""
    present = lapsing.lapse(story.context, {}, PATIENCE, story.clock()).context
    seen = sight(present, reader, BANK, story.clock())
    view = context_view(present, seen, BANK, story.clock(), reader.interaction_id)
    recent = [event for event in map(seen.told, story.timeline) if event is not None]
    return view.model_dump_json() + str(recent)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LIVES, READERS, st.sampled_from(AUDIENCES), st.sampled_from(["en", "zh", "de"]), st.integers(80, 800))
def test_whatever_happened_a_brief_says_only_what_the_reader_is_shown(
    deeds: list[tuple[Any, ...]], reader: Reader, audience: Audience, lang: str, most: int
) -> None:
    try:
        story = lived(deeds)
        visible = shown(story, reader)
    except CtxhubError:
        return
    wanted = Wanted(view=audience, lang=lang, max_chars=most, interaction_id=reader.interaction_id)
    brief = story.told(reader, wanted)
    for word in WORD.findall(" ".join(texts(brief))):
        assert word in visible
    if audience == "ivr":
        assert not UNSPEAKABLE.search("\n".join(texts(brief)))
        assert not NOTED.search(" ".join(texts(brief)))
    if audience == "bot":
        assert not WORD.search(FENCED.sub("", " ".join(texts(brief))))
    happened = {event["event_id"] for event in story.timeline}
    assert all(line.evidence and set(line.evidence) <= happened for line in brief.lines)
    assert sum(map(len, texts(brief))) + max(0, len(brief.lines) - 1) <= most
    assert [line.about for line in brief.lines] == sorted((line.about for line in brief.lines), key=ORDER.index)
    assert brief == story.told(reader, wanted)
    more = story.told(reader, wanted.but(max_chars=most + 200))
    assert set(texts(brief)) <= set(texts(more))
    assert len(brief.lines) + brief.dropped == len(more.lines) + more.dropped
