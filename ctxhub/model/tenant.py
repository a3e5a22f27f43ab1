"""What a tenant declares: languages, kinds of journeys, facts, queues, channels and policies."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ctxhub.model.event import Sensitivity
from ctxhub.model.value import Channel, Language, Name, Value

#: One sentence in each language that the tenant speaks.
Say = dict[Language, str]


class Step(Value):
    """One step of a kind of journey, with the facts it needs."""

    step: Name
    facts: list[Name] = []
    say: Say = {}


class Kind(Value):
    """A kind of journey: its steps in order, and how it is called aloud."""

    kind: Name
    steps: list[Step] = []
    rest: int | None = None
    say: Say = {}

    @property
    def needs(self) -> list[str]:
        """Every fact that it needs, in the order of its steps, each once."""
        return list(dict.fromkeys(name for step in self.steps for name in step.facts))


class FactSpec(Value):
    """How a fact is called aloud, and how sensitive it is."""

    sensitivity: Sensitivity = "personal"
    say: Say = {}


class QueueSpec(Value):
    """A queue, and who routes it."""

    routing: Literal["hub", "external"] = "hub"
    skills: list[Name] = []
    hours: str | None = None
    fallback: dict[str, Any] | None = None


class Policies(Value):
    """What the tenant has decided.

    `knowledge: off` makes the hub tell adapters nothing of what it knows, while it goes on counting what they
    ask again: the control group against which the gain is measured.
    """

    knowledge: Literal["on", "off"] = "on"


class Tenant(Value):
    """One tenant's declarations, as in its file."""

    tenant: str
    languages: list[Language] = ["en", "zh"]
    default_region: str | None = None
    journeys: list[Kind] = []
    facts: dict[Name, FactSpec] = {}
    queues: dict[Name, QueueSpec] = {}
    channels: dict[Channel, dict[str, Any]] = {}
    policies: Policies = Field(default_factory=Policies)

    def kind(self, name: str) -> Kind:
        """Return a kind of journey; one that is not declared needs no facts."""
        return next((kind for kind in self.journeys if kind.kind == name), Kind(kind=name))

    def sensitivity(self, name: str) -> Sensitivity:
        """Return the least sensitivity of a fact."""
        spec = self.facts.get(name)
        return spec.sensitivity if spec else "public"
