"""Times as they are said to customers: the day, and the clock of a place."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def said_at(at: datetime, zone: ZoneInfo, language: str) -> str:
    """Say an instant by the clock of a place, such as `on Monday, 2 March at 08:30` or `3月2日周一08:30`."""
    there = at.astimezone(zone)
    if language.split("-")[0].lower() in ("zh", "cmn", "yue"):
        return f"{there.month}月{there.day}日{_DAYS['zh'][there.weekday()]}{there:%H:%M}"
    return f"on {_DAYS['en'][there.weekday()]}, {there.day} {_MONTHS[there.month - 1]} at {there:%H:%M}"
