"""What channels tell: bodies of events, texts and values on their way through the filter, identifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import orjson
from pydantic import TypeAdapter

from ctxhub.api.calls import JsonRequest, checked
from ctxhub.api.events import EventsBody
from ctxhub.api.problems import problem_response
from ctxhub.client.never_kept import fields_without
from ctxhub.client.transport import Transport
from ctxhub.errors import CtxhubError
from ctxhub.hub import asserting
from ctxhub.hub.cards import Cards, is_card
from ctxhub.hub.events import _checked
from ctxhub.hub.never_kept import told_by_id, watched
from ctxhub.model.card import is_issued, passes_luhn
from ctxhub.model.context import Context
from ctxhub.model.customer import Identifier
from ctxhub.model.event import TOLD, Change, Event, Telling
from ctxhub.model.identifier import normal_form
from ctxhub.model.never_kept import cleaned
from ctxhub.model.telling import Scene, tell
from ctxhub.store.codec import context_from, event_bytes, event_from, sealed_document
from tests.fuzz.parser import driven
from tests.support import ADAPTER, MASTER_KEY, NOON, TENANT, with_one

_SCENE = Scene(TENANT, NOON)
_BODY = TypeAdapter(EventsBody)
_IDENTIFIER = TypeAdapter(Identifier)
_ALONE = re.compile(r"(?<!\S)[0-9]{13,19}(?!\S)")
_REGIONS = (None, "CN", "US", "DE", "IN", "ZZ")
#: A number that passes as a card's, made up here so that none stands in the file.
_CARD = "4" + "2" * 14 + next(digit for digit in "0123456789" if passes_luhn("4" + "2" * 14 + digit))


def _event(type_: str, **more: Any) -> dict[str, Any]:
    """One event as a channel tells it."""
    data = {name: value for name, value in more.items() if name not in ("party", "at", "journey_id", "interaction_id")}
    rest = {name: value for name, value in more.items() if name not in data}
    return {"event_id": f"e-{type_}", "type": type_, "interaction_id": "in_1", **rest, "data": data}


@cache
def a_context() -> Context:
    """A verified customer in a chat who has begun a refund."""
    begun = _event("journey.started", kind="refund", journey_id="jr_1")
    event = _checked(Telling.model_validate(begun), 0, NOON)[0]
    fact = _checked(Telling.model_validate(_event("fact.stated", name="order_id", value="A-17")), 1, NOON)[0]
    return tell(with_one(level=2), [event, fact], _SCENE).context


def read_events(body: bytes) -> Change:
    """Read a body of events as the route does, and decide on it as the hub does."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    request = JsonRequest({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    said = checked(_BODY, driven(request.json()))
    told = [_checked(telling, number, NOON, TENANT.formats) for number, telling in enumerate(said.events)]
    asserting.events(ADAPTER, [event for event, _ in told])
    once = [event for _, event in told_by_id(told)]
    events = [event for event, _ in watched([], once, TENANT.formats).told]
    return tell(a_context(), events, _SCENE)


def is_kept_as_told(change: Change) -> None:
    """See that whatever comes of events is the same once it was written and read."""
    for event in change.events:
        head = f"{event.assurance} {event.channel or ''} {','.join(event.marks)} ".encode()
        again = Event.model_validate(event_from(head + event_bytes(event), 7))
        assert again == event.but(version=7), (again, event)
    again_context = context_from(sealed_document(change.context, None)[0])
    assert again_context == change.context, (again_context, change.context)


def becomes_a_problem(refusal: CtxhubError) -> None:
    """See that a refusal can be told as a problem document, and that it is none of the hub's own faults."""
    response = problem_response(refusal)
    assert response.status_code < 500
    assert json.loads(bytes(response.body))["code"] == refusal.code


def bodies() -> list[bytes]:
    """Return good bodies: an event of each type that can be told, and what has been trouble elsewhere."""
    each: dict[str, dict[str, Any]] = {
        "message": {"text": "where is A-17?", "of": "m1"},
        "input": {"prompt": "order_id", "value": ["1", 2], "mode": "dtmf"},
        "intent": {"name": "refund", "confidence": 0.5},
        "fact": {"name": "order_id", "value": {"a": [1, None, 2.5, "x"]}},
        "question": {"names": ["bank", "account"], "purpose": "confirm"},
        "journey": {"kind": "refund", "step": "payout", "find": True, "happened": True, "reason": "later"},
        "assurance": {"level": 2, "method": "otp", "expires_in": 60},
        "risk": {"kind": "takeover", "level": "high", "reason": "no"},
        "commitment": {
            "what": "call back",
            "owner": "service",
            "due_at": "2026-11-23T10:00:00Z",
            "commitment_id": "cm",
        },
        "consent": {"purpose": "keeping", "expires_in": 60},
        "call": {"ref": {"system": "acd", "id": "9"}, "agent_id": "ann", "queue": "service", "position": 3},
        "recording": {"reason": "asked"},
        "note": {"text": "🙂 \u0000 é"},
    }
    events = [_of_type(type_, kind.model_fields, each[type_.split(".")[0]]) for type_, kind in TOLD.items()]
    several = [_event("message.received", text=digit, at="2026-11-22T11:59:00+01:00") for digit in "4111"]
    free = _event("x.anything", deep=[[[[{"a": 1e308, "b": -0.0, "c": 2**63}]]]], interaction_id=None)
    return [orjson.dumps({"events": some}) for some in ([free], several, *([event] for event in events))]


def _of_type(type_: str, fields: Any, data: dict[str, Any]) -> dict[str, Any]:
    """One event of a type, about the journey that is there."""
    about = {} if type_ == "journey.started" else {"journey_id": "jr_1"}
    more = {"delivered": True} if type_ == "message.sent" else {}
    return _event(type_, **about, **{name: value for name, value in data.items() if name in fields}, **more)


class Filtered(NamedTuple):
    """What the filter made of a value, in the hub and in a channel."""

    hub: Any
    channel: Any


@cache
def _transport() -> Transport:
    """A channel's way to the hub; the formats of its tenant are known, so it asks for nothing."""
    transport = Transport("http://hub.test", "ctx_key", timeout=1.0, tries=1)
    transport.formats = ()
    return transport


def read_text(data: bytes) -> Filtered:
    """Take a text through the filter of the hub and of a channel."""
    return _filtered(data.decode("utf-8", "replace"))


def read_value(data: bytes) -> Filtered:
    """Take any JSON through the filter of the hub and of a channel."""
    return _filtered(orjson.loads(data))


def _filtered(value: Any) -> Filtered:
    """Take a value through both."""
    telling = Telling.trusted(event_id="e1", type="x.said", data={"said": value})
    channel = driven(fields_without(_transport(), telling, "data"))
    return Filtered(cleaned(value).value, channel.data["said"])


def is_clean(found: Filtered) -> None:
    """See that nothing is left that is never kept, and that cleaning it again changes nothing."""
    again = cleaned(found.hub)
    assert again.value == found.hub, (again, found.hub)
    assert not again.findings, (again, found.hub)
    left = [number for text in _texts(found.hub) for number in _cards_alone(text)]
    assert left == [], found.hub
    assert cleaned(found.channel).value == found.channel


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a value, names and whole numbers among them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str | int):
        yield str(value)


def _cards_alone(text: str) -> Iterator[str]:
    """Yield the digits that begin and add up as a card's number and stand alone, not behind a plus."""
    for match in _ALONE.finditer(text):
        if is_issued(match[0]) and passes_luhn(match[0]) and "+" not in text[: match.start()]:
            yield match[0]


def texts() -> list[bytes]:
    """Return texts with what is never kept, and with what looks like it."""
    spaced = " ".join(_CARD[n : n + 4] for n in range(0, 16, 4))
    said = (
        f"my card is {_CARD}, cvv 123, exp 12/29", f"{spaced} 和 验证码 482913", f"卡号{_CARD}安全码 007",
        f"%B{_CARD}^LI/NA^2912101?;{_CARD}=2912101?", "my password is hunter2 and the pin: 4711",
        "four two two two double two", "+49 170 1234567 or 010-12345678 in in_0123456789abcdef0123",
        "密码是 abc123，口令：9876", "0123-4567-89ab-cdef", "•••• 4242 ••• 12/29 otp 123456", "ıİ cvv 123 ⑨⑨⑨ ٣٤٥",
    )  # fmt: skip
    return [text.encode() for text in said]


def values() -> list[bytes]:
    """Return JSON with what is never kept."""
    said: tuple[Any, ...] = (
        {"card": {"number": int(_CARD), "cvv": 123, "exp": "12/29"}},
        [int(digit) for digit in _CARD],
        {"part1": _CARD[:4], "part2": _CARD[4:8], "part3": _CARD[8:12], "part4": _CARD[12:]},
        {"name": "cvv", "value": "123"},
        {_CARD: {"password": "hunter2", "otp": None}},
        {"prompt": "pin", "value": [1, 2, 3, 4], "text": f"it is {_CARD}"},
        [1e15, -4.5, True, "", {"": [[[]]]}],
    )
    return [orjson.dumps(one) for one in said]


class Normal(NamedTuple):
    """An identifier in its normal form, and how it is read."""

    found: Identifier
    region: str | None


def read_identifier(data: bytes) -> Normal:
    """Read an identifier: a region's number, a type and a value, a line each."""
    number, _, rest = data.decode("utf-8", "replace").partition("\n")
    type_, _, value = rest.partition("\n")
    region = _REGIONS[len(number) % len(_REGIONS)]
    return Normal(_normal(checked(_IDENTIFIER, {"type": type_, "value": value}), region), region)


def _normal(identifier: Identifier, region: str | None) -> Identifier:
    """Bring an identifier into its normal form as the hub does."""
    if is_card(identifier):
        return Cards(MASTER_KEY).blind("acme", identifier)
    return identifier.but(value=normal_form(identifier.type, identifier.value, region))


def stays_normal(normal: Normal) -> None:
    """See that a normal form is one that may be kept, and the same in its own normal form."""
    assert _IDENTIFIER.validate_python(normal.found.model_dump()) == normal.found
    assert _normal(normal.found, normal.region) == normal.found


def identifiers() -> list[bytes]:
    """Return identifiers of every type, as people and systems write them."""
    written = (
        ("phone", "+86 138 0013 8000"), ("phone", "0049 (170) 123-4567 ext. 12"), ("phone", "tel:+1-212-5550100;ext=7"),
        ("phone", '"Li" <sip:13800138000@host;user=phone>'), ("phone", "anonymous"),
        ("phone", "１３８００１３８０００"), ("phone", "10086"), ("email", "Mailto:Li.Na@Exämple.DE"),
        ("email", "straße@例子.中国."), ("card", _CARD),
        ("account", "ＡＣ\u200b-17 "), ("open_id", "o6_bm\u0301ǅﬁ"),
    )  # fmt: skip
    return [f"{'.' * (n % 6)}\n{type_}\n{value}".encode() for n, (type_, value) in enumerate(written)]
