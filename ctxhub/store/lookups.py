"""What leads to a customer: identifiers, other systems' names, handoffs and tokens; and how often a code was tried.

Apart from handoffs and tokens none of this is in the customer's slot: each is a step of its own that may be repeated.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, get_args

from ctxhub.errors import IdempotencyKeyReused, TooMany
from ctxhub.model.customer import Identifier, Standing
from ctxhub.store.contexts import LOOKUP_LIVES, OPERATION_LIVES, Operation, Who
from ctxhub.store.keys import has_partition, partition_in
from ctxhub.store.redis import Server

Owners = dict[str, Standing]
_SUREST_LAST = get_args(Standing)
NOBODY_LIVES = timedelta(seconds=60)
ARCHIVED_LIVES = timedelta(days=400)


class Lead(NamedTuple):
    """Where a look-up leads: to a customer, and there to an interaction, or how surely."""

    digest: str
    kind: str
    customer_id: str
    to: str


class Leads(Protocol):
    """Has the look-ups that Redis was allowed to forget."""

    async def leads(self, digests: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return where look-ups lead, as (customer, interaction or strength); of names the newest meaning last."""


class Lookups:
    """Finds customers, interactions and handoffs without ever spelling an identifier in a key.

    A look-up in Redis is whole or it is not there: what is not there may stand in what is `older`.
    """

    def __init__(self, server: Server, master_key: bytes, keep: timedelta, older: Leads | None = None) -> None:
        self._server = server
        self._master = master_key
        self._older = older
        self._keep = round((keep if older is None else ARCHIVED_LIVES).total_seconds() * 1000)

    def sealed(self, *parts: str) -> str:
        """Return an HMAC of some texts: the same for the same texts, telling nothing about them."""
        text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
        return hmac.new(self._master, text, hashlib.sha256).hexdigest()[:32]

    def _key(self, tenant: str, kind: str, *parts: str) -> str:
        """Spell the key of a look-up."""
        return self._server.keys.lookup(tenant, kind, self.sealed(tenant, kind, *parts))

    async def external(self, tenant: str, system: str, external_id: str) -> tuple[str, str] | None:
        """Return (customer_id, interaction_id) of a system's own id, if it is known."""
        return await self._name(tenant, "external", system, external_id)

    async def _name(self, tenant: str, kind: str, *parts: str) -> tuple[str, str] | None:
        """Return (customer_id, interaction_id) of a name, brought back where only the archive has it."""
        digest = self.sealed(tenant, kind, *parts)
        key = self._server.keys.lookup(tenant, kind, digest)
        found = _pair(await self._server.call("GET", key))
        if found is not None or self._older is None:
            return found
        meanings = (await self._older.leads([digest])).get(digest)
        if not meanings:
            return None
        value = "\n".join(meanings[-1])
        before = await self._server.call("SET", key, value, "NX", "GET", "PX", self._keep, writes=True)
        return _pair(before) or meanings[-1]

    async def claim_external(
        self, tenant: str, system: str, external_id: str, customer_id: str, interaction_id: str
    ) -> tuple[str, str]:
        """Be the first to say where a system's id leads; return where it leads, whoever was first."""
        key = self._key(tenant, "external", system, external_id)
        value = f"{customer_id}\n{interaction_id}"
        before = await self._server.call("SET", key, value, "NX", "GET", "PX", self._keep, writes=True)
        if before is not None:
            await self._server.confirm_expiring(key, self._keep)
        return _pair(before) or (customer_id, interaction_id)

    async def set_external(
        self, tenant: str, system: str, external_id: str, customer_id: str, interaction_id: str
    ) -> None:
        """Say where a system's id leads now, after its interaction moved to another customer."""
        key = self._key(tenant, "external", system, external_id)
        await self._server.call("SET", key, f"{customer_id}\n{interaction_id}", "PX", self._keep, writes=True)

    async def set_refs(
        self, tenant: str, refs: Sequence[tuple[str, str, str]], customer_id: str, interaction_id: str
    ) -> None:
        """Say where other systems' names lead; the newest meaning of a name counts."""
        value = f"{customer_id}\n{interaction_id}"
        commands = [("SET", self._key(tenant, "ref", *ref), value, "PX", self._keep) for ref in refs]
        await self._server.pipeline(*commands, writes=True)

    async def ref(self, tenant: str, system: str, kind: str, ref_id: str) -> tuple[str, str] | None:
        """Return (customer_id, interaction_id) of another system's name."""
        return await self._name(tenant, "ref", system, kind, ref_id)

    async def called(self, tenant: str, system: str, kind: str, ref_id: str) -> tuple[str, str] | None:
        """Return (customer_id, interaction_id) of another system's name; a call's may be the system's own id for it."""
        found = await self.ref(tenant, system, kind, ref_id)
        return found or (await self.external(tenant, system, ref_id) if kind == "call" else None)

    async def owners(self, tenant: str, identifiers: Sequence[Identifier]) -> list[Owners]:
        """Return, of each identifier, the customers it leads to."""
        digests = [self.sealed(tenant, "identifier", *identifier.what) for identifier in identifiers]
        keys = [self._server.keys.lookup(tenant, "identifier", digest) for digest in digests]
        found = dict(zip(digests, await self._server.pipeline(*[("HGETALL", key) for key in keys]), strict=True))
        if self._older is not None:
            found |= await self._recalled(tenant, [digest for digest, pairs in found.items() if not pairs])
        return [_owners(found[digest]) for digest in digests]

    async def _recalled(self, tenant: str, digests: Sequence[str]) -> dict[str, Any]:
        """Bring identifiers back of which Redis knows nothing; one that leads nowhere is known as such for a while."""
        if not digests or self._older is None:
            return {}
        leads = await self._older.leads(digests)
        nobody = round(NOBODY_LIVES.total_seconds() * 1000)
        calls = [
            (
                [self._server.keys.lookup(tenant, "identifier", digest)],
                [self._keep, nobody, *(part for pair in leads.get(digest, ()) for part in pair)],
            )
            for digest in digests
        ]
        return dict(zip(digests, await self._server.run_many("recall", calls), strict=True))

    async def link(self, tenant: str, identifier: Identifier, customer_id: str, first: bool) -> Owners:
        """Link an identifier to a customer: only if nobody has it (`first`), or beside whoever has."""
        key = self._key(tenant, "identifier", *identifier.what)
        args = [customer_id, identifier.standing, "first" if first else "beside", self._keep, self._mode]
        held = await self._server.run("link", [key], args)
        while held is None:
            await self.owners(tenant, [identifier])
            held = await self._server.run("link", [key], args)
        return _owners(held)

    @property
    def _mode(self) -> str:
        """Say to scripts whether what is not here may stand in the archive."""
        return "" if self._older is None else "recalled"

    async def unlink(self, tenant: str, identifier: Identifier, customer_id: str) -> None:
        """Let an identifier no longer lead to a customer."""
        await self.owners(tenant, [identifier])
        key = self._key(tenant, "identifier", *identifier.what)
        await self._server.run("unlink", [key], [customer_id, self._keep, self._mode])

    def leads_of(self, tenant: str, document: dict[str, Any]) -> list[Lead]:
        """Return the look-ups that lead to a customer, by its document as it is kept; to one who moved, none."""
        customer_id = document["customer_id"]
        if document.get("frozen"):
            return []
        found = []
        merged = [held for merge in document.get("merges", {}).values() for held in merge.get("identifiers", ())]
        for held in _strongest([one for one in [*document.get("identifiers", ()), *merged] if _leads(one)]):
            what = (held["type"], held.get("index") or held["value"])
            found.append(Lead(self.sealed(tenant, "identifier", *what), "identifier", customer_id, _standing(held)))
        for interaction_id, interaction in document.get("interactions", {}).items():
            names: list[tuple[str, tuple[str, ...]]] = [
                ("external", (interaction["system"], interaction["external_id"]))
            ]
            for ref in interaction.get("refs", ()):
                names.append(("ref", (ref["system"], ref.get("kind", "call"), ref["id"])))
            for kind, parts in names:
                found.append(Lead(self.sealed(tenant, kind, *parts), kind, customer_id, interaction_id))
        return found

    async def drop(self, names: Sequence[tuple[str, str, str]]) -> None:
        """Forget look-ups, given as (tenant, kind, digest): the archive has a later state of them."""
        keys = [self._server.keys.lookup(*name) for name in names]
        await self._server.pipeline(*[("DEL", key) for key in keys], writes=True)

    async def let_go(self, leads: dict[tuple[str, str, str], list[tuple[str, str]]]) -> None:
        """Forget look-ups, given as (tenant, kind, digest), that the archive has just as they are here."""
        calls = []
        for (tenant, kind, digest), meanings in leads.items():
            pairs = [part for pair in meanings for part in pair]
            wanted = ["identifier", *pairs] if kind == "identifier" else ["name", "\n".join(meanings[-1])]
            calls.append(([self._server.keys.lookup(tenant, kind, digest)], wanted))
        if calls:
            await self._server.run_many("let_go", calls)

    def handoff_lookups(self, who: Who, handoff_id: str, token: str) -> list[tuple[str, str]]:
        """Return the look-ups of a handoff and its token, to be written with the offer itself."""
        partition = self._server.keys.customer(*who).partition
        keys = self._server.keys
        found = f"{who.tenant}\n{who.customer_id}"
        return [(keys.handoff(partition, handoff_id), found), (keys.token(partition, token), handoff_id)]

    async def repoint_handoffs(self, home: Who, handoff_ids: Sequence[str]) -> None:
        """Let handoffs, and so their tokens, lead to another customer."""
        lives = round(LOOKUP_LIVES.total_seconds() * 1000)
        value = f"{home.tenant}\n{home.customer_id}"
        keys = [self._server.keys.handoff(partition_in(handoff_id), handoff_id) for handoff_id in handoff_ids]
        await self._server.pipeline(*[("SET", key, value, "PX", lives) for key in keys], writes=True)

    async def lead_home(self, home: Who, handoffs: Sequence[tuple[str, str]]) -> None:
        """Let handoffs and their tokens lead to a customer, wherever their ids say that this stands."""
        lives = round(LOOKUP_LIVES.total_seconds() * 1000)
        keys = self._server.keys
        pairs = [(keys.token(partition_in(token), token), handoff_id) for handoff_id, token in handoffs]
        await self._server.pipeline(*[("SET", *pair, "PX", lives) for pair in pairs], writes=True)
        await self.repoint_handoffs(home, [handoff_id for handoff_id, _ in handoffs])

    async def leave(
        self, who: Who, externals: Sequence[tuple[str, str]], refs: Sequence[tuple[str, str, str]],
        handoffs: Sequence[tuple[str, str]],
    ) -> int:  # fmt: skip
        """Let other systems' names, and handoffs given with their tokens, lead nowhere; return how many did."""
        keys = [self._key(who.tenant, "external", *external) for external in externals]
        keys += [self._key(who.tenant, "ref", *ref) for ref in refs]
        led = await self._server.pipeline(*[("GET", key) for key in keys])
        mine = f"{who.customer_id}\n".encode()
        here = [key for key, to in zip(keys, led, strict=True) if to and to.startswith(mine)]
        for handoff_id, token in handoffs:
            here.append(self._server.keys.handoff(partition_in(handoff_id), handoff_id))
            here.append(self._server.keys.token(partition_in(token), token))
        return sum(await self._server.pipeline(*[("DEL", key) for key in here], writes=True))

    async def leave_tries(
        self, tenant: str, externals: Sequence[tuple[str, str]], identifiers: Sequence[tuple[str, str]],
        operations: Sequence[str],
    ) -> None:  # fmt: skip
        """Forget how often codes were tried for somebody, and what its Idempotency-Keys have begun."""
        keys = [self._key(tenant, "tries", "interaction", *external) for external in externals]
        keys += [self._key(tenant, "tries", "identifier", *what) for what in identifiers]
        keys += [self._key(tenant, "start", digest) for digest in operations]
        await self._server.pipeline(*[("DEL", key) for key in keys], writes=True)

    async def drop_interaction(
        self, tenant: str, system: str, external_id: str, refs: Sequence[tuple[str, str, str]]
    ) -> None:
        """Let other systems' names of an interaction lead nowhere."""
        keys = [self._key(tenant, "external", system, external_id)]
        keys += [self._key(tenant, "ref", *ref) for ref in refs]
        await self._server.pipeline(*[("DEL", key) for key in keys], writes=True)

    async def handoff(self, tenant: str, handoff_id: str) -> str | None:
        """Return the customer of a handoff; None if there is none, or it is another tenant's."""
        if not (handoff_id.isascii() and handoff_id.startswith("ho_") and has_partition(handoff_id)):
            return None
        found = await self._server.call("GET", self._server.keys.handoff(partition_in(handoff_id), handoff_id))
        of_tenant, _, customer_id = found.decode().partition("\n") if found else ("", "", "")
        return customer_id if of_tenant == tenant else None

    async def tenant_of(self, token: str) -> str | None:
        """Return the tenant whose handoff a token stands for."""
        handoff_id = await self.token(token)
        if handoff_id is None:
            return None
        found = await self._server.call("GET", self._server.keys.handoff(partition_in(handoff_id), handoff_id))
        return found.decode().partition("\n")[0] if found else None

    async def token(self, token: str) -> str | None:
        """Return the handoff that a token stands for; one that cannot have been made here is not asked for."""
        if not (token.isascii() and has_partition(token)):
            return None
        found = await self._server.call("GET", self._server.keys.token(partition_in(token), token))
        return found.decode() if found else None

    async def must_be_same(self, tenant: str, operation: Operation | None) -> None:
        """Refuse an Idempotency-Key that began another interaction, whoever its customer was."""
        if operation is None:
            return
        found = await self._server.call("GET", self._key(tenant, "start", operation.digest))
        if found is not None and found.decode() != operation.fingerprint:
            raise IdempotencyKeyReused("the Idempotency-Key was used for another request")

    async def remember(self, tenant: str, operation: Operation | None) -> None:
        """Note what an Idempotency-Key has begun."""
        if operation is None:
            return
        lives = round(OPERATION_LIVES.total_seconds() * 1000)
        key = self._key(tenant, "start", operation.digest)
        await self._server.call("SET", key, operation.fingerprint, "NX", "PX", lives, writes=True)

    async def count(self, tenant: str, what: tuple[str, ...], window: timedelta) -> tuple[int, int]:
        """Count one more; return how many there were in the window, and the seconds that are left of it."""
        key = self._key(tenant, "tries", *what)
        count, left = await self._server.run("count_try", [key], [round(window.total_seconds() * 1000)])
        return int(count), max(1, -(-int(left) // 1000))

    async def count_try(self, tenant: str, what: tuple[str, ...], most: int, window: timedelta) -> None:
        """Count one try; `TooMany` after the most that the window allows."""
        count, left = await self.count(tenant, what, window)
        if count > most:
            raise TooMany("too many tries", retry_after=left)

    async def grant(self, who: Who, agent_id: str, lasts: timedelta) -> None:
        """Open a customer to an agent for a while."""
        key = self._key(who.tenant, "access", who.customer_id, agent_id)
        await self._server.call("SET", key, "1", "PX", round(lasts.total_seconds() * 1000), writes=True)

    async def is_granted(self, who: Who, agent_id: str) -> bool:
        """Tell whether a customer is open to an agent."""
        return bool(await self._server.call("EXISTS", self._key(who.tenant, "access", who.customer_id, agent_id)))

    async def count_reading(self, tenant: str, agent_id: str, customer: str, most: int, window: timedelta) -> None:
        """Count a customer whom an agent reads, each once in a window; `TooMany` beyond the most."""
        key = self._key(tenant, "reading", agent_id)
        seconds = round(window.total_seconds())
        _, _, count = await self._server.pipeline(
            ("SADD", key, customer), ("EXPIRE", key, seconds, "NX"), ("SCARD", key), writes=True
        )
        if count > most:
            raise TooMany(f"agent {agent_id} reads more customers than work explains", retry_after=seconds)


def _leads(held: dict[str, Any]) -> bool:
    """Tell whether an identifier leads to its customer, as it is kept."""
    return "unsure" not in held or bool(held["unsure"].get("leads"))


def _standing(held: dict[str, Any]) -> str:
    """Return how surely an identifier leads to its customer, as it is kept."""
    return "whispered" if "unsure" in held else held.get("strength", "claimed")


def _strongest(held: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return identifiers, each once: as sure as it is anywhere."""
    ordered = sorted(held, key=lambda one: _SUREST_LAST.index(_standing(one)))
    return list({(one["type"], one.get("index") or one["value"]): one for one in ordered}.values())


def _pair(found: bytes | None) -> tuple[str, str] | None:
    """Read where a look-up leads."""
    if not found:
        return None
    customer_id, _, interaction_id = found.decode().partition("\n")
    return customer_id, interaction_id


def _owners(found: Any) -> Owners:
    """Read the customers of an identifier."""
    pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
    return {customer.decode(): strength.decode() for customer, strength in pairs if customer}
