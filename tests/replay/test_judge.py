"""The judge sees each kind of failure, and nothing else."""

from __future__ import annotations

import pytest

from ctxhub.replay.judge import Judged, Outcome, Shown, Tally, judge, tally

TOLD = {"s.a": "1", "s.b": "2"}


def outcomes(shown: Shown) -> list[Outcome]:
    """What became of the two facts."""
    return [fact.outcome for fact in judge(TOLD, shown)]


def test_what_is_shown_with_its_value_is_carried() -> None:
    assert outcomes(Shown({"s.a": ("1",), "s.b": ("2", "2")})) == ["carried", "carried"]


def test_what_is_not_there_is_lost() -> None:
    assert outcomes(Shown({"s.a": ("1",)})) == ["carried", "lost"]


@pytest.mark.parametrize("values", [("3",), ("2", "3"), ("3", "2"), ("2 ",)])
def test_another_value_is_wrong_even_beside_the_right_one(values: tuple[str, ...]) -> None:
    assert outcomes(Shown({"s.a": ("1",), "s.b": values})) == ["carried", "wrong"]


def test_an_earlier_value_is_wrong() -> None:
    assert judge({"s.a": "new"}, Shown({"s.a": ("old",)})) == [Judged("s.a", "new", "wrong", ("old",))]


def test_what_is_asked_for_is_asked_again_even_where_it_is_shown() -> None:
    assert outcomes(Shown({"s.a": ("1",)}, frozenset({"s.a", "s.b"}))) == ["asked again", "asked again"]


def test_what_was_never_told_is_not_judged() -> None:
    assert outcomes(Shown({"s.a": ("1",), "s.b": ("2",), "s.c": ("3",)}, frozenset({"s.d"}))) == ["carried", "carried"]


def test_a_tally_counts_dialogues_facts_and_outcomes() -> None:
    hops = [
        judge(TOLD, Shown({"s.a": ("1",), "s.b": ("x",)})),
        judge(TOLD, Shown({"s.a": ("1",)}, frozenset({"s.b"}))),
        judge({"s.c": "1"}, Shown({})),
        judge({}, Shown({})),
    ]
    assert tally(hops) == Tally(dialogues=4, facts=5, carried=2, lost=1, wrong=1, asked_again=1)
