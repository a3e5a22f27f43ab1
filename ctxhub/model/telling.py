"""What told events come to: one rule for each type, folded over the events of one request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ctxhub.errors import AtWork, CommitmentUnknown, InteractionEnded, Invalid, NotPossibleThen, WrongState
from ctxhub.model.calling import OUT_OF_TURN, HandoffIds, by_name, head, report
from ctxhub.model.claiming import being_done, must_be_its_worker, standing
from ctxhub.model.commitment import Commitment, told_of, warn_at
from ctxhub.model.consent import Consent, said
from ctxhub.model.consent import promoted as promoted_consents
from ctxhub.model.context import Context
from ctxhub.model.customer import NOBODY, Assurance, made_sure
from ctxhub.model.disclosure import EVERYTHING, NOTHING, Sight, answers, sight_of, touchable, under
from ctxhub.model.event import Change, Event, Party
from ctxhub.model.fact import SHARED_FROM, Fact, Origin, higher, is_undone, promoted, rejected, told
from ctxhub.model.hop import asked_again, looked_again
from ctxhub.model.interaction import Intent, Interaction, find, must_have_floor, not_the_holder, reopen
from ctxhub.model.journey import Journey, Worker, agent_elsewhere, ended
from ctxhub.model.risk import cleared, concerned, flagged, must_concern
from ctxhub.model.tenant import Kind, Step, Tenant
from ctxhub.model.value import Level, rfc3339
from ctxhub.model.words import without, words_of

UNKEPT = "unkept"
_REPORTS = ("call.", "recording.")
_ENDS = {"journey.completed": "completed", "journey.abandoned": "abandoned"}
_STATES = {"journey.suspended": "suspended", "journey.resumed": "active", "journey.advanced": "active"}
_WORK = {"journey.advanced", "journey.resumed", *_ENDS}


def _plain_ids(words: str) -> str:
    """Return an id for a handoff where nobody has to find it by that."""
    return f"ho_{hashlib.blake2b(words.encode(), digest_size=10).hexdigest()}"


class Scene(NamedTuple):
    """Where and when events are told: the tenant's declarations, the clock, and how handoffs get their ids.

    `agent` is the one to whom the teller's key is bound, if it is bound to one.
    """

    tenant: Tenant
    now: datetime
    handoff_ids: HandoffIds = _plain_ids
    agent: str | None = None


def tell(context: Context, events: list[Event], scene: Scene) -> Change:
    """Apply what was told, in order; all or nothing. The events come back with channel, assurance and marks."""
    kept: list[Event] = []
    for as_told in events:
        event = by_name(context, as_told) if as_told.type.startswith(_REPORTS) else as_told
        context, more = _admitted(context, event, scene.now)
        placed = stamped(context, event, scene.now)
        context, seen = RULES.get(event.type.split(".")[0], _only_told)(context, placed, scene)
        kept += [*more, *(without_words(context, each) for each in seen)]
    return Change(context, kept)


def without_words(context: Context, event: Event) -> Event:
    """Return an event as it is kept: of a customer who wants nothing kept without what was said.

    What a type of the channel's own tells may be anything, and so nothing of it is kept.
    """
    interaction = context.interactions.get(event.interaction_id or "")
    if interaction is None or not interaction.unkept or UNKEPT in event.marks:
        return event
    words = words_of(event.type, event.data)
    if all(event.data[name] in (None, "") for name in words):
        return event
    return event.but(data=without(event.type, event.data, words), marks=[*event.marks, UNKEPT])


def derived_id(kind: str, context: Context, event: Event) -> str:
    """Return an id that the same event always gets."""
    seed = f"{context.customer_id}\n{event.event_id}".encode()
    return f"{kind}_{hashlib.blake2b(seed, digest_size=10).hexdigest()}"


def _admitted(context: Context, event: Event, now: datetime) -> Change:
    """Refuse an event of an interaction that is over, unless it happened before, or silence had closed it.

    What the telephone system reports is always taken; it says itself whether the call goes on.
    """
    if event.interaction_id is None:
        return Change(context, [])
    interaction = find(context, event.interaction_id)
    if event.type.startswith(_REPORTS) and (
        interaction.ended_by != "silence" or head(context, interaction) is interaction
    ):
        return Change(context, [])
    if interaction.is_open or (interaction.ended_at is not None and event.at < interaction.ended_at):
        return Change(context, [])
    if interaction.ended_by == "silence":
        return reopen(context, interaction, now)
    raise InteractionEnded(
        f"interaction {event.interaction_id} has ended",
        interaction_id=event.interaction_id,
        ended_at=interaction.ended_at,
        state="ended",
    )


def stamped(context: Context, event: Event, now: datetime) -> Event:
    """Return an event with the channel and the assurance it is told under."""
    if event.interaction_id is None:
        return event.but(assurance=level_without_interaction(event.party))
    interaction = context.interaction(event.interaction_id)
    return event.but(channel=interaction.channel, assurance=interaction.level(now))


def level_without_interaction(party: Party) -> int:
    """Return the assurance of what is told outside any interaction: a system's or an agent's word is the company's."""
    return SHARED_FROM if party in ("system", "agent") else 0


def _sight(context: Context, event: Event, scene: Scene) -> Sight:
    """Return what the teller may touch; a system of the company's own, which has no interaction, everything."""
    if event.interaction_id is None:
        return EVERYTHING if event.assurance >= SHARED_FROM else NOTHING
    return under(sight_of(context.interaction(event.interaction_id), scene.now), context, scene.tenant)


def _origin(context: Context, event: Event) -> Origin:
    """Return where an event's content came from; it is of the side of a merge that its journey or interaction is of."""
    journey = context.journeys.get(event.journey_id or "")
    interaction = context.interactions.get(event.interaction_id or "")
    return Origin(
        adopted=journey.origin.adopted if journey else interaction.adopted if interaction else (),
        channel=event.channel,
        interaction_id=event.interaction_id,
        party=event.party,
        assurance=event.assurance,
        at=event.at,
        source=event.data.get("source"),
    )


def _only_told(context: Context, event: Event, scene: Scene) -> Change:
    """Keep an event on the timeline and change nothing."""
    return Change(context, [event])


def _message(context: Context, event: Event, scene: Scene) -> Change:
    """Let only the holder of the floor speak; what was already said is kept, marked where it was out of turn."""
    if event.type != "message.sent" or event.party not in ("bot", "agent") or event.interaction_id is None:
        return Change(context, [event])
    interaction = context.interaction(event.interaction_id)
    fence, holds = event.data.get("fence"), interaction.is_held_by(scene.agent)
    if fence == interaction.fence and holds:
        return Change(context, [event])
    if not event.data.get("delivered"):
        must_have_floor(interaction, scene.agent)
        raise not_the_holder(interaction, f"fence {fence} is not the present one")
    in_turn = fence is None and event.party == interaction.holder.party and holds
    return Change(context, [event if in_turn else event.but(marks=[*event.marks, OUT_OF_TURN])])


def _report(context: Context, event: Event, scene: Scene) -> Change:
    """Follow what the telephone system reports."""
    return report(context, event, scene.now, scene.handoff_ids, scene.tenant.queues)


def _intent(context: Context, event: Event, scene: Scene) -> Change:
    """Note what the customer seems to want."""
    if event.interaction_id is None:
        return Change(context, [event])
    interaction = context.interaction(event.interaction_id)
    before = interaction.intent
    shared_before = before if before and before.assurance >= SHARED_FROM else interaction.shared_intent
    intent = Intent(
        name=event.data["name"],
        confidence=event.data.get("confidence", 1.0),
        interaction_id=event.interaction_id,
        evidence=event.event_id,
        at=event.at,
        assurance=event.assurance,
    )
    noted = interaction.but(intent=intent, shared_intent=None if event.assurance >= SHARED_FROM else shared_before)
    return Change(context.with_interaction(noted), [event])


def _fact(context: Context, event: Event, scene: Scene) -> Change:
    """Learn a fact, or that it is not so."""
    context = _touched(context, _open_journey(context, event, scene), event)
    data, verb = event.data, event.type.split(".")[1]
    fact = Fact(
        name=data["name"],
        value=data.get("value"),
        state=verb,
        confidence=data.get("confidence", 1.0),
        sensitivity=_sensitivity(context, event, scene),
        journey_id=event.journey_id,
        expires_at=event.at + timedelta(seconds=data["expires_in"]) if data.get("expires_in") else None,
        evidence=event.event_id,
        origin=_origin(context, event),
    )
    if fact.sensitivity != data.get("sensitivity", "personal"):
        event = event.but(data=data | {"sensitivity": fact.sensitivity})
    if verb == "rejected":
        return Change(context.with_facts(_without(context, fact, event, scene)), [event])
    return Change(context.with_facts(told(context.facts, fact)), [event])


def _without(context: Context, rejection: Fact, event: Event, scene: Scene) -> tuple[Fact, ...]:
    """Return the facts without what an event rejects: its own scope's, and from level 2 on what is shared."""
    scope = rejection.origin.scope
    if scope is not None:
        return rejected(context.facts, rejection, frozenset({scope}))
    if event.interaction_id is None:
        same = (rejection.name, rejection.journey_id, rejection.value)
        return tuple(fact for fact in context.facts if not is_undone(fact, *same))
    lineage = sight_of(context.interaction(event.interaction_id), scene.now).lineage
    return rejected(context.facts, rejection, lineage | {None})


def _sensitivity(context: Context, event: Event, scene: Scene) -> str:
    """Return the highest sensitivity that the fact was ever told with, in this scope or shared."""
    name, scope = event.data["name"], _origin(context, event).scope
    sensitivity = higher(event.data.get("sensitivity", "personal"), scene.tenant.sensitivity(name))
    for fact in context.facts:
        if (fact.name, fact.journey_id) == (name, event.journey_id) and fact.origin.scope in (None, scope):
            sensitivity = higher(sensitivity, fact.sensitivity)
    return sensitivity


def _question(context: Context, event: Event, scene: Scene) -> Change:
    """Note what the customer is asked, and what of it was known: a repeat, counted once for each holder and name."""
    if event.data.get("purpose", "ask") != "ask" or event.interaction_id is None:
        return Change(context, [event])
    seen = _sight(context, event, scene)
    judged = answers(context, seen, event.data["names"], event.journey_id, scene.now)
    repeats = [answer.name for answer in judged if answer.verdict == "known"]
    if not repeats:
        return Change(context, [event])
    interaction = context.interaction(event.interaction_id)
    counted = {name: f"{interaction.fence}:{name}" for name in repeats}
    again = [name for name, mark in counted.items() if mark in interaction.repeats]
    marks = tuple(dict.fromkeys((*interaction.repeats, *counted.values())))
    asker, arrival = asked_again(interaction)
    told_ = event.but(data=event.data | {"repeats": repeats} | ({"again": again} if again else {}) | arrival)
    return Change(context.with_interaction(asker.but(repeats=marks)), [told_])


def _open_journey(context: Context, event: Event, scene: Scene) -> Journey | None:
    """Return the journey that an event belongs to; `JourneyUnknown` where the teller may not touch it."""
    if event.journey_id is None:
        return None
    return touchable(context, _sight(context, event, scene), event.journey_id)


def _touched(context: Context, journey: Journey | None, event: Event) -> Context:
    """Note that a journey was told of; below level 2 nobody else would see that, so that nothing is noted."""
    if journey is None or event.assurance < SHARED_FROM or event.at <= journey.updated_at:
        return context
    return context.with_journey(journey.but(updated_at=event.at))


def _journey(context: Context, event: Event, scene: Scene) -> Change:
    """Start, move, rest or end a journey."""
    if event.type == "journey.started":
        return _journey_started(context, event, scene)
    journey = _open_journey(context, event, scene)
    if journey is None:
        raise Invalid.field("/journey_id", f"{event.type} needs the journey it is about")
    if event.type == "journey.declined":
        return _journey_declined(context, event, journey)
    if event.type in _WORK:
        _refuse_at_work(context, event, journey, scene)
        must_be_its_worker(journey, event.data.get("fence"), scene.now)
        _refuse_over_claim(event, journey, scene)
    if event.type in _ENDS:
        return Change(ended(context, journey.journey_id), [event.but(data=event.data | {"kind": journey.kind})])
    if event.type == "journey.resumed":
        context, event = _taken_up(context, event, journey)
    return Change(_moved_on(context, event, journey, scene), [event])


def _refuse_over_claim(event: Event, journey: Journey, scene: Scene) -> None:
    """Refuse to go on without its worker's fence from a claimed step that must not be done twice; reports are taken."""
    held = standing(journey.claim, scene.now)
    if held is None or event.data.get("fence") is not None or event.data.get("happened"):
        return
    leaves = event.type in _ENDS or (event.data.get("step") or held.step) != held.step
    if leaves and scene.tenant.kind(journey.kind).at(held.step).once:
        raise being_done(journey, held)


def _taken_up(context: Context, event: Event, journey: Journey) -> tuple[Context, Event]:
    """Note, once, that the customer goes on with a journey in another interaction than where it began."""
    if event.interaction_id in (None, journey.origin.interaction_id):
        return context, event
    interaction = context.interaction(event.interaction_id)
    if journey.journey_id in interaction.resumed:
        return context, event
    resumed = interaction.but(resumed=(*interaction.resumed, journey.journey_id))
    return context.with_interaction(resumed), event.but(data=event.data | {"kind": journey.kind, "offer": "taken"})


def _moved_on(context: Context, event: Event, journey: Journey, scene: Scene) -> Context:
    """Let a journey rest, go on, or come to a step."""
    state = _STATES[event.type]
    changed = journey.but(
        state=state,
        rested_at=event.at if state == "suspended" else None,
        origin=journey.origin.but(assurance=max(journey.origin.assurance, event.assurance)),
        updated_at=max(journey.updated_at, event.at),
    )
    step = event.data.get("step")
    if step is not None and step != journey.step:
        kind = scene.tenant.kind(journey.kind)
        changed = _at_step(_left_behind(changed, kind, step), kind.at(step), event.at)
    return _at_work(context.with_journey(changed), event, changed.journey_id)


def _left_behind(journey: Journey, kind: Kind, to: str) -> Journey:
    """Return a journey that goes on to a step, with what it leaves as done where that must not be done twice.

    That is the step where it stands; where a return has moved it on in the meantime, also the one that is claimed.
    """
    left = (journey.step, journey.claim.step if journey.claim else None)
    done = [step for step in left if step is not None and kind.at(step).once and kind.goes_on(step, to)]
    return journey.but(done=tuple(dict.fromkeys((*journey.done, *done)))) if done else journey


def _at_step(journey: Journey, step: Step, at: datetime) -> Journey:
    """Let a journey come to a step: from now on its owner and its time count, unless it was escalated before."""
    owner = journey.owner if journey.level else step.owner or journey.owner
    ends = at + timedelta(seconds=step.within) if step.within else None
    return journey.but(step=step.step, owner=owner, step_ends=ends, claim=None)


def _refuse_at_work(context: Context, event: Event, journey: Journey, scene: Scene) -> None:
    """Refuse a bot that would work on what an agent works on in another interaction.

    What was done already, before the agent came or by its own word, is a report and is taken.
    """
    if event.interaction_id is None or event.party == "agent" or event.data.get("happened"):
        return
    interaction = context.interaction(event.interaction_id)
    refuse_bots(context, journey, interaction, event.at, _sight(context, event, scene))


def refuse_bots(context: Context, journey: Journey, interaction: Interaction, at: datetime, seen: Sight) -> None:
    """Refuse the bot of an interaction work on a journey that an agent works on in another one."""
    if interaction.holder.party != "bot":
        return
    busy = agent_elsewhere(context, journey.journey_id, interaction)
    if busy is not None and at >= busy.since:
        raise _at_work_by(busy, journey, seen)


def _at_work_by(busy: Worker, journey: Journey, seen: Sight) -> AtWork:
    """Return the refusal; it names the agent only where the teller may see the agent's interaction."""
    sees = seen.everything or seen.level >= SHARED_FROM
    shown = busy.model_dump(mode="json") if sees else {"party": busy.party}
    return AtWork(
        f"an agent works on journey {journey.journey_id} in another interaction",
        journey_id=journey.journey_id, state=journey.state, worker=shown,
    )  # fmt: skip


def _journey_started(context: Context, event: Event, scene: Scene) -> Change:
    """Begin a task, or go on with an open one where that is to be found; it becomes what the interaction is about."""
    open_ = _open_one(context, event, scene) if event.data.get("find") else None
    if open_ is not None:
        _refuse_at_work(context, event, open_, scene)
        found = event.but(type="journey.resumed", journey_id=open_.journey_id, data={"kind": open_.kind, "found": True})
        context, found = _taken_up(context, found, open_)
        return Change(_moved_on(context, found, open_, scene), [found])
    journey_id = event.data.get("journey_id") or event.journey_id or derived_id("jr", context, event)
    if journey_id in context.journeys:
        state = context.journeys[journey_id].state
        raise WrongState(f"journey {journey_id} has begun already", journey_id=journey_id, state=state)
    journey = _begun(context, journey_id, event, scene)
    return Change(_at_work(context.with_journey(journey), event, journey_id), [event.but(journey_id=journey_id)])


def _open_one(context: Context, event: Event, scene: Scene) -> Journey | None:
    """Return the open journey of a kind to go on with: what the interaction is about, else the freshest in sight."""
    seen = _sight(context, event, scene)
    here = [j for j in context.journeys.values() if j.kind == event.data["kind"] and seen.sees_journey(j)]
    staying = [journey for journey in here if journey.is_open and journey.origin.interaction_id not in context.moves]
    return max(staying, key=lambda j: (j.journey_id == seen.journey_id, j.updated_at), default=None)


def _begun(context: Context, journey_id: str, event: Event, scene: Scene) -> Journey:
    """Return a new journey at its first step, or the one named, with what its kind declares."""
    kind = scene.tenant.kind(event.data["kind"])
    journey = Journey(
        journey_id=journey_id,
        kind=kind.kind,
        owner=kind.owner,
        origin=_origin(context, event),
        updated_at=event.at,
        evidence=event.event_id,
        rest=kind.rest,
        lapse=kind.lapse,
        escalate=tuple(kind.escalate),
    )
    first = event.data.get("step") or (kind.steps[0].step if kind.steps else None)
    return _at_step(journey, kind.at(first), event.at) if first else journey


def _at_work(context: Context, event: Event, journey_id: str | None) -> Context:
    """Note which journey the event's interaction is about now."""
    if event.interaction_id is None or event.type == "journey.suspended":
        return context
    return context.with_interaction(context.interaction(event.interaction_id).but(journey_id=journey_id))


def _journey_declined(context: Context, event: Event, journey: Journey) -> Change:
    """Note that the customer does not want to go on with it in this interaction."""
    if event.interaction_id is None:
        return Change(context, [event])
    interaction = context.interaction(event.interaction_id)
    declined = tuple(dict.fromkeys((*interaction.declined, journey.journey_id)))
    about = None if interaction.journey_id == journey.journey_id else interaction.journey_id
    if declined != interaction.declined:
        event = event.but(data=event.data | {"kind": journey.kind, "offer": "declined"})
    return Change(context.with_interaction(interaction.but(declined=declined, journey_id=about)), [event])


def _assurance(context: Context, event: Event, scene: Scene) -> Change:
    """Know the customer more surely in this interaction, or no longer."""
    if event.interaction_id is None:
        raise Invalid.field("/interaction_id", f"{event.type} needs the interaction it is about")
    interaction = context.interaction(event.interaction_id)
    if event.type == "assurance.revoked":
        return Change(context.with_interaction(_revoked(interaction, min(event.at, scene.now))), [event])
    until = event.at + timedelta(seconds=event.data.get("expires_in", 1800))
    raised = Assurance(
        level=event.data["level"], method=event.data["method"], channel=interaction.channel, until=until,
        raised_at=min(event.at, scene.now),
    )  # fmt: skip
    if interaction.revoked_at is not None and min(event.at, scene.now) < interaction.revoked_at:
        return Change(context, [event])
    if not raised.outlasts(interaction.assurance, scene.now):
        return Change(context.with_interaction(_proven_again(interaction, raised, scene.now)), [event])
    context, arrival = _surer(context.with_interaction(interaction.but(assurance=raised)), event.interaction_id, scene)
    level = context.interaction(event.interaction_id).proven
    return Change(context, [event.but(assurance=level, data=event.data | arrival)])


def _revoked(interaction: Interaction, at: datetime) -> Interaction:
    """Return an interaction whose customer is known no more, however late it is told what was proven before."""
    before = interaction.revoked_at
    return interaction.but(assurance=NOBODY, revoked_at=at if before is None else max(before, at))


def _proven_again(interaction: Interaction, raised: Assurance, now: datetime) -> Interaction:
    """Return an interaction whose customer proved again what holds longer already: it counts as proven just now."""
    left = interaction.assurance
    since, at = left.raised_at, raised.raised_at
    again = left.at(now).level == raised.level > 0 and at is not None and (since is None or since < at)
    return interaction.but(assurance=left.but(raised_at=raised.raised_at)) if again else interaction


def _surer(context: Context, interaction_id: str, scene: Scene) -> tuple[Context, dict[str, Any]]:
    """Share what an interaction said, now that its customer is surely known; return also what came along with it."""
    context = shared(context, interaction_id, context.interaction(interaction_id).level(scene.now))
    return looked_again(context, context.interaction(interaction_id), scene.now)


def _risk(context: Context, event: Event, scene: Scene) -> Change:
    """Warn of an interaction, or no longer; what it said meanwhile is shared where its customer is surely known."""
    must_concern(event, context)
    queue = scene.tenant.policies.fraud_queue
    if event.type == "risk.flagged":
        return flagged(context, event, queue)
    context, events = cleared(context, event, queue)
    for interaction in concerned(context, event):
        context, _ = _surer(context, interaction.interaction_id, scene)
    return Change(context, events)


def shared(context: Context, interaction_id: str, level: Level) -> Context:
    """Share what an interaction's customer said before being verified in it."""
    if level < SHARED_FROM:
        return context
    interaction = context.interaction(interaction_id)
    if interaction.intent is not None:
        intent = interaction.intent.but(assurance=max(level, interaction.intent.assurance))
        context = context.with_interaction(interaction.but(intent=intent, shared_intent=None))
    journeys = {k: j.but(origin=_lifted(j.origin, interaction_id, level)) for k, j in context.journeys.items()}
    promises = {k: c.but(origin=_lifted(c.origin, interaction_id, level)) for k, c in context.commitments.items()}
    facts = promoted(context.facts, interaction_id, level)
    consents = promoted_consents(context.consents, interaction_id, level)
    sure = made_sure(context.identifiers, interaction_id)
    return context.but(journeys=journeys, commitments=promises, facts=facts, consents=consents, identifiers=sure)


def _lifted(origin: Origin, interaction_id: str, level: Level) -> Origin:
    """Return an origin with the assurance its interaction has reached."""
    return origin.but(assurance=max(level, origin.assurance)) if origin.interaction_id == interaction_id else origin


def _commitment(context: Context, event: Event, scene: Scene) -> Change:
    """Make a promise, or note that it was kept or broken."""
    if event.type == "commitment.made":
        return _commitment_made(context, event, scene)
    commitment_id = event.data["commitment_id"]
    promise = context.commitments.get(commitment_id)
    if promise is None or not _may_end(context, event, promise, scene):
        raise CommitmentUnknown(f"there is no open commitment {commitment_id}", commitment_id=commitment_id)
    rest = {key: other for key, other in context.commitments.items() if key != commitment_id}
    told_ = event.but(data=event.data | told_of(promise) | {"late": event.at > promise.due_at})
    if promise.state == "overdue":
        told_ = told_.but(data=told_.data | {"overdue": True})
    return Change(context.but(commitments=rest), [told_])


def _may_end(context: Context, event: Event, promise: Commitment, scene: Scene) -> bool:
    """Tell whether a promise is the teller's to end; what is shared is ended at level 2 only."""
    surely = promise.origin.scope is not None or event.assurance >= SHARED_FROM
    return surely and _sight(context, event, scene).sees(promise.origin)


def _commitment_made(context: Context, event: Event, scene: Scene) -> Change:
    """Keep a promise until it is kept or broken."""
    commitment_id = event.data.get("commitment_id") or derived_id("cm", context, event)
    if commitment_id in context.commitments:
        raise WrongState(
            f"commitment {commitment_id} was made already",
            commitment_id=commitment_id,
            state=context.commitments[commitment_id].state,
        )
    due_at, owner = datetime.fromisoformat(event.data["due_at"]), event.data["owner"]
    if event.party == "bot":
        _must_be_there_then(scene.tenant, owner, event.at, due_at)
    promise = Commitment(
        commitment_id=commitment_id,
        what=event.data["what"],
        owner=owner,
        queue=owner if owner in scene.tenant.queues else None,
        due_at=due_at,
        warn_at=warn_at(event.at, due_at, timedelta(seconds=scene.tenant.policies.warn_before)),
        journey_id=event.journey_id,
        evidence=event.event_id,
        origin=_origin(context, event),
    )
    told_ = event.but(data=event.data | told_of(promise))
    return Change(context.but(commitments=context.commitments | {commitment_id: promise}), [told_])


def _must_be_there_then(tenant: Tenant, queue: str, at: datetime, due_at: datetime) -> None:
    """Refuse a promise for a queue that is closed until it is due: there is nobody who could keep it."""
    if queue not in tenant.queues or tenant.is_open(queue, at):
        return
    calendar = tenant.calendar(queue)
    opens = calendar.opens_at(at) if calendar is not None else None
    if opens is None or opens >= due_at:
        raise NotPossibleThen(
            f"queue {queue} is closed until then", queue=queue, possible_from=rfc3339(opens) if opens else None
        )


def _consent(context: Context, event: Event, scene: Scene) -> Change:
    """Note what the customer allows; where nothing is to be kept, the interaction's words are not from now on."""
    data, verb = event.data, event.type.split(".")[1]
    expires_in = data.get("expires_in")
    consent = Consent(
        purpose=data["purpose"], state=verb, text_version=data.get("text_version"), evidence=event.event_id,
        expires_at=event.at + timedelta(seconds=expires_in) if expires_in else None, origin=_origin(context, event),
    )  # fmt: skip
    context = context.but(consents=said(context.consents, consent))
    if consent.purpose == "keeping" and event.interaction_id is not None:
        interaction = context.interaction(event.interaction_id)
        context = context.with_interaction(interaction.but(unkept=not consent.allows))
    return Change(context, [event])


#: The rule for each family of events; what has none is only told.
RULES: dict[str, Callable[[Context, Event, Scene], Change]] = {
    "message": _message,
    "call": _report,
    "recording": _report,
    "intent": _intent,
    "fact": _fact,
    "question": _question,
    "journey": _journey,
    "assurance": _assurance,
    "risk": _risk,
    "commitment": _commitment,
    "consent": _consent,
}
