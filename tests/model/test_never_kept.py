"""The filter, judged on tens of thousands of made-up numbers: none missed, and none taken that is another's."""

from __future__ import annotations

import json
import re
import time
import timeit
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxhub.errors import Invalid
from ctxhub.model.card import HIDDEN, LONGEST, last4_of, number_in, passes_luhn
from ctxhub.model.digits import runs
from ctxhub.model.never_kept import cleaned
from ctxhub.model.number_format import NumberFormat, compiled
from tests.model.cards import FORMATS, a_number, in_format, messages, number

MESSAGES = 20_000
PAN = "4929724812467731"
SHOWN = "•••• 7731"
AMEX = number(Random(8), "37", 15)
DECLARED = compiled([NumberFormat(name=pattern, pattern=pattern) for pattern in FORMATS])


def digits_of(value: Any) -> str:
    """Every digit of a value, however it is written."""
    return "".join(group.digits for run in runs(json.dumps(value, ensure_ascii=False)) for group in run)


def test_of_20_000_messages_with_card_numbers_none_keeps_its_number_nor_its_code() -> None:
    missed = []
    for told in messages(Random(26), MESSAGES):
        clean = cleaned(told.value)
        left = digits_of(clean.value)
        text = re.sub(f"{HIDDEN} {told.number[-4:]}", HIDDEN, json.dumps(clean.value, ensure_ascii=False))
        if told.number[:-4] in left or told.number[4:] in left or (told.code and told.code in text):
            missed.append((told, clean.value))
    assert missed == []


def test_the_same_messages_would_be_missed_without_the_filter() -> None:
    assert all(told.number in digits_of(told.value) for told in messages(Random(26), 500))


def test_of_20_000_numbers_in_declared_formats_at_most_one_in_two_hundred_is_taken() -> None:
    random, taken = Random(27), 0
    for n in range(MESSAGES):
        number = in_format(random, random.choice(FORMATS))
        told: Any = {"order_id": number} if n % 2 else {"text": f"where is {number} please?"}
        taken += bool(cleaned(told, DECLARED).findings)
    assert taken <= MESSAGES * 0.005
    assert taken == 0


def test_called_a_card_a_number_is_one_whatever_format_is_declared() -> None:
    declared = compiled([NumberFormat(name="parcel", pattern=r"492972\d{10}")])
    assert cleaned(f"parcel {PAN}", declared).findings == ()
    assert cleaned(f"my card number is {PAN}", declared).value == f"my card number is {SHOWN}"
    assert cleaned(f"卡号是{PAN}", declared).value == f"卡号是{SHOWN}"


def test_of_numbers_whose_check_digit_is_wrong_none_is_taken() -> None:
    random = Random(28)
    wrong = [f"{number[:-1]}{(int(number[-1]) + 1) % 10}" for number in (a_number(random) for _ in range(MESSAGES))]
    wrong = [number for number in wrong if not (len(number) == LONGEST and _begins_with_one(number))]
    assert [number for number in wrong if cleaned({"text": number}).findings] == []
    assert len(wrong) > 0.9 * MESSAGES


def _begins_with_one(number: str) -> bool:
    """Tell whether a number may as well be a shorter one with its code right behind it."""
    return any(passes_luhn(number[:length]) for length in (15, 16))


@pytest.mark.parametrize(
    "separator", [":", ";", "=", "+", "][", "><", "> <", "  --  ", "%20", "&nbsp;", "&#160;", " | ", "      "]
)
def test_whatever_is_between_the_blocks_of_a_card_the_number_is_found(separator: str) -> None:
    blocks = separator.join(PAN[n : n + 4] for n in range(0, 16, 4))
    assert cleaned(f"it is {blocks}, ok").value == f"it is {SHOWN}, ok"
    assert cleaned(f"pin 4711{separator}2026").value != f"pin 4711{separator}2026"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"+{PAN}", f"+{SHOWN}"),
        ("tel: +4929 7248 1246 7731", f"tel: +{SHOWN}"),
        (f"{PAN}123", SHOWN),
        (f"it is {PAN}123 ok", f"it is {SHOWN} ok"),
        (f"{AMEX}1234", f"•••• {AMEX[-4:]}"),
        (f"{PAN}12/27", SHOWN),
        (f"a{PAN}", f"a{SHOWN}"),
        (f"abc{PAN}def", f"abc{SHOWN}def"),
        (f"CN{PAN}a", f"CN{SHOWN}a"),
        (f"in_{PAN}", f"in_{SHOWN}"),
        (f"jr_{PAN}abc", f"jr_{SHOWN}abc"),
        ("ccv 123", "ccv •••"),
        ("password hunter2", "password •••"),
        ("my pwd hunter2 thanks", "my pwd ••• thanks"),
        ("密码hunter2", "密码•••"),
        ("口令 abc123", "口令 •••"),
    ],
)
def test_neither_what_stands_beside_nor_the_way_of_writing_hides_it(text: str, left: str) -> None:
    assert cleaned(text).value == left
    assert cleaned(left).value == left


@pytest.mark.parametrize(
    "text",
    [
        "call me on +8613800138000 or +44 20 7946 0958",
        "it was 2026-11-28T07:26:54.123Z, i.e. 1764314814123",
        "order A-123456 of 2026-11-28 07:26:54",
        "550e8400-e29b-41d4-a716-446655440000",
        "in_41111111111111114111",
        "ho_0741111111111111114111",
        "jr_4929724812467731492972",
        "id 4929724812467731abcdef49297248",
        "电话是010-56877587,010-56877158。",
        "my password is not working",
        "my password expired 3 days ago",
        "password reset v2",
        "密码6位数",
        "密码输错3次",
        "from 9:15 to 10:00, 10:45 to 11:30, 12:15 to 13:00",
        "rooms 4929; 7248; 1246; 7731",
        "+8613800138000, 2026 or +86 138 0013 8000 512",
        "+8613800138000; +8613800138001",
        "密码是多少?",
        "password是什么",
        "shopping 4711, spinning 123",
        "the pin is wrong",
        "for 4 people at 5:30 pm",
        "confirmation number 123456",
        "shipping to 100080, 12 boxes",
        "我想知道一下我的订单",
        "¥1234 was paid",
        "",
    ],
)
def test_what_is_something_else_stays(text: str) -> None:
    assert cleaned(text).value == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("your verification code is 482913", "your verification code is •••"),
        ("验证码 482913,勿告诉他人", "验证码 •••,勿告诉他人"),
        ("482913 is your one-time code", "••• is your one-time code"),
        ("482913是您的验证码", "•••是您的验证码"),
        ("my password is hunter2", "my password is •••"),
        ("密码是abc123", "密码是•••"),
        ("password: s3cret!", "password: •••"),
        ("my PIN is 4321", "my PIN is •••"),
        ("cvv one two three", "cvv •••"),
        ("安全码是一二三", "安全码是•••"),
        (";4929724812467731=27121010000012345678?", "•••"),
        ("%B4929724812467731^DOE/JOHN^271210100000?", "•••"),
        (f"{PAN} 12/27 123", f"{SHOWN} •••"),
        (f"{PAN}1227123", "•••• 7731"),
        (f"pay $500 with {PAN}", f"pay $500 with {SHOWN}"),
        ("我的PIN是4711", "我的PIN是•••"),
        ("卡的cvv是123，谢谢", "卡的cvv是•••，谢谢"),
        ("短信otp：482913", "短信otp：•••"),
        ("我的password是hunter2", "我的password是•••"),
        ("CVV123", "CVV•••"),
        ("user_pin=4711", "user_pin=•••"),
    ],
)
def test_secrets_leave_nothing(text: str, left: str) -> None:
    clean = cleaned(text)
    assert clean.value == left
    assert clean.findings


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("my PIN is 4711, I need 1200 tickets", "my PIN is •••, I need 1200 tickets"),
        ("你的验证码 482913，订单 12345 到了吗", "你的验证码 •••，订单 12345 到了吗"),
        ("4711 is my PIN, room 1234", "••• is my PIN, room 1234"),
        ("cvv 123 and 456 people", "cvv ••• and 456 people"),
        ("otp 482913 pin 4711", "otp ••• pin •••"),
        ("4711 is my PIN, 1234 is the room", "••• is my PIN, ••• is the room"),
        ("the PIN for •••• 7731 is 4711", "the PIN for •••• 7731 is •••"),
    ],
)
def test_what_the_client_has_cleaned_loses_nothing_more_in_the_hub(text: str, once: str) -> None:
    assert cleaned(text).value == once
    assert cleaned(once).value == once


@pytest.mark.parametrize(
    "text",
    [
        "otp 482913pin: 471",
        "cvv 123 4711pin 471",
        f"password is 2222 222^LI/NA^2912101?;{PAN}=2912101?0",
        "••• 1234242 ••• 12/29 otp 482913pin: 471密",
    ],
)
def test_what_comes_to_light_only_after_something_else_went_goes_at_once(text: str) -> None:
    once = cleaned(text)
    assert once.findings
    assert cleaned(once.value) == (once.value, ())


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"name": "cvv", "value": "123"}, {"name": "cvv", "value": "•••"}),
        ({"prompt": "PIN", "value": [1, 2, 3, 4]}, {"prompt": "PIN", "value": "•••"}),
        (
            {"card": {"number": PAN, "exp": "12/27", "code": 123}},
            {"card": {"number": SHOWN, "exp": "•••", "code": "•••"}},
        ),
        ({"part1": PAN[:8], "part2": PAN[8:]}, {"part1": "••••", "part2": "••••"}),
        ({PAN: 1}, {SHOWN: 1}),
        ({"n": int(PAN)}, {"n": SHOWN}),
        ({"n": float(PAN[:15])}, {"n": float(PAN[:15])}),
        ([*PAN], [SHOWN]),
        ({"otp": None, "pin": True}, {"otp": None, "pin": True}),
    ],
)
def test_names_give_away_what_a_value_is(value: Any, left: Any) -> None:
    assert cleaned(value).value == left


def test_findings_tell_what_it_was_and_never_the_value() -> None:
    findings = cleaned({"text": f"{PAN} cvv 123", "pin": "4321"}).findings
    assert [(finding.kind, finding.last4) for finding in findings] == [
        ("card", "7731"),
        ("security_code", ""),
        ("pin", ""),
    ]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(_json, st.sampled_from([PAN, "6212261234567890128"[:16], "371449635398431"]), st.integers(0, 3))
def test_wherever_it_is_nested_a_number_is_found_and_cleaning_again_changes_nothing(
    value: Any, number: str, depth: int
) -> None:
    nested: Any = {"found": f"x {number} y"}
    for _ in range(depth):
        nested = [nested, value]
    clean = cleaned({"here": nested, "beside": value})
    if number_in(number):
        assert number not in json.dumps(clean.value)
    assert cleaned(clean.value).value == clean.value


@settings(deadline=None, max_examples=60)
@given(_json)
def test_what_holds_nothing_comes_back_as_it_is(value: Any) -> None:
    clean = cleaned(value)
    assert clean.findings or clean.value is value


def test_what_is_nested_without_end_is_refused() -> None:
    deep: Any = PAN
    for _ in range(200):
        deep = [deep]
    with pytest.raises(Invalid):
        cleaned(deep)


@pytest.mark.parametrize(
    "text",
    [
        "pin 1 ",
        f"{PAN} ",
        "4 ",
        "password ",
        "4929 ",
        f"cvv 12 {PAN} ",
        f"a{PAN}b",
        "一",
        "one ",
        "1",
        f"%B{PAN}^",
        f"{PAN}=",
        "password: ",
        "2026-11-28 ",
        "验证码1",
        "010-56877587,",
    ],
)
def test_no_text_takes_time_out_of_proportion(text: str) -> None:
    def seconds(length: int) -> float:
        told = text * (length // len(text))
        return min(timeit.repeat(lambda: cleaned(told), timer=time.process_time, number=1, repeat=3))

    short, long = seconds(4_000), seconds(32_000)
    assert long < 20 * short + 0.05  # eight times as long; what grows with the square takes 64 times as much


def test_what_is_shown_of_a_number_is_known_as_such() -> None:
    assert last4_of(SHOWN) == "7731"
    assert last4_of(PAN) is None


class TestFormats:
    """What a tenant may declare."""

    @pytest.mark.parametrize("pattern", [*FORMATS, r"[A-Z]{2}\d{6,8}", r"\d{8}", r"AB?\d{4}", r"\d{3}-\d{4}"])
    def test_a_bounded_pattern_is_taken(self, pattern: str) -> None:
        assert NumberFormat(name="n", pattern=pattern).pattern == pattern

    @pytest.mark.parametrize(
        ("pattern", "why"),
        [
            (r"\d{16}", "card numbers would fit"),
            (r"4\d{15}", "card numbers would fit"),
            (r"\d{13,19}", "card numbers"),
            (r"\d*", "write letters"),
            (r"(a+)+", "write letters"),
            (r"a|b", "write letters"),
            (r"\d{10,12}\d{1,3}\d{1,3}A", "two"),
            (r"A\d{99}", "64"),
            (r"A\d{8,6}", "more than it allows"),
            ("ABC", "has digits"),
            ("", "has digits"),
            ("A[", "write"),
        ],
    )
    def test_what_may_take_long_or_would_let_cards_through_is_refused(self, pattern: str, why: str) -> None:
        with pytest.raises(ValueError, match=why):
            NumberFormat(name="n", pattern=pattern)
