"""Presence: whether an agent is there for work, since when and until when; it lapses when nobody renews it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from ctxhub.model.routing import AgentSpec, Capacity
from ctxhub.model.value import Id, Instant, Language, Name, Value

PresenceState = Literal["available", "busy", "away", "offline"]
#: So long presence lasts that nobody renews, unless said otherwise.
LASTS = timedelta(seconds=60)
#: So long after its end it is still known why somebody is gone.
KNOWN_FOR = timedelta(days=1)
LAPSED = "lapsed"
NO_ANSWER = "no_answer"


class Told(Value):
    """What an agent can do by his own word; what he does not say is as the tenant declares it."""

    skills: list[Name] | None = Field(None, max_length=200)
    languages: list[Language] | None = Field(None, max_length=50)
    queues: list[Name] | None = Field(None, max_length=200)
    capacity: Capacity | None = None


class PresenceRequest(Told):
    """What an agent says of himself; what he can do only as far as the tenant's file and his key allow."""

    state: PresenceState
    reason: Name | None = None
    expires_in: Annotated[int, Field(ge=5, le=86_400, strict=True)] = round(LASTS.total_seconds())


class Presence(Value):
    """Whether an agent is there: `told` is what he can do by his own word, `working` that he had work when last seen.

    `worked_at` is when he was last seen to have nothing to do any more.
    """

    state: PresenceState = "offline"
    reason: Name | None = None
    since: Instant
    until: Instant
    told: Told = Field(default_factory=Told)
    working: bool = False
    worked_at: Instant | None = None

    def at(self, now: datetime) -> Presence:
        """Return what is left of it at an instant."""
        if now < self.until or self.state == "offline":
            return self
        return self.but(state="offline", reason=LAPSED, since=self.until)

    @property
    def idle_since(self) -> datetime:
        """Since when there is nothing to do for him: since he came, or since his last work ended."""
        return max(self.since, self.worked_at or self.since)

    def said(self, request: PresenceRequest, told: Told, now: datetime) -> Presence:
        """Return it after an agent spoke; who says the same again is there since he said it first."""
        left = self.at(now)
        is_same = (left.state, left.reason) == (request.state, request.reason)
        return left.but(
            state=request.state, reason=request.reason, since=left.since if is_same else now,
            until=now + timedelta(seconds=request.expires_in), told=told,
        )  # fmt: skip

    def kept(self, now: datetime) -> Presence:
        """Return it renewed by a sign of life; what has lapsed already, or was longer good, stays as it is."""
        if now >= self.until or self.state == "offline" or self.until >= now + LASTS:
            return self
        return self.but(until=now + LASTS)

    def unanswered(self, rang_at: datetime, now: datetime) -> Presence:
        """Return it after a suggestion was left to ring: away, unless he has come back since it began."""
        if self.at(now).state != "available" or self.since > rang_at:
            return self
        return self.but(state="away", reason=NO_ANSWER, since=now)

    def seen(self, has_work: bool, now: datetime) -> Presence:
        """Return it with what he was seen to have."""
        if has_work == self.working:
            return self
        return self.but(working=has_work, worked_at=self.worked_at if has_work else now)


class AgentView(Value):
    """An agent as supervisors see him: presence, what he can do, and what he has or rings for him."""

    agent_id: Id
    state: PresenceState
    reason: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    idle_since: Instant | None = None
    skills: list[Name] = []
    languages: list[Language] = []
    queues: list[Name] = []
    capacity: Capacity = {}
    held: list[Id] = []
    ringing: list[Id] = []


def able(declared: AgentSpec | None, told: Told) -> AgentSpec:
    """Return what an agent can do: what the tenant declares, less what he does not do now; else what he says."""
    known = declared or AgentSpec(
        skills=told.skills or [], languages=told.languages or [], queues=told.queues or [], capacity=told.capacity or {}
    )
    fewer = {channel: min(most, known.capacity.get(channel, 1)) for channel, most in (told.capacity or {}).items()}
    return AgentSpec(
        skills=_both(known.skills, told.skills),
        languages=_both(known.languages, told.languages),
        queues=_both(known.queues, told.queues),
        capacity=known.capacity | fewer,
    )


def _both(known: list[str], told: list[str] | None) -> list[str]:
    """Return what is named in both, where the second names anything."""
    return known if told is None else [name for name in known if name in told]


def allowed(told: Told, skills: frozenset[str], queues: frozenset[str]) -> Told:
    """Return what an agent says as far as a key allows that names skills and queues; one that names none allows all."""
    return Told(
        skills=_within(told.skills, skills), languages=told.languages, queues=_within(told.queues, queues),
        capacity=told.capacity,
    )  # fmt: skip


def _within(told: list[str] | None, allowed_: frozenset[str]) -> list[str] | None:
    """Return what is told of what is allowed; all of it where nothing is told."""
    if not allowed_:
        return told
    return sorted(allowed_ if told is None else allowed_ & set(told))
