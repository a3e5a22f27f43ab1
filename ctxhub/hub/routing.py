"""The router: suggests who waits to one agent after another; one process for each tenant, by lease.

What it decides is committed in the customer's own slot and holds only while its fence stands there. Whoever takes over
raises the fences first and reads after that, so that nothing of the one before can come between.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from ctxhub.errors import CtxhubError, Merged, StaleFence
from ctxhub.hub.changes import Changes, Decision, Present, Request, own
from ctxhub.hub.presence import Presences
from ctxhub.hub.tenants import Tenants
from ctxhub.metrics import HANDOFFS
from ctxhub.model.context import Context
from ctxhub.model.handoff import Handoff
from ctxhub.model.routing import Choice, Suggestion, Waits, route
from ctxhub.model.suggesting import number, suggest, waits
from ctxhub.model.tenant import QueueSpec
from ctxhub.store.agents import Agents, Work
from ctxhub.store.contexts import Who
from ctxhub.store.feed import Hints
from ctxhub.store.lists import Lists

log = structlog.get_logger()
AT_MOST_EVERY = 0.2
UNASKED_EVERY = 1.0
#: So many of a queue are looked at, first in line first; of those behind them as many, others in each round.
MOST_LOOKED_AT = 500


class Seen(NamedTuple):
    """A handoff that waits, as it was read: whose it is, and which suggestion of it stood."""

    who: Who
    handoff: Handoff
    waits: Waits


class Router:
    """Routes the tenants whose lease it holds; a tenant without a queue that suggests costs nothing."""

    def __init__(
        self, agents: Agents, presences: Presences, changes: Changes, lists: Lists, tenants: Tenants, hints: Hints,
        lease: timedelta,
    ) -> None:  # fmt: skip
        self._agents = agents
        self._presences = presences
        self._changes = changes
        self._lists = lists
        self._tenants = tenants
        self._bell = hints.another_for_everything()
        self._lease = lease
        self._fences: dict[str, dict[str, int]] = {}
        self._rounds: Counter[tuple[str, str]] = Counter()

    async def run(self) -> None:
        """Work until cancelled; then give the leases up, so that another takes over at once."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_leases_on())
                group.create_task(self._route_on())
        finally:
            await self._give_up()

    async def _keep_leases_on(self) -> None:
        """Keep the leases, again and again."""
        while True:
            for tenant in self._routed():
                await self._tried(tenant, self.take)
            await asyncio.sleep(self._lease.total_seconds() / 3)

    async def _route_on(self) -> None:
        """Route whenever something has changed, and every second unasked, since time alone changes things too."""
        while True:
            await self._bell.wait(UNASKED_EVERY)
            for tenant in list(self._fences):
                await self._tried(tenant, self.round)
            await asyncio.sleep(AT_MOST_EVERY)

    def _routed(self) -> list[str]:
        """Return the tenants that have a queue that suggests."""
        return [name for name in self._tenants.names() if self._tenants.of(name).suggesting]

    async def _tried(self, tenant: str, work: Callable[[str], Awaitable[object]]) -> None:
        """Do something for a tenant, and log what kept it from being done."""
        try:
            await work(tenant)
        except StaleFence:
            self._fences.pop(tenant, None)
            log.info("router.taken_over", tenant=tenant)
        except CtxhubError as error:
            log.warning("router.delayed", tenant=tenant, reason=error.detail)
        except Exception:  # what one tenant's data does must not end the routing of all
            log.exception("router.failed", tenant=tenant)

    async def take(self, tenant: str) -> bool:
        """Take or keep the routing of a tenant; False where another has it."""
        fences = await self._agents.lease(tenant, self._changes.clock(), self._lease)
        if not fences:
            self._fences.pop(tenant, None)
            return False
        if tenant not in self._fences:
            log.info("router.leased", tenant=tenant)
        self._fences[tenant] = fences
        return True

    async def _give_up(self) -> None:
        """Give all leases up."""
        for tenant in list(self._fences):
            try:
                await self._agents.give_up(tenant, self._changes.clock())
            except CtxhubError as error:
                log.warning("router.not_given_up", tenant=tenant, reason=error.detail)

    async def round(self, tenant: str) -> int:
        """Suggest what is to be suggested of a tenant now; return how much was."""
        queues, fences = self._tenants.of(tenant).suggesting, self._fences.get(tenant, {})
        if not queues or not fences:
            return 0
        held, ringing = await self._agents.work(tenant)
        staff = await self._presences.staff(tenant, held, ringing)
        if not ringing and not any(agent.is_available for agent in staff):
            return 0
        waiting = await self._waiting(tenant, queues, ringing)
        if await self._settle_unanswered(tenant, waiting):
            staff = await self._presences.staff(tenant, held, ringing)
        chosen = route([seen.waits for seen in waiting.values()], staff, queues, self._changes.clock())
        return sum([await self._commit(waiting[choice.handoff_id], choice, fences) for choice in chosen])

    async def _waiting(
        self, tenant: str, queues: Mapping[str, QueueSpec], ringing: Sequence[Work]
    ) -> dict[str, Seen]:  # fmt: skip
        """Return who waits in queues that suggest, by handoff, and whatever rings."""
        lines = [await self._line(tenant, queue) for queue in queues]
        rung = [(work.who.customer_id, work.handoff_id) for work in ringing]
        members = list(dict.fromkeys([member for line in [*lines, rung] for member in line]))
        whos = [Who(tenant, customer_id) for customer_id, _ in members]
        contexts, now = await self._changes.contexts.many(whos), self._changes.clock()
        found: dict[str, Seen] = {}
        for who, (_, handoff_id), context in zip(whos, members, contexts, strict=True):
            handoff = _on_offer(context, handoff_id, queues, now)
            if handoff is not None and context is not None:
                found[handoff_id] = Seen(who, handoff, waits(context, handoff, queues[handoff.to.queue or ""], now))
        return found

    async def _line(self, tenant: str, queue: str) -> list[tuple[str, str]]:
        """Return the first in line, and of a long line some behind them, others each time.

        Else nobody would come to whom the first in line are no work, because of their skills or their channel.
        """
        place, most = f"waiting:queue:{queue}", MOST_LOOKED_AT
        first = await self._lists.members(tenant, place, most)
        if len(first) < most:
            return first
        windows = max(1, -(-(await self._lists.length(tenant, place) - most) // most))
        since = most * (1 + self._rounds[tenant, queue] % windows)
        self._rounds[tenant, queue] += 1
        return first + (await self._lists.members(tenant, place, since + most))[since:]

    async def _settle_unanswered(self, tenant: str, waiting: Mapping[str, Seen]) -> bool:
        """Let whoever let something ring be away; it is done before the next is asked, and may be done again."""
        now = self._changes.clock()
        rang = [ringing for seen in waiting.values() if (ringing := _unanswered(seen.handoff, now)) is not None]
        for ringing in rang:
            await self._presences.let_ring(tenant, ringing.agent_id or "", ringing.at)
        return bool(rang)

    async def _commit(self, seen: Seen, choice: Choice, fences: Mapping[str, int]) -> bool:
        """Commit one suggestion, if all is still as it was read; whose customer is another one now waits a round."""
        before = number(seen.handoff.suggested)

        def decide(present: Present) -> Decision:
            change = suggest(present.known, choice, before, present.now)
            return Decision(change.context, own(change.events))

        partition = self._changes.contexts.keys(seen.who).partition
        try:
            committed = await self._changes.change(seen.who, decide, Request(router_fence=fences[partition]))
        except Merged:
            return False
        told = [event for event in committed.events if event.type in ("handoff.suggested", "handoff.opened")]
        for event in told:
            HANDOFFS.labels(event.type.removeprefix("handoff.")).inc()
        return bool(told)


def _on_offer(
    context: Context | None, handoff_id: str, queues: Mapping[str, QueueSpec], now: datetime
) -> Handoff | None:
    """Return a listed handoff if it still waits in a queue that suggests, and its offer is not over."""
    handoff = context.handoffs.get(handoff_id) if context is not None else None
    if handoff is None or handoff.state != "offered" or handoff.is_external or handoff.is_over(now):
        return None
    return handoff if handoff.to.queue in queues else None


def _unanswered(handoff: Handoff, now: datetime) -> Suggestion | None:
    """Return the suggestion that an agent let ring until it was over, if that is the last that there was."""
    rang = handoff.suggested
    if rang is None or rang.agent_id is None or now < rang.until or rang.lapses != handoff.lapses:
        return None
    return None if rang.agent_id in handoff.declined_by else rang
