"""Cards as identifiers: a number becomes a keyed blind index and its last four digits before anybody sees it."""

from __future__ import annotations

import hashlib
import hmac

from ctxhub.model.card import last4_of, number_in, shown
from ctxhub.model.customer import CARD, CARD_REF, Identifier
from ctxhub.model.identifier import NotNormal


class Cards:
    """Knows cards again without knowing their numbers; the key is derived from the master key, one for each tenant."""

    def __init__(self, master_key: bytes) -> None:
        self._master = master_key

    def blind(self, tenant: str, identifier: Identifier) -> Identifier:
        """Return a card as it is kept; one that is in that form already stays; `NotNormal` for what is none."""
        if identifier.index is not None and last4_of(identifier.value):
            return identifier
        number = number_in(identifier.value)
        if number is None:
            raise NotNormal("a card's value is its whole number, 13 to 19 digits whose check digit is right")
        return identifier.but(value=shown(number[-4:]), index=self._index(tenant, number))

    def hidden(self, tenant: str, identifier: Identifier, shown_as: str) -> Identifier:
        """Return an identifier in whose value a card number stands as it is kept: found again, and shown without it."""
        index = self._index(tenant, f"{identifier.type}\x1f{identifier.value}")
        return identifier.but(value=shown_as, index=index)

    def by_ref(self, identifier: Identifier) -> list[Identifier]:
        """Return the same card by the issuer's reference for it, where it came with one."""
        return [identifier.but(type=CARD_REF, value=identifier.ref, index=None, ref=None)] if identifier.ref else []

    def _index(self, tenant: str, number: str) -> str:
        """Return what stands for a number: without the key nothing can be tried against it."""
        key = hmac.new(self._master, f"cards\x1f{tenant}".encode(), hashlib.sha256).digest()
        return hmac.new(key, number.encode(), hashlib.sha256).hexdigest()[:32]


def is_card(identifier: Identifier) -> bool:
    """Tell whether an identifier is a card by its number."""
    return identifier.type == CARD
