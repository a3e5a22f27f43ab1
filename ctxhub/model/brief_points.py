"""What there is to tell about a customer, before it is put into words: drawn from what one reader may see alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple

from ctxhub.model.brief_voice import Said, Source, Told, Who
from ctxhub.model.brief_words import Audience
from ctxhub.model.commitment import Commitment
from ctxhub.model.context import ContextView
from ctxhub.model.fact import SHARED_FROM, SURE_ENOUGH, FactLine, FactView
from ctxhub.model.handoff import HandoffView
from ctxhub.model.interaction import InteractionView, beginning
from ctxhub.model.journey import AGENT, JourneyView
from ctxhub.model.tenant import Tenant

About = Literal["why", "known", "tried", "promised", "next"]
Happened = dict[str, Any]

#: Words up to this length leave a sentence short enough for the smallest brief.
SHORT = {"agent": 32, "supervisor": 32, "ivr": 32, "bot": 18}
#: How it is told why somebody was handed over, where the reason is a word of the hub's own.
_BY_THE_HUB = {"returned": "handed_back", "transferred": "put_through", "answered": "call_answered"}
_MOST_NOTES = 3
_MOST_PAST = 3


class Point(NamedTuple):
    """One thing to tell: what it is, its places, the events it rests on, and its weight: the lightest is told first."""

    about: About
    what: str
    weight: int
    evidence: tuple[str, ...]
    places: dict[str, Said]


@dataclass(frozen=True)
class Scene:
    """What one reader may see now: the context, the newest events, and what the tenant declares."""

    view: ContextView
    events: Sequence[Happened]
    tenant: Tenant
    now: datetime
    interaction_id: str | None
    audience: Audience

    @cached_property
    def handoff(self) -> HandoffView | None:
        """The open handoff of the interaction, or of the customer where none is asked for: the latest."""
        mine = [h for h in self.view.handoffs if self.interaction_id in (None, h.interaction_id)]
        return max(mine or self.view.handoffs, key=lambda h: h.offered_at, default=None)

    @cached_property
    def interaction(self) -> InteractionView | None:
        """The interaction that is asked for, else the one handed over, else the latest that is open."""
        handoff = self.handoff
        wanted = self.interaction_id or (handoff.interaction_id if handoff else None)
        found = next((i for i in self.view.interactions if i.interaction_id == wanted), None)
        open_ = [i for i in self.view.interactions if i.state == "open"]
        return found or max(open_, key=lambda i: i.started_at, default=None)

    @cached_property
    def journey(self) -> JourneyView | None:
        """The journey that it is about, else the one touched last."""
        handoff, interaction = self.handoff, self.interaction
        about = {interaction.journey_id if interaction else None, handoff.journey_id if handoff else None} - {None}
        current = next((j for j in self.view.journeys if j.journey_id in about), None)
        return current or max(self.view.journeys, key=lambda j: j.updated_at, default=None)

    @property
    def is_heard(self) -> bool:
        """Tell whether the customer may come to hear it: what is internal stays with colleagues."""
        return self.audience in ("ivr", "bot")

    def of_type(self, *types: str) -> Iterator[Happened]:
        """Yield the events of some types, newest first."""
        return (event for event in reversed(self.events) if event["type"] in types)


def points(scene: Scene) -> list[Point]:
    """Return all there is to tell, in the order in which it is told."""
    return [*_why(scene), *_known(scene), *_tried(scene), *_promised(scene), *_next(scene)]


def at_of(event: Happened) -> datetime:
    """Return when an event of the timeline happened."""
    return datetime.fromisoformat(event["at"])


# Why they came


def _why(scene: Scene) -> Iterator[Point]:
    """Tell what brought the customer here."""
    journey, handoff = scene.journey, scene.handoff
    if journey is not None:
        yield _matter(journey)
    yield from _wants(scene, journey)
    known_why = journey is not None or scene.view.intent is not None
    if handoff is not None:
        short = len(handoff.reason) <= SHORT[scene.audience]
        yield from _handed_over(handoff, 0 if short and not known_why else 4)
    yield from _last_words(scene, 9 if known_why or handoff is not None else 1)
    yield from _way_here(scene)
    others = [j for j in scene.view.journeys if journey is None or j.journey_id != journey.journey_id]
    for other in sorted(others, key=lambda j: j.updated_at, reverse=True):
        places = {"kind": Said("kind", other.kind), "age": Said("age", other.updated_at)}
        yield Point("why", "also_open", 10, _of_journey(other), places)


def _matter(journey: JourneyView) -> Point:
    """Tell what the customer wants done."""
    rests = journey.state == "suspended"
    places = {"kind": Said("kind", journey.kind), "age": Said("age", journey.updated_at)}
    return Point("why", "matter_resting" if rests else "matter", 0, _of_journey(journey), places)


def _of_journey(journey: JourneyView) -> tuple[str, ...]:
    """Return the event that began a journey."""
    return (journey.evidence,) if journey.evidence else ()


def _wants(scene: Scene, journey: JourneyView | None) -> Iterator[Point]:
    """Tell what was understood, where it is not just what is being done."""
    intent = scene.view.intent
    if intent is None or (journey is not None and journey.kind == intent.name):
        return
    evidence = (intent.evidence,) if intent.evidence else ()
    if scene.audience == "ivr":
        if journey is None and scene.tenant.kind(intent.name).say:
            yield Point("why", "matter", 0, evidence, {"kind": Said("kind", intent.name)})
        return
    what = "wants" if intent.confidence >= SURE_ENOUGH else "may_want"
    yield Point("why", what, 0 if journey is None else 5, evidence, {"intent": Said("kind", intent.name)})


def _handed_over(handoff: HandoffView, weight: int) -> Iterator[Point]:
    """Tell why the interaction was handed over, and what was noted for whoever takes it."""
    age = Said("age", handoff.offered_at)
    party = Said("party", Who(handoff.offered_by.party, handoff.offered_by.id))
    evidence = (f"{handoff.handoff_id}:offered",)
    reason = Said("told", Told(handoff.reason, handoff.offered_by.party))
    places = {"age": age, "party": party, "reason": reason}
    yield Point("why", _BY_THE_HUB.get(handoff.reason, "handed_over"), weight, evidence, places)
    if handoff.note:
        note = Said("quoted", Told(handoff.note, handoff.offered_by.party))
        yield Point("why", "note_along", 4, evidence, {"note": note})


def _last_words(scene: Scene, weight: int) -> Iterator[Point]:
    """Tell what the customer said last."""
    event = next((e for e in scene.of_type("message.received") if e.get("party") == "customer"), None)
    if event is not None:
        words = Said("quoted", Told(event["data"].get("text", ""), "customer"))
        places = {"words": words, "age": Said("age", at_of(event))}
        yield Point("why", "said", weight, (event["event_id"],), places)


def _way_here(scene: Scene) -> Iterator[Point]:
    """Tell by which channels the customer came, where there were several."""
    came = sorted(scene.view.interactions, key=lambda i: i.started_at)
    names = [i.channel for i in came]
    if len(set(names)) > 1:
        kept = [name for before, name in zip([None, *names], names, strict=False) if name != before]
        evidence = tuple(beginning(i.interaction_id) for i in came)
        yield Point("why", "came_by", 11, evidence, {"channels": Said("channels", kept)})


# What is known


def _known(scene: Scene) -> Iterator[Point]:
    """Tell the facts, those of the journey first, then what is held back, then how surely the customer is known."""
    journey = scene.journey
    needs = scene.tenant.kind(journey.kind).needs if journey else []
    order = {name: place for place, name in enumerate(needs)}
    shown = [(name, fact) for name, fact in scene.view.facts.items() if not fact.withheld and _is_told(scene, fact)]
    for name, fact in sorted(shown, key=lambda pair: order.get(pair[0], len(order))):
        mine = name in order or (journey is not None and fact.journey_id == journey.journey_id)
        yield _fact(scene, name, fact, 3 if mine else 7)
    withheld = [name for name, fact in scene.view.facts.items() if fact.withheld and _is_told(scene, fact)]
    here = scene.interaction
    if withheld and here is not None:
        yield Point("known", "withheld", 8, _of_assurance(scene, here), {"names": Said("facts", withheld)})
    if here is not None:
        yield _identity(scene, here)


def _is_told(scene: Scene, fact: FactLine) -> bool:
    """Tell whether an audience is told a fact: no colleague's business is heard by the customer, and no guess."""
    if not scene.is_heard:
        return True
    if fact.sensitivity == "internal" or (fact.sensitivity == "sensitive" and scene.interaction_id is None):
        return False
    return scene.audience == "bot" or fact.state != "inferred"


def _fact(scene: Scene, name: str, fact: FactView, weight: int) -> Point:
    """Tell a fact, or that it is told differently."""
    rivals = [other for other in fact.others if _is_rival(fact, other) and _is_told(scene, other)]
    evidence = tuple(line.evidence for line in (fact, *rivals) if line.evidence)
    places = {"label": Said("fact", name), "value": _value(name, fact), "source": Said("source", _source(fact))}
    if rivals:
        said = [(Told(other.value, _party(other), name), _source(other)) for other in rivals]
        return Point("known", "conflict", 2, evidence, places | {"rivals": Said("rivals", said)})
    origin, here = fact.origin, scene.interaction
    if scene.audience == "ivr":
        told_us = fact.state in ("stated", "confirmed") and _party(fact) == "customer"
        return Point("known", "told_us" if told_us else "we_have", weight, evidence, places)
    if origin is None or origin.channel is None or (here and origin.interaction_id == here.interaction_id):
        return Point("known", "fact_here", weight, evidence, places)
    places |= {"channel": Said("channel", origin.channel), "age": Said("age", origin.at)}
    return Point("known", "fact", weight, evidence, places)


def _is_rival(fact: FactView, other: FactLine) -> bool:
    """Tell whether another value contradicts a fact: not that of another journey, nor one outranked by proof."""
    return other.journey_id == fact.journey_id and fact.state not in ("verified", "confirmed")


def _value(name: str, line: FactLine) -> Said:
    """Return the place of a fact's value."""
    return Said("told", Told(line.value, _party(line), name))


def _party(line: FactLine) -> str:
    """Return who told a value."""
    return line.origin.party if line.origin else "system"


def _source(line: FactLine) -> Source:
    """Return how a value is known."""
    return Source(line.state, _party(line), line.confidence)


def _identity(scene: Scene, here: InteractionView) -> Point:
    """Tell how surely the customer is known in the interaction."""
    level, method = here.assurance.level, here.assurance.method
    evidence = _of_assurance(scene, here)
    if level < SHARED_FROM:
        return Point("known", "no_identity", 6, evidence, {})
    return Point("known", "identity", 6, evidence, {"method": Said("method", method), "level": Said("count", level)})


def _of_assurance(scene: Scene, here: InteractionView) -> tuple[str, ...]:
    """Return the event that says how surely the customer is known: the last that raised it, else the beginning."""
    raised = scene.of_type("assurance.raised", "assurance.revoked")
    mine = (event["event_id"] for event in raised if event.get("interaction_id") == here.interaction_id)
    return (next(mine, beginning(here.interaction_id)),)


# What was tried


def _tried(scene: Scene) -> Iterator[Point]:
    """Tell what has been done, how often, by whom, and what came of it."""
    yield from _done(scene)
    yield from _asked_again(scene)
    yield from _handed_on(scene)
    yield from _notes(scene)
    yield from _silent(scene)
    for event in _first(scene.of_type("message.failed"), 1):
        yield _past(event, "not_delivered", 6)
    for event in _first(scene.of_type("journey.completed", "journey.abandoned"), _MOST_PAST):
        what = "finished" if event["type"] == "journey.completed" else "given_up"
        if event["data"].get("kind"):
            yield _past(event, what, 10, kind=Said("kind", event["data"]["kind"]))
    yield from _chain(scene)


def _first(events: Iterable[Happened], most: int) -> list[Happened]:
    """Return so many events."""
    return [event for event, _ in zip(events, range(most), strict=False)]


def _past(event: Happened, what: str, weight: int, **places: Said) -> Point:
    """Tell of something that happened."""
    return Point("tried", what, weight, (event["event_id"],), {"age": Said("age", at_of(event))} | places)


def _done(scene: Scene) -> Iterator[Point]:
    """Tell which steps of the journey are behind."""
    journey = scene.journey
    if journey is None:
        return
    steps = [step.step for step in scene.tenant.kind(journey.kind).steps]
    behind = steps[: steps.index(journey.step)] if journey.step in steps else []
    moved = [e for e in scene.of_type("journey.advanced") if e.get("journey_id") == journey.journey_id]
    evidence = tuple(e["event_id"] for e in moved[:1]) or _of_journey(journey)
    if behind:
        yield Point("tried", "done", 6, evidence, {"steps": Said("steps", (journey.kind, behind))})


def _asked_again(scene: Scene) -> Iterator[Point]:
    """Tell what the customer was asked again though it was known."""
    events = [event for event in scene.of_type("question.asked") if event["data"].get("repeats")]
    names = list(dict.fromkeys(name for event in reversed(events) for name in event["data"]["repeats"]))
    if not names:
        return
    evidence = tuple(event["event_id"] for event in events)
    yield Point("tried", "asked_again", 5, evidence, {"names": Said("facts", names)})
    counted = sum(len(event["data"]["repeats"]) for event in events)
    what = "repeats" if counted > 1 else "repeats_once"
    yield Point("tried", what, 5, evidence, {"count": Said("count", counted)})


def _handed_on(scene: Scene) -> Iterator[Point]:
    """Tell how earlier handoffs ended, newest first."""
    present = scene.handoff.handoff_id if scene.handoff else None
    told = (_ended(event, present) for event in reversed(scene.events) if event["type"].startswith("handoff."))
    yield from [point for point in told if point is not None][:_MOST_PAST]


def _ended(event: Happened, present: str | None) -> Point | None:
    """Tell how one handoff ended, or what was given back with a note; None for any other event."""
    data, verb = event["data"], event["type"].split(".")[1]
    party = Said("party", Who("agent", data.get("agent_id")))
    queue = Said("queue", data["queue"]) if data.get("queue") else Said("party", Who("agent"))
    if verb == "offered" and data.get("ends_parent") == "returned" and data.get("handoff_id") != present:
        note = Said("quoted", Told(data["note"], "agent")) if data.get("note") else None
        return _past(event, "returned", 4, party=party, note=note) if note else None
    if verb == "completed" and data.get("agent_id"):
        outcome = Said("told", Told(data.get("outcome"), "agent"))
        return _past(event, "finished_by" if data.get("outcome") else "served_by", 9, party=party, outcome=outcome)
    if verb == "lapsed":
        return _past(event, "let_lapse", 9, party=party)
    what = {"expired": "nobody_came", "left": "left_queue"}.get(verb)
    return _past(event, what, 8, queue=queue) if what else None


def _notes(scene: Scene) -> Iterator[Point]:
    """Tell what colleagues noted."""
    for event in _first(scene.of_type("note.added"), _MOST_NOTES):
        note = Said("quoted", Told(event["data"].get("text", ""), event.get("party", "agent")))
        yield _past(event, "noted", 7, note=note)


def _silent(scene: Scene) -> Iterator[Point]:
    """Tell which of the company's systems said nothing when they were asked last."""
    heard: set[str] = set()
    for event in scene.of_type("source.answered", "source.missed"):
        source = event["data"]["source"]
        if source not in heard and event["type"] == "source.missed":
            yield _past(event, "no_source", 6, source=Said("id", source))
        heard.add(source)


def _chain(scene: Scene) -> Iterator[Point]:
    """Tell through whose hands the customer went."""
    taken = [event for event in scene.events if event["type"] == "handoff.accepted"]
    if not taken:
        return
    places = {"path": Said("path", [_taker(event) for event in taken]), "count": Said("count", len(taken))}
    what = "chain" if len(taken) > 1 else "chain_once"
    yield Point("tried", what, 6, tuple(event["event_id"] for event in taken), places)


def _taker(event: Happened) -> Said:
    """Return who took a handoff."""
    data = event["data"]
    if data.get("to_channel"):
        return Said("channel", data["to_channel"])
    return Said("party", Who("agent", data["agent_id"]) if data.get("agent_id") else Who("bot"))


# What was promised


def _promised(scene: Scene) -> Iterator[Point]:
    """Tell what was promised: what is late first, then what is due first."""
    for promise in sorted(scene.view.commitments, key=lambda promise: promise.due_at):
        yield from _promise(promise, scene)


def _promise(promise: Commitment, scene: Scene) -> Iterator[Point]:
    """Tell a promise; one that is late in a sentence that fits into any brief."""
    state = promise.at(scene.now).state
    places = {
        "what": Said("told", Told(promise.what, promise.origin.party)),
        "owner": Said("id", promise.owner.removeprefix(AGENT)),
        "since": Said("since", promise.due_at),
        "by": Said("by", promise.due_at),
    }
    evidence = (promise.evidence,)
    if state != "overdue":
        soon = state == "due_soon"
        yield Point("promised", "due_soon" if soon else "promised", 1 if soon else 5, evidence, places)
    elif len(promise.what) + len(promise.owner) <= SHORT[scene.audience]:
        yield Point("promised", "overdue", 0, evidence, places)
    else:
        yield Point("promised", "overdue_one", 0, evidence, places)
        yield Point("promised", "overdue_what", 1, evidence, places)


# What comes next


def _next(scene: Scene) -> Iterator[Point]:
    """Tell where it stands, who is at it, and what is still to ask."""
    journey = scene.journey
    if journey is not None:
        yield from _stands(scene, journey)
    yield from _waits(scene)


def _stands(scene: Scene, journey: JourneyView) -> Iterator[Point]:
    """Tell where a journey stands."""
    evidence = _of_journey(journey)
    worker = journey.worker
    here = scene.interaction
    if worker is not None and (here is None or worker.interaction_id != here.interaction_id):
        busy = next((i for i in scene.view.interactions if i.interaction_id == worker.interaction_id), None)
        places = {
            "party": Said("party", Who(worker.party, worker.id)),
            "channel": Said("channel", busy.channel if busy else None),
            "span": Said("span", worker.since),
        }
        yield Point("next", f"{worker.party}_at_work", 4, (beginning(worker.interaction_id),), places)
    if journey.step:
        yield Point("next", "step", 5, evidence, {"step": Said("step", (journey.kind, journey.step))})
    if journey.missing:
        yield Point("next", "missing", 2, evidence, {"names": Said("facts", journey.missing)})
    elif scene.tenant.kind(journey.kind).needs:
        yield Point("next", "nothing_missing", 5, evidence, {})


def _waits(scene: Scene) -> Iterator[Point]:
    """Tell how long the customer has been waiting, or who serves."""
    handoff, here = scene.handoff, scene.interaction
    if handoff is not None and handoff.state == "offered":
        since = Said("span", handoff.waiting_since)
        evidence = (f"{handoff.handoff_id}:offered",)
        if handoff.to.queue:
            yield Point("next", "waiting", 3, evidence, {"queue": Said("queue", handoff.to.queue), "span": since})
        elif handoff.to.agent:
            party = Said("party", Who("agent", handoff.to.agent))
            yield Point("next", "waiting_for", 3, evidence, {"party": party, "span": since})
    if here is not None and here.state == "open":
        places = {"party": Said("party", Who(here.holder.party, here.holder.id)),
                  "channel": Said("channel", here.channel)}  # fmt: skip
        yield Point("next", "held_by", 3, (beginning(here.interaction_id),), places)
