"""Builders for values, a clock in hand, a hub on the tests' own server, and the check that no key leaks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ctxhub.hub.hub import Hub, Ways
from ctxhub.hub.keys import Principal
from ctxhub.model import interaction as interactions
from ctxhub.model.context import Context
from ctxhub.model.customer import AssuranceClaim, Identifier
from ctxhub.model.event import Change, Event, checked_data, default_party
from ctxhub.model.interaction import Interaction, Start
from ctxhub.model.lapsing import Patience
from ctxhub.model.telling import Scene, tell
from ctxhub.model.tenant import Tenant
from ctxhub.store.keys import TABLE
from ctxhub.store.redis import Server, connected

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

# Seconds that one waits who shares a machine with the hub: where it is to answer, and where it is made not to.
PATIENT = 10.0
IMPATIENT = 1.0

LEASE = timedelta(minutes=15)
GRACE = timedelta(minutes=10)
SILENCE = {"ivr": 4 * HOUR, "voice": 4 * HOUR}
PATIENCE = Patience(LEASE, GRACE, lambda channel: SILENCE.get(channel, 30 * MINUTE))
KEEP = 30 * DAY
MASTER_KEY = b"a master key for tests alone"
ACME = "acme"

TENANT = Tenant.model_validate(
    {
        "tenant": ACME,
        "default_region": "CN",
        "journeys": [
            {
                "kind": "refund",
                "steps": [
                    {"step": "order", "facts": ["order_id"]},
                    {"step": "payout", "facts": ["bank", "order_id", "account"]},
                ],
            },
            {
                "kind": "complaint",
                "owner": "service",
                "importance": 5,
                "rest": 600,
                "lapse": 7200,
                "escalate": [{"after": 3600, "owner": "agent:ann"}, {"after": 10_000, "owner": "board"}],
                "steps": [
                    {"step": "heard", "facts": ["what_happened"], "within": 300},
                    {"step": "answered", "owner": "back office"},
                ],
            },
        ],
        "queues": {"service": {}, "back office": {}, "board": {}},
        "facts": {"card_number": {"sensitivity": "sensitive"}},
    }
)
PLAIN = Tenant(tenant=ACME)
ADAPTER = Principal(tenant=ACME, name="channels", role="adapter")
DESK = Principal(tenant=ACME, name="desk", role="agent")
ADMIN = Principal(tenant=ACME, name="admin", role="admin")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, span: timedelta) -> None:
        """Let time pass."""
        self.now += span


def a_context(customer_id: str = "c42", **more: Any) -> Context:
    """A customer who has been known for a day."""
    return Context(customer_id=customer_id, known=True, created_at=NOON - DAY, **more)


def a_start(external_id: str = "x1", level: int = 0, channel: str = "chat", **more: Any) -> Start:
    """What a channel knows as an interaction begins."""
    claim = AssuranceClaim(level=level, method="otp") if level else None
    return Start(channel=channel, external_id=external_id, assurance=claim, **more)


def started(
    context: Context, interaction_id: str = "in_1", level: int = 0, now: datetime = NOON, **more: Any
) -> Context:
    """The context with an interaction that has begun."""
    request = a_start(interaction_id, level, **more)
    return interactions.start(context, request, interaction_id, now).context


def with_one(level: int = 0, **more: Any) -> Context:
    """A customer with one interaction, `in_1`."""
    return started(a_context(), level=level, **more)


def an_interaction(context: Context, interaction_id: str = "in_1") -> Interaction:
    """The interaction of a context."""
    return context.interactions[interaction_id]


def an_event(type_: str, interaction_id: str | None = "in_1", at: datetime = NOON, **data: Any) -> Event:
    """An event as it comes from a channel, its data checked; `event_id`, `party` and `journey_id` beside the data."""
    beside = {name: data.pop(name) for name in ("event_id", "party", "journey_id") if name in data}
    event_id = beside.pop("event_id", f"{type_}@{at.timestamp():.3f}:{sorted(data.items())!r}"[:120])
    party = beside.pop("party", default_party(type_))
    return Event(
        event_id=event_id, type=type_, at=at, interaction_id=interaction_id, party=party,
        data=checked_data(type_, data, "/events/0"), **beside,
    )  # fmt: skip


def after(context: Context, *events: Event, now: datetime | None = None, tenant: Tenant = PLAIN) -> Context:
    """The context after some events were told."""
    return telling(context, *events, now=now, tenant=tenant).context


def telling(context: Context, *events: Event, now: datetime | None = None, tenant: Tenant = PLAIN) -> Change:
    """What telling some events comes to; told at the time of the last of them unless said otherwise."""
    return tell(context, list(events), Scene(tenant, now or max(event.at for event in events)))


def a_fact(value: Any, name: str = "city", how: str = "stated", **more: Any) -> Event:
    """An event that tells a fact."""
    return an_event(f"fact.{how}", name=name, value=value, **more)


def a_phone(value: str = "+8613800138000", strength: Any = "claimed") -> Identifier:
    """A phone number that leads to somebody."""
    return Identifier(type="phone", value=value, strength=strength)


def ways(clock: Callable[[], datetime], **more: Any) -> Ways:
    """How the tests' hub works."""
    usual: dict[str, Any] = {
        "master_key": MASTER_KEY,
        "public_url": "https://ctx.test",
        "patience": PATIENCE,
        "keep": KEEP,
        "deadline": timedelta(seconds=5),
        "tick": timedelta(milliseconds=100),
        "relay_lease": timedelta(seconds=2),
        "clock": clock,
    }
    return Ways(**usual | more)


@pytest.fixture
def clock() -> Clock:
    """A clock in hand; it stands at noon."""
    return Clock()


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Server]:
    """The tests' own server, empty, as ctxhub calls it."""
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    async with connected(redis_url, partitions=8) as server:
        yield server


@pytest.fixture
def tenants_folder(tmp_path: Path) -> Path:
    """The folder of tenants' files, with the one of acme."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    (folder / f"{ACME}.yaml").write_text(TENANT.model_dump_json(exclude={"tenant"}), encoding="utf-8")
    return folder


@pytest.fixture
async def hub(server: Server, clock: Clock, tenants_folder: Path) -> Hub:
    """A hub whose clock the test holds; it neither listens nor relays unless asked to."""
    return Hub(server, ways(clock, tenants=tenants_folder))


@pytest.fixture
def no_key_leaks(redis_url: str) -> Iterator[None]:
    """After the test every key matches a row of the table of keys, with its type and its lifetime."""
    with Redis.from_url(redis_url) as redis:
        redis.flushall()  # what other tests left is not this one's
    yield
    found = leaks(redis_url)
    assert not found, found


_PART = "[^:]+"
_SPELLED = {"P": r"\d+", "T": r"[a-z0-9-]{1,40}", "C": r"[0-9A-Za-z._@-]{1,128}", "D": "[0-9a-f]{16,64}"}
_LONGEST = {"48 h": 48 * HOUR, "400 days": 400 * DAY, "24 h": 24 * HOUR, "7 days": 7 * DAY, "1 h": HOUR,
            "60 s": MINUTE, "2 min": 2 * MINUTE,
            "10 min": 10 * MINUTE, "30 days": 30 * DAY,
            "CTXHUB_AUDIT_KEEP after the last": 400 * DAY,
            "CTXHUB_AUDIT_KEEP_ADDRESSES after the last": 30 * DAY}  # fmt: skip
_FOR_EVER = {"—", "until consumed", "until chained", "until delivered", "CTXHUB_AUDIT_KEEP"}


def leaks(redis_url: str, keep: timedelta = KEEP) -> list[str]:
    """List every key that no row of the table of keys allows, or whose type or lifetime is another."""
    with Redis.from_url(redis_url, decode_responses=False) as redis:
        names = list(redis.scan_iter(count=1000))
        pipe = redis.pipeline(transaction=False)
        for name in names:
            pipe.type(name)
            pipe.pttl(name)
        answers = pipe.execute()
    found = zip(names, answers[::2], answers[1::2], strict=True)
    faults = (_fault(name.decode(), kind.decode(), left, keep) for name, kind, left in found)
    return [fault for fault in faults if fault is not None]


def _fault(name: str, kind: str, left: int, keep: timedelta) -> str | None:
    """Say what is wrong with a key, if anything is; one that went meanwhile is fine."""
    if left == -2:
        return None
    rows = [row for row in TABLE if re.fullmatch(_spelled(row.pattern), name, re.DOTALL)]
    if len(rows) != 1:
        return f"{name}: {len(rows)} rows of the table match"
    row = rows[0]
    if kind != {"string": "string", "sorted set": "zset"}.get(row.type, row.type):
        return f"{name}: is a {kind}, the table says {row.type}"
    if row.lives in _FOR_EVER:
        return None if left == -1 else f"{name}: goes in {left} ms, the table says {row.lives}"
    lifetimes = {"lifetime": keep, "2 × lifetime": 2 * keep}
    longest = lifetimes.get(row.lives) or _LONGEST[row.lives]
    allowed = 0 < left <= longest / timedelta(milliseconds=1)
    return None if allowed else f"{name}: {left} ms are left, the table says {row.lives}"


def _spelled(pattern: str) -> str:
    """Turn a row's pattern into a regular expression."""
    words = re.split(r"(?<![A-Za-z])([A-Z]+)(?![A-Za-z])", pattern)
    return "".join(_SPELLED.get(word, ".+") if word.isupper() else re.escape(word) for word in words)
