"""Parts of a full run that were run one by one: what is kept of each is read back, and the page is made of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.chaos.history import Fault
from tests.chaos.page import written
from tests.chaos.results import Result, Row, kept

BROKEN = Result("faults", {"Redis killed": Row(2, 300, 400, [0.5, 1.5], [Fault("lost", "e1")])}, Counter(ids=900))
WEAK = Result("controls", controls={"nothing is kept": (70, Counter(lost=7))}, minutes=2.0, busiest=3.0,
              commit="abc1234")  # fmt: skip


def test_what_is_kept_of_a_part_is_read_back(tmp_path: Path) -> None:
    for result in (BROKEN, WEAK):
        result.save(tmp_path)
        assert kept(result.part, tmp_path) == result
    assert kept("offers", tmp_path) is None


def test_the_page_is_made_of_the_parts_that_are_there(tmp_path: Path) -> None:
    page = written([BROKEN, WEAK])
    assert "| Redis killed | 2 | 300 | 1 | 0 | 0 | 1.50 | 1.50 |" in page
    assert "| **lost** | 1 | 0 |" in page
    assert "| ids of events sent one to six times | 900 | 200,000 |" in page
    assert "| nothing is kept | 70 | 7 lost |" in page
    assert "Last runs: faults 0 min (load up to 0), controls of abc1234 2 min (load up to 3)" in page
    assert "Not run: offers, calls, failovers." in page
