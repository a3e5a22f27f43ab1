"""Tokens and codes of handoffs: HMACs of the handoff's id, so that they can be said again and nothing can be stolen."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from ctxhub.store.keys import HANDOFF_TAIL, TOKEN_TAIL, Keys, partition_in

CODE_DIGITS = 8
_PROVISIONAL = "pc_"


def is_provisional(customer_id: str) -> bool:
    """Tell whether an id is one of ours for somebody not yet known."""
    return customer_id.startswith(_PROVISIONAL)


class Secrets:
    """Derives what lets a customer go on elsewhere."""

    def __init__(self, master_key: bytes, keys: Keys) -> None:
        self._master = master_key
        self._keys = keys

    def handoff_id(self, tenant: str, customer_id: str, seed: str | None = None) -> str:
        """Return a new handoff's id, which begins with its partition; the same seed gives the same id."""
        partition = self._keys.customer(tenant, customer_id).partition
        text = (
            self._mac("handoff", tenant, customer_id, seed)[:HANDOFF_TAIL]
            if seed
            else secrets.token_hex(HANDOFF_TAIL // 2)
        )
        return f"ho_{partition}{text}"

    def token(self, handoff_id: str) -> str:
        """Return the token of a handoff: its partition, then 128 bits and more, fit for a SIP header or a QR code."""
        mac = hmac.new(self._master, b"token\x1f" + handoff_id.encode(), hashlib.sha256).digest()
        return partition_in(handoff_id) + base64.urlsafe_b64encode(mac)[:TOKEN_TAIL].decode()

    def code(self, handoff_id: str) -> str:
        """Return the spoken code of a handoff."""
        number = int(self._mac("code", handoff_id), 16) % 10**CODE_DIGITS
        return f"{number:0{CODE_DIGITS}}"

    def interaction_id(self, tenant: str, system: str, external_id: str) -> str:
        """Return the id that an interaction of a system always gets."""
        return f"in_{self._mac('interaction', tenant, system, external_id)[:20]}"

    def provisional_id(self, tenant: str, system: str, external_id: str) -> str:
        """Return our id for a customer not yet known, who is met in this interaction."""
        return f"{_PROVISIONAL}{self._mac('customer', tenant, system, external_id)[:20]}"

    def bound(self, type_: str, value: str) -> str:
        """Return what a code remembers of an identifier it is bound to."""
        return self._mac("bound", type_, value)[:24]

    def _mac(self, *parts: str) -> str:
        """Return an HMAC of some texts."""
        text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
        return hmac.new(self._master, text, hashlib.sha256).hexdigest()


def uui(token: str) -> str:
    """Return a token as User-to-User data (RFC 7433): hexadecimal, with the protocol discriminator in front."""
    return f"00{token.encode().hex()};encoding=hex"
