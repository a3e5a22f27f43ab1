"""API keys and their roles: a key is shown once and kept as a digest; the tenant comes from the key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ctxhub.errors import Forbidden, Invalid, KeyUnknown, Unauthenticated
from ctxhub.model.disclosure import Reader, Role
from ctxhub.model.value import Id, Name, TenantId, Value
from ctxhub.store.keyring import Keyring

FRESH_FOR = 2.0
_MOUNTED = "mounted."


class Principal(Value):
    """Who calls: the key's tenant, name and role, and the one agent it is bound to, if any."""

    tenant: TenantId
    name: Name
    role: Role
    agent: Id | None = None

    def reader(self, interaction_id: str | None = None) -> Reader:
        """Return who reads when this principal does, for an interaction."""
        return Reader(role=self.role, interaction_id=interaction_id, agent_id=self.agent)

    def must_be(self, agent_id: str) -> None:
        """Refuse a key that is bound to another agent."""
        if self.agent is not None and self.agent != agent_id:
            raise Forbidden(f"this key speaks for agent {self.agent}, not for {agent_id}", agent_id=agent_id)


class Keys:
    """Makes keys, and tells who a key belongs to."""

    def __init__(self, keyring: Keyring, master_key: bytes = b"") -> None:
        self._keyring = keyring
        self._master = master_key
        self._fixed: dict[str, Principal] = {}
        self._recent: dict[str, tuple[float, Principal]] = {}

    def fix(self, key: str, principal: Principal) -> None:
        """Let a key be valid that is kept nowhere, such as the first admin's."""
        self._fixed[_digest(key)] = principal

    def of_mounted(self, tenant: str) -> str:
        """Return the key of the adapters mounted beside this hub: derived, so that every process of it knows it."""
        seal = hmac.new(self._master, f"mounted adapters of {tenant}".encode(), hashlib.sha256).hexdigest()
        return f"{_MOUNTED}{tenant}.{seal}"

    def _mounted(self, key: str) -> Principal | None:
        """Return who a mounted adapter's key belongs to, if it is one."""
        tenant = key.removeprefix(_MOUNTED).partition(".")[0]
        if not self._master or not hmac.compare_digest(self.of_mounted(tenant).encode(), key.encode()):
            return None
        return Principal(tenant=tenant, name="mounted adapters", role="adapter")

    async def create(self, tenant: str, name: str, role: str, agent: str | None = None) -> tuple[str, str]:
        """Make a key; return its id and the key itself, which is shown this once."""
        principal = _principal(tenant, name, role, agent)
        for record in (await self._keyring.every()).values():
            if record["tenant"] == tenant and record["name"] == name:
                raise Invalid.field("/name", f"tenant {tenant} has a key {name!r} already")
        secret = f"ctx_{secrets.token_urlsafe(24)}"
        key_id = _digest(secret)[:12]
        made = datetime.now(UTC).isoformat(timespec="seconds")
        await self._keyring.put(_digest(secret), principal.model_dump() | {"key_id": key_id, "created_at": made})
        return key_id, secret

    async def list(self, tenant: str | None = None) -> list[dict[str, Any]]:
        """Return all keys' records, of one tenant or of all; never the keys."""
        records = (await self._keyring.every()).values()
        return sorted((r for r in records if tenant in (None, r["tenant"])), key=lambda r: (r["tenant"], r["name"]))

    async def revoke(self, tenant: str, name: str) -> None:
        """Let a key no longer be valid; within two seconds every process knows."""
        for key_digest, record in (await self._keyring.every()).items():
            if record["tenant"] == tenant and record["name"] == name:
                await self._keyring.drop(key_digest)
                self._recent.pop(key_digest, None)
                return
        raise KeyUnknown(f"tenant {tenant} has no key {name!r}", tenant=tenant)

    async def principal(self, key: str, clock: Callable[[], float] = time.monotonic) -> Principal:
        """Return whose key it is; `Unauthenticated` for one that is not valid."""
        digest = _digest(key)
        if digest in self._fixed:
            return self._fixed[digest]
        known = self._recent.get(digest)
        if known is not None and clock() - known[0] < FRESH_FOR:
            return known[1]
        if key.startswith(_MOUNTED):
            mounted = self._mounted(key)
            if mounted is not None:
                self._fixed[digest] = mounted
                return mounted
        record = await self._keyring.get(digest)
        if record is None:
            self._recent.pop(digest, None)
            raise Unauthenticated("the key is not valid")
        principal = Principal(**{name: record.get(name) for name in Principal.model_fields})
        self._recent[digest] = (clock(), principal)
        return principal


def _principal(tenant: str, name: str, role: str, agent: str | None) -> Principal:
    """Check what a key is to be."""
    try:
        return Principal.model_validate({"tenant": tenant, "name": name, "role": role, "agent": agent})
    except ValueError as error:
        raise Invalid(f"that is no key: {error}") from error


def _digest(key: str) -> str:
    """Return the digest under which a key is kept; keys are random, so a plain one will do."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
