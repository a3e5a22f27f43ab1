"""The normal form of identifiers, by type: one person's number is the same however it is written."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import idna
import phonenumbers
from phonenumbers import PhoneNumberFormat

from ctxhub.model.tenant import BlockedValue, Identifiers
from ctxhub.model.value import MOST_LETTERS

#: Types that are read in a way of their own; all others are texts that count letter by letter.
PHONE = "phone"
EMAIL = "email"

_SCHEME = re.compile(r"(?:^|<)\s*(?:tel|sips?|callto|whatsapp)\s*:", re.IGNORECASE)
_MAILTO = re.compile(r"(?:mailto:)+", re.IGNORECASE)
_EXTENSION = re.compile(r"^\d{1,15}$")
_SEPARATORS = re.compile(r"[\s().\-/]")
_DIGITS = re.compile(r"^\+?[0-9]+$")
_NO_NUMBER = "this is no telephone number"


class NotNormal(ValueError):
    """A value that no identifier of its type has."""


class NoNumber(NotNormal):
    """What a telephone system tells where it knows no number: it leads to nobody."""


def normal_form(type_: str, value: str, region: str | None = None) -> str:
    """Return a value as it is kept and looked for; `NotNormal` where it is none of its type."""
    plain = _plain(value)
    if type_ == PHONE:
        plain = _phone(plain, region)
    elif type_ == EMAIL:
        plain = _email(plain)
    if not plain:
        raise NotNormal("nothing is left of it without blanks and invisible signs")
    if len(plain) > MOST_LETTERS:
        raise NotNormal(f"it has more than {MOST_LETTERS} letters once it is written in full")
    return plain


def blocked_form(blocked: BlockedValue, region: str | None) -> str:
    """Return a blocked value as channels' values are compared with it; words such as `anonymous` are no number."""
    try:
        return normal_form(blocked.type, blocked.value, region)
    except NoNumber:
        return blocked.value.casefold()


@lru_cache(maxsize=64)
def _forms(blocked: tuple[BlockedValue, ...], region: str | None) -> frozenset[tuple[str, str]]:
    """Return the normal forms of blocked values, made once for each declaration."""
    return frozenset((one.type, blocked_form(one, region)) for one in blocked)


def blocked_forms(declared: Identifiers, region: str | None) -> frozenset[tuple[str, str]]:
    """Return what is blocked, as type and value in normal form."""
    return _forms(tuple(declared.blocked), region)


def _plain(text: str) -> str:
    """Return a text with one spelling for signs that look alike, and without what can't be seen."""
    spelled = unicodedata.normalize("NFKC", text)
    seen = "".join(sign for sign in spelled if unicodedata.category(sign) not in ("Cf", "Cs", "Co", "Cn"))
    seen = unicodedata.normalize("NFKC", seen)  # what stood apart may be one sign now
    if any(unicodedata.category(sign) == "Cc" for sign in seen):
        raise NotNormal("control characters are not allowed")
    return seen.strip()


def _phone(text: str, region: str | None) -> str:
    """Return a telephone number as E.164; an extension stays behind it, since somebody else may answer there."""
    called = _out_of_address(text)
    abroad = f"+{called[2:]}" if called.startswith("00") else called
    try:
        number = phonenumbers.parse(abroad, region)
        whole = _settled(phonenumbers.format_number(number, PhoneNumberFormat.E164))
    except phonenumbers.NumberParseException as error:
        return _short(called, region, error)
    extension = number.extension or ""
    return f"{whole};ext={extension}" if _EXTENSION.match(extension) else whole


def _settled(number: str) -> str:
    """Return a number as it is read from what is written of it: of too many zeros each reading takes one away."""
    again = phonenumbers.format_number(phonenumbers.parse(number), PhoneNumberFormat.E164)
    return number if again == number else _settled(again)


def _short(called: str, region: str | None, error: Exception) -> str:
    """Return a number that no country's plan has, such as an extension in the house; `NoNumber` for anything else."""
    digits = _SEPARATORS.sub("", called)
    if not _DIGITS.match(digits):
        raise NoNumber(_NO_NUMBER) from error
    return digits if digits == called else _phone(digits, region)


def _out_of_address(text: str) -> str:
    """Return the number in an address such as `sip:+86…@host;user=phone` or `"Li" <tel:+86…;ext=2>`."""
    found = _SCHEME.search(text)
    if found is None:
        return text
    inside = text[found.end() :].partition(">")[0]
    user, at, _ = inside.partition("@")
    return user.partition(";")[0] if at else inside


def _email(text: str) -> str:
    """Return an e-mail address in small letters; its domain as the DNS spells it."""
    address = _MAILTO.sub("", text, count=1) if _MAILTO.match(text) else text
    local, at, domain = address.rpartition("@")
    if not (at and local and domain) or any(sign.isspace() for sign in address):
        raise NotNormal("this is no e-mail address")
    try:
        spelled = idna.encode(domain.rstrip(".。"), uts46=True).decode()
    except idna.IDNAError as error:
        raise NotNormal("its domain is none") from error
    return f"{local.casefold()}@{spelled.lower().rstrip('.')}"  # a last label of signs the DNS ignores leaves its dot
