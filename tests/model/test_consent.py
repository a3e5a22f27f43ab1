"""Consent: the latest word counts, a no counts at once where it was said, and for everybody once it is verified."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ctxhub.model.consent import Consent, is_refused, promoted, said, standing
from ctxhub.model.fact import Origin
from tests.support import NOON, a_context


def a_consent(
    state: Any = "denied", purpose: Any = "profiling", *, minutes: int = 0, level: int = 2, **more: Any
) -> Consent:
    at = NOON + timedelta(minutes=minutes)
    origin = Origin(channel="chat", interaction_id="in_1", party="customer", assurance=level, at=at)
    return Consent(purpose=purpose, state=state, evidence=f"e{minutes}", origin=origin, **more)


def test_nothing_said_is_no_refusal() -> None:
    assert not is_refused(a_context(), "profiling", None, NOON)


def test_the_latest_word_of_a_purpose_counts() -> None:
    consents = said(said((), a_consent("denied")), a_consent("granted", minutes=5))
    assert [consent.state for consent in consents] == ["granted"]
    assert said(consents, a_consent("denied", minutes=2)) == consents


def test_a_no_told_below_level_2_counts_where_it_was_said_and_nowhere_else() -> None:
    context = a_context().but(consents=(a_consent(level=1),))
    assert is_refused(context, "profiling", "in_1", NOON)
    assert not is_refused(context, "profiling", "in_2", NOON)
    assert not is_refused(context, "profiling", None, NOON)


def test_a_no_of_a_customer_who_is_known_by_now_counts_everywhere() -> None:
    context = a_context().but(consents=promoted((a_consent(level=1),), "in_1", 2))
    assert is_refused(context, "profiling", "in_2", NOON)


def test_a_consent_that_has_lapsed_says_nothing() -> None:
    context = a_context().but(consents=(a_consent(expires_at=NOON + timedelta(hours=1)),))
    assert is_refused(context, "profiling", None, NOON)
    assert standing(context, None, NOON + timedelta(hours=2)) == {}


def test_purposes_do_not_mix() -> None:
    consents = said(said((), a_consent("granted", "recording")), a_consent("withdrawn", "marketing", minutes=1))
    context = a_context().but(consents=consents)
    assert not is_refused(context, "recording", None, NOON)
    assert is_refused(context, "marketing", None, NOON)
