"""Garbage that holds itself: gone through seldom, and let go all the same."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_SCRIPT = """
import gc, json
from collections import OrderedDict
if {settled}:
    from ctxhub.garbage import settle
    settle()

class Circle:
    def __init__(self):
        self.itself = self

every = {{}}
gc.callbacks.append(lambda phase, info: every.setdefault(info["generation"], []).append(info["collected"])
                    if phase == "stop" else None)
lately = OrderedDict()
most = 0
for number in range(20_000):
    lately[number] = [{{"name": [object()]}} for _ in range(50)]  # what is remembered of one customer
    while len(lately) > 8_192:
        lately.popitem(last=False)
    Circle()
    if not number % 1_000:
        most = max(most, sum(isinstance(held, Circle) for held in gc.get_objects()))
print(json.dumps({{"all": len(every.get(2, [])), "circles": most, "frozen": gc.get_freeze_count()}}))
"""


def _remembering(settled: bool) -> dict[str, int]:
    """Remember customers until as many are forgotten, with a circle for each; return how it was collected."""
    script = _SCRIPT.format(settled=settled)
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    counts: dict[str, int] = json.loads(ran.stdout)
    return counts


@pytest.fixture(scope="module")
def settled() -> dict[str, int]:
    """How it was collected in a process that had settled."""
    return _remembering(settled=True)


def test_who_is_remembered_is_not_gone_through_again_and_again(settled: dict[str, int]) -> None:
    assert settled["all"] == 0
    assert _remembering(settled=False)["all"] > 5


def test_circles_are_let_go_without_that(settled: dict[str, int]) -> None:
    assert settled["circles"] < 5_000


def test_what_stood_by_then_is_gone_through_no_more(settled: dict[str, int]) -> None:
    assert settled["frozen"] > 1_000
