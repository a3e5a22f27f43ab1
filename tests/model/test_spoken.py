"""Values said aloud, in both languages."""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctxhub.model.spoken import Aloud, Tongue

SHANGHAI = ZoneInfo("Asia/Shanghai")
ENGLISH = Aloud("en", "CN", SHANGHAI)
CHINESE = Aloud("zh", "CN", SHANGHAI)

SAID: list[tuple[str, Any, str, str]] = [
    ("order_id", "A-17", "A, 1 7", "A，1 7"),
    ("order_id", "ORD-2024-7731", "O R D, 2 0 2 4, 7 7 3 1", "O R D，2 0 2 4，7 7 3 1"),
    ("orderId", 10032145, "1 0 0 3, 2 1 4 5", "1 0 0 3，2 1 4 5"),
    ("flight", "MU5137", "M U 5 1 3 7", "M U 5 1 3 7"),
    ("device", "iPhone15", "iPhone15", "iPhone15"),
    ("zip", "0451", "0 4 5 1", "0 4 5 1"),
    ("whatever", "12345", "1 2 3 4 5", "1 2 3 4 5"),
    ("phone", "+8613800138000", "1 3 8, 0 0 1 3, 8 0 0 0", "1 3 8，0 0 1 3，8 0 0 0"),
    ("手机号", 13800138000, "1 3 8, 0 0 1 3, 8 0 0 0", "1 3 8，0 0 1 3，8 0 0 0"),
    ("phone", "+1 (415) 555-0100", "plus 1, 4 1 5, 5 5 5, 0 1 0 0", "加1，4 1 5，5 5 5，0 1 0 0"),
    ("phone", "010-62345678", "0 1 0, 6 2 3 4, 5 6 7 8", "0 1 0，6 2 3 4，5 6 7 8"),
    ("card_last4", "7731", "ending in 7 7 3 1", "尾号 7 7 3 1"),
    ("卡号后四位", "7731", "ending in 7 7 3 1", "尾号 7 7 3 1"),
    ("card", "**** **** **** 7731", "ending in 7 7 3 1", "尾号 7 7 3 1"),
    ("card", "622202••••••7731", "ending in 7 7 3 1", "尾号 7 7 3 1"),
    ("card", "XXXX-7731", "ending in 7 7 3 1", "尾号 7 7 3 1"),
    ("card_number", "6222 0212 3456 7731", "ending in 7 7 3 1", "尾号 7 7 3 1"),
    ("iban", "DE89370400440532013000", "ending in 3 0 0 0", "尾号 3 0 0 0"),
    ("amount", 48200, "48,200", "48200"),
    ("amount", "48200", "48,200", "48200"),
    ("amount", "48,200 yen", "48,200 yen", "48200日元"),
    ("amount", "¥48200", "48,200 yuan", "48200元"),
    ("amount", "100元", "100 yuan", "100元"),
    ("amount", "$1", "1 dollar", "1美元"),
    ("amount", "$1,234.50", "1,234 dollars and 50 cents", "1234.50美元"),
    ("amount", "EUR 15.01", "15 euros and 1 cent", "15.01欧元"),
    ("amount", "£7.00", "7 pounds", "7.00英镑"),
    ("amount", "HK$300", "300 Hong Kong dollars", "300港元"),
    ("amount", {"amount": 12.5, "currency": "EUR"}, "12.5 euros", "12.5欧元"),
    ("amount", {"amount": "1,200", "currency": "cny"}, "1,200 yuan", "1200元"),
    ("share", "15%", "15 percent", "百分之15"),
    ("people", 3, "3", "3"),
    ("temperature", -5.25, "minus 5.25", "负5.25"),
    ("order_amount", 100, "100", "100"),
    ("year", "2026", "2026", "2026"),
    ("year", 2026, "2026", "2026"),
    ("day", "2026-11-24", "24 November 2026", "2026年11月24日"),
    ("at", "2026-11-24T10:30:00Z", "24 November 2026 at 6:30 pm", "2026年11月24日晚上6点30分"),
    ("at", "2026-11-24T10:30", "24 November 2026 at 10:30 am", "2026年11月24日上午10点30分"),
    ("time", "14:30", "2:30 pm", "下午2点30分"),
    ("time", "00:05", "12:05 am", "凌晨0点5分"),
    ("time", "12:00", "12 pm", "中午12点"),
    ("day", "2026-13-45", "2 0 2 6, 1 3 4 5", "2 0 2 6，1 3 4 5"),
    ("email", "ann.b@example.com", "ann dot b at example dot com", "ann 点 b 艾特 example 点 com"),
    ("agreed", True, "yes", "是"),
    ("agreed", False, "no", "否"),
    ("nothing", None, "none", "无"),
    ("colours", ["red", "blue"], "red, blue", "red、blue"),
    ("payout", {"bank": "ICBC", "account": "6222021234567731"}, "bank ICBC, account ending in 7 7 3 1",
     "bank ICBC、account 尾号 7 7 3 1"),
    ("country", "Portugal", "Portugal", "Portugal"),
    ("company", "R&D (Lisboa) <Ltd>", "R and D, Lisboa, Ltd", "R和D，Lisboa，Ltd"),
    ("text", "<b>bold</b> *stars* https://example.com/a?b=c", "bold stars a link", "bold stars 链接"),
    ("text", "my order 20391234 of card 6222021234567731", "my order 2 0 3 9, 1 2 3 4 of card ending in 7 7 3 1",
     "my order 2 0 3 9，1 2 3 4 of card 尾号 7 7 3 1"),
    ("text", "well 😀\u200b done\u202e", "well done", "well done"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "english", "chinese"), SAID)
def test_a_value_is_said_as_people_say_it(name: str, value: Any, english: str, chinese: str) -> None:
    assert ENGLISH.value(value, name) == english
    assert CHINESE.value(value, name) == chinese


@pytest.mark.parametrize(
    ("tongue", "region", "said"),
    [("en", "CN", "5 yuan"), ("en", "JP", "5 yen"), ("en", None, "5 yen"), ("zh", None, "5元"), ("zh", "JP", "5日元")],
)
def test_one_sign_of_two_currencies_is_read_by_the_country(tongue: Tongue, region: str | None, said: str) -> None:
    assert Aloud(tongue, region).value("¥5") == said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
TONGUES: list[Tongue] = ["en", "zh"]


@given(JSON, st.text(max_size=30), st.sampled_from(TONGUES))
def test_whatever_the_value_it_is_said_without_markup_and_loses_nothing_in_a_sentence(
    value: Any, name: str, tongue: Tongue
) -> None:
    aloud = Aloud(tongue)
    said = aloud.value(value, name)
    assert not re.search(r"[<>&()\[\]{}（）【】*_#`|\\^~\"＜＞＆\n\r\t]", said)
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in said)
    assert [char for char in aloud.plain(said) if char.isalnum()] == [char for char in said if char.isalnum()]


@given(st.integers(10**12, 10**25))
def test_a_very_long_number_is_never_said_in_full(number: int) -> None:
    for name in ("card_number", "account", "text"):
        assert re.sub(r"\D", "", ENGLISH.value(str(number), name)) == str(number)[-4:]


@given(st.text("0123456789", min_size=5, max_size=11))
def test_a_code_keeps_every_digit(digits: str) -> None:
    assert re.sub(r"\D", "", ENGLISH.value(digits, "reference")) == digits
    assert not re.search(r"\d\d", ENGLISH.value(digits, "reference"))
