"""Masks show the little by which a colleague can compare, and of anything else nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxhub.model.masking import DOTS, mask


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("+8613800138031", "••••31"),
        ("138 0013-8031", "••••31"),
        ("li.wei@example.org", "l••••@example.org"),
        ("6222021234567731", "••••7731"),
        ("6222 0212 3456 7731", "••••7731"),
        ("A-17", DOTS),
        ("Xi'an", DOTS),
        ("123", DOTS),
        (48_200, DOTS),
        (True, DOTS),
        (None, DOTS),
        ({"street": "1 Long Road"}, DOTS),
        ("", DOTS),
    ],
)
def test_a_mask_shows_the_end_of_a_number_and_the_place_of_an_address(value: Any, masked: str) -> None:
    assert mask(value) == masked


@given(st.one_of(st.text(), st.integers(), st.lists(st.text()), st.from_regex(r"\+?[0-9 -]{1,24}", fullmatch=True)))
def test_whatever_it_is_a_mask_shows_at_most_four_digits_of_it(value: Any) -> None:
    shown = mask(value)
    assert sum(sign.isdigit() for sign in shown.partition("@")[0]) <= 4
    assert shown == DOTS or str(value).strip() not in shown
