"""Forgetting: a customer is shut to everybody at once, then erased step by step; whoever dies over it, another goes on.

Every step may be repeated, and the customer's own keys go last: as long as they are there, what is left undone is
known, and due.
"""

from __future__ import annotations

import secrets
from collections import Counter
from typing import Any, NamedTuple

import structlog

from ctxhub.errors import Changed, CtxhubError, CustomerUnknown, OnHold
from ctxhub.hub.archiving import Archiving
from ctxhub.hub.audit import Audit
from ctxhub.hub.changes import PLAIN, Changes, Decision, Present, Request
from ctxhub.hub.emptying import Emptying
from ctxhub.hub.entries import Entries
from ctxhub.hub.secrets import Secrets, is_provisional
from ctxhub.hub.tenants import Tenants
from ctxhub.hub.traces import Traces
from ctxhub.model.context import Context
from ctxhub.model.value import rfc3339
from ctxhub.store.asked import Asked
from ctxhub.store.atrest import AtRest
from ctxhub.store.contexts import Operation, Who, moved_to, must_be_live
from ctxhub.store.deliveries import Deliveries
from ctxhub.store.forgetting import Erasing, Found
from ctxhub.store.lookups import Lookups
from ctxhub.store.receipts import Receipts

log = structlog.get_logger()
_AT_ONCE = 1000
_BACKUPS = {
    "where": "backups made before",
    "remedy": "delete them; what was sealed in them stays shut once its epoch is destroyed: ctxhub epochs",
}


class Outside(NamedTuple):
    """What was to be told of a customer to other systems, and what they were asked."""

    deliveries: Deliveries
    asked: Asked
    tenants: Tenants

    async def leave(self, who: Who) -> int:
        """Let nothing of a customer go out any more; return how much was on its way or noted as done."""
        await self.asked.leave(who, list(self.tenants.of(who.tenant).sources))
        return await self.deliveries.leave(who)


class Forgetting:
    """Erases customers from Redis, from the archive, and from what every process holds."""

    def __init__(
        self, changes: Changes, erasing: Erasing, lookups: Lookups, secrets_: Secrets, at_rest: AtRest,
        archiving: Archiving | None, within: float, outside: Outside, entries: Entries, audit: Audit,
        receipts: Receipts,
    ) -> None:  # fmt: skip
        self._receipts = receipts
        self._audit = audit
        self._emptying = Emptying(entries, self._found)
        self._outside = outside
        self._changes = changes
        self._erasing = erasing
        self._lookups = lookups
        self._secrets = secrets_
        self._at_rest = at_rest
        self._archiving = archiving
        self._within = within

    async def forget(self, who: Who, request: Request = PLAIN) -> dict[str, Any]:
        """Erase a customer; the receipt says what was erased, which other systems have copies, and what remains.

        Asked for again under the same Idempotency-Key it is the same receipt.
        """
        async with self._changes.contexts.turn(who):
            kept = await self._receipts.of(who, request.operation) if request.operation is not None else None
            if kept is not None:
                await self.complete(who)  # it may have been kept by whoever died over the rest
                return kept
            found = await self._found(who)
            if found is None:
                await self._erasing.leave_nothing(who)
            if found is not None and found.has_begun and request.operation is not None:
                return await self._erased(who, found, request.operation)  # whoever began it may have died over it
            if found is None or found.has_begun:
                raise CustomerUnknown(f"there is no customer {who.customer_id}", customer_id=who.customer_id)
            _must_match(found, request)
            _must_be_free(found.context)
            if found.context.frozen is not None:
                must_be_live(who, moved_to(found.context.frozen.to))
            await self._must_all_be_free(who, found.context)
            await self._forget_merged(who, found.context)
            return await self._erased(who, found, request.operation)

    async def _must_all_be_free(self, who: Who, context: Context) -> None:
        """Refuse to erase anybody while one of those merged into it is under a legal hold."""
        for merge in context.merges.values():
            found = await self._found(Who(who.tenant, merge.source))
            if found is not None and found.context.frozen is not None:
                _must_be_free(found.context)
                await self._must_all_be_free(who, found.context)

    async def _forget_merged(self, who: Who, context: Context) -> None:
        """Erase first those who are this customer now, with all they had before: killed here, it is asked for again."""
        for merge in context.merges.values():
            source = Who(who.tenant, merge.source)
            found = await self._found(source)
            if found is not None and found.context.frozen is not None:
                await self._forget_merged(source, found.context)
                await self._erased(source, found)

    async def complete(self, who: Who) -> bool:
        """Go on with an erasure that somebody began and did not end; False where there is none."""
        found = await self._erasing.found(who)
        if found is None or not found.has_begun:
            return False
        await self._erased(who, found)
        return True

    async def _found(self, who: Who) -> Found | None:
        """Return a customer, brought back where only the archive has it."""
        found = await self._erasing.found(who)
        if found is None and self._archiving is not None and await self._archiving.bring_back(who):
            return await self._erasing.found(who)
        return found

    async def _erased(self, who: Who, found: Found, operation: Operation | None = None) -> dict[str, Any]:
        """Take all steps, the customer's own keys last; before them the receipt is kept for who asks for it again."""
        now = self._changes.clock()
        await self._erasing.begin(who, now)
        traces = await self._traces(who, found)
        elsewhere = traces.told_elsewhere(await self._gone(who, found.context))
        emptied = await self._emptying.leave(who, elsewhere)
        if self._archiving is not None:
            # First: killed after this, whoever archives next finds it erased there and completes it here.
            await self._archiving.erase(who, found.born)
            await self._changes.contexts.mark_erased(who, found.born)
        operations = await self._erasing.operations(who)
        led = await self._leave_lookups(who, found.context, traces, operations)
        noted = await self._leave_feeds(who, found.context, traces)
        pointers = await self._leave_others(who, traces)
        sent = await self._outside.leave(who)
        left = Counter(await self._audit.leave(*who))
        for other in filter(is_provisional, elsewhere):  # who it was before anybody knew
            left += Counter(await self._audit.leave(who.tenant, other))
        beside = {"lookups": led, "operations": len(operations), "feed_entries": noted, "pointers": pointers,
                  "told_elsewhere": emptied, "deliveries": sent, "reasons": left["reason"],
                  "whereabouts": left["source"]}  # fmt: skip
        receipt = self._receipt(who, found, traces, beside | {"archive": self._archiving is not None}, rfc3339(now))
        if operation is not None:
            receipt = await self._receipts.put(who, operation, receipt)
        await self._erasing.erase(who, found.context, operations)
        await self._at_rest.note_erasure()
        log.info("customer.forgotten", tenant=who.tenant, events=found.version, **beside)
        return receipt

    async def _traces(self, who: Who, found: Found) -> Traces:
        """Return where the customer left something, also long ago."""
        traces = Traces.of(found.context)
        for first in range(0, found.version, _AT_ONCE):
            for event in await self._changes.contexts.timeline(who, first, first + _AT_ONCE + 1, _AT_ONCE):
                traces.add(event, who.customer_id)
        return traces

    async def _gone(self, who: Who, context: Context) -> set[str]:
        """Return which interactions are going elsewhere, or went there after the customer had become another one."""
        if context.frozen is None:
            return set(context.moves)
        home = Who(who.tenant, context.frozen.to)
        found = await self._erasing.found(home)
        return set() if found is None else {*found.context.moved, *await self._gone(home, found.context)}

    async def _leave_lookups(self, who: Who, context: Context, traces: Traces, operations: list[str]) -> int:
        """Let nothing lead to the customer any more; return how much did."""
        for identifier in context.leading:
            await self._lookups.unlink(who.tenant, identifier, who.customer_id)
        refs = {(ref.system, ref.kind, ref.id) for i in context.interactions.values() for ref in i.refs}
        tokens = [(handoff_id, self._secrets.token(handoff_id)) for handoff_id in traces.handoffs]
        identifiers = [identifier.what for identifier in context.leading]
        led = await self._lookups.leave(who, sorted(traces.interactions), sorted(refs), tokens)
        await self._lookups.leave_tries(who.tenant, sorted(traces.interactions), identifiers, operations)
        return led + len(identifiers)

    async def _leave_feeds(self, who: Who, context: Context, traces: Traces) -> int:
        """Take the customer out of feeds, and tell their followers what ended with it; return how much was noted."""
        noted = await self._erasing.leave_feeds(who, sorted(traces.feeds))
        await self._erasing.tell_end(who, _ends(context, rfc3339(self._changes.clock())))
        return noted

    async def _leave_others(self, who: Who, traces: Traces) -> int:
        """Let no other customer point here; return how many did."""
        pointing = 0
        for source, interaction_ids in traces.came_from.items():
            try:
                await self._changes.change(Who(who.tenant, source), _without_pointers(who, interaction_ids))
            except CtxhubError as error:
                log.info("customer.pointer_left", reason=error.detail)  # who moved on or was erased points nowhere
                continue
            pointing += 1
        return pointing

    def _receipt(
        self, who: Who, found: Found, traces: Traces, beside: dict[str, Any], at: str
    ) -> dict[str, Any]:  # fmt: skip
        """Say what was erased, in numbers; who else has copies, by their names; and what remains, with its remedy."""
        context = found.context
        files = {"where": "files of the server and the archive", "remedy": f"written anew within {self._within:g} s"}
        return {
            "receipt_id": f"rc_{secrets.token_hex(10)}",
            "customer_id": who.customer_id,
            "forgotten_at": at,
            "erased": {
                "events": found.version,
                "facts": len(context.facts),
                "interactions": len(context.interactions),
                "handoffs": len(context.handoffs),
                "identifiers": len(context.identifiers),
            },
            "beside": beside,
            "copies_elsewhere": [copy._asdict() for copy in sorted(traces.elsewhere)],
            "remains": [files, _BACKUPS],
        }


def _must_match(found: Found, request: Request) -> None:
    """Refuse what was decided on an older document than the present one."""
    wanted = request.if_match
    if wanted is not None and not found.document_version <= wanted <= found.version:
        raise Changed(
            f"the document changed at version {found.document_version}, you gave {wanted}",
            customer_id=found.context.customer_id, version=found.version, document_version=found.document_version,
        )  # fmt: skip


def _must_be_free(context: Context) -> None:
    """Refuse to erase somebody under a legal hold."""
    if context.hold is not None:
        raise OnHold(
            f"customer {context.customer_id} is on hold: {context.hold.reason}",
            customer_id=context.customer_id, state="held", since=rfc3339(context.hold.at), by=context.hold.by,
        )  # fmt: skip


def _ends(context: Context, at: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what ends with a customer as its followers know it: handoffs in queues, interactions on channels."""
    ended: list[tuple[str, dict[str, Any]]] = []
    for handoff in context.handoffs.values():
        if not handoff.is_final and handoff.to.queue:
            data = {"handoff_id": handoff.handoff_id, "queue": handoff.to.queue, "reason": "forgotten"}
            ended.append((f"queue:{handoff.to.queue}", _end("handoff.cancelled", handoff.interaction_id, data, at)))
    for interaction in context.interactions.values():
        if interaction.is_open:
            data = {"by": "hub", "reason": "forgotten"}
            ended.append(
                (f"channel:{interaction.channel}", _end("interaction.ended", interaction.interaction_id, data, at))
            )
    return ended


def _end(type_: str, interaction_id: str, data: dict[str, Any], at: str) -> dict[str, Any]:
    """Return an event that stands on no timeline."""
    event_id = f"forgotten:{secrets.token_hex(8)}"
    return {"event_id": event_id, "type": type_, "at": at, "interaction_id": interaction_id, "party": "system",
            "data": data}  # fmt: skip


def _without_pointers(who: Who, interaction_ids: set[str]) -> Any:
    """Return the decision that lets interactions which moved to a customer lead there no more."""

    def decide(present: Present) -> Decision:
        context = present.known
        left = {k: to for k, to in context.moved.items() if not (k in interaction_ids and to == who.customer_id)}
        return Decision(context if left == context.moved else context.but(moved=left))

    return decide
