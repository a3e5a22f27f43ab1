"""Webhooks: whom a tenant wants told of what, what such a message says, and how often it is tried."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from ctxhub.model.disclosure import FOR_COLLEAGUES
from ctxhub.model.value import CustomerId, Id, Instant, Language, Name, Value, rfc3339

#: How long to wait after the first, second … attempt that failed: a weekend and more in all.
PAUSES = tuple(timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))
#: Each pause is made shorter or longer by up to a fifth, so that what failed together does not come back together.
JITTER = 0.2
#: Whoever is left alone in between, because its endpoint fails for all, is given up after this at the latest.
GIVEN_UP_AFTER = timedelta(days=5)
LONGEST_RETRY_AFTER = timedelta(days=1)

#: What of an event's data is told: ids, codes and times, never what somebody said or keyed in.
TOLD_OF = (
    "handoff_id", "queue", "from_queue", "offered_to", "to", "mode", "kind", "skills", "priority", "delivery",
    "waiting_since", "offered_at", "expires_at", "lease_ends", "opens_at", "due_at", "window", "parent_id", "root_id",
    "state", "by", "agent_id", "bot", "fence", "outcome", "disposition", "lapses", "waited", "handled", "after",
    "attempt", "callback_id", "commitment_id", "owner", "step", "level", "journey_id", "channel", "merge_id", "from",
    "ref", "refs", "legs", "number", "of", "until", "opened", "went_on_as", "wrap_up", "position", "expected_wait",
)  # fmt: skip

EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,99}$")]
EndpointName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
#: A type of event such as `handoff.offered`, or all of a family: `handoff.*`.
Pattern = Annotated[str, StringConstraints(pattern=r"^(x\.[^\x00-\x20\x7f]{1,100}|[a-z]+\.([a-z_]+|\*))$")]


def _callable(url: str) -> str:
    """Refuse what can't be posted to, and what would carry a password along."""
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment:
        raise ValueError("write a whole address, such as https://crm.example.com/hooks")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address holds no password: what is sent is signed")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError("the port of this address is none") from error
    if port == 0 or not url.isascii() or any(letter.isspace() for letter in url):
        raise ValueError("write the address in ASCII, without blanks, with a port that there is")
    return url


Url = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_callable)]


class Signing(Value):
    """With which secrets is signed, by the environment variables that hold them; the first is the newest."""

    secret: EnvName | None = None
    secrets: list[EnvName] = Field([], max_length=5)

    @property
    def signed_with(self) -> list[str]:
        """The names of all variables whose secrets sign."""
        return [*([self.secret] if self.secret else []), *self.secrets]

    @model_validator(mode="after")
    def _by_something(self) -> Signing:
        """Refuse to send what nobody could check."""
        if not self.signed_with:
            raise ValueError("name the environment variable of its secret under `secret`")
        return self


class WebhookSpec(Signing):
    """An endpoint, and what it is told: events by type, of some queues or all, as ids or with a brief for a role."""

    url: Url
    events: list[Pattern] = Field(min_length=1, max_length=100)
    queues: list[Name] = Field([], max_length=200)
    content: Literal["ids", "brief"] = "ids"
    role: Literal["adapter", "agent"] = "adapter"
    lang: Language | None = None
    order: Literal["customer", "none"] = "customer"
    timeout: Annotated[int, Field(ge=1, le=30, strict=True)] = 10
    concurrency: Annotated[int, Field(ge=1, le=64, strict=True)] = 8

    def wants(self, event: dict[str, Any]) -> bool:
        """Tell whether it is told of an event; what is for colleagues alone goes to none but their systems."""
        type_ = event["type"]
        if type_ in FOR_COLLEAGUES and self.role != "agent":
            return False
        named = type_ in self.events or f"{type_.split('.')[0]}.*" in self.events
        here = {event["data"].get("queue"), event["data"].get("from_queue")}
        return named and (not self.queues or not here.isdisjoint(self.queues))


class Delivery(Value):
    """One event on its way to one endpoint: what is told of it, how often that was tried, and what came of it."""

    webhook_id: Id
    customer_id: CustomerId
    version: int
    event_id: Id
    type: Id
    at: Instant
    interaction_id: Id | None = None
    journey_id: Id | None = None
    channel: str | None = None
    data: dict[str, Any] = {}
    queued_at: Instant
    attempts: int = 0
    said: str | None = None
    said_at: Instant | None = None


class Answer(NamedTuple):
    """What came of one attempt: a status, or the reason why there is none; and for how long we are to wait."""

    status: int | None
    reason: str | None = None
    retry_after: timedelta | None = None

    @property
    def is_taken(self) -> bool:
        """Tell whether the endpoint has acknowledged it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Tell whether the endpoint wants nothing more, ever."""
        return self.status == 410

    @property
    def blames_endpoint(self) -> bool:
        """Tell whether the next message would most likely fare no better."""
        return self.status is None or self.status >= 500 or self.status in (408, 429)

    @property
    def in_words(self) -> str:
        """Say it in a word or two."""
        return str(self.status) if self.status is not None else str(self.reason)


class Settled(NamedTuple):
    """What becomes of a delivery after an attempt; `at` is when it is tried again, or when it was over."""

    how: Literal["again", "delivered", "dead"]
    delivery: Delivery
    at: datetime


def delivery_of(tenant: str, customer_id: str, event: dict[str, Any], now: datetime) -> Delivery:
    """Return the delivery of an event as it stands on a timeline; its id is the same however often it is made."""
    seed = "\x1f".join((tenant, customer_id, event["event_id"])).encode("utf-8", "surrogatepass")
    told = {name: event["data"][name] for name in TOLD_OF if event["data"].get(name) is not None}
    return Delivery(
        webhook_id=f"msg_{hashlib.blake2b(seed, digest_size=16).hexdigest()}",
        customer_id=customer_id,
        version=event["version"],
        event_id=event["event_id"],
        type=event["type"],
        at=event["at"],
        interaction_id=event.get("interaction_id"),
        journey_id=event.get("journey_id"),
        channel=event.get("channel"),
        data=told,
        queued_at=now,
    )


def envelope(delivery: Delivery, source: str, brief: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a delivery as a CloudEvent (1.0, structured mode), with a brief where the endpoint gets one."""
    beside = {
        "event_id": delivery.event_id,
        "version": delivery.version,
        "customer_id": delivery.customer_id,
        "interaction_id": delivery.interaction_id,
        "journey_id": delivery.journey_id,
        "channel": delivery.channel,
    }
    return {
        "specversion": "1.0",
        "id": delivery.webhook_id,
        "source": source,
        "type": delivery.type,
        "subject": delivery.customer_id,
        "time": rfc3339(delivery.at),
        "datacontenttype": "application/json",
        "data": {name: part for name, part in beside.items() if part is not None}
        | delivery.data
        | ({"brief": brief} if brief is not None else {}),
    }


def settled(delivery: Delivery, answer: Answer, now: datetime, chance: float) -> Settled:
    """Return what becomes of a delivery after an attempt; `chance`, from 0 to 1, spreads what is tried again."""
    tried = delivery.but(attempts=delivery.attempts + 1, said=answer.in_words, said_at=now)
    if answer.is_taken:
        return Settled("delivered", tried, now)
    if answer.is_gone or tried.attempts > len(PAUSES) or now - delivery.queued_at >= GIVEN_UP_AFTER:
        return Settled("dead", tried, now)
    pause = PAUSES[tried.attempts - 1] * (1 + JITTER * (2 * chance - 1))
    return Settled("again", tried, now + max(pause, answer.retry_after or timedelta(0)))


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """Read Retry-After, in seconds or as a date, and at most a day; None where it says nothing that can be heeded."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text), 10**8)), LONGEST_RETRY_AFTER)
    try:
        span = parsedate_to_datetime(text) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(span, timedelta(0)), LONGEST_RETRY_AFTER)
