"""Which key or word stands for what: the kinds of journeys by the page, the journeys to resume, yes and no."""

from __future__ import annotations

from collections.abc import Sequence

from ctxhub.client import Kind, Tenant
from ctxhub_ivr.say import Command, command_in_answer, command_in_menu, complains, kind_label, normal
from ctxhub_ivr.translate import Call

PER_PAGE = 8
#: In every menu of a tenant that declares a kind for complaints; a page has one kind less then.
COMPLAINT_KEY = "8"
MOST_RESUMED = 3

_MENU_KEYS: dict[str, Command] = {"0": "human", "9": "next", "*": "pin", "#": "link"}
_RESUME_KEYS: dict[str, Command] = {"0": "human", "9": "other"}
_DONE_KEYS: dict[str, Command] = {"0": "human", "1": "menu", "2": "link", "3": "no"}
_CONFIRM_KEYS: dict[str, Command] = {"0": "human", "1": "yes", "2": "no", "*": "later"}
_FACT_KEYS: dict[str, Command] = {"*": "later", "*0": "human", "*1": "menu", "*2": "link"}


def pages(tenant: Tenant) -> int:
    """Return how many pages the kinds of journeys fill."""
    return max(1, -(-len(_listed(tenant)) // _per_page(tenant)))


def on_page(tenant: Tenant, page: int) -> list[Kind]:
    """Return the kinds of journeys on a page, in the order of their keys; after the last page comes the first."""
    size = _per_page(tenant)
    first = (page - 1) % pages(tenant) * size
    return _listed(tenant)[first : first + size]


def _listed(tenant: Tenant) -> list[Kind]:
    """Return the kinds that take turns on pages: not the one for complaints, which stands on each."""
    return [kind for kind in tenant.journeys if kind is not tenant.complaint]


def _per_page(tenant: Tenant) -> int:
    return PER_PAGE - 1 if tenant.complaint else PER_PAGE


def complaint(call: Call, tenant: Tenant) -> Kind | None:
    """Return the kind for complaints where the caller wants to make one, and the tenant has a kind for it."""
    wanted = call.digits == COMPLAINT_KEY if call.digits else not call.is_unclear and complains(call.speech)
    return tenant.complaint if wanted else None


def chosen_kind(call: Call, tenant: Tenant, page: int, language: str) -> Kind | None:
    """Return the kind of journey that the caller chose by its key on this page, or by name on any."""
    if (complained := complaint(call, tenant)) is not None:
        return complained
    if call.digits:
        return _at(on_page(tenant, page), call.digits)
    return None if call.is_unclear else _named(call.speech, tenant.journeys, language)


def chosen_journey(call: Call, kinds: Sequence[Kind], language: str) -> int | None:
    """Return which of the offered journeys the caller goes on with, by key, by name, or with "yes" the first."""
    if call.digits:
        return int(call.digits) - 1 if call.digits in _keys(len(kinds)) else None
    if command_in_answer(call.speech) == "yes":
        return 0
    found = None if call.is_unclear else _named(call.speech, kinds, language)
    return next((index for index, kind in enumerate(kinds) if kind is found), None)


def menu_command(call: Call) -> Command | None:
    """Return what else the caller wants in the menu."""
    return _MENU_KEYS.get(call.digits) if call.digits else _heard(call)


def resume_command(call: Call) -> Command | None:
    """Return what the caller wants instead of going on."""
    return _RESUME_KEYS.get(call.digits) if call.digits else _heard(call)


def done_command(call: Call) -> Command | None:
    """Return what the caller wants at the end."""
    return _DONE_KEYS.get(call.digits) if call.digits else _heard(call)


def confirm_command(call: Call) -> Command | None:
    """Return whether the caller says that a value is right."""
    if call.digits:
        return _CONFIRM_KEYS.get(call.digits) or _FACT_KEYS.get(call.digits)
    return None if call.is_unclear else command_in_answer(call.speech)


def fact_command(call: Call) -> Command | None:
    """Return what the caller wants instead of answering; yes and no are answers here."""
    command = _FACT_KEYS.get(call.digits) if call.digits else command_in_answer(call.speech)
    return command if command in ("later", "human", "menu", "link") else None


def _heard(call: Call) -> Command | None:
    return None if call.is_unclear else command_in_menu(call.speech)


def _keys(count: int) -> list[str]:
    return [str(number) for number in range(1, count + 1)]


def _at(kinds: Sequence[Kind], key: str) -> Kind | None:
    return dict(zip(_keys(len(kinds)), kinds, strict=True)).get(key)


def _named(speech: str, kinds: Sequence[Kind], language: str) -> Kind | None:
    """Return the one kind that is named, by exactly these words, else within them; none where several fit."""
    words = normal(speech)
    names = [(kind, {normal(kind.kind), normal(kind_label(kind, language))} - {""}) for kind in kinds]
    exact = [kind for kind, spoken in names if words in spoken]
    within = [kind for kind, spoken in names if any(_contains(words, name) for name in spoken)]
    found = exact or within
    return found[0] if len(found) == 1 else None


def _contains(words: str, name: str) -> bool:
    """Tell whether a name stands within words; Latin ones must not stand within a word."""
    return f" {name} " in f" {words} " if name.isascii() else name in words
