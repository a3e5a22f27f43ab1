"""A circuit: who fails again and again is left alone for a while, and then tried with one call."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from ctxhub.model.value import Instant, Value

CircuitState = Literal["closed", "open", "half_open"]

FAILURES = 5
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=5)


class Circuit(Value):
    """How somebody whom we call has answered lately; `opens_at` is when it is tried again."""

    failures: int = 0
    pause: timedelta = FIRST_PAUSE
    opens_at: Instant | None = None

    def state(self, now: datetime) -> CircuitState:
        """Return whether calls go out (`closed`), none does (`open`), or one may try (`half_open`)."""
        if self.opens_at is None:
            return "closed"
        return "open" if now < self.opens_at else "half_open"

    def room(self, now: datetime, most: int, busy: int) -> int:
        """Return how many more calls may go out now, of `most` at once."""
        state = self.state(now)
        at_once = most if state == "closed" else 1 if state == "half_open" else 0
        return max(0, at_once - busy)

    def answered(self) -> Circuit:
        """Return the circuit after a call that went well."""
        return self if self == CLOSED else CLOSED

    def failed(self, now: datetime) -> Circuit:
        """Return the circuit after a call that failed; the fifth in a row opens it, and a failed try for longer."""
        failures = self.failures + 1
        if failures < FAILURES or self.state(now) == "open":
            return self.but(failures=failures)
        pause = min(self.pause * 2, LONGEST_PAUSE) if self.opens_at is not None else self.pause
        return self.but(failures=failures, pause=pause, opens_at=now + pause)

    def held(self, until: datetime) -> Circuit:
        """Return the circuit when we were told to come back later."""
        later = self.opens_at is None or until > self.opens_at
        return self.but(opens_at=until) if later else self


CLOSED = Circuit()
