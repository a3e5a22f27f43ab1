"""Sources: systems of the company's that are asked about a customer as a call comes in, and what they may answer."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ctxhub.model.customer import Identifier, IdentifierType
from ctxhub.model.event import Sensitivity
from ctxhub.model.value import Channel, Name, Value, rfc3339
from ctxhub.model.webhook import Signing, Url

#: How a source stands to a customer: asked and answered, remembered, late, without an answer, or not asked.
SourceState = Literal["answered", "cached", "late", "failed", "not_asked"]
On = Literal["interaction.started", "call.alerting"]

LONGEST_TEXT = 200
MOST_FACTS = 50
_TYPES: dict[str, tuple[type, ...]] = {"text": (str,), "number": (int, float), "yes_no": (bool,)}


class SourceFact(Value):
    """A fact that a source may answer with: of which type, how long a text at most, and which values there are."""

    type: Literal["text", "number", "yes_no", "any"] = "any"
    longest: Annotated[int, Field(ge=1, le=2000, strict=True)] = LONGEST_TEXT
    one_of: list[str | int | float] = Field([], max_length=200)
    sensitivity: Sensitivity | None = None

    def takes(self, value: Any) -> bool:
        """Tell whether a value is one that was declared."""
        wanted = _TYPES.get(self.type, (str, int, float, bool))
        is_one = isinstance(value, wanted) and (self.type in ("yes_no", "any") or not isinstance(value, bool))
        fits = not isinstance(value, str) or 0 < len(value.strip()) <= len(value) <= self.longest
        return is_one and fits and (not self.one_of or value in self.one_of)


def _by_name(facts: Any) -> Any:
    """Read a plain list of names as facts of any type."""
    return {name: {} for name in facts} if isinstance(facts, list) else facts


class SourceSpec(Signing):
    """A system that is asked: for which facts, on what occasion, and for how long it may keep a caller waiting.

    It is told the customer's id, or only digests of identifiers of these types.
    """

    url: Url
    facts: Annotated[dict[Name, SourceFact], BeforeValidator(_by_name), Field(min_length=1, max_length=MOST_FACTS)]
    good_for: Annotated[int, Field(ge=1, le=86_400, strict=True)] = 3600
    deadline_ms: Annotated[int, Field(ge=10, le=2000, strict=True)] = 300
    on: list[On] = Field(["interaction.started", "call.alerting"], min_length=1)
    channels: list[Channel] = Field(["ivr", "voice"], min_length=1)
    by: Literal["customer_id", "identifiers"] = "customer_id"
    identifiers: list[IdentifierType] = Field(["phone"], min_length=1, max_length=10)

    def is_asked(self, on: str, channel: str | None) -> bool:
        """Tell whether it is asked on an occasion."""
        return on in self.on and channel in self.channels


class Answered(Value):
    """What a source said: the facts that are taken, and the names of those that are not what was declared."""

    facts: dict[str, Any] = {}
    refused: list[str] = []


def question(
    spec: SourceSpec, customer_id: str, identifiers: Sequence[Identifier], secret: bytes
) -> dict[str, Any] | None:
    """Return what a source is asked; None where nothing may be said by which it would know the customer."""
    facts = list(spec.facts)
    if spec.by == "customer_id":
        return {"customer_id": customer_id, "facts": facts}
    known = [one for one in identifiers if one.type in spec.identifiers]
    digests = [{"type": one.type, "digest": digest_of(one, secret)} for one in known]
    return {"identifiers": digests, "facts": facts} if digests else None


def digest_of(identifier: Identifier, secret: bytes) -> str:
    """Return by what a source knows an identifier again: an HMAC under the secret that only it has beside us."""
    return hmac.digest(secret, "\x1f".join(identifier.what).encode(), hashlib.sha256).hex()


def asking(question_id: str, asked: Mapping[str, Any], source: str, now: datetime) -> dict[str, Any]:
    """Return a question as a CloudEvent."""
    named = {"subject": asked["customer_id"]} if "customer_id" in asked else {}
    return {
        "specversion": "1.0", "id": question_id, "source": source, "type": "source.asked", "time": rfc3339(now),
        "datacontenttype": "application/json", "data": dict(asked),
    } | named  # fmt: skip


def taken(spec: SourceSpec, said: Any) -> Answered | None:
    """Return what is taken of an answer; None where it is no answer at all."""
    facts = said.get("facts") if isinstance(said, dict) else None
    if not isinstance(facts, dict):
        return None
    known = {name: value for name, value in facts.items() if name in spec.facts and value is not None}
    good = {name: value for name, value in known.items() if spec.facts[name].takes(value)}
    return Answered(facts=good, refused=sorted(known.keys() - good.keys()))


def told_facts(
    source: str, spec: SourceSpec, facts: Mapping[str, Any], asked_id: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return what is told of each fact, with its event's id: observed by a system, for as long as it is good."""
    told = []
    for name, value in facts.items():
        data = {"name": name, "value": value, "expires_in": spec.good_for, "source": source}
        sensitivity = spec.facts[name].sensitivity
        told.append((f"{asked_id}:{name}"[:128], data | ({"sensitivity": sensitivity} if sensitivity else {})))
    return told


def outcome(source: str, facts: int, reason: str | None) -> tuple[str, dict[str, Any]]:
    """Return type and data of the event that tells what became of a question."""
    if reason is None:
        return "source.answered", {"source": source, "facts": facts}
    return "source.missed", {"source": source, "reason": reason}
