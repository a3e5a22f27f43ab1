"""What is reached is judged as it is written."""

from __future__ import annotations

import pytest

from tests.bench.figure import Figure, number
from tests.bench.table import table


@pytest.mark.parametrize(
    ("reached", "target", "verdict"),
    [
        (0.5, ">= 0.5", "met"),
        (0.4999, ">= 0.5", "MISSED"),
        (7.0, "<= 7", "met"),
        (7.01, "<= 7", "MISSED"),
        (1.0, "", ""),
    ],
)
def test_a_figure_meets_its_target_or_does_not(reached: float, target: str, verdict: str) -> None:
    figure = Figure("reads", reached, target)
    assert figure.verdict == verdict
    assert figure.is_met == (verdict != "MISSED")


def test_what_can_not_be_judged_here_is_shown_with_the_reason_and_misses_nothing() -> None:
    figure = Figure("two workers", 1.1, ">= 1.6", "not judged: 2 cores")
    assert figure.is_met
    assert figure.row == ("two workers", "1.10", "≥ 1.6", "not judged: 2 cores")


@pytest.mark.parametrize(
    ("value", "written"), [(12345.6, "12,346"), (100.0, "100"), (12.34, "12.3"), (0.123, "0.12"), (0, "0.00")]
)
def test_a_number_has_as_many_places_as_one_can_believe(value: float, written: str) -> None:
    assert number(value) == written


def test_a_cell_can_not_break_its_table() -> None:
    assert table(("a", "b"), [("x|y", 3.0)]).splitlines() == ["| a | b |", "| --- | --- |", "| x\\|y | 3.00 |"]
