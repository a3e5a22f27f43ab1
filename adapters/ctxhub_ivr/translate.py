"""From what the telephone platform sends to the hub's values and back; nothing here waits or asks anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from ctxhub.client import (
    AlternativeView,
    AskedCallback,
    AskedNumber,
    AssuranceClaim,
    Attestation,
    HandoffHint,
    Identifier,
    OfferRequest,
    Party,
    Ref,
    Start,
    Started,
    Target,
    Telling,
    cleaned,
    told,
)

SYSTEM = "twilio"
PIN_TRIES = 3
SURE_ENOUGH = 0.8
UNCLEAR_BELOW = 0.3

_PHONE = re.compile(r"\+[1-9]\d{5,14}")
_TOKEN = re.compile(r"[0-9A-Za-z_-]{1,30}")
_CALL_SID = re.compile(r"[!-~]{1,64}")
_CODE = re.compile(r"[0-9]{8}")
_HEX = re.compile(r"(?:[0-9a-f]{2})+", re.IGNORECASE)
_VERSTAT = re.compile(r"TN-Validation-(Passed|Failed)(?:-([ABC]))?")
_MOST_SIP_HEADERS = 1023
_MOST_LEFT = 1500
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[0-9A-Za-z]{2,8})*")


@dataclass(frozen=True)
class State:
    """What must be remembered until the next webhook; it travels in the action's query, without personal data."""

    n: int = 0
    language: str | None = None
    page: int = 1
    again: int = 0
    tries: int = 0
    journeys: tuple[str, ...] = ()
    handoff: str | None = None
    fact: str | None = None
    confirms: bool = False
    mark: str | None = None
    kind: str | None = None
    left: tuple[str, ...] = ()

    @classmethod
    def from_query(cls, query: str) -> State:
        """Read a query; what makes no sense counts as not given."""
        pairs = parse_qsl(query, errors="replace")
        by_name = dict(pairs)
        language = by_name.get("language", "")
        return cls(
            n=_count(by_name.get("n")),
            language=language if _LANGUAGE.fullmatch(language) else None,
            page=max(1, _count(by_name.get("page"))),
            again=_count(by_name.get("again")),
            tries=_count(by_name.get("tries")),
            journeys=tuple(value for name, value in pairs if name == "journey" and value),
            handoff=by_name.get("handoff") or None,
            fact=by_name.get("fact") or None,
            confirms=by_name.get("ask") == "confirm",
            mark=by_name.get("mark"),
            kind=by_name.get("kind") or None,
            left=tuple(value for name, value in pairs if name == "left" and value),
        )

    @property
    def journey(self) -> str | None:
        """The journey that is talked about, the first one if there are several."""
        return self.journeys[0] if self.journeys else None

    def next(self, **changes: Any) -> State:
        """Return the next step's state: the call's own things stay, the step's own begin anew."""
        return replace(State(n=self.n + 1, language=self.language, tries=self.tries), **changes)

    def once_more(self) -> State:
        """Return the same step to be asked again."""
        return replace(self, n=self.n + 1, again=self.again + 1)

    def next_about(self, fact: str, mark: str | None = None) -> State:
        """Return the state of a question about a fact; with a mark it is whether a value is right."""
        return replace(self, fact=fact, confirms=mark is not None, mark=mark)

    def query(self) -> str:
        """Write the query; what is as usual is left out."""
        return urlencode(list(self._pairs()), quote_via=quote, safe="")

    def _pairs(self) -> Iterator[tuple[str, str]]:
        yield "n", str(self.n)
        for name, value, usual in (("page", self.page, 1), ("again", self.again, 0), ("tries", self.tries, 0)):
            if value != usual:
                yield name, str(value)
        yield from (("journey", journey) for journey in self.journeys)
        for name, text in (("language", self.language), ("handoff", self.handoff), ("fact", self.fact)):
            if text is not None:
                yield name, text
        if self.fact is not None:
            yield "ask", "confirm" if self.confirms else "ask"
        if self.mark is not None:
            yield "mark", self.mark
        if self.fact is not None and self.kind is not None:
            yield "kind", self.kind
            yield from (("left", name) for name in _as_many_as_fit(self.left))


@dataclass(frozen=True)
class Call:
    """One webhook about a call: whose it is and what the caller just did."""

    call_sid: str
    phone: str | None = None
    called: str | None = None
    digits: str = ""
    speech: str = ""
    confidence: float | None = None
    token: str | None = None
    outcome: str = ""
    attestation: Attestation | None = None

    @classmethod
    def from_params(cls, params: Iterable[tuple[str, str]], query: str = "") -> Call | None:
        """Read a webhook's form parameters, and a token from its query; None without a proper CallSid."""
        pairs = list(params)
        given = dict(pairs)
        if not _CALL_SID.fullmatch(given.get("CallSid", "")):
            return None
        phone, called = given.get("From", ""), given.get("To", "")
        return cls(
            call_sid=given["CallSid"],
            phone=phone if _PHONE.fullmatch(phone) else None,
            called=called if _PHONE.fullmatch(called) else None,
            digits=given.get("Digits", "").strip(),
            speech=given.get("SpeechResult", "").strip(),
            confidence=_confidence(given.get("Confidence")),
            token=token_in([*parse_qsl(query), *pairs]),
            attestation=attestation_of(given.get("StirVerstat", "")),
            outcome=given.get("DialCallStatus") or given.get("QueueResult") or given.get("CallStatus", ""),
        )

    @property
    def said(self) -> str:
        """What the caller keyed in, else said."""
        return self.digits or self.speech

    @property
    def mode(self) -> str:
        """How it was said."""
        return "dtmf" if self.digits else "speech"

    @property
    def sureness(self) -> float:
        """How surely it was understood; keys are sure, and speech that was not measured is taken as such."""
        return 1.0 if self.digits or not self.confidence else self.confidence

    @property
    def is_unclear(self) -> bool:
        """Tell whether there is nothing to go by."""
        return not self.said or self.sureness < UNCLEAR_BELOW

    def operation(self, n: int, what: str, *content: Any) -> str:
        """Name one effect of one step, alike whenever the webhook is repeated; no digest is made of a card number."""
        content = cleaned(list(content)).value
        digest = sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
        return f"{self.call_sid}:{n}:{what}:{digest}"

    def journey_id(self, n: int) -> str:
        """Name the journey that begins at a step, alike whenever the webhook is repeated."""
        return f"jr_{sha256(f'{SYSTEM}:{self.call_sid}:{n}'.encode()).hexdigest()[:22]}"


@dataclass(frozen=True)
class Teller:
    """Makes the events of one step of one call, about its journey where there is one."""

    call: Call
    n: int
    interaction_id: str
    journey_id: str | None = None

    def answer(self, name: str) -> list[Telling]:
        """Tell what was keyed or said, and the fact in it."""
        call = self.call
        sureness = {} if call.sureness == 1.0 else {"confidence": call.sureness}
        stated = self._of_journey("fact.stated", "customer", name=name, value=call.said, **sureness)
        return [self._collected(name), stated]

    def checked(self, name: str, result: dict[str, str]) -> list[Telling]:
        """Tell what became of something keyed in secret: its result, and where it was accepted that it is known."""
        keyed = self._of_journey("input.collected", "customer", prompt=name, value=result, mode="dtmf")
        if result["outcome"] != "accepted":
            return [keyed]
        shown = f"•••• {result['last4']}" if "last4" in result else result.get("card_ref", result["outcome"])
        return [keyed, self._of_journey("fact.verified", "system", name=name, value=shown)]

    def confirmed(self, name: str, value: Any) -> list[Telling]:
        """Tell that a value was said to be right."""
        return [self._collected(name), self._of_journey("fact.confirmed", "customer", name=name, value=value)]

    def rejected(self, name: str, value: Any) -> list[Telling]:
        """Tell that a value was said to be wrong."""
        return [self._collected(name), self._of_journey("fact.rejected", "customer", name=name, value=value)]

    def asked(self, name: str, *, confirms: bool) -> Telling:
        """Tell that a fact is being asked for, or whether a value is right."""
        return self._of_journey("question.asked", "bot", names=[name], purpose="confirm" if confirms else "ask")

    def begun(self, kind: str) -> Telling:
        """Tell that the journey begins."""
        return self._of_journey("journey.started", "customer", kind=kind)

    def advanced(self, step: str) -> Telling:
        """Tell that the journey has come to a step."""
        return self._of_journey("journey.advanced", "bot", step=step)

    def resumed(self) -> Telling:
        """Tell that the journey goes on."""
        return self._of_journey("journey.resumed", "customer")

    def declined(self) -> Telling:
        """Tell that the caller wants something else just now."""
        return self._of_journey("journey.declined", "customer")

    def raised(self, level: int, method: str = "pin") -> Telling:
        """Tell that the caller is known by the PIN, or by a code sent before."""
        return self._of_call("assurance.raised", "system", level=level, method=method)

    def pin_refused(self) -> Telling:
        """Warn that the PIN was wrong to the last try."""
        return self._of_call("risk.flagged", "system", kind="pin_refused")

    def link_sent(self, handoff_id: str) -> Telling:
        """Tell that the link is on its way."""
        return self._of_call("x.ivr.link_sent", "bot", handoff_id=handoff_id)

    def sent_on(self, reason: str) -> Telling:
        """Tell that the caller went to a human without anything of this, since the hub was away."""
        return self._of_call("x.ivr.sent_on", "bot", reason=reason)

    def _collected(self, prompt: str) -> Telling:
        call = self.call
        return self._of_journey("input.collected", "customer", prompt=prompt, value=call.said, mode=call.mode)

    def _of_journey(self, type_: str, party: Party, **data: Any) -> Telling:
        return self._told(type_, party, self.journey_id, data)

    def _of_call(self, type_: str, party: Party, **data: Any) -> Telling:
        return self._told(type_, party, None, data)

    def _told(self, type_: str, party: Party, journey_id: str | None, data: dict[str, Any]) -> Telling:
        """Make an event whose id is made of call, step and content."""
        return told(
            type_,
            interaction_id=self.interaction_id,
            party=party,
            journey_id=journey_id,
            event_id=self.call.operation(self.n, type_, journey_id, data),
            **data,
        )


def start_of(call: Call, language: str, *, with_token: bool = False) -> Start:
    """Say what is known as a call begins, and again at each of its steps: the hub finds it by its CallSid.

    The number calling is a mere claim. A token and the number called are handed in once, by the first webhook.
    """
    fields: dict[str, Any] = {
        "channel": "ivr",
        "system": SYSTEM,
        "external_id": call.call_sid,
        "language": language,
        "refs": [Ref(system=SYSTEM, kind="call", id=call.call_sid)],
    }
    if call.phone:
        fields["identifiers"] = [Identifier(type="phone", value=call.phone, strength="claimed")]
        fields["assurance"] = AssuranceClaim(level=1, method="ani")
    if call.attestation:
        fields["attestation"] = call.attestation
    if with_token and call.called:
        fields["dnis"] = call.called
    if with_token and call.token:
        fields["handoff"] = HandoffHint(token=call.token)
    return Start(**fields)


def attestation_of(verstat: str) -> Attestation | None:
    """Read what the network says of the number calling, such as `TN-Validation-Passed-A`; None for nothing."""
    found = _VERSTAT.fullmatch(verstat)
    if found is None:
        return None
    return Attestation(result="passed" if found[1] == "Passed" else "failed", level=found[2])


def offer_to(
    target: Target, customer_id: str, interaction_id: str, journey_id: str | None, reason: str, expires_in: int
) -> OfferRequest:
    """Offer the call to a queue with its token in the signalling, or to another channel with it in a message."""
    fields: dict[str, Any] = {"journey_id": journey_id} if journey_id else {}
    return OfferRequest(
        customer_id=customer_id,
        interaction_id=interaction_id,
        to=target,
        reason=reason,
        delivery="message" if target.channel else "signal",
        expires_in=expires_in,
        **fields,
    )


def call_back(
    queue: str, window: AlternativeView, phone: str, started: Started, journey_id: str | None
) -> OfferRequest:
    """Promise a call to the number that is calling, within a window."""
    number = AskedNumber(value=phone)
    return OfferRequest(
        customer_id=started.customer_id, interaction_id=started.interaction.interaction_id, journey_id=journey_id,
        reason="asked to be called back", to=Target(queue=queue), kind="callback",
        callback=AskedCallback.model_validate({"from": window.from_, "until": window.until, "number": number}),
    )  # fmt: skip


def sip_uri(target: str, token: str | None, uui: str | None, *, degraded: bool = False) -> str:
    """Add the token to a SIP address the way headers travel in it, as far as the platform's limit allows.

    `degraded` says that there is none because the hub is away.
    """
    address, mark, headers = target.partition("?")
    parts = [headers] if mark and headers else []
    away = "1" if degraded else None
    for name, value in (("User-to-User", uui), ("x-ctx-token", token), ("x-ctx-degraded", away)):
        part = f"{name}={quote(value, safe='')}" if value else ""
        if part and len("&".join([*parts, part])) <= _MOST_SIP_HEADERS:
            parts.append(part)
    return "?".join([address, "&".join(parts)]) if parts else address


def is_code(digits: str) -> bool:
    """Tell whether what was keyed in may be the code of a handoff."""
    return _CODE.fullmatch(digits) is not None


def mark_of(value: Any) -> str:
    """Mark which value was read out, too briefly to tell what it was: "yes" is about that value and no other."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:4]


def task_of(token: str | None, queue: str, language: str, *, degraded: bool = False) -> str:
    """Write the attributes of a TaskRouter task."""
    away = {"ctx_degraded": True} if degraded else {}
    return json.dumps({"ctx_token": token, "queue": queue, "language": language} | away, ensure_ascii=False)


def token_in(params: Iterable[tuple[str, str]]) -> str | None:
    """Find the handoff token among SIP headers and parameters; what looks like none is none."""
    by_name = {name.lower(): value.strip() for name, value in params}
    given = by_name.get("sipheader_x-ctx-token") or by_name.get("token")
    found = given if given else token_in_uui(by_name.get("sipheader_user-to-user", ""))
    return found if found and _TOKEN.fullmatch(found) else None


def token_in_uui(header: str) -> str | None:
    """Read User-to-User (RFC 7433): the first value in hex that holds a token, with or without a discriminator."""
    values = (value.partition(";")[0].strip() for value in header.split(","))
    tokens = (_token_in_hex(value) for value in values if _HEX.fullmatch(value))
    return next((token for token in tokens if token), None)


def _token_in_hex(value: str) -> str | None:
    """Decode a token; the octets 00 and 04 before it say which protocol the data is for."""
    data = bytes.fromhex(value)
    text = (data[1:] if data[:1] in (b"\x00", b"\x04") else data).decode("ascii", "replace")
    return text if _TOKEN.fullmatch(text) else None


def _as_many_as_fit(names: Iterable[str]) -> Iterator[str]:
    """Yield names as long as an address has room for them."""
    room = _MOST_LEFT
    for name in names:
        room -= len(quote(name, safe=""))
        if room < 0:
            return
        yield name


def _count(text: str | None) -> int:
    """Read a small number that we wrote ourselves."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 6 else 0


def _confidence(text: str | None) -> float | None:
    """Read how surely speech was understood; zero is what recognisers say that don't measure it."""
    try:
        value = float(text or 0)
    except ValueError:
        return None
    return min(value, 1.0) if value > 0 else None
