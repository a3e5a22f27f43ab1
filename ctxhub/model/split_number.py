"""Card numbers split over messages or key presses: found as the last part comes, and taken out of all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ctxhub.model.card import HIDDEN, LONGEST, Found, cards_among, is_usual, shown
from ctxhub.model.digits import Group, holds_digits, runs, said, speaks_only_digits
from ctxhub.model.never_kept import NOTHING_LEFT, Cut, Finding, cut_out, is_shielded
from ctxhub.model.number_format import Formats

#: Where the parts of one number stand: what was said or keyed, and what a channel made of it.
_SAID = {"message.received": "text", "input.collected": "value"}
_STATED = {"fact.stated": "value"}
WITHIN = timedelta(minutes=3)
#: How many events of a customer are looked back over, the bot's own between them.
LOOK_BACK = 60
MOST_PARTS = 5
_BLOCK = 4
_MOST_WORDS = 60
_FEW = 2
_ASKS_FOR_CODE = re.compile(
    r"\b(?:cvv2?|cvc2?|security code|verification code|one[- ]time|otp|pin)\b|安全码|验证码|密码", re.IGNORECASE
)  # fmt: skip
_WAS_CARD = re.compile(rf"{HIDDEN} \d{{4}}")


class Heard(NamedTuple):
    """An event as far as it may hold a part of a number; `version` is None for one that is only being told."""

    event_id: str
    version: int | None
    type: str
    at: datetime
    interaction_id: str | None
    party: str
    data: Mapping[str, Any]


class Spread(NamedTuple):
    """A number that was told in parts: the last four digits, every event it stands in with its data without it.

    `texts` are the parts as they were told, for whatever else repeats them.
    """

    last4: str
    data: dict[str, dict[str, Any]]
    texts: frozenset[str] = frozenset()


class _Part(NamedTuple):
    """What somebody said or keyed, with the digits that it ends or begins with."""

    heard: Heard
    field: str
    text: str
    runs: list[list[Group]]


def may_be_part(type_: str, party: str, interaction_id: str | None, data: Mapping[str, Any]) -> bool:
    """Tell, cheaply, whether an event may hold a part of a number, or a code that belongs to one."""
    field = _SAID.get(type_) or _STATED.get(type_)
    if field is None or party != "customer" or interaction_id is None:
        return False
    text = _text_of(data.get(field))
    if text is None or (type_ in _STATED and not _may_be_stated(data.get(field))):
        return False
    return len(text) <= _MOST_WORDS + 3 * LONGEST and holds_some(text)


def _may_be_stated(value: Any) -> bool:
    """Tell whether a fact's value may be a part: a text of some length, since small numbers count people and nights."""
    return isinstance(value, str) and len(value) > _FEW


def holds_some(text: str) -> bool:
    """Tell whether a text holds any digit, spoken ones among them."""
    return holds_digits(text) or speaks_only_digits(text) or (not text.isascii() and bool(runs(text)))


def spread(before: Sequence[Heard], new: Heard, formats: Formats = ()) -> Spread | None:
    """Return the number whose last part is told just now, if the events before hold the others; oldest come first."""
    return (
        _told_in(before, new, _parts(before, new, formats))
        or _told_in(before, new, _parts(before, new, formats, apart=True), apart=True)
        or _told_in(before, new, _message_and_fact(before, new, formats), apart=True)
    )


def _told_in(before: Sequence[Heard], new: Heard, parts: list[_Part], apart: bool = False) -> Spread | None:
    """Return the number that parts make with the newest of them; of what stood apart only one as long as cards are."""
    if len(parts) < 2:
        return None
    groups, places = _chained(parts)
    for found in cards_among(groups):
        touched = sorted(set(places[found.first : found.behind]))
        if len(parts) - 1 not in touched or len(touched) == 1:
            continue
        is_usual_length = is_usual("".join(group.digits for group in groups[found.first : found.behind]))
        if _are_few(parts, touched, is_usual_length) and (is_usual_length or not apart):
            return _without_all(before, parts, groups, places, found)
    return None


def _without_all(
    before: Sequence[Heard], parts: Sequence[_Part], groups: Sequence[Group], places: Sequence[int], found: Found
) -> Spread:
    """Return the number with every event it stands in, without it."""
    touched = sorted(set(places[found.first : found.behind]))
    cut = list(zip(groups, places, strict=True))[found.first : found.behind]
    newest = len(parts) - 1
    data = {parts[n].heard.event_id: _without(parts[n], [g for g, m in cut if m == n], n == newest, found.last4)
            for n in touched}  # fmt: skip
    told = [parts[n] for n in touched]
    return Spread(found.last4, data | _alike(before, told), frozenset(part.text for part in told))


def code_alone(before: Sequence[Heard], new: Heard) -> dict[str, Any] | None:
    """Return an event's data without digits that are a code: asked for just before, or told right behind a card."""
    field = _SAID.get(new.type) or _STATED.get(new.type)
    text = _text_of(new.data.get(field)) if field else None
    found = said(text) if text else []
    if field is None or text is None or len(found) != 1 or len(text) > _MOST_WORDS // 2:
        return None
    count = sum(len(group.digits) for group in found[0])
    recent = [one for one in before if one.interaction_id == new.interaction_id and new.at - one.at <= WITHIN][-6:]
    asked = next((one for one in reversed(recent) if one.type in ("message.sent", "question.asked")), None)
    was_asked = asked is not None and _ASKS_FOR_CODE.search(str(asked.data.get("text") or asked.data.get("names")))
    follows = count < 7 and any(_WAS_CARD.search(str(one.data.get(_SAID[one.type]))) for one in recent[-3:]
                                if one.type in _SAID)  # fmt: skip
    if not 3 <= count <= 8 or not (was_asked or follows):
        return None
    whole = Cut(found[0][0].start, found[0][-1].end, NOTHING_LEFT, Finding("security_code"))
    return {**new.data, field: cut_out(text, [whole])}


def repeats(before: Sequence[Heard], new: Heard, texts: frozenset[str] = frozenset()) -> dict[str, Any] | None:
    """Return a stated fact's data without the part of a card number that it repeats."""
    text = _text_of(new.data.get("value")) if new.type in _STATED else None
    digits = "".join(group.digits for run in runs(text or "") for group in run)
    if text is None or not digits:
        return None
    recent = [str(one.data) for one in before if new.at - one.at <= WITHIN and one.interaction_id == new.interaction_id]
    told = len(digits) > _FEW * 2 and any(shown(digits[-4:]) in said for said in recent)
    return {**new.data, "value": shown(digits[-4:])} if told or text in texts else None


def _parts(before: Sequence[Heard], new: Heard, formats: Formats, apart: bool = False) -> list[_Part]:
    """Return what may be parts of one number, the newest last, back to what can't be one.

    With `apart` what has few digits among words is passed over, and all others are digits alone.
    """
    fields = _SAID if new.type in _SAID else _STATED
    parts, digits = [], 0
    for heard in [new, *reversed(before)]:
        if digits >= 2 * LONGEST or new.at - heard.at > WITHIN:
            break
        if heard.type not in fields or heard.interaction_id != new.interaction_id or heard.party != "customer":
            continue
        part = _part(heard, fields[heard.type], formats)
        if part is None or not _may_join(heard, new, part) or (apart and _is_chatter(part)):
            continue
        if apart and not _is_bare(part):
            break
        parts.append(part)
        digits += sum(len(group.digits) for group in part.runs[-1])
        if heard is not new and len(part.runs) > 1:
            break  # its last digits may begin the number, those before them are of another
    return parts[::-1]


def _is_chatter(part: _Part) -> bool:
    """Tell whether a part is words that hold a few digits."""
    return _count(part) <= min(_BLOCK, sum(sign.isalpha() for sign in part.text))


def _is_bare(part: _Part) -> bool:
    """Tell whether a part is digits and nothing else."""
    return len(part.runs) == 1 and not any(
        sign.isalnum() for sign in part.text[: part.runs[0][0].start] + part.text[part.runs[0][-1].end :]
    )


def _count(part: _Part) -> int:
    """Return how many digits a part has."""
    return sum(len(group.digits) for run in part.runs for group in run)


def _message_and_fact(before: Sequence[Heard], new: Heard, formats: Formats) -> list[_Part]:
    """Return what was said last and the fact that is stated where both are blocks of a card and neither is the other's.

    A fact mostly says again what was said or keyed just before.
    """
    part = _part(new, _STATED[new.type], formats) if new.type in _STATED else None
    if part is None or not _is_bare(part):
        return []
    recent = [
        _part(heard, _SAID[heard.type], formats) for heard in before if heard.type in _SAID and _is_near(heard, new)
    ]
    said_ = [one for one in recent if one is not None]
    if not said_ or any(_digits(part) in _digits(one) or _digits(one) in _digits(part) for one in said_):
        return []
    blocks = (said_[-1], part)
    return [*blocks] if all(_is_bare(one) and _count(one) % _BLOCK == 0 for one in blocks) else []


def _is_near(heard: Heard, new: Heard) -> bool:
    """Tell whether an event is the customer's, of the same interaction and not long ago."""
    is_here = heard.interaction_id == new.interaction_id and heard.party == "customer"
    return is_here and new.at - heard.at <= WITHIN


def _digits(part: _Part) -> str:
    """Return all digits of a part."""
    return "".join(group.digits for run in part.runs for group in run)


def _may_join(heard: Heard, new: Heard, part: _Part) -> bool:
    """Tell whether an event and the newest may tell one number: facts of two names and times seldom do.

    They do where one input was cut in fours, each block a fact of its own.
    """
    if new.type not in _STATED or heard.data.get("name") == new.data.get("name") or heard.at == new.at:
        return True
    return all(_in_fours(run) for run in (part.runs[-1], *runs(_text_of(new.data.get("value")) or "")[:1]))


def _in_fours(run: Sequence[Group]) -> bool:
    """Tell whether digits are a block of four, as a card shows them."""
    return sum(len(group.digits) for group in run) == _BLOCK


def _part(heard: Heard, field: str, formats: Formats) -> _Part | None:
    """Return an event as a part; None for one without digits, or with a number of another kind."""
    text = _text_of(heard.data.get(field))
    if text is None or (heard.type in _STATED and not _may_be_stated(heard.data.get(field))):
        return None
    found = [run for run in said(text) if not is_shielded(text, run, formats)]
    digits = sum(len(group.digits) for run in found for group in run)
    if not found or digits >= LONGEST or len(text) - digits > _MOST_WORDS + digits:
        return None
    return _Part(heard, field, text, found)


def _text_of(value: Any) -> str | None:
    """Return what was said or keyed as a text."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    return None


def _chained(parts: Sequence[_Part]) -> tuple[list[Group], list[int]]:
    """Return the digits of parts one behind the other, and of which part each group is."""
    groups: list[Group] = []
    places: list[int] = []
    for number, part in enumerate(parts):
        run = part.runs[0] if number == len(parts) - 1 else part.runs[-1]
        groups += run
        places += [number] * len(run)
    return groups, places


def _are_few(parts: Sequence[_Part], touched: Sequence[int], is_usual_length: bool) -> bool:
    """Tell whether as many parts make one number: a few, any number of single key presses, or equal ones and a rest."""
    lengths = [sum(len(g.digits) for g in parts[n].runs[-1]) for n in touched]
    are_equal = len({*lengths[:-1]}) == 1 and lengths[-1] <= lengths[0] and all(_is_bare(parts[n]) for n in touched)
    return len(touched) <= (LONGEST if max(lengths) <= _FEW or (are_equal and is_usual_length) else MOST_PARTS)


def _without(part: _Part, groups: Sequence[Group], is_last: bool, last4: str) -> dict[str, Any]:
    """Return a part's data without its digits of the number; the last one says which card it was."""
    cut = Cut(groups[0].start, groups[-1].end, shown(last4) if is_last else HIDDEN, Finding("card", last4))
    return {**part.heard.data, part.field: cut_out(part.text, [cut])}


def _alike(before: Sequence[Heard], parts: Sequence[_Part]) -> dict[str, dict[str, Any]]:
    """Return other events of the interaction that repeat a part, such as the fact made of what was keyed."""
    texts = {part.text for part in parts}
    here = {part.heard.event_id for part in parts}
    return {
        heard.event_id: {**heard.data, "value": HIDDEN}
        for heard in before
        if heard.event_id not in here and heard.interaction_id == parts[-1].heard.interaction_id
        and heard.type != "input.collected" and _text_of(heard.data.get("value")) in texts
    }  # fmt: skip
