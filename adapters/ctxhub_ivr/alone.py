"""A call while the hub is away: heard and answered from what is still known of it, and told later.

What is known stands in the action's query (the journey, its kind, what is left to ask), and in this process's memory
(what was shown before). Without either the call begins anew; nothing is asked that was told in it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ctxhub.client import (
    Answer,
    Assurance,
    ContextView,
    Holder,
    InteractionView,
    JourneyView,
    Start,
    Started,
    Telling,
)
from ctxhub_ivr.hearing import Hearing
from ctxhub_ivr.translate import SYSTEM, start_of

_MOST_CALLS = 2000
_NOBODY = Assurance(level=0)

#: A fact's name, in a journey.
_Named = tuple[str, str]


@dataclass
class Known:
    """What is still known of one call: as it was last shown, what the hub answered to asks, and what was told since."""

    started: Started | None = None
    answers: dict[_Named, Answer] = field(default_factory=dict)
    told: dict[_Named, Any] = field(default_factory=dict)
    was_alone: bool = False


class Memory:
    """What one process still knows of the latest calls; it is never the only place where anything stands."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, Known] = OrderedDict()

    def of(self, call_sid: str) -> Known:
        """Return what is known of a call, empty for a new one."""
        known = self._calls.setdefault(call_sid, Known())
        self._calls.move_to_end(call_sid)
        if len(self._calls) > _MOST_CALLS:
            self._calls.popitem(last=False)
        return known

    def forget(self, call_sid: str) -> None:
        """Forget a call that is over."""
        self._calls.pop(call_sid, None)


@dataclass(frozen=True)
class Remembering(Hearing):
    """One webhook of a call with the hub behind it; what it answers is remembered."""

    known: Known = field(default_factory=Known)

    async def started(self, *, with_token: bool = False) -> Started:
        """Find the call, or begin it."""
        started = await super().started(with_token=with_token)
        self.known.started = started
        return started

    async def may_i_ask(self, started: Started, journey: JourneyView, names: list[str]) -> list[Answer]:
        """Ask the hub before asking the caller."""
        answers = await super().may_i_ask(started, journey, names)
        for answer in answers:
            self.known.answers[answer.name, journey.journey_id] = answer
            self.known.told.pop((answer.name, journey.journey_id), None)
        return answers


@dataclass(frozen=True)
class Alone(Hearing):
    """One webhook of a call without the hub: what is told is kept, what is asked is answered from memory."""

    known: Known = field(default_factory=Known)
    now: datetime = field(kw_only=True)

    @property
    def is_alone(self) -> bool:
        """Tell that there is nobody to ask."""
        return True

    async def started(self, *, with_token: bool = False) -> Started:
        """Return the call as far as it is known; a token is handed in when the hub is back."""
        if with_token:
            await self.hub.spool.start(self._start(with_token=True), now=False)
        started = self.known.started or self._begun()
        return self._with_journey(started)

    async def tell(self, started: Started, *events: Telling) -> None:
        """Keep what happened until the hub is back, and remember what was said about facts."""
        await self.hub.spool.tell(self._start(), *events, now=False)
        for event in events:
            self._note(event)

    async def may_i_ask(self, started: Started, journey: JourneyView, names: list[str]) -> list[Answer]:
        """Answer from what is known: what was told or left out before is not asked."""
        return [self._answer(journey, name) for name in names]

    def _answer(self, journey: JourneyView, name: str) -> Answer:
        named, state = (name, journey.journey_id), self.state
        before = self.known.answers.get(named)
        if named in self.known.told:
            return Answer(name=name, verdict="known", value=self.known.told[named], reason="told in this call")
        is_here = state.journey == journey.journey_id and state.fact is not None
        if is_here and name not in (*state.left, state.fact):
            is_open = before is None or before.verdict in ("ask", "confirm")
            return Answer(name=name, verdict="withheld", reason="asked before") if is_open or not before else before
        return before or Answer(name=name, verdict="ask", reason="nothing is known of it here")

    def _note(self, event: Telling) -> None:
        """Remember what was said about a fact."""
        family, _, verb = event.type.partition(".")
        if family != "fact" or event.journey_id is None:
            return
        named = (str(event.data["name"]), event.journey_id)
        self.known.answers.pop(named, None)
        self.known.told.pop(named, None)
        if verb != "rejected":
            self.known.told[named] = event.data.get("value")

    def _start(self, *, with_token: bool = False) -> Start:
        return start_of(self.call, self.pages.language, with_token=with_token)

    def _with_journey(self, started: Started) -> Started:
        """Return the call with the journey that its address names, which may have begun without the hub."""
        state, context = self.state, started.context
        if state.journey is None or state.kind is None:
            return started
        if all(journey.journey_id != state.journey for journey in context.journeys):
            journey = JourneyView(
                journey_id=state.journey,
                kind=state.kind,
                state="active",
                missing=list(state.left),
                updated_at=started.interaction.started_at,
            )
            context = context.but(journeys=[*context.journeys, journey])
        interaction = started.interaction.but(journey_id=state.journey)
        return started.but(context=context, interaction=interaction)

    def _begun(self) -> Started:
        """Return a call of which nothing is known; its ids are the hub's to give."""
        interaction = InteractionView(
            interaction_id=self.call.call_sid,
            channel="ivr",
            system=SYSTEM,
            external_id=self.call.call_sid,
            state="open",
            holder=Holder(party="bot"),
            fence=1,
            assurance=_NOBODY,
            started_at=self.now,
        )
        context = ContextView(customer_id="unknown", version=0, document_version=0, known=False, assurance=_NOBODY)
        return Started(
            interaction=interaction,
            customer_id="unknown",
            known=False,
            context=context,
            handoff_problem={"code": "unavailable", "detail": "the hub is away"} if self.call.token else None,
        )
