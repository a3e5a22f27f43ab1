"""What a request says, as it may be kept: texts without what is never kept, names that hold none, cards as cards."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from ctxhub.errors import Invalid
from ctxhub.model.card import SHORTEST, number_in
from ctxhub.model.customer import CARD, CARD_REF, Identifier
from ctxhub.model.digits import runs
from ctxhub.model.identifier import EMAIL, PHONE
from ctxhub.model.never_kept import Cut, Finding, cleaned, cut_out, cuts
from ctxhub.model.number_format import Formats
from ctxhub.model.value import Value

AnyValue = TypeVar("AnyValue", bound=Value)
#: What systems call things: not looked at, since a thing whose id was changed would be lost. Nor is the number to call
#: back, which only names one of the customer's own.
IDS = frozenset(re.findall(
    "[a-z_]+", "agent agent_id bot code customer_id event_id external_id from_ handoff_id id index interaction_id "
    "journey_id merge_id number origin owner_of token"
))  # fmt: skip
#: What is compared letter by letter: refused where a card number stands in it, since without that it is another name.
NAMES = frozenset(re.findall(
    "[a-z]+", "channel channels kind language languages method methods queue queues ref skills system tenant type"
))  # fmt: skip
#: In these a card number can't be hidden: what is left is no number and no address any more.
_WHOLE = (PHONE, EMAIL, CARD_REF)
DEVICE = "device"
#: Called numbers are as long as telephone numbers, and checked by nothing.
_CALLED = "dnis"
_LONGEST_PHONE = 15
_IMEI = 15
_REFUSED = "a card number stands here, which is never kept; leave it out, or name it as an identifier of type card"


def as_card(identifier: Identifier, formats: Formats = ()) -> Identifier | None:
    """Return an identifier that is a card number as the card's, any other as it is; None where it only holds one."""
    found = [] if identifier.type == CARD else _cards(identifier.type, identifier.value, formats)
    if not found:
        return identifier
    beside = cut_out(identifier.value, [cut._replace(instead="") for cut in found])
    is_whole = number_in(identifier.value) is not None and not any(sign.isalnum() for sign in beside)
    return identifier.but(type=CARD) if is_whole else None


def _cards(kind: str, text: str, formats: Formats) -> list[Cut]:
    """Return the card numbers in a text, without what is as long or checked alike: telephone numbers and IMEIs."""
    if len(text) < SHORTEST or (kind == PHONE and len(text) <= _LONGEST_PHONE):
        return []
    found = [cut for cut in cuts(text, formats) if cut.finding.kind in ("card", "track")]
    if kind in (PHONE, _CALLED):
        return [cut for cut in found if len(_digits(text, cut)) > _LONGEST_PHONE]
    if kind == DEVICE:
        return [cut for cut in found if not _may_be_imei(_digits(text, cut))]
    return found


def _digits(text: str, cut: Cut) -> str:
    """Return the digits of a stretch of a text."""
    return "".join(group.digits for run in runs(text[cut.start : cut.end]) for group in run)


def _may_be_imei(digits: str) -> bool:
    """Tell whether a number may be the one that a telephone has, which ends in the same check digit as a card's."""
    return len(digits) == _IMEI and not digits.startswith(("34", "37"))


def _are_values(held: list[Any]) -> bool:
    """Tell whether a list holds values that have fields, and not plain JSON."""
    return bool(held) and isinstance(held[0], Value)


def must_be_no_card(name: str, held: str, pointer: str, formats: Formats = ()) -> None:
    """Refuse what a name says where a card number stands in it; the refusal does not repeat it."""
    if _cards(name, held, formats):
        raise Invalid.field(pointer, _REFUSED)


class AsKept:
    """One walk through what a request says; `hide` takes a card number out of an identifier that goes on after it."""

    def __init__(self, formats: Formats, hide: Callable[[Identifier], Identifier]) -> None:
        self._formats = formats
        self._hide = hide
        self.findings: list[Finding] = []

    def of(self, said: AnyValue, pointer: str = "") -> AnyValue:
        """Return it as it may be kept, the same one where nothing changes; `Invalid` for a name with a card number."""
        own: Any = self._identifier(said, pointer) if isinstance(said, Identifier) else said
        looked_at = {name: held for name, held in own.__dict__.items() if held is not None and name not in IDS}
        if isinstance(own, Identifier):
            del looked_at["value"]
        kept = {name: self._field(name, held, f"{pointer}/{name}") for name, held in looked_at.items()}
        changed = {name: held for name, held in kept.items() if held is not looked_at[name]}
        kept_as: AnyValue = own.but(**changed) if changed else own
        return kept_as

    def _field(self, name: str, held: Any, pointer: str) -> Any:
        """Return what one field says as it may be kept."""
        if isinstance(held, Value):
            return self.of(held, pointer)
        if isinstance(held, tuple | frozenset) or (isinstance(held, list) and (name in NAMES or _are_values(held))):
            kept = [self._field(name, one, f"{pointer}/{n}") for n, one in enumerate(held)]
            return held if all(a is b for a, b in zip(held, kept, strict=True)) else type(held)(kept)
        if not isinstance(held, str | list | dict):
            return held
        if name in NAMES or name == _CALLED:
            must_be_no_card(name, str(held), pointer, self._formats)
            return held
        return self._text(held)

    def _text(self, text: Any) -> Any:
        """Return a text, or any JSON, without what is never kept."""
        clean = cleaned(text, self._formats)
        self.findings += clean.findings
        return clean.value if clean.findings else text

    def _identifier(self, identifier: Identifier, pointer: str) -> Identifier:
        """Return an identifier that leads to whom it led, and holds no card number; `Invalid` where that can't be."""
        card = as_card(identifier, self._formats)
        if card is None and identifier.type in _WHOLE:
            raise Invalid.field(f"{pointer}/value", _REFUSED)
        kept = card or self._hide(identifier)
        self.findings += [Finding("card")] if kept is not identifier else []
        return kept
