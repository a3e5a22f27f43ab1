"""What a tenant declares: languages, kinds of journeys, facts, queues, channels and policies."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field

from ctxhub.model.event import Sensitivity
from ctxhub.model.handoff import Target
from ctxhub.model.journey import Escalation, Span
from ctxhub.model.value import Channel, Language, Name, Value


def _on_the_map(name: str) -> str:
    """Refuse what is no time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone such as Asia/Shanghai") from error
    return name


#: A time zone by its IANA name: times are said in it.
Timezone = Annotated[str, AfterValidator(_on_the_map)]
#: One sentence in each language that the tenant speaks.
Say = dict[Language, str]


COMPLAINT = "complaint"


class Step(Value):
    """One step of a kind of journey, with the facts it needs, who is responsible, and in how many seconds."""

    step: Name
    facts: list[Name] = []
    say: Say = {}
    owner: Name | None = None
    within: Span | None = None


class Kind(Value):
    """A kind of journey: its steps in order, how it is called aloud, who is responsible, and what time makes of it.

    Untouched for `rest` seconds it rests, and for `lapse` more it is given up; `escalate` changes its owner.
    """

    kind: Name
    steps: list[Step] = []
    rest: Span | None = None
    lapse: Span | None = None
    owner: Name | None = None
    importance: Annotated[int, Field(ge=1, le=5, strict=True)] = 3
    complaint: bool = False
    escalate: list[Escalation] = []
    say: Say = {}

    @property
    def needs(self) -> list[str]:
        """Every fact that it needs, in the order of its steps, each once."""
        return list(dict.fromkeys(name for step in self.steps for name in step.facts))

    def at(self, name: str) -> Step:
        """Return a step; one that is not declared needs nothing."""
        return next((step for step in self.steps if step.step == name), Step(step=name))


class FactSpec(Value):
    """How a fact is called aloud, and how sensitive it is."""

    sensitivity: Sensitivity = "personal"
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


class QueueSpec(Value):
    """A queue, and who routes it."""

    routing: Literal["hub", "external"] = "hub"
    skills: list[Name] = []
    hours: str | None = None
    fallback: Annotated[Target | None, BeforeValidator(_as_target)] = None


class Policies(Value):
    """What the tenant has decided.

    `knowledge: off` makes the hub tell adapters nothing of what it knows, while it goes on counting what they
    ask again: the control group against which the gain is measured. A promise is due soon `warn_before` seconds
    before it is due, though never in the first half of its time.
    """

    knowledge: Literal["on", "off"] = "on"
    warn_before: Annotated[int, Field(ge=0, le=30 * 86_400, strict=True)] = 3600


class Tenant(Value):
    """One tenant's declarations, as in its file."""

    tenant: str
    languages: list[Language] = ["en", "zh"]
    default_region: str | None = None
    timezone: Timezone | None = None
    journeys: list[Kind] = []
    facts: dict[Name, FactSpec] = {}
    queues: dict[Name, QueueSpec] = {}
    channels: dict[Channel, Declared] = {}
    policies: Policies = Field(default_factory=Policies)

    def kind(self, name: str) -> Kind:
        """Return a kind of journey; one that is not declared needs no facts."""
        return next((kind for kind in self.journeys if kind.kind == name), Kind(kind=name))

    @property
    def complaint(self) -> Kind | None:
        """The kind that every menu offers for a complaint: the one marked so, else the one of that name."""
        marked = (kind for kind in self.journeys if kind.complaint)
        return next(marked, next((kind for kind in self.journeys if kind.kind == COMPLAINT), None))

    def sensitivity(self, name: str) -> Sensitivity:
        """Return the least sensitivity of a fact."""
        spec = self.facts.get(name)
        return spec.sensitivity if spec else "public"
