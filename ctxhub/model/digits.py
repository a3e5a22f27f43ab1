"""Digits as people write, key and speak them: found in a text, grouped as they stand there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

_CHINESE = dict(zip("零〇一二三四五六七八九", "00123456789", strict=True)) | dict(
    zip("壹贰叁肆伍陆柒捌玖貳參陸幺两洞拐勾", "12345678923612079", strict=True)
)
_ENGLISH = {
    "zero": "0", "oh": "0", "nought": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13",
    "fourteen": "14", "fifteen": "15", "sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19",
}  # fmt: skip
_TENS = {"twenty": "2", "thirty": "3", "forty": "4", "fourty": "4", "fifty": "5", "sixty": "6", "seventy": "7",
         "eighty": "8", "ninety": "9"}  # fmt: skip
_TIMES = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_SPOKEN = frozenset([*_ENGLISH, *_TENS])
#: Digits that are none for `\d`: raised, lowered, circled, bracketed.
_ODD = "²³¹⁰⁴-⁹₀-₉①-⑨⓪⓵-⓽❶-❾➀-➈➊-➒⑴-⑼⒈-⒐"
_HAN = "".join(_CHINESE)
#: What may stand between the digits of one number, invisible characters among it.
_BETWEEN = "\\s\\-\u2010-\u2015\u2212\uff0d_./\\\\,\uff0c\u3001\u3002\uff0e\u00b7\u2022*|~\uff5e'\"()\uff08\uff09" \
    "\u00ad\u200b-\u200f\u2060\ufe0f\u20e3\ufeff"  # fmt: skip
_GAP = re.compile(f"[{_BETWEEN}]{{0,5}}")
_WRITTEN = re.compile(f"\\d+|[{_ODD}]+|[{_HAN}]+")
_WORDS = "|".join(sorted([*_ENGLISH], key=len, reverse=True))
_UNITS = "one|two|three|four|five|six|seven|eight|nine"
_SAID = re.compile(
    rf"{_WRITTEN.pattern}|(?<![a-z])(?:(?P<times>{'|'.join(_TIMES)})[ -])?(?:(?P<word>{_WORDS})"
    rf"|(?P<tens>{'|'.join(_TENS)})(?:[ -](?P<unit>{_UNITS})(?![a-z]))?)(?![a-z])",
    re.IGNORECASE,
)
_PLAIN = re.compile("[0-9]")
_PLAIN_RUN = re.compile("[0-9]+")
_ANY = re.compile(f"[\\d{_ODD}]|[{_HAN}][{_BETWEEN}]{{0,3}}[{_HAN}][{_BETWEEN}]{{0,3}}[{_HAN}]")
_FEWEST_WORDS = 3
_SHORT = 40
_LETTERS = re.compile(r"[^\W\d_]+")


class Group(NamedTuple):
    """Digits without anything between them, and where they stand in the text."""

    digits: str
    start: int
    end: int


#: Groups with nothing but separators between them.
Run = Sequence[Group]


def holds_digits(text: str) -> bool:
    """Tell, cheaply, whether a text holds digits of any kind; of spoken ones it needs three."""
    written = _PLAIN if text.isascii() else _ANY
    return written.search(text) is not None or speaks_digits(text)


def count_written(text: str) -> int:
    """Return how many digits a text holds, unless they are spoken; cheaper than to find their runs."""
    return len("".join((_PLAIN_RUN if text.isascii() else _WRITTEN).findall(text)))


def speaks_digits(text: str) -> bool:
    """Tell whether a text holds three English number words or more."""
    words = text.lower().replace(",", " ").replace("-", " ").replace(".", " ").split()
    return not _SPOKEN.isdisjoint(words) and sum(word in _SPOKEN for word in words) >= _FEWEST_WORDS


def speaks_only_digits(text: str) -> bool:
    """Tell whether a text is a few number words and nothing else, as somebody says them one by one."""
    if len(text) > _SHORT:
        return False
    words = _LETTERS.findall(text.lower())
    return bool(words) and not _PLAIN.search(text) and all(word in _SPOKEN or word in _TIMES for word in words)


def said(text: str) -> list[list[Group]]:
    """Return the digits of a text as `runs` does, of one or two number words alone too."""
    if not speaks_only_digits(text):
        return runs(text)
    groups = [Group(_heard(match), *match.span()) for match in _SAID.finditer(text)]
    return [groups] if groups else []


def runs(text: str) -> list[list[Group]]:
    """Return the digits of a text: those with only separators between them stand in one run."""
    found: list[list[Group]] = []
    for group in _groups(text):
        if found and _GAP.fullmatch(text, found[-1][-1].end, group.start):
            found[-1].append(group)
        else:
            found.append([group])
    return found


def _groups(text: str) -> list[Group]:
    """Return the groups of digits of a text; words count as digits where there are several."""
    if not speaks_digits(text):
        return [Group(_read(match[0]), *match.span()) for match in _WRITTEN.finditer(text)]
    return [Group(_heard(match), *match.span()) for match in _SAID.finditer(text)]


def _read(written: str) -> str:
    """Return written digits of any script as ASCII."""
    if written.isascii():
        return written
    return "".join(_CHINESE.get(character) or str(unicodedata.digit(character)) for character in written)


def _heard(match: re.Match[str]) -> str:
    """Return what one spoken word, or one written group, stands for."""
    times = _TIMES.get((match["times"] or "").lower(), 1)
    if match["word"]:
        return _ENGLISH[match["word"].lower()] * times
    if match["tens"]:
        unit = _ENGLISH[match["unit"].lower()] if match["unit"] else "0"
        return (_TENS[match["tens"].lower()] + unit) * times
    return _read(match[0])
