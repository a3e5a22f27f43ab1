"""API keys and their roles: a key is shown once and kept as a digest; the tenant comes from the key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import field_serializer

from ctxhub.errors import Forbidden, Invalid, KeyUnknown, Unauthenticated
from ctxhub.model.clearance import ReadingFor
from ctxhub.model.context import Context
from ctxhub.model.disclosure import Reader, Role
from ctxhub.model.interaction import must_have_floor
from ctxhub.model.scope import Scope, is_within, scope_of
from ctxhub.model.value import Channel, Id, Instant, Level, Name, TenantId, Value
from ctxhub.store.keyring import Keyring

FRESH_FOR = 2.0
USED_EVERY = timedelta(minutes=1)
OVERLAP = timedelta(hours=24)
_MOUNTED = "mounted."
MOUNTED = "mounted adapters"
#: What of a key's record is shown; what stands there and is not named here stays here.
SHOWN = (
    "tenant", "name", "role", "agent", "scopes", "channels", "queues", "level", "methods",
    "key_id", "created_at", "expires_at", "last_used",
)  # fmt: skip
_NARROWING = ("scopes", "channels", "queues")


class Principal(Value):
    """Who calls: tenant, name and role, the one agent it is bound to, and what it is narrowed to; empty is all.

    It asserts assurance up to `level`, by one of its `methods`, or by any where none are named; a key may have an end.
    """

    tenant: TenantId
    name: Name
    role: Role
    agent: Id | None = None
    scopes: frozenset[Scope] = frozenset()
    channels: frozenset[Channel] = frozenset()
    queues: frozenset[Name] = frozenset()
    skills: frozenset[Name] = frozenset()
    level: Level = 3
    methods: tuple[Name, ...] | None = None
    expires_at: Instant | None = None

    @field_serializer("scopes", "channels", "queues", "skills")
    def _in_order(self, names: frozenset[str]) -> list[str]:
        """Write what it is narrowed to the same way each time."""
        return sorted(names)

    @property
    def is_colleague(self) -> bool:
        """Tell whether it is somebody of the company's, and not a channel with its customer at the other end."""
        return self.role != "adapter"

    def reader(self, interaction_id: str | None = None, purpose: ReadingFor = "service") -> Reader:
        """Return who reads when this principal does, for an interaction; the parts were checked where they came in."""
        return Reader.trusted(
            role=self.role, interaction_id=interaction_id, agent_id=self.agent, purpose=purpose,
            channels=self.channels, queues=self.queues,
        )  # fmt: skip

    def must_be(self, agent_id: str) -> None:
        """Refuse a key that is bound to another agent."""
        if self.agent is not None and self.agent != agent_id:
            raise Forbidden(f"this key speaks for agent {self.agent}, not for {agent_id}", agent_id=agent_id)

    def must_serve(self, queue: str | None) -> None:
        """Refuse a key that is narrowed to other queues."""
        if self.queues and queue is not None and queue not in self.queues:
            raise Forbidden("this key is for other queues", queue=queue)

    def must_speak_on(self, channel: str) -> None:
        """Refuse a key that is bound to other channels."""
        if self.channels and channel not in self.channels:
            raise Forbidden("this key is for other channels", channel=channel)

    def must_speak_in(self, context: Context, interaction_id: str | None) -> None:
        """Refuse a key that is bound to other channels than an interaction's; of one that is not there, nothing."""
        interaction = context.interactions.get(interaction_id or "")
        if interaction is not None:
            self.must_speak_on(interaction.channel)

    def must_hold(self, context: Context, interaction_id: str) -> None:
        """Refuse a key bound to an agent what only the holder of an interaction may do, while that is somebody else."""
        interaction = context.interactions.get(interaction_id)
        if interaction is not None:
            must_have_floor(interaction, self.agent)

    def must_reach(self, route: str) -> None:
        """Refuse a key whose scopes leave out a route."""
        if not is_within(self.scopes, route):
            needed = scope_of(route)
            said = f"this takes the scope {needed}" if needed else "this is for keys without scopes"
            raise Forbidden(f"{said}; the key's are {', '.join(sorted(self.scopes))}", scopes=sorted(self.scopes))

    def must_cover(self, other: Principal) -> None:
        """Refuse to hand out a key that may more than this one."""
        wider = [part for part in _NARROWING if not _is_as_narrow(getattr(self, part), getattr(other, part))]
        if self.agent not in (None, other.agent):
            wider.append("agent")
        if other.level > self.level:
            wider.append("level")
        if self.methods is not None and (other.methods is None or not set(other.methods) <= set(self.methods)):
            wider.append("methods")
        if self.expires_at is not None and (other.expires_at is None or other.expires_at > self.expires_at):
            wider.append("expires_at")
        if wider:
            raise Forbidden(f"that key may more than yours: narrow {', '.join(wider)}", wider=wider)


class KeyMade(NamedTuple):
    """A new key, shown this once."""

    key_id: str
    key: str


class Warrant(Value):
    """By what somebody calls, as it can be looked at again later: a key by its digest, or a token, which has an end.

    What was fixed at the start, as the first admin's key, has neither, and holds.
    """

    key: str | None = None
    until: Instant | None = None


class Came(NamedTuple):
    """From where a call came that is passed on: a customer's address, or that of whoever works here."""

    address: str
    is_customers: bool = False


class _Known(NamedTuple):
    """A key as this process knows it for a moment, and since when."""

    at: float
    principal: Principal


class Keys:
    """Makes keys, and tells who a key belongs to."""

    def __init__(
        self, keyring: Keyring, master_key: bytes = b"", now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._keyring = keyring
        self._master = master_key
        self._now = now
        self._fixed: dict[str, Principal] = {}
        self._recent: dict[str, _Known] = {}
        self._used: dict[str, datetime] = {}

    def fix(self, key: str, principal: Principal) -> None:
        """Let a key be valid that is kept nowhere, such as the first admin's."""
        self._fixed[_digest(key)] = principal

    def of_mounted(self, tenant: str) -> str:
        """Return the key of the adapters mounted beside this hub: derived, so that every process of it knows it."""
        seal = hmac.new(self._master, f"mounted adapters of {tenant}".encode(), hashlib.sha256).hexdigest()
        return f"{_MOUNTED}{tenant}.{seal}"

    def introduced(self, came: Came) -> str:
        """Return how an adapter mounted beside this hub says from where a call came that it passes on."""
        whose = "a customer" if came.is_customers else "somebody"
        said = f"passed on from {whose} at {came.address}"
        return f"{came.address} {hmac.new(self._master, said.encode(), hashlib.sha256).hexdigest()}"

    def introduced_from(self, said: str) -> Came | None:
        """Return from where a call came that is passed on; None unless one of this hub's own adapters says so."""
        address = said.partition(" ")[0]
        for came in (Came(address), Came(address, is_customers=True)) if self._master else ():
            if hmac.compare_digest(self.introduced(came).encode(), _encoded(said)):
                return came
        return None

    def _mounted(self, key: str) -> Principal | None:
        """Return who a mounted adapter's key belongs to, if it is one."""
        tenant = key.removeprefix(_MOUNTED).partition(".")[0]
        if not self._master or not hmac.compare_digest(self.of_mounted(tenant).encode(), _encoded(key)):
            return None
        return Principal(tenant=tenant, name=MOUNTED, role="adapter")

    async def create(
        self, tenant: str, name: str, role: str, agent: str | None = None, expires_at: datetime | None = None,
        by: Principal | None = None, **narrowed: Any,
    ) -> KeyMade:  # fmt: skip
        """Make a key, no wider than that of `by` who makes it; return its id and the key itself, shown this once."""
        principal = _principal(tenant, name, role, agent, {"expires_at": expires_at, **narrowed})
        if by is not None:
            by.must_cover(principal)
        if await self._named(tenant, name):
            raise Invalid.field("/name", f"tenant {tenant} has a key {name!r} already")
        return await self._made(principal.model_dump(mode="json"), expires_at)

    async def _made(self, record: dict[str, Any], expires_at: datetime | None) -> KeyMade:
        """Keep a new key; its id stands in it, so that it can be told from others wherever it is found."""
        key_id = secrets.token_hex(6)
        key = f"ctx_{key_id}_{secrets.token_urlsafe(24)}"
        lives = {"created_at": _written(self._now()), "expires_at": _written(expires_at)}
        await self._keyring.put(_digest(key), record | {"key_id": key_id} | lives)
        return KeyMade(key_id, key)

    async def rotate(
        self, tenant: str, name: str, overlap: timedelta = OVERLAP, by: Principal | None = None
    ) -> KeyMade:
        """Make a new key in a key's place, with the same end; the one before stays valid for the overlap."""
        found = await self._named(tenant, name)
        if not found:
            raise KeyUnknown(f"tenant {tenant} has no key {name!r}", tenant=tenant)
        newest = max(found.values(), key=lambda record: str(record["created_at"]))
        if by is not None:
            by.must_cover(_principal_of(newest))
        ends, now = _read(newest.get("expires_at")), self._now()
        if ends is not None and now >= ends:
            raise Invalid.field("/name", f"key {name!r} of tenant {tenant} has ended: revoke it, and make a new one")
        for key_digest, record in found.items():
            until = min(filter(None, (_read(record.get("expires_at")), now + overlap)))
            await self._keyring.put(key_digest, record | {"expires_at": _written(until)})
        return await self._made(_principal_of(newest).model_dump(mode="json"), ends)

    async def list(self, tenant: str | None = None) -> list[dict[str, Any]]:
        """Return all keys' records, of one tenant or of all; never the keys."""
        used = await self._keyring.last_used()
        records = [r | {"last_used": used.get(r["key_id"])} for r in (await self._keyring.every()).values()]
        shown = [{part: r.get(part) for part in SHOWN} for r in records if tenant in (None, r["tenant"])]
        return sorted(shown, key=lambda r: (r["tenant"], r["name"], r["created_at"]))

    async def revoke(self, tenant: str, name: str) -> None:
        """Let a key no longer be valid, with those it has replaced; within two seconds every process knows."""
        found = await self._named(tenant, name)
        if not found:
            raise KeyUnknown(f"tenant {tenant} has no key {name!r}", tenant=tenant)
        for key_digest in found:
            await self._keyring.drop(key_digest)
            self._recent.pop(key_digest, None)

    async def _named(self, tenant: str, name: str) -> dict[str, dict[str, Any]]:
        """Return the records of a name, by digest: several while a key is being replaced."""
        every = (await self._keyring.every()).items()
        return {digest: record for digest, record in every if (record["tenant"], record["name"]) == (tenant, name)}

    async def principal(self, key: str, clock: Callable[[], float] = time.monotonic) -> Principal:
        """Return whose key it is; `Unauthenticated` for one that is not valid."""
        digest = _digest(key)
        if digest in self._fixed:
            return self._fixed[digest]
        mounted = self._mounted(key) if key.startswith(_MOUNTED) else None
        if mounted is not None:
            self._fixed[digest] = mounted
            return mounted
        return await self._by_digest(digest, clock())

    def warrant(self, key: str) -> Warrant:
        """Return by what a key that was valid just now can be looked at again."""
        digest = _digest(key)
        return Warrant() if digest in self._fixed else Warrant(key=digest)

    async def must_hold(self, warrant: Warrant, clock: Callable[[], float] = time.monotonic) -> None:
        """Refuse by `Unauthenticated` whose key is no longer valid, or whose token is over."""
        if warrant.until is not None and self._now() >= warrant.until:
            raise Unauthenticated("the token is not valid")
        if warrant.key is not None:
            await self._by_digest(warrant.key, clock())

    async def _by_digest(self, digest: str, at: float) -> Principal:
        """Return whose key has a digest; what was known of it just now still holds."""
        known = self._recent.get(digest)
        if known is not None and at - known.at < FRESH_FOR:
            return self._unexpired(known.principal)
        return await self._looked_up(digest, at)

    async def _looked_up(self, digest: str, at: float) -> Principal:
        """Return whose key it is as Redis knows it; that it is used is noted at most once a minute."""
        record = await self._keyring.get(digest)
        if record is None:
            self._recent.pop(digest, None)
            raise Unauthenticated("the key is not valid")
        principal, known = _principal_of(record), self._recent.get(digest)
        if known is not None and known.principal == principal:
            principal = known.principal  # the same one, so that nobody has to compare them again
        self._recent[digest] = _Known(at, principal)
        self._unexpired(principal)
        now, before = self._now(), self._used.get(digest)
        if before is None or now - before >= USED_EVERY:
            self._used[digest] = now
            await self._keyring.used(record["key_id"], _written(now) or "")
        return principal

    def _unexpired(self, principal: Principal) -> Principal:
        """Return a key's principal, unless its time is over."""
        if principal.expires_at is not None and self._now() >= principal.expires_at:
            raise Unauthenticated("the key is not valid")
        return principal


def _principal(tenant: str, name: str, role: str, agent: str | None, narrowed: Mapping[str, Any]) -> Principal:
    """Check what a key is to be."""
    try:
        return Principal.model_validate({"tenant": tenant, "name": name, "role": role, "agent": agent, **narrowed})
    except ValueError as error:
        raise Invalid(f"that is no key: {error}") from error


def _principal_of(record: Mapping[str, Any]) -> Principal:
    """Return whose key a record is of; one from before keys were narrowed says nothing of that."""
    return Principal(**{part: record[part] for part in Principal.model_fields if part in record})


def _is_as_narrow(mine: frozenset[str], other: frozenset[str]) -> bool:
    """Tell whether another key's names are within those of mine, where none means all."""
    return not mine or (bool(other) and other <= mine)


def _written(at: datetime | None) -> str | None:
    """Write an instant as records hold it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds") if at is not None else None


def _read(written: str | None) -> datetime | None:
    """Read an instant from a record."""
    return datetime.fromisoformat(written) if written else None


def _encoded(key: str) -> bytes:
    """Return a key's bytes, whatever it is made of."""
    return key.encode("utf-8", "surrogatepass")


def _digest(key: str) -> str:
    """Return the digest under which a key is kept; keys are random, so a plain one will do."""
    return hashlib.sha256(_encoded(key)).hexdigest()
