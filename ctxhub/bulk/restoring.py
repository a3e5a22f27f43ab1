"""Puts an export back, customer by customer: each whole or not at all, and nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import orjson

from ctxhub.bulk.lines import Line as FileLine
from ctxhub.bulk.lines import Source
from ctxhub.bulk.record import Fault
from ctxhub.bulk.report import Refusals, Tally, Told
from ctxhub.bulk.shape import (
    FORMAT,
    CustomerLine,
    EndLine,
    Entry,
    EventLine,
    Head,
    KeyLine,
    Line,
    PlainLine,
    Ready,
    entry,
    kept,
    read,
    ready,
)
from ctxhub.bulk.tables import too_long
from ctxhub.errors import Unreadable
from ctxhub.hub.hub import Hub
from ctxhub.hub.secrets import Secrets
from ctxhub.model.context import Context
from ctxhub.settings import CannotStart
from ctxhub.store.contexts import Who
from ctxhub.store.indexes import millis
from ctxhub.store.sealing import DataKey, Destroyed
from ctxhub.store.whole import Whole

_AT_ONCE = 500
_SIDE_BY_SIDE = 100


class _Customer:
    """The customer whose lines are being read."""

    def __init__(self, line: int, ready_: Ready, key: DataKey) -> None:
        self.line = line
        self.ready = ready_
        self.key = key
        self.next = ready_.standing.base + 1
        self.waiting: list[Entry] = []
        self.has_begun = False


class Restorer:
    """Reads an export line by line, and puts back what it holds."""

    def __init__(self, hub: Hub, refusals: Refusals) -> None:
        self._hub = hub
        self._whole = Whole(hub.server)
        self._refusals = refusals
        self._secrets = Secrets(hub.ways.master_key, hub.server.keys)
        self._customer: _Customer | None = None
        self._read: list[_Customer] = []
        self._plain: list[PlainLine] = []
        self._derives = False
        self._seals_alike = True
        self._may_be_archived = False
        self._end: EndLine | None = None
        self.head: Head | None = None
        self.tally = Tally()

    async def run(self, source: Source, told: Told) -> Tally:
        """Put everything back; a broken line costs its customer, the rest goes on."""
        lines = source.lines()
        first = next(lines, None)
        self.head = await self._begun(source.path, first)
        for line in lines:
            await self._line(line)
            told(source.passed)
        await self._finish_customer()
        await self._put_customers()
        await self._put_plain()
        self._refusals.close()
        if self._end is None:
            raise CannotStart(f"{source.path} has no last line: it was cut short; what it held so far is put back")
        return self.tally

    async def _begun(self, path: Path, first: FileLine | None) -> Head:
        """Read the first line, and refuse what is no export or can't be put back here."""
        try:
            head = read(first.content or b"") if first else None
        except ValueError:
            head = None
        if not isinstance(head, Head):
            raise CannotStart(f"{path} is no export of ctxhub: make one with `ctxhub export`")
        if head.format > FORMAT:
            raise CannotStart(
                f"{path} was written by ctxhub {head.ctxhub}: put it back with that version or a newer one"
            )
        founding = await self._whole.founding()
        self._seals_alike = founding["master"] == head.master
        self._may_be_archived = head.archive is None and self._hub.archiving is not None
        self._derives = not (head.lookups and self._seals_alike)
        if head.archive is not None and await self._whole.found_with("archive", head.archive) != head.archive:
            raise CannotStart(
                "this Redis goes with another archive than the export: bring that along (archive.db, or CTXHUB_ARCHIVE)"
            )
        return head

    async def _line(self, line: FileLine) -> None:
        """Take one line."""
        found = _read(line)
        if isinstance(found, Fault):
            await self._broken(line.number, found)
        elif isinstance(found, EventLine):
            await self._event(line.number, found)
        else:
            await self._finish_customer()
            await self._other(line.number, found)

    async def _other(self, number: int, line: Line) -> None:
        """Take a line that is no event."""
        if isinstance(line, CustomerLine):
            await self._begin_customer(number, line)
        elif isinstance(line, PlainLine):
            self._plain.append(line)
            if len(self._plain) >= _AT_ONCE:
                await self._put_plain()
        elif isinstance(line, KeyLine):
            await self._hub.keyring.put(line.digest, line.record)
            self._count(others=1)
        elif isinstance(line, EndLine):
            self._end = line

    async def _broken(self, number: int, fault: Fault) -> None:
        """Refuse a line, and with it the customer whose event it may have been."""
        self._refuse(number, fault)
        self._customer = None

    async def _begin_customer(self, number: int, line: CustomerLine) -> None:
        """Begin to read a customer; one that has lapsed since is left out."""
        try:
            key = self._key_of(line)
            found = ready(line, key)
        except ValueError as error:
            self._refuse(number, Fault("document", str(error).splitlines()[0], "export it again"))
            return
        if line.until is not None and line.until <= millis(self._hub.ways.clock()):
            self._count(lapsed=1)
            return
        self._customer = _Customer(number, found, key)

    def _key_of(self, line: CustomerLine) -> DataKey:
        """Return the data key of a customer: its own where it opens here, which the archive needs; else a new one."""
        sealing, who, wrapped = self._hub.sealing, (line.tenant, line.customer_id), line.head.get("key")
        try:
            return sealing.opened(*who, wrapped) if wrapped else sealing.new(*who)
        except (Unreadable, Destroyed):
            return sealing.new(*who)

    async def _event(self, number: int, line: EventLine) -> None:
        """Take an event of the customer being read; after one that was refused or left out they are passed over."""
        customer = self._customer
        if customer is None:
            return
        try:
            found = entry(line, customer.key)
        except ValueError as error:
            await self._broken(number, Fault("event", str(error).splitlines()[0], "export it again"))
            return
        if found.version != customer.next:
            problem = f"version {found.version} stands where {customer.next} should"
            await self._broken(number, Fault("event", problem, "export it again: events are missing"))
            return
        customer.next += 1
        customer.waiting.append(found)
        if len(customer.waiting) >= _AT_ONCE:
            await self._add(customer)

    async def _add(self, customer: _Customer) -> None:
        """Let the events read so far wait in Redis."""
        who = customer.ready.standing.who
        if not customer.has_begun:
            await self._whole.begin(who)
            customer.has_begun = True
        waiting, customer.waiting = customer.waiting, []
        known = {one.digest: one.known for one in waiting if one.known is not None}
        await self._whole.add(who, [one.content for one in waiting], known)

    async def _finish_customer(self) -> None:
        """Take the lines of a customer as complete; some customers are put back side by side."""
        if self._customer is not None:
            self._read.append(self._customer)
            self._customer = None
        if len(self._read) >= _SIDE_BY_SIDE:
            await self._put_customers()

    async def _put_customers(self) -> None:
        """Put the customers back whose lines have been read."""
        complete, self._read = self._read, []
        await asyncio.gather(*map(self._put, complete))

    async def _put(self, customer: _Customer) -> None:
        """Put one customer back."""
        standing, context, document = customer.ready
        if self._may_be_archived:  # whom only the archive has is there too: brought back, he is not written over
            await self._hub.changes.contexts.wherever(standing.who)
        await self._add(customer)
        await self._whole.add(standing.who, [], standing.known)
        if customer.key.has_sealed:
            standing.head["key"] = customer.key.wrapped
        taken = await self._whole.put_back(standing, context, document)
        if taken.status == "ok":
            self._count(customers=1, events=standing.version - standing.base)
            await self._lead_home(standing.who, context)
        elif taken.status == "there":
            self._there(customer, taken.detail)
        else:
            missing = standing.version - standing.base - int(taken.detail[0])
            self._refuse(customer.line, Fault("event", f"{missing} events are missing", "export it again"))

    def _there(self, customer: _Customer, there: Sequence[str]) -> None:
        """Note that somebody is there: the very same, as after a run that was stopped, or another."""
        head = customer.ready.standing.head
        if tuple(there) == (head["version"], head["commit"]):
            self._count(there=1)
            return
        problem = f"customer {customer.ready.standing.who.customer_id} is there already, at version {there[0]}"
        self._refuse(customer.line, Fault("customer_id", problem, "put it back into a Redis that does not have it"))

    async def _lead_home(self, who: Who, context: Context | None) -> None:
        """Let whatever leads to a customer do so again, where the export can't bring that."""
        if context is None or context.frozen or not self._derives:
            return
        lookups = self._hub.lookups
        for identifier in context.leading:
            await lookups.link(who.tenant, identifier, who.customer_id, first=False)
        for interaction in context.interactions.values():
            here = (who.customer_id, interaction.interaction_id)
            await lookups.claim_external(who.tenant, interaction.system, interaction.external_id, *here)
            await lookups.set_refs(who.tenant, [(ref.system, ref.kind, ref.id) for ref in interaction.refs], *here)
        await lookups.lead_home(who, [(handoff_id, self._secrets.token(handoff_id)) for handoff_id in context.handoffs])

    async def _put_plain(self) -> None:
        """Put back the plain keys read so far; look-ups sealed with another master key lead nowhere any more."""
        lines, self._plain = self._plain, []
        good = [line for line in lines if self._seals_alike or line.kind in ("operation", "numbers", "feed")]
        await self._whole.restore([kept(line) for line in good])
        self._count(others=len(good))

    def _refuse(self, number: int, fault: Fault) -> None:
        """Report a line, and count it."""
        self._refusals.add(number, [fault], True)
        self._count(refused=1)

    def _count(self, **more: int) -> None:
        """Count what became of lines."""
        self.tally = self.tally._replace(**{name: getattr(self.tally, name) + n for name, n in more.items()})


def _read(line: FileLine) -> Line | Fault:
    """Read one line, or say what is wrong with it."""
    if line.content is None:
        return too_long()
    try:
        return read(line.content)
    except orjson.JSONDecodeError as error:
        return Fault("", f"that is no JSON: {error}", "export it again: the file was damaged or changed by hand")
    except ValueError as error:
        return Fault("", str(error).splitlines()[0], "export it again: the file was damaged or changed by hand")
