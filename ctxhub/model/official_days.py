"""Official days: holidays as a country has them, and the working days that it makes up for them."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import NamedTuple


class OfficialDays(NamedTuple):
    """A year's days off, and its days at a weekend that are worked instead."""

    off: frozenset[date]
    worked: frozenset[date]


class NoCountry(ValueError):
    """Nothing is known of a country's holidays, or of a part's of it."""


@lru_cache(maxsize=256)
def official_days(place: str, year: int) -> OfficialDays:
    """Return a year's official days of a country such as `CN`, or of a part of it such as `DE-BY`.

    What a government announces year by year, such as China's made-up working days, is known once it is announced and
    the `holidays` package tells it; before that the statutory holidays stand alone.
    """
    from holidays import country_holidays  # 0.1 s and 11 MB, which only those need whose calendar names a country

    country, _, part = place.partition("-")
    try:
        found = country_holidays(country, subdiv=part or None, years=year)
    except NotImplementedError as error:
        raise NoCountry(str(error)) from error
    worked = getattr(found, "weekend_workdays", ())
    return OfficialDays(frozenset(found), frozenset(day for day in worked if day.year == year))
