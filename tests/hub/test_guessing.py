"""Guesses of codes: many that fail are told to whoever watches, and nobody is shut out for it."""

from __future__ import annotations

import structlog

from ctxhub.errors import HandoffUnknown, TooMany
from ctxhub.hub.guessing import ALARM_AFTER, Guesses
from ctxhub.hub.hub import Hub
from tests.support import ACME


async def test_each_hundred_codes_of_a_tenant_that_fail_are_an_alarm(hub: Hub) -> None:
    guesses = Guesses(hub.lookups)
    with structlog.testing.capture_logs() as logged:
        for number in range(2 * ALARM_AFTER + 50):
            await guesses.failed(ACME, TooMany("enough") if number % 2 else HandoffUnknown("no such code"))
        await guesses.failed("other", HandoffUnknown("no such code"))
    alarms = [(entry["tenant"], entry["failures"]) for entry in logged if entry["event"] == "codes.guessed"]
    assert alarms == [(ACME, ALARM_AFTER), (ACME, 2 * ALARM_AFTER)]
