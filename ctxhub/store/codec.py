"""How values become bytes in Redis, and back: JSON, compressed against a fixed dictionary of what events look like.

The first byte names the format. A new dictionary gets a new byte; old ones stay readable.

    plain    01 | compressed JSON
    sealed   02 | how many seals (2) | of each its length (4) and itself | compressed JSON, with null for each of them

What is sealed are the values of sensitive facts, and of the events that told them.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import structlog
import zstandard
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from ctxhub.errors import Unreadable, WrittenByNewer
from ctxhub.model.context import Context
from ctxhub.model.event import Event
from ctxhub.model.fact import Fact
from ctxhub.model.value import rfc3339
from ctxhub.model.words import retired_data
from ctxhub.store.sealing import DataKey, Destroyed, Opener

log = structlog.get_logger()
SENSITIVE = "sensitive"
UNREADABLE = "unreadable"
RETIRED = b"retired"
#: What an event becomes that told of somebody who was forgotten.
FORGOTTEN = "event.forgotten"
_FORMAT = b"\x01"
_SEALED = b"\x02"
#: What this version writes, as starts note it. It rises with each first byte, and with whatever else the version before
#: can't read.
FORMAT = 2
#: Documents and events are far smaller.
MOST_BYTES = 16 * 1024 * 1024
#: From this first byte on a frame says its size in four bytes or more; with fewer it is small.
_LONG = b"\x80"
#: What every event has.
_ALWAYS = {"event_id", "type", "at", "data"}
_DICTIONARY = (
    b'{"customer_id":"","known":true,"created_at":"2026-01-01T00:00:00.000Z","identifiers":[{"type":"phone","value":"+'
    b'","strength":"claimed"}],"facts":[{"name":"","value":"","state":"stated","confidence":0.9,"sensitivity":"sensitive'
    b'","journey_id":"jr_","expires_at":"2026-","evidence":"","origin":{"channel":"ivr","interaction_id":"in_","party":"'
    b'customer","assurance":2,"at":"2026-1"}}],"journeys":{"jr_":{"journey_id":"jr_","kind":"","state":"active","step":"'
    b'","updated_at":"2026-"}},"interactions":{"in_":{"interaction_id":"in_","channel":"voice","system":"twilio","external'
    b'_id":"","holder":{"party":"bot"},"fence":1,"assurance":{"level":2,"method":"otp","channel":"app","until":"2026-"},'
    b'"started_at":"2026-1"}},"handoffs":{"ho_'
    b'{"event_id":"","type":"fact.stated","at":"2026-11-22T10:00:00.000Z","interaction_id":"in_","journey_id":"jr_",'
    b'"party":"agent","data":{"name":"","value":"","confidence":1.0,"sensitivity":"personal","expires_in":3600},'
    b'"channel":"ivr"}{"event_id":"","type":"question.asked","at":"2026-1-","interaction_id":"in_","party":"bot",'
    b'"data":{"names":[""],"purpose":"confirm"},"channel":"app"}{"event_id":"","type":"input.collected","data":{"prompt":'
    b'"","value":"","mode":"dtmf"}{"event_id":"","type":"message.sent","at":"2026-1-","interaction_id":"in_","party":"bot",'
    b'"data":{"fence":1,"text":""},"channel":"web"}{"event_id":"","type":"message.received","at":"2026-11-22T1",'
    b'"interaction_id":"in_","party":"customer","data":{"text":""},"channel":"chat"}'
)
_SHARED = zstandard.ZstdCompressionDict(_DICTIONARY, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
_PARAMETERS = zstandard.ZstdCompressionParameters.from_level(
    3, write_content_size=True, write_checksum=False, write_dict_id=False, format=zstandard.FORMAT_ZSTD1_MAGICLESS
)
_SHARED.precompute_compress(compression_params=_PARAMETERS)
_compressor = zstandard.ZstdCompressor(compression_params=_PARAMETERS, dict_data=_SHARED)
_decompressor = zstandard.ZstdDecompressor(dict_data=_SHARED, format=zstandard.FORMAT_ZSTD1_MAGICLESS)


def packed(json: bytes) -> bytes:
    """Return JSON as it is kept."""
    return _FORMAT + _compressor.compress(json)


def unpacked(kept: bytes) -> bytes:
    """Return the JSON of what is kept, null for what is sealed; `WrittenByNewer` for a format of the future.

    `Unreadable` where it is not whole.
    """
    return _apart(kept)[0]


def _apart(kept: bytes) -> tuple[bytes, list[bytes]]:
    """Return the JSON of what is kept, and the seals beside it."""
    if kept[:1] == _FORMAT:
        return _inflated(kept[1:]), []
    if kept[:1] != _SEALED:
        raise WrittenByNewer(f"format {kept[:1]!r} is not known here: it was written by a newer ctxhub")
    seals, at = [], 3
    for _ in range(int.from_bytes(kept[1:3])):
        begins = at + 4
        at = begins + int.from_bytes(kept[at:begins])
        seals.append(kept[begins:at])
        if at > len(kept):
            break
    return _inflated(kept[at:]), seals


def _inflated(compressed: bytes) -> bytes:
    """Return what was compressed; what was damaged may claim to be larger than any memory, or be as large."""
    try:
        if compressed[:1] >= _LONG and _size(compressed) > MOST_BYTES:
            raise Unreadable("what is kept is not whole: it claims to be larger than anything that is kept")
        return _decompressor.decompress(compressed)
    except (zstandard.ZstdError, MemoryError) as error:
        raise Unreadable(f"what is kept is not whole: {error}") from error


def _size(compressed: bytes) -> int:
    """Return how large it says that it is, once it is inflated."""
    return zstandard.get_frame_parameters(compressed, format=zstandard.FORMAT_ZSTD1_MAGICLESS).content_size


def _together(json: bytes, seals: list[bytes]) -> bytes:
    """Return JSON and seals as they are kept."""
    if not seals:
        return packed(json)
    beside = b"".join(len(seal).to_bytes(4) + seal for seal in seals)
    return _SEALED + len(seals).to_bytes(2) + beside + _compressor.compress(json)


def document_bytes(context: Context) -> bytes:
    """Return a context as JSON, with all that it says."""
    return context.model_dump_json(exclude_defaults=True).encode()


def is_secret(event: Event) -> bool:
    """Tell whether an event tells a value that is kept sealed."""
    told = event.type.startswith("fact.") or event.type == "input.collected"
    return told and event.data.get("sensitivity") == SENSITIVE and "value" in event.data


def has_secrets(context: Context) -> bool:
    """Tell whether a context holds a value that is kept sealed."""
    return any(fact.sensitivity == SENSITIVE for fact in context.facts)


def sealed_document(context: Context, key: DataKey | None) -> tuple[bytes, int]:
    """Return a context as it is kept, and how large it is before it is compressed; secrets need a key."""
    if key is None:
        json = document_bytes(context)
        return packed(json), len(json)
    secrets = [fact for fact in context.facts if fact.sensitivity == SENSITIVE]
    seals = [key.seal(_place(fact), to_json(fact.value)) for fact in secrets]
    hollow = [fact.but(value=None) if fact.sensitivity == SENSITIVE else fact for fact in context.facts]
    json = document_bytes(context.with_facts(hollow))
    return _together(json, seals), len(json) + sum(map(len, seals))


def _place(fact: Fact) -> str:
    """Name the field that a fact's value is bound to."""
    return "\x1e".join(("fact", fact.name, fact.journey_id or "", fact.evidence))


def hollow_context(kept: bytes) -> Context:
    """Return the context that was kept without what is sealed in it: good for finding things, never to be written."""
    return _understood(unpacked(kept))


def context_from(kept: bytes, opener: Opener | None = None) -> Context:
    """Return the context that was kept; `Unreadable` where what is sealed in it can't be opened."""
    json, seals = _apart(kept)
    context = _understood(json)
    if not seals:
        return context
    if opener is None:
        raise Unreadable(f"what is sealed of {context.customer_id} needs its data key")
    return context.with_facts(_filled(context, seals, opener))


def _understood(json: bytes) -> Context:
    """Return the context that JSON says; what is not known here would be lost by the next write, so nothing is read."""
    try:
        return Context.model_validate_json(json)
    except ValidationError as error:
        faults = [(fault["type"], len(fault["loc"])) for fault in error.errors(include_input=False, include_url=False)]
        log.error("document.not_understood", faults=faults[:3])
        # The cause would quote what the customer said.
        raise WrittenByNewer("it says what is not known here: it was written by a newer ctxhub") from None


def _filled(context: Context, seals: list[bytes], opener: Opener) -> list[Fact]:
    """Return the facts with what is sealed; what nobody can read any more, because its epoch was destroyed, is gone."""
    waiting = iter(seals)
    filled = []
    try:
        for fact in context.facts:
            if fact.sensitivity == SENSITIVE:
                fact = fact.but(value=from_json(opener.open(_place(fact), next(waiting))))
            filled.append(fact)
    except Destroyed:
        return [fact for fact in context.facts if fact.sensitivity != SENSITIVE]
    except (Unreadable, StopIteration) as error:
        log.error("value.unreadable", customer=context.customer_id, reason=str(error) or "a seal is missing")
        raise Unreadable(
            f"what is sealed of {context.customer_id} can't be opened", customer_id=context.customer_id
        ) from error
    return filled


def event_bytes(event: Event, key: DataKey | None = None) -> bytes:
    """Return an event as it is kept; version, channel, assurance and marks stand before it in the timeline."""
    secret = is_secret(event) and key is not None
    shown = {
        "event_id": event.event_id,
        "type": event.type,
        "at": rfc3339(event.at),
        "interaction_id": event.interaction_id,
        "journey_id": event.journey_id,
        "party": event.party,
        "data": event.data | {"value": None} if secret else event.data,
    }
    seals = [key.seal(f"event\x1e{event.event_id}", to_json(event.data["value"]))] if secret and key else []
    return _together(orjson.dumps({k: v for k, v in shown.items() if v is not None}), seals)


def entry_bytes(event: dict[str, Any]) -> bytes:
    """Return the entry of a timeline that is read as this event; its value, if it has one, is not sealed."""
    head = f"{event['assurance']} {event.get('channel', '')} {','.join(event.get('marks', ()))} "
    beside = ("version", "assurance", "channel", "marks")
    return head.encode() + packed(orjson.dumps({name: value for name, value in event.items() if name not in beside}))


def event_from(entry: bytes, version: int, opener: Opener | None = None) -> dict[str, Any]:
    """Return the event of a timeline's entry as a plain dict, with its version, channel, assurance and marks.

    A sealed value is null without an opener; one that can't be opened is null and marked. `Unreadable` where the entry
    is not whole.
    """
    level, channel, marks, kept = _entry(entry)
    json, seals = _apart(kept)
    event = _event(json)
    try:
        event["version"] = version
        event["assurance"] = int(level)
        if channel:
            event["channel"] = channel.decode()
        if marks:
            event["marks"] = marks.decode().split(",")
    except ValueError as error:
        raise Unreadable("what stands before an event is not whole") from error
    return _with_value(event, seals[0], opener) if seals and opener is not None else event


def _entry(entry: bytes) -> list[bytes]:
    """Return the parts of a timeline's entry: assurance, channel, marks, and the event as it is kept."""
    parts = entry.split(b" ", 3)
    if len(parts) != 4:
        raise Unreadable("an entry of a timeline is not whole")
    return parts


def _event(json: bytes) -> dict[str, Any]:
    """Return the event that JSON says; `Unreadable` where that is none."""
    try:
        event: dict[str, Any] = orjson.loads(json)
    except ValueError as error:
        raise Unreadable("an event that is kept is not whole") from error
    if not isinstance(event, dict) or not event.keys() >= _ALWAYS or not isinstance(event["data"], dict):
        raise Unreadable("what is kept is no event")
    return event


def without_words(entry: bytes) -> bytes:
    """Return an entry of a timeline without the value or the words of its event, marked so; the rest is as it was."""
    level, channel, marks, kept = _entry(entry)
    event = _event(unpacked(kept))
    event["data"] = retired_data(event["type"], event["data"])
    marked = b",".join(mark for mark in (marks, RETIRED) if mark)
    return b" ".join((level, channel, marked, packed(orjson.dumps(event))))


def emptied(entry: bytes) -> bytes:
    """Return an entry of a timeline that only keeps the place and the id of an event of which nothing may be left."""
    event = event_from(entry, 0)
    left = {"event_id": event["event_id"], "type": FORGOTTEN, "at": event["at"], "party": "system", "data": {}}
    return entry_bytes(left | {"assurance": 0})


def is_sealed(entry: bytes) -> bool:
    """Tell whether an entry of a timeline holds something sealed."""
    return _entry(entry)[3][:1] == _SEALED


def _with_value(event: dict[str, Any], seal: bytes, opener: Opener) -> dict[str, Any]:
    """Return an event with its value, or with the mark that it can't be read."""
    try:
        event["data"]["value"] = from_json(opener.open(f"event\x1e{event['event_id']}", seal))
    except Destroyed:
        event["marks"] = [*event.get("marks", ()), UNREADABLE]
    except Unreadable as error:
        log.error("value.unreadable", version=event["version"], reason=error.detail)
        event["marks"] = [*event.get("marks", ()), UNREADABLE]
    return event


def digest(*parts: str) -> str:
    """Return a short digest of some texts, the same on every machine."""
    return hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def event_digest(event_id: str) -> bytes:
    """Return the short name under which an event id is remembered."""
    return hashlib.blake2b(event_id.encode(), digest_size=9).digest()


def fingerprint(content: bytes) -> str:
    """Return a few characters that tell one content from another."""
    return hashlib.blake2b(content, digest_size=4).hexdigest()
