"""What is asked next follows from what the hub answered, and nothing known is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ctxhub_ivr.questions import (
    Question,
    is_all_known,
    known_among,
    next_question,
    open_journey,
    step_of,
    told_about,
)
from hypothesis import given
from hypothesis import strategies as st

from ctxhub.client import Answer, Assurance, ContextView, FactLine, FactView, JourneyView, Kind, Origin, Step

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
VERDICTS = ["known", "confirm", "ask", "withheld"]


def answers(**verdicts: str) -> list[Answer]:
    return [
        Answer(name=n, verdict=v, value=f"the {n}" if v in ("known", "confirm") else None) for n, v in verdicts.items()
    ]


def a_line(value: Any, journey_id: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "value": value, "state": "stated", "confidence": 1.0, "sensitivity": "personal", "journey_id": journey_id,
        "origin": Origin(channel="chat", at=NOON),
    } | more  # fmt: skip


def a_fact(value: Any, journey_id: str | None = None, others: tuple[dict[str, Any], ...] = (), **more: Any) -> FactView:
    return FactView(**a_line(value, journey_id, **more), others=[FactLine(**line) for line in others])


def a_context(facts: dict[str, FactView] | None = None, journeys: list[JourneyView] | None = None) -> ContextView:
    return ContextView(
        customer_id="c", version=1, document_version=1, known=True, assurance=Assurance(),
        facts=facts or {}, journeys=journeys or [],
    )  # fmt: skip


def test_the_first_missing_fact_is_asked_and_known_ones_are_not() -> None:
    assert next_question(answers(a="known", b="withheld", c="ask", d="ask")) == Question("c")
    assert next_question(answers(a="known", b="withheld")) is None


def test_a_doubtful_value_is_read_out_for_confirmation() -> None:
    assert next_question(answers(a="confirm")) == Question("a", confirms=True, value="the a")


def test_what_was_passed_over_stays_for_later() -> None:
    asked = answers(a="ask", b="ask", c="known", d="confirm")
    assert next_question(asked, "a") == Question("b")
    assert next_question(asked, "b") == Question("d", confirms=True, value="the d")
    assert next_question(asked, "d") is None
    assert not is_all_known(asked)


def test_an_answer_hardly_understood_is_confirmed_at_once() -> None:
    assert next_question(answers(a="confirm", b="ask"), "a", inclusive=True) == Question("a", True, "the a")
    assert next_question(answers(a="known", b="ask"), "a", inclusive=True) == Question("b")
    assert next_question(answers(a="ask", b="ask"), "a", inclusive=True) == Question("b")


@given(st.dictionaries(st.sampled_from("abcdefghijklmno"), st.sampled_from(VERDICTS), max_size=12))
def test_walking_through_a_journey_asks_each_open_fact_once_and_ends(verdicts: dict[str, str]) -> None:
    asked: list[str] = []
    after = None
    while (question := next_question(answers(**verdicts), after)) and len(asked) <= len(verdicts):
        asked.append(question.name)
        after = question.name
    assert asked == [name for name, verdict in verdicts.items() if verdict in ("ask", "confirm")]


def test_only_what_is_certain_counts_as_known() -> None:
    given_ = answers(a="known", b="confirm", c="ask", d="withheld")
    assert known_among(given_) == [("a", "the a")]
    assert is_all_known(answers(a="known", d="withheld"))
    assert not is_all_known(given_)


def test_a_journeys_facts_are_told_in_the_order_of_its_steps() -> None:
    kind = Kind(kind="k", steps=[Step(step="one", facts=["b", "a"])])
    context = a_context({"z": a_fact(3, "j"), "a": a_fact(1, "j"), "b": a_fact(2, "j"), "other": a_fact(4, "j2")})
    assert told_about(context, "j", kind) == [("b", 2), ("a", 1), ("z", 3)]
    assert told_about(context, None) == []


def test_each_journey_tells_its_own_value_of_a_name_that_two_have() -> None:
    context = a_context(
        {"date": a_fact("8th", "j1", others=(a_line("9th", "j2"), a_line("10th", "j2", state="inferred")))}
    )
    assert told_about(context, "j1") == [("date", "8th")]
    assert told_about(context, "j2") == []
    context = a_context({"date": a_fact("8th", "j1", others=(a_line("9th", "j2"),))})
    assert told_about(context, "j2") == [("date", "9th")]


@pytest.mark.parametrize(
    "fact",
    [
        a_fact("x", state="inferred"),
        a_fact("x", confidence=0.79),
        a_fact(None, withheld=True, origin=None),
        a_fact("x", others=(a_line("y"),)),
    ],
)
def test_what_is_not_certain_is_not_told(fact: FactView) -> None:
    assert told_about(a_context({"n": fact}), None) == []


@pytest.mark.parametrize(
    "fact",
    [
        a_fact("x", state="confirmed", confidence=0.1, others=(a_line("y"),)),
        a_fact("x", state="verified"),
        a_fact("x", state="observed", confidence=0.8),
        a_fact("x", others=(a_line("x"),)),
    ],
)
def test_what_is_certain_is_told(fact: FactView) -> None:
    assert told_about(a_context({"n": fact}), None) == [("n", "x")]


def test_the_step_that_needs_a_fact_is_found() -> None:
    kind = Kind(kind="k", steps=[Step(step="one", facts=["a"]), Step(step="two", facts=["b", "a"])])
    assert [found.step for name in "ab" if (found := step_of(kind, name))] == ["one", "two"]
    assert step_of(kind, "c") is None


def test_the_journey_under_way_is_the_calls_own_else_the_latest() -> None:
    journeys = [
        JourneyView(journey_id=f"j{age}", kind="k", state="active", updated_at=NOON - timedelta(hours=age))
        for age in (2, 1, 3)
    ]
    done = JourneyView(journey_id="done", kind="k", state="completed", updated_at=NOON)
    context = a_context(journeys=[*journeys, done])
    assert open_journey(context, "k", "j3") is journeys[2]
    assert open_journey(context, "k", None) is journeys[1]
    assert open_journey(context, "other", None) is None
