"""The sealed cookie: who is at the desk, and with which key, readable by this server only."""

from __future__ import annotations

import base64
import binascii
import os
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AwareDatetime, BaseModel, SecretStr, ValidationError, field_serializer

_NONCE = 12
_PURPOSE = b"ctxhub desk session 1"


class Session(BaseModel, frozen=True):
    """An agent at the desk, until `ends_at`."""

    key: SecretStr
    agent_id: str
    queue: str
    supervisor: bool = False
    ends_at: AwareDatetime

    @field_serializer("key")
    def _in_clear(self, key: SecretStr) -> str:
        """Only what is sealed is ever written."""
        return key.get_secret_value()


class Seal:
    """Turns sessions into cookies and back: AES-256-GCM under a key of this purpose alone."""

    def __init__(self, secret: SecretStr) -> None:
        kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE)
        self._cipher = AESGCM(kdf.derive(secret.get_secret_value().encode()))

    def close(self, session: Session) -> str:
        """Seal a session; the same one looks different each time."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, session.model_dump_json().encode(), _PURPOSE)
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open(self, cookie: str, now: datetime) -> Session | None:
        """Return the session in a cookie; None for one that is over, altered or sealed with another secret."""
        try:
            sealed = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            opened = self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _PURPOSE)
            session = Session.model_validate_json(opened)
        except (InvalidTag, ValidationError, binascii.Error, ValueError):
            return None
        return session if now < session.ends_at else None
