"""Merges of two customers into one, and their undoing; each killed at any step is completed when it is next due."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import takewhile
from typing import Annotated

import structlog
from pydantic import Field, StrictBool

from ctxhub.errors import CustomerUnknown, Forbidden, Invalid, Lapsed, Moved, Refused, Unknown
from ctxhub.hub.changes import OWN, PLAIN, Changes, Decision, Present, Request, own
from ctxhub.hub.interactions import Interactions
from ctxhub.hub.keys import Principal
from ctxhub.model import merging
from ctxhub.model.context import Context, Merge
from ctxhub.model.event import Change
from ctxhub.model.merging import Joined, Part, Preview
from ctxhub.model.value import CustomerId, Value
from ctxhub.store.codec import digest
from ctxhub.store.contexts import LIVE, Who, moved_to
from ctxhub.store.lookups import Lookups

log = structlog.get_logger()
_STEP = Request(joining=True)
_AT_ONCE = 500
_CAN_NOT_BE_DONE = (Refused, Unknown, Moved, Lapsed, Invalid)


class MergeBody(Value):
    """Who is a customer too; with `preview` only what would come together and what conflicts is said."""

    source: Annotated[CustomerId, Field(alias="from")]
    preview: StrictBool = False
    force: StrictBool = False


class Merging:
    """Joins two customers who are one, and parts them again."""

    def __init__(self, changes: Changes, interactions: Interactions, lookups: Lookups) -> None:
        self._changes = changes
        self._interactions = interactions
        self._lookups = lookups

    async def asked(self, principal: Principal, who: Who, wanted: MergeBody, request: Request = PLAIN) -> Joined:
        """Merge, or only say what would come together; only an admin may merge two who are verified apart."""
        if wanted.force and principal.role != "admin":
            raise Forbidden("only an admin may merge two who are verified apart", roles=["admin"])
        if wanted.preview:
            return await self.preview(who, wanted.source)
        return await self.merge(who, wanted.source, wanted.force, request)

    async def preview(self, who: Who, source: str) -> Joined:
        """Say what a merge would bring together and what conflicts; nothing is changed."""
        _must_be_two(who, source)
        loaded, home = await self._changes.contexts.existing(who)
        shown = merging.preview(home, await self._source(Who(who.tenant, source)))
        return Joined(customer_id=who.customer_id, source=source, version=loaded.version, preview=shown)

    async def merge(self, who: Who, source: str, force: bool = False, request: Request = PLAIN) -> Joined:
        """Let another customer be this one from now on; asked for again it is the same merge."""
        _must_be_two(who, source)
        other = Who(who.tenant, source)
        theirs = await self._source(other)
        if theirs.moves:
            await self._interactions.complete_moves(other)
            theirs = await self._source(other)
        shown: Preview | None = None

        def decide(present: Present) -> Decision:
            nonlocal shown
            known = merging.begun(present.known, source)
            shown = None if known else merging.preview(present.known, theirs)
            merge_id = known.merge_id if known else f"mg_{digest(*who, source, str(present.version))[:24]}"
            if known is None:
                merging.refuse_unfit(present.known, theirs, force)
            change = merging.note(present.known, source, merge_id, present.now)
            return Decision(change.context, own(change.events), record={"merge_id": merge_id})

        noted = await self._changes.change(who, decide, request)
        merge = merging.begun(noted.context, source)
        merge_id = noted.replayed["merge_id"] if noted.replayed else merge.merge_id if merge else ""
        await self.complete(who)
        loaded, _ = await self._changes.contexts.existing(who)
        log.info("identity.merged", customer=who.customer_id, source=source, merge=merge_id)
        return Joined(
            customer_id=who.customer_id, source=source, merge_id=merge_id, version=loaded.version, preview=shown
        )

    async def unmerge(self, who: Who, merge_id: str, request: Request = PLAIN) -> Joined:
        """Let a customer be itself again, as if it had never been merged; what began since stays here."""
        _, before = await self._changes.contexts.existing(who)

        def decide(present: Present) -> Decision:
            change = merging.undo(present.known, merge_id)
            source = change.context.merges[merge_id].source
            return Decision(change.context, own(change.events), record={"source": source})

        if before.is_undoing:
            await self.complete(who)
        noted = await self._changes.change(who, decide, request)
        source = noted.replayed["source"] if noted.replayed else noted.context.merges[merge_id].source
        await self.complete(who)
        loaded, _ = await self._changes.contexts.existing(who)
        log.info("identity.unmerged", customer=who.customer_id, source=source, merge=merge_id)
        return Joined(customer_id=who.customer_id, source=source, merge_id=merge_id, version=loaded.version)

    async def complete(self, who: Who) -> None:
        """Complete every merge of a customer that is under way, there or back."""
        _, context = await self._changes.contexts.existing(who)
        for merge in context.merges.values():
            if merge.state == "undoing":
                await self._part(who, merge)
            elif merge.is_under_way:
                await self._join(who, merge)

    async def _source(self, who: Who) -> Context:
        """Return the context of a customer as it stands, also of one who is another one now."""
        loaded = await self._changes.contexts.wherever(who)
        if loaded.context is None:
            raise CustomerUnknown(f"there is no customer {who.customer_id}", customer_id=who.customer_id)
        return loaded.context

    async def _join(self, who: Who, merge: Merge) -> None:
        """Freeze the source, take in what it had, let everything lead here."""
        source, merge_id = Who(who.tenant, merge.source), merge.merge_id
        if merge.state == "begun":
            try:
                frozen = await self._step(source, lambda c, p: merging.freeze(c, merge_id, who.customer_id, p.now))
                await self._step(who, lambda c, p: merging.adopt(c, merge_id, frozen, p.now))
            except _CAN_NOT_BE_DONE:
                await self._give_up(who, merge)
                raise
        _, home = await self._changes.contexts.existing(who)
        await self._repoint(home, merge_id, source, who)
        await self._step(who, lambda c, p: merging.settle(c, merge_id))

    async def _give_up(self, who: Who, merge: Merge) -> None:
        """Take back a merge that can't be done, the source first."""
        source, merge_id = Who(who.tenant, merge.source), merge.merge_id
        if (await self._changes.contexts.wherever(source)).context is not None:
            await self._step(source, lambda c, p: merging.let_go(c, merge_id, p.now))
        await self._step(who, lambda c, p: merging.forsake(c, merge_id))

    async def _part(self, who: Who, merge: Merge) -> None:
        """Thaw the source with what is its own, let that lead there, and let go of it here."""
        source, merge_id = Who(who.tenant, merge.source), merge.merge_id
        _, home = await self._changes.contexts.existing(who)
        frozen = await self._changes.contexts.wherever(source)
        if frozen.context is not None:
            theirs = merging.part_of(home, merge_id).interactions
            await self._let_recognise(who, merge_id, theirs, source, frozen.version)
            await self._step(source, lambda c, p: merging.thaw(c, merge_id, home, p.now))
            await self._repoint(home, merge_id, who, source, merging.still_led(home, merge_id))
        await self._step(who, lambda c, p: merging.drop(c, merge_id, p.now))

    async def _let_recognise(
        self, who: Who, merge_id: str, interactions: Collection[str], source: Who, version: int
    ) -> None:
        """Let whoever becomes itself again recognise what was told here of its interactions: it is taken once."""
        contexts, last = self._changes.contexts, (await self._changes.contexts.wherever(who)).version
        while last > 0:
            first = max(1, last - _AT_ONCE + 1)
            (events,) = await contexts.spans([(who, first, last)])
            since = list(takewhile(lambda e: e["event_id"] != f"{merge_id}:joined", reversed(events)))
            told = [event["event_id"] for event in since if event.get("interaction_id") in interactions]
            seen = (await contexts.wherever(who, 0, told)).seen if told else []
            prints = {name: known[1] for name, known in zip(told, seen, strict=True) if known and known[1] != OWN}
            if prints:
                await contexts.know(source, prints, version)
            last = first - 1 if len(since) == len(events) else 0

    async def _step(self, who: Who, rule: Callable[[Context, Present], Change]) -> Context:
        """Take one step of a merge at one of its customers."""

        def decide(present: Present) -> Decision:
            change = rule(present.known, present)
            frozen = change.context.frozen
            return Decision(change.context, own(change.events), state=moved_to(frozen.to) if frozen else LIVE)

        return (await self._changes.change(who, decide, _STEP)).context

    async def _repoint(
        self, home: Context, merge_id: str, old: Who, new: Who, stays: Collection[tuple[str, str]] = ()
    ) -> None:
        """Let everything that led to one customer by a merge lead to the other; what `stays` leads to both."""
        part: Part = merging.part_of(home, merge_id)
        for identifier in home.merges[merge_id].identifiers:
            await self._lookups.link(new.tenant, identifier, new.customer_id, first=False)
            if identifier.what not in stays:
                await self._lookups.unlink(old.tenant, identifier, old.customer_id)
        for interaction in part.interactions.values():
            place = (new.customer_id, interaction.interaction_id)
            await self._lookups.set_external(new.tenant, interaction.system, interaction.external_id, *place)
            await self._lookups.set_refs(new.tenant, [(r.system, r.kind, r.id) for r in interaction.refs], *place)
        await self._lookups.repoint_handoffs(new, list(part.handoffs))


def _must_be_two(who: Who, source: str) -> None:
    """Refuse to merge a customer with itself."""
    if who.customer_id == source:
        raise Invalid.field("/from", "a customer can't be merged with itself")
