"""What a line of an import changes in a customer's context: a pure decision, and nothing at all the second time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import compress
from typing import Any, NamedTuple

import orjson

from ctxhub.bulk.record import IncomingFact
from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier, with_room
from ctxhub.model.event import Change, Event
from ctxhub.model.fact import Fact, higher
from ctxhub.model.telling import Scene, tell
from ctxhub.store.codec import digest


class Told(NamedTuple):
    """All that a line tells: where the customer comes from, what leads there, and what is known."""

    introduction: Event
    links: list[Event]
    facts: list[Event]

    @property
    def every(self) -> list[Event]:
        """Every event, in the order in which they are told."""
        return [self.introduction, *self.links, *self.facts]


class Brought(NamedTuple):
    """One customer as an import brings it: identifiers in their normal form, and the system it comes from."""

    customer_id: str
    is_named: bool
    identifiers: Sequence[Identifier]
    facts: Sequence[IncomingFact]
    source: str
    at: datetime

    def told(self) -> Told:
        """Return all that it tells; what is told twice is recognised by its event_id."""
        return Told(self._introduction(), [*map(self._link, self.identifiers)], [*map(self._told, self.facts)])

    def _introduction(self) -> Event:
        """Return the event that tells where a new customer comes from and by what it is known, without the values."""
        shown = [{"type": identifier.type, "strength": identifier.strength} for identifier in self.identifiers]
        content = [part for identifier in self.identifiers for part in (*identifier.what, identifier.strength)]
        data = {"source": self.source, "identifiers": shown}
        return self._event("identity.imported", self.at, data, self.customer_id, *content)

    def _link(self, identifier: Identifier) -> Event:
        """Return the event that tells of an identifier, without its value."""
        data = {"type": identifier.type, "strength": identifier.strength, "source": self.source}
        return self._event("identity.linked", self.at, data, *identifier.what, identifier.strength)

    def _told(self, fact: IncomingFact) -> Event:
        """Return the event that tells a fact."""
        at = fact.at or self.at
        data: dict[str, Any] = {"name": fact.name, "value": fact.value, "sensitivity": fact.sensitivity}
        if fact.expires_at is not None:
            data["expires_in"] = max(1, round((fact.expires_at - at).total_seconds()))
        content = orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()
        return self._event(f"fact.{fact.state}", at, data | {"source": self.source}, content)

    def _event(self, type_: str, at: datetime, data: dict[str, Any], *content: str) -> Event:
        """Return an event that has the same id whenever the same is brought from the same source."""
        event_id = f"import:{digest(self.source, type_, at.isoformat(), *content)}"
        return Event.model_construct(
            event_id=event_id, type=type_, at=at, interaction_id=None, journey_id=None, party="system", data=data,
            channel=None, assurance=2, version=None, marks=[],
        )  # fmt: skip


def brought(context: Context | None, person: Brought, told: Told, known: Collection[str], scene: Scene) -> Change:
    """Bring a customer in; `known` are the ids of those of its events that it has brought before."""
    present = context or Context(customer_id=person.customer_id, created_at=scene.now)
    introduced_before = told.introduction.event_id in known
    new = [not introduced_before and event.event_id not in known for event in told.links]
    held = with_room(present.identifiers, list(compress(person.identifiers, new)))
    strengths = {i.what: i.strength for i in present.identifiers}
    gains = {i.what for i in held if strengths.get(i.what) != i.strength}
    gained = [is_new and i.what in gains for i, is_new in zip(person.identifiers, new, strict=True)]
    facts = [event for event in told.facts if event.event_id not in known and not _stands(present, event)]
    change = tell(_known(present, person, held), facts, scene)
    introduced = [told.introduction] if context is None else [*compress(told.links, gained)]
    return Change(change.context, [*introduced, *change.events])


def _known(context: Context, person: Brought, held: tuple[Identifier, ...]) -> Context:
    """Return the context with what leads there; the company's own id makes it a known one."""
    known = context.known or person.is_named
    if known == context.known and held == context.identifiers:
        return context
    return context.but(known=known, identifiers=held)


def _stands(context: Context, event: Event) -> bool:
    """Tell whether a fact says already what an event tells."""
    return any(_says(fact, event) for fact in context.facts)


def _says(fact: Fact, event: Event) -> bool:
    """Tell whether a fact is the one of an event, with the same value, end and at least its sensitivity."""
    data = event.data
    same_slot = fact.slot == (data["name"], None, event.type.removeprefix("fact."), event.party, None, ())
    same_end = fact.expires_at is None and "expires_in" not in data
    guarded = higher(fact.sensitivity, data["sensitivity"]) == fact.sensitivity
    return same_slot and same_end and guarded and orjson.dumps(fact.value) == orjson.dumps(data["value"])
