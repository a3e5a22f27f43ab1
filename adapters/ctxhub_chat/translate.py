"""What passes between page and hub, as values: messages up to events, context and events down to what is shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from ctxhub.client import (
    AssuranceClaim,
    ContextView,
    Event,
    FactView,
    HandoffHint,
    Identifier,
    InteractionUnknown,
    InteractionView,
    Invalid,
    Party,
    Secure,
    SecureAnswer,
    SecureKind,
    Start,
    Telling,
    Tenant,
    told,
)
from ctxhub_chat import bot
from ctxhub_chat.bot import Found, Heard, Line, Memory, Message, Question, Reply, Understood
from ctxhub_chat.say import HTML_LANG, Lang, label_of_fact, label_of_kind, say, value_aloud, whence
from ctxhub_chat.sessions import Session

SYSTEM = "webchat"
TURN = "x.chat.turn"
KEPT = "x.chat.kept"
GREETING = "+greeting"

Status = Literal["bot", "waiting", "agent"]
Secret = Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{16,64}$")]
Sealed = Annotated[str, Field(min_length=1, max_length=2048)]
B = TypeVar("B", bound=BaseModel)

_SURE_STATES = ("verified", "confirmed")
_SURE_ENOUGH = 0.8
_NOTICES = {
    "handoff.accepted": "notice_agent",
    "handoff.returned": "notice_bot",
    "handoff.completed": "notice_bot",
    "handoff.lapsed": "notice_again",
}


class _Wire(BaseModel):
    """A value on its way to or from the page; fields that are not known are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# What comes up


class Opening(_Wire):
    """A page asks to begin a chat, or comes back to it."""

    token: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    lang: Annotated[str, Field(max_length=40)] | None = None
    visit: Secret | None = None
    visitor: Secret | None = None


class FoundFact(_Wire):
    """A fact that a language-understanding service found beside a text."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    value: Any
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0

    @field_validator("value")
    @classmethod
    def _something(cls, value: Any) -> Any:
        """Refuse a fact without a value."""
        if value is None:
            raise ValueError("a fact needs a value; leave out what was not found")
        return value


class FoundIntent(_Wire):
    """What such a service takes the customer to want."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    confidence: Annotated[float, Field(ge=0, le=1)] = 1.0


class Arriving(_Wire):
    """A message of the customer's; `facts` is None where nobody looked for any."""

    session: Sealed
    message_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,64}$")]
    text: Annotated[str, Field(max_length=64 * 1024)]
    facts: Annotated[list[FoundFact], Field(max_length=40)] | None = None
    intent: FoundIntent | None = None

    @field_validator("facts", mode="before")
    @classmethod
    def _listed(cls, facts: Any) -> Any:
        """Take `{name: value}` as well as a list."""
        if isinstance(facts, dict):
            return [{"name": name, "value": value} for name, value in facts.items()]
        return facts

    @property
    def message(self) -> Message:
        """What the bot hears."""
        facts = None if self.facts is None else tuple(Found(f.name, f.value, f.confidence) for f in self.facts)
        intent = (self.intent.name, self.intent.confidence) if self.intent else None
        return Message(self.text, facts, intent)


class SecretGiven(_Wire):
    """The answer to a secret question; nothing of it but its result is ever told."""

    session: Sealed
    message_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z._-]{1,64}$")]
    secret: Annotated[SecretStr, Field(min_length=1, max_length=64)]


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


def start_of(opening: Opening, external_id: str, lang: Lang) -> Start:
    """Return how the chat begins at the hub: a browser's id is a claim, it steers and discloses nothing."""
    visitor = [Identifier(type="visitor", value=opening.visitor)] if opening.visitor else []
    claim = {"assurance": AssuranceClaim(level=1, method="visitor")} if visitor and not opening.token else {}
    hint = {"handoff": HandoffHint(token=opening.token)} if opening.token else {}
    return Start.model_validate(
        {"channel": "chat", "system": SYSTEM, "external_id": external_id, "touchpoint": "webchat"}
        | {"language": HTML_LANG[lang], "identifiers": visitor}
        | claim
        | hint
    )


def start_again(session: Session) -> Start:
    """Return how a chat is found that began while the hub was away."""
    return Start(channel="chat", system=SYSTEM, external_id=session.external_id, language=HTML_LANG[session.lang])


# What the hub is told


def heard(key: str, text: str, understood: Understood, mine: InteractionView) -> list[Telling]:
    """Return the events that a customer's message comes to; the same message always gets the same event ids."""
    by = _Teller(key, mine.interaction_id, "customer")
    started = {kind: _journey_id(key, mine.interaction_id, kind) for kind in understood.starts}
    resumed, ended = understood.turns_to, understood.ends
    return [
        received(key, text, mine.interaction_id),
        *_intents(by, understood),
        *(by.tell("journey.started", f"start.{n}", id_, kind=kind) for n, (kind, id_) in enumerate(started.items())),
        *([by.tell("journey.resumed", "resume", resumed)] if resumed else []),
        *(by.tell(f.verb, f"fact.{n}", _home(f, started), **f.data) for n, f in enumerate(understood.facts)),
        *([by.tell("journey.completed", "end", ended)] if ended else []),
    ]


def checked(key: str, asked: Memory, answer: SecureAnswer, interaction_id: str) -> list[Telling]:
    """Return what is told of a secret answer: its result, and where it was accepted that the fact is known."""
    by, home = _Teller(key, interaction_id, "customer"), asked.about
    keyed = by.tell("input.collected", "secret", home, prompt=asked.asks, value=answer.result, mode="click")
    if answer.outcome != "accepted":
        return [keyed]
    known = by._replace(party="system").tell("fact.verified", "known", home, name=asked.asks, value=answer.shown)
    return [keyed, known]


def raised(key: str, kind: SecureKind, interaction_id: str) -> Telling:
    """Return the event that the customer is known by a PIN or a code."""
    return _Teller(key, interaction_id, "system").tell("assurance.raised", "raised", level=2, method=kind)


def received(key: str, text: str, interaction_id: str) -> Telling:
    """Return the event of a customer's message alone; the hub refuses its id for another text."""
    return _Teller(key, interaction_id, "customer").tell("message.received", text=text)


def kept(arriving: Arriving, at: str, lang: Lang, spell: str) -> list[Telling]:
    """Return what is told later of a message that came while the hub was away, and of what was answered."""
    by = _Teller(arriving.message_id, at, "customer")
    beside = arriving.model_dump(mode="json", include={"facts", "intent"}, exclude_none=True)
    return [
        by.tell("message.received", text=arriving.text),
        by.tell(KEPT, "kept", of=arriving.message_id, text=arriving.text, **beside),
        told(
            "message.sent", interaction_id=at, party="bot", event_id=_id(f"away.{spell}", at), delivered=True,
            text=say("away", lang),
        ),
    ]  # fmt: skip


def heard_later(one: KeptMessage, understood: Understood, mine: InteractionView) -> list[Telling]:
    """Return what a kept message comes to, besides itself; with the time at which it was said."""
    events = heard(one.key, one.message.text, understood, mine)[1:]
    return [Telling(**event.model_dump(exclude_unset=True) | {"at": one.at}) for event in events]


def spoken(key: str, reply: Reply, mine: InteractionView) -> list[Telling]:
    """Return the events that a turn of the bot comes to: what it asks and says, and what it must remember."""
    by = _Teller(key, mine.interaction_id, "bot")
    memory = reply.memory.model_dump(mode="json", exclude_defaults=True)
    return [
        *(_asked(by, reply.question, mine) if reply.question else []),
        *(
            by.tell("message.sent", f"say.{n}", text=line.text, fence=mine.fence, attachments=_attachments(line))
            for n, line in enumerate(reply.lines)
        ),
        by.tell(TURN, "turn", of=key, memory=memory),
    ]


class _Teller(NamedTuple):
    """Makes the events of one turn; their ids follow from its key."""

    key: str
    interaction_id: str
    party: Party

    def tell(self, type_: str, part: str = "", journey_id: str | None = None, /, **data: Any) -> Telling:
        """Make one event; `part` tells it from the turn's others."""
        event_id = _id(self.key, self.interaction_id, part)
        at, party = self.interaction_id, self.party
        return told(type_, interaction_id=at, party=party, journey_id=journey_id, event_id=event_id, **data)


def _intents(by: _Teller, understood: Understood) -> list[Telling]:
    """Return the event that tells what the customer seems to want."""
    if understood.intent is None:
        return []
    name, confidence = understood.intent
    return [by.tell("intent.detected", "intent", name=name, confidence=confidence)]


def _home(fact: Heard, started: dict[str, str]) -> str | None:
    """Return the journey that a fact belongs to, which may be one that has just been started."""
    return fact.journey_id or started.get(fact.kind or "")


def _asked(by: _Teller, question: Question, mine: InteractionView) -> list[Telling]:
    """Return the events that tell what is being asked, and at which step of which journey."""
    at = question.journey_id
    turned = [by.tell("journey.resumed", "turn_to", at)] if at != mine.journey_id else []
    moved = [by.tell("journey.advanced", "step", at, step=question.moves_to)] if question.moves_to else []
    return [*turned, *moved, by.tell("question.asked", "ask", at, names=[question.name], purpose=question.purpose)]


def _attachments(line: Line) -> list[dict[str, Any]]:
    """Return what stands beside a text: the fact it asks for, the buttons under it."""
    asks = [{"kind": "asks", "name": line.asks}] if line.asks else []
    return asks + ([{"kind": "quick_replies", "texts": list(line.buttons)}] if line.buttons else [])


def _id(key: str, interaction_id: str, part: str = "") -> str:
    """Return an event's id; the page's own message ids have no plus sign, so parts never meet them."""
    return f"{key}{'+' if part else ''}{part}@{interaction_id}"


def _journey_id(key: str, interaction_id: str, kind: str) -> str:
    """Return the id of a journey that a message starts: the same whenever it is told."""
    return "jr_" + hashlib.blake2b(f"{key}\n{interaction_id}\n{kind}".encode(), digest_size=10).hexdigest()


# What goes down


class Shown(_Wire):
    """One message as the page shows it."""

    id: str
    party: str
    text: str
    at: datetime | None = None
    asks: str | None = None
    quick_replies: list[str] = []


class Source(_Wire):
    """Where a fact came from."""

    channel: str | None = None
    party: str
    at: datetime


class Row(_Wire):
    """One fact as the panel shows it."""

    name: str
    label: str
    value: str
    state: str
    confidence: float
    unsure: bool = False
    withheld: bool = False
    others: list[str] = []
    journey_id: str | None = None
    whence: Annotated[str, Field(serialization_alias="from")] = ""
    origin: Source | None = None


class Named(_Wire):
    """A fact and how it is called."""

    name: str
    label: str


class Topic(_Wire):
    """The journey that the chat is about."""

    journey_id: str
    kind: str
    label: str
    step: str | None = None
    missing: list[Named] = []


class Standing(_Wire):
    """Where a chat stands."""

    facts: list[Row] = []
    asks: str | None = None
    secure: SecureKind | None = None
    journey: Topic | None = None
    holder: dict[str, str] = {"party": "bot"}
    status: Status = "bot"
    version: int | None = None


class ChatAnswer(Standing):
    """The answer to a page: what is said now, and where the chat stands."""

    session: str = ""
    lang: Lang
    messages: list[Shown] = []
    degraded: bool = False
    kept: bool = False


class KeptMessage(NamedTuple):
    """A message that came while the hub was away, and what was found beside it."""

    key: str
    message: Message
    at: datetime


def interaction_of(view: ContextView, interaction_id: str) -> InteractionView:
    """Return the chat's own interaction."""
    found = next((one for one in view.interactions if one.interaction_id == interaction_id), None)
    if found is None:
        raise InteractionUnknown("the chat is not kept any more", interaction_id=interaction_id)
    return found


def memory_of(view: ContextView, interaction_id: str) -> Memory:
    """Return what the bot remembered at its last turn in this chat."""
    turns = (e for e in reversed(view.recent) if e.type == TURN and e.interaction_id == interaction_id)
    last = next(turns, None)
    return Memory.model_validate(last.data.get("memory", {})) if last else Memory()


def has_turns(view: ContextView, interaction_id: str) -> bool:
    """Tell whether the bot has had a turn in this chat lately."""
    return any(event.type == TURN and event.interaction_id == interaction_id for event in view.recent)


def kept_since(view: ContextView, interaction_id: str) -> list[KeptMessage]:
    """Return the messages that were kept while the hub was away and that the bot has not gone into yet."""
    own = [event for event in view.recent if event.interaction_id == interaction_id]
    turns = [place for place, event in enumerate(own) if event.type == TURN]
    return [_kept_message(event) for event in own[turns[-1] + 1 if turns else 0 :] if event.type == KEPT]


def _kept_message(event: Event) -> KeptMessage:
    """Read a message as it was kept."""
    given = {name: event.data[name] for name in ("text", "facts", "intent") if name in event.data}
    arriving = Arriving.model_validate({"session": "kept", "message_id": event.data["of"], **given})
    return KeptMessage(arriving.message_id, arriving.message, event.at)


def was_told(events: Iterable[Event], key: str, interaction_id: str) -> bool:
    """Tell whether the message of this key was told as such; a secret one never is."""
    return any(event.event_id == _id(key, interaction_id) for event in events)


def said_in_turn(events: Iterable[Event], key: str, interaction_id: str) -> list[Event] | None:
    """Return what the bot said in the turn of this key, or None where there has been no such turn."""
    own = [event for event in events if event.interaction_id == interaction_id]
    if not any(event.event_id == _id(key, interaction_id, "turn") for event in own):
        return None
    return [event for event in own if event.event_id.startswith(f"{key}+say.")]


def conversation(events: Iterable[Event], interaction_id: str, lang: Lang) -> list[Shown]:
    """Return what was said in this chat, and the notices in between, oldest first."""
    return [one for event in events if event.interaction_id == interaction_id and (one := shown(event, lang))]


def shown(event: Event, lang: Lang) -> Shown | None:
    """Return what an event looks like in the conversation, or None for one that is not seen there."""
    if event.type in ("message.received", "message.sent"):
        return _shown_message(event)
    notice = _notice(event)
    return Shown(id=event.event_id, party="system", text=say(notice, lang), at=event.at) if notice else None


def _shown_message(event: Event) -> Shown:
    beside: dict[str, Any] = {part.get("kind"): part for part in event.data.get("attachments") or []}
    return Shown(
        id=event.event_id.split("@")[0] if event.party == "customer" else event.event_id,
        party=event.party,
        text=event.data.get("text", ""),
        at=event.at,
        asks=beside.get("asks", {}).get("name"),
        quick_replies=beside.get("quick_replies", {}).get("texts", []),
    )


def _notice(event: Event) -> str | None:
    """Return the notice that an event is worth: people joining and leaving, not what the bot tells in its own words."""
    if event.type == "handoff.offered":
        return "notice_waiting" if _is_given_on(event.data) else None
    if event.type in ("handoff.accepted", "handoff.completed") and not event.data.get("agent_id"):
        return None
    return _NOTICES.get(event.type)


def _is_given_on(offer: dict[str, Any]) -> bool:
    """Tell whether an offer is that of a person who gives the chat on to other people."""
    to = offer.get("to") or {}
    return offer.get("ends_parent") is not None and bool(to.get("queue") or to.get("agent"))


def standing(
    view: ContextView,
    interaction_id: str,
    memory: Memory,
    tenant: Tenant,
    lang: Lang,
    secure: Mapping[str, Secure] | None = None,
) -> Standing:
    """Return where the chat stands; `secure` are the questions whose answers are secret."""
    status = status_of(view, interaction_id)
    asks = memory.asks if status == "bot" else None
    prompt = (secure or {}).get(asks or "")
    return Standing(
        facts=panel(view, interaction_id, tenant, lang),
        asks=asks,
        secure=prompt.kind if prompt else None,
        journey=_topic(view, interaction_id, tenant, lang),
        holder={"party": interaction_of(view, interaction_id).holder.party},
        status=status,
        version=view.version,
    )


def status_of(view: ContextView, interaction_id: str) -> Status:
    """Tell who the customer is with: a person, the bot, or the bot while waiting for a person."""
    if interaction_of(view, interaction_id).holder.party == "agent":
        return "agent"
    return "waiting" if bot.waits(view, interaction_id) else "bot"


def panel(view: ContextView, interaction_id: str, tenant: Tenant, lang: Lang) -> list[Row]:
    """Return every fact in sight, as the panel shows it."""
    return [_row(name, fact, interaction_id, tenant, lang) for name, fact in view.facts.items()]


def _row(name: str, fact: FactView, interaction_id: str, tenant: Tenant, lang: Lang) -> Row:
    origin = fact.origin
    return Row(
        name=name,
        label=label_of_fact(name, tenant, lang),
        value="" if fact.withheld else value_aloud(fact.value),
        state=fact.state,
        confidence=fact.confidence,
        unsure=_is_unsure(fact),
        withheld=fact.withheld,
        others=[value_aloud(other.value) for other in fact.others],
        journey_id=fact.journey_id,
        whence=whence(origin, interaction_id, lang),
        origin=Source(channel=origin.channel, party=origin.party, at=origin.at) if origin else None,
    )


def _is_unsure(fact: FactView) -> bool:
    """Tell whether a fact is to be confirmed before it is used."""
    if fact.state in _SURE_STATES or fact.withheld:
        return False
    return bool(fact.others) or fact.state == "inferred" or fact.confidence < _SURE_ENOUGH


def _topic(view: ContextView, interaction_id: str, tenant: Tenant, lang: Lang) -> Topic | None:
    journey = bot.current_journey(view, interaction_id)
    if journey is None:
        return None
    missing = [Named(name=name, label=label_of_fact(name, tenant, lang)) for name in journey.missing]
    label = label_of_kind(journey.kind, tenant, lang)
    return Topic(journey_id=journey.journey_id, kind=journey.kind, label=label, step=journey.step, missing=missing)


def notice(name: str, lang: Lang, mark: str) -> Shown:
    """Return a message of the adapter's own, which is not kept anywhere."""
    return Shown(id=f"{name}:{mark}", party="system", text=say(name, lang))


def degraded(lang: Lang, mark: str, session: str) -> ChatAnswer:
    """Return the answer while the hub is away: it says so, and nothing else."""
    return ChatAnswer(session=session, lang=lang, messages=[notice("degraded", lang, mark)], degraded=True)


def kept_answer(session: str, lang: Lang, at: str, spell: str, now: datetime) -> ChatAnswer:
    """Return the answer to a message that is kept: the bot says once that it can't say more just now."""
    line = Shown(id=_id(f"away.{spell}", at), party="bot", text=say("away", lang), at=now)
    return ChatAnswer(session=session, lang=lang, messages=[line], degraded=True, kept=True)


def kept_opening(session: str, lang: Lang) -> ChatAnswer:
    """Return the answer to a chat that begins while the hub is away."""
    return ChatAnswer(session=session, lang=lang, degraded=True, kept=True)


def answer(session: str, lang: Lang, messages: Sequence[Shown], where: Standing) -> ChatAnswer:
    """Return the answer to a page."""
    return ChatAnswer(session=session, lang=lang, messages=list(messages), **dict(where))
