"""The small types that all values are made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ctxhub.model.value import (
    Channel,
    CustomerId,
    Id,
    Instant,
    Language,
    Name,
    TenantId,
    Text,
    Value,
    rfc3339,
    to_millis,
)
from tests.support import NOON


class Point(Value):
    """A value for these tests."""

    x: int
    at: Instant = NOON


def test_a_value_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Point(x=1).x = 2  # type: ignore[misc]


def test_what_it_does_not_know_is_refused() -> None:
    with pytest.raises(ValidationError):
        Point.model_validate({"x": 1, "y": 2})


def test_but_changes_a_copy() -> None:
    point = Point(x=1)
    assert (point.but(x=2).x, point.x) == (2, 1)


def test_an_instant_is_in_utc_and_in_milliseconds() -> None:
    there = datetime(2026, 11, 22, 20, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=8)))
    assert Point(x=1, at=there).at == datetime(2026, 11, 22, 12, 0, 0, 123_000, tzinfo=UTC)
    assert Point(x=1, at=there).model_dump_json() == '{"x":1,"at":"2026-11-22T12:00:00.123Z"}'


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs an offset"):
        Point.model_validate({"x": 1, "at": "2026-11-22T12:00:00"})


@pytest.mark.parametrize("at", [0, 1669111111, 1.5, True, "0", "1669111111", "-5"])
def test_an_instant_that_is_a_number_is_refused(at: Any) -> None:
    with pytest.raises(ValidationError, match="written as in RFC 3339"):
        Point.model_validate({"x": 1, "at": at})


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_instant_at_the_end_of_time_is_refused_not_a_fault(at: str) -> None:
    with pytest.raises(ValidationError):
        Point.model_validate({"x": 1, "at": at})


def test_written_and_read_an_instant_is_the_same() -> None:
    at = to_millis(datetime(2026, 11, 22, 12, 0, 0, 987_654, tzinfo=UTC))
    assert datetime.fromisoformat(rfc3339(at)) == at


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (Name, ["a", "x" * 200, "城市", "a.b/c", "😀"], ["", "x" * 201, "a\x00", "a\nb", "\x7f", "\x85"]),
        (Id, ["a", "x" * 128], ["", "x" * 129, "a\tb"]),
        (Text, ["", "x" * 65_536, "é" * 32_768, "a\nb"], ["x" * 65_537, "é" * 32_769]),
        (CustomerId, ["c42", "a@b.c", "x" * 128, "_-"], ["", "x" * 129, "a b", "a:b", "a/b", "ü", "a\n"]),
        (TenantId, ["acme", "a-1", "x" * 40], ["", "x" * 41, "Acme", "a_b", "a:b", "a\n"]),
        (Channel, ["ivr", "my_channel-2"], ["", "2ivr", "IVR", "x" * 41, "ivr\n"]),
        (Language, ["en", "zh-CN", "zh-Hans-CN"], ["", "e", "english", "zh_CN", "en\n"]),
    ],
)
def test_names_and_ids_keep_to_their_form(type_: Any, good: list[str], bad: list[str]) -> None:
    adapter = TypeAdapter(type_)
    assert [adapter.validate_python(text) for text in good] == good
    for text in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)
