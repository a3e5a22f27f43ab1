"""Facts that stand side by side by chance make no card number; parts of one input do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest

from ctxhub.model.split_number import Heard, spread
from tests.support import NOON, SECOND

BLOCKS = ("4929", "7248", "1246", "7731")
RANDOM = 5_000


def facts(parts: Sequence[str], names: Sequence[str], apart: timedelta = SECOND) -> list[Heard]:
    """Values told one after the other, each as a fact of its name."""
    return [
        Heard(f"e{n}", n, "fact.stated", NOON + n * apart, "in_1", "customer", {"name": name, "value": part})
        for n, (part, name) in enumerate(zip(parts, names, strict=True))
    ]


def joined(told: list[Heard]) -> bool:
    """Whether the last of them completes a number."""
    return spread(told[:-1], told[-1]) is not None


@pytest.mark.parametrize(
    ("parts", "names", "apart", "is_number"),
    [
        (("49297248", "12467731"), ("a", "a"), SECOND, True),
        (("49297248", "12467731"), ("a", "b"), timedelta(), True),
        (BLOCKS, ("a", "b", "c", "d"), SECOND, True),
        (("49297248", "12467731"), ("order", "policy"), SECOND, False),
        (("4929724", "812467731"), ("order", "policy"), SECOND, False),
    ],
)
def test_facts_join_where_they_are_parts_of_one_input(
    parts: Sequence[str], names: Sequence[str], apart: timedelta, is_number: bool
) -> None:
    assert joined(facts(parts, names, apart)) is is_number


def _chance(names: Sequence[str]) -> float:
    """How often two random values of five to eleven digits are taken for a card."""
    random, found = Random(7), 0
    for _ in range(RANDOM):
        cut = [str(random.randrange(10 ** (n - 1), 10**n)) for n in (random.randint(5, 11), random.randint(5, 11))]
        found += joined(facts(cut, names))
    return found / RANDOM


def test_facts_of_two_names_are_never_taken_for_a_card_by_chance() -> None:
    assert _chance(("order", "policy")) == 0
    assert _chance(("order", "order")) > 0.001
