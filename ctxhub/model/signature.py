"""Signatures of what is sent out, as Standard Webhooks 1.0 has them: `v1` is an HMAC with SHA-256.

What is signed is `<webhook-id>.<webhook-timestamp>.<body>`, and the header holds the signatures of every secret in
force with blanks between them (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64


class BadSecret(ValueError):
    """A secret that nothing can be signed with; the message never tells the secret."""


def secret_of(text: str) -> bytes:
    """Read a secret: `whsec_` and 24 to 64 bytes as base64."""
    if not text.startswith(PREFIX):
        raise BadSecret(f"it does not begin with {PREFIX}")
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise BadSecret(f"what stands after {PREFIX} is not base64") from error
    if not SHORTEST <= len(secret) <= LONGEST:
        raise BadSecret(f"it holds {len(secret)} bytes, not {SHORTEST} to {LONGEST}")
    return secret


def signed(secrets: Sequence[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that say what is sent, when, and that it is ours: a signature by each secret."""
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
