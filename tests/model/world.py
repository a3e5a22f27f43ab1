"""A hub without Redis: one customer's context, changed purely, as the hub would change it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from ctxhub.errors import NotTheHolder
from ctxhub.hub.events import _checked, _heard
from ctxhub.model import handoff as handoffs
from ctxhub.model import interaction as interactions
from ctxhub.model import lapsing
from ctxhub.model.context import Context
from ctxhub.model.disclosure import Reader, answers, sight
from ctxhub.model.event import Change, Event, Telling
from ctxhub.model.handoff import OfferRequest, Target
from ctxhub.model.interaction import Start
from ctxhub.model.lapsing import Activities, Activity
from ctxhub.model.telling import OUT_OF_TURN, Scene, level_without_interaction, tell
from ctxhub.model.view import context_view
from tests.support import GRACE, LEASE, PATIENCE, TENANT, Clock

CUSTOMER = "c42"


class Kept(NamedTuple):
    """An event on the timeline, and whether it came of time alone."""

    event: Event
    by_time: bool = False


class World:
    """One customer; each method does what the hub's does, or refuses as the hub would, and then changes nothing."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.context = Context(customer_id=CUSTOMER, known=True, created_at=clock())
        self.activities: Activities = {}
        self.timeline: list[Kept] = []

    def present(self) -> Context:
        """The context without what has lapsed by now."""
        active = lapsing.with_activity(self.context, self.activities, PATIENCE)
        return lapsing.lapse(active, self.activities, PATIENCE, self.clock()).context

    def shown(self, interaction_id: str) -> dict[str, Any]:
        """All that an interaction's channel may read of the customer, but for version numbers and the hub's timers."""
        now, context = self.clock(), self.present()
        seen = sight(context, Reader(interaction_id=interaction_id), TENANT, now)
        view = context_view(context, seen, TENANT, now, interaction_id).model_dump(mode="json")
        journeys = [None, *(journey["journey_id"] for journey in view["journeys"])]
        asked = [answers(context, seen, ["city", "order_id"], journey, now) for journey in journeys]
        told = [k.event for k in self.timeline if not k.by_time]
        view["recent"] = [e.event_id for e in told if seen.sees_told(e.type, e.interaction_id, e.assurance)]
        view["asks"] = [[answer.model_dump(mode="json") for answer in found] for found in asked]
        return view

    def wake(self) -> None:
        """Let lapse what has lapsed."""
        self._change(lambda context: Change(context, []))

    def start(self, request: Start, interaction_id: str, handoff_id: str | None = None) -> None:
        """Begin an interaction, by a handoff's token where one is named."""

        def decide(context: Context) -> Change:
            via = context.handoff(handoff_id) if handoff_id else None
            begun = interactions.start(context, request, interaction_id, self.clock(), via)
            if via is None or handoffs.redeemable(via, request.of_system, request.external_id):
                return begun
            arrived = begun.context.interaction(interaction_id)
            came = handoffs.redeem(begun.context, via.handoff_id, arrived, self.clock())
            return Change(came.context, begun.events + came.events)

        self._change(
            decide,
            lambda kept: dict.fromkeys([interaction_id, *(e.interaction_id for e in kept if e.interaction_id)], "t"),
        )

    def tell(self, *tellings: Telling) -> None:
        """Keep what was told: what commutes is appended where its interaction is open, all else is decided."""
        told = [_checked(telling, number, self.clock()) for number, telling in enumerate(tellings)]
        events = [event for event, _ in told]
        if all(event.commutes and self._stands_open(event) for event in events):
            self._append(events)
            return
        scene = Scene(TENANT, self.clock())
        ids = {event.event_id for event in events}
        self._change(lambda context: tell(context, events, scene), lambda kept: _heard(kept, ids))

    def _stands_open(self, event: Event) -> bool:
        """Tell whether an event's interaction was open when the document was last written."""
        return event.interaction_id is None or event.interaction_id in self.activities

    def _append(self, events: list[Event]) -> None:
        """Append what commutes, as the script does."""
        kept = [self._appended(event) for event in events]
        for event in kept:
            self._hear(event)
        self.timeline += [Kept(event) for event in kept]

    def _appended(self, event: Event) -> Event:
        """Return an event as it is appended; whoever speaks without the floor is refused or marked."""
        if event.interaction_id is None:
            return event.but(assurance=level_without_interaction(event.party))
        interaction = self.context.interaction(event.interaction_id)
        event = event.but(channel=interaction.channel, assurance=interaction.level(self.clock()))
        if not _speaks(event) or event.data.get("fence") == interaction.fence:
            return event
        if not event.data.get("delivered"):
            raise NotTheHolder("the floor is with somebody else")
        in_turn = event.data.get("fence") is None and event.party == interaction.holder.party
        return event if in_turn else event.but(marks=[OUT_OF_TURN])

    def _hear(self, event: Event) -> None:
        """Note when an interaction was last heard of, and its holder."""
        if event.interaction_id is None:
            return
        fence = self.context.interaction(event.interaction_id).fence
        holds = _speaks(event) and event.data.get("fence") == fence
        before = self.activities[event.interaction_id]
        self.activities[event.interaction_id] = Activity(self.clock(), self.clock() if holds else before.held_at)

    def end(self, interaction_id: str) -> None:
        """End an interaction."""
        self._change(lambda context: lapsing.end(context, interaction_id, self.clock()))

    def offer(self, request: OfferRequest, handoff_id: str) -> None:
        """Offer an interaction to somebody else."""
        self._change(
            lambda context: handoffs.offer(context, request, handoff_id, self.clock(), GRACE, ()),
            {request.interaction_id: "t"},
        )

    def accept(self, handoff_id: str, agent_id: str) -> None:
        """Give a handoff to an agent."""

        def heard(kept: list[Event]) -> dict[str, str]:
            return {self.context.handoff(handoff_id).interaction_id: "t"} if kept else {}

        self._change(lambda context: handoffs.accept(context, handoff_id, agent_id, self.clock(), LEASE), heard)

    def decline(self, handoff_id: str, agent_id: str) -> None:
        """Pass on a handoff."""
        self._change(lambda context: handoffs.decline(context, handoff_id, agent_id, "busy", self.clock()))

    def cancel(self, handoff_id: str) -> None:
        """Take back an offer."""
        self._change(lambda context: handoffs.cancel(context, handoff_id, self.clock()))

    def complete(self, handoff_id: str, agent_id: str, fence: int) -> None:
        """Finish the work on a handoff."""
        self._change(lambda c: handoffs.complete(c, handoff_id, agent_id, fence, "done", self.clock()))

    def renew(self, handoff_id: str, agent_id: str, fence: int) -> None:
        """Hold a handoff for another lease."""
        self._change(lambda c: handoffs.renew(c, handoff_id, agent_id, fence, self.clock(), LEASE))

    def receipt(self, handoff_id: str, agent_id: str) -> None:
        """Note that the context was shown."""
        self._change(lambda context: handoffs.shown(context, handoff_id, agent_id, self.clock()))

    def give_back(self, handoff_id: str, agent_id: str, fence: int, child_id: str, to: Target | None) -> None:
        """Return an interaction by a handoff of its own."""

        def decide(context: Context) -> Change:
            back = handoffs.return_of(context, handoff_id, child_id, to, None, None, self.clock())
            return handoffs.give_back(context, handoff_id, agent_id, fence, back, self.clock())

        self._change(decide)

    def _change(
        self,
        decide: Callable[[Context], Change],
        heard: dict[str, str] | Callable[[list[Event]], dict[str, str]] | None = None,
    ) -> None:
        """Let lapse what has lapsed, decide, and keep both; a refusal keeps neither."""
        active = lapsing.with_activity(self.context, self.activities, PATIENCE)
        lapsed = lapsing.lapse(active, self.activities, PATIENCE, self.clock())
        if not lapsed.events and lapsed.context == self.context:
            lapsed = Change(self.context, [])
        decided = decide(lapsed.context)
        spoke = heard(decided.events) if callable(heard) else heard or {}
        if not (lapsed.events or decided.events or spoke) and decided.context is lapsed.context:
            return
        self._stand(decided.context, spoke)
        self.context = decided.context
        self.timeline += [Kept(event, by_time=True) for event in lapsed.events]
        self.timeline += [Kept(event) for event in decided.events]

    def _stand(self, context: Context, heard: dict[str, str]) -> None:
        """Note beside the document which interactions are open, and who was heard in them."""
        for interaction_id in self.activities.keys() | context.interactions.keys():
            interaction = context.interactions.get(interaction_id)
            if interaction is None or not interaction.is_open:
                self.activities.pop(interaction_id, None)
                continue
            how = heard.get(interaction_id, "")
            before = self.activities.get(interaction_id)
            old = self.context.interactions.get(interaction_id)
            last = self.clock() if how or before is None else before.last_at
            held = before.held_at if before and old and old.fence == interaction.fence else None
            self.activities[interaction_id] = Activity(last, self.clock() if how == "h" else held)

    def due_in(self) -> timedelta | None:
        """How long until something lapses by itself."""
        active = lapsing.with_activity(self.context, self.activities, PATIENCE)
        due = lapsing.next_due(active, self.activities, PATIENCE)
        return due - self.clock() if due is not None else None


def _speaks(event: Event) -> bool:
    """Tell whether a bot or an agent says something to the customer."""
    return event.type == "message.sent" and event.party in ("bot", "agent")
