"""Consent: what the customer allows us, for which purpose, by whose word and since when.

A purpose of which nothing was said is `unknown`; what that allows is the company's to decide, save for two: without a
denial profiling steers and transcripts are kept. What is told below level 2 stays with its interaction, like a fact;
a denial or withdrawal counts there at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from ctxhub.model.fact import SHARED_FROM, Origin
from ctxhub.model.value import Id, Instant, Name, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context

Purpose = Literal["recording", "marketing", "profiling", "sensitive", "keeping", "calls"]
State = Literal["granted", "denied", "withdrawn"]


class Consent(Value):
    """What was said of one purpose; `text_version` names the words that the customer agreed to."""

    purpose: Purpose
    state: State
    text_version: Name | None = None
    expires_at: Instant | None = None
    evidence: Id
    origin: Origin

    def lives(self, now: datetime) -> bool:
        """Tell whether it has not lapsed."""
        return self.expires_at is None or now < self.expires_at

    @property
    def allows(self) -> bool:
        """Tell whether it is a yes."""
        return self.state == "granted"


class ConsentView(Value):
    """A consent as shown."""

    state: State
    text_version: Name | None = None
    expires_at: Instant | None = None
    evidence: Id
    origin: Origin


def said(consents: tuple[Consent, ...], consent: Consent) -> tuple[Consent, ...]:
    """Return the consents with one more: it takes the place of an earlier one of its purpose in its scope."""
    rival = next((c for c in consents if _slot(c) == _slot(consent)), None)
    if rival is not None and rival.origin.at > consent.origin.at:
        return consents
    return (*(other for other in consents if other is not rival), consent)


def _slot(consent: Consent) -> tuple[str, str | None]:
    """Return what a later word replaces."""
    return consent.purpose, consent.origin.scope


def promoted(consents: tuple[Consent, ...], interaction_id: str, level: int) -> tuple[Consent, ...]:
    """Return the consents with those of an interaction shared, now that its customer is known this surely."""
    if level < SHARED_FROM:
        return consents
    for consent in consents:
        if consent.origin.scope == interaction_id:
            rest = tuple(other for other in consents if other is not consent)
            consents = said(rest, consent.but(origin=consent.origin.but(assurance=level)))
    return consents


def standing(context: Context, interaction_id: str | None, now: datetime) -> dict[str, Consent]:
    """Return the consents that count in an interaction: what is shared, and what was said in it, the latest of each."""
    found: dict[str, Consent] = {}
    mine = [c for c in context.consents if c.lives(now) and c.origin.scope in (None, interaction_id)]
    for consent in sorted(mine, key=lambda c: c.origin.at):
        found[consent.purpose] = consent
    return found


def is_refused(context: Context, purpose: Purpose, interaction_id: str | None, now: datetime) -> bool:
    """Tell whether the customer has said no to a purpose, as far as it counts in an interaction."""
    consent = standing(context, interaction_id, now).get(purpose)
    return consent is not None and not consent.allows


def view(consent: Consent) -> ConsentView:
    """Show one consent."""
    return ConsentView.model_construct(**{name: getattr(consent, name) for name in ConsentView.model_fields})
