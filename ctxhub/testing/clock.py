"""A clock that runs with the machine's, and can be put forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ctxhub.model.value import to_millis

__all__ = ["Clock"]


class Clock:
    """The hub's clock. It only goes forward, as time does; what is then due happens within moments."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return to_millis(datetime.now(UTC) + self._ahead)

    def move(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """Let time pass; what time it is then."""
        span = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if span < timedelta():
            raise ValueError(f"time does not go back: {span}")
        self._ahead += span
        return self()
