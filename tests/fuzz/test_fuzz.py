"""Every parser keeps its promise for its seeds and some mutations of them; `make fuzz` goes on from there."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.__main__ import Look, growth, reached
from tests.fuzz.mutating import inputs
from tests.fuzz.parser import Parser
from tests.fuzz.parsers import PARSERS, PLANTED

MUTATIONS = 300


def tried(parser: Parser, seed: int) -> int:
    """Try a parser; return how many inputs it took, or raise what breaks its promise, with the input."""
    taken = 0
    for data in inputs(parser, Random(seed), MUTATIONS):
        try:
            taken += parser.tried(data)
        except Exception as fault:
            fault.add_note(f"{parser.name} on {data!r}")
            raise
    return taken


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_keeps_its_promise_and_takes_some_of_what_it_is_given(parser: Parser) -> None:
    assert tried(parser, 12) > 0


def test_a_fault_would_be_found_and_its_input_named() -> None:
    with pytest.raises(ZeroDivisionError, match="planted") as found:
        tried(PLANTED, 12)
    assert "planted on b'(" in found.value.__notes__[0]


def test_what_libfuzzer_told_last_is_what_was_reached() -> None:
    told = (
        "#2\tINITED cov: 9 ft: 9 corp: 1/1b\n#7\tNEW    cov: 11 ft: 12 corp: 2/9b\n#43210\tDONE   cov: 151 ft: 525 corp"
    )
    assert reached(told) == {"executions": 43210, "coverage": 151, "features": 525}
    assert reached("") == {"executions": 0, "coverage": 0, "features": 0}


def test_memory_is_compared_from_a_third_of_the_time_on() -> None:
    megabytes = (100, 140, 150, 200, 165)
    looks = [Look(10.0 * n, held * 2**20) for n, held in enumerate(megabytes)]
    assert growth(looks) == {"rss_start_mb": 100, "rss_warm_mb": 150, "rss_end_mb": 165, "growth": 0.1}
