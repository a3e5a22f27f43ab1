"""Call histories at random: no wrong person, no lost place, every handoff in one final state."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.histories import history
from tests.histories.faults import FAULTS, PASSED_ON
from tests.histories.history import play

COUNT = int(os.environ.get("CTXHUB_HISTORIES", "500"))
FIRST = int(os.environ.get("CTXHUB_HISTORIES_FROM", "0"))
ENOUGH = 3000
#: From which seed on to look for the faults that few histories show.
FROM = {
    "clocks are trusted to the second": 1350,
    "a leg's own name ends the call": 200,
    "who has had the call for a moment is forgotten": 260,
}
KINDS = {
    "in order", "up to 90 s late", "in any order", "some told twice", "some reports lost", "told after the end",
    "never announced", "answered without having rung", "an agent answers twice", "rung, and not answered",
    "silent for an hour", "silent for five hours", "clocks up to 10 s apart", "some name only their call",
    "legs with names of their own", "the menu's part ends", "a place in the queue is told", "recorded", "on hold",
    "consult", "conference", "monitoring", "warm transfer", "cold transfer", "to a second queue",
    "back to the menu at a step", "the holder leaves the others", "seemed to be over, and went on",
    "a family's line, two calls at once", "two systems with one call id", "unknown becomes known in the call",
    "turns out to be another of the family", "merged in the call", "merged and parted in the call",
    "told while it is on its way to another customer", "goes on in chat with the place",
    "cut off while waiting, and back within the grace time", "cut off while waiting, and back too late",
    "an agent completes the work after the call",
}  # fmt: skip


def test_whatever_is_told_and_however_nobody_wrong_holds_no_place_is_lost_and_each_handoff_ends_once() -> None:
    seen: set[str] = set()
    for seed in range(FIRST, FIRST + COUNT):
        try:
            seen |= play(seed)
        except AssertionError as fault:
            raise AssertionError(f"history {seed}: {fault}") from fault
    assert COUNT < 500 or seen >= KINDS


def test_what_nobody_answers_and_the_telephone_system_gives_on_waits_where_that_went() -> None:
    seen: set[str] = set()
    for seed in range(FIRST, FIRST + COUNT // 2):
        try:
            seen |= play(seed, passes_on=True)
        except AssertionError as fault:
            raise AssertionError(f"history {seed}, passed on: {fault}") from fault
    assert COUNT < 500 or seen >= {"passed on before an answer", "the hub's own offer is passed on"}


@pytest.fixture
def calls_anew() -> Iterator[None]:
    """Begin calls anew with the rules as they are now, and again when they are as they were."""
    history._begun.cache_clear()
    yield
    history._begun.cache_clear()


@pytest.mark.usefixtures("calls_anew")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_put_in_on_purpose_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*FAULTS[fault])
    first = FROM.get(fault, 0)
    passes_on = fault in PASSED_ON
    assert any(_finds_something(seed, passes_on) for seed in range(first, first + ENOUGH))


def _finds_something(seed: int, passes_on: bool) -> bool:
    """Tell whether a history does not go as it must; whatever goes wrong in it is a finding."""
    try:
        play(seed, passes_on)
    except Exception:
        return True
    return False
