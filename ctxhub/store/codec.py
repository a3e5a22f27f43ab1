"""How values become bytes in Redis, and back: JSON, compressed against a fixed dictionary of what events look like.

The first byte names the format. A new dictionary gets a new byte; old ones stay readable.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import zstandard

from ctxhub.model.context import Context
from ctxhub.model.event import Event
from ctxhub.model.value import rfc3339

_FORMAT = b"\x01"
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
    """Return the JSON of what is kept; `ValueError` for a format of the future."""
    if kept[:1] != _FORMAT:
        raise ValueError(f"format {kept[:1]!r} is not known here: it was written by a newer ctxhub")
    return _decompressor.decompress(kept[1:])


def document_bytes(context: Context) -> bytes:
    """Return a context as it is kept."""
    return context.model_dump_json(exclude_defaults=True).encode()


def context_from(kept: bytes) -> Context:
    """Return the context that was kept."""
    return Context.model_validate_json(unpacked(kept))


def event_bytes(event: Event) -> bytes:
    """Return an event as it is kept; version, channel, assurance and marks stand before it in the timeline."""
    shown = {
        "event_id": event.event_id,
        "type": event.type,
        "at": rfc3339(event.at),
        "interaction_id": event.interaction_id,
        "journey_id": event.journey_id,
        "party": event.party,
        "data": event.data,
    }
    return packed(orjson.dumps({k: v for k, v in shown.items() if v is not None}))


def event_from(entry: bytes, version: int) -> dict[str, Any]:
    """Return the event of a timeline's entry as a plain dict, with its version, channel, assurance and marks."""
    level, channel, marks, kept = entry.split(b" ", 3)
    event: dict[str, Any] = orjson.loads(unpacked(kept))
    event["version"] = version
    event["assurance"] = int(level)
    if channel:
        event["channel"] = channel.decode()
    if marks:
        event["marks"] = marks.decode().split(",")
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
