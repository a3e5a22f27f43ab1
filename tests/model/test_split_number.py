"""Numbers in parts, as plain values: which events hold them, and what is no part of one."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest

from ctxhub.model.number_format import NumberFormat, compiled
from ctxhub.model.split_number import MOST_PARTS, Heard, code_alone, may_be_part, spread
from tests.model.cards import DIGITS, a_number, pieces
from tests.support import NOON, SECOND

CUT = 2_000


def heard(n: int, text: Any, type_: str = "message.received", party: str = "customer", **more: Any) -> Heard:
    """Something said, ten seconds after the one before."""
    field = "text" if type_.startswith("message") else "value"
    usual: dict[str, Any] = {
        "event_id": f"e{n}",
        "version": n,
        "type": type_,
        "at": NOON + n * 10 * SECOND,
        "interaction_id": "in_1",
        "party": party,
        "data": {field: text},
    }
    return Heard(**usual | more)


def test_of_2000_numbers_cut_into_two_to_five_parts_every_one_is_found() -> None:
    random, missed = Random(5), []
    for _ in range(CUT):
        number = a_number(random)
        parts = pieces(random, number, random.randint(2, MOST_PARTS))
        said = [
            heard(n, random.choice(("{}", "it's {}", "{} ok?", "然后{}")).format(part)) for n, part in enumerate(parts)
        ]
        found = spread(said[:-1], said[-1])
        left = " ".join(data["text"] for data in found.data.values()) if found else number
        left = left.replace(f"•••• {found.last4}", "") if found else left
        if any(part in left for part in parts):
            missed.append((number, parts))
    assert missed == []


@pytest.mark.parametrize(
    "between",
    [
        heard(1, "go on", "message.sent", "bot"),
        heard(1, "wait a moment"),
        heard(1, "my order is A-123456"),
        heard(1, "call +8613800138000"),
        heard(1, "wait 2 minutes"),
        heard(1, "I am at 1204, third floor"),
    ],
)
def test_what_stands_between_the_parts_does_not_hide_them(between: Heard) -> None:
    formats = compiled([NumberFormat(name="order", pattern=r"A-\d{6}")])
    assert spread([heard(0, "49297248"), between], heard(2, "12467731"), formats) is not None


@pytest.mark.parametrize(
    "before",
    [
        heard(0, "49297248", interaction_id="in_2"),
        heard(0, "49297248", party="bot"),
        heard(0, "49297248", "message.sent"),
        heard(0, "49297248", at=NOON - timedelta(minutes=4)),
        heard(0, "49297247"),
        heard(0, "no digits"),
    ],
)
def test_what_is_no_part_makes_no_number(before: Heard) -> None:
    assert spread([before], heard(1, "12467731")) is None


def test_six_messages_are_one_number_only_where_they_are_as_long_as_each_other_but_for_the_last() -> None:
    uneven = ["492", "9724", "81", "246", "773", "1"]
    assert spread([heard(n, part) for n, part in enumerate(uneven[:-1])], heard(5, uneven[-1])) is None
    even = ["492", "972", "481", "246", "773", "1"]
    assert spread([heard(n, part) for n, part in enumerate(even[:-1])], heard(5, even[-1])) is not None
    wordy = [heard(n, f"no {part}") for n, part in enumerate(even)]
    assert spread(wordy[:-1], wordy[-1]) is None


@pytest.mark.parametrize(
    "said",
    [
        [heard(n, key, "input.collected") for n, key in enumerate("4929724812467731")],
        [heard(n, DIGITS[int(key)]) for n, key in enumerate("4929724812467731")],
        [heard(n, "一二三四五六七八九"[int(key) - 1]) for n, key in enumerate("4929724812467731")],
    ],
)
def test_sixteen_keys_or_words_are_one_number(said: list[Heard]) -> None:
    found = spread(said[:-1], said[-1])
    assert found is not None
    assert found.last4 == "7731"
    assert len(found.data) == 16


def test_half_of_a_number_in_a_message_and_half_in_a_fact_are_one() -> None:
    said = [heard(0, "4929 7248"), heard(1, "1246 7731", "fact.stated")]
    found = spread(said[:1], said[1])
    assert found is not None
    assert found.data == {"e0": {"text": "••••"}, "e1": {"value": "•••• 7731"}}


@pytest.mark.parametrize("value", ["49297248", "4929", "124677312", "12467730"])
def test_a_fact_that_says_again_what_was_said_or_is_no_block_of_a_card_makes_none(value: str) -> None:
    assert spread([heard(0, "4929 7248")], heard(1, value, "fact.stated")) is None


def test_by_chance_a_message_and_a_fact_make_a_number_far_less_than_once_in_two_hundred_times() -> None:
    random, found = Random(9), 0
    for _ in range(CUT):
        cut = [str(random.randrange(10 ** (n - 1), 10**n)) for n in (random.randint(4, 11), random.randint(4, 11))]
        found += spread([heard(0, cut[0])], heard(1, cut[1], "fact.stated")) is not None
    assert found < CUT / 200


@pytest.mark.parametrize(
    ("before", "text", "left"),
    [
        (heard(0, "what is the security code?", "message.sent", "bot"), "it is 123", "it is •••"),
        (heard(0, "please tell me the 验证码", "message.sent", "bot"), "482913", "•••"),
        (heard(0, "•••• 7731"), "12/27", "•••"),
        (heard(0, "•••• 7731"), "123", "•••"),
    ],
)
def test_digits_alone_are_a_code_where_it_was_asked_for_or_a_card_was_told(before: Heard, text: str, left: str) -> None:
    assert code_alone([before], heard(1, text)) == {"text": left}


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (heard(0, "for how many people?", "message.sent", "bot"), "123"),
        (heard(0, "•••• 7731"), "I have 2 of them, paid 500 each"),
        (heard(0, "•••• 7731"), "yes"),
        (heard(0, "•••• 7731"), "13800138000"),
    ],
)
def test_other_digits_stay(before: Heard, text: str) -> None:
    assert code_alone([before], heard(1, text)) is None


@pytest.mark.parametrize(
    ("type_", "party", "place", "data", "is_part"),
    [
        ("message.received", "customer", "in_1", {"text": "4111"}, True),
        ("input.collected", "customer", "in_1", {"value": 4}, True),
        ("input.collected", "customer", "in_1", {"value": [4, 1]}, True),
        ("message.received", "customer", "in_1", {"text": "四一"}, True),
        ("message.received", "customer", "in_1", {"text": "hello"}, False),
        ("message.sent", "bot", "in_1", {"text": "4"}, False),
        ("message.received", "customer", None, {"text": "4"}, False),
        ("x.seen", "customer", "in_1", {"text": "4"}, False),
        ("input.collected", "customer", "in_1", {"value": {"a": 1}}, False),
    ],
)
def test_only_what_may_be_a_part_is_worth_a_look_back(
    type_: str, party: str, place: str | None, data: dict[str, Any], is_part: bool
) -> None:
    assert may_be_part(type_, party, place, data) is is_part


def test_small_numbers_among_facts_count_people_and_make_no_card() -> None:
    facts = [heard(n, key, "fact.stated") for n, key in enumerate("4929724812467731")]
    assert spread(facts[:-1], facts[-1]) is None
    halves = [heard(0, "49297248", "fact.stated"), heard(1, "12467731", "fact.stated")]
    assert spread(halves[:1], halves[1]) is not None
