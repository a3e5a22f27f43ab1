"""Archiving: brings the archive up to what Redis has, and customers back from it when they are touched."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog

from ctxhub.archive import Archive, Archived, Copy, Entry, Held, Row
from ctxhub.archive.rows import Lead
from ctxhub.errors import Unavailable
from ctxhub.hub.changes import Clock
from ctxhub.metrics import ARCHIVED, BROUGHT_BACK, BROUGHT_BACK_SECONDS
from ctxhub.model.handoff import FINAL
from ctxhub.model.lapsing import Patience, next_due, with_activity
from ctxhub.model.lease import Keeping
from ctxhub.model.never_kept import REDACTED
from ctxhub.model.split_number import LOOK_BACK
from ctxhub.store.codec import digest, event_digest, event_from, hollow_context, unpacked
from ctxhub.store.contexts import Who
from ctxhub.store.copies import Copied, Copies, Restored
from ctxhub.store.indexes import activities, millis
from ctxhub.store.lookups import Lookups

log = structlog.get_logger()
NEWEST = 200  # as many as a context may be asked to bring along
REPEATED_WITHIN = timedelta(days=30)
_AT_ONCE = 64  # decoded between two turns of the event loop
_TRIES = 5
_KEPT_APART = {"version", "document_version", "commit", "born", "base"}
_LASTING = ("interaction.", "identity.")
_OVER = ("completed", "abandoned")


class Archiving:
    """Keeps the archive up to date, and has what Redis was allowed to forget."""

    def __init__(self, archive: Archive, clock: Clock, patience: Patience, keeping: Keeping) -> None:
        self.archive = archive
        self.unfinished: dict[Who, str] = {}  # with the life that was erased
        self.kept_at = 0
        self._clock = clock
        self._patience = patience
        self._keeping = keeping
        self._copies: Copies
        self._lookups: Lookups

    def attach(self, copies: Copies, lookups: Lookups) -> None:
        """Work on this Redis."""
        self._copies = copies
        self._lookups = lookups

    async def keep(self, whos: Iterable[Who]) -> None:
        """Bring the archive up to what Redis has of customers; afterwards it has no less."""
        waiting = list(dict.fromkeys(whos))
        for _ in range(_TRIES):
            chunks = [waiting[at : at + _AT_ONCE] for at in range(0, len(waiting), _AT_ONCE)]
            waiting = [who for chunk in chunks for who in await self._kept(chunk)]
            if not waiting:
                return
        raise Unavailable("somebody else writes the same customers to the archive", retry_after=1)

    async def _kept(self, whos: Sequence[Who]) -> list[Who]:
        """Archive some customers; return those whom somebody else archived meanwhile."""
        held = await self.archive.held([Row(*who) for who in whos])
        asked = [(who, *_known(held.get(Row(*who)))) for who in whos]
        copied = [copy for copy in await self._copies.copied(asked) if copy.fields]
        strange = [copy.who for copy in copied if _differs(copy, held.get(Row(*copy.who)))]
        whole = await self._copies.copied([(who, 0, "") for who in strange]) if strange else []
        alike = [copy for copy in copied if copy.who not in strange]
        copies = await self._as_rows(alike, held) + await self._as_rows(whole, held, replaces=True)
        if not copies:
            return []
        now = millis(self._clock())
        kept = await self.archive.keep(copies, now)
        self.kept_at = now
        ARCHIVED.inc(sum(len(copy.entries) for copy in copies))
        lives = {copy.row: copy.born for copy in copies}
        self.unfinished |= {Who(*row): lives[row] for row in kept.erased}
        if strange:
            log.error("archive.diverged", customers=len(strange), set_aside=kept.strays)
        return [Who(*row) for row in kept.stale]

    async def _as_rows(self, copied: Sequence[Copied], held: dict[Row, Held], replaces: bool = False) -> list[Copy]:
        """Return copies as the archive takes them."""
        read = [_read(copy, None if replaces else held.get(Row(*copy.who))) for copy in copied]
        read = [await self._written_anew(copy, entries) + entries for copy, entries in zip(copied, read, strict=True)]
        asked = [(copy.who, [one.digest for one in events]) for copy, events in zip(copied, read, strict=True)]
        prints = await self._copies.prints(asked)
        rows = []
        for copy, events, known in zip(copied, read, prints, strict=True):
            entries = [event._replace(fingerprint=print_) for event, print_ in zip(events, known, strict=True)]
            rows.append(self._as_row(copy, held.get(Row(*copy.who)), entries, replaces))
        return rows

    async def _written_anew(self, copy: Copied, entries: list[Entry]) -> list[Entry]:
        """Return older entries that were written anew since they were archived: parts of a card number, told since."""
        if not entries or not any(_is_redacted(entry.entry) for entry in entries):
            return []
        first = max(1, entries[0].version - LOOK_BACK)
        (before,) = await self._copies.copied([(copy.who, first, "")], most=LOOK_BACK)
        known = range(before.first, entries[0].version)
        return [_entry(entry, n) for n, entry in zip(known, before.entries, strict=False) if _is_redacted(entry)]

    def _as_row(self, copy: Copied, had: Held | None, entries: list[Entry], replaces: bool) -> Copy:
        """Return one copy as the archive takes it."""
        document = orjson.loads(unpacked(copy.document)) if copy.document else None
        leads = _leads(self._lookups, copy.who, document) if document is not None else None
        named = (
            digest(*sorted("\n".join(lead) for lead in leads)) if leads is not None else had.leads_print if had else ""
        )
        return Copy(
            row=Row(*copy.who),
            had=had,
            born=copy.text("born"),
            version=copy.first + len(copy.entries) - 1,
            document_version=int(copy.fields["document_version"]),
            commit=copy.text("commit"),
            beside=orjson.dumps({k: v.decode() for k, v in copy.fields.items() if k not in _KEPT_APART}),
            document=copy.document,
            live=document is not None and _is_live(document),
            entries=entries,
            leads=None if had is not None and had.leads_print == named and not replaces else leads,
            leads_print=named,
            replaces=replaces,
        )

    async def bring_back(self, who: Who) -> bool:
        """Bring a customer back into Redis; False where nobody ever was."""
        began = time.monotonic()
        archived = await self.archive.document(Row(*who))
        if archived is None:
            return False
        restored, due = await self._restored(archived)
        now = self._clock()
        if await self._copies.restore(who, restored, now + self._keeping.closed, due):
            BROUGHT_BACK.inc()
            BROUGHT_BACK_SECONDS.observe(time.monotonic() - began)
            log.info("customer.brought_back", tenant=who.tenant, customer=who.customer_id, version=archived.version)
        return True

    async def _restored(self, archived: Archived) -> tuple[Restored, datetime | None]:
        """Return what is put back of a customer, and when something of it is due."""
        since = millis(self._clock() - REPEATED_WITHIN)
        newest, remembered = await self.archive.newest(archived.row, archived.version, NEWEST, since)
        context = hollow_context(archived.document)
        fields: dict[str, str] = orjson.loads(archived.beside)
        heard = activities({name.encode(): text.encode() for name, text in fields.items()})
        fields |= {"version": str(archived.version), "document_version": str(archived.document_version)}
        fields |= {"commit": archived.commit, "base": str(newest[0][0] - 1 if newest else archived.version)}
        if archived.born:
            fields["born"] = archived.born
        events = [(bytes(known.digest), f"{known.version}:{known.fingerprint}") for known in remembered]
        entries = [entry for _, entry in newest]
        due = next_due(with_activity(context, heard, self._patience), heard, self._patience)
        return Restored(fields, archived.document, context, entries, events), due

    async def give_way(self, who: Who) -> None:
        """Forget what Redis has of a customer, and what leads there: the archive has a later state of both."""
        await self._copies.give_way(who)
        await self._lookups.drop(await self.archive.names_of([Row(*who)]))

    async def entries(self, who: Who, first: int, last: int) -> list[bytes]:
        """Return entries of a timeline between versions (inclusive), without gaps from the first on."""
        found = await self.archive.entries(Row(*who), first, last)
        return [entry for place, (version, entry) in enumerate(found, first) if version == place]

    async def data_key(self, who: Who) -> str:
        """Return the data key of a customer as it was archived; empty where there is none."""
        archived = await self.archive.document(Row(*who))
        beside: dict[str, str] = orjson.loads(archived.beside) if archived is not None else {}
        return beside.get("key", "")

    async def leads(self, digests: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return where look-ups lead, as (customer, interaction or strength), the newest meaning last."""
        return await self.archive.leads(digests)

    async def erase(self, who: Who, born: str) -> None:
        """Erase a customer from the archive; nothing of that life is archived any more."""
        await self.archive.erase(Row(*who), born, millis(self._clock()))
        self.unfinished.pop(who, None)


def _known(held: Held | None) -> tuple[int, str]:
    """Return the version and the commit that the archive has."""
    return (held.version, held.commit) if held else (0, "")


def _differs(copy: Copied, held: Held | None) -> bool:
    """Tell whether Redis and archive have come to differ, as after the return to an earlier state of one of them."""
    if held is None:
        return False
    if copy.text("born") != held.born or copy.version < held.version:
        return True
    if copy.first != held.version or not copy.entries:
        return copy.first <= held.version  # Redis has less than it should; one that begins later leaves a gap only
    return event_digest(_event_id(copy.entries[0], copy.first)) != held.last_digest


def _event_id(entry: bytes, version: int) -> str:
    """Return the id of an entry's event."""
    return str(event_from(entry, version)["event_id"])


def _read(copy: Copied, held: Held | None) -> list[Entry]:
    """Return the entries of a copy that the archive does not have."""
    if held is not None and copy.first > held.version + 1:
        log.error("archive.gap", customer=copy.who.customer_id, missing=copy.first - held.version - 1)
    known = held.version if held else 0
    return [_entry(entry, version) for version, entry in enumerate(copy.entries, copy.first) if version > known]


def _is_redacted(entry: bytes) -> bool:
    """Tell whether something was taken out of an entry."""
    return REDACTED.encode() in entry.split(b" ", 3)[2].split(b",")


def _entry(entry: bytes, version: int) -> Entry:
    """Return one entry as the archive takes it; its fingerprint is still to be found."""
    event = event_from(entry, version)
    at = millis(datetime.fromisoformat(event["at"]))
    return Entry(version, entry, event_digest(event["event_id"]), "", at, event["type"].startswith(_LASTING))


def _leads(lookups: Lookups, who: Who, document: dict[str, Any]) -> list[Lead]:
    """Return the look-ups that lead to a customer."""
    return [Lead(lead.digest, lead.kind, lead.to) for lead in lookups.leads_of(who.tenant, document)]


def _is_live(document: dict[str, Any]) -> bool:
    """Tell whether something goes on, waits or is to come: then it must be in Redis without being touched."""
    if document.get("frozen"):
        return False
    joins = any(merge.get("state", "begun") != "done" for merge in document.get("merges", {}).values())
    talks = any(one.get("state", "open") == "open" for one in document.get("interactions", {}).values())
    waits = any(one.get("state", "offered") not in FINAL for one in document.get("handoffs", {}).values())
    rests = any(one.get("state", "active") not in _OVER for one in document.get("journeys", {}).values())
    return talks or waits or rests or joins or bool(document.get("moves") or document.get("commitments"))
