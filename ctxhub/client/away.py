"""How a client knows that the hub is away: from what becomes of its calls, so that a channel need not wait each time.

After a few failures in a row calls are refused at once; from time to time one goes through to look whether the hub is
back. Channels say by `Degraded` that they answered without it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import Literal

import httpx
from prometheus_client import Counter

from ctxhub.errors import CtxhubError, TooMany, Unavailable

__all__ = ["Away", "Degraded", "HubState", "why"]

log = logging.getLogger(__name__)

HubState = Literal["here", "slow", "away"]

_FAILURES = 3
_FIRST_REST = 0.25
_LONGEST_REST = 2.0
_LONG_ENOUGH = 0.5

DEGRADED = Counter("ctxhub_degraded", "Answers that a channel was given without the hub.", ["channel", "why"])


def why(error: BaseException) -> Literal["slow", "away"]:
    """Return what an error says of the hub: slow where it let us wait, else away."""
    if isinstance(error, TimeoutError | httpx.TimeoutException | TooMany):
        return "slow"
    told = error.ids.get("hub") if isinstance(error, CtxhubError) else None
    if told in ("slow", "away"):
        return "slow" if told == "slow" else "away"
    return why(error.__cause__) if error.__cause__ is not None else "away"


class Away:
    """What calls have shown lately: `here`, `slow` or `away`; a circuit breaker, where it is switched on."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.state: HubState = "here"
        self._breaks = breaks
        self._failures = 0
        self._rest = _FIRST_REST
        self._looks_again_at = 0.0
        self._changed = asyncio.Event()
        self._spells = 0
        self._began = secrets.token_hex(4)

    @property
    def spell(self) -> str:
        """A name for the time that it is away now, or was last: to say something once in it."""
        return f"{self._began}-{self._spells}"

    def admit(self) -> None:
        """Let a call through, or refuse it at once while the hub is known to be away."""
        if not self._breaks or self.state == "here":
            return
        left = self._looks_again_at - time.monotonic()
        if left > 0:
            raise Unavailable("the hub did not answer lately", hub=self.state)
        self._looks_again_at = time.monotonic() + self._rest  # this call looks; others don't wait for what it finds

    def worked(self) -> None:
        """Note that the hub answered."""
        self._failures, self._rest = 0, _FIRST_REST
        self._turn("here")

    def failed(self, error: BaseException) -> None:
        """Note that a call came to nothing."""
        if isinstance(error, TooMany):
            return  # it is there, and said so
        self._failures += 1
        if self._failures >= _FAILURES:
            self._rest = min(2 * self._rest, _LONGEST_REST)
            self._looks_again_at = time.monotonic() + self._rest
            self._turn(why(error))

    def gave_up(self, waited: float) -> None:
        """Note that whoever called has run out of patience."""
        if waited >= _LONG_ENOUGH:
            self.failed(TimeoutError())

    async def changed(self) -> HubState:
        """Wait until the hub goes away, comes back, or is slow instead of gone; return what it is then."""
        await self._changed.wait()
        return self.state

    def _turn(self, state: HubState) -> None:
        """Go over to a state, and wake whoever waits for that."""
        if state == self.state:
            return
        self._spells += state == "here"
        self.state = state
        log.log(logging.INFO if state == "here" else logging.WARNING, "hub.%s", "back" if state == "here" else state)
        self._changed.set()
        self._changed = asyncio.Event()


class Degraded:
    """What a channel answers without the hub: counted each time, logged as it begins and as it ends."""

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self._is_on: str | None = None

    def note(self, error: BaseException) -> Literal["slow", "away"]:
        """Note a degraded answer; return the word that marks it."""
        reason = why(error)
        DEGRADED.labels(self._channel, reason).inc()
        if self._is_on != reason:
            log.warning("%s.degraded why=%s error=%r", self._channel, reason, error)
        self._is_on = reason
        return reason

    def over(self) -> None:
        """Note an answer that had the hub behind it."""
        if self._is_on is not None:
            log.info("%s.restored", self._channel)
        self._is_on = None
