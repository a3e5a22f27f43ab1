"""Sealed sessions: what the app holds of a visit, so that nobody reads what stands in it or reaches another's visit."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AwareDatetime, BaseModel, ValidationError

from ctxhub_app.refusals import LoginNeeded
from ctxhub_app.say import Lang

_NONCE = 12
_PURPOSE = b"ctxhub app session 1"


class Session(BaseModel, frozen=True):
    """Where a visit is kept, and the language it is held in, until `ends_at`."""

    tenant: str
    customer_id: str
    interaction_id: str
    external_id: str
    lang: Lang
    ends_at: AwareDatetime


class Seal:
    """Turns sessions into text and back: AES-256-GCM under a key of this purpose alone."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE)
        self._cipher = AESGCM(kdf.derive(self._secret))

    def close(self, session: Session) -> str:
        """Seal a session; the same one looks different each time."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, session.model_dump_json().encode(), _PURPOSE)
        return base64.urlsafe_b64encode(nonce + sealed).decode().rstrip("=")

    def open(self, sealed: str, tenant: str, now: datetime) -> Session:
        """Return a session of this tenant; `LoginNeeded` for one that is over, altered, or another's."""
        session = self._opened(sealed)
        if session is None or session.tenant != tenant or now >= session.ends_at:
            raise LoginNeeded("there is no session, or it is over")
        return session

    def derived(self, purpose: str, *parts: str) -> str:
        """Return a name that follows from some texts and does not lead back to them."""
        text = "\x1f".join((purpose, *parts)).encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, b"ctxhub app\x1f" + text, "sha256").hexdigest()[:32]

    def _opened(self, sealed: str) -> Session | None:
        """Return what was sealed here, or None."""
        try:
            raw = base64.b64decode(sealed + "=" * (-len(sealed) % 4), altchars=b"-_", validate=True)
            if base64.urlsafe_b64encode(raw).decode().rstrip("=") != sealed:
                return None  # its last sign was altered in bits that nothing is read from
            return Session.model_validate_json(self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _PURPOSE))
        except (InvalidTag, ValidationError, binascii.Error, ValueError):
            return None
