"""Calendars, against a slow oracle that looks at the clock on the wall every minute."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ctxhub.model.calendar import AHEAD, WEEKDAYS, Calendar, instant
from ctxhub.model.official_days import NoCountry, official_days
from tests.support import DAY, HOUR, MINUTE

EXAMPLES = int(os.environ.get("CALENDARS", "30"))
#: Zones and a day in each around which something happens to the clock: nothing, an hour, half an hour, a whole day.
TURNS = [
    ("Asia/Shanghai", date(2026, 2, 14)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("Africa/Cairo", date(2026, 10, 30)),
    ("Pacific/Apia", date(2011, 12, 30)),
]
#: Days that the oracle watches.
LONG = 4


def a_calendar(zone: str = "Asia/Shanghai", **more: Any) -> Calendar:
    """An office with a lunch break, from Monday to Friday, unless said otherwise."""
    hours = {weekday: ["08:30-12:00", "13:00-18:00"] for weekday in WEEKDAYS[:5]}
    return Calendar.model_validate({"timezone": zone, "hours": hours} | more)


def shanghai(text: str) -> datetime:
    """An instant by the clock of Shanghai."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)


def of_day(calendar: Calendar, day: date) -> list[str]:
    """The hours of a day, read off the declaration in the plainest way."""
    if day in calendar.workdays:
        return calendar.hours.get(calendar.workdays_like, [])
    return [] if day in calendar.holidays else calendar.hours.get(WEEKDAYS[day.weekday()], [])


def watched(calendar: Calendar, first: datetime, minutes: int) -> Iterator[bool]:
    """Whether it is open at each minute, by somebody who opens and shuts the door as the clock on the wall says."""
    zone = ZoneInfo(calendar.timezone)
    begun = first - 4 * DAY
    days = [begun.astimezone(zone).date() + timedelta(days=n) for n in range(-2, LONG + 8)]
    due = []
    for day in days:
        midnight = datetime(day.year, day.month, day.day)
        for hours in of_day(calendar, day):
            opens, shuts = (timedelta(hours=int(t[:2]), minutes=int(t[3:])) for t in hours.split("-"))
            due.append([midnight + opens, midnight + shuts + (DAY if shuts <= opens else timedelta(0)), False, False])
    for minute in range(minutes + 4 * 24 * 60):
        at = begun + minute * MINUTE
        wall = at.astimezone(zone).replace(tzinfo=None)
        for shift in due:
            shift[2] = shift[2] or wall >= shift[0]
            shift[3] = shift[3] or wall >= shift[1]
        due = [shift for shift in due if not shift[3]]
        barred = any(one.from_ <= at < one.until for one in calendar.closed)
        if at >= first:
            yield not barred and any(shift[2] for shift in due)


@st.composite
def hours_of_a_week(draw: st.DrawFn) -> dict[str, list[str]]:
    """Hours, of which some run over midnight, some end at it and some follow each other without a gap."""
    texts = st.sampled_from(["00:00-24:00", "08:30-12:00", "13:00-18:00", "01:15-02:45", "02:10-02:20", "22:00-02:30",
                             "23:30-00:30", "00:00-00:30", "12:00-13:00", "02:30-05:00", "20:00-24:00"])  # fmt: skip
    return draw(st.dictionaries(st.sampled_from(WEEKDAYS), st.lists(texts, min_size=1, max_size=3), min_size=2))


@st.composite
def calendars(draw: st.DrawFn) -> tuple[Calendar, datetime]:
    """A calendar, and an instant two days before something happens to its clock."""
    zone, day = draw(st.sampled_from(TURNS))
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - 2 * DAY
    near = st.integers(-3, 4).map(lambda n: day + timedelta(days=n))
    workdays = draw(st.lists(near, max_size=2, unique=True))
    holidays = [one for one in draw(st.lists(near, max_size=2, unique=True)) if one not in workdays]
    begins = draw(st.lists(st.integers(0, LONG * 24 * 60), max_size=2))
    closed = [{"from": first + n * MINUTE, "until": first + n * MINUTE + draw(st.integers(1, 900)) * MINUTE}
              for n in begins]  # fmt: skip
    hours = draw(hours_of_a_week())
    like = draw(st.sampled_from(sorted(hours)))
    return a_calendar(zone, hours=hours, holidays=holidays, workdays=workdays, workdays_like=like, closed=closed), first


@settings(max_examples=EXAMPLES, deadline=None)
@given(calendars())
def test_it_is_open_whenever_the_oracle_holds_the_door(made: tuple[Calendar, datetime]) -> None:
    calendar, first = made
    door = list(watched(calendar, first, LONG * 24 * 60))
    turns = [n for n in range(1, len(door)) if door[n] != door[n - 1]]
    looked = {0, *turns, *(n - 1 for n in turns), *range(0, len(door), 331)}
    for minute in sorted(looked):
        at = first + minute * MINUTE
        assert calendar.open_at(at) == door[minute], at
        later = next((first + n * MINUTE for n in turns if n > minute), None)
        if later is not None:
            assert calendar.opens_at(at) == (None if door[minute] else later), at
            assert calendar.closes_at(at) == (later if door[minute] else None), at


def test_the_oracle_sees_a_calendar_that_is_an_hour_off() -> None:
    calendar, first = a_calendar(), shanghai("2026-11-23T00:00")
    door = list(watched(calendar, first, 24 * 60))
    off = a_calendar(hours={"mon": ["09:30-12:00", "13:00-18:00"]})
    assert [off.open_at(first + n * MINUTE) for n in range(24 * 60)] != door
    assert [calendar.open_at(first + n * MINUTE) for n in range(24 * 60)] == door


def test_the_night_before_a_holiday_runs_to_its_end_and_the_holiday_s_own_does_not_begin() -> None:
    nights = a_calendar(hours={"wed": ["22:00-06:00"], "thu": ["22:00-06:00"]}, holidays=["2026-11-26"])
    assert nights.open_at(shanghai("2026-11-26T05:59"))
    assert not nights.open_at(shanghai("2026-11-26T06:00"))
    assert nights.opens_at(shanghai("2026-11-26T06:00")) == shanghai("2026-12-02T22:00")


def test_days_that_follow_each_other_at_midnight_are_one_stretch() -> None:
    both = a_calendar(hours={"mon": ["20:00-24:00"], "tue": ["00:00-04:00"]})
    assert both.closes_at(shanghai("2026-11-23T21:00")) == shanghai("2026-11-24T04:00")
    always = a_calendar(hours={weekday: ["00:00-24:00"] for weekday in WEEKDAYS})
    assert (always.opens_at(shanghai("2026-11-23T21:00")), always.closes_at(shanghai("2026-11-23T21:00"))) == (
        None,
    ) * 2


def test_hours_that_the_clock_skips_are_not_there_and_those_it_cuts_begin_with_the_jump() -> None:
    zone, spring = ZoneInfo("America/New_York"), date(2026, 3, 8)
    assert instant(zone, spring, 150) == datetime(2026, 3, 8, 7, tzinfo=UTC)
    skipped = a_calendar("America/New_York", hours={"sun": ["02:15-02:45"]})
    assert skipped.opens_at(datetime(2026, 3, 8, 5, tzinfo=UTC)) == datetime(2026, 3, 15, 6, 15, tzinfo=UTC)


def test_of_an_hour_that_comes_twice_the_first_pass_counts() -> None:
    calendar = a_calendar("America/New_York", hours={"sun": ["01:15-01:45"]})
    first_pass, second_pass = datetime(2026, 11, 1, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    assert (calendar.open_at(first_pass), calendar.open_at(second_pass)) == (True, False)


def test_china_s_holidays_close_it_and_the_working_days_made_up_for_them_open_it() -> None:
    china = a_calendar(holidays="CN")
    assert china.opens_at(shanghai("2026-09-30T18:00")) == shanghai("2026-10-08T08:30")
    assert china.open_at(shanghai("2026-10-10T09:00")), "a Saturday that is worked for the National Day's sake"
    assert not china.open_at(shanghai("2026-10-17T09:00")), "a Saturday as any other"
    assert not a_calendar().open_at(shanghai("2026-10-10T09:00")), "without the country nothing is made up"


def test_what_a_company_says_goes_before_what_is_official() -> None:
    mine = a_calendar(holidays=["CN", "2026-10-10"], workdays=["2026-10-01"], workdays_like="tue")
    assert mine.open_at(shanghai("2026-10-01T09:00"))
    assert not mine.open_at(shanghai("2026-10-10T09:00"))


def test_a_part_of_a_country_has_holidays_of_its_own() -> None:
    assert date(2026, 1, 6) in official_days("DE-BY", 2026).off
    assert date(2026, 1, 6) not in official_days("DE-HH", 2026).off
    with pytest.raises(NoCountry):
        official_days("DE-XX", 2026)


def test_a_closing_says_why_and_cuts_a_day_in_two() -> None:
    closing = {"from": "2026-11-23T10:00:00", "until": "2026-11-23T11:00:00+08:00", "reason": "fire drill"}
    calendar = a_calendar(closed=[closing])
    at = shanghai("2026-11-23T10:30")
    assert (calendar.open_at(at), calendar.closed_for(at)) == (False, "fire drill")
    assert calendar.closes_at(shanghai("2026-11-23T09:00")) == shanghai("2026-11-23T10:00")
    assert calendar.opens_at(at) == shanghai("2026-11-23T11:00")
    assert calendar.closed_for(at + HOUR) is None


def test_an_opening_is_looked_for_sixty_days_ahead_and_no_further() -> None:
    now = shanghai("2026-11-23T20:00")
    long = {"until": (now + AHEAD + DAY).isoformat(), "from": now.isoformat()}
    assert a_calendar(closed=[long]).opens_at(now) is None
    nearly = {"until": (now + AHEAD - DAY).isoformat(), "from": now.isoformat()}
    assert a_calendar(closed=[nearly]).opens_at(now) is not None


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"timezone": "Mars/Base"}, "is not a time zone"),
        ({"hours": {"mon": ["25:00-26:00"]}}, "are no hours such as"),
        ({"hours": {"mon": ["08:60-09:00"]}}, "are no hours such as"),
        ({"hours": {"mon": ["08:00-24:30"]}}, "are no hours such as"),
        ({"hours": {"mon": ["24:00-08:00"]}}, "are no hours such as"),
        ({"hours": {"mon": ["8-17"]}}, "are no hours such as"),
        ({"hours": {"mon": ["08:00-08:00"]}}, "ends as it begins"),
        ({"hours": {"monday": ["08:00-09:00"]}}, "should be 'mon'"),
        ({"hours": {"mon": []}}, "at least one weekday"),
        ({"hours": {}}, "at least 1"),
        ({"holidays": [False]}, "in quotes"),
        ({"holidays": ["China"]}, "pattern"),
        ({"holidays": ["2026-02-30"]}, "pattern"),
        ({"workdays": ["tomorrow"]}, "valid date"),
        ({"closed": [{"from": "2026-11-23"}]}, "required"),
    ],
)
def test_what_is_impossible_is_refused(more: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        a_calendar(**more)
