"""The filter at work in the hub: nothing is stored, logged, fingerprinted or sent on before it went through here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from ctxhub.hub.cards import Cards
from ctxhub.hub.changes import NOT_KEPT
from ctxhub.hub.tenants import Tenants
from ctxhub.metrics import NEVER_KEPT
from ctxhub.model.as_kept import AsKept
from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Event
from ctxhub.model.identifier import NotNormal, normal_form
from ctxhub.model.never_kept import REDACTED, Finding, cleaned, cleaned_text
from ctxhub.model.number_format import Formats
from ctxhub.model.split_number import Heard, Spread, code_alone, may_be_part, repeats, spread
from ctxhub.model.value import Value

AnyValue = TypeVar("AnyValue", bound=Value)
Prints = list[tuple[Event, str]]


class Watched(NamedTuple):
    """What is being told, without what was never to be kept, and the stored events to write anew for it."""

    told: Prints
    anew: list[dict[str, Any]]
    redactions: list[Event]

    def clean(self, context: Context) -> Context:
        """Return a context without the facts' values that were parts of a number."""
        values = {event["event_id"]: event["data"]["value"] for event in self.anew if "value" in event["data"]}
        if not values:
            return context
        facts = tuple(
            fact.but(value=values[fact.evidence]) if fact.evidence in values else fact for fact in context.facts
        )
        return context.but(facts=facts)


class NeverKept:
    """Takes out what is never kept, by the formats that each tenant declares."""

    def __init__(self, tenants: Tenants, cards: Cards) -> None:
        self._tenants = tenants
        self._cards = cards

    def formats(self, tenant: str) -> Formats:
        """Return the formats of a tenant's own numbers."""
        return self._tenants.of(tenant).formats

    def of(self, tenant: str, told: Any) -> Any:
        """Return any JSON without what is never kept."""
        clean = cleaned(told, self.formats(tenant))
        counted(clean.findings)
        return clean.value

    def said(self, tenant: str, said: AnyValue) -> AnyValue:
        """Return what a request says as it may be kept; `Invalid` where a card number stands in a name.

        An identifier that is a card number becomes the card's; one that holds a card number keeps leading to its owner.
        """
        formats = self.formats(tenant)
        walk = AsKept(formats, lambda identifier: self._hidden(tenant, identifier, formats))
        kept = walk.of(said)
        counted(walk.findings)
        return kept

    def _hidden(self, tenant: str, identifier: Identifier, formats: Formats) -> Identifier:
        """Return an identifier without the card number in it, which is found again all the same."""
        with suppress(NotNormal):  # whoever settles who it is says what is wrong with it
            identifier = identifier.but(value=normal_form(identifier.type, identifier.value))
        return self._cards.hidden(tenant, identifier, cleaned_text(identifier.value, formats))

    def within(self, tenant: str, value: AnyValue, *fields: str) -> AnyValue:
        """Return a value with the texts of some fields cleaned."""
        said = {name: text for name in fields if (text := getattr(value, name)) is not None}
        clean = {name: self.of(tenant, text) for name, text in said.items()}
        return value if clean == said else value.but(**clean)


def counted(findings: Sequence[Finding]) -> None:
    """Count what was found, by kind."""
    for finding in findings:
        NEVER_KEPT.labels(finding.kind).inc()


def marked(event: Event) -> Event:
    """Return an event that says that something in it was taken out."""
    return event if REDACTED in event.marks else event.but(marks=[*event.marks, REDACTED])


def are_parts(told: Prints) -> bool:
    """Tell whether something told may be a part of a number, so that what was told before must be looked at."""
    return any(may_be_part(event.type, event.party, event.interaction_id, event.data) for event, _ in told)


def watched(recent: Sequence[dict[str, Any]], told: Prints, formats: Formats) -> Watched:
    """Look at what is told together with the newest events, oldest first."""
    before = [_heard(event) for event in recent]
    stored = {event["event_id"]: event for event in recent}
    fresh = dict(told_by_id(told))
    changed: set[str] = set()
    redactions: list[Event] = []
    texts: frozenset[str] = frozenset()
    for event, _ in told:
        if event.event_id in stored:
            continue
        now = fresh[event.event_id][0]
        found = _spread(before, now, formats)
        if found is not None:
            texts |= found.texts
            redactions.append(_redaction(now, found))
            counted([Finding("card", found.last4)])
            changed |= found.data.keys() & stored.keys()
            stored |= {key: _without(stored[key], data) for key, data in found.data.items() if key in stored}
            fresh |= {key: _not_kept(fresh[key][0], data) for key, data in found.data.items() if key in fresh}
            before = [one._replace(data=found.data.get(one.event_id, one.data)) for one in before]
        before.append(_as_heard(fresh[event.event_id][0]))
        if found is None and (data := _code(before[:-1], before[-1], texts)) is not None:
            fresh[event.event_id] = _not_kept(now, data)
            before[-1] = before[-1]._replace(data=data)
    anew = [event for key, event in stored.items() if key in changed]
    return Watched([fresh[event.event_id] for event, _ in told], anew, redactions)


def told_by_id(told: Prints) -> list[tuple[str, tuple[Event, str]]]:
    """Return what is told by event id; the first of a repeated id stands."""
    by_id: dict[str, tuple[Event, str]] = {}
    for event, print_ in told:
        by_id.setdefault(event.event_id, (event, print_))
    return list(by_id.items())


def _spread(before: Sequence[Heard], event: Event, formats: Formats) -> Spread | None:
    """Return the number that an event completes, if it does."""
    if not may_be_part(event.type, event.party, event.interaction_id, event.data):
        return None
    return spread(before, _as_heard(event), formats)


def _code(before: Sequence[Heard], heard: Heard, texts: frozenset[str]) -> dict[str, Any] | None:
    """Return an event's data without a code that it consists of, or the part of a number that it repeats."""
    if not may_be_part(heard.type, heard.party, heard.interaction_id, heard.data):
        return None
    data = repeats(before, heard, texts) or code_alone(before, heard)
    counted([Finding("security_code")] if data is not None else [])
    return data


def _heard(event: dict[str, Any]) -> Heard:
    """Return a stored event as far as it may hold a part of a number."""
    at, place = datetime.fromisoformat(event["at"]), event.get("interaction_id")
    return Heard(event["event_id"], event["version"], event["type"], at, place, event["party"], event.get("data", {}))


def _as_heard(event: Event) -> Heard:
    """Return an event that is being told as far as it may hold a part of a number."""
    return Heard(event.event_id, None, event.type, event.at, event.interaction_id, event.party, event.data)


def _without(stored: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """Return a stored event with other data, marked."""
    marks = [mark for mark in stored.get("marks", []) if mark != REDACTED]
    return stored | {"data": data, "marks": [*marks, REDACTED]}


def _not_kept(event: Event, data: dict[str, Any]) -> tuple[Event, str]:
    """Return an event with other data, and the fingerprint that tells nothing of what it said."""
    return marked(event.but(data=data)), NOT_KEPT


def _redaction(event: Event, found: Spread) -> Event:
    """Return the event that tells that a number was taken out of others."""
    told = {"of": list(found.data), "kind": "card", "last4": found.last4}
    event_id = hashlib.blake2b(event.event_id.encode(), digest_size=10).hexdigest() + ":redacted"
    return Event(
        event_id=event_id, type="event.redacted", at=event.at, interaction_id=event.interaction_id,
        journey_id=event.journey_id, party="system", data=told,
        marks=[REDACTED],
    )  # fmt: skip
