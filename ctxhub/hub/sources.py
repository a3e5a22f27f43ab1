"""Sources: the company's systems are asked for facts as a customer comes in, and nobody waits for them for long.

Whoever begins an interaction waits until a source has answered, or its deadline is over; what it says later is kept all
the same. Facts of a source are facts like any other: observed by a system, filtered, disclosed by the same rules.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
import structlog

from ctxhub.errors import CtxhubError
from ctxhub.hub.changes import Changes, Decision, Present, own
from ctxhub.hub.never_kept import NeverKept
from ctxhub.hub.outward import Bounds, NotReached
from ctxhub.hub.tenants import Tenants
from ctxhub.hub.webhooks import Mail
from ctxhub.metrics import SOURCE_SECONDS, SOURCES_ASKED
from ctxhub.model.circuit import CLOSED, Circuit
from ctxhub.model.context import Context
from ctxhub.model.event import Event, checked_data
from ctxhub.model.signature import BadSecret, signed
from ctxhub.model.source import Answered, On, SourceSpec, SourceState, asking, outcome, question, taken, told_facts
from ctxhub.model.telling import Scene, tell
from ctxhub.store.asked import Asked
from ctxhub.store.contexts import Who

log = structlog.get_logger()
#: So long a source may take before what it says is not waited for any more, not even in the background.
ANSWER_WITHIN = 5.0
ASKING_LASTS = timedelta(seconds=2 * ANSWER_WITHIN)
MOST_READ = 64 * 1024
MOST_AT_ONCE = 64
_KNOWS_NOTHING = (204, 404)


class _Question(NamedTuple):
    """Who asks whom about which customer, because of which interaction."""

    who: Who
    source: str
    spec: SourceSpec
    interaction_id: str

    @property
    def same(self) -> tuple[Who, str]:
        """What is asked once at a time."""
        return self.who, self.source


class Sources:
    """Asks the sources that tenants declare."""

    def __init__(self, changes: Changes, tenants: Tenants, never_kept: NeverKept, asked: Asked, mail: Mail) -> None:
        self._changes = changes
        self._tenants = tenants
        self._never_kept = never_kept
        self._asked = asked
        self._mail = mail
        self._clock = changes.clock
        self._circuits: dict[tuple[str, str], Circuit] = {}
        self._under_way: dict[tuple[Who, str], asyncio.Task[SourceState]] = {}

    async def ask(
        self, who: Who, interaction_id: str, channel: str, on: On = "interaction.started"
    ) -> list[dict[str, str]]:
        """Ask whom this concerns, wait for each until its deadline, and say how each stands."""
        specs = self._tenants.of(who.tenant).sources
        wanted = [(name, spec) for name, spec in specs.items() if spec.is_asked(on, channel)]
        if not wanted:
            return []
        waits = [self._waited_for(_Question(who, name, spec, interaction_id)) for name, spec in wanted]
        states = await asyncio.gather(*waits)
        return [{"source": name, "state": state} for (name, _), state in zip(wanted, states, strict=True)]

    async def _waited_for(self, asks: _Question) -> SourceState:
        """Wait until a source has answered, or its deadline is over; what is under way goes on by itself."""
        task = self._begun(asks)
        done, _ = await asyncio.wait({task}, timeout=asks.spec.deadline_ms / 1000)
        return task.result() if done else "late"

    def _begun(self, asks: _Question) -> asyncio.Task[SourceState]:
        """Begin to ask, unless the same is under way."""
        task = self._under_way.get(asks.same)
        if task is None:
            task = asyncio.create_task(self._tried(asks))
            self._under_way[asks.same] = task
            task.add_done_callback(lambda _: self._under_way.pop(asks.same, None))
        return task

    def ring(self, told: Sequence[tuple[Who, dict[str, Any]]]) -> None:
        """Ask about customers whose telephone rings, by the events that tell so; nobody waits for it."""
        for who, event in told:
            if event["type"] != "call.alerting" or event.get("interaction_id") is None:
                continue
            for name, spec in self._tenants.of(who.tenant).sources.items():
                if spec.is_asked("call.alerting", event.get("channel")):
                    self._begun(_Question(who, name, spec, event["interaction_id"]))

    async def _tried(self, asks: _Question) -> SourceState:
        """Ask, and count how that went; nothing that goes wrong reaches the caller."""
        try:
            state = await self._asked_once(asks)
        except CtxhubError as error:
            log.warning("source.not_noted", tenant=asks.who.tenant, source=asks.source, reason=error.detail)
            state = "failed"
        except Exception:  # as in the relay: a customer that can't be read is no reason to refuse a call
            log.exception("source.failed", tenant=asks.who.tenant, source=asks.source)
            state = "failed"
        SOURCES_ASKED.labels(asks.who.tenant, asks.source, state).inc()
        return state

    async def _asked_once(self, asks: _Question) -> SourceState:
        """Ask a source that has not answered about this customer lately, and note what it says."""
        stands = await self._asked.begin(asks.who, asks.source, ASKING_LASTS)
        if stands is not None:
            return "cached" if stands == "answered" else "late"
        asked_id = f"asked_{secrets.token_hex(10)}"
        posting = asyncio.create_task(self._posted(asks, asked_id))
        try:
            return await self._noted(asks, asked_id, posting)
        finally:
            posting.cancel()
            with suppress(asyncio.CancelledError, NotReached, CtxhubError):
                await posting

    async def _noted(self, asks: _Question, asked_id: str, posting: asyncio.Task[Answered | None]) -> SourceState:
        """Note that a source is late, if it is; and what it answered, or that it did not."""
        done, _ = await asyncio.wait({posting}, timeout=asks.spec.deadline_ms / 1000)
        if not done:
            await self._told(asks, asked_id, "late", None, "late")
        try:
            answered = await posting
        except NotReached as error:
            await self._asked.leave(asks.who, [asks.source])
            await self._told(asks, asked_id, "missed", None, error.reason)
            return "failed"
        if answered is None:
            await self._asked.leave(asks.who, [asks.source])
            return "not_asked"
        await self._told(asks, asked_id, "answered", answered, None)
        await self._asked.answered(asks.who, asks.source, timedelta(seconds=asks.spec.good_for))
        return "answered" if done else "late"

    async def _posted(self, asks: _Question, asked_id: str) -> Answered | None:
        """Ask, and return what is taken of the answer; None where there was nothing to ask by; `NotReached` else."""
        circuit = self._circuits.get((asks.who.tenant, asks.source), CLOSED)
        if not circuit.room(self._clock(), MOST_AT_ONCE, len(self._under_way) - 1):
            raise NotReached("left_alone")
        try:
            keys = self._mail.secrets(asks.spec)
        except BadSecret as error:
            log.error("source.no_secret", tenant=asks.who.tenant, source=asks.source, reason=str(error))
            raise NotReached("no_secret") from error
        _, context = await self._changes.contexts.existing(asks.who)
        if asks.spec.by == "customer_id" and not context.known:
            return None
        named = [one for one in context.identifiers if one.leads or one.is_told_in(asks.interaction_id)]
        content = question(asks.spec, asks.who.customer_id, named, keys[0])
        if content is None:
            return None
        return await self._answer(asks, asked_id, content, keys)

    async def _answer(self, asks: _Question, asked_id: str, content: dict[str, Any], keys: Sequence[bytes]) -> Answered:
        """Post a question and read the answer; a source that fails again and again is left alone for a while."""
        now, place = self._clock(), (asks.who.tenant, asks.source)
        body = orjson.dumps(asking(asked_id, content, self._mail.source_of(asks.who.tenant), now))
        began = asyncio.get_running_loop().time()
        try:
            got = await self._mail.outward.post(
                asks.spec.url, signed(keys, asked_id, now, body), body, Bounds(ANSWER_WITHIN, MOST_READ, True), now
            )
            answered = _read(asks.spec, got.status, got.body)
        except NotReached:
            self._circuits[place] = self._circuits.get(place, CLOSED).failed(self._clock())
            raise
        self._circuits[place] = CLOSED
        SOURCE_SECONDS.labels(*place).observe(asyncio.get_running_loop().time() - began)
        if answered.refused:
            log.warning("source.not_as_declared", tenant=place[0], source=place[1], facts=answered.refused)
        return answered

    async def _told(
        self, asks: _Question, asked_id: str, mark: str, answered: Answered | None, reason: str | None
    ) -> None:
        """Tell on the timeline what became of a question, with the facts that were learnt."""
        tenant = self._tenants.of(asks.who.tenant)
        facts = answered.facts if answered else {}
        clean = [
            (event_id, checked_data("fact.observed", self._never_kept.of(asks.who.tenant, data), ""))
            for event_id, data in told_facts(asks.source, asks.spec, facts, asked_id)
        ]
        type_, data = outcome(asks.source, len(facts), reason)

        def decide(present: Present) -> Decision:
            learnt = [
                Event(event_id=event_id, type="fact.observed", at=present.now, data=one) for event_id, one in clean
            ]
            change = tell(present.known, learnt, Scene(tenant, present.now))
            said = Event(event_id=f"{asked_id}:{mark}", type=type_, at=present.now, data=data)
            return Decision(change.context, own([*change.events, _placed(change.context, asks.interaction_id, said)]))

        await self._changes.change_at_home(asks.who, decide)

    async def aclose(self) -> None:
        """Let go of whatever is under way."""
        tasks: list[asyncio.Task[SourceState]] = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _placed(context: Context, interaction_id: str, event: Event) -> Event:
    """Return an event at its interaction, if that is still this customer's."""
    interaction = context.interactions.get(interaction_id)
    if interaction is None:
        return event
    level = interaction.level(event.at)
    return event.but(interaction_id=interaction_id, channel=interaction.channel, assurance=level)


def _read(spec: SourceSpec, status: int, body: bytes) -> Answered:
    """Read an answer; `NotReached` where it is none."""
    if status in _KNOWS_NOTHING:
        return Answered()
    if status != 200:
        raise NotReached(f"status_{status}")
    try:
        answered = taken(spec, orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise NotReached("garbage") from error
    if answered is None:
        raise NotReached("garbage")
    return answered
