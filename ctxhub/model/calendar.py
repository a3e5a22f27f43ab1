"""Calendars: when a queue is open, by the clock of a place, with holidays, made-up working days and closings.

An opening time counts from the first moment at which the clock of the place shows it. What the clock skips in spring
counts as the moment of the jump; of an hour that comes twice in autumn, the first pass counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from ctxhub.model.official_days import official_days
from ctxhub.model.value import Text, Value

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: How far ahead the next opening is looked for.
AHEAD = timedelta(days=60)
_DAY = 24 * 60
_ONE_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_HOURS = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$")
#: Before and after today by its own clock a day may still count: nights run over, and clocks jump by up to a day.
_AROUND = 2


def _on_the_map(name: str) -> str:
    """Refuse what is no time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone such as Asia/Shanghai") from error
    return name


def _possible(hours: str) -> str:
    """Refuse hours that no day has, and those that end as they begin."""
    if not _HOURS.match(hours):
        raise ValueError(f"{hours!r} are no hours such as 08:30-12:00, up to 24:00 at most")
    if hours[:5] == hours[6:]:
        raise ValueError(f"{hours!r} ends as it begins; a whole day is 00:00-24:00")
    return hours


def _in_quotes(place: Any) -> Any:
    """Refuse a country that YAML reads as something else: Norway's is `no`."""
    if isinstance(place, bool):
        raise ValueError("write a country's two capital letters in quotes")
    return place


def _as_list(days: Any) -> Any:
    """Read a country alone as a list of one."""
    return [days] if isinstance(days, str) else days


#: A time zone by its IANA name: times are said in it.
Timezone = Annotated[str, AfterValidator(_on_the_map)]
#: From when until when, by the clock; an end before the beginning is on the next day.
OpeningHours = Annotated[str, AfterValidator(_possible)]
#: A country, or a part of it, whose official days count.
Place = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}(-[A-Za-z0-9]{1,6})?$")]
Holiday = Annotated[date | Place, BeforeValidator(_in_quotes)]


class Span(NamedTuple):
    """A time from an instant up to another, without that."""

    begins: datetime
    ends: datetime


class Closing(Value):
    """A time for which it is closed beside its calendar, and why; without an offset by the clock of the calendar."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    from_: datetime = Field(alias="from")
    until: datetime
    reason: Text | None = None


class Calendar(Value):
    """When a place is open: hours by weekday; a made-up working day has those of the day that it is `workdays_like`.

    What is named here goes before a country's official days.
    """

    timezone: Timezone
    hours: dict[Weekday, list[OpeningHours]] = Field(min_length=1)
    holidays: Annotated[list[Holiday], BeforeValidator(_as_list)] = []
    workdays: list[date] = []
    workdays_like: Weekday = "mon"
    closed: list[Closing] = []

    @model_validator(mode="after")
    def _opens_at_all(self) -> Calendar:
        """Refuse a calendar without any hours."""
        if not any(self.hours.values()):
            raise ValueError("name at least one weekday's hours")
        return self

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone whose clock counts."""
        return ZoneInfo(self.timezone)

    @cached_property
    def closings(self) -> tuple[tuple[Span, str | None], ...]:
        """The closings as instants, each with its reason."""
        found = zip(self.closed_spans, (one.reason for one in self.closed), strict=True)
        return tuple(sorted(found, key=lambda closing: closing[0]))

    @property
    def closed_spans(self) -> list[Span]:
        """The closings as instants, as they are declared."""
        return [Span(self._at(one.from_), self._at(one.until)) for one in self.closed]

    @property
    def places(self) -> list[str]:
        """The countries whose official days count."""
        return [holiday for holiday in self.holidays if isinstance(holiday, str)]

    def hours_of(self, day: date) -> list[OpeningHours]:
        """Return the hours that begin on a day."""
        if day in self.workdays:
            return self.hours.get(self.workdays_like, [])
        if day in self.holidays:
            return []
        official = [official_days(place, day.year) for place in self.places]
        if any(day in days.worked for days in official):
            return self.hours.get(self.workdays_like, [])
        if any(day in days.off for days in official):
            return []
        return self.hours.get(WEEKDAYS[day.weekday()], [])

    def open_at(self, now: datetime) -> bool:
        """Tell whether it is open at an instant."""
        is_closed = any(span.begins <= now < span.ends for span, _ in self.closings)
        around = self._by_hours(_today(now, self.zone) - _AROUND * _ONE_DAY, 2 * _AROUND + 1)
        return not is_closed and any(span.begins <= now < span.ends for span in around)

    def opens_at(self, now: datetime) -> datetime | None:
        """Return when it opens next; None where it is open, or not before 60 days are over."""
        first = None if self.open_at(now) else next(self.stretches(now), None)
        return first.begins if first else None

    def closes_at(self, now: datetime) -> datetime | None:
        """Return when it closes; None where it is closed, or open for 60 days and more."""
        first = next(self.stretches(now), None)
        is_open = first is not None and first.begins <= now
        return first.ends if first and is_open and first.ends < now + AHEAD else None

    def closed_for(self, now: datetime) -> str | None:
        """Return the reason of a closing that lasts now."""
        return next((why for span, why in self.closings if span.begins <= now < span.ends), None)

    def stretches(self, now: datetime) -> Iterator[Span]:
        """Yield when it is open from now on, each time without a gap, for 60 days; the first may have begun before."""
        whole = _joined(self._by_hours(_today(now, self.zone) - _AROUND * _ONE_DAY, AHEAD.days + 2 * _AROUND))
        for span in _without(whole, [closing for closing, _ in self.closings]):
            if span.begins >= now + AHEAD:
                return
            if span.ends > now:
                yield span

    def _by_hours(self, first: date, days: int) -> Iterator[Span]:
        """Yield when it is open by its hours on so many days, in order; nothing that the clock skips."""
        for day in (first + number * _ONE_DAY for number in range(days)):
            for begins, ends in sorted(_minutes(hours) for hours in self.hours_of(day)):
                span = Span(instant(self.zone, day, begins), instant(self.zone, day, ends))
                if span.begins < span.ends:
                    yield span

    def _at(self, when: datetime) -> datetime:
        """Return the instant of a closing's begin or end."""
        if when.tzinfo is not None:
            return when.astimezone(UTC)
        return _first(self.zone, when)


def overlapping(calendar: Calendar) -> Iterator[tuple[Weekday, int, str]]:
    """Yield the hours of a usual week that begin before others are over, by weekday and place, and those others."""
    week = sorted(
        (number * _DAY + begins, number * _DAY + ends, weekday, place, hours)
        for number, weekday in enumerate(WEEKDAYS)
        for place, hours in enumerate(calendar.hours.get(weekday, []))
        for begins, ends in [_minutes(hours)]
    )
    first_again = [(week[0][0] + 7 * _DAY, *week[0][1:])] if len(week) > 1 else []
    for before, after in pairwise([*week, *first_again]):
        if after[0] < before[1]:
            yield after[2], after[3], f"{before[4]} of {before[2]}"


def instant(zone: ZoneInfo, day: date, minutes: int) -> datetime:
    """Return the first moment at which the clock of a place shows so many minutes after a day's midnight, or more."""
    return _first(zone, datetime.combine(day, time()) + timedelta(minutes=minutes))


def _first(zone: ZoneInfo, wall: datetime) -> datetime:
    """Return the first moment at which the clock of a place shows this time, or a later one."""
    latest = wall.replace(tzinfo=zone).astimezone(UTC)
    if _shown(latest, zone) == wall:
        return latest
    earliest = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while latest - earliest > _SECOND:  # the clock skips this time; the jump lies between these two
        middle = earliest + (latest - earliest) / 2
        earliest, latest = (earliest, middle) if _shown(middle, zone) >= wall else (middle, latest)
    return latest.replace(microsecond=0)


def _shown(at: datetime, zone: ZoneInfo) -> datetime:
    """Return what the clock of a place shows."""
    return at.astimezone(zone).replace(tzinfo=None)


def _today(now: datetime, zone: ZoneInfo) -> date:
    """Return the day that it is in a place."""
    return now.astimezone(zone).date()


def _minutes(hours: str) -> tuple[int, int]:
    """Return hours as minutes after midnight; those that run over midnight end on the next day."""
    begins, ends = (int(hours[at : at + 2]) * 60 + int(hours[at + 3 : at + 5]) for at in (0, 6))
    return begins, ends if ends > begins else ends + _DAY


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans in order of their beginnings, those that touch or overlap as one."""
    last: Span | None = None
    for span in spans:
        if last is None or span.begins > last.ends:
            if last is not None:
                yield last
            last = span
        else:
            last = Span(last.begins, max(last.ends, span.ends))
    if last is not None:
        yield last


def _without(spans: Iterable[Span], closings: list[Span]) -> Iterator[Span]:
    """Yield what closings, in order, leave of spans."""
    for span in spans:
        for closing in closings:
            if closing.begins < span.ends and closing.ends > span.begins:
                if span.begins < closing.begins:
                    yield Span(span.begins, closing.begins)
                span = Span(max(closing.ends, span.begins), span.ends)
        if span.begins < span.ends:
            yield span
