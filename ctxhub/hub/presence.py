"""Presence: who is there for work, told by agents themselves and lapsing by time; and what each of them has."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from ctxhub.errors import Unavailable
from ctxhub.hub.changes import Clock
from ctxhub.hub.keys import Principal
from ctxhub.hub.tenants import Tenants
from ctxhub.model.handoff import HandoffView, view
from ctxhub.model.presence import KNOWN_FOR, AgentView, Presence, PresenceRequest, able, allowed
from ctxhub.model.routing import Agent, AgentSpec, main_language
from ctxhub.store.agents import Agents as Kept
from ctxhub.store.agents import Work
from ctxhub.store.contexts import Contexts, pause

RENEW_EVERY = timedelta(seconds=15)
_TRIES = 10
_Told = TypeVar("_Told")


class Presences:
    """Keeps and shows who is there."""

    def __init__(self, kept: Kept, contexts: Contexts, tenants: Tenants, clock: Clock) -> None:
        self._kept = kept
        self._contexts = contexts
        self._tenants = tenants
        self._clock = clock

    async def say(self, principal: Principal, agent_id: str, request: PresenceRequest) -> AgentView:
        """Let an agent say whether he is there, and what he does; as far as his key allows."""
        principal.must_be(agent_id)
        for queue in request.queues or ():
            principal.must_serve(queue)
        told = allowed(request, principal.skills, principal.queues)
        await self.change(principal.tenant, agent_id, lambda before: before.said(request, told, self._clock()))
        return await self.show(principal, agent_id)

    async def change(
        self, tenant: str, agent_id: str, rule: Callable[[Presence], Presence], tell: bool = True
    ) -> Presence:
        """Change an agent's presence by a rule, whoever else changes it; what stays as it is is not written."""
        for attempt in range(_TRIES):
            kept = await self._kept.one(tenant, agent_id)
            before = _read(kept, self._clock())
            after = rule(before)
            if after == before or await self._kept.swap(tenant, agent_id, kept, _written(after), tell):
                return after
            await pause(attempt)
        raise Unavailable(f"too many speak for agent {agent_id} at once", agent_id=agent_id, retry_after=1)

    async def show(self, principal: Principal, agent_id: str) -> AgentView:
        """Show one agent; one of whom nothing was heard is offline."""
        principal.must_be(agent_id)
        held, ringing = await self._kept.work(principal.tenant)
        presence = _read(await self._kept.one(principal.tenant, agent_id), self._clock())
        return self._view(principal.tenant, agent_id, presence, held, ringing)

    async def of_queue(self, principal: Principal, queue: str | None) -> list[AgentView]:
        """Show the agents of a queue, or of all that the key may see: those declared, and those who were heard."""
        principal.must_serve(queue)
        presences, (held, ringing) = await self._all(principal.tenant), await self._kept.work(principal.tenant)
        nobody = _nobody(self._clock())
        names = sorted({*self._tenants.of(principal.tenant).agents, *presences})
        views = [self._view(principal.tenant, n, presences.get(n, nobody), held, ringing) for n in names]
        return [view for view in views if _serves(view, queue, principal)]

    async def _all(self, tenant: str) -> dict[str, Presence]:
        """Return the presence of every agent of whom there is any."""
        found = await self._kept.every(tenant)
        return {agent_id: Presence.model_validate_json(kept) for agent_id, kept in found.items()}

    def _view(self, tenant: str, agent_id: str, presence: Presence, held: list[Work], ringing: list[Work]) -> AgentView:
        """Show an agent."""
        now = self._clock()
        left = presence.at(now)
        spec = self._able(tenant, agent_id, presence)
        return AgentView(
            agent_id=agent_id, state=left.state, reason=left.reason, since=left.since, until=left.until,
            idle_since=None if presence.working else left.idle_since, **dict(spec),
            held=[work.handoff_id for work in held if work.agent_id == agent_id],
            ringing=[work.handoff_id for work in ringing if work.agent_id == agent_id and work.at > now],
        )  # fmt: skip

    def _able(self, tenant: str, agent_id: str, presence: Presence) -> AgentSpec:
        """Return what an agent can do now."""
        return able(self._tenants.of(tenant).agents.get(agent_id), presence.told)

    async def staff(self, tenant: str, held: list[Work], ringing: list[Work]) -> list[Agent]:
        """Return all agents who are there, as routing sees them; that one has work or none any more is noted."""
        now = self._clock()
        work: dict[str, dict[str, str]] = {}
        for each in (*held, *(one for one in ringing if one.at > now)):
            work.setdefault(each.agent_id, {})[each.handoff_id] = each.channel
        return [self._agent(tenant, name, p, work) for name, p in (await self._noted(tenant, work)).items()]

    async def _noted(self, tenant: str, work: Mapping[str, object]) -> dict[str, Presence]:
        """Return who is there, after it was noted who has work by now, or has it no more; who is long gone goes."""
        now, found = self._clock(), {}
        for agent_id, presence in (await self._all(tenant)).items():
            if presence.until + KNOWN_FOR <= now:
                await self._kept.swap(tenant, agent_id, _written(presence), None, tell=False)
            elif presence.working == (agent_id in work):
                found[agent_id] = presence
            else:
                rule = partial(_seen, has_work=agent_id in work, now=now)
                found[agent_id] = await self.change(tenant, agent_id, rule, tell=False)
        return found

    def _agent(self, tenant: str, agent_id: str, presence: Presence, work: Mapping[str, dict[str, str]]) -> Agent:
        """Return an agent as routing sees him."""
        spec, left = self._able(tenant, agent_id, presence), presence.at(self._clock())
        return Agent(
            agent_id=agent_id,
            queues=frozenset(spec.queues),
            skills=frozenset(spec.skills),
            languages=frozenset(map(main_language, spec.languages)),
            capacity=spec.capacity,
            is_available=left.state == "available",
            since=left.since,
            idle_since=left.idle_since,
            work=work.get(agent_id, {}),
        )

    async def let_ring(self, tenant: str, agent_id: str, rang_at: datetime) -> None:
        """Note that an agent let something ring: he is away, unless he has come back since."""
        await self.change(tenant, agent_id, lambda before: before.unanswered(rang_at, self._clock()), tell=False)

    async def ringing(self, tenant: str, agent_id: str) -> list[HandoffView]:
        """Return what rings for an agent now, the longest first."""
        _, ringing = await self._kept.work(tenant)
        mine = sorted((work for work in ringing if work.agent_id == agent_id), key=lambda work: work.at)
        found, now = await self._contexts.many([work.who for work in mine]), self._clock()
        pairs = [(work, context) for work, context in zip(mine, found, strict=True) if context is not None]
        here = [(work, context.handoffs.get(work.handoff_id)) for work, context in pairs]
        return [
            view(handoff, work.who.customer_id, work.channel)
            for work, handoff in here
            if handoff is not None and handoff.rings(now) is not None
        ]

    async def while_following(
        self, principal: Principal, agent_id: str, told: AsyncGenerator[_Told, None]
    ) -> AsyncGenerator[_Told, None]:
        """Yield what is told of an agent; one who follows that himself is there for as long as he does."""
        kept_at: datetime | None = None
        async with aclosing(told):
            async for each in told:
                now = self._clock()
                if principal.role == "agent" and (kept_at is None or now - kept_at >= RENEW_EVERY):
                    kept_at = now
                    await self.change(principal.tenant, agent_id, lambda before: before.kept(self._clock()), tell=False)
                yield each


def _seen(presence: Presence, has_work: bool, now: datetime) -> Presence:
    """Return a presence with what its agent was seen to have."""
    return presence.seen(has_work, now)


def _read(kept: bytes | None, now: datetime) -> Presence:
    """Read a presence; of somebody never heard of, that he is not there."""
    return _nobody(now) if kept is None else Presence.model_validate_json(kept)


def _nobody(now: datetime) -> Presence:
    """Return the presence of one who was never there."""
    return Presence(since=now, until=now)


def _written(presence: Presence) -> bytes:
    """Write a presence as it is kept."""
    return presence.model_dump_json(exclude_defaults=True).encode()


def _serves(view: AgentView, queue: str | None, principal: Principal) -> bool:
    """Tell whether an agent is of a queue that is asked for, and that the key may see."""
    mine = [name for name in view.queues if not principal.queues or name in principal.queues]
    return (queue in mine) if queue is not None else bool(mine or not principal.queues)
