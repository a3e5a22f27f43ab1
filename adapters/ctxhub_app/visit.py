"""One visit to the app: joins what the customer does, what the hub knows, and what the app shows."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ctxhub.client import (
    AlreadyOffered,
    AtWork,
    ContextHub,
    CtxhubError,
    EventIdReused,
    InteractionEnded,
    Invalid,
    JourneyUnknown,
    JourneyView,
    Offered,
    OfferRequest,
    Secure,
    SecureAnswer,
    Start,
    Target,
    Telling,
    Tenant,
    Told,
    Unavailable,
    WrongState,
    told,
)
from ctxhub_app import translate
from ctxhub_app.lines import Lines
from ctxhub_app.login import Proven
from ctxhub_app.refusals import LoginNeeded, NobodyThere
from ctxhub_app.secrets import Secrets
from ctxhub_app.sessions import Session
from ctxhub_app.settings import AppChannel
from ctxhub_app.translate import (
    CHANNEL,
    SPOKEN,
    SYSTEM,
    Acting,
    Calling,
    Giving,
    Going,
    Home,
    Saying,
    Scene,
    SecretGiven,
    Teller,
    Wanting,
)

_RECENT = 100
_WAITS_FOR_A_HUMAN = 3600
_GOES_ON_WITHIN = 900
_MOST_TRIES = 3
_BY_SECRET = 2
_REACHED = {"app", "chat", "ivr", "voice", "web"}
_ACTS = {"resume": "journey.resumed", "decline": "journey.declined", "abandon": "journey.abandoned"}


class Place(NamedTuple):
    """Whose app it is: the hub under this tenant's key, what the tenant declares, and its queues.

    `ends_at` is when a request must be answered, by the loop's time; `unread` is why the declarations are not known.
    """

    hub: ContextHub
    tenant: Tenant
    channel: AppChannel
    lines: Lines
    ends_at: float
    secrets: Secrets
    unread: Exception | None = None


class Outcome(NamedTuple):
    """What a request comes to: where everything stands, and what else there is to say."""

    home: Home
    beside: dict[str, Any] = {}


class Visit:
    """A customer's visit, as its session leads to it; `session` follows where the customer moves."""

    def __init__(self, place: Place, session: Session) -> None:
        self.hub = place.hub
        self.session = session
        self._has_kept = False
        self._untold: tuple[Telling, ...] = ()
        self._place = place

    async def look(self, min_version: int | None = None) -> Scene:
        """Read where the visit stands now."""
        at = self.session.interaction_id
        view = await self.hub.contexts.read(
            self.session.customer_id, interaction_id=at, events=_RECENT, min_version=min_version
        )
        self.session = self.session.model_copy(update={"customer_id": view.customer_id})
        # Found again by its own id: what is worth going on with, and what goes on elsewhere, comes with a start.
        found = Start(channel=CHANNEL, system=SYSTEM, external_id=self.session.external_id)
        started = await self.hub.interactions.start(found, key=f"look@{at}")
        return Scene(started, view, self._place.tenant, self._place.channel, self.session.lang)

    async def everything(self, min_version: int | None = None) -> Outcome:
        """Return all that the app shows."""
        return await self._outcome(await self.look(min_version))

    async def come_back(self) -> Outcome:
        """Take up a visit again; one that silence had ended goes on, one that was left is over."""
        scene = await self.look()
        if scene.mine.state == "open":
            return await self._outcome(scene)
        opened = told("x.app.opened", interaction_id=scene.mine.interaction_id, party="customer")
        return await self._after(opened)

    async def log_in(self, op_id: str, proven: Proven) -> Outcome:
        """Know the customer more surely from now on."""
        scene = await self.look()
        if not translate.outranks(proven, scene.mine, now()):
            return await self._outcome(scene)
        return await self._after(self._teller(op_id).raised(proven))

    async def want(self, wanting: Wanting) -> Outcome:
        """Begin something, or go on with what is under way of that kind."""
        begun = self._teller(wanting.op_id).tell("journey.started", kind=wanting.kind, find=True)
        kept = await self._tell(begun)
        outcome = await self.everything(kept.version)
        return Outcome(outcome.home, {"journey_id": kept.results[0].journey_id})

    async def act(self, journey_id: str, acting: Acting) -> Outcome:
        """Go on with a journey, leave it for now, or give it up."""
        return await self._after(self._teller(acting.op_id).tell(_ACTS[acting.act], "", journey_id))

    async def open_form(self, journey_id: str, op_id: str) -> Outcome:
        """Ask the hub what may be asked for a journey; what is known is shown, and what is asked is told."""
        scene = await self.look()
        if not scene.discloses:
            raise LoginNeeded("log in first: a form says what is known")
        journey = _journey(scene, journey_id)
        names = translate.names_to_show(journey, scene.tenant.kind(journey.kind))
        at, by = self.session.interaction_id, self._teller(op_id)
        answers = await self.hub.asks.may_i_ask(self.session.customer_id, at, names, journey_id=journey_id)
        turned = [] if journey_id == scene.mine.journey_id else [by.tell("journey.resumed", "turn_to", journey_id)]
        outcome = await self._after(*turned, *by.asked(answers, journey_id))
        return Outcome(
            outcome.home,
            {"form": translate.form(answers, scene.tenant, scene.lang, self._secure), "journey_id": journey_id},
        )

    async def give(self, giving: Giving) -> Outcome:
        """Take what the customer says, and move the journey on as far as that brings it."""
        if any(fact.name in self._secure for fact in giving.facts):
            raise Invalid.field("/facts", "one of them is asked for in secret: send it to secrets, by itself")
        by = self._teller(giving.op_id)
        kept = await self._tell(*by.given(giving))
        scene = await self.look(kept.version)
        moved = _moved(scene, giving, by)
        if moved is None:
            return await self._outcome(scene)
        with suppress(AtWork, WrongState, EventIdReused):  # somebody else moves it on: the facts are kept all the same
            kept = await self._tell(moved)
        return await self.everything(kept.version)

    async def give_secret(self, giving: SecretGiven) -> Outcome:
        """Have a secret answer checked; its result is told, and nothing else of it."""
        secure = self._secure.get(giving.name)
        if secure is None:
            raise Invalid.field("/name", "nothing secret is asked for under this name")
        scene, by = await self.look(), self._teller(giving.op_id)
        before = translate.checked_before(scene.view.recent, giving.name, self.session.interaction_id)
        again = before.get(by.tell("input.collected", "secret").event_id or "")
        if again is not None or list(before.values()).count("refused") >= _MOST_TRIES:
            return Outcome((await self._outcome(scene)).home, {"outcome": again or "refused"})
        answer = await self._check(secure, giving)
        if answer is None:
            return Outcome((await self._outcome(scene)).home, {"outcome": "unchecked"})
        kept = await self._tell(*by.checked(giving, answer), *self._proofs(scene, by, secure, answer))
        return Outcome((await self.everything(kept.version)).home, {"outcome": answer.outcome})

    async def _check(self, secure: Secure, giving: SecretGiven) -> SecureAnswer | None:
        """Ask the tenant's hook; one that names another customer than who has logged in has refused."""
        at, customer_id = self.session.interaction_id, self.session.customer_id
        asked = {"interaction_id": at, "customer_id": customer_id, "prompt": giving.name}
        message_id, keyed = f"{giving.op_id}@{at}", giving.secret.get_secret_value()
        answer = await self._place.secrets.check(secure, message_id, asked, keyed)
        if answer is not None and answer.customer_id not in (None, customer_id):
            return SecureAnswer(outcome="refused")
        return answer

    @staticmethod
    def _proofs(scene: Scene, by: Teller, secure: Secure, answer: SecureAnswer) -> list[Telling]:
        """Tell that a PIN or a code proves the customer anew, where no surer proof stands."""
        proves = answer.outcome == "accepted" and secure.kind != "pan" and scene.mine.assurance.level <= _BY_SECRET
        return [by.proven(secure.kind)] if proves else []

    @property
    def _secure(self) -> dict[str, Secure]:
        return self._place.secrets.asked_by(self._place.channel)

    async def say(self, saying: Saying) -> Outcome:
        """Take what the customer says to whoever has the floor, or will have it."""
        with suppress(Unavailable):  # nobody knows then who is there: better kept than lost
            scene = await self.look()
            if translate.status_of(scene.mine) not in ("waiting", "agent"):
                raise NobodyThere("no person has the floor, and none is waited for")
        return await self._after(self._teller(saying.message_id).tell("message.received", text=saying.text))

    async def call(self, calling: Calling) -> Outcome:
        """Ask for a person; asking again while waiting changes nothing."""
        target, at = Target(queue=self._place.channel.queue), self.session.interaction_id
        request = self._offer(target, calling.reason, _WAITS_FOR_A_HUMAN, calling.journey_id)
        try:
            offered = await self.hub.handoffs.offer(request, key=f"{calling.op_id}@{at}")
        except AlreadyOffered:
            return await self._again(request, f"{calling.op_id}@{at}")
        way = translate.way(offered.handoff, self._place.channel)
        return Outcome((await self.everything(offered.handoff.version)).home, {"way": way})

    async def stop_waiting(self) -> Outcome:
        """Take back what is on offer."""
        await self._cancel(await self.look(), any_target=True)
        return await self.everything()

    async def go(self, going: Going) -> Outcome:
        """Let the customer go on in another channel; a way that was not taken gives way to this one."""
        if going.to not in _REACHED | set(self._place.tenant.channels):
            raise Invalid.field("/to", "is none of the company's channels")
        request = self._offer(Target(channel=going.to), f"goes on in {going.to}", _GOES_ON_WITHIN, None)
        request = request.but(announce=going.to in SPOKEN)
        key = f"{going.op_id}@{self.session.interaction_id}"
        try:
            offered = await self.hub.handoffs.offer(request, key=key)
        except AlreadyOffered:
            offered = await self._go_again(request, going.to, key)
        way = translate.way(offered.handoff, self._place.channel)
        return Outcome((await self.everything(offered.handoff.version)).home, {"way": way})

    async def _go_again(self, request: OfferRequest, to: str, key: str) -> Offered:
        """Let a customer who waits go on with the place in the line; another way that was not taken gives way."""
        scene = await self.look()
        if scene.mine.waits is None:
            await self._cancel(scene, any_target=False)
            return await self.hub.handoffs.offer(request, key=key)
        return await self.hub.handoffs.elsewhere(
            scene.mine.waits.handoff_id, to, delivery="signal", expires_in=_GOES_ON_WITHIN, announce=request.announce,
            key=key,
        )  # fmt: skip

    async def leave(self) -> None:
        """End the visit; whoever waited for a person has left, and nobody is logged in any more."""
        over = told("assurance.revoked", interaction_id=self.session.interaction_id, party="customer", reason="left")
        with suppress(InteractionEnded):  # it is sent again, or silence was faster
            await self.hub.events.tell(self.session.customer_id, over)
        await self.hub.interactions.end(self.session.customer_id, self.session.interaction_id)

    def _teller(self, op_id: str) -> Teller:
        return Teller(op_id, self.session.interaction_id)

    async def _after(self, *events: Telling) -> Outcome:
        """Tell what happened, and return where everything stands then."""
        kept = await self._tell(*events) if events else None
        return await self.everything(kept.version if kept else None)

    async def _tell(self, *events: Telling) -> Told:
        """Tell what happened; while the hub is away it is kept, where there is a spool, and `Unavailable` says so."""
        self._untold = events
        try:
            kept = await self.hub.spool.tell(self.session.customer_id, *events)
        except CtxhubError:
            self._untold = ()
            raise
        self._untold, self._has_kept = (), kept.kept
        if kept.kept:
            raise Unavailable("the hub is away; what was told is kept, and told later", hub=self.hub.away.state)
        return kept

    async def has_kept(self) -> bool:
        """Tell whether what there was to tell is kept; what time ran out for is seen to now."""
        if self._untold and self.hub.spool.keeps:
            with suppress(CtxhubError):
                await self.hub.spool.tell(self.session.customer_id, *self._untold, now=False)
                self._has_kept = True
        return self._has_kept

    async def _outcome(self, scene: Scene) -> Outcome:
        waiting = translate.waiting_in_sight(scene)
        lines = await self._place.lines.of(self.hub, scene.tenant.tenant, waiting)
        return Outcome(translate.home(scene, lines))

    def _offer(self, to: Target, reason: str, expires_in: int, journey_id: str | None) -> OfferRequest:
        return OfferRequest(
            customer_id=self.session.customer_id,
            interaction_id=self.session.interaction_id,
            journey_id=journey_id,
            reason=reason,
            to=to,
            expires_in=expires_in,
            delivery="signal",
        )

    async def _again(self, request: OfferRequest, key: str) -> Outcome:
        """Return where things stand while waiting already; a way to another channel that was not taken gives way."""
        scene = await self.look()
        if scene.mine.waits is not None:
            return await self._outcome(scene)
        await self._cancel(scene, any_target=False)
        offered = await self.hub.handoffs.offer(request, key=key)
        way = translate.way(offered.handoff, self._place.channel)
        return Outcome((await self.everything(offered.handoff.version)).home, {"way": way})

    async def _cancel(self, scene: Scene, *, any_target: bool) -> None:
        """Take back the visit's open offers: those to other channels, or all."""
        for handoff in translate.offers_of(scene.view, self.session.interaction_id):
            if any_target or handoff.to.channel is not None:
                with suppress(WrongState):  # somebody took it just now
                    await self.hub.handoffs.cancel(handoff.handoff_id)


def _journey(scene: Scene, journey_id: str) -> JourneyView:
    """Return one of the journeys in sight."""
    found = next((one for one in scene.view.journeys if one.journey_id == journey_id), None)
    if found is None:
        raise JourneyUnknown(f"there is no open journey {journey_id}", journey_id=journey_id)
    return found


def _moved(scene: Scene, giving: Giving, by: Teller) -> Telling | None:
    """Return the event that moves a journey on, where what was given brings it further."""
    journey = next((one for one in scene.view.journeys if one.journey_id == giving.journey_id), None)
    step = translate.next_step(journey, scene.tenant.kind(journey.kind)) if journey else None
    if journey is None or step is None:
        return None
    return by.tell("journey.advanced", f"step.{step}"[:40], journey.journey_id, step=step)


def now() -> datetime:
    """Return the time, for what is sealed and compared."""
    return datetime.now(UTC)
