"""Interactions: found or started, looked up, ended, and moved to whom they really belong."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ctxhub.errors import (
    AlreadyUsed,
    Ambiguous,
    CtxhubError,
    CustomerUnknown,
    HandoffUnknown,
    InteractionUnknown,
    Invalid,
    Lapsed,
    Moved,
    TooMany,
    Unknown,
)
from ctxhub.hub import asserting
from ctxhub.hub.changes import PLAIN, Changes, Committed, Decision, Present, Request, own
from ctxhub.hub.contexts import Contexts
from ctxhub.hub.dialling import Dialling
from ctxhub.hub.guessing import Guesses
from ctxhub.hub.identity import NOBODY, Found, Identity
from ctxhub.hub.keys import Principal
from ctxhub.hub.never_kept import NeverKept
from ctxhub.hub.once import Once
from ctxhub.hub.reported import Reported
from ctxhub.hub.secrets import Secrets, uui
from ctxhub.hub.sources import Sources
from ctxhub.hub.tenants import Tenants
from ctxhub.model import continuing, lapsing, moving
from ctxhub.model import handoff as handoffs
from ctxhub.model import interaction as interactions
from ctxhub.model.calling import arrived, call_of, head, legs_of, meant
from ctxhub.model.context import Context
from ctxhub.model.continuing import Rules
from ctxhub.model.customer import Assurance, AssuranceClaim, Identifier
from ctxhub.model.dialling import SPOKEN
from ctxhub.model.disclosure import Reader
from ctxhub.model.event import Event, Ref
from ctxhub.model.fact import SHARED_FROM
from ctxhub.model.handoff import Handoff
from ctxhub.model.identifier import PHONE
from ctxhub.model.interaction import InteractionView, Outcome, Start
from ctxhub.model.introducing import doubted, introduced
from ctxhub.model.journey import Offer
from ctxhub.model.telling import shared
from ctxhub.model.tenant import CALLS, LEG
from ctxhub.model.view import live, offers
from ctxhub.store.contexts import Who
from ctxhub.store.lists import Lists
from ctxhub.store.lookups import Lookups

_RESUME = "\x1e"  # no fact's name begins like that, so that an offer and a saved question never count as one
NOT_THIS_CUSTOMER = "not_this_customer"
_NOT_THEIRS = "the {} stands for no handoff of this customer"


@dataclass(frozen=True)
class Arrival:
    """The handoff that brings an interaction in, and whether its token, only its code, or a mere number was shown.

    Of a handoff of nobody yet that somebody the company knows has brought, nothing is carried but words: `by_other`.
    """

    who: Who
    handoff_id: str
    by_code: bool = False
    by_number: bool = False
    by_other: bool = False

    @property
    def not_theirs(self) -> HandoffUnknown:
        """The refusal where it is another customer's; that a code was right it does not say."""
        return HandoffUnknown(_NOT_THEIRS.format("code" if self.by_code else "token"))

    def of(self, context: Context, code_level: int, now: datetime) -> Handoff:
        """Return the handoff as it carries: a code no more than a message, or than the tenant lets a fresh one."""
        handoff = context.handoff(self.handoff_id)
        if self.by_other:
            return handoff.but(delivery="message")
        return handoffs.by_code(handoff, code_level, now) if self.by_code else handoff


@dataclass(frozen=True)
class Begun:
    """What a start came to."""

    who: Who
    interaction_id: str
    created: bool
    ambiguous: bool
    problem: CtxhubError | None = None
    arrival: Arrival | None = None


class Interactions:
    """Finds or starts interactions and brings back everything a channel needs."""

    def __init__(
        self,
        changes: Changes,
        contexts: Contexts,
        tenants: Tenants,
        identity: Identity,
        lookups: Lookups,
        lists: Lists,
        secrets: Secrets,
        once: Once,
        never_kept: NeverKept,
        reported: Reported,
        dialling: Dialling,
        sources: Sources,
    ) -> None:
        self._reported = reported
        self._sources = sources
        self._never_kept = never_kept
        self._dialling = dialling
        self._changes = changes
        self._contexts = contexts
        self._tenants = tenants
        self._identity = identity
        self._lookups = lookups
        self._lists = lists
        self._secrets = secrets
        self._once = once
        self._guesses = Guesses(lookups)

    async def start(
        self, principal: Principal, request: Start, conditions: Request = PLAIN
    ) -> tuple[dict[str, Any], bool, int]:
        """Find or start an interaction; a bad handoff is told of and never refuses the call."""
        request = self._never_kept.within(principal.tenant, request, "touchpoint")
        principal.must_speak_on(request.channel)
        asserting.leg(principal, request.agent_id)
        asserting.start(principal, request)
        await self._lookups.must_be_same(principal.tenant, conditions.operation)
        arrival, problem = await self._arrival_or_problem(principal.tenant, request)
        try:
            begun = await self._begun(principal, request, arrival, problem, conditions)
        except (AlreadyUsed, Lapsed, HandoffUnknown) as error:
            begun = await self._begun(principal, request, None, error, conditions)
        await self._lookups.remember(principal.tenant, conditions.operation)
        return await self._answer(principal, begun, request)

    async def redeem(
        self, principal: Principal, request: Start, conditions: Request = PLAIN
    ) -> tuple[dict[str, Any], int]:
        """Let a token or code bring an interaction in; a bad one is refused."""
        request = self._never_kept.within(principal.tenant, request, "touchpoint")
        principal.must_speak_on(request.channel)
        asserting.leg(principal, request.agent_id)
        asserting.start(principal, request)
        await self._lookups.must_be_same(principal.tenant, conditions.operation)
        arrival = await self._arrival(principal.tenant, request)
        if arrival is None:
            raise Invalid.field("/token", "name a token, or a code with identifiers")
        begun = await self._begun(principal, request, arrival, None, conditions)
        await self._lookups.remember(principal.tenant, conditions.operation)
        answer, _, version = await self._answer(principal, begun, request)
        return answer, version

    async def _arrival_or_problem(self, tenant: str, request: Start) -> tuple[Arrival | None, CtxhubError | None]:
        """Return the handoff that a start names, or why it leads nowhere."""
        try:
            return await self._arrival(tenant, request), None
        except CtxhubError as error:
            if error.status >= 500:
                raise
            return None, error

    async def _arrival(self, tenant: str, request: Start) -> Arrival | None:
        """Return the handoff of a request's token or code, if it may bring this interaction in."""
        arrival = await self._brought(tenant, request)
        if arrival is not None:
            await self._must_lead_in(arrival, request)
        return arrival

    async def _must_lead_in(self, arrival: Arrival, request: Start) -> None:
        """Refuse a handoff that can't be redeemed, before anything is begun or moved for it."""
        loaded = await self._changes.contexts.load(arrival.who)
        if loaded.context is None:
            raise HandoffUnknown(f"there is no handoff {arrival.handoff_id}", handoff_id=arrival.handoff_id)
        now, policies = self._changes.clock(), self._tenants.of(arrival.who.tenant).policies
        came = arrival.of(self._contexts.present(loaded, loaded.context, now), policies.code_level, now)
        here = (request.of_system, request.external_id)
        if here not in [(joined.system, joined.external_id) for joined in came.joined]:
            handoffs.redeemable(came, *here, handoffs.call_goes_on(loaded.context, came))

    async def _brought(self, tenant: str, request: Start) -> Arrival | None:
        """Return the handoff that a request's token or code stands for."""
        if request.handoff is None:
            return await self._by_name(tenant, request)
        if request.handoff.token is not None:
            return await self.by_token(tenant, request.handoff.token)
        if request.handoff.code is not None:
            return await self._by_code(tenant, request, request.handoff.code)
        return None

    async def _by_name(self, tenant: str, request: Start) -> Arrival | None:
        """Return the handoff of the call that a leg on the telephone names, where another system routes it."""
        if request.channel not in CALLS:
            return None
        own_ = [request.own_ref] if request.channel == LEG else []
        for ref in [*request.refs, *filter(None, own_)]:
            found = await self._lookups.ref(tenant, ref.system, ref.kind, ref.id)
            arrival = await self._leads_into(Who(tenant, found[0]), found[1], request) if found else None
            if arrival is not None:
                return arrival
        return None

    async def _leads_into(self, who: Who, interaction_id: str, request: Start) -> Arrival | None:
        """Return the handoff of a call that goes on, for a leg of it that is not the call itself."""
        home = await self._changes.contexts.home(who)
        context = (await self._changes.contexts.load(home)).context
        if context is not None and interaction_id in context.moved:
            return await self._leads_into(Who(who.tenant, context.moved[interaction_id]), interaction_id, request)
        handoff = call_of(context, interaction_id, request.of_system, request.external_id) if context else None
        return Arrival(home, handoff.handoff_id) if handoff is not None else None

    async def by_token(self, tenant: str, token: str) -> Arrival:
        """Return the handoff that a token stands for; `HandoffUnknown` for one that stands for none."""
        handoff_id = await self._lookups.token(token)
        customer_id = await self._lookups.handoff(tenant, handoff_id) if handoff_id else None
        genuine = handoff_id is not None and hmac.compare_digest(self._secrets.token(handoff_id), token)
        if handoff_id is None or customer_id is None or not genuine:
            raise HandoffUnknown("the token stands for no handoff")
        return Arrival(Who(tenant, customer_id), handoff_id)

    async def _by_code(self, tenant: str, request: Start, code: str) -> Arrival:
        """Return the open handoff with a code among the customers of the identifiers; tries are counted."""
        if not request.identifiers:
            raise Invalid.field("/identifiers", "a code needs an identifier it is bound to")
        try:
            return await self._guessed(tenant, request, code)
        except (HandoffUnknown, TooMany) as refused:
            await self._guesses.failed(tenant, refused)
            raise

    async def _guessed(self, tenant: str, request: Start, code: str) -> Arrival:
        """Return the handoff with a code, if that is still to be looked at."""
        await self._guesses.count_interaction(tenant, request)
        for identifier in self._identity.in_order(tenant, request.identifiers):
            await self._guesses.count_identifier(tenant, request, identifier)
            for customer_id in await self._identity.owners(tenant, identifier):
                arrival = await self._with_code(Who(tenant, customer_id), identifier, code)
                if arrival is not None:
                    return arrival
        raise HandoffUnknown(_NOT_THEIRS.format("code"))

    async def _with_code(self, who: Who, identifier: Identifier, code: str) -> Arrival | None:
        """Return a customer's handoff with this code, bound to this identifier."""
        loaded = await self._changes.contexts.load(who)
        bound = self._secrets.bound(*identifier.what)
        for handoff in handoffs.with_codes(loaded.context) if loaded.context else ():
            right = hmac.compare_digest(self._secrets.code(handoff.handoff_id), code)
            if right and bound in handoff.bound:
                return Arrival(who, handoff.handoff_id, by_code=True)
        return None

    async def _begun(
        self,
        principal: Principal,
        request: Start,
        arrival: Arrival | None,
        problem: CtxhubError | None,
        conditions: Request,
    ) -> Begun:
        """Find out who it is, then find or start the interaction there."""
        tenant, system, external_id = principal.tenant, request.of_system, request.external_id
        if arrival is not None:
            request, arrival = await self._let_in(tenant, request, arrival)
        known = await self._lookups.external(tenant, system, external_id)
        if known is not None:
            await self.must_speak(principal, Who(tenant, known[0]), known[1])
            try:
                return await self._known(Who(tenant, known[0]), known[1], request, arrival, problem, conditions)
            except _NotBegun:
                pass  # whoever said where it leads was killed before it began
        ours = self._secrets.provisional_id(tenant, system, external_id)
        if arrival is None:
            request, arrival = await self._called(tenant, request)
        identifiers = self._identity.in_order(tenant, request.identifiers)
        request = request.but(identifiers=identifiers)
        found = await self._who(tenant, request, identifiers, arrival, ours)
        proposed = (found.customer_id or ours, self._secrets.interaction_id(tenant, system, external_id))
        customer_id, interaction_id = await self._lookups.claim_external(tenant, system, external_id, *proposed)
        who = Who(tenant, customer_id)
        decide = self._starting(who, request, interaction_id, [] if found.ambiguous else list(found.linked), arrival)
        led = _led(found, request, arrival)
        once = Request(conditions.if_match, event_ids=[interactions.beginning(interaction_id)], led=led)
        try:
            who, committed = await self._changes.change_at_home(who, decide, once)
        except (AlreadyUsed, Lapsed, HandoffUnknown):
            if arrival is not None:  # somebody was faster with the token: whoever comes now is not its customer
                await self._lookups.drop_interaction(tenant, system, external_id, [])
            raise
        if who.customer_id != customer_id:
            await self._lookups.set_external(tenant, system, external_id, who.customer_id, interaction_id)
        if request.refs:
            await self._lookups.set_refs(tenant, _names(request.refs), who.customer_id, interaction_id)
        await self._dialling.settled(tenant, committed.events)
        return Begun(who, interaction_id, _began(committed), found.ambiguous, problem, arrival)

    async def _called(self, tenant: str, request: Start) -> tuple[Start, Arrival | None]:
        """Return a request with the handoff for which it comes by the number called or calling, if there is one.

        A number is a claim: it leads nobody to a customer who is named otherwise, or proven to be another.
        """
        coming = await self._dialling.arriving(tenant, request)
        if coming is None:
            return request, None
        named = request.customer_id or coming.who.customer_id
        if await self._changes.contexts.home(Who(tenant, named)) != coming.who:
            return request, None
        try:
            return await self._let_in(tenant, request, Arrival(coming.who, coming.handoff.handoff_id, by_number=True))
        except HandoffUnknown:
            return request, None

    async def _let_in(self, tenant: str, request: Start, arrival: Arrival) -> tuple[Start, Arrival]:
        """Return a request as it counts for the customer of a handoff, and the handoff as it counts for the request.

        `HandoffUnknown` where they are two people: the one that the channel says has proven who it is, and another.
        """
        found = await self._proven(tenant, request)
        home = await self._changes.contexts.home(arrival.who) if found is not None else None
        if found is None or home is None or found.customer_id == home.customer_id:
            return request, arrival
        theirs = await self._is_known(home)
        if found == NOBODY and not theirs:
            return request, arrival  # nobody yet becomes whoever this is
        named = found.customer_id is not None and found.customer_id == request.customer_id
        other = named or (found.customer_id is not None and await self._is_known(Who(tenant, found.customer_id)))
        if theirs and other and (request.handoff is not None or arrival.by_number):
            raise arrival.not_theirs
        return _as_claimed(request), replace(arrival, by_other=other and not theirs)

    async def _proven(self, tenant: str, request: Start) -> Found | None:
        """Return who it surely is: who is named with proof, else to whom verified identifiers lead; None: not said."""
        if request.customer_id is not None and request.level >= SHARED_FROM:
            return Found((await self._changes.contexts.home(Who(tenant, request.customer_id))).customer_id, False)
        verified = [one for one in self._identity.in_order(tenant, request.identifiers) if one.strength == "verified"]
        return await self._identity.find(tenant, verified) if verified else None

    async def _is_known(self, who: Who) -> bool:
        """Tell whether the company knows a customer."""
        context = (await self._changes.contexts.wherever(who)).context
        return context is not None and context.known

    async def _who(
        self, tenant: str, request: Start, identifiers: list[Identifier], arrival: Arrival | None, ours: str
    ) -> Found:
        """Say who it is: by the handoff, by name, by identifiers, or nobody yet."""
        if arrival is not None and arrival.by_number:
            return Found(arrival.who.customer_id, False)
        if arrival is not None:
            owners = await self._lookups.owners(tenant, identifiers) if identifiers else []
            told = zip(identifiers, owners, strict=True)
            theirs = [doubted(one, leads=False) for one, led in told if not led or arrival.who.customer_id in led]
            return Found(arrival.who.customer_id, False, theirs)
        return await self._identity.settle(tenant, identifiers, request.customer_id, ours, self._changes.known)

    async def _known(
        self,
        who: Who,
        interaction_id: str,
        request: Start,
        arrival: Arrival | None,
        problem: CtxhubError | None,
        conditions: Request,
    ) -> Begun:
        """Return an interaction that began before; a token that it brings now counts from now on."""
        who = await self._changes.contexts.home(who, at_hand=True) if arrival is not None else who
        if arrival is not None and arrival.who != who:
            if request.handoff is not None:
                await self._must_be_nobody_else(who, interaction_id, arrival)
            await self.identify(who, interaction_id, arrival.who.customer_id, None)
            who = arrival.who
        decide = self._starting(who, request, interaction_id, None, arrival)
        try:
            committed = await self._changes.change(who, decide, Request(conditions.if_match))
        except Moved as moved:
            home = Who(who.tenant, moved.ids["customer_id"])
            return await self._known(home, interaction_id, request, arrival, problem, conditions)
        refs = [ref for ref in request.refs if ref in committed.context.interaction(interaction_id).refs]
        await self._lookups.set_refs(who.tenant, _names(refs), who.customer_id, interaction_id)
        await self._dialling.settled(who.tenant, committed.events)
        return Begun(who, interaction_id, False, False, problem, arrival)

    async def _must_be_nobody_else(self, who: Who, interaction_id: str, arrival: Arrival) -> None:
        """Refuse another customer's token in an interaction in which the one it is has proven that."""
        _, context = await self._changes.contexts.existing(who)
        interaction = context.interactions.get(interaction_id)
        if context.known and interaction is not None and interaction.assurance.level >= SHARED_FROM:
            raise arrival.not_theirs

    async def _surely_another(self, who: Who) -> AssuranceClaim | None:
        """Return what is left of being a known customer for one who is another: nothing; nobody yet keeps it."""
        _, context = await self._changes.contexts.existing(who)
        return AssuranceClaim(level=0) if context.known else None

    def _starting(
        self, who: Who, request: Start, interaction_id: str, linked: list[Identifier] | None, arrival: Arrival | None
    ) -> Callable[[Present], Decision]:
        """Return the decision that starts an interaction, unless it has begun, and redeems its token.

        Without identifiers that were `linked` it must have begun.
        """

        tenant = self._tenants.of(who.tenant)
        policies = tenant.policies
        ids = self._reported.handoff_ids(who)

        def decide(present: Present) -> Decision:
            context = present.context or Context(customer_id=who.customer_id, created_at=present.now)
            before = context
            _must_be_here(context, interaction_id, arrival)
            if interaction_id not in context.interactions:
                _must_be_new(present, interaction_id, linked)
            via = arrival.of(context, policies.code_level, present.now) if arrival else None
            brings = None if arrival is None or arrival.by_number else via
            events: list[Event] = []
            brought: dict[str, Any] = {}
            lookups: list[tuple[str, str]] = []
            if interaction_id not in context.interactions:
                context, events = interactions.start(
                    context, request, interaction_id, present.now, brings, policies.fraud_queue
                )
                context = self._calling(context, request, interaction_id)
            elif brings is not None:
                context, brought = _joined(context, interaction_id, brings, present.now)
            context = introduced(context, request, linked or [], interaction_id, present.now)
            if via is not None and not _came_before(via, context, interaction_id):
                context, more = handoffs.redeem(
                    context, via.handoff_id, context.interactions[interaction_id], present.now
                )
                events = [*events, more[0].but(data=more[0].data | brought), *more[1:]]
                rules = Rules(tenant, self._changes.patience.grace, present.now)
                place = self.place(who, via.place_of, interaction_id)
                moved = continuing.go_on(context, via.place_of, interaction_id, place, rules)
                context, events = moved.change.context, [*events, *moved.change.events]
                lookups = self.lookups_of(who, moved.handoff_id)
            if via is not None and request.agent_id is not None:
                context, more = arrived(
                    context, via, context.interactions[interaction_id], request.agent_id, present.now, ids
                )
                events = [*events, *more]
            if present.context is not None and context == present.context:
                context = present.context
            lookups = [*lookups, *self._reported.lookups(who, before, context)]
            return Decision(context, own(events), _heard(events, interaction_id), {}, lookups)

        return decide

    def place(self, who: Who, waiting_id: str | None, interaction_id: str) -> str:
        """Return the id that the handoff always gets by which an interaction takes the place of a waiting one."""
        return self._secrets.handoff_id(*who, f"place:{waiting_id}:{interaction_id}")

    def lookups_of(self, who: Who, handoff_id: str | None) -> list[tuple[str, str]]:
        """Return the look-ups of a handoff that takes a place, to be written with it."""
        if handoff_id is None:
            return []
        return self._lookups.handoff_lookups(who, handoff_id, self._secrets.token(handoff_id))

    def _calling(self, context: Context, request: Start, interaction_id: str) -> Context:
        """Note under a key from which number a call comes, to know it again if it is cut off."""
        phones = [identifier for identifier in request.identifiers if identifier.type == PHONE]
        if request.channel not in SPOKEN or len(phones) != 1:
            return context
        ani = self._secrets.bound(*phones[0].what)
        return context.with_interaction(context.interaction(interaction_id).but(ani=ani))

    async def _answer(self, principal: Principal, begun: Begun, request: Start) -> tuple[dict[str, Any], bool, int]:
        """Bring back everything the channel needs, with what sources say in time."""
        asked = await self._sources.ask(begun.who, begun.interaction_id, request.channel) if begun.created else []
        reader = principal.reader(begun.interaction_id).but(role="adapter")
        shown, seen, context = await self._contexts.open(begun.who, reader)
        now = self._changes.clock()
        tenant = self._tenants.of(begun.who.tenant)
        interaction = context.interaction(begun.interaction_id)
        resume = offers(context, seen, interaction, tenant, now)
        await self._count_offers(begun.who, interaction, resume)
        answer: dict[str, Any] = {
            "interaction": interactions.view(interaction, now).model_dump(mode="json"),
            "customer_id": begun.who.customer_id,
            "known": context.known,
            "ambiguous": begun.ambiguous,
            "find_out": [] if interaction.level(now) >= SHARED_FROM else tenant.find_out,
            "context": shown.value,
            "resume": [o.model_dump(mode="json") for o in resume],
            "live": [i.model_dump(mode="json") for i in live(context, seen, begun.interaction_id, now)],
        }
        if begun.problem is not None:
            answer["handoff_problem"] = {"code": begun.problem.code, "detail": begun.problem.detail}
        if begun.arrival is not None:
            via = context.handoff(begun.arrival.handoff_id)
            handoff = _held_by(context, via, request.agent_id) or via
            shown_ = handoffs.view(handoff, begun.who.customer_id, interaction.channel)
            # Whoever answers for an agent brings that agent what colleagues wrote.
            shown_ = shown_ if request.agent_id is not None else handoffs.without_notes(shown_)
            # A number is a claim: it brings the customer to the place, and none of the words.
            shown_ = shown_.but(note=None, journey_id=None) if begun.arrival.by_number else shown_
            answer["handoff"] = shown_.model_dump(mode="json")
            answer |= self._place_taken(begun, context, via)
        if asked:
            answer["sources"] = asked
        return answer, begun.created, shown.version

    def _place_taken(self, begun: Begun, context: Context, via: Handoff) -> dict[str, Any]:
        """Say whether the place of a waiting handoff was kept, and where it is, to whoever goes on with it."""
        if via.place_of is None:
            return {}
        there = context.handoffs.get(self.place(begun.who, via.place_of, begun.interaction_id))
        if there is None:
            return {"place_kept": False}
        channel = context.interaction(begun.interaction_id).channel
        token = self._secrets.token(there.handoff_id)
        shown = handoffs.view(there, begun.who.customer_id, channel).but(token=token, uui=uui(token))
        shown = handoffs.without_notes(shown)
        return {"place_kept": True, "place": shown.model_dump(mode="json")}

    async def _count_offers(self, who: Who, interaction: interactions.Interaction, resume: Sequence[Offer]) -> None:
        """Count the journeys that a channel was told are worth resuming."""
        for kind in {offer.kind for offer in resume}:
            names = [f"{_RESUME}{offer.journey_id}" for offer in resume if offer.kind == kind]
            counter = ("resume", "offered", interaction.channel, kind)
            await self._once.count(who, interaction.interaction_id, names, *counter)

    async def must_speak(self, principal: Principal, who: Who, interaction_id: str) -> None:
        """Refuse a key that is bound to other channels than an interaction's, wherever that is now."""
        if not principal.channels:
            return
        with suppress(Unknown, Lapsed):  # whoever goes on is told so
            principal.must_speak_on((await self._viewed(who, interaction_id))[1].channel)

    async def lookup(self, tenant: str, ref: Ref) -> tuple[Who, InteractionView, int]:
        """Return the interaction that another system's name stands for."""
        found = await self._lookups.called(tenant, ref.system, ref.kind, ref.id)
        if found is None:
            raise InteractionUnknown("no interaction goes by that name")
        return await self._viewed(Who(tenant, found[0]), found[1], ref)

    async def _viewed(self, who: Who, interaction_id: str, ref: Ref | None = None) -> tuple[Who, InteractionView, int]:
        """Return an interaction as shown, wherever it is now; of one found by a name the one that this means."""
        try:
            loaded, kept = await self._changes.contexts.existing(who)
            context = self._contexts.present(loaded, kept, self._changes.clock())
            interaction = interactions.find(context, interaction_id)
            interaction = meant(context, interaction, ref) if ref is not None else interaction
        except Moved as moved:
            return await self._viewed(Who(who.tenant, moved.ids["customer_id"]), interaction_id, ref)
        return who, interactions.view(interaction, self._changes.clock()), loaded.version

    async def add_refs(
        self, who: Who, interaction_id: str, refs: list[Ref], request: Request = PLAIN
    ) -> tuple[InteractionView, int]:
        """Add other systems' names for an interaction."""

        def decide(present: Present) -> Decision:
            op = str(len(interactions.find(present.known, interaction_id).refs))
            change = interactions.with_refs(present.known, interaction_id, refs, present.now, op)
            return Decision(change.context, own(change.events))

        committed = await self._changes.change(who, decide, request)
        await self._lookups.set_refs(who.tenant, _names(refs), who.customer_id, interaction_id)
        return self._view_of(committed, interaction_id), committed.version

    def _view_of(self, committed: Committed, interaction_id: str) -> InteractionView:
        """Return an interaction as shown after a change."""
        return interactions.view(committed.context.interaction(interaction_id), self._changes.clock())

    async def end(
        self, who: Who, interaction_id: str, outcome: Outcome | None, disposition: str | None, request: Request = PLAIN,
        agent_id: str | None = None,
    ) -> tuple[InteractionView, int]:  # fmt: skip
        """End an interaction; again changes nothing. While an agent holds it, by one of the codes of the queue.

        `agent_id` is who ends it, where an agent does: not what another one holds.
        """
        disposition = self._never_kept.of(who.tenant, disposition)
        tenant = self._tenants.of(who.tenant)

        def decide(present: Present) -> Decision:
            interactions.must_not_be_anothers(interactions.find(present.known, interaction_id), agent_id)
            held = present.known.held_handoff(interaction_id)
            if held is not None and held.agent_id is not None and present.known.interaction(interaction_id).is_open:
                handoffs.must_be_allowed(disposition, tenant.dispositions(handoffs.queue_behind(present.known, held)))
            change = lapsing.end(
                present.known, interaction_id, present.now, outcome=outcome, disposition=disposition
            )  # fmt: skip
            return Decision(change.context, own(change.events))

        committed = await self._changes.change(who, decide, request)
        return self._view_of(committed, interaction_id), committed.version

    async def listed(self, principal: Principal, channel: str | None, agent_id: str | None) -> list[dict[str, Any]]:
        """Return the open interactions of a channel, of those with an agent the calls at his phone, oldest first.

        To an agent those of customers in his sight. A colleague's key that is bound to channels sees every call at a
        phone, as on the agent's own stream; a channel's key those of its channels.
        """
        if channel is None and agent_id is None:
            raise Invalid.field("/channel", "name a channel, or an agent by agent_id")
        reader = principal.reader() if principal.role == "agent" else None
        if channel is not None:
            principal.must_speak_on(channel)
        if agent_id is None:
            return await self.open_on(principal.tenant, str(channel), reader)
        principal.must_be(agent_id)
        found = await self._listed(principal.tenant, f"calls:{agent_id}", reader)
        if channel is None and principal.is_colleague:
            return found
        channels = principal.channels if channel is None else {channel}
        return [one for one in found if not channels or one["channel"] in channels]

    async def open_on(self, tenant: str, channel: str, agent: Reader | None = None) -> list[dict[str, Any]]:
        """Return the open interactions of a channel, oldest first; to an agent those of customers in his sight."""
        return await self._listed(tenant, f"open:{channel}", agent)

    async def _listed(self, tenant: str, place: str, agent: Reader | None) -> list[dict[str, Any]]:
        """Return what stands in a list and is open now; what silence has ended is not, told by a timer or not."""
        members = await self._lists.members(tenant, place)
        whos = [Who(tenant, customer_id) for customer_id, _ in members]
        heard, now = await self._changes.contexts.many_heard(whos), self._changes.clock()
        found = [one.context and self._contexts.present(one, one.context, now) for one in heard]
        return [
            {"customer_id": who.customer_id, **interactions.view(one, now).model_dump(mode="json")}
            for who, (_, key), context in zip(whos, members, found, strict=True)
            if context is not None and (one := context.interactions.get(key)) is not None and one.is_open
            if agent is None or self._contexts.lets_in(who, context, agent, now)
        ]

    async def identify_as(
        self, who: Who, interaction_id: str, named: str | None, identifiers: Sequence[Identifier],
        claim: AssuranceClaim | None, reason: str, request: Request = PLAIN,
    ) -> tuple[Who, InteractionView, int]:  # fmt: skip
        """Move an interaction to whom it is said to be: by name, by identifiers, or just not this customer.

        Who is not this customer, or proven to be one nobody has heard of, is somebody new.
        """
        if named is not None:
            return await self.identify(who, interaction_id, named, claim, request, reason)
        surely = claim is not None and claim.level >= SHARED_FROM
        verified = any(identifier.strength == "verified" for identifier in identifiers)
        may_be_new = reason == NOT_THIS_CUSTOMER or surely or verified
        to, newcomer = await self._whom(who, interaction_id, identifiers, may_be_new, surely)
        return await self.identify(who, interaction_id, to, claim, request, reason, newcomer)

    async def _whom(
        self, who: Who, interaction_id: str, identifiers: Sequence[Identifier], may_be_new: bool, surely: bool
    ) -> tuple[str, Sequence[Identifier] | None]:
        """Return the one customer to whom identifiers lead; a new one where they lead to nobody, with what leads there.

        The same interaction that is not the same customer's is always the same new one's.
        """
        tenant, identifiers = who.tenant, self._identity.in_order(who.tenant, identifiers)
        ours = self._secrets.provisional_id(tenant, f"not {who.customer_id}", interaction_id)
        led = await self._identity.led(tenant, identifiers)
        found = self._identity.picked(tenant, identifiers, led)
        if found.ambiguous:
            raise Ambiguous("the identifiers lead to several customers")
        if found.customer_id not in (None, ours):
            return found.customer_id, None
        if not may_be_new:
            raise CustomerUnknown("the identifiers lead to nobody")
        _, context = await self._changes.contexts.existing(who)
        if interaction_id not in context.interactions and context.moved.get(interaction_id) != ours:
            interactions.find(context, interaction_id)  # for one that is not there nothing leads to anybody
        settled = await self._identity.settle(tenant, identifiers, None, ours, self._changes.known, surely, led)
        return settled.customer_id or ours, settled.linked if settled.customer_id == ours else None

    async def identify(
        self, who: Who, interaction_id: str, to: str, claim: AssuranceClaim | None, request: Request = PLAIN,
        reason: str | None = None, newcomer: Sequence[Identifier] | None = None,
    ) -> tuple[Who, InteractionView, int]:  # fmt: skip
        """Move an interaction to whom it really is; killed at any step, it is completed when it is next due.

        A `newcomer` is somebody nobody knows yet, with what leads there.
        """
        to = (await self._changes.contexts.home(Who(who.tenant, to), at_hand=True)).customer_id
        now = self._changes.clock()
        if to == who.customer_id:
            await self._changes.change(who, _raising(interaction_id, _assured(claim, now)), request)
            return await self._viewed(who, interaction_id)
        assurance = _assured(claim or await self._surely_another(who), now)

        def depart(present: Present) -> Decision:
            if present.known.moved.get(interaction_id) == to:
                return Decision(present.known)
            context, events = present.known, []
            for one in _whole_call(context, interaction_id):
                context, more = moving.depart(context, one, to, present.now, assurance, newcomer, reason)
                events += more
            return Decision(context, own(events))

        await self._changes.change(who, depart, request)
        await self.complete_moves(who)
        return await self._viewed(Who(who.tenant, to), interaction_id)

    async def complete_moves(self, who: Who) -> None:
        """Complete every move that a customer's interactions have begun."""
        _, context = await self._changes.contexts.existing(who)
        for move in context.moves.values():
            moved = moving.bundle(context, move.interaction_id)
            home = await self._changes.contexts.home(Who(who.tenant, move.to))
            if home == who:
                await self._changes.change(who, _staying(move.interaction_id))
                continue
            once = Request(event_ids=[moving.arrival(moved)])
            adopting = _adopting(home, moved, move, who.customer_id)
            home, adopted = await self._changes.change_at_home(home, adopting, once)
            await self._repoint(who, home, moved, adopted.context)
            await self._changes.change(who, _releasing(move.interaction_id))

    async def _repoint(self, who: Who, home: Who, moved: moving.Bundle, adopted: Context) -> None:
        """Let everything that led to the old place lead to the new home."""
        interaction = moved.interaction
        place = (home.customer_id, interaction.interaction_id)
        await self._lookups.set_external(who.tenant, interaction.system, interaction.external_id, *place)
        await self._lookups.set_refs(who.tenant, _names(interaction.refs), *place)
        await self._lookups.repoint_handoffs(home, list(moved.handoffs))
        leading = {identifier.what: identifier for identifier in adopted.leading}
        for identifier in moved.identifiers:
            await self._lookups.unlink(who.tenant, identifier, who.customer_id)
            if identifier.what in leading:
                await self._lookups.link(who.tenant, leading[identifier.what], home.customer_id, first=False)


def _whole_call(context: Context, interaction_id: str) -> list[str]:
    """Return an interaction and, of a call, all its legs: who it is, it is on all of them."""
    interaction = context.interactions.get(interaction_id)
    if interaction is None:
        return [interaction_id]
    first = head(context, interaction).interaction_id
    legs = legs_of(context, first) & context.interactions.keys() if handoffs.has_call(context, first) else set()
    beside = ({first} | legs) - {interaction_id} if legs else set()
    return [interaction_id, *sorted(beside - context.moves.keys())]


class _NotBegun(Exception):
    """A system's id leads to an interaction that is not there."""


def _as_claimed(request: Start) -> Start:
    """Return a request whose proof is of somebody else than whom it leads to: of that one it is a claim."""
    claim = AssuranceClaim(level=1, method="identifier") if request.level >= SHARED_FROM else request.assurance
    return request.but(assurance=claim, identifiers=[one.but(strength="claimed") for one in request.identifiers])


def _led(found: Found, request: Start, arrival: Arrival | None) -> list[Identifier]:
    """Return what leads to whom it was found to be as surely as it should; what comes with a handoff leads nowhere."""
    if arrival is not None:
        return list(found.linked)
    sure = request.assurance is not None and request.assurance.level >= SHARED_FROM
    return [one for one in found.linked if one.strength == "verified" or (one.leads and not sure)]


def _must_be_here(context: Context, interaction_id: str, arrival: Arrival | None) -> None:
    """Refuse an interaction that went to another customer, or is on its way there and wants to change."""
    if interaction_id in context.moved or (arrival is not None and interaction_id in context.moves):
        interactions.find(context, interaction_id)


def _must_be_new(present: Present, interaction_id: str, linked: list[Identifier] | None) -> None:
    """Refuse to begin an interaction whose identifiers are not settled, or that ended so long ago that it is gone."""
    if linked is None:
        raise _NotBegun
    if present.seen[0] is not None:
        raise Lapsed(f"interaction {interaction_id} ended long ago", interaction_id=interaction_id)


def _began(committed: Committed) -> bool:
    """Tell whether a change was the one that began its interaction."""
    return any(event.type == "interaction.started" for event in committed.events)


def _joined(context: Context, interaction_id: str, via: Handoff, now: datetime) -> tuple[Context, dict[str, Any]]:
    """Let an interaction that began without its token see what came with it; return also what is told of that."""
    interaction = context.interaction(interaction_id)
    source = context.interactions.get(via.interaction_id)
    if source is None or interaction.handoff_id == via.handoff_id or source.interaction_id == interaction_id:
        return context, {}
    lineage = tuple(dict.fromkeys((*interaction.lineage, source.interaction_id, *source.lineage)))
    assurance = interactions.surest(interaction.assurance, interactions.carried(via, source, now))
    joined = interaction.but(
        lineage=lineage,
        handoff_id=via.handoff_id,
        assurance=assurance,
        journey_id=interaction.journey_id or via.journey_id,
        risks=tuple(dict.fromkeys((*interaction.risks, *source.risks))),
    )
    context = shared(context.with_interaction(joined), interaction_id, joined.level(now))
    return interactions.arrive(context, interaction_id, source, now)


def _came_before(via: Handoff, context: Context, interaction_id: str) -> bool:
    """Tell whether the interaction has redeemed or joined this handoff already; refuse what can't be redeemed."""
    interaction = context.interaction(interaction_id)
    if any(came.interaction_id == interaction_id for came in via.joined):
        return True
    goes_on = handoffs.call_goes_on(context, via)
    return handoffs.redeemable(via, interaction.system, interaction.external_id, goes_on)


def _heard(events: list[Event], interaction_id: str) -> dict[str, str]:
    """Return that somebody was heard in an interaction, and in each whose call an arrival concerns."""
    concerned = [event.interaction_id for event in events if event.interaction_id is not None]
    return dict.fromkeys([interaction_id, *concerned], "t") if events else {}


def _assured(claim: AssuranceClaim | None, now: datetime) -> Assurance | None:
    """Return the assurance that a channel asserts for a moved interaction."""
    if claim is None:
        return None
    until = now + timedelta(seconds=claim.expires_in)
    return Assurance(level=claim.level, method=claim.method, until=until, raised_at=now if claim.level else None)


def _raising(interaction_id: str, assurance: Assurance | None) -> Callable[[Present], Decision]:
    """Return the decision that notes how surely somebody is known who was at the right place already."""

    def decide(present: Present) -> Decision:
        interaction = interactions.find(present.known, interaction_id)
        if assurance is None or assurance.level <= interaction.assurance.at(present.now).level:
            return Decision(present.known)
        raised = interaction.but(assurance=assurance)
        context = present.known.with_interaction(raised)
        event_id = f"{interaction_id}:identified:{present.version}"
        data = {"level": assurance.level, "method": assurance.method}
        event = interactions.happened(interaction, "identified", event_id, present.now, data)
        return Decision(shared(context, interaction_id, raised.level(present.now)), own([event]))

    return decide


def _adopting(home: Who, moved: moving.Bundle, move: Any, source: str) -> Callable[[Present], Decision]:
    """Return the decision by which the new home takes an interaction in."""

    def decide(present: Present) -> Decision:
        context = present.context or Context(customer_id=home.customer_id, known=move.known, created_at=present.now)
        if present.seen[0] is not None:
            return Decision(context)
        change = moving.adopt(context, moved, move, source, present.now)
        return Decision(change.context, own(change.events))

    return decide


def _staying(interaction_id: str) -> Callable[[Present], Decision]:
    """Return the decision by which an interaction stays, since it was to go to one who is this very customer now."""
    return lambda present: Decision(moving.stay(present.known, interaction_id).context)


def _releasing(interaction_id: str) -> Callable[[Present], Decision]:
    """Return the decision by which the old place forgets an interaction."""

    def decide(present: Present) -> Decision:
        if present.context is None:
            raise CustomerUnknown("there is no such customer")
        change = moving.release(present.context, interaction_id, present.now)
        return Decision(change.context, own(change.events))

    return decide


def _names(refs: Any) -> list[tuple[str, str, str]]:
    """Return other systems' names as plain texts."""
    return [(ref.system, ref.kind, ref.id) for ref in refs]


def _held_by(context: Context, via: Handoff, agent_id: str | None) -> Handoff | None:
    """Return the handoff by which an agent has the call whose token was shown, which may be a later one than that."""
    first = context.interactions.get(via.interaction_id)
    if first is None or agent_id is None:
        return None
    call = head(context, first).interaction_id
    held = [h for h in context.handoffs.values() if h.interaction_id == call and h.state == "accepted"]
    mine = [handoff for handoff in held if handoff.agent_id == agent_id]
    return max(mine, key=lambda handoff: (handoff.has_floor, handoff.accepted_at or handoff.offered_at), default=None)
