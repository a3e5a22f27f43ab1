"""What a tenant declares: languages, kinds of journeys, facts, queues, channels and policies."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool

from ctxhub.model.calendar import Calendar, Timezone
from ctxhub.model.customer import IdentifierType
from ctxhub.model.dialling import DialSpec
from ctxhub.model.event import Sensitivity
from ctxhub.model.handoff import Routing, Target
from ctxhub.model.journey import Escalation, Span
from ctxhub.model.number_format import Formats, NumberFormat, compiled
from ctxhub.model.queue import Alternative, CallbackTerms
from ctxhub.model.retention import KEPT_FOR_EVER, Retention
from ctxhub.model.routing import AgentSpec, Suggesting
from ctxhub.model.source import SourceSpec
from ctxhub.model.value import Channel, ExternalId, Id, Language, Level, Name, Value
from ctxhub.model.webhook import EndpointName, WebhookSpec

#: One sentence in each language that the tenant speaks.
Say = dict[Language, str]


COMPLAINT = "complaint"


class Step(Value):
    """One step of a kind of journey, with the facts it needs, who is responsible, and in how many seconds.

    One that is done `once` must not be done twice, such as sending money: whoever does it claims it first.
    """

    step: Name
    facts: list[Name] = []
    say: Say = {}
    owner: Name | None = None
    within: Span | None = None
    once: StrictBool = False


class Kind(Value):
    """A kind of journey: its steps in order, how it is called aloud, who is responsible, and what time makes of it.

    Untouched for `rest` seconds it rests, and for `lapse` more it is given up; `escalate` changes its owner. It and its
    facts are in sight of other interactions from level `disclose_from` on.
    """

    kind: Name
    steps: list[Step] = []
    rest: Span | None = None
    lapse: Span | None = None
    owner: Name | None = None
    importance: Annotated[int, Field(ge=1, le=5, strict=True)] = 3
    complaint: bool = False
    disclose_from: Level | None = None
    escalate: list[Escalation] = []
    say: Say = {}

    @property
    def needs(self) -> list[str]:
        """Every fact that it needs, in the order of its steps, each once."""
        return list(dict.fromkeys(name for step in self.steps for name in step.facts))

    def goes_on(self, step: str | None, to: str) -> bool:
        """Tell whether a step comes after another, and not before it; one that is not declared comes after all."""
        order = [declared.step for declared in self.steps]
        return to not in order or step not in order or order.index(step) < order.index(to)

    def at(self, name: str) -> Step:
        """Return a step; one that is not declared needs nothing."""
        return next((step for step in self.steps if step.step == name), Step(step=name))


class FactSpec(Value):
    """How a fact is called aloud, how sensitive it is, and from which level on it is shown where that is its own."""

    sensitivity: Sensitivity = "personal"
    disclose_from: Level | None = None
    say: Say = {}


def _says_plainly(channel: dict[str, Any]) -> dict[str, Any]:
    """Refuse a channel that neither tells nor does not tell what it asks."""
    if not isinstance(channel.get("instrumented"), bool | None):
        raise ValueError("instrumented is true or false")
    return channel


#: What stands under a channel is its adapter's to read, but for `instrumented`, which the numbers read.
Declared = Annotated[dict[str, Any], AfterValidator(_says_plainly)]


def _as_target(fallback: Any) -> Any:
    """Read a fallback that is only a name as a queue's."""
    return {"queue": fallback} if isinstance(fallback, str) else fallback


#: The channel of a leg that an ACD brings, which may name its call instead of showing a token.
LEG = "voice"
#: Channels whose calls another system routes, where a declared queue does not say who does.
CALLS = ("ivr", LEG)


class QueueSpec(Suggesting):
    """A queue, who routes it (calls another system, unless said otherwise), and by which codes work in it ends.

    `hours` names the calendar by which it is open, `callback` its terms of calling back, `alternatives` what else there
    is. `keeps_place` says whether whoever goes on in another channel keeps the place (where the hub routes, unless
    said otherwise), and `continue_elsewhere` in which queue, if not in this one.
    """

    routing: Routing | None = None
    dispositions: list[Name] = Field([], max_length=200)
    skills: list[Name] = []
    hours: Name | None = None
    callback: CallbackTerms = CallbackTerms()
    alternatives: list[Alternative] = Field([], max_length=10)
    fallback: Annotated[Target | None, BeforeValidator(_as_target)] = None
    keeps_place: StrictBool | None = None
    continue_elsewhere: Name | None = None


#: The policies that say what is shown to whom.
_DISCLOSING = ("knowledge", "glass_an_hour", "glass_a_day", "customers_in_ten_minutes", "code_level")


class Policies(Value):
    """What the tenant has decided.

    `knowledge: off` makes the hub tell adapters nothing of what it knows, while it goes on counting what they
    ask again: the control group against which the gain is measured. A promise is due soon `warn_before` seconds
    before it is due, though never in the first half of its time. Warnings of fraud are told to `fraud_queue`. A code
    made at level 2 carries `code_level` for three minutes. An agent breaks glass at most `glass_an_hour` and
    `glass_a_day` times, and reads at most `customers_in_ten_minutes`. A customer is called at most `calls_a_day`
    times in 24 hours.
    """

    knowledge: Literal["on", "off"] = "on"
    glass_an_hour: Annotated[int, Field(ge=0, le=1000, strict=True)] = 5
    glass_a_day: Annotated[int, Field(ge=0, le=10_000, strict=True)] = 20
    customers_in_ten_minutes: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = 100
    warn_before: Annotated[int, Field(ge=0, le=30 * 86_400, strict=True)] = 3600
    fraud_queue: Name | None = None
    code_level: Annotated[int, Field(ge=1, le=2, strict=True)] = 1
    calls_a_day: Annotated[int, Field(ge=1, le=100, strict=True)] = 3


class IdentifierSpec(Value):
    """What identifiers of a type are good for.

    One that is not good `alone` picks a customer only together with one of another type that leads to the same one. A
    value that leads to more than `most` customers is nobody's, and stays so.
    """

    alone: StrictBool = True
    most: Annotated[int, Field(ge=1, le=1000, strict=True)] = 50


class BlockedValue(Value):
    """A value that leads nowhere and links nothing: the reception desk's number, a number withheld."""

    type: IdentifierType
    value: ExternalId


class Identifiers(Value):
    """Which types of identifiers there are, and which values are blocked."""

    types: dict[IdentifierType, IdentifierSpec] = {}
    blocked: list[BlockedValue] = []


_PLAIN_QUEUE = QueueSpec()
_PLAIN_SPEC = IdentifierSpec()
#: The types that every tenant has, declared or not.
_BUILT_IN = {"phone", "email", "account", "device", "visitor", "wechat", "unionid", "bsuid", "card", "card_ref"}
#: What decides who it is where a tenant declares nothing: something that is only one person's.
_DECIDES = "account"


class Tenant(Value):
    """One tenant's declarations, as in its file."""

    tenant: str
    languages: list[Language] = ["en", "zh"]
    default_region: str | None = None
    timezone: Timezone | None = None
    calendars: dict[Name, Calendar] = {}
    journeys: list[Kind] = []
    facts: dict[Name, FactSpec] = {}
    queues: dict[Name, QueueSpec] = {}
    deputies: dict[Id, Id] = {}
    agents: dict[Id, AgentSpec] = {}
    channels: dict[Channel, Declared] = {}
    identifiers: Identifiers = Field(default_factory=Identifiers)
    numbers: list[NumberFormat] = Field([], max_length=50)
    policies: Policies = Field(default_factory=Policies)
    dial: DialSpec | None = None
    retention: Retention = KEPT_FOR_EVER
    # Where else the company's systems are is nobody's business who may read the other declarations.
    webhooks: dict[EndpointName, WebhookSpec] = Field({}, max_length=50, exclude=True)
    sources: dict[EndpointName, SourceSpec] = Field({}, max_length=10, exclude=True)

    def kind(self, name: str) -> Kind:
        """Return a kind of journey; one that is not declared needs no facts."""
        return next((kind for kind in self.journeys if kind.kind == name), Kind(kind=name))

    def routing(self, queue: str, channel: str) -> Routing:
        """Return who routes what a channel offers to a queue: of one that is not declared, the hub."""
        spec = self.queues.get(queue)
        if spec is None:
            return "hub"
        return spec.routing or ("external" if channel in CALLS else "hub")

    def dispositions(self, queue: str | None) -> list[str]:
        """Return the codes by which work in a queue ends; none where any will do."""
        spec = self.queues.get(queue or "")
        return spec.dispositions if spec else []

    def queue(self, name: str) -> QueueSpec:
        """Return a queue; one that is not declared is always open, and promises nothing."""
        return self.queues.get(name, _PLAIN_QUEUE)

    def calendar(self, queue: str) -> Calendar | None:
        """Return the calendar by which a queue is open; None for one that always is."""
        return self.calendars.get(self.queue(queue).hours or "")

    def is_open(self, queue: str, now: datetime) -> bool:
        """Tell whether a queue is open at an instant."""
        calendar = self.calendar(queue)
        return calendar is None or calendar.open_at(now)

    def clock_of(self, queue: str) -> ZoneInfo:
        """Return the time zone in which a queue's times are said."""
        calendar = self.calendar(queue)
        return calendar.zone if calendar else ZoneInfo(self.timezone or "UTC")

    def identifier(self, type_: str) -> IdentifierSpec:
        """Return what identifiers of a type are good for; those of a type that is not declared are good alone."""
        return self.identifiers.types.get(type_, _PLAIN_SPEC)

    def takes(self, type_: str) -> bool:
        """Tell whether an identifier may be of a type: a free one only where it is declared, or none is."""
        declared = self.identifiers.types
        return not declared or type_ in declared or type_ in _BUILT_IN

    def shown(self, colleague: bool) -> Tenant:
        """Return the declarations as a caller may read them: who works here is for colleagues."""
        return self if colleague else self.but(agents={})

    @property
    def suggesting(self) -> dict[str, QueueSpec]:
        """The queues that suggest to agents who waits, by declared weights; none of them routed elsewhere."""
        return {
            name: spec for name, spec in self.queues.items() if spec.weights is not None and spec.routing != "external"
        }

    @property
    def find_out(self) -> list[str]:
        """Return by what a channel may find out who it is, the same whoever it is: identifiers, or a handoff's code."""
        declared = [type_ for type_, spec in self.identifiers.types.items() if spec.alone]
        return [*(declared or [_DECIDES]), "code"]

    @property
    def complaint(self) -> Kind | None:
        """The kind that every menu offers for a complaint: the one marked so, else the one of that name."""
        marked = (kind for kind in self.journeys if kind.complaint)
        return next(marked, next((kind for kind in self.journeys if kind.kind == COMPLAINT), None))

    @property
    def formats(self) -> Formats:
        """The formats of its own numbers, which are not taken for card numbers."""
        return compiled(self.numbers)

    @cached_property
    def disclosed_from(self) -> tuple[dict[str, Level], dict[str, Level]]:
        """The levels set for facts by name, and for kinds of journeys."""
        names = {name: fact.disclose_from for name, fact in self.facts.items() if fact.disclose_from is not None}
        return names, {kind.kind: kind.disclose_from for kind in self.journeys if kind.disclose_from is not None}

    @property
    def discloses(self) -> dict[str, Any]:
        """All that it says of what is shown to whom: of facts, of kinds of journeys, and by its policies."""
        names, kinds = self.disclosed_from
        said: dict[str, Any] = {f"fact {name}": fact.sensitivity for name, fact in self.facts.items()}
        said |= {f"fact {name} from level": level for name, level in names.items()}
        said |= {f"journey {kind} from level": level for kind, level in kinds.items()}
        return said | {f"policy {name}": getattr(self.policies, name) for name in _DISCLOSING}

    def sensitivity(self, name: str) -> Sensitivity:
        """Return the least sensitivity of a fact."""
        spec = self.facts.get(name)
        return spec.sensitivity if spec else "public"
