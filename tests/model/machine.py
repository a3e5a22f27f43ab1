"""What may happen to one customer, as a state machine, and what must stay true whatever happens."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ctxhub.errors import CtxhubError
from ctxhub.model.commitment import Commitment
from ctxhub.model.context import Context
from ctxhub.model.customer import AssuranceClaim
from ctxhub.model.event import Event, Telling
from ctxhub.model.fact import STATES, Fact
from ctxhub.model.handoff import FINAL, Handoff, OfferRequest, Target
from ctxhub.model.interaction import Start
from ctxhub.store.codec import context_from, document_bytes, packed
from tests.model.world import CUSTOMER, World
from tests.support import Clock

settings.register_profile(
    "ci", derandomize=True, max_examples=200, stateful_step_count=50, deadline=None, database=None,
    report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
)  # fmt: skip
settings.register_profile(
    "hunt", settings.get_profile("ci"), derandomize=False, phases=[Phase.generate], max_examples=2000
)
settings.register_profile(
    "long", max_examples=1500, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

ONE_OF = st.integers(0, 9)
ASTRAY = st.sampled_from([False, False, False, False, False, True])
CHANNELS = ("chat", "ivr", "app")
NAMES = ("city", "order_id", "card_number")
AGENTS = ("ann", "bob")
PARTIES = ("customer", "bot", "agent", "system")
AGO = st.sampled_from([0, 0, 0, 1, 90, 2000])
TARGETS = (
    {"queue": "cards"},
    {"queue": "loans"},
    {"agent": "ann"},
    {"bot": "helper"},
    {"channel": "chat"},
    {"previous": True},
)
INVITED = {
    "offered": ("accept", "accept", "accept", "decline", "cancel"),
    "accepted": ("give_back", "complete", "give_back", "renew", "receipt"),
}
PROMISES = ("commitment.due_soon", "commitment.overdue")
ESCALATED = "journey.escalated"
ANYTHING = ("complete", "accept", "cancel", "give_back", "receipt", "renew", "decline")
NEXT = {
    "offered": {"offered", "accepted"} | FINAL,
    "accepted": {"accepted", "offered"} | FINAL,
    **{state: {state} for state in FINAL},
}


class Customer(RuleBasedStateMachine):
    """A customer, several interactions, two agents, a bot, and time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.world = World(self.clock)
        self.number = 0
        self.step = Step(self.world)

    def begin(self) -> None:
        """Get ready, before the first rule; whoever runs the same elsewhere begins it here."""

    def do(self, name: str, *args: Any, **more: Any) -> bool:
        """Do one thing to the customer; False where it is refused, which must change nothing."""
        before = self.world.context
        self.step = Step(self.world)
        try:
            getattr(self.world, name)(*args, **more)
        except CtxhubError as refusal:
            self.step.refused = refusal
            assert self.world.context is before
            return False
        return True

    def fresh(self, prefix: str) -> str:
        """Return an id that was not used before."""
        self.number += 1
        return f"{prefix}_{self.number}"

    def interaction(self, which: int) -> str:
        """Pick an interaction, the newest first; most often an open one."""
        known = list(reversed(self.world.context.interactions.values()))
        fit = [interaction for interaction in known if interaction.is_open] if which < 8 else known
        return pick(fit or known, which).interaction_id if known else "in_none"

    def handoff(self, which: int) -> Handoff:
        """Pick a handoff, the newest first; one that has not ended if there is any."""
        known = list(reversed(self.world.context.handoffs.values()))
        return pick([handoff for handoff in known if not handoff.is_final] or known, which)

    def any_handoff(self) -> bool:
        """Tell whether there is a handoff at all."""
        return bool(self.world.context.handoffs)

    def journey(self, which: int | None) -> str | None:
        """Pick an open journey, or none."""
        known = list(self.world.context.journeys)
        return known[which % len(known)] if known and which is not None else None

    def tell(self, type_: str, which: int | None, ago: int = 0, **more: Any) -> bool:
        """Tell one event of an interaction, or of none."""
        data = more.pop("data", {})
        telling = Telling(
            event_id=self.fresh("ev"), type=type_, at=self.clock() - timedelta(seconds=ago),
            interaction_id=None if which is None else self.interaction(which), data=data, **more,
        )  # fmt: skip
        done = self.do("tell", telling)
        self.step.telling = telling
        return done

    @initialize()
    def begins(self) -> None:
        """Begin with one interaction of a known customer."""
        self.begin()
        self.do("start", a_call("x0", "ivr", 2), "in_0")

    @rule(channel=st.sampled_from(CHANNELS), level=st.integers(0, 3), via=st.none() | ONE_OF)
    def start(self, channel: str, level: int, via: int | None) -> None:
        """Begin an interaction, perhaps by a handoff's token."""
        interaction_id = self.fresh("in")
        handoff_id = None if via is None or not self.any_handoff() else self.handoff(via).handoff_id
        self.do("start", a_call(interaction_id, channel, level), interaction_id, handoff_id)

    @rule(which=ONE_OF)
    def end(self, which: int) -> None:
        """End an interaction."""
        self.do("end", self.interaction(which))

    @rule(
        which=st.none() | ONE_OF, how=st.sampled_from(STATES[:-1]), name=st.sampled_from(NAMES),
        value=st.integers(1, 3), party=st.sampled_from(PARTIES), journey=st.none() | ONE_OF, ago=AGO,
        lives=st.sampled_from([None, 30, 4000]), confidence=st.sampled_from([1.0, 0.5]),
    )  # fmt: skip
    def state(
        self, which: int | None, how: str, name: str, value: int, party: Any, journey: int | None, ago: int,
        lives: int | None, confidence: float,
    ) -> None:  # fmt: skip
        """Tell a fact."""
        data: dict[str, Any] = {"name": name, "value": value, "confidence": confidence}
        data |= {} if lives is None else {"expires_in": lives}
        self.tell(f"fact.{how}", which, ago, data=data, party=party, journey_id=self.journey(journey))

    @rule(
        which=st.none() | ONE_OF, name=st.sampled_from(NAMES), value=st.none() | st.integers(1, 3),
        party=st.sampled_from(PARTIES), journey=st.none() | ONE_OF, ago=AGO,
    )  # fmt: skip
    def reject(
        self, which: int | None, name: str, value: int | None, party: Any, journey: int | None, ago: int
    ) -> None:
        """Tell that a fact is not so."""
        data = {"name": name} | ({} if value is None else {"value": value})
        self.tell("fact.rejected", which, ago, data=data, party=party, journey_id=self.journey(journey))

    @rule(which=ONE_OF, level=st.integers(1, 3), ago=AGO, lives=st.sampled_from([60, 1800]))
    def verify(self, which: int, level: int, ago: int, lives: int) -> None:
        """Know the customer more surely."""
        self.tell(
            "assurance.raised", which, ago, data={"level": level, "method": "otp", "expires_in": lives}, party="system"
        )

    @rule(which=ONE_OF)
    def doubt(self, which: int) -> None:
        """Know the customer no longer."""
        self.tell("assurance.revoked", which)

    @rule(
        which=st.none() | ONE_OF, party=st.sampled_from(PARTIES), kind=st.sampled_from(["refund", "complaint"]),
        find=st.booleans(), ago=AGO,
    )  # fmt: skip
    def begin_journey(self, which: int | None, party: Any, kind: str, find: bool, ago: int) -> None:
        """Begin a task, or go on with an open one of its kind."""
        data = {"kind": kind, "journey_id": self.fresh("jr")} | ({"find": True} if find else {})
        self.tell("journey.started", which, ago, data=data, party=party)

    @rule(
        which=st.none() | ONE_OF, journey=ONE_OF, party=st.sampled_from(PARTIES),
        verb=st.sampled_from(["advanced", "suspended", "resumed", "declined", "completed", "abandoned"]),
    )  # fmt: skip
    def move_journey(self, which: int | None, journey: int, party: Any, verb: str) -> None:
        """Move a task on, or end it."""
        data = {"step": "payout" if journey % 2 else "answered"} if verb == "advanced" else {}
        wanted = self.journey(journey) or "jr_none"
        self.tell(f"journey.{verb}", which, data=data, party=party, journey_id=wanted)

    @rule(
        which=st.none() | ONE_OF, party=st.sampled_from(PARTIES), seconds=st.sampled_from([-60, 1, 120, 9000]),
        owner=st.sampled_from(["service", "ann"]), journey=st.none() | ONE_OF,
    )  # fmt: skip
    def promise(self, which: int | None, party: Any, seconds: int, owner: str, journey: int | None) -> None:
        """Make a promise, that may be about a journey."""
        due_at = self.clock() + timedelta(seconds=seconds)
        data = {"what": "call back", "owner": owner, "due_at": due_at.isoformat()}
        more = {"journey_id": self.journey(journey)}
        self.tell("commitment.made", which, data=data | {"commitment_id": self.fresh("cm")}, party=party, **more)

    @rule(which=st.none() | ONE_OF, number=ONE_OF, party=st.sampled_from(PARTIES))
    def keep_promise(self, which: int | None, number: int, party: Any) -> None:
        """Keep a promise."""
        known = list(self.world.context.commitments) or ["cm_none"]
        verb = "kept" if number % 2 else "broken"
        self.tell(f"commitment.{verb}", which, data={"commitment_id": known[number % len(known)]}, party=party)

    @rule(which=ONE_OF, name=st.sampled_from(["refund", "complaint"]), ago=AGO)
    def want(self, which: int, name: str, ago: int) -> None:
        """Note an intent."""
        self.tell("intent.detected", which, ago, data={"name": name})

    @rule(which=st.none() | ONE_OF, party=st.sampled_from(PARTIES), fence=st.integers(0, 4), said=st.booleans())
    def say(self, which: int | None, party: Any, fence: int, said: bool) -> None:
        """Say something, with a fence that may be right."""
        data: dict[str, Any] = {"text": "hello"} | ({"fence": fence} if fence else {})
        self.tell("message.sent", which, data=data | ({"delivered": True} if said else {}), party=party)

    @rule(which=st.none() | ONE_OF, type_=st.sampled_from(["message.received", "note.added", "x.seen"]), ago=AGO)
    def hear(self, which: int | None, type_: str, ago: int) -> None:
        """Hear something that no decision depends on."""
        self.tell(type_, which, ago, data={"text": "hello"})

    @rule(
        which=ONE_OF, to=st.sampled_from(TARGETS), fallback=st.none() | st.sampled_from(TARGETS),
        kind=st.sampled_from(["live", "live", "message"]), delivery=st.sampled_from(["signal", "message"]),
        journey=st.none() | ONE_OF, expires_in=st.sampled_from([20, 300, 7200]),
    )  # fmt: skip
    def offer(
        self, which: int, to: dict[str, Any], fallback: dict[str, Any] | None, kind: Any, delivery: Any,
        journey: int | None, expires_in: int,
    ) -> None:  # fmt: skip
        """Offer an interaction to somebody else."""
        request = OfferRequest.model_validate({
            "customer_id": CUSTOMER, "interaction_id": self.interaction(which), "reason": "help", "to": to,
            "fallback": fallback, "kind": kind, "delivery": delivery, "journey_id": self.journey(journey),
            "expires_in": expires_in,
        })  # fmt: skip
        self.do("offer", request, self.fresh("ho"))

    @precondition(any_handoff)
    @rule(
        which=st.sampled_from([0, 0, 0, 0, 1, 2, 3]), what=ONE_OF, agent=st.sampled_from(AGENTS), astray=ASTRAY,
        stale=ASTRAY, to=st.none() | st.sampled_from(TARGETS),
    )  # fmt: skip
    def hand_over(
        self, which: int, what: int, agent: str, astray: bool, stale: bool, to: dict[str, Any] | None
    ) -> None:
        """Do with a handoff what its state invites to; something else, or as somebody else, where that goes astray."""
        handoff = self.handoff(which)
        verb = pick(ANYTHING if astray else INVITED.get(handoff.state, ANYTHING), what)
        whose = agent if astray else handoff.agent_id or handoff.to.agent or agent
        fence = (handoff.fence or 1) - stale
        more: dict[str, tuple[Any, ...]] = {
            "cancel": (),
            "complete": (whose, fence),
            "renew": (whose, fence),
            "give_back": (whose, fence, self.fresh("ho"), None if to is None else Target.model_validate(to)),
        }
        self.do(verb, handoff.handoff_id, *more.get(verb, (whose,)))

    @rule(seconds=st.sampled_from([1, 1, 1, 25, 25, 61, 301, 901, 1900, 20_000]))
    def wait(self, seconds: int) -> None:
        """Let time pass; nobody wakes the hub yet."""
        self.clock.move(timedelta(seconds=seconds))
        self.step = Step(self.world)

    @rule()
    def wake(self) -> None:
        """Let lapse what has lapsed."""
        self.do("wake")


class Kept(Customer):
    """The customer, and everything that must stay true."""

    def __init__(self) -> None:
        super().__init__()
        self.finals: dict[str, str] = {}

    @invariant()
    def a_context_written_and_read_is_the_same(self) -> None:
        """Document JSON equals the value."""
        context = self.world.context
        assert context_from(packed(document_bytes(context))) == context

    @invariant()
    def no_fact_is_lost(self) -> None:
        """What a fact was told stays until it lapses, is rejected, or its voice or journey says otherwise."""
        kept = {fact.evidence for fact in self.world.context.facts}
        lost = [fact for fact in self.step.before.facts if fact.evidence not in kept]
        assert [fact for fact in lost if not self._may_go(fact)] == []

    def _may_go(self, fact: Fact) -> bool:
        """Tell whether the last step is a good reason for a fact to go."""
        if not fact.lives(self.clock()) or fact.journey_id in self._given_up():
            return True
        telling, after = self.step.telling, self.world.context
        family, _, verb = telling.type.partition(".") if telling else ("", "", "")
        if telling is None:
            return fact.origin.scope is not None and fact.origin.scope not in after.interactions
        if family == "journey":
            return verb in ("completed", "abandoned") and fact.journey_id == telling.journey_id
        if verb == "rejected":
            return self._rejected(fact, telling)
        if family == "assurance":
            return self._undone_by_verifying(fact, telling) or self._replaced(fact)
        return family == "fact" and self._replaced(fact)

    def _given_up(self) -> set[str | None]:
        """Return the journeys that lapsed."""
        return {e.journey_id for e, by_time in self.world.timeline if by_time and e.type == "journey.abandoned"}

    def _undone_by_verifying(self, fact: Fact, telling: Telling) -> bool:
        """Tell whether what an interaction rejected before it was verified counts for all now."""
        mine = [f for f in self.step.before.facts if f.origin.interaction_id == telling.interaction_id]
        if fact in mine and fact.state == "rejected":
            return True
        marks = [f for f in mine if f.state == "rejected" and f.name == fact.name and f.origin.at >= fact.origin.at]
        return any(m.journey_id in (None, fact.journey_id) and m.value in (None, fact.value) for m in marks)

    def _replaced(self, fact: Fact) -> bool:
        """Tell whether the same voice, in the same place, has said something later."""
        told = [f for f in self.world.context.facts if f.evidence not in self.step.evidence or self._promoted(f)]
        return any(_follows(other, fact) for other in told)

    def _promoted(self, fact: Fact) -> bool:
        """Tell whether a fact has been shared by the last step."""
        before = self.step.evidence.get(fact.evidence)
        return before is not None and before.origin.scope != fact.origin.scope

    def _rejected(self, fact: Fact, telling: Telling) -> bool:
        """Tell whether a rejection means this fact, and could reach it."""
        data, at = telling.data, telling.at or self.clock()
        meant = fact.name == data["name"] and data.get("value") in (None, fact.value)
        meant = meant and telling.journey_id in (None, fact.journey_id)
        if telling.interaction_id is None:
            return meant and (telling.party in ("system", "agent") or fact.origin.scope == "")
        teller = self.world.context.interactions[telling.interaction_id]
        mine = fact.origin.scope in {teller.interaction_id, *teller.lineage}
        surely = teller.level(self.clock()) >= 2
        own_mark = fact.state == "rejected" and fact.origin.scope == teller.interaction_id
        return own_mark or (meant and fact.origin.at <= at and (mine or (surely and fact.origin.scope is None)))

    @invariant()
    def no_open_promise_is_lost(self) -> None:
        """A promise stays, whatever becomes of its journey and its interaction, until it was kept or broken."""
        gone = self.step.before.commitments.keys() - self.world.context.commitments.keys()
        telling = self.step.telling
        ends = telling is not None and telling.type in ("commitment.kept", "commitment.broken")
        assert gone <= ({telling.data["commitment_id"]} if telling is not None and ends else set())

    @invariant()
    def time_tells_of_each_promise_once(self) -> None:
        """The timeline says of each open promise just what it is."""
        told = [(e.data["commitment_id"], e.type) for e, by_time in self.world.timeline if e.type in PROMISES]
        assert len(told) == len(set(told))
        for promise in self.world.context.commitments.values():
            mine = {type_.removeprefix("commitment.") for id_, type_ in told if id_ == promise.commitment_id}
            assert mine == _states_told(promise)

    @invariant()
    def no_journey_is_lost(self) -> None:
        """An open journey stays until it was ended, or the timeline says that the hub gave it up."""
        gone = self.step.before.journeys.keys() - self.world.context.journeys.keys()
        ends = {e.journey_id for e, _ in self.world.timeline if e.type in ("journey.completed", "journey.abandoned")}
        assert gone <= ends
        for journey in self.world.context.journeys.values():
            raised = [e for e, _ in self.world.timeline if (e.type, e.journey_id) == (ESCALATED, journey.journey_id)]
            assert len(raised) == journey.level

    @invariant()
    def what_is_told_now_is_known(self) -> None:
        """A fact that was taken stands in the context, unless its voice said something later before."""
        telling = self.step.telling
        if self.step.refused or telling is None or not telling.type.startswith("fact.") or "rejected" in telling.type:
            return
        facts = self.world.context.facts
        mine = [fact for fact in facts if fact.evidence == telling.event_id]
        later = [f for f in facts if f.name == telling.data["name"] and f.origin.at > (telling.at or self.clock())]
        lapsed = "expires_in" in telling.data
        assert mine or later or lapsed

    @invariant()
    def every_handoff_goes_its_way(self) -> None:
        """States follow each other as they may; a final one stays."""
        after = self.world.context.handoffs
        for handoff_id, handoff in self.step.before.handoffs.items():
            if handoff_id in after:
                assert after[handoff_id].state in NEXT[handoff.state]
            else:
                assert handoff.is_final
        for handoff_id, handoff in after.items():
            if handoff.is_final:
                assert self.finals.setdefault(handoff_id, handoff.state) == handoff.state

        self._told_once()

    def _told_once(self) -> None:
        """The timeline tells the end of each handoff, once."""
        told: dict[str, list[str]] = {}
        for event, _ in self.world.timeline:
            verb = event.type.removeprefix("handoff.")
            if event.type.startswith("handoff.") and verb in FINAL and event.data.get("state") != "offered":
                told.setdefault(event.data["handoff_id"], []).append(verb)
        assert told == {handoff_id: [state] for handoff_id, state in self.finals.items()}

    @invariant()
    def one_holds_an_interaction(self) -> None:
        """At most one handoff of an interaction is held at a time, and it is the one with the floor."""
        context = self.world.context
        held = [h for h in context.handoffs.values() if h.state == "accepted" and h.redeemed is None]
        assert len({handoff.interaction_id for handoff in held}) == len(held)
        for handoff in held:
            interaction = context.interactions[handoff.interaction_id]
            assert handoff.fence == interaction.fence
            assert handoff.agent_id == (interaction.holder.id if interaction.holder.party == "agent" else None)

    @invariant()
    def fences_only_rise(self) -> None:
        """No interaction's fence ever falls, and a new holder has a new one."""
        for interaction_id, interaction in self.step.before.interactions.items():
            now = self.world.context.interactions.get(interaction_id)
            if now is None:
                continue
            assert now.fence >= interaction.fence
            assert now.fence > interaction.fence or now.holder == interaction.holder

    @invariant()
    def event_ids_are_told_once(self) -> None:
        """No event id stands for two events, also of those that the hub derives."""
        ids = [event.event_id for event, _ in self.world.timeline]
        assert len(ids) == len(set(ids))

    @invariant()
    def after_waking_nothing_is_due(self) -> None:
        """A hub that was woken need not be woken again at once, and readers see nothing that is due."""
        world = World(self.clock)
        world.context, world.activities = self.world.context, dict(self.world.activities)
        world.wake()
        due = world.due_in()
        assert due is None or due > timedelta(0)

    @invariant()
    def nobody_below_level_2_changes_what_others_read(self) -> None:
        """What is told below level 2 stays with its interaction and those it led to."""
        step, telling = self.step, self.step.telling
        if telling is None or step.refused or self._told_surely(telling) or self._on_a_shared_journey(telling):
            return
        for interaction_id, before in step.shown().items():
            if self._unrelated(interaction_id, telling.interaction_id) and not self._handed_to_both(
                interaction_id, telling
            ):
                assert self.world.shown(interaction_id) == before

    def _told_surely(self, telling: Telling) -> bool:
        """Tell whether something was told at level 2 or more, or verified the customer."""
        return self._kept(telling).assurance >= 2

    def _kept(self, telling: Telling) -> Event:
        """Return the event that the timeline keeps of what was told."""
        return next(event for event, _ in reversed(self.world.timeline) if event.event_id == telling.event_id)

    def _on_a_shared_journey(self, telling: Telling) -> bool:
        """Tell whether somebody moved on, or ended, a journey of its own or handed to it, of which others share."""
        before = self.step.before
        journey = before.journeys.get(self._kept(telling).journey_id or "")
        origins = [fact.origin for fact in before.facts if journey and fact.journey_id == journey.journey_id]
        origins += [journey.origin] if journey else []
        told = telling.type.startswith("journey.") and any(origin.scope is None for origin in origins)
        return told or self._is_there_for_a_shared_journey(telling)

    def _is_there_for_a_shared_journey(self, telling: Telling) -> bool:
        """Tell whether an interaction speaks to which a shared journey was handed: that keeps it from resting."""
        before = self.step.before
        speaker = before.interactions.get(telling.interaction_id or "")
        journey = before.journeys.get(speaker.journey_id or "") if speaker else None
        return journey is not None and journey.origin.scope is None

    def _handed_to_both(self, one: str, telling: Telling) -> bool:
        """Tell whether what was told is about a journey that came with a handoff to either: as by legs of one call."""
        interactions, journey = self.world.context.interactions, self.step.before.journeys.get(telling.journey_id or "")
        legs = interactions.get(one), interactions.get(telling.interaction_id or "")
        return journey is not None and all(
            leg is not None and journey.origin.interaction_id in leg.lineage for leg in legs
        )

    def _unrelated(self, one: str, other: str | None) -> bool:
        """Tell whether no handoff leads from one interaction to the other."""
        interactions = self.world.context.interactions
        a, b = interactions.get(one), interactions.get(other or "")
        return a is not None and one != other and other not in a.lineage and (b is None or one not in b.lineage)

    def teardown(self) -> None:
        """In the end, all interactions over and every timer gone off, each handoff has come to its one end."""
        for interaction_id in list(self.world.context.interactions):
            self.do("end", interaction_id)
        for _ in range(200):
            due = self.world.due_in()
            if due is None:
                break
            self.clock.move(max(due, timedelta(0)))
            self.do("wake")
            self.every_handoff_goes_its_way()
        assert [h for h in self.world.context.handoffs.values() if not h.is_final] == []
        assert {promise.state for promise in self.world.context.commitments.values()} <= {"overdue"}
        self.time_tells_of_each_promise_once()


class Handing(Kept):
    """The same with little but handoffs, so that they come in long chains."""

    state = reject = promise = keep_promise = want = hear = doubt = None


class Step:
    """One step: how the world was before, what was told, and whether it was refused."""

    def __init__(self, world: World) -> None:
        self.before: Context = world.context
        self.evidence = {fact.evidence: fact for fact in world.context.facts}
        self.telling: Telling | None = None
        self.refused: CtxhubError | None = None
        self._seen = _shown_by(world)

    def shown(self) -> dict[str, Any]:
        """What each interaction could read before."""
        return self._seen()


def _shown_by(world: World) -> Callable[[], dict[str, Any]]:
    """Remember a world as it is, to show later what each interaction could read in it."""
    then = World(Clock(world.clock()))
    then.context, then.activities, then.timeline = world.context, dict(world.activities), list(world.timeline)
    return lambda: {interaction_id: then.shown(interaction_id) for interaction_id in then.present().interactions}


def _states_told(promise: Commitment) -> set[str]:
    """Return what the timeline must have told of a promise in its state: to warn takes some time before it is due."""
    warned = {"due_soon"} if promise.warn_at is not None else set()
    return {"open": set(), "due_soon": {"due_soon"}, "overdue": {"overdue"} | warned}[promise.state]


def pick(known: Sequence[Any], which: int) -> Any:
    """Pick one of several."""
    return known[which % len(known)]


def _follows(other: Fact, fact: Fact) -> bool:
    """Tell whether one fact takes another's place."""
    same = (other.slot[:3], other.origin.party, other.origin.scope) == (
        fact.slot[:3], fact.origin.party, fact.origin.scope,
    )  # fmt: skip
    lifted = fact.state == "rejected" and other.name == fact.name and other.origin.scope == fact.origin.scope
    return (same or lifted) and other.origin.at >= fact.origin.at


def a_call(external_id: str, channel: str, level: int) -> Start:
    """What a channel knows as a call, chat or visit of the customer begins."""
    claim = AssuranceClaim(level=level, method="otp", expires_in=1800) if level else None
    return Start(channel=channel, external_id=external_id, assurance=claim, customer_id=CUSTOMER)
