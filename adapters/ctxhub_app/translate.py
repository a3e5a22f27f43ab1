"""What passes between app and hub, as values: requests up to events, context down to what the app shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from ctxhub.client import (
    Answer,
    AssuranceClaim,
    Commitment,
    ContextView,
    Event,
    FactView,
    HandoffHint,
    HandoffView,
    InteractionUnknown,
    InteractionView,
    Invalid,
    JourneyView,
    Kind,
    Offer,
    QueueView,
    Secure,
    SecureAnswer,
    SecureKind,
    Start,
    Started,
    Telling,
    Tenant,
    Waiting,
    told,
)
from ctxhub_app.login import Proven
from ctxhub_app.say import (
    COMPLAINT,
    HTML_LANG,
    Lang,
    in_language,
    label_of_channel,
    label_of_fact,
    label_of_kind,
    label_of_step,
    say,
    value_aloud,
    whence,
)
from ctxhub_app.settings import AppChannel

CHANNEL = "app"
SYSTEM = "ctxhub-app"
#: Channels that are telephone calls.
SPOKEN = ("ivr", "voice")
#: From this level on it may be said what a matter is about.
DISCLOSED_FROM = 2

Status = Literal["self", "waiting", "agent", "ended"]
How = Literal["stated", "confirmed", "rejected"]
B = TypeVar("B", bound=BaseModel)

_SURE_STATES = ("verified", "confirmed")
_SURE_ENOUGH = 0.8
_LONGEST_PROOF = 4096
_NOTICES = {
    "handoff.accepted": "notice_agent",
    "handoff.completed": "notice_over",
    "handoff.returned": "notice_over",
    "handoff.lapsed": "notice_again",
    "handoff.expired": "notice_nobody",
}


def _writable(text: str) -> str:
    """Refuse a text that can't be sent on in UTF-8."""
    if not text.isprintable() and any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("half a character can't be sent")
    return text


Secret = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{16,64}$")]
OpId = Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,64}$")]
Token = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_writable)]
Text = Annotated[str, Field(min_length=1, max_length=64 * 1024), AfterValidator(_writable)]
HubId = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,128}$"), AfterValidator(_writable)]


class _Wire(BaseModel):
    """A value on its way to or from the app; fields that are not known are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# What comes up


class Login(_Wire):
    """How the customer proves who they are: an assertion that the company signed, or whatever its hook understands."""

    assertion: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    proof: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Login:
        """Refuse none, or both; and a proof that is too long to be one."""
        if (self.assertion is None) == (self.proof is None):
            raise ValueError("give an assertion or a proof")
        if self.proof is not None and len(repr(self.proof)) > _LONGEST_PROOF:
            raise ValueError(f"a proof has at most {_LONGEST_PROOF} characters")
        return self


class Opening(_Wire):
    """An app begins a visit, or comes back to it; `cookie` asks for the session as one, for pages."""

    visit: Secret
    login: Login | None = None
    token: Token | None = None
    lang: Annotated[str, Field(max_length=40)] | None = None
    cookie: bool = False


class LoggingIn(_Wire):
    """The customer logs in, or proves more, in a visit that has begun."""

    login: Login


class Resuming(_Wire):
    """A resume link was opened in a visit that has begun."""

    token: Token


class Wanting(_Wire):
    """The customer chooses something to be done; what is under way of that kind goes on."""

    op_id: OpId
    kind: Name


class Acting(_Wire):
    """The customer goes on with a matter, leaves it for now, or gives it up."""

    op_id: OpId
    act: Literal["resume", "decline", "abandon"]


class Operation(_Wire):
    """Something done once, however often it is sent."""

    op_id: OpId


class FactGiven(_Wire):
    """A fact that the customer gives, confirms, or says is wrong."""

    name: Name
    value: Any = None
    how: How = "stated"

    @model_validator(mode="after")
    def _something(self) -> FactGiven:
        """Refuse a fact without a value; only a rejection may go without."""
        if self.value is None and self.how != "rejected":
            raise ValueError("a fact needs a value")
        return self


class Giving(Operation):
    """The facts of a form."""

    journey_id: HubId | None = None
    facts: Annotated[list[FactGiven], Field(min_length=1, max_length=40)]


class SecretGiven(Operation):
    """The answer to a secret question; nothing of it but its result is ever told."""

    journey_id: HubId | None = None
    name: Name
    secret: Annotated[SecretStr, Field(min_length=1, max_length=64)]


class Saying(_Wire):
    """What the customer says to a person."""

    message_id: OpId
    text: Text


class Calling(Operation):
    """The customer asks for a person."""

    reason: Name = "asked for a person"
    journey_id: HubId | None = None


class Going(Operation):
    """The customer goes on in another channel."""

    to: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]


def read_body(kind: type[B], body: bytes) -> B:
    """Read a request's body; faults are `Invalid`, each with its JSON pointer."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        # The cause is dropped: it would repeat what was sent, which may hold a secret.
        raise Invalid("the body has faults", errors=[_fault(fault) for fault in error.errors()]) from None


def _fault(fault: Any) -> dict[str, str]:
    path = (str(part).replace("~", "~0").replace("/", "~1") for part in fault["loc"])
    return {"pointer": "".join(f"/{part}" for part in path), "detail": fault["msg"]}


# What the hub is told


def start_of(external_id: str, lang: Lang, proven: Proven | None, token: str | None) -> Start:
    """Return how a visit begins at the hub."""
    named: dict[str, Any] = {"customer_id": proven.customer_id, "assurance": claim_of(proven)} if proven else {}
    hint = {"handoff": HandoffHint(token=token)} if token else {}
    return Start.model_validate(
        {"channel": CHANNEL, "system": SYSTEM, "external_id": external_id, "language": HTML_LANG[lang]} | named | hint
    )


def claim_of(proven: Proven) -> AssuranceClaim:
    """Return the assurance that a login is worth."""
    return AssuranceClaim(level=proven.level, method=proven.method, expires_in=proven.lasts)


def outranks(proven: Proven, mine: InteractionView, now: datetime) -> bool:
    """Tell whether a login makes the customer surer in a visit, or as sure for longer."""
    left = mine.assurance.level
    lasts = (mine.assurance.until - now).total_seconds() if mine.assurance.until else 0
    return proven.level > left or (proven.level == left and proven.lasts > lasts + 1)


class Teller(NamedTuple):
    """Makes the events of one request; their ids follow from its own, so that a repeat changes nothing."""

    op_id: str
    interaction_id: str

    def tell(self, type_: str, part: str = "", journey_id: str | None = None, /, **data: Any) -> Telling:
        """Make one event of the customer's; `part` tells it from the request's others."""
        event_id = f"{self.op_id}{'+' if part else ''}{part}@{self.interaction_id}"
        at = self.interaction_id
        return told(type_, interaction_id=at, party="customer", journey_id=journey_id, event_id=event_id, **data)

    def raised(self, proven: Proven) -> Telling:
        """Tell that the customer has logged in."""
        data = {"level": proven.level, "method": proven.method, "expires_in": proven.lasts}
        return self.tell("assurance.raised", "login", **data)

    def given(self, giving: Giving) -> list[Telling]:
        """Tell the facts of a form."""
        return [
            self.tell(f"fact.{fact.how}", f"fact.{n}", giving.journey_id, **_said(fact))
            for n, fact in enumerate(giving.facts)
        ]

    def checked(self, giving: SecretGiven, answer: SecureAnswer) -> list[Telling]:
        """Tell the result of a secret answer, and where it was accepted that the fact is known."""
        at, name = giving.journey_id, giving.name
        keyed = self.tell("input.collected", "secret", at, prompt=name, value=answer.result, mode="click")
        if answer.outcome != "accepted":
            return [keyed]
        known = self.tell("fact.verified", "known", at, name=name, value=answer.shown)
        return [keyed, Telling(**known.model_dump(exclude_unset=True) | {"party": "system"})]

    def proven(self, kind: SecureKind) -> Telling:
        """Tell that the customer is known by a PIN or a code."""
        return self.tell("assurance.raised", "proven", level=2, method=kind)

    def asked(self, answers: Iterable[Answer], journey_id: str) -> list[Telling]:
        """Tell what a form asks for, and what it shows to be confirmed."""
        wanted = [(purpose, [a.name for a in answers if a.verdict == purpose]) for purpose in ("ask", "confirm")]
        return [
            self.tell("question.asked", purpose, journey_id, names=names, purpose=purpose)
            for purpose, names in wanted
            if names
        ]


def _said(fact: FactGiven) -> dict[str, Any]:
    """Return what a fact's event says; a rejection without a value is one of every value."""
    return {"name": fact.name} | ({} if fact.value is None else {"value": fact.value})


# Where a matter stands


def next_step(journey: JourneyView, kind: Kind) -> str | None:
    """Return the step that a journey has come to by what is known; None where it stays.

    It stops where facts are missing, and where a step needs none: there it is the company's turn.
    """
    steps = [step.step for step in kind.steps]
    at = steps.index(journey.step) if journey.step in steps else 0
    for step in kind.steps[at:]:
        if not step.facts or set(step.facts) & set(journey.missing):
            return step.step if step.step != journey.step else None
    last = steps[-1] if steps else None
    return last if last != journey.step else None


def names_to_show(journey: JourneyView, kind: Kind) -> list[str]:
    """Return the facts of a matter's form: those of the steps up to where it stands, and none that come later."""
    steps = [step.step for step in kind.steps]
    at = steps.index(journey.step) if journey.step in steps else 0
    return list(dict.fromkeys(name for step in kind.steps[: at + 1] for name in step.facts))


def _percent(journey: JourneyView, kind: Kind, at: int) -> int:
    """Return how far a matter has come: whole steps, and what is known of the present one."""
    needed = kind.steps[at].facts
    known = len(set(needed) - set(journey.missing)) / len(needed) if needed else 0
    return round(100 * (at + known) / len(kind.steps))


# What goes down


class Named(_Wire):
    """Something, and how it is called."""

    name: str
    label: str


class JourneyShown(_Wire):
    """A journey as the app shows it; `number` of `steps` is where it stands, where its kind declares steps.

    `offered` says that it is worth going on with, and `reason` why; `mine` that this visit is about it.
    """

    journey_id: str
    kind: str | None = None
    label: str
    state: str
    step: str | None = None
    step_label: str | None = None
    number: int | None = None
    steps: int | None = None
    percent: int | None = None
    missing: list[Named] = []
    worked_on: bool = False
    mine: bool = False
    offered: bool = False
    reason: str | None = None
    updated_at: datetime


class Promise(_Wire):
    """Something we said we would do, until when, and whether that is soon or over."""

    commitment_id: str
    what: str
    due_at: datetime
    state: str
    journey_id: str | None = None


class Elsewhere(_Wire):
    """Another contact of the customer's that goes on now."""

    interaction_id: str
    channel: str
    label: str
    since: datetime
    status: Status
    line: Line | None = None


class Line(_Wire):
    """A place in a queue; null is what nobody knows, `place` also where it is too far back to be counted."""

    handoff_id: str
    queue: str | None = None
    since: datetime
    place: int | None = None
    waiting: int | None = None
    expected_wait: int | None = None
    open: bool = True
    opens_at: datetime | None = None


class Row(_Wire):
    """One fact as the app shows it."""

    name: str
    label: str
    value: str
    unsure: bool = False
    withheld: bool = False
    others: list[str] = []
    journey_id: str | None = None
    whence: Annotated[str, Field(serialization_alias="from")] = ""


class Shown(_Wire):
    """One message, or notice."""

    id: str
    party: str
    text: str
    at: datetime | None = None


class Asked(_Wire):
    """One line of a form: known (show it, don't ask), to be confirmed, to be asked, or withheld (don't ask)."""

    name: str
    label: str
    verdict: str
    secure: SecureKind | None = None
    value: Any = None
    shown: str = ""
    whence: Annotated[str, Field(serialization_alias="from")] = ""


class Way(_Wire):
    """What leads on to another channel, or joins a line from there.

    `post_dial` is dialled behind the number; `place_kept` says of one who waits whether the place goes along.
    """

    handoff_id: str
    to: str
    token: str | None = None
    link: str | None = None
    code: str | None = None
    dial: str | None = None
    post_dial: str | None = None
    place_kept: bool | None = None
    expires_at: datetime


class Customer(_Wire):
    """Who the visit is for, and how surely that is known just now."""

    known: bool
    level: int
    method: str | None = None
    until: datetime | None = None


class Home(_Wire):
    """All that the app shows. In a degraded answer what is null is not known now: the app keeps what it has."""

    lang: Lang
    status: Status | None = None
    customer: Customer | None = None
    journeys: list[JourneyShown] | None = None
    promises: list[Promise] | None = None
    elsewhere: list[Elsewhere] | None = None
    line: Line | None = None
    facts: list[Row] | None = None
    messages: list[Shown] | None = None
    menu: list[Named] = []
    dial: str | None = None
    chat: bool = True
    version: int | None = None


class AppAnswer(Home):
    """The answer to the app: where everything stands, and what the request came to."""

    session: str = ""
    form: list[Asked] | None = None
    way: Way | None = None
    journey_id: str | None = None
    handoff_problem: dict[str, Any] | None = None
    outcome: Literal["accepted", "refused", "unchecked"] | None = None
    degraded: bool = False
    kept: bool = False
    notice: str | None = None
    retry_after: int | None = None


class Scene(NamedTuple):
    """Where a visit stands, as the hub tells it."""

    started: Started
    view: ContextView
    tenant: Tenant
    channel: AppChannel
    lang: Lang

    @property
    def mine(self) -> InteractionView:
        """The visit's own interaction."""
        return interaction_of(self.view, self.started.interaction.interaction_id)

    @property
    def discloses(self) -> bool:
        """Tell whether the customer is known surely enough for words."""
        return self.mine.assurance.level >= DISCLOSED_FROM


def interaction_of(view: ContextView, interaction_id: str) -> InteractionView:
    """Return one of a context's interactions."""
    found = next((one for one in view.interactions if one.interaction_id == interaction_id), None)
    if found is None:
        raise InteractionUnknown("the visit is not kept any more", interaction_id=interaction_id)
    return found


def home(scene: Scene, lines: Mapping[str, Line]) -> Home:
    """Return all that the app shows; below level 2 nothing that says what it is about."""
    view, mine, lang = scene.view, scene.mine, scene.lang
    assurance = mine.assurance
    return Home(
        lang=lang,
        status=status_of(mine),
        customer=Customer(
            known=view.known and scene.discloses, level=assurance.level, method=assurance.method, until=assurance.until
        ),
        journeys=_journeys(scene),
        promises=_promises(view.commitments) if scene.discloses else [],
        elsewhere=_elsewhere(scene, lines) if scene.discloses else [],
        line=_line(mine, lines),
        facts=[_row(name, fact, scene) for name, fact in view.facts.items() if _may_be_named(fact, scene)],
        messages=conversation(view.recent, mine.interaction_id, lang),
        menu=menu(scene.tenant, lang),
        dial=scene.channel.dial,
        chat=scene.channel.chat,
        version=view.version,
    )  # fmt: skip


def menu(tenant: Tenant, lang: Lang) -> list[Named]:
    """Return what the customer may begin; a complaint is always there."""
    kinds = dict.fromkeys([*(kind.kind for kind in tenant.journeys), COMPLAINT])
    return [Named(name=kind, label=label_of_kind(kind, tenant, lang)) for kind in kinds]


def status_of(interaction: InteractionView) -> Status:
    """Tell who the customer is with: a person, nobody while waiting for one, or nobody."""
    if interaction.state == "ended":
        return "ended"
    if interaction.holder.party == "agent":
        return "agent"
    return "waiting" if interaction.waits else "self"


def offers_of(view: ContextView, interaction_id: str) -> list[HandoffView]:
    """Return the open offers of an interaction."""
    return [h for h in view.handoffs if h.interaction_id == interaction_id and h.state == "offered"]


def waiting_in_sight(scene: Scene) -> list[Waiting]:
    """Return where the customer waits in queues, here and elsewhere."""
    return [one.waits for one in (scene.mine, *scene.started.live) if one.waits and one.waits.queue]


def line_of(waiting: Waiting, queue: QueueView | None = None, ahead: Sequence[HandoffView] | None = None) -> Line:
    """Return a place in a queue; `ahead` is the queue in order, where it was counted."""
    ids = [one.handoff_id for one in ahead or ()]
    place = ids.index(waiting.handoff_id) + 1 if waiting.handoff_id in ids else None
    line = Line(handoff_id=waiting.handoff_id, queue=waiting.queue, since=waiting.since, place=place)
    if queue is None:
        return line
    told_ = {name: getattr(queue, name) for name in ("waiting", "expected_wait", "open", "opens_at")}
    return line.model_copy(update=told_)


def _line(interaction: InteractionView, lines: Mapping[str, Line]) -> Line | None:
    """Return where an interaction waits, if it does."""
    waiting = interaction.waits
    return lines.get(waiting.handoff_id) or line_of(waiting) if waiting else None


def _journeys(scene: Scene) -> list[JourneyShown]:
    """Return the journeys in sight: those worth going on with first, then the freshest."""
    offers = {offer.journey_id: offer for offer in scene.started.resume}
    order = list(offers)
    freshest = sorted(scene.view.journeys, key=lambda journey: journey.updated_at, reverse=True)
    ranked = sorted(freshest, key=lambda j: order.index(j.journey_id) if j.journey_id in offers else len(order))
    return [journey_shown(journey, scene, offers.get(journey.journey_id)) for journey in ranked]


def journey_shown(journey: JourneyView, scene: Scene, offer: Offer | None) -> JourneyShown:
    """Return a journey as the app shows it; what it is about stays unsaid below level 2."""
    mine = journey.journey_id == scene.mine.journey_id
    shown = JourneyShown(
        journey_id=journey.journey_id,
        label=say("neutral", scene.lang),
        state=journey.state,
        mine=mine,
        offered=offer is not None and not mine,
        updated_at=journey.updated_at,
    )
    return shown.model_copy(update=_details(journey, scene, offer)) if scene.discloses else shown


def _details(journey: JourneyView, scene: Scene, offer: Offer | None) -> dict[str, Any]:
    """Return what may be said of a journey from level 2 on."""
    tenant, lang, kind = scene.tenant, scene.lang, scene.tenant.kind(journey.kind)
    return _progress(journey, kind) | {
        "kind": journey.kind,
        "label": label_of_kind(journey.kind, tenant, lang),
        "step": journey.step,
        "step_label": label_of_step(journey.step, journey.kind, tenant, lang),
        "missing": [Named(name=name, label=label_of_fact(name, tenant, lang)) for name in journey.missing],
        "worked_on": journey.worker is not None and journey.worker.party == "agent",
        "reason": say(offer.reason_code, lang) if offer else None,
    }


def _progress(journey: JourneyView, kind: Kind) -> dict[str, int]:
    """Return where a journey stands among the steps of its kind."""
    steps = [step.step for step in kind.steps]
    if not steps:
        return {}
    at = steps.index(journey.step) if journey.step in steps else 0
    return {"number": at + 1, "steps": len(steps), "percent": _percent(journey, kind, at)}


def _promises(commitments: Iterable[Commitment]) -> list[Promise]:
    """Return what we promised, what is due first in front."""
    shown = [
        Promise(commitment_id=c.commitment_id, what=c.what, due_at=c.due_at, state=c.state, journey_id=c.journey_id)
        for c in commitments
    ]
    return sorted(shown, key=lambda promise: promise.due_at)


def _elsewhere(scene: Scene, lines: Mapping[str, Line]) -> list[Elsewhere]:
    """Return the customer's other contacts that go on now."""
    return [_contact(live, scene, lines) for live in scene.started.live]


def _contact(live: InteractionView, scene: Scene, lines: Mapping[str, Line]) -> Elsewhere:
    return Elsewhere(
        interaction_id=live.interaction_id,
        channel=live.channel,
        label=label_of_channel(live.channel, scene.lang),
        since=live.started_at,
        status=status_of(live),
        line=_line(live, lines),
    )


def _may_be_named(fact: FactView, scene: Scene) -> bool:
    """Tell whether a fact may be named: below level 2 only what was given in this very visit."""
    own = fact.origin is not None and fact.origin.interaction_id == scene.mine.interaction_id
    return own or scene.discloses


def _row(name: str, fact: FactView, scene: Scene) -> Row:
    """Return a fact as the panel shows it."""
    row = Row(name=name, label=label_of_fact(name, scene.tenant, scene.lang), value="", journey_id=fact.journey_id)
    if fact.withheld:
        return row.model_copy(update={"withheld": True})
    others = [value_aloud(other.value) for other in fact.others]
    shown = {"value": value_aloud(fact.value), "others": others, "unsure": _is_unsure(fact)}
    return row.model_copy(update=shown | {"whence": whence(fact.origin, scene.lang)})


def _is_unsure(fact: FactView) -> bool:
    """Tell whether a fact is to be confirmed before it is used."""
    if fact.state in _SURE_STATES:
        return False
    return bool(fact.others) or fact.state == "inferred" or fact.confidence < _SURE_ENOUGH


def form(answers: Iterable[Answer], tenant: Tenant, lang: Lang, secure: Mapping[str, Secure]) -> list[Asked]:
    """Return a form: what is known is shown and not asked, what is secret is asked in secret."""
    return [
        _asked(answer, label_of_fact(answer.name, tenant, lang), lang, secure.get(answer.name)) for answer in answers
    ]


def _asked(answer: Answer, label: str, lang: Lang, secure: Secure | None) -> Asked:
    asked = Asked(name=answer.name, label=label, verdict=answer.verdict, secure=secure.kind if secure else None)
    if answer.verdict not in ("known", "confirm"):
        return asked
    shown = {"value": answer.value, "shown": value_aloud(answer.value), "whence": whence(answer.origin, lang)}
    return asked.model_copy(update=shown)


def checked_before(events: Sequence[Event], prompt: str, interaction_id: str) -> dict[str, str]:
    """Return how secret answers to a question were taken in this visit, by event id.

    Results may be taken whole by the filter in front of everything; that a fact was accepted stands beside them.
    """
    own = [event for event in events if event.interaction_id == interaction_id]
    known = {event.event_id for event in own if event.type == "fact.verified"}
    keyed = [event.event_id for event in own if event.type == "input.collected" and event.data["prompt"] == prompt]
    return {id_: "accepted" if id_.replace("+secret@", "+known@") in known else "refused" for id_ in keyed}


def conversation(events: Iterable[Event], interaction_id: str, lang: Lang) -> list[Shown]:
    """Return what was said in this visit, and the notices in between, oldest first."""
    return [one for event in events if event.interaction_id == interaction_id and (one := shown(event, lang))]


def shown(event: Event, lang: Lang) -> Shown | None:
    """Return what an event looks like in the conversation, or None for one that is not seen there."""
    if event.type in ("message.received", "message.sent"):
        mark = event.event_id.split("@")[0] if event.party == "customer" else event.event_id
        return Shown(id=mark, party=event.party, text=event.data.get("text", ""), at=event.at)
    notice = _notice(event)
    return Shown(id=event.event_id, party="system", text=say(notice, lang), at=event.at) if notice else None


def _notice(event: Event) -> str | None:
    """Return the notice that an event is worth: people awaited, coming and going."""
    if event.type == "handoff.offered":
        return "notice_waiting" if event.data.get("queue") else None
    if event.type in ("handoff.accepted", "handoff.completed") and not event.data.get("agent_id"):
        return None
    if event.type == "handoff.expired" and not event.data.get("queue"):
        return None
    return _NOTICES.get(event.type)


def way(handoff: HandoffView, channel: AppChannel) -> Way:
    """Return what leads on: a link, a token, or a number to dial and a code to say."""
    by_phone = handoff.to.channel in SPOKEN
    return Way(
        handoff_id=handoff.handoff_id,
        to=handoff.to.channel or "queue",
        token=handoff.token,
        link=handoff.link,
        code=handoff.code,
        dial=(handoff.dial.number if handoff.dial else channel.dial) if by_phone else None,
        post_dial=handoff.dial.post_dial if handoff.dial else None,
        place_kept=handoff.place_kept,
        expires_at=handoff.expires_at,
    )


def degraded(lang: Lang, session: str, tenant: Tenant, channel: AppChannel, retry_after: int) -> AppAnswer:
    """Return the answer while the hub is away: what the app can still offer, and when to come back."""
    return AppAnswer(
        lang=lang,
        session=session,
        menu=menu(tenant, lang),
        dial=channel.dial,
        chat=False,
        degraded=True,
        notice=say("degraded", lang),
        retry_after=retry_after,
    )


def title_of(channel: AppChannel, lang: Lang, otherwise: str) -> str:
    """Return what the tenant calls its pages."""
    return in_language(channel.title, lang) or otherwise


Elsewhere.model_rebuild()
