"""What is never kept: card numbers, their codes and tracks, passwords, one-time codes; found in any JSON and taken out.

A card number leaves its last four digits (`•••• 7731`), all else nothing (`•••`). Cleaning twice changes nothing.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from ctxhub.errors import Invalid
from ctxhub.model.card import HIDDEN, LONGEST, SHORTEST, Found, cards_among, shown
from ctxhub.model.digits import Group, Run, count_written, holds_digits, runs, speaks_digits
from ctxhub.model.number_format import Formats

Kind = Literal["card", "security_code", "expiry", "track", "pin", "one_time_code", "password"]

NOTHING_LEFT = "•••"
REDACTED = "redacted"
DEEPEST = 64
_MOST = int("9" * LONGEST)
_NEAR = 60
_CALLED = 32

#: Where a Latin word begins and ends: beside digits, signs and Chinese too, which has no spaces.
_B, _E = "(?<![a-z])", "(?![a-z])"

_CALLED_CARD = re.compile(
    rf"(?:{_B}(?:cards?|pan|visa|master ?card|amex|union ?pay)|银行卡|信用卡|借记卡|储蓄卡|卡号|卡)"
    r"(?:[\s:：#=]|number|num|no\.?|is|was|it'?s|号码|号|是|为){0,8}$",
    re.IGNORECASE,
)
_TRACK = re.compile(
    r"%?B\d{13,19}\^[^\^\n]{2,40}\^\d{4}[^?\s]{0,60}\??|;?\d{13,19}[=D]\d{4,40}\??", re.IGNORECASE
)  # fmt: skip
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_OURS = re.compile(r"(?<![0-9A-Za-z])(?:in|ho|pc|jr|cm|ev|rv)_[0-9A-Za-z]{20,}")
_HEX = re.compile(r"(?=[0-9]*[a-f])(?<![0-9A-Za-z])(?:[A-Z]{2})?[0-9a-f]{16,64}(?![0-9A-Za-z])", re.IGNORECASE)
#: So many characters more than a card number's digits an id of a machine has at least.
_HEX_BESIDE = 8
#: The longest telephone number.
_E164 = 15
_DATE = re.compile(r"(?:19|20)\d\d[-/.年](?:0?[1-9]|1[0-2])[-/.月](?:[0-2]?\d|3[01])")
_LANDLINE = re.compile(r"(?<!\d)0\d{2,3}-\d{7,8}(?!\d)")
#: How long the blocks are that follow one another on a card, and what may be between them that joins nothing else.
_BLOCKS = ((4, 4), (4, 6), (6, 5))
_WIDE_GAP = re.compile(r"[:;=+：；＝＋]|[\]>})】]\s?[\[<{(【]|\s{0,3}[-–—*|/]{1,4}\s{0,3}|\s{1,8}")
_SPELT_SPACE = re.compile("%20|&nbsp;|&#160;")
_MONEY_BEFORE = re.compile(r"(?:[$¥¥€£₹]|rmb|cny|usd|eur|hkd|amount|order|订单)[\s:：]{0,2}$", re.IGNORECASE)
_UNIT_BEHIND = re.compile(
    rf"\s?(?:元|块|圆|人|个|张|点|%|:|：|eur|(?:dollars?|yuan|usd|rmb|cny|people|tickets?|[ap]\.?m){_E})",
    re.IGNORECASE,
)


class _Secret(NamedTuple):
    """Digits that a word gives away: how many there are, and the words, lower case."""

    kind: Kind
    fewest: int
    most: int
    words: re.Pattern[str]


_SECRETS = (
    _Secret("security_code", 3, 4, re.compile(
        rf"{_B}(?:cvv2?|ccv2?|cvc2?|cvn2?|csc|security code|card verification (?:code|value)){_E}"
        r"|安全码|安全碼|背面.{0,6}[三3]位")),
    _Secret("one_time_code", 4, 8, re.compile(
        r"(?:verification|one[- ]time|authenti?cation|authori[sz]ation|sms|log-?in|access)[- ](?:code|password|passcode"
        rf"|pin){_E}|{_B}passcode{_E}|{_B}otp{_E}|验证码|驗證碼|校验码|动态码|动态密码|动态口令|短信码")),
    _Secret("pin", 3, 8, re.compile(rf"{_B}pin{_E}(?:[- ](?:code|number|no){_E})?|密码|密碼|口令")),
)  # fmt: skip
#: One of these stands in whatever the words of a secret match: cheaper to look for.
_HINTS = ("cv", "csc", "code", "card verif", "pass", "otp", "pin", "码", "碼", "背面", "口令")
_SAID_BETWEEN = 24
_SAID_BEHIND = re.compile(
    r"\s*(?:is|was|as|是|为|:|：|-|,|，)?\s*(?:my|your|the|我的|你的|您的|本次)?\s*", re.IGNORECASE
)  # fmt: skip
#: What was taken out before, which is not a card that is shown by its last four.
_TAKEN = re.compile(f"(?<!•){NOTHING_LEFT}(?!•)")
_TAKEN_BEFORE = re.compile(rf"{_TAKEN.pattern}{_SAID_BEHIND.pattern}\Z", re.IGNORECASE)
_PASSWORD = re.compile(
    rf"{_B}(?:password|passwd|pwd|passphrase){_E}(?P<mark>\s*[:=：]\s*|\s+(?:is|was)\s+[:\"']?)(?P<value>[^\s,;，。；]{{1,128}})"
    rf"|(?:密码|密碼|口令|{_B}(?:password|passwd|pwd|passphrase)(?=\s*[是为]))"
    r"(?P<zh>\s*(?:是|为|:|：|=)\s*)(?P<word>[!-~]{2,128})",
    re.IGNORECASE,
)
_DIGIT = re.compile("[0-9]")
#: A password without a word between: letters and digits in one.
_MIXED = re.compile(
    rf"(?:密码|密碼|口令|{_B}(?:password|passwd|pwd)(?=\s))\s*"
    r"((?=[!-~]{0,60}[a-z])(?=[!-~]{0,60}\d)[!-~]{5,128})",
    re.IGNORECASE,
)
#: What follows "password is" without being one.
_NO_PASSWORD = frozenset(re.findall(
    "[a-z]+", "a an the not no my your being asked accepted wrong incorrect invalid right correct ok okay expired "
    "locked blocked forgotten lost reset changed required needed too very still never always working weak strong safe "
    "long short easy hard what that this in on at it rejected refused unknown missing empty set sent stored kept secret"
))  # fmt: skip
_WORD_PARTS = ("pwd", "密码", "密碼", "口令")


def _by_name(kind: Kind, names: str) -> dict[str, Kind]:
    """Spell the names whose values are of one kind."""
    return dict.fromkeys(names.split(), kind)


#: Names whose values are never kept, without spaces and signs.
_NAMED = (
    _by_name("security_code", "cvv cvv2 ccv ccv2 cvc cvc2 cvn csc cardcvv cardcvc securitycode cardsecuritycode 安全码")
    | _by_name("pin", "pin pinnumber pinblock cardpin atmpin tpin 交易密码 支付密码 取款密码")
    | _by_name("one_time_code", "otp otpcode onetimecode onetimepassword onetimepin verificationcode smscode 验证码")
    | _by_name("password", "password passwd pwd passphrase passcode 密码")
    | _by_name("track", "track track1 track2 track1data track2data trackdata magstripe")
)
_NAMED_NEAR_CARD = _by_name("expiry", "exp expiry expires expdate expirydate expirationdate expmonth expyear validthru "
                            "expirymonth expiryyear 有效期")  # fmt: skip
_NAMED_NEAR_CARD |= _by_name("security_code", "code cv verification")
_NAMING = ("name", "prompt", "field", "key", "label")
_NUMBERED = re.compile(r"(.*?)_?\d{1,2}")


class Finding(NamedTuple):
    """What was found, without its value; of a card number the last four digits."""

    kind: Kind
    last4: str = ""


class Cleaned(NamedTuple):
    """A value without what is never kept, and what was found in it; the same object where nothing was."""

    value: Any
    findings: tuple[Finding, ...] = ()


class Cut(NamedTuple):
    """A stretch of a text that goes, and what stands there instead."""

    start: int
    end: int
    instead: str
    finding: Finding


def cleaned(value: Any, formats: Formats = ()) -> Cleaned:
    """Return any JSON without what is never kept; numbers in a declared format stay unless they are called a card's.

    It is cleaned again where something was found: what was taken out may bring to light what must go as well.
    """
    findings: list[Finding] = []
    left = value
    while True:
        found: list[Finding] = []
        clean = _Cleaning(formats, found).clean(left, 0)
        if not found or clean == left:
            return Cleaned(left, tuple(findings))
        left = clean
        findings += found


def cleaned_text(text: str, formats: Formats = ()) -> str:
    """Return a text without what is never kept."""
    return str(cleaned(text, formats).value)


@lru_cache(maxsize=4096)
def secret_named(name: str) -> Kind | None:
    """Return what a value of this name is, if the name says that it is never kept."""
    return _NAMED.get(_plain(name))


def _plain(name: str) -> str:
    """Return a name in lower case, without spaces and signs."""
    return "".join(character for character in name.lower() if character.isalnum())


class _Cleaning:
    """One walk through a value."""

    def __init__(self, formats: Formats, findings: list[Finding]) -> None:
        self._formats = formats
        self._findings = findings

    def clean(self, value: Any, depth: int) -> Any:
        """Return a value cleaned."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            return self._number(value)
        if depth > DEEPEST:
            raise Invalid(f"a value is nested at most {DEEPEST} deep")
        if isinstance(value, dict):
            return self._object(value, depth + 1)
        if isinstance(value, list | tuple):
            return self._list(value, depth + 1)
        return value

    def _text(self, text: str) -> str:
        """Return a text cleaned."""
        found = cuts(text, self._formats)
        self._findings += [cut.finding for cut in found]
        return cut_out(text, found)

    def _number(self, number: float) -> Any:
        """Return a number, or a text in its place where it is a card's."""
        if abs(number) < 10 ** (SHORTEST - 1) or number != number // 1:
            return number
        text = self._text(str(int(number)))
        return text if HIDDEN in text else number

    def _list(self, values: Sequence[Any], depth: int) -> Any:
        """Return a list cleaned; where its items are the keys or parts of a card number, as one item."""
        if len(values) > 1 and all(_is_part(value) for value in values):
            joined = " ".join(map(str, values))
            text = self._text(joined)
            if text != joined:
                return [text]
        return [self.clean(value, depth) for value in values]

    def _object(self, values: dict[Any, Any], depth: int) -> dict[Any, Any]:
        """Return an object cleaned, its names too; what a name gives away goes whole."""
        before = len(self._findings)
        named = next((values[name] for name in _NAMING if isinstance(values.get(name), str)), "")
        clean: dict[Any, Any] = {}
        for name, value in values.items():
            key = self._key(name, clean)
            kind = secret_named(name) or (secret_named(named) if named and name == "value" else None)
            clean[key] = self._gone(value, kind) if kind else self.clean(value, depth)
        clean = self._joined_parts(clean)
        if any(finding.kind == "card" for finding in self._findings[before:]):
            return {name: self._near_card(name, value) for name, value in clean.items()}
        return clean

    def _key(self, name: Any, taken: dict[Any, Any]) -> Any:
        """Return a name cleaned; two that were different stay two."""
        if not isinstance(name, str) or len(name) < SHORTEST:
            return name
        key = self._text(name)
        return key if key == name or key not in taken else f"{key} ({len(taken)})"

    def _gone(self, value: Any, kind: Kind) -> Any:
        """Return what stands in place of a value that is never kept."""
        if value is None or value in ("", NOTHING_LEFT) or isinstance(value, bool):
            return value
        self._findings.append(Finding(kind))
        return NOTHING_LEFT

    def _near_card(self, name: Any, value: Any) -> Any:
        """Return what stands beside a card number: its expiry and its code go too."""
        kind = _NAMED_NEAR_CARD.get(_plain(str(name)))
        return self._gone(value, kind) if kind and not isinstance(value, dict) else value

    def _joined_parts(self, values: dict[Any, Any]) -> dict[Any, Any]:
        """Return an object whose numbered names hold a card number in parts without them."""
        stems: dict[str, list[Any]] = {}
        for name, value in values.items():
            numbered = _NUMBERED.fullmatch(str(name)) if _is_part(value) else None
            if numbered:
                stems.setdefault(numbered[1], []).append(name)
        for names in stems.values():
            joined = " ".join(str(values[name]) for name in names)
            if len(names) > 1 and self._text(joined) != joined:
                values |= dict.fromkeys(names, HIDDEN)
        return values


def _is_part(value: Any) -> bool:
    """Tell whether a value may be one of several that make a number: a few digits and nothing else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return 0 <= value <= _MOST
    return isinstance(value, str) and 0 < len(value) <= LONGEST and _all_digits(value)


def _all_digits(text: str) -> bool:
    """Tell whether a text is digits and separators alone."""
    found = runs(text)
    return len(found) == 1 and found[0][0].start <= 1 and len(text) - found[0][-1].end <= 1


def cut_out(text: str, found: Sequence[Cut]) -> str:
    """Return a text with stretches replaced."""
    at, parts = 0, []
    for cut in found:
        parts += [text[at : cut.start], cut.instead]
        at = cut.end
    return "".join([*parts, text[at:]]) if found else text


def cuts(text: str, formats: Formats = ()) -> list[Cut]:
    """Return what must go from a text, in order and without overlaps."""
    lower = text.lower()
    found = list(_passwords(text, lower))
    if holds_digits(text) and _may_hold(text, lower):
        found += _tracks(text)
        found += _numbers(text, lower, formats)
    return _apart(found) if found else found


def _may_hold(text: str, lower: str) -> bool:
    """Tell, cheaply, whether of the digits of a text some may have to go: enough of them, or a word for them."""
    return count_written(text) >= SHORTEST or any(hint in lower for hint in _HINTS) or speaks_digits(text)


def _apart(found: Iterable[Cut]) -> list[Cut]:
    """Return cuts in order; of those that overlap the longest comes first, and takes the others' place."""
    kept: list[Cut] = []
    for cut in sorted(found, key=lambda cut: (cut.start, -cut.end)):
        if not kept or cut.start >= kept[-1].end:
            kept.append(cut)
        elif cut.end > kept[-1].end:
            kept[-1] = kept[-1]._replace(end=cut.end)
    return kept


def _passwords(text: str, lower: str) -> Iterator[Cut]:
    """Yield what follows "password is" and the like."""
    if "pass" not in lower and not any(part in lower for part in _WORD_PARTS):
        return
    for match in _PASSWORD.finditer(text):
        group = "value" if match["value"] else "word"
        plain = match[group].lower().strip(".!?\"'")
        if plain and plain not in _NO_PASSWORD and match[group] != NOTHING_LEFT:
            yield Cut(*match.span(group), NOTHING_LEFT, Finding("password"))
    if _DIGIT.search(text):
        yield from (Cut(*match.span(1), NOTHING_LEFT, Finding("password")) for match in _MIXED.finditer(text))


def _tracks(text: str) -> Iterator[Cut]:
    """Yield what a card's magnetic stripe holds."""
    if "^" in text or "=" in text or "D" in text or "d" in text:
        yield from (Cut(*match.span(), NOTHING_LEFT, Finding("track")) for match in _TRACK.finditer(text))


def _numbers(text: str, lower: str, formats: Formats) -> Iterator[Cut]:
    """Yield card numbers, what stands near them, and the digits that a word gives away."""
    if "%" in text or "&" in text:
        text = _SPELT_SPACE.sub(lambda match: " " * len(match[0]), text)
    found = _linked(text, runs(text), formats)
    cards: list[Cut] = []
    rest: list[Run] = []
    for run in found:
        here = _cards(text, run, formats) if sum(len(group.digits) for group in run) >= SHORTEST else []
        cards += [
            Cut(run[one.first].start, run[one.behind - 1].end, shown(one.last4), Finding("card", one.last4))
            for one in here
        ]
        rest += _outside(run, here)
    yield from cards
    if cards:
        yield from (cut for run in rest if (cut := _beside(text, run, cards, formats)))
    if rest and any(hint in lower for hint in _HINTS):
        rest = [left for run in rest if (left := run[1:] if _is_shown(text, run[0]) else run)]
        yield from (cut for secret in _SECRETS for cut in _given_away(text, lower, secret, rest))


def _linked(text: str, found: list[list[Group]], formats: Formats) -> list[list[Group]]:
    """Return runs, and as one those that make a card number in the blocks it has on the card, whatever is between."""
    joins = [_are_blocks(text, before[-1], run[0]) for before, run in pairwise(found)]
    if not any(joins):
        return found
    chains = [[found[0]]]
    for joined, run in zip(joins, found[1:], strict=True):
        if joined:
            chains[-1].append(run)
        else:
            chains.append([run])
    return [run for chain in chains for run in _whole(text, chain, formats)]


def _are_blocks(text: str, before: Group, group: Group) -> bool:
    """Tell whether digits follow one another as blocks do on a card, apart as nothing else is joined."""
    if (len(before.digits), len(group.digits)) not in _BLOCKS:
        return False
    return _WIDE_GAP.fullmatch(text, before.end, group.start) is not None


def _whole(text: str, chain: list[list[Group]], formats: Formats) -> list[list[Group]]:
    """Return runs as one where a card number is in them together."""
    together = [group for run in chain for group in run]
    return [together] if len(chain) > 1 and _cards(text, together, formats) else chain


def _is_shown(text: str, group: Group) -> bool:
    """Tell whether digits are the last four of a card that is shown by them."""
    return len(group.digits) == 4 and text[max(0, group.start - len(HIDDEN) - 1) : group.start] == f"{HIDDEN} "


def _cards(text: str, run: Run, formats: Formats) -> list[Found]:
    """Return the card numbers of a run."""
    is_called = _is_called_card(text, run[0].start)
    return [
        found
        for found in cards_among(run, is_called)
        if is_called or not _is_something_else(text, run[found.first : found.behind], formats)
    ]


def _is_called_card(text: str, start: int) -> bool:
    """Tell whether the words right before a number call it a card's."""
    return _CALLED_CARD.search(text[max(0, start - _CALLED) : start]) is not None


def _is_phone(text: str, run: Run) -> bool:
    """Tell whether a number is called a telephone number by its sign, and neither longer nor grouped like a card's."""
    start, end = run[0].start, run[-1].end
    if not text[max(0, start - 2) : start].rstrip("( ").endswith("+") or end - start > LONGEST + 4:
        return False
    is_longer = sum(len(group.digits) for group in run) > _E164
    return not (is_longer and (len(run) == 1 or all(len(group.digits) == 4 for group in run[:-1])))


def _is_something_else(text: str, run: Run, formats: Formats) -> bool:
    """Tell whether a number is a phone number, an id of ours or of a machine, or in a format of the tenant's."""
    if _is_phone(text, run):
        return True
    start, end = run[0].start, run[-1].end
    low, high = max(0, start - 2 * LONGEST), end + 2 * LONGEST
    if any(match.start() < start < match.end() for match in _LANDLINE.finditer(text, low, high)):
        return True
    others = (_UUID, _OURS, *formats)
    if any(m.start() <= start and end <= m.end() for other in others for m in other.finditer(text, low, high)):
        return True
    hexes = (m for m in _HEX.finditer(text, low, high) if m.start() <= start and end <= m.end())
    return any(m.end() - m.start() - (end - start) >= _HEX_BESIDE for m in hexes)


def is_shielded(text: str, run: Run, formats: Formats) -> bool:
    """Tell whether a run is a number of another kind: a phone number, a date, an id, or in a declared format."""
    start, end = run[0].start, run[-1].end
    near = _DATE.finditer(text, max(0, start - LONGEST), end + LONGEST)
    dated = any(match.start() <= start < match.end() for match in near)
    return dated or _is_something_else(text, run, formats)


def _outside(run: Run, cards: Sequence[Found]) -> list[Run]:
    """Return what is left of a run besides its card numbers."""
    begins = [0, *(card.behind for card in cards)]
    ends = [*(card.first for card in cards), len(run)]
    return [run[begin:end] for begin, end in zip(begins, ends, strict=True) if begin < end]


def _beside(text: str, run: Run, cards: Sequence[Cut], formats: Formats) -> Cut | None:
    """Return a card's expiry or code that stands near it."""
    start, end, count = run[0].start, run[-1].end, sum(len(group.digits) for group in run)
    at = bisect(cards, start, key=lambda cut: cut.start)
    near = any(max(cut.start - end, start - cut.end) < _NEAR for cut in cards[max(0, at - 1) : at + 1])
    is_amount = _MONEY_BEFORE.search(text, max(0, start - 12), start) or _UNIT_BEHIND.match(text, end)
    if not near or not 3 <= count <= 8 or is_amount or is_shielded(text, run, formats):
        return None
    return Cut(start, end, NOTHING_LEFT, Finding("security_code" if count < 5 and len(run) == 1 else "expiry"))


def _given_away(text: str, lower: str, secret: _Secret, rest: Sequence[Run]) -> Iterator[Cut]:
    """Yield the digits that stand right behind or before the words for them."""
    if len(lower) != len(text):
        lower = text
    for match in secret.words.finditer(lower):
        at = bisect(rest, match.start(), key=lambda run: run[0].start)
        near = [run for run in rest[max(0, at - 1) : at + 1] if _is_told(text, match, run, secret)]
        beside = [run for run in near if _is_beside(text, match, run)]
        is_taken = _TAKEN_BEFORE.search(text, max(0, match.start() - _SAID_BETWEEN), match.start()) is not None
        for run in beside or ([] if is_taken else near):
            yield Cut(run[0].start, run[-1].end, NOTHING_LEFT, Finding(secret.kind))


def _is_told(text: str, match: re.Match[str], run: Run, secret: _Secret) -> bool:
    """Tell whether digits may be what a word gives away; what was taken out already stands nearer than others do."""
    if not secret.fewest <= sum(len(group.digits) for group in run) <= secret.most:
        return False
    between = run[0].start - match.end()
    behind = 0 <= between <= _SAID_BETWEEN and not _TAKEN.search(text, match.end(), run[0].start)
    return behind or _is_beside(text, match, run)


def _is_beside(text: str, match: re.Match[str], run: Run) -> bool:
    """Tell whether nothing but what joins them stands between digits and the word for them."""
    first, last = sorted([match.span(), (run[0].start, run[-1].end)])
    return first[1] <= last[0] and _SAID_BEHIND.fullmatch(text, first[1], last[0]) is not None


def card_findings(findings: Iterable[Finding]) -> list[str]:
    """Return the last four digits of the card numbers among findings."""
    return [finding.last4 for finding in findings if finding.kind == "card"]


__all__ = [
    "REDACTED", "Cleaned", "Cut", "Finding", "Found", "Kind", "card_findings", "cleaned", "cleaned_text", "cut_out",
    "cuts", "is_shielded", "secret_named",
]  # fmt: skip
