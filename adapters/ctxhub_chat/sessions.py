"""Sealed sessions: what the page holds of a chat, so that nobody reads what stands in it or reaches another's chat."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ctxhub.client import Forbidden, Lapsed
from ctxhub_chat.say import Lang

LASTS = timedelta(hours=24)
_TAG_BYTES = 16
_ISSUED_EVERY = 3600


class Session(NamedTuple):
    """Where a chat is kept, and the language it is held in.

    One that began while the hub was away has an `external_id` instead of the hub's ids, until it is found by that.
    """

    tenant: str
    customer_id: str
    interaction_id: str
    lang: Lang
    external_id: str = ""

    @property
    def is_begun(self) -> bool:
        """Tell whether the hub's ids are known."""
        return bool(self.interaction_id)


def seal(secret: bytes, session: Session, now: datetime) -> str:
    """Return a session as opaque text; within one hour the same one gets the same text."""
    issued = int(now.timestamp()) // _ISSUED_EVERY
    plain = json.dumps([issued, *session], separators=(",", ":")).encode()
    tag = _tag(secret, plain)
    return base64.urlsafe_b64encode(tag + _masked(secret, tag, plain)).rstrip(b"=").decode()


def unseal(secret: bytes, sealed: str, tenant: str, now: datetime) -> Session:
    """Return a sealed session of this tenant; `Forbidden` where it is not ours, `Lapsed` where it is too old."""
    fields = _opened(secret, sealed)
    if fields is None or fields[1] != tenant:
        raise Forbidden("the session is not one of this chat")
    if now - datetime.fromtimestamp(fields[0] * _ISSUED_EVERY, now.tzinfo) > LASTS + timedelta(seconds=_ISSUED_EVERY):
        raise Lapsed("the session is too old")
    return Session(*fields[1:])


def visit_id(secret: bytes, tenant: str, visit: str) -> str:
    """Return the name under which the hub knows a visit; it does not lead back to what the page keeps."""
    return hmac.digest(_key(secret, "visit"), f"{tenant}\n{visit}".encode(), "sha256").hex()[:32]


def _opened(secret: bytes, sealed: str) -> list[Any] | None:
    """Return the fields in a sealed text, or None where it was not sealed here."""
    try:
        raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    tag = raw[:_TAG_BYTES]
    plain = _masked(secret, tag, raw[_TAG_BYTES:])
    fields: list[Any] | None = json.loads(plain) if hmac.compare_digest(tag, _tag(secret, plain)) else None
    return fields


def _tag(secret: bytes, plain: bytes) -> bytes:
    """Return what proves a text, and starts its mask: texts that differ never share one (as in RFC 5297)."""
    return hmac.digest(_key(secret, "tag"), plain, "sha256")[:_TAG_BYTES]


def _masked(secret: bytes, tag: bytes, text: bytes) -> bytes:
    """Hide or show a text by a mask that only the secret yields."""
    key, blocks = _key(secret, "mask"), range(-(-len(text) // hashlib.sha256().digest_size))
    mask = b"".join(hmac.digest(key, tag + block.to_bytes(4, "big"), "sha256") for block in blocks)
    return bytes(a ^ b for a, b in zip(text, mask, strict=False))


def _key(secret: bytes, purpose: str) -> bytes:
    """Return a key of its own for each purpose."""
    return hmac.digest(secret, f"ctxhub chat {purpose}".encode(), "sha256")
