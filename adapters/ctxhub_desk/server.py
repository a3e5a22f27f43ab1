"""The desk's routes: the page, the login, and what the page asks, each handed to the hub with the agent's own key."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ctxhub.client import (
    AttemptSaid,
    Brief,
    Claim,
    ClaimRequest,
    ContextHub,
    CtxhubError,
    Degraded,
    Forbidden,
    HandoffView,
    Hubs,
    Invalid,
    OfferRequest,
    Opened,
    PresenceRequest,
    PresenceState,
    Revealed,
    Target,
    Telling,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unknown,
    told,
    why,
)
from ctxhub_desk.assets import CONTENT_SECURITY_POLICY, Asset, load_assets
from ctxhub_desk.overview import Overview, days_of, overview
from ctxhub_desk.sessions import Seal, Session
from ctxhub_desk.settings import DeskSettings
from ctxhub_desk.streams import Frames, customer_frames, followed, queue_frames, waiting
from ctxhub_desk.translate import (
    Already,
    Askable,
    Beside,
    CallShown,
    Entry,
    OfferShown,
    PresenceShown,
    Work,
    WorkHandoff,
    all_askable,
    beside,
    calls,
    entries,
    held,
    offer,
    presence,
    step_after,
    told_before,
    work,
)

COOKIE = "ctxhub_desk"
HEADER = "X-Ctxhub-Desk"
DEGRADED = "X-Ctxhub-Degraded"

ANSWERED_WITHIN = 5.0
READ_WITHIN = 2.5
MOST_VIEWS = 500
CLAIMED_FOR = 900

_PRINTED = r"^[^\x00-\x1f\x7f-\x9f]+$"
Id = Annotated[str, Field(pattern=_PRINTED, max_length=128)]
Name = Annotated[str, Field(pattern=_PRINTED, max_length=200)]
Lang = Annotated[Literal["en", "zh"], Query()]
Last = Annotated[str | None, Header()]


def _new_id() -> str:
    """Return an id for what the page gave none."""
    return f"desk-{secrets.token_urlsafe(12)}"


class Body(BaseModel):
    """What the page sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Login(Body):
    """Who sits down at the desk."""

    key: SecretStr
    agent_id: Id
    queue: Name


class Present(Body):
    """Whether the agent is there for work."""

    state: PresenceState


class Decline(Body):
    """Why an offer is left to others."""

    reason: Name


class Held(Body):
    """The fence under which the agent holds a handoff."""

    fence: int


class Complete(Held):
    """How it ended."""

    outcome: Name


class Return(Held):
    """What the bot needs to go on."""

    note: str
    step: Name | None = None


class Transfer(Held):
    """Who goes on with the customer, why, and what must be known for it; an `event_id` sent again offers once."""

    to: Target
    reason: Name
    note: str
    event_id: Id = Field(default_factory=_new_id)


class Dial(Body):
    """Which attempt at a callback is made now."""

    attempt: Annotated[int, Field(ge=1, le=10)]


class Attempted(Dial):
    """What came of it."""

    outcome: Literal["answered", "busy", "no_answer", "failed", "refused"]


class Claiming(Body):
    """Which step the agent does now, that must not be done twice."""

    interaction_id: Id
    step: Name


class Saying(Body):
    """Something told about the interaction; an `event_id` sent again takes effect once."""

    interaction_id: Id
    event_id: Id = Field(default_factory=_new_id)


class Message(Saying):
    """What the agent says to the customer; `spoken` when it was said aloud, on the phone."""

    fence: int
    spoken: bool = False
    text: Annotated[str, Field(min_length=1)]
    journey_id: Id | None = None


class Question(Message):
    """What the agent asks the customer for, and in which words."""

    names: Annotated[list[Name], Field(min_length=1, max_length=20)]
    purpose: Literal["ask", "confirm"] = "ask"
    anyway: bool = False


class FactTold(Saying):
    """A fact that the agent heard, confirmed or knows to be wrong."""

    name: Name
    value: Any
    how: Literal["stated", "confirmed", "rejected"]
    journey_id: Id | None = None


class Note(Saying):
    """A note for whoever comes next."""

    text: Annotated[str, Field(min_length=1)]


class StepDone(Saying):
    """A step that was done under a claim."""

    kind: Name
    step: Name
    fence: int


class Reveal(Body):
    """Which masked facts the agent must read, and why."""

    interaction_id: Id
    names: Annotated[list[Name], Field(min_length=1, max_length=20)]
    reason: Annotated[str, Field(min_length=3, max_length=500)]


class Glass(Body):
    """Why the agent must read a customer who is none of his work, and for how long."""

    reason: Annotated[str, Field(min_length=8, max_length=500)]
    minutes: Annotated[int, Field(ge=1, le=60)] = 15


class Agent(NamedTuple):
    """Who is at the desk, and the hub as this agent reaches it."""

    hub: ContextHub
    agent_id: str
    queue: str
    mark: str


class ProblemRoute(APIRoute):
    """A route whose refusals are problem documents, and whose answers no cache keeps."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with the hub's errors turned into answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                async with asyncio.timeout(ANSWERED_WITHIN):
                    response = await handle(request)
            except TimeoutError as error:
                response = _problem(Unavailable("the hub did not answer in time"), why(error))
            except (Unavailable, TooMany) as error:
                response = _problem(error, why(error))
            except CtxhubError as error:
                response = _problem(error)
            except RequestValidationError as error:
                response = _problem(_faults(error))
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers["X-Content-Type-Options"] = "nosniff"
            return response

        return answer


class Desk:
    """What every request needs: the page's files, the seal, the hub under each agent's key."""

    def __init__(self, hubs: Hubs, settings: DeskSettings) -> None:
        self.assets = load_assets()
        self.hubs = hubs
        self.settings = settings
        self.seal = Seal(settings.secret)
        self.degraded = Degraded("desk")
        self.views: OrderedDict[tuple[str, ...], Work] = OrderedDict()

    async def come_in(self, request: Request) -> None:
        """Let a route find this desk; a write must come from the page itself."""
        request.state.desk = self
        if request.method != "GET" and HEADER not in request.headers:
            raise Forbidden(f"writes come from the desk's own page, with the header {HEADER}")

    def session(self, cookie: str) -> Session | None:
        """Return the session that a cookie holds, if it is still good."""
        return self.seal.open(cookie, datetime.now(UTC))

    def agent_of(self, cookie: str) -> Agent:
        """Return who is logged in; `Unauthenticated` for nobody."""
        session = self.session(cookie)
        if session is None:
            raise Unauthenticated("log in at the desk first")
        key = session.key.get_secret_value()
        mark = hashlib.sha256(f"{session.agent_id}\n{key}".encode()).hexdigest()
        return Agent(self.hubs.with_key(key, session.agent_id), session.agent_id, session.queue, mark)

    def seen(self, key: tuple[str, ...], shown: Work) -> Work:
        """Remember what an agent has just seen, for while the hub is away."""
        self.degraded.over()
        self.views[key] = shown.model_copy(update={"as_of": datetime.now(UTC)})
        self.views.move_to_end(key)
        if len(self.views) > MOST_VIEWS:
            self.views.popitem(last=False)
        return shown

    def seen_before(self, key: tuple[str, ...], error: Exception) -> Work:
        """Return what an agent saw last, marked as old; without that the hub's absence is the answer."""
        if key not in self.views:
            raise error
        return self.views[key].model_copy(update={"degraded": self.degraded.note(error)})

    def asset(self, name: str) -> Asset:
        """Return one of the page's files."""
        found = self.assets.get(name)
        if found is None:
            raise Unknown(f"the desk has no file {name!r}")
        return found


async def _desk(request: Request) -> Desk:
    """Return the desk that a request came to."""
    desk: Desk = request.state.desk
    return desk


AtDesk = Annotated[Desk, Depends(_desk)]


async def _agent(desk: AtDesk, request: Request) -> Agent:
    """Return who asks."""
    return desk.agent_of(request.cookies.get(COOKIE, ""))


ByAgent = Annotated[Agent, Depends(_agent)]

page = APIRouter(prefix="/desk", route_class=ProblemRoute, include_in_schema=False)
api = APIRouter(prefix="/desk/api", route_class=ProblemRoute, include_in_schema=False)


def router(hubs: Hubs, settings: DeskSettings) -> APIRouter:
    """Return the desk, page and requests, below /desk/."""
    desk = Desk(hubs, settings)
    whole = APIRouter()
    for part in (page, api):
        whole.include_router(part, dependencies=[Depends(desk.come_in)])
    return whole


@page.get("")
async def to_the_page() -> RedirectResponse:
    """Lead to the page, whose links are relative to its folder."""
    return RedirectResponse("/desk/", 308)


@page.get("/")
async def show_page(request: Request, desk: AtDesk) -> Response:
    """Answer with the page."""
    return _file(request, desk.asset("index.html"))


@page.get("/overview")
async def show_overview_page(request: Request, desk: AtDesk) -> Response:
    """Answer with the supervisor's page; it holds no number itself."""
    return _file(request, desk.asset("overview.html"))


@page.get("/static/{name}")
async def show_file(request: Request, desk: AtDesk, name: str) -> Response:
    """Answer with one of the page's files."""
    return _file(request, desk.asset(name))


@api.post("/login")
async def log_in(desk: AtDesk, body: Login, response: Response) -> dict[str, Any]:
    """Check the key against the hub and seal it into the cookie: from here on no script sees it."""
    hub = desk.hubs.with_key(body.key.get_secret_value(), body.agent_id)
    await hub.handoffs.list(queue=body.queue)
    lasts = desk.settings.session_lasts
    session = Session(
        key=body.key, agent_id=body.agent_id, queue=body.queue, supervisor=await _reads_numbers(hub),
        ends_at=datetime.now(UTC) + lasts,
    )  # fmt: skip
    response.set_cookie(
        COOKIE, desk.seal.close(session), max_age=int(lasts.total_seconds()), path="/desk", httponly=True,
        samesite="strict", secure=desk.settings.secure,
    )  # fmt: skip
    return _who(session)


def _who(session: Session) -> dict[str, Any]:
    """Say who is at the desk."""
    return session.model_dump(include={"agent_id", "queue", "supervisor"})


async def _reads_numbers(hub: ContextHub) -> bool:
    """Tell whether a key may see the overview."""
    try:
        await hub.numbers()
    except Forbidden:
        return False
    return True


@api.post("/logout", status_code=204)
async def log_out(response: Response) -> None:
    """Forget who was at the desk."""
    response.delete_cookie(COOKIE, path="/desk", httponly=True, samesite="strict")


@api.get("/session")
async def who_am_i(request: Request, desk: AtDesk) -> dict[str, Any] | None:
    """Say who is logged in; null for nobody, which is no fault in who only asks."""
    session = desk.session(request.cookies.get(COOKIE, ""))
    return _who(session) if session else None


@api.get("/overview")
async def show_overview(
    agent: ByAgent,
    days: Annotated[int, Query(ge=1, le=90)] = 7,
    channel: Annotated[str | None, Query(pattern="^[a-z][a-z0-9_-]{0,39}$")] = None,
    lang: Lang = "en",
) -> Overview:
    """Show the numbers of the last days, and the promises that are late."""
    tenant = await agent.hub.tenants.read()
    first, last = days_of(tenant, datetime.now(UTC), days)
    numbers = await agent.hub.numbers(first=first, last=last, channel=channel, lang=lang)
    late = await agent.hub.commitments.list(state="overdue", limit=50)
    return overview(numbers, late, tenant, lang)


@api.get("/queue")
async def show_queue(agent: ByAgent) -> dict[str, Any]:
    """List the handoffs that wait in the queue, or for this agent by name."""
    return {"queue": agent.queue, "offers": await waiting(agent.hub, agent.queue, agent.agent_id)}


@api.get("/held")
async def show_held(agent: ByAgent) -> dict[str, list[WorkHandoff]]:
    """List what this agent holds of the queue, or was offered by name."""
    listing = agent.hub.handoffs.list
    of_queue, by_name = await asyncio.gather(
        listing(queue=agent.queue, state="accepted"), listing(agent_id=agent.agent_id, state="accepted")
    )
    return {"held": held([*of_queue, *by_name], agent.agent_id)}


@api.get("/queue/stream")
async def follow_queue(desk: AtDesk, agent: ByAgent, last_event_id: Last = None, after: str | None = None) -> Response:
    """Follow the waiting handoffs."""
    return _stream(desk, queue_frames(agent.hub, agent.queue, agent.agent_id, last_event_id or after))


@api.get("/calls")
async def list_calls(agent: ByAgent) -> dict[str, list[CallShown]]:
    """List the calls that ring at the agent's phone now or have him on the line."""
    return {"calls": calls(await agent.hub.interactions.list(agent_id=agent.agent_id), agent.agent_id)}


@api.get("/presence")
async def show_presence(agent: ByAgent) -> PresenceShown:
    """Show whether the agent is there for work."""
    return presence(await agent.hub.agents.show(agent.agent_id), await agent.hub.tenants.read(), agent.queue)


@api.post("/presence")
async def be_present(agent: ByAgent, body: Present) -> PresenceShown:
    """Say whether the agent is there for work, from the queue that he follows; it lasts as long as he follows it."""
    said = PresenceRequest(state=body.state, queues=[agent.queue])
    return presence(await agent.hub.agents.say(agent.agent_id, said), await agent.hub.tenants.read(), agent.queue)


@api.get("/handoffs/{handoff_id}")
async def show_handoff(
    desk: AtDesk,
    agent: ByAgent,
    response: Response,
    handoff_id: str,
    lang: Lang = "en",
    min_version: int | None = None,
) -> Work:
    """Show one handoff with all that came along; while the hub is away, as this agent saw it last."""
    key = (agent.mark, handoff_id, lang)
    try:
        async with asyncio.timeout(READ_WITHIN):
            return desk.seen(key, await _seen_now(agent, handoff_id, lang, min_version))
    except (Unavailable, TooMany, TimeoutError) as error:
        shown = desk.seen_before(key, error)
        response.headers[DEGRADED] = str(shown.degraded)
        return shown


async def _seen_now(agent: Agent, handoff_id: str, lang: Lang, min_version: int | None) -> Work:
    """Return a handoff as it stands; who is refused reads whose it is, and may give a reason to look."""
    try:
        handoff = await agent.hub.handoffs.get(handoff_id)
    except Forbidden as refusal:
        of_the_queue = refusal.ids.get("queue") == agent.queue
        raise _about(refusal.ids.get("customer_id") if of_the_queue else None, refusal) from refusal
    try:
        context = await agent.hub.contexts.read(
            handoff.customer_id, interaction_id=handoff.interaction_id, events=100, min_version=min_version
        )
    except Forbidden as refusal:
        raise _about(handoff.customer_id, refusal) from refusal
    return work(handoff, context, await agent.hub.tenants.read(), agent.agent_id, lang)


def _about(customer_id: str | None, refusal: Forbidden) -> Forbidden:
    """Return a refusal that names the customer, where that is known and the agent's queue has told it."""
    ids = {name: each for name, each in refusal.ids.items() if name != "customer_id"}
    return Forbidden(refusal.detail, **ids | ({"customer_id": customer_id} if customer_id else {}))


@api.post("/handoffs/{handoff_id}/accept")
async def accept(desk: AtDesk, agent: ByAgent, handoff_id: str, lang: Lang = "en") -> Work:
    """Take a handoff and show it; whoever comes second is told who has it."""
    accepted = await agent.hub.handoffs.accept(handoff_id, agent.agent_id)
    tenant = await agent.hub.tenants.read()
    shown = work(accepted.handoff, accepted.context, tenant, agent.agent_id, lang, accepted.fence)
    return desk.seen((agent.mark, handoff_id, lang), shown)


@api.post("/handoffs/{handoff_id}/dial")
async def dial(agent: ByAgent, handoff_id: str, body: Dial) -> dict[str, Any]:
    """Take the attempt at a callback that the agent holds, with the number; again, the same while it lasts."""
    dialled = await agent.hub.handoffs.dial(handoff_id, key=f"desk-{handoff_id}-{body.attempt}-{agent.mark}")
    return {"attempt": dialled.attempt, "number": dialled.number, "version": dialled.handoff.version}


@api.post("/handoffs/{handoff_id}/attempts")
async def attempted(agent: ByAgent, handoff_id: str, body: Attempted) -> dict[str, OfferShown]:
    """Say what came of the attempt."""
    said = AttemptSaid(attempt=body.attempt, outcome=body.outcome, agent_id=agent.agent_id)
    return _shown(await agent.hub.handoffs.attempted(handoff_id, said))


@api.post("/handoffs/{handoff_id}/decline")
async def decline(agent: ByAgent, handoff_id: str, body: Decline) -> dict[str, OfferShown]:
    """Leave a handoff to others."""
    return _shown(await agent.hub.handoffs.decline(handoff_id, agent.agent_id, body.reason))


@api.post("/handoffs/{handoff_id}/receipt")
async def receive(agent: ByAgent, handoff_id: str) -> dict[str, OfferShown]:
    """Say that the agent was shown the context."""
    return _shown(await agent.hub.handoffs.receipt(handoff_id, agent.agent_id))


@api.post("/handoffs/{handoff_id}/renew")
async def renew(agent: ByAgent, handoff_id: str, body: Held) -> dict[str, Any]:
    """Hold it for another lease."""
    handoff = await agent.hub.handoffs.renew(handoff_id, agent.agent_id, body.fence)
    return {"handoff": offer(handoff), "lease_ends": handoff.lease_ends}


@api.post("/handoffs/{handoff_id}/complete")
async def complete(agent: ByAgent, handoff_id: str, body: Complete) -> dict[str, OfferShown]:
    """Finish it."""
    return _shown(await agent.hub.handoffs.complete(handoff_id, agent.agent_id, body.fence, body.outcome))


@api.post("/handoffs/{handoff_id}/return")
async def give_back(agent: ByAgent, handoff_id: str, body: Return) -> dict[str, OfferShown]:
    """Give it back to the bot, to go on at a step."""
    returned = await agent.hub.handoffs.give_back(
        handoff_id, agent.agent_id, body.fence, note=body.note, step=body.step
    )
    return _shown(returned.handoff)


@api.get("/queues")
async def list_queues(agent: ByAgent) -> dict[str, list[str]]:
    """List the other queues that the tenant declares."""
    return {"queues": sorted((await agent.hub.tenants.read()).queues.keys() - {agent.queue})}


@api.post("/handoffs/{handoff_id}/transfer", status_code=201)
async def transfer(agent: ByAgent, handoff_id: str, body: Transfer) -> dict[str, OfferShown]:
    """Offer the customer to a queue or a colleague; the agent keeps the floor until somebody there takes over."""
    held = await agent.hub.handoffs.get(handoff_id)
    request = OfferRequest(
        customer_id=held.customer_id, interaction_id=held.interaction_id, journey_id=held.journey_id, mode="warm",
        reason=body.reason, note=body.note or None, to=body.to, fence=body.fence,
    )  # fmt: skip
    offered = await agent.hub.handoffs.offer(request, key=f"transfer-{handoff_id}-{body.event_id}")
    return _shown(offered.handoff)


@api.post("/handoffs/{handoff_id}/cancel")
async def take_back(agent: ByAgent, handoff_id: str) -> dict[str, OfferShown]:
    """Take an offer back to which nobody has come yet."""
    return _shown(await agent.hub.handoffs.cancel(handoff_id))


@api.get("/customers/{customer_id}/stream")
async def follow_customer(
    desk: AtDesk,
    agent: ByAgent,
    customer_id: str,
    interaction_id: Id,
    last_event_id: Last = None,
    after: int | None = None,
    lang: Lang = "en",
) -> Response:
    """Follow what happens to the customer."""
    frames = customer_frames(agent.hub, customer_id, interaction_id, _last_version(last_event_id, after), lang)
    return _stream(desk, frames)


@api.get("/customers/{customer_id}")
async def show_customer(agent: ByAgent, customer_id: str, lang: Lang = "en") -> Beside:
    """Show a customer outside of any handoff; refused to whom neither work nor a reason lets in, and never kept."""
    context = await agent.hub.contexts.read(customer_id, events=100)
    return beside(context, await agent.hub.tenants.read(), lang)


@api.post("/customers/{customer_id}/access", status_code=201)
async def break_glass(agent: ByAgent, customer_id: str, body: Glass) -> Opened:
    """Open a customer to the agent for some minutes; supervisors read who, why and when."""
    return await agent.hub.customers.open_to(customer_id, agent.agent_id, reason=body.reason, minutes=body.minutes)


@api.post("/customers/{customer_id}/reveal")
async def reveal(agent: ByAgent, customer_id: str, body: Reveal) -> Revealed:
    """Read masked values; the hub answers only after it has noted who, which and why."""
    return await agent.hub.customers.reveal(
        customer_id, body.interaction_id, body.names, reason=body.reason, agent_id=agent.agent_id
    )


@api.get("/customers/{customer_id}/timeline")
async def show_timeline(
    agent: ByAgent, customer_id: str, interaction_id: Id, before: int | None = None, lang: Lang = "en"
) -> dict[str, Any]:
    """Show what happened earlier."""
    events = await agent.hub.contexts.timeline(customer_id, before=before, interaction_id=interaction_id)
    shown: list[Entry] = entries(events.events, await agent.hub.tenants.read(), lang)
    return {"events": shown, "next": events.next}


@api.get("/customers/{customer_id}/brief")
async def tell_briefly(
    agent: ByAgent,
    customer_id: str,
    interaction_id: Id,
    max_chars: Annotated[int, Query(ge=80, le=4000)] = 600,
    min_version: int | None = None,
    lang: Lang = "en",
) -> Brief:
    """Tell the customer in a few sentences, each with the events that it rests on."""
    return await agent.hub.contexts.brief(
        customer_id, lang=lang, max_chars=max_chars, interaction_id=interaction_id, min_version=min_version
    )


@api.post("/customers/{customer_id}/messages")
async def say(desk: AtDesk, agent: ByAgent, response: Response, customer_id: str, body: Message) -> dict[str, Any]:
    """Say something to the customer."""
    return await _tell(desk, agent, response, customer_id, body.event_id, _words(body, body.event_id))


@api.post("/customers/{customer_id}/questions")
async def ask(agent: ByAgent, customer_id: str, body: Question, lang: Lang = "en") -> dict[str, Any]:
    """Ask the customer for facts, unless they were told before: then say so and send nothing."""
    careful = body.purpose == "ask" and not body.anyway
    already = await _already_told(agent, customer_id, body, lang) if careful else []
    if already:
        return {"sent": False, "already": already}
    asked = told(
        "question.asked", interaction_id=body.interaction_id, party="agent", journey_id=body.journey_id,
        event_id=body.event_id, names=body.names, purpose=body.purpose,
    )  # fmt: skip
    kept = await agent.hub.events.tell(customer_id, asked, _words(body, f"{body.event_id}-words"))
    return {"sent": True, "version": kept.version, "repeat": kept.results[0].repeat or []}


@api.post("/customers/{customer_id}/facts")
async def tell_fact(
    desk: AtDesk, agent: ByAgent, response: Response, customer_id: str, body: FactTold
) -> dict[str, Any]:
    """Keep what the agent heard or confirmed."""
    fact = told(
        f"fact.{body.how}", interaction_id=body.interaction_id, party="agent", journey_id=body.journey_id,
        event_id=body.event_id, name=body.name, value=body.value,
    )  # fmt: skip
    return await _tell(desk, agent, response, customer_id, body.event_id, fact)


@api.post("/customers/{customer_id}/notes")
async def add_note(desk: AtDesk, agent: ByAgent, response: Response, customer_id: str, body: Note) -> dict[str, Any]:
    """Keep a note."""
    note = told("note.added", interaction_id=body.interaction_id, party="agent", event_id=body.event_id, text=body.text)
    return await _tell(desk, agent, response, customer_id, body.event_id, note)


@api.post("/customers/{customer_id}/journeys/{journey_id}/claim")
async def claim(agent: ByAgent, customer_id: str, journey_id: str, body: Claiming) -> Claim:
    """Claim a step before doing it; whoever comes second is told who does it, and until when."""
    wanted = ClaimRequest(
        step=body.step, by=agent.agent_id, for_seconds=CLAIMED_FOR, interaction_id=body.interaction_id
    )
    return await agent.hub.journeys.claim(customer_id, journey_id, wanted)


@api.post("/customers/{customer_id}/journeys/{journey_id}/done")
async def step_done(agent: ByAgent, customer_id: str, journey_id: str, body: StepDone) -> dict[str, Any]:
    """Say that a claimed step is done: the journey goes on to the next one, or is completed."""
    after = step_after(await agent.hub.tenants.read(), body.kind, body.step)
    how: dict[str, Any] = {"step": after} if after else {}
    done = told(
        "journey.advanced" if after else "journey.completed", interaction_id=body.interaction_id, party="agent",
        journey_id=journey_id, event_id=body.event_id, fence=body.fence, **how,
    )  # fmt: skip
    kept = await agent.hub.events.tell(customer_id, done)
    return {"version": kept.version}


@api.get("/facts")
async def list_askable(agent: ByAgent, lang: Lang = "en", speak: str = "en") -> list[Askable]:
    """List what a customer can be asked for."""
    return all_askable(await agent.hub.tenants.read(), lang, speak)


async def _tell(
    desk: Desk, agent: Agent, response: Response, customer_id: str, event_id: str, telling: Telling
) -> dict[str, Any]:
    """Tell one event; while the hub is away it is kept, and told under the agent's own key when it is back."""
    try:
        async with asyncio.timeout(READ_WITHIN):
            answer = await agent.hub.spool.tell(customer_id, telling)
    except TimeoutError:
        answer = await agent.hub.spool.tell(customer_id, telling, now=False)
    if not answer.kept:
        desk.degraded.over()
        return {"version": answer.version, "event_id": event_id}
    response.status_code = 202
    response.headers[DEGRADED] = desk.degraded.note(Unavailable("kept", hub=agent.hub.away.state))
    return {"version": None, "event_id": event_id, "kept": True}


async def _already_told(agent: Agent, customer_id: str, body: Question, lang: str) -> list[Already]:
    """Return what of a question need not be asked."""
    answers = await agent.hub.asks.may_i_ask(customer_id, body.interaction_id, body.names, journey_id=body.journey_id)
    return told_before(answers, await agent.hub.tenants.read(), lang)


def _words(body: Message, event_id: str) -> Telling:
    """Make the message: what was said aloud is reported, what is written needs the floor."""
    floor: dict[str, Any] = {"delivered": True} if body.spoken else {"fence": body.fence}
    return told(
        "message.sent", interaction_id=body.interaction_id, party="agent", journey_id=body.journey_id,
        event_id=event_id, text=body.text, **floor,
    )  # fmt: skip


def _shown(handoff: HandoffView) -> dict[str, OfferShown]:
    """Show a handoff after something was done to it."""
    return {"handoff": offer(handoff)}


def _stream(desk: Desk, frames: Frames) -> Response:
    """Answer with a stream that ends when the server stops."""
    words = followed(frames, desk.hubs.stopping, desk.settings.beat)
    return StreamingResponse(words, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _last_version(last_event_id: str | None, after: int | None) -> int | None:
    """Return after which version a browser goes on: its last event's, else the one that the page asked for."""
    last = last_event_id or ""
    return int(last) if last.isascii() and last.isdigit() else after


def _file(request: Request, asset: Asset) -> Response:
    """Answer with a file, or that the browser's own copy is still good."""
    headers = {
        "ETag": asset.etag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Referrer-Policy": "no-referrer",
    }
    if request.headers.get("If-None-Match") == asset.etag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


def _problem(error: CtxhubError, degraded: str | None = None) -> Response:
    """Turn a refusal into a problem document; `degraded` where the hub is the reason."""
    document = error.ids | {
        "title": error.title, "status": error.status, "code": error.code, "detail": error.detail,
        "remedy": error.remedy,
    }  # fmt: skip
    headers = {DEGRADED: degraded} if degraded else None
    return JSONResponse(document, error.status, headers, media_type="application/problem+json")


def _faults(error: RequestValidationError) -> Invalid:
    """Say which fields of a request have faults."""
    faults = [
        {"pointer": "".join(f"/{part}" for part in fault["loc"][1:]), "detail": fault["msg"]}
        for fault in error.errors()
    ]
    return Invalid("the request has faults", errors=faults)
