"""Handoffs: an interaction on its way to another party or channel with its context."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, StrictBool, model_serializer, model_validator

from ctxhub.errors import (
    AlreadyOffered,
    AlreadyUsed,
    Forbidden,
    HeldByAnother,
    InteractionEnded,
    Invalid,
    Lapsed,
    StaleFence,
    WrongState,
)
from ctxhub.model.callback import AskedCallback, Callback, must_be_due, settled
from ctxhub.model.dialling import SPOKEN, Dial
from ctxhub.model.disclosure import sight_of, touchable
from ctxhub.model.elsewhere import Preference
from ctxhub.model.event import Change, Event
from ctxhub.model.hop import Hop, by, carried, landed, place
from ctxhub.model.interaction import Holder, Interaction, call_named, find, must_have_floor, with_floor
from ctxhub.model.journey import AGENT
from ctxhub.model.routing import Suggestion
from ctxhub.model.trace import Span
from ctxhub.model.value import Channel, CustomerId, ExternalId, Fence, Id, Instant, Level, Name, Text, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.tenant import Tenant

UNLESS_SAID = 300
#: So long, in seconds, a message waits for somebody to take it: over a weekend, and the longest holidays.
MESSAGE_WAITS = 30 * 86_400
CODE_IS_FRESH = timedelta(seconds=180)
#: How long after the customer has gone an agent may wrap up a call; saving the draft begins it anew.
WRAP_UP = timedelta(minutes=30)
#: So many names of other systems an offer tells.
MOST_NAMES = 10
Routing = Literal["hub", "external"]
Delivery = Literal["signal", "message"]
OfferKind = Literal["live", "callback", "message"]
HandoffState = Literal[
    "offered", "accepted", "completed", "returned", "transferred", "declined", "expired", "cancelled", "left"
]
_AS_SAID = {"interaction_id", "reason", "mode", "kind", "priority", "delivery", "note", "say"}
FINAL: frozenset[str] = frozenset({"completed", "returned", "transferred", "declined", "expired", "cancelled", "left"})


class Target(Value):
    """Where a handoff goes: exactly one of these."""

    queue: Name | None = None
    agent: Id | None = None
    bot: Id | None = None
    channel: Channel | None = None
    previous: Literal[True] | None = None
    owner_of: Id | None = None

    @property
    def kind(self) -> str:
        """Which way it names."""
        return next(name for name, value in self if value is not None)

    @property
    def place(self) -> str | None:
        """Whose list it is to stand in: a queue's or an agent's own; None where it is neither."""
        return f"queue:{self.queue}" if self.queue else f"agent:{self.agent}" if self.agent else None

    @model_serializer(mode="wrap")
    def _only_what_is_named(self, shown: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Show the one way that is named."""
        return {name: value for name, value in shown(self).items() if value is not None}

    @model_validator(mode="after")
    def _one_way(self) -> Target:
        """Refuse a target that names none or several."""
        named = [name for name, value in self if value is not None]
        if len(named) != 1:
            raise ValueError("name exactly one of queue, agent, bot, channel, previous, owner_of")
        return self


class OfferRequest(Value):
    """What an offer says."""

    customer_id: CustomerId
    interaction_id: Id
    journey_id: Id | None = None
    reason: Name
    to: Target
    mode: Literal["cold", "warm", "consult"] = "cold"
    kind: OfferKind = "live"
    callback: AskedCallback | None = None
    skills: list[Name] = Field([], max_length=32)
    priority: Annotated[int, Field(ge=0, le=100, strict=True)] = 0
    expires_in: Annotated[int, Field(gt=0, le=86_400, strict=True)] | None = None
    fallback: Target | None = None
    delivery: Literal["signal", "message"] = "signal"
    note: Text | None = None
    say: Text | None = None
    fence: Fence | None = None
    announce: StrictBool = False

    @model_validator(mode="after")
    def _calls_somebody_back(self) -> OfferRequest:
        """Refuse a window for what is no callback, and one that its queue could not keep."""
        calls = self.kind == "callback" or self.callback is not None
        if calls and (self.kind != "callback" or self.to.kind != "queue" or self.fallback):
            raise ValueError("`callback` goes with `kind: callback`, to a queue, and without a fallback")
        return self

    @property
    def asks_for(self) -> AskedCallback | None:
        """What a callback asks for; one that says nothing of it is made by the terms of its queue."""
        return self.callback or AskedCallback() if self.kind == "callback" else None


class Redeemed(Value):
    """Who came with the token."""

    system: Id
    external_id: ExternalId
    interaction_id: Id


class Draft(Value):
    """What an agent has written for the end of the work, and not sent yet."""

    text: Annotated[str, Field(max_length=8000)] = ""
    disposition: Name | None = None
    outcome: Name | None = None


class Handoff(Value):
    """An interaction on its way to somebody who can finish it.

    One that is routed `external`ly has no deadline and no lease: it lives as long as its call. `say` is what a bot that
    takes it tells the customer first. After the customer has gone an agent wraps up, from `wrap_up_since` on.

    A link beside a waiting one names that in `place_of`: whoever comes by it takes its place. `went_on_as` names the
    handoff that has taken the place of this one. `span` is that of its offer, where spans are made. `put_at` is where
    the hub offered it, if the telephone system has given the call on from there before anybody answered.
    """

    handoff_id: Id
    state: HandoffState = "offered"
    interaction_id: Id
    journey_id: Id | None = None
    reason: Name
    to: Target
    mode: Literal["cold", "warm", "consult"] = "cold"
    kind: OfferKind = "live"
    callback: Callback | None = None
    skills: tuple[Name, ...] = ()
    priority: int = 0
    delivery: Literal["signal", "message"] = "signal"
    note: Text | None = None
    say: Text | None = None
    routing: Routing = "hub"
    fallback_routing: Routing = "hub"
    parent_id: Id | None = None
    ends_parent: Literal["transferred", "returned"] | None = None
    root_id: Id
    step: Name | None = None
    offered_by: Holder
    offered_level: Level = 0
    offered_at: Instant
    waiting_since: Instant
    expires_at: Instant | None
    expires_in: int = 300
    fallback: Target | None = None
    bound: tuple[str, ...] = ()
    agent_id: Id | None = None
    fence: int | None = None
    accepted_at: Instant | None = None
    lease_ends: Instant | None = None
    lapses: int = 0
    redeemed: Redeemed | None = None
    joined: tuple[Redeemed, ...] = ()
    declined_by: tuple[Id, ...] = ()
    receipt_at: Instant | None = None
    wrap_up_since: Instant | None = None
    draft: Draft | None = None
    disposition: Name | None = None
    position: int | None = None
    expected_wait: int | None = None
    outcome: Name | None = None
    final_at: Instant | None = None
    place_of: Id | None = None
    went_on_as: Id | None = None
    put_at: Target | None = None
    suggested: Suggestion | None = None
    span: Span | None = None

    @property
    def is_external(self) -> bool:
        """Tell whether another system routes it."""
        return self.routing == "external"

    def is_over(self, now: datetime) -> bool:
        """Tell whether its deadline has passed; what another system routes has none."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def has_floor(self) -> bool:
        """Tell whether its holder has the floor of its interaction: whom one only consults does not."""
        return self.state == "accepted" and self.redeemed is None and self.mode != "consult"

    @property
    def is_final(self) -> bool:
        """Tell whether it has ended for good."""
        return self.state in FINAL

    @property
    def called(self) -> str | None:
        """Return the interaction in which a callback reached the customer, if it did."""
        return self.callback.reached_in if self.callback else None

    @property
    def waits_in(self) -> str | None:
        """Return the list where it waits: a queue's or an agent's own, or None."""
        if self.state != "offered" or (self.callback is not None and self.callback.phase != "due"):
            return None
        return self.to.place

    def rings(self, now: datetime) -> Suggestion | None:
        """Return the suggestion that stands at an instant: not over, not declined, and not of a queue before."""
        ringing = self.suggested
        if self.state != "offered" or ringing is None or ringing.agent_id is None:
            return None
        is_old = (ringing.queue, ringing.lapses) != (self.to.queue, self.lapses)
        return None if is_old or now >= ringing.until or ringing.agent_id in self.declined_by else ringing


class HandoffView(Value):
    """A handoff as shown; token, code, uui and link stand only in the answer to whoever offered it.

    `position` and `expected_wait` are what its router told, else null; the `draft` is for whoever wrote it.
    `prefers` names the agent who has the customer in another channel already.
    """

    handoff_id: Id
    state: HandoffState
    customer_id: CustomerId
    interaction_id: Id
    journey_id: Id | None = None
    channel: Channel | None = None
    reason: Name
    to: Target
    mode: str
    kind: str
    callback: Callback | None = None
    skills: tuple[Name, ...] = ()
    priority: int = 0
    delivery: str = "signal"
    note: Text | None = None
    step: Name | None = None
    parent_id: Id | None = None
    root_id: Id
    offered_by: Holder
    agent_id: Id | None = None
    fence: int | None = None
    lease_ends: Instant | None = None
    waiting_since: Instant
    offered_at: Instant
    expires_at: Instant | None = None
    routing: Routing = "hub"
    position: int | None = None
    expected_wait: int | None = None
    say: Text | None = None
    wrap_up_since: Instant | None = None
    draft: Draft | None = None
    disposition: Name | None = None
    fallback: Target | None = None
    outcome: Name | None = None
    receipt_at: Instant | None = None
    final_at: Instant | None = None
    suggested: Suggestion | None = None
    version: int | None = None
    token: str | None = None
    code: str | None = None
    uui: str | None = None
    link: str | None = None
    dial: Dial | None = None
    place_of: Id | None = None
    place_kept: bool | None = None
    went_on_as: Id | None = None
    prefers: Preference | None = None


def view(handoff: Handoff, customer_id: str, channel: str | None, version: int | None = None) -> HandoffView:
    """Show a handoff without its secrets."""
    names = (HandoffView.model_fields.keys() & Handoff.model_fields.keys()) - {"draft"}
    shown: dict[str, Any] = {name: getattr(handoff, name) for name in names}
    return HandoffView.model_construct(**shown, customer_id=customer_id, channel=channel, version=version)


def without_notes(shown: HandoffView, channels: frozenset[str] = frozenset()) -> HandoffView:
    """Return a handoff as channels (empty: any) see it: with notes for whoever takes it there, without colleagues'."""
    place = shown.to.channel or (shown.channel if shown.to.bot else None)
    if place is not None and (not channels or place in channels):
        return shown
    return shown.but(note=None, suggested=None)


def by_code(handoff: Handoff, code_level: int, now: datetime) -> Handoff:
    """Return a handoff as it carries by its code: as by a message, unless the tenant lets a fresh code carry more."""
    fresh = handoff.offered_level >= 2 and now - handoff.offered_at <= CODE_IS_FRESH
    if code_level < 2 or not fresh:
        return handoff.but(delivery="message")
    return handoff.but(offered_level=min(handoff.offered_level, code_level))


def with_codes(context: Context) -> list[Handoff]:
    """Return the handoffs whose codes are good: not those of an interaction that a warning of fraud concerns."""
    return [handoff for handoff in context.handoffs.values() if not is_suspect(context, handoff)]


def is_suspect(context: Context, handoff: Handoff) -> bool:
    """Tell whether a warning of fraud concerns the interaction that is handed over."""
    interaction = context.interactions.get(handoff.interaction_id)
    return interaction is not None and interaction.is_suspect


def offer(
    context: Context, request: OfferRequest, handoff_id: str, now: datetime, grace: timedelta, bound: tuple[str, ...],
    tenant: Tenant | None = None,
) -> Change:  # fmt: skip
    """Offer an interaction to somebody else; a bot that is named takes it at once, others must accept."""
    interaction = find(context, request.interaction_id)
    _refuse_offer(context, interaction, request.fence, request.kind)
    if request.journey_id is not None:
        touchable(context, sight_of(interaction, now), request.journey_id)
    to = _to(context, request, interaction)
    fallback = request.fallback or _deputy(context, request.to, to, tenant)
    parent = context.held_handoff(interaction.interaction_id)
    before = parent or context.handoffs.get(interaction.handoff_id or "")
    left = _left_lately(context, request.to, now, grace)
    lasts = request.expires_in or (MESSAGE_WAITS if request.kind == "message" else UNLESS_SAID)
    handoff = Handoff(
        handoff_id=handoff_id,
        journey_id=request.journey_id or interaction.journey_id,
        to=to,
        skills=tuple(request.skills),
        parent_id=before.handoff_id if before else None,
        ends_parent="transferred" if parent and request.to.channel is None and request.mode != "consult" else None,
        root_id=before.root_id if before else handoff_id,
        offered_by=interaction.holder,
        offered_level=interaction.level(now),
        offered_at=now,
        waiting_since=left.waiting_since if left else now,
        expires_at=now + timedelta(seconds=lasts),
        expires_in=lasts,
        bound=() if interaction.is_suspect else bound,
        **request.model_dump(include=_AS_SAID),
        fallback=fallback,
    )
    return _placed(context, routed(context, handoff, interaction, tenant), interaction, now)


def routed(context: Context, handoff: Handoff, interaction: Interaction, tenant: Tenant | None) -> Handoff:
    """Return an offer with who routes it, and who would its fallback; one that another system routes has no end."""
    if handoff.kind != "live" or tenant is None:
        return handoff
    by = _routing(context, handoff.to, interaction, tenant)
    then = _routing(context, handoff.fallback, interaction, tenant) if handoff.fallback else "hub"
    ends = None if by == "external" else handoff.expires_at
    return handoff.but(routing=by, fallback_routing=then, expires_at=ends)


def _routing(context: Context, to: Target, interaction: Interaction, tenant: Tenant) -> Routing:
    """Return who routes what is offered to a queue, or to an agent: of a call that another system has, that one."""
    if to.queue is not None:
        return tenant.routing(to.queue, interaction.channel)
    if to.agent is None:
        return "hub"
    before = context.held_handoff(interaction.interaction_id)
    on_the_line = interaction.call is not None or (before is not None and before.is_external)
    return "external" if on_the_line else "hub"


def _deputy(context: Context, wanted: Target, to: Target, tenant: Tenant | None) -> Target | None:
    """Return who stands in for a journey's owner: the agent's deputy, else the queue where the agent took it."""
    if tenant is None or wanted.owner_of is None or to.agent is None:
        return None
    deputy = tenant.deputies.get(to.agent)
    if deputy is not None:
        return Target(agent=deputy)
    taken = [h for h in context.handoffs.values() if h.journey_id == wanted.owner_of and h.to.queue]
    return Target(queue=taken[-1].to.queue) if taken else None


def _refuse_offer(context: Context, interaction: Interaction, fence: int | None, kind: OfferKind = "live") -> None:
    """Refuse an offer that the interaction's state does not allow."""
    if not interaction.is_open:
        raise InteractionEnded(
            f"interaction {interaction.interaction_id} has ended", interaction_id=interaction.interaction_id
        )
    waiting = _in_the_way(context, interaction.interaction_id, kind)
    if waiting is not None:
        raise AlreadyOffered(
            f"handoff {waiting.handoff_id} is still on offer", handoff_id=waiting.handoff_id, state=waiting.state
        )
    if fence is not None and fence != interaction.fence:
        raise StaleFence(f"the floor has moved on from fence {fence}", fence=interaction.fence)


def _in_the_way(context: Context, interaction_id: str, kind: OfferKind) -> Handoff | None:
    """Return the open offer beside which there can't be another; what needs no customer there may stand beside one."""
    if kind == "live":
        return context.open_offer(interaction_id)
    mine = (h for h in context.handoffs.values() if h.interaction_id == interaction_id and h.state == "offered")
    return next((h for h in mine if h.kind == "message"), None) if kind == "message" else None


def _left_lately(context: Context, to: Target, now: datetime, grace: timedelta) -> Handoff | None:
    """Return the handoff to the same place, if only at first, that the customer left within the grace time."""
    gone = [h for h in context.handoffs.values() if h.state == "left" and h.went_on_as is None]
    left = [h for h in gone if to in (h.to, h.put_at) and h.final_at]
    return next((h for h in reversed(left) if h.final_at and now - h.final_at <= grace), None)


def _to(context: Context, request: OfferRequest, interaction: Interaction) -> Target:
    """Return where an offer goes; where it means nobody, to its fallback."""
    named = _named(context, request.to, interaction) or _named(context, request.fallback, interaction)
    if named is None:
        raise WrongState("there is nobody before and no fallback", interaction_id=interaction.interaction_id)
    return named


def _named(context: Context, to: Target | None, interaction: Interaction) -> Target | None:
    """Name the agent or queue that `previous` or `owner_of` means; None where they mean nobody."""
    if to is None or (to.owner_of is None and to.previous is None):
        return to
    if to.owner_of is not None:
        return _owner(context, to.owner_of)
    agent = _previous(context, interaction)
    return Target(agent=agent) if agent is not None else None


def _owner(context: Context, journey_id: str) -> Target | None:
    """Return the queue or the agent responsible for a journey."""
    journey = context.journeys.get(journey_id)
    if journey is None or journey.owner is None:
        return None
    return Target(queue=journey.queue) if journey.queue else Target(agent=journey.owner.removeprefix(AGENT))


def _previous(context: Context, interaction: Interaction) -> str | None:
    """Return the agent who had the interaction, or one that led to it, before; rather one who did not give it back."""
    family = {interaction.interaction_id, *interaction.lineage}
    here = [h for h in context.handoffs.values() if h.interaction_id in family and h.agent_id and h.is_final]
    had = [handoff for handoff in here if handoff.mode != "consult" and handoff.agent_id != interaction.holder.id]
    last = max(had, key=lambda h: (h.state != "returned", h.accepted_at or h.offered_at), default=None)
    return last.agent_id if last else None


def taken(context: Context, handoff: Handoff, holder: Holder, now: datetime) -> Change:
    """Let a handoff be taken by whoever the telephone system says has taken it."""
    return _take(context, handoff, holder, now, None)


def offered(context: Context, handoff: Handoff, interaction: Interaction, now: datetime) -> Change:
    """Put an offer in its place that the telephone system has made."""
    return _placed(context, handoff, interaction, now)


def done(context: Context, handoff: Handoff, now: datetime) -> Change:
    """Bring a consultation to its end."""
    return _finished(context, handoff, "completed", now)


def _placed(context: Context, handoff: Handoff, interaction: Interaction, now: datetime) -> Change:
    """Put a new offer in its place; a bot takes it at once."""
    data = handoff.model_dump(
        mode="json", exclude_defaults=True, exclude={"interaction_id", "offered_by", "bound", "offered_level"}
    )
    event = _event(handoff, interaction, "offered", "offered", now, **data, **_names(interaction))
    offered = Change(context.with_handoff(handoff), [event])
    if handoff.to.bot is None:
        return offered
    taken = _take(offered.context, handoff, Holder(party="bot", id=handoff.to.bot), now, None)
    return Change(taken.context, offered.events + taken.events)


def _names(interaction: Interaction) -> dict[str, Any]:
    """Return by which names other systems know what is on offer, so that a router knows its call; the first of many."""
    own = call_named(interaction.system, interaction.external_id) if interaction.channel in SPOKEN else None
    refs = list(dict.fromkeys([*([own] if own else []), *interaction.refs]))[:MOST_NAMES]
    return {"refs": [ref.model_dump(mode="json") for ref in refs]} if refs else {}


def _event(handoff: Handoff, interaction: Interaction, verb: str, mark: str, at: datetime, **data: Any) -> Event:
    """Return the event that tells what became of a handoff; its id is derived, so that it happens once."""
    return Event(
        event_id=f"{handoff.handoff_id}:{mark}",
        type=f"handoff.{verb}",
        at=at,
        interaction_id=handoff.interaction_id,
        journey_id=handoff.journey_id,
        channel=interaction.channel,
        assurance=interaction.level(at),
        data={"handoff_id": handoff.handoff_id, "queue": handoff.to.queue, "offered_to": handoff.to.kind}
        | ({"lapses": handoff.lapses} if handoff.lapses else {})
        | data,
    )


def _take(context: Context, handoff: Handoff, holder: Holder, now: datetime, lease: timedelta | None) -> Change:
    """Move the floor to whoever takes a handoff; the handoff of whoever had it ends."""
    interaction = context.interaction(handoff.interaction_id)
    if handoff.mode == "consult":
        return _let_in(context, handoff, interaction, holder, now)
    before = context.held_handoff(handoff.interaction_id)
    went = place_elsewhere(context, handoff.interaction_id) if holder.party == "agent" else None
    handoff = handoff.but(waiting_since=min(handoff.waiting_since, went.waiting_since)) if went else handoff
    context, arrival = _moved_on(context, interaction, holder, now)
    interaction = context.interaction(handoff.interaction_id)
    taken = handoff.but(
        state="accepted",
        agent_id=holder.id if holder.party == "agent" else None,
        fence=interaction.fence,
        accepted_at=now,
        lease_ends=now + lease if lease and not handoff.is_external else None,
    )
    who = _who(handoff, holder)
    waited = round((now - handoff.waiting_since).total_seconds(), 3)
    mark = f"accepted:{interaction.fence}"
    event = _event(taken, interaction, "accepted", mark, now, fence=interaction.fence, waited=waited, **who, **arrival)
    here = _waits_no_more(context.with_handoff(taken), went, taken, interaction, now)
    if before is None:
        return Change(here.context, [event, *here.events])
    ended = _given_on(here.context, before, handoff, handoff.ends_parent or "transferred", now)
    return Change(ended.context, [event, *here.events, *ended.events])


def place_elsewhere(context: Context, interaction_id: str) -> Handoff | None:
    """Return the handoff by which the customer of an interaction waits on in another one, if there is one."""
    for went in [h for h in context.handoffs.values() if h.interaction_id == interaction_id and h.went_on_as]:
        place: Handoff | None = went
        while place is not None and place.went_on_as is not None:
            place = context.handoffs.get(place.went_on_as)
        if place is not None and place.state == "offered" and place.interaction_id != interaction_id:
            return place
    return None


def _waits_no_more(
    context: Context, place: Handoff | None, taken: Handoff, interaction: Interaction, now: datetime
) -> Change:
    """Let whoever is answered in the interaction that she had left wait no more in the other: it is one place."""
    if place is None:
        return Change(context, [])
    told = {"went_on_as": taken.handoff_id, "to_channel": interaction.channel}
    return _finished(context, place.but(went_on_as=taken.handoff_id), "left", now, **told)


def _who(handoff: Handoff, holder: Holder) -> dict[str, Any]:
    """Return what an acceptance tells of who takes over: an agent, or a bot with where it goes on and what it says."""
    if holder.party == "agent":
        return {"agent_id": holder.id}
    goes_on = {"step": handoff.step, "say": handoff.say}
    return {"bot": holder.id} | {name: value for name, value in goes_on.items() if value is not None}


def _let_in(context: Context, handoff: Handoff, interaction: Interaction, holder: Holder, now: datetime) -> Change:
    """Let whoever is consulted read along; the floor stays where it is."""
    taken = handoff.but(
        state="accepted", agent_id=holder.id if holder.party == "agent" else None, fence=interaction.fence,
        accepted_at=now, lease_ends=None if handoff.is_external else now + WRAP_UP,
    )  # fmt: skip
    who = _who(handoff, holder)
    waited = round((now - handoff.waiting_since).total_seconds(), 3)
    event = _event(taken, interaction, "accepted", "accepted", now, fence=interaction.fence, waited=waited, **who)
    return Change(context.with_handoff(taken), [event])


def _moved_on(
    context: Context, interaction: Interaction, holder: Holder, now: datetime
) -> tuple[Context, dict[str, Any]]:
    """Give the floor to whoever takes a handoff, by a hop; return also what its event tells of what came along."""
    had = carried(context, sight_of(interaction, now, internal=interaction.holder.party == "agent"), now)
    before = interaction.holder.party
    context, interaction = with_floor(context, interaction, holder)
    hop = Hop(
        came_from=place(interaction.channel, before), to=place(interaction.channel, holder.party),
        by=by(before, holder.party), at=now,
    )  # fmt: skip
    return landed(context, interaction, hop, now, had)


def _given_on(context: Context, handoff: Handoff, to: Handoff, state: HandoffState, now: datetime) -> Change:
    """End a handoff whose interaction goes on by another one: to a bot, or to a human."""
    party = "bot" if to.to.bot is not None else "agent"
    return _finished(context, handoff, state, now, by=to.handoff_id, to_party=party)


def accept(context: Context, handoff_id: str, agent_id: str, now: datetime, lease: timedelta) -> Change:
    """Give a handoff to one agent, and the floor with it; the same agent again changes nothing."""
    handoff = _at_rest(context, handoff_id)
    if handoff.state == "accepted" and handoff.agent_id == agent_id:
        return Change(context, [])
    if handoff.state == "accepted":
        raise HeldByAnother(
            f"handoff {handoff_id} is held by {handoff.agent_id or 'a bot'}",
            handoff_id=handoff_id, state=handoff.state, held_by=handoff.agent_id, until=handoff.lease_ends,
        )  # fmt: skip
    _must_be_offered(handoff)
    must_be_due(handoff)
    if handoff.to.channel is not None:
        raise WrongState(f"handoff {handoff_id} goes to a channel: it is redeemed", **_state(handoff))
    if handoff.to.agent not in (None, agent_id):
        raise Forbidden(f"handoff {handoff_id} is offered to {handoff.to.agent}", handoff_id=handoff_id)
    _must_not_ring_elsewhere(handoff, agent_id, now)
    return _take(context, handoff, Holder(party="agent", id=agent_id), now, lease)


def _must_not_ring_elsewhere(handoff: Handoff, agent_id: str, now: datetime) -> None:
    """Refuse whoever reaches for what is suggested to somebody else alone, as long as it rings there."""
    ringing = handoff.rings(now)
    if ringing is not None and ringing.exclusive and ringing.agent_id != agent_id:
        raise WrongState(
            f"handoff {handoff.handoff_id} is suggested to {ringing.agent_id} alone until {ringing.until.isoformat()}",
            **_state(handoff), suggested_to=ringing.agent_id, until=ringing.until,
        )  # fmt: skip


def _at_rest(context: Context, handoff_id: str) -> Handoff:
    """Return a handoff; refused while its interaction is moving to another customer."""
    handoff = context.handoff(handoff_id)
    if handoff.interaction_id in context.moves:
        find(context, handoff.interaction_id)
    return handoff


def _state(handoff: Handoff) -> dict[str, Any]:
    """Return what a refusal tells of the present state."""
    return {"handoff_id": handoff.handoff_id, "state": handoff.state, "held_by": handoff.agent_id}


def _must_be_offered(handoff: Handoff) -> None:
    """Refuse what only an open offer allows."""
    if handoff.state != "offered":
        raise WrongState(f"handoff {handoff.handoff_id} is {handoff.state}, not on offer", **_state(handoff))


def _must_be_held(handoff: Handoff, agent_id: str, fence: int | None) -> None:
    """Refuse what only the holder may do, with the fence that was given out."""
    if handoff.state != "accepted":
        raise WrongState(f"handoff {handoff.handoff_id} is {handoff.state}, not accepted", **_state(handoff))
    if handoff.agent_id != agent_id:
        raise HeldByAnother(
            f"handoff {handoff.handoff_id} is held by {handoff.agent_id or 'a bot'}",
            **_state(handoff), until=handoff.lease_ends,
        )  # fmt: skip
    if fence is not None and fence != handoff.fence:
        raise StaleFence(f"fence {fence} is stale", **_state(handoff), fence=handoff.fence)


def decline(context: Context, handoff_id: str, agent_id: str, reason: str, now: datetime) -> Change:
    """Note that an agent passes: a queue goes on offering, an offer to the agent goes to its fallback or ends."""
    handoff = _at_rest(context, handoff_id)
    _must_be_offered(handoff)
    interaction = context.interaction(handoff.interaction_id)
    passed = handoff.but(declined_by=(*handoff.declined_by, agent_id))
    mark = f"declined:{len(passed.declined_by)}"
    told = {"agent_id": agent_id, "reason": reason}
    if handoff.to.agent is None:
        event = _event(passed, interaction, "declined", mark, now, state="offered", **told)
        return Change(context.with_handoff(passed), [event])
    if handoff.to.agent != agent_id:
        raise Forbidden(f"handoff {handoff_id} is offered to {handoff.to.agent}", handoff_id=handoff_id)
    fallback = _fallback(context, handoff, interaction)
    if fallback is not None:
        event = _event(passed, interaction, "declined", mark, now, state="offered", **told)
        rerouted = _rerouted(context, passed, fallback, interaction, now)
        return Change(rerouted.context, [event, *rerouted.events])
    return _finished(context, passed, "declined", now, **told)


def _fallback(context: Context, handoff: Handoff, interaction: Interaction) -> Target | None:
    """Return where a handoff goes next; None where nobody is meant, or the customer of a live one has gone."""
    to = _named(context, handoff.fallback, interaction)
    needs_customer = handoff.kind == "live" or (to is not None and to.bot is not None)
    return None if needs_customer and not interaction.is_open else to


def _rerouted(context: Context, handoff: Handoff, fallback: Target, interaction: Interaction, now: datetime) -> Change:
    """Offer the same handoff to its fallback, once, with a new deadline."""
    deadline = None if handoff.fallback_routing == "external" else now + timedelta(seconds=handoff.expires_in)
    rerouted = handoff.but(fallback=None, expires_at=deadline, routing=handoff.fallback_routing)
    return _offered_on(context, rerouted, fallback, interaction, "rerouted", now)


def passed_on(context: Context, handoff: Handoff, to: Target, mark: str, now: datetime) -> Change:
    """Offer the same handoff where a call was given next before anybody answered it: the place goes along."""
    ends = "returned" if to.bot is not None and handoff.ends_parent else handoff.ends_parent
    external = handoff.but(fallback=None, expires_at=None, routing="external", ends_parent=ends)
    interaction = context.interaction(handoff.interaction_id)
    return _offered_on(context, external, to, interaction, f"rerouted:{mark}", now)


def _offered_on(
    context: Context, handoff: Handoff, target: Target, interaction: Interaction, mark: str, now: datetime
) -> Change:
    """Offer the same handoff to somebody else; a bot takes it at once. Where it stands there nobody has told yet."""
    rerouted = handoff.but(to=target, position=None, expected_wait=None)
    to = rerouted.to.model_dump(exclude_none=True)
    event = _event(rerouted, interaction, "rerouted", mark, now, to=to, from_queue=handoff.to.queue,
                   from_kind=handoff.to.kind, **_names(interaction))  # fmt: skip
    context = context.with_handoff(rerouted)
    if rerouted.to.bot is None:
        return Change(context, [event])
    taken = _take(context, rerouted, Holder(party="bot", id=rerouted.to.bot), now, None)
    return Change(taken.context, [event, *taken.events])


def _finished(context: Context, handoff: Handoff, state: HandoffState, now: datetime, **told: Any) -> Change:
    """Bring a handoff to its one final state."""
    interaction = context.interaction(handoff.interaction_id)
    wordless = {"note": None, "say": None, "outcome": None} if interaction.unkept else {}
    final = handoff.but(state=state, final_at=now, draft=None, **wordless)
    event = _event(final, interaction, state, state, now, **_handled(final, now) | told)
    promise = settled(context.with_handoff(final), final, interaction, now)
    return Change(promise.context, [event, *promise.events])


def settle(context: Context, handoff: Handoff, state: HandoffState, now: datetime, **told: Any) -> Change:
    """Bring a callback to its one final state."""
    return _finished(context, handoff, state, now, **told)


def _handled(handoff: Handoff, now: datetime) -> dict[str, Any]:
    """Return what the end of an agent's work tells: whose it was, and how many seconds it took."""
    if handoff.agent_id is None or handoff.accepted_at is None:
        return {}
    return {"agent_id": handoff.agent_id, "handled": round((now - handoff.accepted_at).total_seconds(), 3)}


def cancel(context: Context, handoff_id: str, now: datetime) -> Change:
    """Take back an open offer; taking it back again changes nothing."""
    handoff = _at_rest(context, handoff_id)
    if handoff.state == "cancelled":
        return Change(context, [])
    _must_be_offered(handoff)
    return _finished(context, handoff, "cancelled", now)


def complete(
    context: Context, handoff_id: str, agent_id: str, fence: int, outcome: str | None, now: datetime,
    disposition: str | None = None, allowed: Sequence[str] = (),
) -> Change:  # fmt: skip
    """Finish the work on a handoff; the floor goes back to the bot where the interaction goes on."""
    handoff = _at_rest(context, handoff_id)
    if handoff.state == "completed" and handoff.agent_id == agent_id and handoff.fence == fence:
        return Change(context, [])
    _must_be_held(handoff, agent_id, fence)
    must_be_allowed(disposition, allowed)
    told: dict[str, Any] = {"agent_id": agent_id, "outcome": outcome}
    if disposition is not None:
        told["disposition"] = disposition
    if handoff.wrap_up_since is not None:
        told["wrap_up"] = round((now - handoff.wrap_up_since).total_seconds(), 3)
    done = _finished(context, handoff.but(outcome=outcome, disposition=disposition), "completed", now, **told)
    return Change(_floor_to_bot(done.context, handoff), done.events)


def must_be_allowed(disposition: str | None, allowed: Sequence[str], pointer: str = "/disposition") -> None:
    """Refuse a disposition that the queue does not have; one that declares none takes any."""
    if disposition is not None and allowed and disposition not in allowed:
        raise Invalid.field(pointer, f"{disposition!r} is none of this queue's: {', '.join(allowed)}")


def queue_behind(context: Context, handoff: Handoff) -> str | None:
    """Return the queue that a handoff was offered to, or the one before it in the chain."""
    before: Handoff | None = handoff
    while before is not None and before.to.queue is None:
        before = context.handoffs.get(before.parent_id or "")
    return before.to.queue if before is not None else None


def drafted(context: Context, handoff_id: str, agent_id: str, fence: int, draft: Draft, now: datetime) -> Change:
    """Keep what an agent has written so far; while wrapping up that begins the time for it anew."""
    handoff = _at_rest(context, handoff_id)
    _must_be_held(handoff, agent_id, fence)
    ends = now + WRAP_UP if handoff.wrap_up_since is not None else handoff.lease_ends
    kept = handoff.but(draft=draft, lease_ends=max(filter(None, (ends, handoff.lease_ends)), default=None))
    return Change(context if kept == handoff else context.with_handoff(kept), [])


def placed(context: Context, handoff: Handoff, position: int | None, expected_wait: int | None) -> Context:
    """Note where an offer stands in its queue, as its router told."""
    if (handoff.position, handoff.expected_wait) == (position, expected_wait):
        return context
    return context.with_handoff(handoff.but(position=position, expected_wait=expected_wait))


def _floor_to_bot(context: Context, handoff: Handoff) -> Context:
    """Give the floor of an interaction that goes on back to its bot, unless somebody else has it by now."""
    interaction = context.interaction(handoff.interaction_id)
    if not interaction.is_open or handoff.mode == "consult" or _spoken_for(interaction, handoff):
        return context
    before = handoff.offered_by
    return with_floor(context, interaction, before if before.party == "bot" else Holder(party="bot"))[0]


def _spoken_for(interaction: Interaction, handoff: Handoff) -> bool:
    """Tell whether another agent has the floor."""
    return interaction.holder.party == "agent" and interaction.holder.id != handoff.agent_id


def give_back(
    context: Context,
    handoff_id: str,
    agent_id: str,
    fence: int,
    back: Handoff,
    now: datetime,
) -> Change:
    """Return an interaction by a handoff of its own, `back`, whose acceptance ends this one as returned."""
    handoff = _at_rest(context, handoff_id)
    _must_be_held(handoff, agent_id, fence)
    interaction = context.interaction(handoff.interaction_id)
    must_have_floor(interaction, agent_id)
    _refuse_offer(context, interaction, None)
    return _placed(at_step(context, back.journey_id, back.step, now), back, interaction, now)


def at_step(context: Context, journey_id: str | None, step: str | None, now: datetime) -> Context:
    """Return the context with a journey at the step where it is to go on."""
    journey = context.journeys.get(journey_id or "")
    if step is None or journey is None:
        return context
    return context.with_journey(journey.but(step=step, state="active", rested_at=None, step_ends=None, updated_at=now))


def return_of(
    context: Context,
    handoff_id: str,
    child_id: str,
    to: Target | None,
    step: str | None,
    note: str | None,
    now: datetime,
    say: str | None = None,
    tenant: Tenant | None = None,
) -> Handoff:
    """Return the offer by which an interaction goes back: to whoever had it before, unless said otherwise."""
    handoff = context.handoff(handoff_id)
    interaction = context.interaction(handoff.interaction_id)
    back = Handoff(
        handoff_id=child_id,
        interaction_id=handoff.interaction_id,
        journey_id=handoff.journey_id or interaction.journey_id,
        reason="returned",
        to=_named(context, to, interaction) or _whence(handoff),
        note=note,
        say=say,
        step=step,
        parent_id=handoff_id,
        ends_parent="returned",
        root_id=handoff.root_id,
        offered_by=interaction.holder,
        offered_level=interaction.level(now),
        offered_at=now,
        waiting_since=now,
        expires_at=now + timedelta(seconds=handoff.expires_in),
        expires_in=handoff.expires_in,
    )
    return routed(context, back, interaction, tenant)


def _whence(handoff: Handoff) -> Target:
    """Name whoever had the floor when a handoff was offered."""
    before = handoff.offered_by
    return Target(agent=before.id) if before.party == "agent" and before.id else Target(bot=before.id or "bot")


def renew(context: Context, handoff_id: str, agent_id: str, fence: int, now: datetime, lease: timedelta) -> Change:
    """Hold a handoff for another lease; renewing it again at the same instant, or one without, changes nothing."""
    handoff = _at_rest(context, handoff_id)
    _must_be_held(handoff, agent_id, fence)
    if handoff.lease_ends is None or handoff.lease_ends >= now + lease:
        return Change(context, [])
    renewed = handoff.but(lease_ends=now + lease)
    interaction = context.interaction(handoff.interaction_id)
    mark = f"renewed:{now.timestamp():.3f}"
    event = _event(renewed, interaction, "renewed", mark, now, agent_id=agent_id, lease_ends=(now + lease).isoformat())
    return Change(context.with_handoff(renewed), [event])


def shown(context: Context, handoff_id: str, agent_id: str, now: datetime) -> Change:
    """Note that the receiver was shown the context; the first time counts."""
    handoff = _at_rest(context, handoff_id)
    if handoff.receipt_at is not None:
        return Change(context, [])
    _must_be_held(handoff, agent_id, None)
    interaction = context.interaction(handoff.interaction_id)
    after = round((now - (handoff.accepted_at or now)).total_seconds(), 3)
    event = _event(handoff, interaction, "shown", "shown", now, agent_id=agent_id, after=after)
    return Change(context.with_handoff(handoff.but(receipt_at=now)), [event])


def redeemable(handoff: Handoff, system: str, external_id: str, goes_on: bool = False) -> bool:
    """Tell whether this is the same redeemer again; a token used, lapsed or taken back is refused.

    While its call `goes_on` every leg of it may come with the token, whatever became of the handoff.
    """
    if goes_on:
        return False
    came = handoff.redeemed
    if came is not None and (came.system, came.external_id) == (system, external_id):
        return True
    if came is not None:
        raise AlreadyUsed(f"handoff {handoff.handoff_id} was redeemed by another", handoff_id=handoff.handoff_id)
    if handoff.is_final:
        raise Lapsed(f"handoff {handoff.handoff_id} is {handoff.state}", **_state(handoff))
    return False


def redeem(context: Context, handoff_id: str, arrived: Interaction, now: datetime) -> Change:
    """Let a token bring a customer in: an offer to a channel is accepted by it, others are joined and stay open."""
    handoff = _at_rest(context, handoff_id)
    came = Redeemed(
        system=arrived.system, external_id=arrived.external_id, interaction_id=arrived.interaction_id
    )  # fmt: skip
    interaction = context.interaction(handoff.interaction_id)
    told = {"redeemed_by": arrived.interaction_id, "to_channel": arrived.channel}
    if handoff.to.channel is None:
        joined = handoff.but(joined=(*handoff.joined, came))
        event = _event(joined, interaction, "joined", f"joined:{arrived.interaction_id}", now, **told)
        return Change(context.with_handoff(joined), [event])
    taken = handoff.but(state="accepted", redeemed=came, fence=arrived.fence, accepted_at=now)
    event = _event(taken, interaction, "accepted", "accepted", now, fence=arrived.fence, **told)
    return Change(context.with_handoff(taken), [event])


def call_goes_on(context: Context, handoff: Handoff) -> bool:
    """Tell whether a handoff is of a call that another system routes, and that goes on."""
    interaction = context.interactions.get(handoff.interaction_id)
    return handoff.is_external and interaction is not None and interaction.is_open


def has_call(context: Context, interaction_id: str) -> bool:
    """Tell whether another system routes, or has routed, an interaction."""
    return any(h.is_external for h in context.handoffs.values() if h.interaction_id == interaction_id)


def interaction_over(context: Context, interaction_id: str, now: datetime) -> Change:
    """Settle the handoffs of an interaction that has ended: who waited has left, what a bot or channel had is done."""
    events: list[Event] = []
    for handoff in context.handoffs.values():
        state = _after_end(handoff, interaction_id)
        if state is not None:
            context, more = _finished(context, handoff, state, now)
            events += more
        elif handoff.interaction_id == interaction_id and _is_held_live(handoff):
            rested = handoff.but(lease_ends=None) if _is_of_a_call(context, handoff) else handoff
            context = context.with_handoff(handoff if handoff.wrap_up_since else wrapping_up(rested, now))
    return Change(context, events)


def _is_held_live(handoff: Handoff) -> bool:
    """Tell whether an agent has what ends with its customer's being there; a message is answered afterwards too."""
    return handoff.state == "accepted" and handoff.agent_id is not None and handoff.kind != "message"


def _is_of_a_call(context: Context, handoff: Handoff) -> bool:
    """Tell whether a handoff is of a customer on the telephone."""
    interaction = context.interactions.get(handoff.interaction_id)
    return handoff.kind == "live" and interaction is not None and interaction.channel in SPOKEN


def lives_as_its_call(context: Context, handoff: Handoff) -> bool:
    """Tell whether somebody holds a call that goes on: as long as it does no lease ends, whoever routed it."""
    is_held = handoff.state == "accepted" and handoff.mode != "consult"
    return is_held and _is_of_a_call(context, handoff) and context.interaction(handoff.interaction_id).is_open


def wrapping_up(handoff: Handoff, now: datetime) -> Handoff:
    """Return an agent's handoff from when the customer has gone: what lived as long as its call has a deadline now."""
    if handoff.wrap_up_since is not None:
        return handoff
    return handoff.but(wrap_up_since=now, lease_ends=handoff.lease_ends or now + WRAP_UP)


def _after_end(handoff: Handoff, interaction_id: str) -> HandoffState | None:
    """Return the final state that an interaction's end brings a handoff to, if it does."""
    mine = handoff.interaction_id == interaction_id
    if mine and handoff.state == "offered" and handoff.to.channel is None and handoff.kind == "live":
        return "left"
    consulted = handoff.mode == "consult" or handoff.agent_id is None
    if mine and handoff.state == "accepted" and consulted and handoff.redeemed is None:
        return "completed"
    came_here = handoff.redeemed is not None and handoff.redeemed.interaction_id == interaction_id
    return "completed" if came_here and handoff.state == "accepted" else None


def lapse(context: Context, handoff_id: str, now: datetime) -> Change:
    """Let an offer expire or a lease end, and what then follows, as far as its time has come."""
    events: list[Event] = []
    change = _lapsed(context, context.handoffs[handoff_id], now)
    while change.events:
        events += change.events
        change = _lapsed(change.context, change.context.handoffs[handoff_id], now)
    return Change(change.context, events)


def _lapsed(context: Context, handoff: Handoff, now: datetime) -> Change:
    """Let one offer expire or one lease end, where its time has come."""
    if handoff.state == "offered" and handoff.expires_at is not None and now >= handoff.expires_at:
        return _expired(context, handoff, handoff.expires_at)
    is_over = handoff.state == "accepted" and handoff.lease_ends is not None and now >= handoff.lease_ends
    if is_over and not lives_as_its_call(context, handoff):
        assert handoff.lease_ends is not None
        return _lease_over(context, handoff, handoff.lease_ends)
    return Change(context, [])


def _expired(context: Context, handoff: Handoff, at: datetime) -> Change:
    """Offer to the fallback once, or end as expired."""
    interaction = context.interaction(handoff.interaction_id)
    fallback = _fallback(context, handoff, interaction)
    if fallback is None:
        return _finished(context, handoff, "expired", at)
    return _rerouted(context, handoff, fallback, interaction, at)


def _lease_over(context: Context, handoff: Handoff, at: datetime) -> Change:
    """Offer again what its holder let lapse; where nobody waits for it any more it is done."""
    interaction = context.interaction(handoff.interaction_id)
    if handoff.mode == "consult":
        return _finished(context, handoff, "completed", at, outcome="lease lapsed")
    given_on = context.open_offer(handoff.interaction_id)
    if given_on is not None and given_on.ends_parent is not None:
        gone = _given_on(context, handoff, given_on, given_on.ends_parent, at)
        return Change(_floor_to_bot(gone.context, handoff), gone.events)
    needs_customer = handoff.callback is None and handoff.kind != "message"
    if (not interaction.is_open and needs_customer) or handoff.wrap_up_since is not None:
        unsent = {"draft": handoff.draft.model_dump(mode="json", exclude_none=True)} if handoff.draft else {}
        done = handoff.but(outcome="lease lapsed")
        return _finished(context, done, "completed", at, outcome="lease lapsed", **unsent)
    again = handoff.but(
        state="offered",
        agent_id=None,
        fence=None,
        lease_ends=None,
        accepted_at=None,
        lapses=handoff.lapses + 1,
        expires_at=handoff.callback.until if handoff.callback else at + timedelta(seconds=handoff.expires_in),
    )
    told = {"agent_id": handoff.agent_id, "state": "offered"}
    event = _event(again, interaction, "lapsed", f"lapsed:{again.lapses}", at, **told)
    return Change(_floor_to_bot(context.with_handoff(again), handoff), [event])


def beside(
    context: Context, waiting: Handoff, link_id: str, to: Target, delivery: Delivery, expires_in: int, now: datetime,
    bound: tuple[str, ...],
) -> Change:  # fmt: skip
    """Offer a way to go on in another channel beside a waiting handoff; one offered before gives way."""
    _at_rest(context, waiting.handoff_id)
    _must_be_offered(waiting)
    interaction = context.interaction(waiting.interaction_id)
    events: list[Event] = []
    for before in [h for h in context.handoffs.values() if h.place_of == waiting.handoff_id and h.state == "offered"]:
        context, more = _finished(context, before, "cancelled", now, by=link_id)
        events += more
    link = Handoff(
        handoff_id=link_id, interaction_id=waiting.interaction_id, journey_id=waiting.journey_id,
        reason=waiting.reason, to=to, delivery=delivery, parent_id=waiting.handoff_id, root_id=waiting.root_id,
        offered_by=interaction.holder, offered_level=interaction.level(now), offered_at=now, waiting_since=now,
        expires_at=now + timedelta(seconds=expires_in), expires_in=expires_in, place_of=waiting.handoff_id,
        bound=() if interaction.is_suspect else bound,
    )  # fmt: skip
    placed = _placed(context, link, interaction, now)
    return Change(placed.context, events + placed.events)


def take_place(
    context: Context, waiting: Handoff, arrived: Interaction, handoff_id: str, to: Target, now: datetime,
    tenant: Tenant | None,
) -> Change:  # fmt: skip
    """Let a customer wait on in another interaction: a new handoff has the place, whoever waited before has left."""
    events: list[Event] = []
    told = {"went_on_as": handoff_id, "to_channel": arrived.channel}
    gone = waiting.but(went_on_as=handoff_id)
    if waiting.state == "offered":
        context, events = _finished(context, gone, "left", now, **told)
    context = context.with_handoff(context.handoff(gone.handoff_id).but(went_on_as=handoff_id))
    kept = {"reason", "mode", "kind", "priority", "skills", "note", "step", "expires_in", "fallback", "waiting_since"}
    there = Handoff(
        handoff_id=handoff_id, interaction_id=arrived.interaction_id, to=to,
        journey_id=waiting.journey_id if waiting.journey_id in context.journeys else arrived.journey_id,
        parent_id=waiting.handoff_id, root_id=waiting.root_id, offered_by=arrived.holder,
        offered_level=arrived.level(now), offered_at=now, expires_at=now + timedelta(seconds=waiting.expires_in),
        **{name: getattr(waiting, name) for name in kept},
    )  # fmt: skip
    placed = _placed(context, routed(context, there, arrived, tenant), arrived, now)
    return Change(placed.context, events + placed.events)
