"""Customers whose calls are told of in disorder, while it turns out who they are: played, and watched at every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from ctxhub.errors import Moved, Unavailable
from ctxhub.model import handoff as handoffs
from ctxhub.model import interaction as interactions
from ctxhub.model import lapsing
from ctxhub.model.call import NO_CALL, SKEW, Course
from ctxhub.model.context import Context
from ctxhub.model.event import Change, Event
from ctxhub.model.handoff import FINAL, Handoff
from ctxhub.model.interaction import Interaction
from ctxhub.model.lapsing import Activity
from ctxhub.model.telling import Scene, tell
from ctxhub.model.tenant import Tenant
from tests.histories.line import Line, Name
from tests.model.scenes import an_offer
from tests.support import GRACE, HOUR, MINUTE, NOON, PATIENCE, a_start

KEEPS = {"keeps_place": True}
TENANT = Tenant.model_validate({"tenant": "acme", "queues": {"cards": KEEPS, "second": KEEPS, "third": KEEPS}})
WAITS = an_offer({"queue": "cards"})
RINGS = {"alerting", "consulted", "transferred"}
BRINGS = ("answered", "held", "retrieved", "conferenced", "transferred")
GONE_BY_ITSELF = ("left", "expired", "cancelled", "declined")
SILENCE = 4 * HOUR
AT_LAST = 20 * HOUR


class Watched:
    """What was seen of one call so far: who came, what has ended, and what must never change again."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.fence = 0
        self.began: dict[str, datetime] = {}
        self.final: dict[str, str] = {}
        self.came: set[str] = set()
        self.named: dict[str, list[tuple[datetime, str]]] = {}
        self.said_over = False
        self.complete = True

    def hear(self, event: Event) -> None:
        """Note what a report says of whom."""
        verb, agent = event.type.removeprefix("call."), event.data.get("agent_id")
        if agent is not None:
            self.named.setdefault(agent, []).append((event.at, verb))
            if verb in BRINGS and event.data.get("role") != "monitoring":
                self.came.add(agent)
        self.said_over = self.said_over or is_the_end(event, self.line.name)

    def look(self, interaction: Interaction, mine: list[Handoff], silenced: bool) -> None:
        """See that nothing is as it must not be."""
        assert interaction.fence >= self.fence, "the fence fell"
        self.fence = interaction.fence
        assert holder_of(interaction) in {None, *self.came}, "somebody holds who never came"
        held = [one for one in mine if one.has_floor]
        assert len(held) <= 1, "two hold the customer"
        waiting = [one for one in mine if one.state == "offered"]
        assert len(waiting) <= 1, "the customer waits in two places"
        if interaction.is_open:
            assert course_of(interaction).holder in (None, holder_of(interaction)), "the wrong person has the floor"
            assert all(one.agent_id == interaction.holder.id for one in held if one.agent_id), "two have the floor"
        for one in mine:
            known, state = one.handoff_id, one.state
            assert self.final.get(known, state) == state, "a final state changed"
            assert self.began.setdefault(known, one.waiting_since) == one.waiting_since, "the place was lost"
            if state in FINAL:
                self.final[known] = state
                assert self.said_over or silenced or state not in GONE_BY_ITSELF, "the place was lost"
        assert self.began.keys() - self.final.keys() <= {one.handoff_id for one in mine}, "a handoff is gone"

    def rings_again(self, agent_id: str) -> bool:
        """Tell whether an agent was rung anew after having left: an answer by another clock may be of either leg."""
        at = {verb: max(at for at, said in self.named[agent_id] if said == verb) for _, verb in self.named[agent_id]}
        return "ended" in at and any(at[verb] > at["ended"] for verb in RINGS & at.keys())

    def look_at_who_left(self, holder: str | None) -> None:
        """See that nobody holds of whom the last word is that the leg has ended."""
        for agent, said in self.named.items():
            last = max(said)
            gone = last[1] == "ended" and all(last[0] - at > SKEW for at, verb in said if verb != "ended")
            assert not (gone and holder == agent), "somebody holds who has left"

    def look_at_what_happened(self, interaction: Interaction, mine: list[Handoff], accepted: list[str]) -> None:
        """See that what was told is what happened: who has the customer, in which role, and where she waits."""
        line, here = self.line, course_of(interaction)
        assert here.over == line.over, (here, line)
        assert here.holder == line.holder, (here.holder, line.holder)
        assert {leg.agent_id: leg.role for leg in here.live if leg.talks} == line.roles
        assert interaction.is_open != line.over
        held = [one.agent_id for one in mine if one.has_floor and interaction.is_open]
        if line.holder is not None:
            assert holder_of(interaction) == line.holder, "the wrong person has the floor"
            assert held == [line.holder], "the wrong person has the handoff"
        if line.over and line.served:
            assert line.served[-1] in accepted, "who served is lost"
        if not line.over:
            self._look_where_she_waits(interaction, mine)

    def _look_where_she_waits(self, interaction: Interaction, mine: list[Handoff]) -> None:
        """See that a customer whom nobody has yet, or nobody has any more, waits where she was given to."""
        line, waiting = self.line, [one for one in mine if one.state == "offered"]
        where = [one.to.queue or one.to.agent for one in waiting]
        if line.bot:
            assert (interaction.holder.party, interaction.holder.id) == ("bot", "menu"), "the menu has not got her back"
        elif line.holder is None and line.due is not None:
            assert where == [line.due], "the customer waits nowhere"
        elif line.waits and not line.served:
            assert where == ["cards"], "the customer waits nowhere"
            assert waiting[0].waiting_since == NOON, "the place was lost"
        elif line.holder is not None:
            assert where == [], "she waits who is served"


class World:
    """The customers whom a history is about, with a clock; each method does what the hub's does."""

    def __init__(self, contexts: dict[str, Context], lines: Iterable[Line]) -> None:
        self.contexts = contexts
        self.now = NOON
        self.watched = {line.interaction_id: Watched(line) for line in lines}
        self.heard: dict[str, datetime] = {}
        self.ended: Counter[str] = Counter()
        self.seen: set[str] = set()
        self.accepted: dict[str, list[str]] = {}
        self.told: set[str] = set()
        self.silenced: set[str] = set()

    def until(self, now: datetime) -> None:
        """Let time pass, and the hub wake whenever something is due meanwhile; the clock does not go back."""
        while now - self.now > 10 * MINUTE:
            dues = [lapsing.next_due(one, self._activities(one), PATIENCE) for one in self.contexts.values()]
            due = min((at for at in dues if at is not None), default=now)
            if due >= now:
                break
            self.now = max(self.now + 10 * MINUTE, due)
            self.wake()
        self.now = max(self.now, now)

    def _activities(self, context: Context) -> lapsing.Activities:
        """Return when each interaction was last heard of."""
        return {key: Activity(self.heard.get(key, NOON)) for key in context.interactions}

    def at(self, interaction_id: str) -> str:
        """Return which customer has an interaction, the one it leaves as long as it is on its way."""
        if len(self.contexts) == 1:
            return next(iter(self.contexts))
        here = [c for c in self.contexts.values() if interaction_id in c.interactions and c.frozen is None]
        leaving = [c for c in here if interaction_id in c.moves or c.is_undoing]
        return (leaving or here)[0].customer_id if here else next(iter(self.contexts))

    def take(self, event: Event, interaction_id: str, customer_id: str) -> bool:
        """Take in a report, told at a customer of old; False where that has to be told again later."""
        told = self._told(event, customer_id)
        if told is None:
            return False
        home, change = told
        watched, before = self.watched[interaction_id], self.contexts[home]
        watched.hear(event)
        self.heard[interaction_id] = self.now
        kept = next((one for one in change.events if one.event_id == event.event_id), None)
        assert kept is not None, "a report was lost"
        assert kept.interaction_id == interaction_id, "a report went to another call"
        self._changed(home, change)
        self._others_are_untouched(before, change.context, interaction_id)
        self.look(interaction_id)
        return True

    def _told(self, event: Event, customer_id: str) -> tuple[str, Change] | None:
        """Tell an event where it belongs by now; None where that is not clear yet."""
        for _ in range(len(self.contexts) + 1):
            context = self.contexts[customer_id]
            if context.frozen is not None:
                customer_id = context.frozen.to
                continue
            if context.is_undoing:
                return None
            try:
                return customer_id, tell(context, [event], Scene(TENANT, self.now))
            except Moved as moved:
                customer_id = moved.ids["customer_id"]
            except Unavailable:
                return None
        raise AssertionError("an interaction leads round in circles")

    def _changed(self, customer_id: str, change: Change) -> None:
        """Keep a change, and count what it tells of handoffs."""
        self.contexts[customer_id] = change.context
        for event in change.events:
            assert event.event_id not in self.told, f"two events are called {event.event_id}"
            self.told.add(event.event_id)
            family, _, verb = event.type.partition(".")
            if family != "handoff" or event.data.get("state") == "offered":
                continue
            handoff_id = event.data["handoff_id"]
            self.seen.add(handoff_id)
            assert not self.ended[handoff_id], "a handoff went on after its end"
            if verb in FINAL:
                self.ended[handoff_id] += 1
            if verb == "accepted" and "agent_id" in event.data:
                self.accepted.setdefault(event.interaction_id or "", []).append(event.data["agent_id"])

    def _others_are_untouched(self, before: Context, after: Context, interaction_id: str) -> None:
        """See that a report about one call changes nothing of another."""
        assert before.interactions.keys() == after.interactions.keys()
        for key, one in before.interactions.items():
            assert key == interaction_id or after.interactions[key] is one, "another call was changed"
        for key, handoff in before.handoffs.items():
            mine = handoff.interaction_id == interaction_id
            assert mine or after.handoffs[key] is handoff, "a handoff of another call was changed"

    def look(self, interaction_id: str) -> None:
        """See that nothing of a call is as it must not be."""
        context = self.contexts[self.at(interaction_id)]
        watched = self.watched.get(interaction_id)
        if watched is not None and interaction_id in context.interactions:
            watched.look(context.interactions[interaction_id], of(context, interaction_id),
                         interaction_id in self.silenced)  # fmt: skip

    def change(self, customer_id: str, change: Change) -> None:
        """Do something else than a report to a customer, and look at every call."""
        self._changed(customer_id, change)
        for interaction_id in self.watched:
            self.look(interaction_id)

    def wake(self) -> None:
        """Let lapse what has lapsed; what the telephone system routes does not."""
        for customer_id, context in list(self.contexts.items()):
            if context.frozen is not None or context.is_undoing:
                continue
            change = lapsing.lapse(context, self._activities(context), PATIENCE, self.now)
            for event in change.events:
                if event.type == "interaction.ended" and event.interaction_id is not None:
                    self.silenced.add(event.interaction_id)
                    silent = self.now - self.heard.get(event.interaction_id, NOON)
                    assert silent >= SILENCE, "a call ended that was not silent for long"
            if change.events:
                self.change(customer_id, change)
            else:
                self.contexts[customer_id] = change.context

    def start(self, interaction_id: str, channel: str) -> str:
        """Begin another interaction of the customer whom the first call is of; return whose it is."""
        customer_id = self.at("in_1")
        request = a_start(interaction_id, 2, channel)
        self.change(customer_id, interactions.start(self.contexts[customer_id], request, interaction_id, self.now))
        return customer_id

    def offer(self, interaction_id: str, handoff_id: str) -> Handoff:
        """Offer an interaction to the queue for cards."""
        customer_id = self.at(interaction_id)
        request = WAITS.but(interaction_id=interaction_id)
        context = self.contexts[customer_id]
        self.change(customer_id, handoffs.offer(context, request, handoff_id, self.now, GRACE, (), TENANT))
        return self.contexts[customer_id].handoffs[handoff_id]

    def settle(self) -> None:
        """Let all be silent until everything has come to its end, and see that each handoff has exactly one."""
        for span in (AT_LAST, HOUR):
            self.now += span
            self.wake()
        assert {key for key in self.seen if self.ended[key] != 1} == set(), "a handoff has not one end"
        left = [
            one for context in self.contexts.values() if context.frozen is None for one in context.handoffs.values()
        ]
        assert all(one.is_final for one in left), "a handoff has not come to its end"

    def look_at_the_end(self, certain: dict[str, bool]) -> None:
        """See that what was told is what happened, for each call of which everything was told in good order of time."""
        for interaction_id, watched in self.watched.items():
            context = self.contexts[self.at(interaction_id)]
            interaction, mine = context.interactions[interaction_id], of(context, interaction_id)
            watched.look_at_who_left(course_of(interaction).holder)
            if watched.said_over:
                assert course_of(interaction).over, "a call goes on that was said to be over"
                assert not interaction.is_open, "a call goes on that was said to be over"
            if watched.complete and interaction_id not in self.silenced:
                here = course_of(interaction).holder
                assert here is None or here in watched.line.roles or watched.rings_again(here), (
                    "somebody holds who left"
                )
            if certain[interaction_id] and interaction_id not in self.silenced:
                watched.look_at_what_happened(interaction, mine, self.accepted.get(interaction_id, []))


def is_the_end(event: Event, name: Name) -> bool:
    """Tell whether a report says that a whole call is over, by its name."""
    said, ref = event.data, event.data.get("ref", {})
    whole = event.type == "call.ended" and "agent_id" not in said and "reason" not in said
    return whole and (ref.get("system"), ref.get("id")) == name


def of(context: Context, interaction_id: str) -> list[Handoff]:
    """Return the handoffs of an interaction."""
    return [one for one in context.handoffs.values() if one.interaction_id == interaction_id]


def course_of(interaction: Interaction) -> Course:
    """Return what the reports of a call come to."""
    return (interaction.call or NO_CALL).course


def holder_of(interaction: Interaction) -> str | None:
    """Return the agent who has the floor."""
    return interaction.holder.id if interaction.holder.party == "agent" else None
