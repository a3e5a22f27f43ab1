"""The fuse in the way to a server: who does not answer is left in peace, and tried with a call now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from redis import exceptions

from ctxhub.metrics import REDIS_SPARED

MOST_FAILURES = 3
TRIED_EVERY = 0.3


class LeftInPeace(exceptions.ConnectionError):
    """Nothing was sent: the server did not answer just now."""


class Fuse:
    """Blows after one call without an answer in time, or three in a row that failed otherwise; an answer mends it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._next_try = 0.0

    def check(self) -> None:
        """Let a call through, or raise `LeftInPeace`; of a blown fuse, one each third of a second is let through."""
        if self._failures < MOST_FAILURES:
            return
        now = self._clock()
        if now < self._next_try:
            REDIS_SPARED.inc()
            raise LeftInPeace("it did not answer just now and is left in peace for a moment")
        self._next_try = now + TRIED_EVERY

    def answered(self) -> None:
        """Note that the server answered."""
        self._failures = 0

    def failed(self, in_time: bool) -> None:
        """Note that a call failed; one whose time ran out weighs as much as three that were cut off or refused."""
        self._failures = self._failures + 1 if in_time else MOST_FAILURES
        self._next_try = self._clock() + TRIED_EVERY
