"""Times as they are said to customers."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ctxhub.model.said_time import said_at

EVENING = datetime(2027, 2, 28, 22, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "language", "words"),
    [
        ("Asia/Shanghai", "en-GB", "on Monday, 1 March at 06:30"),
        ("Asia/Shanghai", "zh-CN", "3月1日周一06:30"),
        ("Asia/Shanghai", "cmn-Hans-CN", "3月1日周一06:30"),
        ("Europe/Paris", "fr", "on Sunday, 28 February at 23:30"),
    ],
)
def test_a_time_is_said_by_the_clock_of_the_place(zone: str, language: str, words: str) -> None:
    assert said_at(EVENING, ZoneInfo(zone), language) == words
