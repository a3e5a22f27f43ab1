"""Brings customers in, a batch at a time: whom identifiers lead to, then one change each, then what leads there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

from ctxhub.bulk.bringing import Brought, brought
from ctxhub.bulk.record import Fault, Incoming, IncomingFact, misshapen, out_of_time
from ctxhub.errors import ContextFull, Invalid, Lapsed, Moved, Unavailable
from ctxhub.hub.changes import Decision, Present, Request, own
from ctxhub.hub.events import AHEAD
from ctxhub.hub.hub import Hub
from ctxhub.hub.secrets import Secrets
from ctxhub.model.customer import Identifier
from ctxhub.model.telling import Scene
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Owners

Done = TypeVar("Done")
_TRIES_FOR = 60.0
_LONGEST_PAUSE = 2.0


class Numbered(NamedTuple):
    """A customer as a line brings it."""

    line: int
    incoming: Incoming


@dataclass
class Outcome:
    """What became of one line: refused with `faults`, or brought in; `notices` are worth a look either way."""

    line: int
    faults: list[Fault] = field(default_factory=list)
    notices: list[Fault] = field(default_factory=list)
    became: Literal["new", "changed", "unchanged", ""] = ""


class Importer:
    """Brings customers into one tenant from one source."""

    ahead = 1

    def __init__(self, hub: Hub, tenant: str, source: str, at: datetime, dry: bool) -> None:
        self._hub = hub
        self._tenant = tenant
        self._source = source
        self._at = at
        self._dry = dry
        self._secrets = Secrets(hub.ways.master_key, hub.server.keys)

    async def bring(self, batch: Sequence[Numbered]) -> list[Outcome]:
        """Bring a batch in, customers side by side, lines about one customer in their order."""
        outcomes = [Outcome(numbered.line) for numbered in batch]
        batch = [self._as_kept(outcome, numbered) for outcome, numbered in zip(outcomes, batch, strict=True)]
        normal = [self._normal(numbered.incoming) for numbered in batch]
        asked = [self._must_be_asked(numbered.incoming) for numbered in batch]
        owners = await self._owners([found if ask else [] for found, ask in zip(normal, asked, strict=True)])
        lanes: dict[str, list[int]] = {}
        for place, numbered in enumerate(batch):
            lanes.setdefault(numbered.incoming.key, []).append(place)

        async def in_order(places: list[int]) -> None:
            for place in [place for place in places if not outcomes[place].faults]:
                await self._one(outcomes[place], batch[place].incoming, normal[place], owners[place])

        await asyncio.gather(*(in_order(places) for places in lanes.values()))
        return outcomes

    def _as_kept(self, outcome: Outcome, numbered: Numbered) -> Numbered:
        """Return a line without what is never kept; where a card number can't be taken out that is its fault."""
        try:
            return numbered._replace(incoming=self._hub.never_kept.said(self._tenant, numbered.incoming))
        except Invalid as refused:
            outcome.faults = [Fault(one["pointer"][1:], one["detail"], refused.remedy) for one in refused.ids["errors"]]
            return numbered

    def _normal(self, incoming: Incoming) -> list[Identifier]:
        """Return a line's identifiers in their normal form and fixed order."""
        return self._hub.identity.as_written(self._tenant, incoming.identifiers)

    def _must_be_asked(self, incoming: Incoming) -> bool:
        """Tell whether to ask whom a line's identifiers lead to, which also brings back what was archived."""
        return incoming.customer_id is None or self._hub.archiving is not None

    async def _owners(self, batch: Sequence[Sequence[Identifier]]) -> list[list[Owners]]:
        """Return whom the identifiers of each line lead to, in one round trip."""
        every = [identifier for identifiers in batch for identifier in identifiers]
        found = iter(await _insisting(lambda: self._hub.lookups.owners(self._tenant, every)))
        return [[next(found) for _ in identifiers] for identifiers in batch]

    async def _one(
        self, outcome: Outcome, incoming: Incoming, identifiers: list[Identifier], owners: list[Owners]
    ) -> None:
        """Bring one customer in, or note why not."""
        now = self._hub.ways.clock()
        takes = self._hub.tenants.of(self._tenant).takes
        outcome.faults = [fault for one in identifiers if (fault := misshapen(one, takes(one.type))) is not None]
        outcome.faults += out_of_time(incoming, self._at, now + AHEAD, now)
        if incoming.customer_id is None and not outcome.faults:
            outcome.faults = _undecided(owners) if identifiers else [_all_blocked()]
        if outcome.faults or self._dry:
            return
        try:
            await _insisting(lambda: self._kept(outcome, incoming, identifiers))
        except Moved as moved:
            home = moved.ids["customer_id"]
            outcome.faults = [Fault("customer_id", f"it has moved: it is {home} now", f"name {home}")]
        except Lapsed as lapsed:
            outcome.faults = [Fault("customer_id", lapsed.detail, "leave it out: it was erased, or kept no longer")]
        except (ContextFull, Invalid) as refused:
            outcome.faults = [Fault("", refused.detail, refused.remedy)]

    async def _kept(self, outcome: Outcome, incoming: Incoming, identifiers: list[Identifier]) -> None:
        """Write one customer, then let its identifiers lead there."""
        named = incoming.customer_id
        customer_id = named or await self._found(outcome, identifiers)
        if customer_id is None:
            return
        at = incoming.at or self._at
        facts = [fact.but(value=self._without(fact)) for fact in incoming.facts]
        person = Brought(customer_id, named is not None, identifiers, facts, self._source, at)
        told = person.told()
        ids = [event.event_id for event in told.every]
        scene = Scene(self._hub.tenants.of(self._tenant), self._hub.ways.clock())

        def decide(present: Present) -> Decision:
            known = {event_id for event_id, seen in zip(ids, present.seen, strict=True) if seen is not None}
            change = brought(present.context, person, told, known, scene)
            outcome.became = "new" if present.context is None else "changed" if change.events else "unchanged"
            before = present.context
            unchanged = before is not None and change.context == before
            return Decision(before if before is not None and unchanged else change.context, own(change.events))

        once = Request(event_ids=ids, led=identifiers)
        committed = await self._hub.changes.change(Who(self._tenant, customer_id), decide, once)
        if named is not None:
            noted = {identifier.what for identifier in committed.context.identifiers}
            held = [identifier for identifier in identifiers if identifier.what in noted]
            await self._link(outcome, named, held)

    def _without(self, fact: IncomingFact) -> Any:
        """Return a fact's value without what is never kept."""
        return self._hub.never_kept.of(self._tenant, {"name": fact.name, "value": fact.value})["value"]

    async def _found(self, outcome: Outcome, identifiers: list[Identifier]) -> str | None:
        """Return the one customer of identifiers, ours for somebody not yet known; several are a fault."""
        ours = self._secrets.provisional_id(self._tenant, f"import {self._source}", "\n".join(identifiers[0].what))
        found = await self._hub.identity.settle(
            self._tenant, identifiers, None, ours, self._hub.changes.known, surely=True
        )
        if found.ambiguous:
            outcome.faults = [_several()]
        return found.customer_id

    async def _link(self, outcome: Outcome, customer_id: str, identifiers: list[Identifier]) -> None:
        """Let identifiers lead to a customer beside whoever else they lead to, which is worth a notice."""
        outcome.notices = []
        for identifier in identifiers:
            owners = await self._hub.lookups.link(self._tenant, identifier, customer_id, first=False)
            if len(owners) > 1:
                problem = f"ambiguous: it leads to {len(owners)} customers now"
                remedy = "no channel will take one for the other; unlink it where it is wrong"
                outcome.notices.append(Fault(identifier.type, problem, remedy))


def _undecided(owners: list[Owners]) -> list[Fault]:
    """Say so where a line without a customer_id could be about several customers."""
    return [_several()] if len({customer for found in owners for customer in found}) > 1 else []


def _several() -> Fault:
    """Return the fault of a line whose identifiers lead to several customers."""
    return Fault("identifiers", "ambiguous: they lead to several customers", "say the customer_id; nobody is merged")


def _all_blocked() -> Fault:
    """Return the fault of a line that names nobody, and only values that the tenant has blocked."""
    return Fault("identifiers", "all of them are blocked: they lead to nobody", "say the customer_id")


async def _insisting(act: Callable[[], Awaitable[Done]]) -> Done:
    """Do something that may be repeated until Redis answers, for a minute at most."""
    give_up_at = time.monotonic() + _TRIES_FOR
    pause = 0.05
    while True:
        try:
            return await act()
        except Unavailable:
            if time.monotonic() > give_up_at:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
