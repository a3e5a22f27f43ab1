"""The scripts called with bare arguments, as their contracts spell them; and a call that a hub takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ctxhub.hub.changes import PLAIN
from ctxhub.hub.hub import Hub
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Telling
from ctxhub.model.handoff import OfferRequest, Target
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.support import ACME, ADAPTER, a_start

C42 = Who(ACME, "c42")
NOW = 1_000_000
LIFETIME = 60_000


def appended(
    event: str, print_: str = "p", interaction: str = "", fence: str = "-", delivered: bool = False,
    party: str = "customer", level: int = 0, marks: str = "",
) -> list[Any]:  # fmt: skip
    """Spell one event to append."""
    return [event, print_, interaction, fence, "1" if delivered else "0", party, level, marks, f"bytes of {event}"]


def committed(event: str, print_: str = "p", level: int = 0, channel: str = "chat", marks: str = "") -> list[Any]:
    """Spell one event of a commit."""
    return [event, print_, f"bytes of {event}", level, channel, marks]


class Steps:
    """Runs single steps on one customer."""

    def __init__(self, server: Server, who: Who = C42) -> None:
        self.server = server
        self.keys = server.keys.customer(*who)
        self.operation = server.keys.operation(*who, "ab" * 16)

    async def commit(
        self,
        on: str = "",
        new: str = "k1",
        document: str = "document",
        events: Sequence[list[Any]] = (),
        standings: Sequence[tuple[str, str, str]] = (),
        entries: Sequence[tuple[str, str, str]] = (),
        lookups: Sequence[tuple[str, str]] = (),
        due: str = "",
        record: str = "",
        state: str = "live",
        now: int = NOW,
        lifetime: int = LIFETIME,
        lease: str = "-",
        stands: str = "",
        anew: Sequence[tuple[int, str, str]] = (),
    ) -> list[Any]:
        """Run `commit`."""
        keys = self.keys
        names = [keys.context, keys.document, keys.timeline, keys.events, keys.outbox, keys.due, self.operation,
                 keys.leases, keys.operations]  # fmt: skip
        args: list[Any] = [on, new, document, now, lifetime, keys.member, keys.hints, due, record, LIFETIME, state]
        args += [lease, stands]
        args += [len(events), *(part for event in events for part in event)]
        args += [len(standings), *(part for standing in standings for part in standing)]
        args.append(len(entries))
        for key, member, score in entries:
            names.append(key)
            args += [len(names), member, score]
        args.append(len(lookups))
        for key, value in lookups:
            names.append(key)
            args += [len(names), value, LIFETIME]
        args += [len(anew), *(part for entry in anew for part in entry)]
        return list(await self.server.run("commit", names, [*args, "", "", "", "", ""]))

    async def append(
        self, *events: list[Any], keyed: str = "", now: int = NOW, on: str = "", channels: str = ""
    ) -> list[Any]:
        """Run `append`."""
        keys = self.keys
        names = [keys.context, keys.document, keys.timeline, keys.events, keys.outbox, self.operation, keys.operations]
        args: list[Any] = [now, LIFETIME, keys.member, keys.hints, keyed, LIFETIME, on, channels]
        args += [part for event in events for part in event]
        return list(await self.server.run("append", names, args))

    async def load(self, known: str = "", recent: int = 0, operation: bool = False, *events: str) -> list[Any]:
        """Run `load`."""
        keys = self.keys
        names = [keys.context, keys.document, keys.timeline, keys.events, self.operation]
        args = [known, recent, "1" if operation else "0", *events]
        return list(await self.server.run("load", names, args, writes=False))

    async def timeline(self) -> list[bytes]:
        """Return the entries of the timeline."""
        return list(await self.server.call("LRANGE", self.keys.timeline, 0, -1))

    async def standing(self, interaction: str) -> bytes | None:
        """Return what stands beside the document of an open interaction."""
        found: bytes | None = await self.server.call("HGET", self.keys.context, f"i:{interaction}")
        return found

    async def writes(self) -> int:
        """Return how many writes the outbox notes."""
        return int(await self.server.call("XLEN", self.keys.outbox))


async def called(hub: Hub, external_id: str = "call-1", phone: str = "", **more: Any) -> tuple[Who, str]:
    """Let somebody call; return the customer and the interaction."""
    identifiers = [Identifier(type="phone", value=phone)] if phone else []
    answer, _, _ = await hub.interactions.start(ADAPTER, a_start(external_id, identifiers=identifiers, **more))
    return Who(ACME, answer["customer_id"]), answer["interaction"]["interaction_id"]


async def told(hub: Hub, who: Who, event_id: str, type_: str, interaction_id: str, **data: Any) -> dict[str, Any]:
    """Tell one event."""
    telling = Telling(event_id=event_id, type=type_, interaction_id=interaction_id, data=data)
    return await hub.events.tell(who, [telling], PLAIN)


async def offered(hub: Hub, who: Who, interaction_id: str, queue: str = "cards") -> str:
    """Offer an interaction to a queue; return the handoff."""
    offer = OfferRequest(
        customer_id=who.customer_id, interaction_id=interaction_id, reason="asked", to=Target(queue=queue)
    )
    handoff_id: str = (await hub.handoffs.offer(ADAPTER, offer))["handoff"]["handoff_id"]
    return handoff_id
