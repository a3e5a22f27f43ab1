"""Who the customer is: identifiers and their strength, assurance and its end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ctxhub.model.customer import NOBODY, Assurance, with_identifiers
from tests.support import MINUTE, NOON, SECOND, a_phone


def sure(level: int, minutes: int = 30) -> Assurance:
    return Assurance(level=level, method="pin", until=NOON + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("held", "more", "strength"),
    [("claimed", "verified", "verified"), ("verified", "claimed", "verified"), ("claimed", "claimed", "claimed")],
)
def test_verified_outlasts_claimed(held: str, more: str, strength: str) -> None:
    found = with_identifiers((a_phone(strength=held),), [a_phone(strength=more)])
    assert [identifier.strength for identifier in found] == [strength]


def test_others_stand_beside() -> None:
    assert len(with_identifiers((a_phone("+861"),), [a_phone("+862"), a_phone("+862")])) == 2


def test_assurance_ends_at_its_instant() -> None:
    assert sure(2).at(NOON + 30 * MINUTE - SECOND) == sure(2)
    assert sure(2).at(NOON + 30 * MINUTE) == NOBODY


@pytest.mark.parametrize(
    ("one", "other", "outlasts"),
    [
        (sure(3), sure(2), True),
        (sure(2), sure(3), False),
        (sure(2), NOBODY, True),
        (NOBODY, NOBODY, False),
        (sure(0), NOBODY, False),
        (sure(2, 40), sure(2), True),
        (sure(2, 20), sure(2), False),
        (sure(2), sure(2), False),
        (sure(2).but(until=None), sure(2), True),
        (sure(2), sure(2).but(until=None), False),
        (sure(3, -1), sure(2), False),
        (sure(1), sure(3, -1), True),
    ],
)
def test_it_outlasts_what_is_less_sure_or_ends_before(one: Assurance, other: Assurance, outlasts: bool) -> None:
    assert one.outlasts(other, NOON) is outlasts
