"""What a key may assert: how surely a customer is known, and by which method."""

from __future__ import annotations

from collections.abc import Sequence

from ctxhub.errors import AssuranceNotAllowed
from ctxhub.hub.keys import Principal
from ctxhub.model.clearance import SHARED_FROM
from ctxhub.model.customer import AssuranceClaim, Identifier
from ctxhub.model.event import Event
from ctxhub.model.interaction import Start

#: What only says which line or browser it is proves nobody, whoever asserts it.
CLAIMS = ("ani", "attestation", "cookie", "identifier", "visitor")
#: The method that lets a key clear a warning of fraud.
RISK_REVIEW = "risk_review"


def start(principal: Principal, request: Start) -> None:
    """Refuse a start that asserts more than its key may; what a handoff carries was asserted by another."""
    claim(principal, request.assurance)
    identifiers(principal, request.identifiers)


def claim(principal: Principal, asserted: AssuranceClaim | None) -> None:
    """Refuse an assurance that is not the key's to assert."""
    if asserted is not None:
        _must_be_allowed(principal, asserted.level, asserted.method)


def identifiers(principal: Principal, named: Sequence[Identifier]) -> None:
    """Refuse identifiers said to be verified by a key that can't verify anybody."""
    if principal.level < SHARED_FROM and any(identifier.strength == "verified" for identifier in named):
        raise _refusal(principal, "a verified identifier")


def events(principal: Principal, told: Sequence[Event]) -> None:
    """Refuse events that assert more than their key may."""
    for event in told:
        if event.type == "assurance.raised":
            _must_be_allowed(principal, event.data["level"], event.data["method"])
        if event.type == "fact.verified" and principal.level < SHARED_FROM:
            raise _refusal(principal, "a verified fact")
        if event.type == "risk.cleared" and not _reviews(principal):
            raise _refusal(principal, f"that a warning is cleared, without the method {RISK_REVIEW}")
        if event.type.startswith("call."):
            leg(principal, event.data.get("agent_id"))


def _reviews(principal: Principal) -> bool:
    """Tell whether a key may clear warnings of fraud: an admin's, or one that is named for it."""
    return principal.role == "admin" or RISK_REVIEW in (principal.methods or ())


def _must_be_allowed(principal: Principal, level: int, method: str | None) -> None:
    """Refuse a level above the key's, a method it does not have, and proof by what is a mere claim."""
    if level == 0:
        return
    if level > principal.level:
        raise _refusal(principal, f"level {level}")
    if principal.methods is not None and method not in principal.methods:
        raise _refusal(principal, f"the method {method}")
    if level >= SHARED_FROM and method in CLAIMS:
        raise _refusal(principal, f"level {level} by {method}, which is a claim and no more")


def _refusal(principal: Principal, what: str) -> AssuranceNotAllowed:
    """Return the refusal, with what the key may assert."""
    methods = list(principal.methods) if principal.methods is not None else None
    return AssuranceNotAllowed(f"this key may not assert {what}", highest_level=principal.level, methods=methods)


def leg(principal: Principal, agent_id: str | None) -> None:
    """Refuse a key bound to one agent that says another has answered."""
    if agent_id is not None:
        principal.must_be(agent_id)
