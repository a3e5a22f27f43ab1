"""The lines of an export: what each holds, written and read. A new shape gets a new number; old ones stay readable."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import orjson

from ctxhub.model.context import Context
from ctxhub.model.event import Event
from ctxhub.model.value import CustomerId, TenantId, Value
from ctxhub.store.codec import context_from, document_bytes, event_bytes, event_digest, sealed_document
from ctxhub.store.contexts import Who
from ctxhub.store.sealing import DataKey, Opener
from ctxhub.store.whole import Found, Kept, Standing

FORMAT = 1


class Head(Value):
    """The first line: of which hub this is, and how it was taken."""

    kind: Literal["head"] = "head"
    format: int
    ctxhub: str
    made_at: str
    tenant: str | None = None
    customer_id: str | None = None
    partitions: int
    master: str
    archive: str | None = None
    still: bool
    lookups: bool


class CustomerLine(Value):
    """One customer: document, versions, and what stands beside it; its events follow, oldest first."""

    kind: Literal["customer"] = "customer"
    tenant: TenantId
    customer_id: CustomerId
    head: dict[str, str]
    document: dict[str, Any] | None = None
    known: dict[str, str] = {}
    saved: list[str] = []
    due: float | None = None
    lease: float | None = None
    until: int | None = None


class EventLine(Value):
    """One event of the customer before it; `print` is its fingerprint, where its id is still recognised."""

    kind: Literal["event"] = "event"
    event: dict[str, Any]
    print: str | None = None


class PlainLine(Value):
    """One key that stands for itself: a look-up, what an Idempotency-Key did, counters of a day, a feed."""

    kind: Literal["operation", "lookup", "handoff", "token", "numbers", "feed"]
    tenant: str
    name: list[str]
    content: Any
    until: int | None = None


class KeyLine(Value):
    """One API key, by its digest."""

    kind: Literal["key"] = "key"
    digest: str
    record: dict[str, Any]


class EndLine(Value):
    """The last line: how many of each there are, so that a file cut short is noticed."""

    kind: Literal["end"] = "end"
    customers: int
    events: int
    others: int


Line = Head | CustomerLine | EventLine | PlainLine | KeyLine | EndLine
_KINDS: dict[str, type[Line]] = {"head": Head, "customer": CustomerLine, "event": EventLine, "key": KeyLine,
                                 "end": EndLine}  # fmt: skip


def written(line: Line) -> bytes:
    """Return a line as it stands in the file."""
    return orjson.dumps(line.model_dump(exclude_none=True)) + b"\n"


def read(text: bytes) -> Line:
    """Return what a line holds; `ValueError` says what is wrong with it."""
    found = orjson.loads(text)
    kind = found.get("kind") if isinstance(found, dict) else None
    if not isinstance(kind, str):
        raise ValueError("a line is one JSON object with a `kind`")
    return _KINDS.get(kind, PlainLine).model_validate(found)


def customer_line(standing: Standing, base: int, opener: Opener | None) -> CustomerLine:
    """Return a customer's line, nothing sealed in it; `base` is how many versions its events leave out."""
    known = {name.hex(): text for name, text in standing.known.items() if _version_in(text) <= base}
    head = {name: text for name, text in standing.head.items() if name != "base"}
    return CustomerLine(
        tenant=standing.who.tenant,
        customer_id=standing.who.customer_id,
        head=head | ({"base": str(base)} if base else {}),
        document=_document(standing.document, opener) if standing.document else None,
        known=known,
        saved=standing.saved,
        due=standing.due,
        lease=standing.lease,
        until=standing.until,
    )


def _document(kept: bytes, opener: Opener | None) -> Any:
    """Return a document as JSON says it, nothing sealed in it."""
    return orjson.loads(document_bytes(context_from(kept, opener)))


def event_line(event: dict[str, Any], standing: Standing) -> EventLine:
    """Return an event's line."""
    known = standing.known.get(event_digest(event["event_id"]))
    return EventLine(event=event, print=known.partition(":")[2] if known else None)


def _version_in(known: str) -> int:
    """Return the version that is remembered of an event id."""
    return int(known.partition(":")[0])


class Ready(NamedTuple):
    """A customer of a file, ready to be put back."""

    standing: Standing
    context: Context | None
    document: bytes


def ready(line: CustomerLine, key: DataKey) -> Ready:
    """Return a customer as Redis will keep it, sealed with a key; `ValueError` where its document is none."""
    standing = Standing(
        who=Who(line.tenant, line.customer_id),
        head={name: text for name, text in line.head.items() if name != "key" or text == key.wrapped},
        document=None,
        known={bytes.fromhex(name): text for name, text in line.known.items()},
        saved=line.saved,
        due=line.due,
        lease=line.lease,
        until=line.until,
    )
    if standing.version < standing.base or not {"commit", "document_version", "state"} <= line.head.keys():
        raise ValueError("its versions are not whole")
    if line.document is None:
        return Ready(standing, None, b"")
    context = Context.model_validate_json(orjson.dumps(line.document))
    return Ready(standing, context, sealed_document(context, key)[0])


class Entry(NamedTuple):
    """An event as an entry of a timeline, and what is known of its id."""

    version: int
    content: bytes
    digest: bytes
    known: str | None


def entry(line: EventLine, key: DataKey) -> Entry:
    """Return an event as Redis will keep it, sealed with a key where it tells something sensitive."""
    event = Event.model_validate(line.event)
    version = event.version or 0
    stamp = f"{event.assurance} {event.channel or ''} {','.join(event.marks)} ".encode()
    known = f"{version}:{line.print}" if line.print is not None else None
    return Entry(version, stamp + event_bytes(event, key), event_digest(event.event_id), known)


def plain_line(kept: Kept) -> PlainLine:
    """Return a plain key's line."""
    found = kept.found
    return PlainLine(
        kind=found.kind,
        tenant=found.tenant,
        name=list(found.name),
        content=_spelled(kept.content),
        until=kept.until,
    )


def _spelled(content: Any) -> Any:
    """Spell what a plain key holds: a text, pairs, or entries of a feed."""
    if isinstance(content, bytes):
        return content.decode()
    if isinstance(content, dict):
        return {name.decode(): value.decode() for name, value in content.items()}
    return [_noted(entry_id, fields) for entry_id, fields in content if b"c" in fields]


def _noted(entry_id: bytes, fields: Any) -> list[str]:
    """Spell one entry of a feed: its id, the customer and the version."""
    pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    return [entry_id.decode(), pairs[b"c"].decode(), pairs[b"v"].decode()]


def kept(line: PlainLine) -> Kept:
    """Return a plain key as it will be put back."""
    return Kept(Found(line.kind, "", line.tenant, tuple(line.name)), line.content, line.until)
