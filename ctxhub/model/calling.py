"""What the telephone system reports, and what that does to an interaction: who has the floor, what becomes of handoffs.

A report of what happened on the line is never refused. The hub follows it: the floor goes to whoever the reports say
holds the call, by a handoff each time; where they don't say it, it stays where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ctxhub.errors import Unavailable
from ctxhub.model import handoff as handoffs
from ctxhub.model.call import NO_CALL, SKEW, TRANSFERRED, Call, Course, Leg, Mark, Role, closed
from ctxhub.model.context import Context
from ctxhub.model.event import Change, Event, Ref
from ctxhub.model.handoff import Handoff, Target
from ctxhub.model.interaction import Holder, Interaction, call_named, reopen
from ctxhub.model.lapsing import end

OUT_OF_TURN = "out_of_turn"
AFTER_THE_END = "after_the_end"
#: Told under an agent's key: it lets nobody in but by an offer that waits for him, or where who has the floor tells it.
BY_AGENT = "by_agent"
BY_HOLDER = "by_holder"
#: Of so many names none is added any more.
MOST_REFS = 64
_OF_MARK = ("agent_id", "role", "queue", "bot", "step", "say", "position", "expected_wait")

#: Makes ids of handoffs: the same for the same words.
HandoffIds = Callable[[str], str]


def report(context: Context, event: Event, now: datetime, ids: HandoffIds, queues: Container[str]) -> Change:
    """Take in one report about a call, whenever it comes; the event comes back with what it changed.

    `queues` are those that the tenant declares: what the hub offered itself follows the call to these.
    """
    if event.interaction_id is None:
        return Change(context, [event])
    told_in = context.interaction(event.interaction_id)
    interaction = head(context, told_in)
    return _reported(context, interaction, event, _mark(event, told_in, interaction), now, ids, queues)


def by_name(context: Context, event: Event) -> Event:
    """Return a report that names only the call with the interaction that goes by that name, the latest if several.

    Where that may be on its way here by a merge it is refused for now: kept without its call, it would be lost.
    """
    if event.interaction_id is not None or not event.data.get("ref"):
        return event
    ref = Ref.model_validate(event.data["ref"])
    named = [one for one in context.interactions.values() if ref in one.refs or ref == own_ref(one)]
    found = max(named, key=lambda one: one.started_at, default=None)
    if found is None and context.is_joining:
        raise Unavailable(f"call {ref.id} may be on its way here, by a merge", retry_after=1)
    return event if found is None else event.but(interaction_id=found.interaction_id)


def _reported(
    context: Context, interaction: Interaction, event: Event, mark: Mark, now: datetime, ids: HandoffIds,
    queues: Container[str] = (),
) -> Change:  # fmt: skip
    """Note a report and follow it."""
    mark = _explained(mark, _waiting(context, interaction.interaction_id, consult=None))
    before = interaction.call or Call(names=_names(interaction))
    call = before.noted(mark)
    context = context.with_interaction(_with_ref(interaction, mark.ref).but(call=call))
    told = _told(context, interaction, event, mark, before.course, call.course)
    if call is before:
        return Change(context, [told])
    trusted = BY_AGENT not in event.marks or BY_HOLDER in event.marks
    so_far = (before.course, call.course, _Said(before, call, trusted), event.at)
    followed = _followed(_Report(context, interaction.interaction_id, *so_far, now, ids, queues, event.event_id))
    return Change(followed.context, [told, *followed.events])


def _names(interaction: Interaction) -> tuple[Ref, ...]:
    """Return the names by which a call is known before anything is reported of it."""
    own = own_ref(interaction)
    return tuple(dict.fromkeys((*interaction.refs, *([own] if own else []))))


def _explained(mark: Mark, waiting: Handoff | None) -> Mark:
    """Return an answer with what explains it: an offer that waited for somebody by then, or for somebody's advice."""
    if mark.verb != "answered" or mark.role is not None or waiting is None or mark.at < waiting.waiting_since - SKEW:
        return mark
    return mark.but(role="consulted") if waiting.mode == "consult" else mark.but(offered=True)


def _waiting(context: Context, interaction_id: str, consult: bool | None = False) -> Handoff | None:
    """Return the open offer that waits for somebody to answer the call; of consultations only where they are wanted."""
    offer = context.open_offer(interaction_id)
    if offer is None or offer.to.channel is not None or offer.kind != "live":
        return None
    return offer if consult in (None, offer.mode == "consult") else None


def head(context: Context, interaction: Interaction) -> Interaction:
    """Return the interaction whose call this is: another one's where it came as a leg of that."""
    if interaction.handoff_id is None:
        return interaction
    via = context.handoffs.get(interaction.handoff_id)
    came = via is not None and any(one.interaction_id == interaction.interaction_id for one in via.joined)
    first = context.interactions.get(via.interaction_id) if via is not None and came else None
    if first is None or first.interaction_id in context.moves:
        return interaction
    return head(context, first)


def meant(context: Context, interaction: Interaction, ref: Ref) -> Interaction:
    """Return the interaction that a name means: the call itself, where one of its legs brought the call's name too."""
    first = head(context, interaction)
    return first if ref == own_ref(first) or ref in first.refs else interaction


def call_of(context: Context, interaction_id: str, system: str, external_id: str) -> Handoff | None:
    """Return the latest handoff that leads a leg into a call that goes on and that another system routes."""
    interaction = context.interactions.get(interaction_id)
    if interaction is None or (interaction.system, interaction.external_id) == (system, external_id):
        return None
    first = head(context, interaction).interaction_id
    mine = [h for h in context.handoffs.values() if h.interaction_id == first and h.to.channel is None]
    return next((handoff for handoff in reversed(mine) if handoffs.call_goes_on(context, handoff)), None)


def legs_of(context: Context, interaction_id: str) -> set[str]:
    """Return the interactions that came as legs of another's call."""
    mine = (h for h in context.handoffs.values() if h.interaction_id == interaction_id)
    return {came.interaction_id for handoff in mine for came in handoff.joined} - {interaction_id}


def _mark(event: Event, told_in: Interaction, first: Interaction) -> Mark:
    """Return a report as it is kept; a leg that tells of itself need not say its own name again."""
    data = event.data
    ref = Ref.model_validate(data["ref"]) if data.get("ref") else None
    family, _, verb = event.type.partition(".")
    said = {name: data[name] for name in _OF_MARK if data.get(name) is not None}
    if told_in is not first:
        ref = ref or own_ref(told_in)
        said = ({"agent_id": told_in.holder.id} if told_in.holder.party == "agent" and told_in.holder.id else {}) | said
    if family == "recording":
        return Mark(at=event.at, verb=event.type, ref=ref)
    own, by_holder = BY_AGENT in event.marks, BY_HOLDER in event.marks
    partly = data.get("reason") == TRANSFERRED
    return Mark(at=event.at, verb=verb, ref=ref, partly=partly, own=own, by_holder=by_holder, **said)


def own_ref(interaction: Interaction) -> Ref | None:
    """Return an interaction's own name as other systems would name it; None where it is too long for that."""
    return call_named(interaction.system, interaction.external_id)


def _with_ref(interaction: Interaction, ref: Ref | None) -> Interaction:
    """Return an interaction that goes by one more name."""
    known = ref is None or ref in interaction.refs or ref == own_ref(interaction)
    if known or ref is None or len(interaction.refs) >= MOST_REFS:
        return interaction
    return interaction.but(refs=(*interaction.refs, ref))


def _told(context: Context, interaction: Interaction, event: Event, mark: Mark, before: Course, after: Course) -> Event:
    """Return a report as the timeline keeps it: with the role of its agent, the legs it ended, and where that waits."""
    legs = [_said(leg) for leg in closed(before, after)]
    role: Role | None = after.role(mark.agent_id)
    queue = event.data.get("queue") or _queue(context, interaction.interaction_id)
    more: dict[str, Any] = {"legs": legs, "holder": after.holder, "role": role, "queue": queue}
    leg = after.leg(mark.agent_id) if mark.agent_id else None
    strange = mark.verb == "answered" and leg is not None and leg.unannounced
    marks = [OUT_OF_TURN] if strange else [AFTER_THE_END] if before.said and mark.verb != "ended" else []
    data = event.data | {name: value for name, value in more.items() if value}
    return event.but(data=data, marks=[*event.marks, *marks])


def _said(leg: Leg) -> dict[str, Any]:
    """Return a leg that has ended as the timeline tells it: whose it was, as what, from when to when."""
    said = leg.model_dump(mode="json", include={"agent_id", "role", "answered_at", "ended_at"}, exclude_none=True)
    if leg.answered_at is None or leg.ended_at is None:
        return said
    return said | {"seconds": max(0.0, round((leg.ended_at - leg.answered_at).total_seconds(), 3))}


def _queue(context: Context, interaction_id: str) -> str | None:
    """Return the queue whose desks want to know of an interaction's call."""
    mine = [h for h in context.handoffs.values() if h.interaction_id == interaction_id and not h.is_final]
    return next((queue for queue in (handoffs.queue_behind(context, h) for h in reversed(mine)) if queue), None)


class _Said(NamedTuple):
    """Who says so: what stood before and stands now, and if this report is `trusted`: no agent tells it of himself.

    Whoever has the floor is trusted too: what he tells gives the call away.
    """

    before: Call
    call: Call
    trusted: bool

    @property
    def is_sure(self) -> bool:
        """Tell whether more than an agent's own word says who holds the call."""
        holder = self.call.course.holder
        return self.call.attested.holder == holder or (self.trusted and self.before.course.holder != holder)

    @property
    def is_newly_sure(self) -> bool:
        """Tell whether somebody else only now says who holds the call."""
        holder = self.call.course.holder
        return self.call.attested.holder == holder != self.before.attested.holder

    @property
    def gives(self) -> bool:
        """Tell whether more than an agent's own word says that the call was given away, or to whom."""
        given = self.call.course.given
        return self.call.attested.given == given or (self.trusted and self.before.course.given != given)

    @property
    def knows_who_had_it(self) -> bool:
        """Tell whether more than an agent's own word says who had the call last."""
        last = self.call.course.held_last
        return self.call.attested.held_last == last or (self.trusted and self.before.course.held_last != last)


class _Report(NamedTuple):
    """One report at work: the context so far, what was so before, what is so now, and how handoffs get their ids."""

    context: Context
    interaction_id: str
    before: Course
    course: Course
    said: _Said
    at: datetime
    now: datetime
    ids: HandoffIds
    queues: Container[str]
    seed: str

    @property
    def interaction(self) -> Interaction:
        """The interaction whose call it is."""
        return self.context.interaction(self.interaction_id)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All that was reported of it."""
        return (self.interaction.call or NO_CALL).marks

    def handoff_id(self, what: str) -> str:
        """Return the id of a handoff that this report stands for."""
        return self.ids(f"call:{self.seed}:{what}")


def _followed(report: _Report) -> Change:
    """Bring floor and handoffs to where the reports say that the call is."""
    taken_up = _going_on(report)
    events = taken_up.events
    if events:
        # Whatever it was before its interaction ended, it is brought to where it is now.
        report = report._replace(context=taken_up.context, before=NO_CALL.course)
    for step in (_placed, _held, _let_in, _given, _missed, _over, _served):
        change = step(report)
        if change.context is not report.context:
            report = report._replace(context=change.context)
        events = [*events, *change.events]
    return Change(report.context, events)


def _going_on(report: _Report) -> Change:
    """Take up an interaction again that only seemed to be over, or that silence had closed before this happened."""
    interaction, ended_at = report.interaction, report.interaction.ended_at
    was_silent = interaction.ended_by == "silence" and ended_at is not None and report.at >= ended_at
    if interaction.is_open or report.course.over or not (was_silent or interaction.ended_by == "call"):
        return Change(report.context, [])
    return reopen(report.context, interaction, report.now)


def _placed(report: _Report) -> Change:
    """Note where the call stands in its queue, as its router told of the queue where it waits now."""
    place, offer = report.course.place, report.context.open_offer(report.interaction_id)
    if place is None or offer is None:
        return Change(report.context, [])
    if place.queue != offer.to.queue and place.at < offer.offered_at - SKEW:
        return Change(report.context, [])
    return Change(handoffs.placed(report.context, offer, place.position, place.expected_wait), [])


def _held(report: _Report) -> Change:
    """Let whoever holds the call have the floor, by the offer that waits, or by a handoff of its own.

    Who only says so himself gets nothing by that but the offer that waits for him: else an agent could be in sight of a
    customer for as long as he liked.
    """
    agent_id, interaction = report.course.holder, report.interaction
    if agent_id is None or not interaction.is_open:
        return Change(report.context, [])
    mine = _of(report.context, report.interaction_id, agent_id)
    offer = _waiting(report.context, report.interaction_id)
    has_floor = interaction.holder == Holder(party="agent", id=agent_id)
    # Whom silence had sent to wrap up is on the line again as soon as the call is heard of.
    was_away = has_floor and (mine is None or mine.wrap_up_since is not None)
    if agent_id == report.before.holder and not report.said.is_newly_sure and not was_away:
        return Change(report.context, [])
    if mine is not None and has_floor and not _answers(report, offer):
        on_the_line = mine.but(routing="external", expires_at=None, lease_ends=None, wrap_up_since=None)
        is_heard = report.said.is_sure or report.said.trusted
        return Change(report.context.with_handoff(on_the_line) if is_heard else report.context, [])
    first = _had_first(report, offer, agent_id) if offer is not None and report.said.is_sure else None
    if offer is not None and first is not None:
        return _taken_by_both(report, offer, first, agent_id)
    if offer is not None and (report.said.is_sure or offer.to.agent in (None, agent_id)):
        return _accepted(report.context, offer, agent_id, report.now)
    return _taken(report, agent_id) if report.said.is_sure and offer is None else Change(report.context, [])


def _answers(report: _Report, offer: Handoff | None) -> bool:
    """Tell whether a transfer that waited has been answered, perhaps by the very agent who gave the call away."""
    if offer is None:
        return False
    given, held_at, transfer = report.before.given, report.course.held_at, _stood_for(report, offer)
    since_then = held_at is not None and transfer is not None and held_at >= transfer.at
    return since_then or (given is not None and offer.to == _whither(given))


def _stood_for(report: _Report, offer: Handoff) -> Mark | None:
    """Return the transfer, as it was reported, that an offer stands for, the first where it was passed on since.

    The offer waits since then, or since that was told by a clock ahead of the hub's. One of the hub's own, where it was
    passed on, stands for none.
    """
    if offer.put_at is not None:
        return None
    transfers = [mark for mark in report.marks if mark.verb == "transferred" and mark.at >= offer.waiting_since]
    if not any(_whither(mark) == offer.to for mark in transfers):
        return None
    first = transfers[0]
    is_that = min(first.at, offer.offered_at) == offer.waiting_since and first.at - offer.offered_at <= SKEW
    return first if is_that else None


def _of(context: Context, interaction_id: str, agent_id: str) -> Handoff | None:
    """Return the handoff by which an agent has an interaction's floor."""
    held = [h for h in context.handoffs.values() if h.interaction_id == interaction_id and h.has_floor]
    return next((handoff for handoff in held if handoff.agent_id == agent_id), None)


def _accepted(context: Context, offer: Handoff, agent_id: str, now: datetime) -> Change:
    """Let an agent take the offer that waited; from now on it lives as long as the call."""
    external = offer.but(routing="external", expires_at=None)
    return handoffs.taken(context, external, Holder(party="agent", id=agent_id), now)


def _taken(report: _Report, agent_id: str) -> Change:
    """Let an agent hold the call by a handoff that is made of what happened."""
    made = _made(report, Target(agent=agent_id), agent_id, report.now)
    offered = handoffs.offered(report.context, made, report.interaction, report.now)
    taken = handoffs.taken(offered.context, made, Holder(party="agent", id=agent_id), report.now)
    return Change(taken.context, [*offered.events, *taken.events])


def _made(report: _Report, to: Target, what: str, since: datetime) -> Handoff:
    """Return the handoff that a report of the telephone system stands for; the customer waits since that happened."""
    context, interaction, now = report.context, report.interaction, report.now
    held = context.held_handoff(interaction.interaction_id)
    mine = [h for h in context.handoffs.values() if h.interaction_id == interaction.interaction_id]
    before = held or (mine[-1] if mine else context.handoffs.get(interaction.handoff_id or ""))
    handoff_id, back = report.handoff_id(what), to.bot is not None
    return Handoff(
        handoff_id=handoff_id, interaction_id=interaction.interaction_id, journey_id=interaction.journey_id,
        reason="returned" if back else "transferred" if held else "answered", to=to, routing="external",
        parent_id=before.handoff_id if before else None, root_id=before.root_id if before else handoff_id,
        ends_parent=None if held is None else "returned" if back else "transferred", offered_by=interaction.holder,
        offered_level=interaction.level(now), offered_at=now, waiting_since=min(since, now), expires_at=None,
    )  # fmt: skip


def _let_in(report: _Report) -> Change:
    """Let the offer of a consultation be taken by who answered it, and be done when that leg has ended."""
    mine = (h for h in report.context.handoffs.values() if h.interaction_id == report.interaction_id)
    handoff = next((h for h in mine if h.mode == "consult" and not h.is_final), None)
    if handoff is None:
        return Change(report.context, [])
    beside = [leg.agent_id for leg in report.course.live if leg.talks and leg.role in ("consulted", "joined")]
    if handoff.state == "offered" and beside:
        return _accepted(report.context, handoff, beside[0], report.now)
    was_there = report.before.role(handoff.agent_id) is not None
    if handoff.state == "accepted" and was_there and handoff.agent_id not in beside:
        return handoffs.done(report.context, handoff, report.now)
    return Change(report.context, [])


def _given(report: _Report) -> Change:
    """Let a call that was given away wait where it went, or go on with the bot it went back to."""
    given = report.course.given
    to = _whither(given) if given is not None and report.interaction.is_open and report.said.gives else None
    if given is None or to is None:
        return Change(report.context, [])
    waiting = _waiting(report.context, report.interaction_id)
    may_be_taken = waiting is not None and (waiting.to != to or report.said.knows_who_had_it)
    caught_up = _caught_up(report) if may_be_taken else Change(report.context, [])
    report = report._replace(context=caught_up.context)
    is_new = given != report.before.given or caught_up.events
    if _waiting(report.context, report.interaction_id):
        there = _passed_on(report, given, to)
    elif is_new and not _waits_elsewhere(report, to):
        made = _made(report, to, given.at.isoformat(), given.at).but(step=given.step, say=given.say)
        here = handoffs.at_step(report.context, made.journey_id, given.step, report.now)
        there = handoffs.offered(here, made, report.interaction, report.now)
    else:
        there = Change(report.context, [])
    return Change(there.context, [*caught_up.events, *there.events])


def _waits_elsewhere(report: _Report, to: Target) -> bool:
    """Tell whether the customer has gone on in a chat, say, and waits there: the call she left waits for no one beside.

    Whoever answers it all the same has her, and a menu may have the call back meanwhile.
    """
    return to.bot is None and handoffs.place_elsewhere(report.context, report.interaction_id) is not None


def _passed_on(report: _Report, given: Mark, to: Target) -> Change:
    """Let an offer that nobody is known to have answered wait where the call went next; the place goes along."""
    offer = _waiting(report.context, report.interaction_id)
    is_own = offer is not None and _stood_for(report, offer) is None
    if offer is None or offer.to == to or (is_own and not _follows(report, offer, given)):
        return Change(report.context, [])
    here = handoffs.at_step(report.context, offer.journey_id, given.step, report.now)
    again = offer.but(step=given.step, say=given.say, put_at=(offer.put_at or offer.to) if is_own else None)
    return handoffs.passed_on(here, again, to, given.at.isoformat(), report.now)


def _follows(report: _Report, offer: Handoff, given: Mark) -> bool:
    """Tell whether an offer of the hub's own goes where the telephone system gave the call after it was made.

    That may have another name for the place where the hub put it, so only a queue that the tenant declares counts.
    """
    is_known = given.queue is None or given.queue in report.queues
    return offer.is_external and is_known and given.at >= offer.offered_at


def _caught_up(report: _Report) -> Change:
    """Let an offer that still waits be taken by whoever has had the call since, of which was told too late."""
    offer, course = _waiting(report.context, report.interaction_id), report.course
    if offer is None or course.held_last is None or course.held_at is None:
        return Change(report.context, [])
    first, transfer = _had_first(report, offer, course.held_last), _stood_for(report, offer)
    if first is not None:
        is_sure = report.said.call.attested.held_last == course.held_last
        return _taken_by_both(report, offer, first, course.held_last if is_sure else None)
    since = transfer.at if transfer else offer.waiting_since
    mine = [h for h in report.context.handoffs.values() if h.interaction_id == report.interaction_id]
    had = [handoff for handoff in mine if handoff.agent_id == course.held_last]
    if not report.said.knows_who_had_it and offer.to.agent not in (None, course.held_last):
        return Change(report.context, [])
    was_there_before = course.held_at < since - (timedelta(0) if had or transfer else SKEW)
    if was_there_before or (transfer is None and any(handoff.has_floor for handoff in had)):
        return Change(report.context, [])
    return _accepted(report.context, offer, course.held_last, report.now)


def _had_first(report: _Report, offer: Handoff, held_last: str) -> str | None:
    """Return to whom a call was offered, where he has held it since and another after him."""
    transfer = _stood_for(report, offer)
    agent_id, since = (transfer.agent_id, transfer.at) if transfer else (offer.to.agent, offer.waiting_since)
    # Whom the call was passed by has only his own word for it that he had it after all.
    course = report.course if offer.to.agent == agent_id else report.said.call.attested
    held = [leg for leg in course.legs if leg.agent_id == agent_id and leg.role == "holder" and leg.answered_at]
    was_here = any(leg.ended_at is not None and leg.ended_at > since for leg in held)
    return agent_id if was_here and agent_id != held_last else None


def _taken_by_both(report: _Report, offer: Handoff, first: str, after: str | None) -> Change:
    """Let an agent take what was offered to him, and then whoever held the call after, where that is sure."""
    taken = _accepted(report.context, offer, first, report.now)
    if after is None:
        return taken
    last = _taken(report._replace(context=taken.context), after)
    return Change(last.context, [*taken.events, *last.events])


def _missed(report: _Report) -> Change:
    """Let an offer be taken by whoever had the call for a moment only, between two reports that came the wrong way."""
    given, offer = report.course.given, _waiting(report.context, report.interaction_id)
    waits_there = given is not None and offer is not None and offer.to == _whither(given)
    if report.course.holder is not None or not report.interaction.is_open or waits_there:
        return Change(report.context, [])
    return _caught_up(report)


def _whither(given: Mark) -> Target | None:
    """Return where a transfer leads that waits for somebody; None where it does not say."""
    if given.queue is not None:
        return Target(queue=given.queue)
    if given.bot is not None:
        return Target(bot=given.bot)
    return Target(agent=given.agent_id) if given.agent_id is not None else None


def _over(report: _Report) -> Change:
    """End the interaction, and those of its legs, where nobody is left and no offer waits for the next to answer."""
    if not report.course.over:
        return Change(report.context, [])
    context, events = report.context, list[Event]()
    if not report.course.said and _waiting(context, report.interaction_id) is not None:
        return Change(context, events)
    for one in [report.interaction_id, *sorted(legs_of(context, report.interaction_id) & context.interactions.keys())]:
        if one not in context.moves:
            context, more = end(context, one, report.now, by="call")
            events += more
    return Change(context, events)


def _served(report: _Report) -> Change:
    """Let an agent wrap up who turns out to have held a call that is over already."""
    agent_id = report.course.held_last if report.said.trusted or report.said.knows_who_had_it else None
    mine = (h for h in report.context.handoffs.values() if h.interaction_id == report.interaction_id)
    if report.interaction.is_open or agent_id is None or any(handoff.agent_id == agent_id for handoff in mine):
        return Change(report.context, [])
    taken = _taken(report, agent_id)
    over = handoffs.interaction_over(taken.context, report.interaction_id, report.now)
    return Change(over.context, [*taken.events, *over.events])


def arrived(
    context: Context, handoff: Handoff, came: Interaction, agent_id: str, now: datetime, ids: HandoffIds
) -> Change:
    """Let the arrival of an agent's leg accept the handoff it came with, as a report that the agent has answered."""
    interaction = head(context, context.interaction(handoff.interaction_id))
    known = (interaction.call or NO_CALL).course.leg(agent_id)
    if known is not None and known.talks:
        return Change(context, [])
    mark = Mark(at=now, verb="answered", agent_id=agent_id, ref=own_ref(came))
    event = Event(
        event_id=f"{came.interaction_id}:answered", type="call.answered", at=now,
        interaction_id=interaction.interaction_id, channel=interaction.channel, assurance=interaction.level(now),
        data={"agent_id": agent_id} | ({"ref": mark.ref.model_dump()} if mark.ref else {}),
    )  # fmt: skip
    return _reported(context, interaction, event, mark, now, ids)
