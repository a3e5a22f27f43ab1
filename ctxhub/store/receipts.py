"""Receipts of who was forgotten, for whoever asks again with the same Idempotency-Key: nobody else can open them.

A receipt names the customer and other systems' copies, and must not be readable where nothing of the customer is to be
left. It is sealed under a key that is made from the Idempotency-Key, which stands nowhere.
"""

from __future__ import annotations

from typing import Any

import orjson

from ctxhub.errors import IdempotencyKeyReused
from ctxhub.store.contexts import OPERATION_LIVES, Operation, Who
from ctxhub.store.lookups import Lookups
from ctxhub.store.redis import Server
from ctxhub.store.sealing import Sealing

_LIVES = round(OPERATION_LIVES.total_seconds() * 1000)


class Receipts:
    """Keeps receipts as long as any Idempotency-Key is known."""

    def __init__(self, server: Server, lookups: Lookups, sealing: Sealing) -> None:
        self._server = server
        self._lookups = lookups
        self._sealing = sealing

    async def put(self, who: Who, operation: Operation, receipt: dict[str, Any]) -> dict[str, Any]:
        """Keep a receipt; return it, or the one that a twin of the request has kept before."""
        said = orjson.dumps({"fingerprint": operation.fingerprint, "receipt": receipt})
        sealed = self._sealing.under(self._secret(who, operation), said)
        key = self._key(who, operation)
        before = await self._server.call("SET", key, sealed, "NX", "GET", "PX", _LIVES, writes=True)
        if before is None:
            return receipt
        await self._server.confirm_expiring(key, _LIVES)
        return self._read(who, operation, before)

    async def of(self, who: Who, operation: Operation) -> dict[str, Any] | None:
        """Return the receipt of the same request; `IdempotencyKeyReused` where its key stood for another."""
        key = self._key(who, operation)
        sealed = await self._server.call("GET", key)
        if sealed is None:
            return None
        await self._server.confirm_expiring(key, _LIVES)
        return self._read(who, operation, sealed)

    def _read(self, who: Who, operation: Operation, sealed: bytes) -> dict[str, Any]:
        """Open a receipt for whom it is."""
        said = orjson.loads(self._sealing.out_of(self._secret(who, operation), sealed))
        if said["fingerprint"] != operation.fingerprint:
            raise IdempotencyKeyReused("the Idempotency-Key was used for another request")
        receipt: dict[str, Any] = said["receipt"]
        return receipt

    def _key(self, who: Who, operation: Operation) -> str:
        """Spell where a receipt stands."""
        digest = self._lookups.sealed("receipt", *who, operation.digest)
        return self._server.keys.lookup(who.tenant, "receipt", digest)

    def _secret(self, who: Who, operation: Operation) -> bytes:
        """Return under which key a receipt is sealed."""
        return self._lookups.sealed("receipt's secret", *who, operation.digest).encode()
