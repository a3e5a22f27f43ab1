"""Events: all that happens is told the same way, and each kind of event has data of its own."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import orjson
from pydantic import AfterValidator, Field, StrictBool, ValidationError

from ctxhub.errors import Invalid
from ctxhub.model.value import (
    MAX_TEXT_BYTES,
    Channel,
    Confidence,
    CustomerId,
    ExternalId,
    Fence,
    Id,
    Instant,
    Level,
    Name,
    Text,
    Value,
)

Party = Literal["customer", "bot", "agent", "system"]
Sensitivity = Literal["public", "internal", "personal", "sensitive"]
RiskLevel = Literal["low", "medium", "high"]
Purpose = Literal["ask", "confirm", "step_up", "conflict", "expired", "regulatory"]

if TYPE_CHECKING:
    from ctxhub.model.context import Context

MAX_DATA_BYTES = 128 * 1024
MAX_DEPTH = 64
FREE_TYPE = re.compile(r"^x\.[^\x00-\x20\x7f]{1,100}$")


def _bounded(value: Any) -> Any:
    """Refuse a fact's value over 64 KiB as JSON."""
    if len(orjson.dumps(value)) > MAX_TEXT_BYTES:
        raise ValueError("a value has at most 64 KiB as JSON")
    return value


def _said(text: str) -> str:
    """Refuse a text that says nothing: briefs put it into a sentence."""
    if not text.strip():
        raise ValueError("it says nothing")
    return text


JsonValue = Annotated[Any, AfterValidator(_bounded)]
Seconds = Annotated[int, Field(gt=0, le=10 * 366 * 86_400, strict=True)]


class Ref(Value):
    """Another system's name for an interaction."""

    system: Id
    kind: Id = "call"
    id: ExternalId


class MessageData(Value):
    """What was said; `delivered` reports what the customer has already heard."""

    text: Text
    content_type: Id | None = None
    attachments: list[dict[str, Any]] | None = Field(None, max_length=20)
    fence: Fence | None = None
    delivered: StrictBool | None = None


class ReceiptData(Value):
    """What became of a message."""

    of: Id
    reason: Text | None = None


class InputData(Value):
    """What was keyed, spoken or clicked at a prompt; at least as sensitive as the fact of the prompt's name."""

    prompt: Name
    value: JsonValue
    mode: Literal["dtmf", "speech", "click"]
    sensitivity: Sensitivity | None = None


class IntentData(Value):
    """What the customer seems to want."""

    name: Name
    confidence: Confidence = 1.0


class FactData(Value):
    """One named thing, told or learned; `source` is the system that knew it, where that is another than who tells."""

    name: Name
    value: JsonValue
    confidence: Confidence = 1.0
    sensitivity: Sensitivity = "personal"
    expires_in: Seconds | None = None
    source: Id | None = None


class RejectionData(Value):
    """A value that is not so; without a value, none of the name is."""

    name: Name
    value: JsonValue = None


class QuestionData(Value):
    """What the customer is being asked, and why."""

    names: list[Name] = Field(min_length=1, max_length=100)
    purpose: Purpose = "ask"


class JourneyStartData(Value):
    """A task begins; with `find` an open one of its kind that is in the teller's sight goes on instead."""

    kind: Name
    journey_id: Id | None = None
    step: Name | None = None
    find: StrictBool | None = None
    happened: StrictBool | None = None


class JourneyStepData(Value):
    """A task moves on; `happened` reports what is done already."""

    step: Name
    happened: StrictBool | None = None
    fence: Fence | None = None


class JourneyData(Value):
    """A task rests, goes on or ends; the hub tells the same, with `by: hub`, of one nobody touched for long.

    `fence` is that of the claim under which it was done.
    """

    reason: Text | None = None
    happened: StrictBool | None = None
    fence: Fence | None = None


class AssuranceData(Value):
    """The customer is now known this surely."""

    level: Level
    method: Name
    expires_in: Seconds = 1800


class RevocationData(Value):
    """The customer is no longer known."""

    reason: Text | None = None


class RiskData(Value):
    """A warning of fraud or the like; it caps what is disclosed at once, and no channel hears of it."""

    kind: Name
    level: RiskLevel = "medium"


class RiskClearedData(Value):
    """A warning stands no longer; without a kind, none does."""

    kind: Name | None = None
    reason: Text


class CommitmentData(Value):
    """Something we said we would do."""

    what: Annotated[Text, AfterValidator(_said)]
    owner: Name
    due_at: Instant
    commitment_id: Id | None = None


class CommitmentEndData(Value):
    """A commitment was kept or broken."""

    commitment_id: Id
    reason: Text | None = None


class ConsentData(Value):
    """What the customer allows for a purpose, or no longer; `text_version` names the words that were agreed to."""

    purpose: Literal["recording", "marketing", "profiling", "sensitive", "keeping", "calls"]
    text_version: Name | None = None
    expires_in: Seconds | None = None


class CallData(Value):
    """What the telephone system reports; `agent_id` is whom it is about, `role` as what that agent takes part."""

    ref: Ref | None = None
    agent_id: Id | None = None
    reason: Text | None = None
    role: Literal["consulted", "joined", "monitoring"] | None = None


class TransferData(CallData):
    """A call is given away: to an agent, a queue, or back to a bot at a step, which says a sentence."""

    queue: Name | None = None
    bot: Id | None = None
    step: Name | None = None
    say: Text | None = None


class QueuedData(CallData):
    """Where a call stands, as its router tells; the wait is in seconds."""

    queue: Name | None = None
    position: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] | None = None
    expected_wait: Annotated[int, Field(ge=0, le=7 * 86_400, strict=True)] | None = None


class NoteData(Value):
    """A note for whoever comes next."""

    text: Text


_CALLS = ("alerting", "answered", "held", "retrieved", "consulted", "conferenced", "transferred", "ended")
_RECORDINGS = ("started", "paused", "resumed", "stopped")

#: The data that each told type of event carries; `x.` types carry whatever they like.
TOLD: dict[str, type[Value]] = {
    "message.received": MessageData,
    "message.sent": MessageData,
    "message.delivered": ReceiptData,
    "message.failed": ReceiptData,
    "input.collected": InputData,
    "intent.detected": IntentData,
    "fact.stated": FactData,
    "fact.observed": FactData,
    "fact.inferred": FactData,
    "fact.confirmed": FactData,
    "fact.verified": FactData,
    "fact.rejected": RejectionData,
    "question.asked": QuestionData,
    "journey.started": JourneyStartData,
    "journey.advanced": JourneyStepData,
    "journey.suspended": JourneyData,
    "journey.resumed": JourneyData,
    "journey.declined": JourneyData,
    "journey.completed": JourneyData,
    "journey.abandoned": JourneyData,
    "assurance.raised": AssuranceData,
    "assurance.revoked": RevocationData,
    "risk.flagged": RiskData,
    "risk.cleared": RiskClearedData,
    "commitment.made": CommitmentData,
    "commitment.kept": CommitmentEndData,
    "commitment.broken": CommitmentEndData,
    **{f"consent.{verb}": ConsentData for verb in ("granted", "denied", "withdrawn")},
    **{f"call.{verb}": CallData for verb in _CALLS},
    "call.transferred": TransferData,
    "call.queued": QueuedData,
    **{f"recording.{verb}": CallData for verb in _RECORDINGS},
    "note.added": NoteData,
}

_SPOKEN_BY_CUSTOMER = {
    "message.received", "input.collected", "fact.stated", "fact.confirmed", "intent.detected", "consent.granted",
    "consent.denied", "consent.withdrawn",
}  # fmt: skip
_APPENDED = ("message.", "x.")


def _is_none(value: object) -> bool:
    """Tell whether there is nothing to show."""
    return value is None


class Event(Value):
    """One thing that happened; `version` and what the hub adds are set when it is kept.

    `customer_id` says on whose timeline it stands, and so whose `version` that is, where that may be another's.
    """

    event_id: Id
    type: Id
    at: Instant
    interaction_id: Id | None = None
    journey_id: Id | None = None
    party: Party = "system"
    data: dict[str, Any] = {}
    channel: Channel | None = None
    assurance: Level = 0
    version: int | None = None
    marks: list[str] = []
    customer_id: Annotated[CustomerId | None, Field(exclude_if=_is_none)] = None

    @property
    def commutes(self) -> bool:
        """Tell whether it only adds to the timeline, so that no decision depends on it."""
        return self.type.startswith(_APPENDED) or self.type in {"input.collected", "note.added"}


class Change(NamedTuple):
    """What a decision comes to: the new context and the events that tell what happened."""

    context: Context
    events: list[Event]


class Telling(Value):
    """An event as a channel tells it."""

    event_id: Id
    type: Id
    at: Instant | None = None
    interaction_id: Id | None = None
    journey_id: Id | None = None
    party: Party | None = None
    data: dict[str, Any] = {}


def checked_data(type_: str, data: dict[str, Any], pointer: str) -> dict[str, Any]:
    """Return an event's data, checked for its type; faults are `Invalid` with a pointer below `pointer`."""
    if _is_deeper(data, MAX_DEPTH):
        raise Invalid.field(f"{pointer}/data", f"an event's data is nested at most {MAX_DEPTH} deep")
    checked = data if FREE_TYPE.match(type_) else _of_its_type(type_, data, pointer)
    if len(orjson.dumps(checked)) > MAX_DATA_BYTES:
        raise Invalid.field(f"{pointer}/data", "an event's data has at most 128 KiB")
    return checked


def _of_its_type(type_: str, data: dict[str, Any], pointer: str) -> dict[str, Any]:
    """Return what a type's data says; `Invalid` where it does not fit, or the type can't be told."""
    kind = TOLD.get(type_)
    if kind is None:
        raise Invalid.field(f"{pointer}/type", f"{type_!r} is not a type that can be told; free types begin with 'x.'")
    try:
        return kind.model_validate(data).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        raise Invalid(f"{pointer}/data has faults", errors=faults(error, f"{pointer}/data")) from error


def _is_deeper(value: Any, most: int) -> bool:
    """Tell whether a value is nested deeper than so many levels."""
    level = [value]
    for _ in range(most):
        level = [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _inside(outer: Any) -> Any:
    """Return what a list or an object holds."""
    return outer.values() if isinstance(outer, dict) else outer


def faults(error: ValidationError, pointer: str = "") -> list[dict[str, str]]:
    """List what pydantic found, each fault with its JSON pointer (RFC 6901)."""
    return [{"pointer": pointer + _pointer(fault["loc"]), "detail": in_words(fault["msg"])} for fault in error.errors()]


def in_words(message: str) -> str:
    """Return what pydantic says is wrong, without its mark of rules that are ours."""
    return message.removeprefix("Value error, ")


def _pointer(path: tuple[int | str, ...]) -> str:
    """Spell one path as a JSON pointer."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def in_time(evidence: str, mark: str) -> str:
    """Return the id of what time makes of something told: the same whenever, and by whomever, it is noticed."""
    return f"{hashlib.blake2b(evidence.encode(), digest_size=10).hexdigest()}:{mark}"


def default_party(type_: str) -> Party:
    """Return who is taken to have told an event that does not say."""
    if type_ in _SPOKEN_BY_CUSTOMER:
        return "customer"
    return "bot" if type_ in {"message.sent", "question.asked"} else "system"
