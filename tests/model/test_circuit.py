"""Who fails again and again is left alone, each time for longer, and one call that goes well is enough to come back."""

from __future__ import annotations

from datetime import timedelta

from ctxhub.model.circuit import CLOSED, FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Circuit
from tests.support import NOON, SECOND


def failed(times: int) -> Circuit:
    """A circuit after so many failures at once."""
    circuit = CLOSED
    for _ in range(times):
        circuit = circuit.failed(NOON)
    return circuit


def test_four_failures_change_nothing() -> None:
    assert failed(FAILURES - 1).room(NOON, 8, 3) == 5


def test_the_fifth_opens_it() -> None:
    circuit = failed(FAILURES)
    assert (circuit.state(NOON), circuit.room(NOON, 8, 0)) == ("open", 0)


def test_after_the_pause_one_may_try() -> None:
    circuit, later = failed(FAILURES), NOON + FIRST_PAUSE
    assert (circuit.state(later), circuit.room(later, 8, 0), circuit.room(later, 8, 1)) == ("half_open", 1, 0)


def test_calls_that_were_on_their_way_make_it_no_longer() -> None:
    assert failed(FAILURES + 7).opens_at == failed(FAILURES).opens_at


def test_each_try_that_fails_doubles_the_pause_up_to_an_end() -> None:
    circuit, now, pauses = failed(FAILURES), NOON, []
    for _ in range(6):
        assert circuit.opens_at is not None
        pauses.append(circuit.opens_at - now)
        now = circuit.opens_at
        circuit = circuit.failed(now)
    assert pauses == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE, 8 * FIRST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


def test_one_that_goes_well_closes_it() -> None:
    assert failed(FAILURES + 3).answered() == CLOSED


def test_who_asks_us_to_come_back_later_is_left_alone_until_then() -> None:
    circuit = CLOSED.held(NOON + timedelta(hours=1))
    assert circuit.state(NOON + timedelta(minutes=59)) == "open"
    assert circuit.held(NOON + SECOND).opens_at == NOON + timedelta(hours=1)
