"""Made-up card numbers of many brands, in many ways of writing and saying them; and numbers that are none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from ctxhub.model.card import passes_luhn

#: First digits and length of thirteen kinds of cards.
BRANDS = (
    ("4", 13),
    ("4", 16),
    ("4", 19),
    ("51", 16),
    ("2221", 16),
    ("34", 15),
    ("37", 15),
    ("36", 14),
    ("6011", 16),
    ("3528", 16),
    ("62", 16),
    ("62", 19),
    ("5018", 13),
    ("6304", 19),
    ("9558", 19),
    ("2200", 16),
    ("9792", 16),
)
_SCRIPTS = ("０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９")
_CHINESE = "零一二三四五六七八九"
_FORMAL = "零壹贰叁肆伍陆柒捌玖"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SEPARATORS = (" ", "-", ".", "/", " - ", "\u00a0", "\u2013", "\u2009", "_", ", ", "\u200b", "·", "－", "\n")
_AROUND = (
    "{}",
    "my card is {} thanks",
    "我的卡号是{},帮我查一下",
    "pay with {}",
    "{} 这张卡",
    "it's {}.",
    "Visa {}",
    "\u201c{}\u201d",
    "(card: {})",
    "hi, {} ok?",
    "卡{}丢了",
    "number={}&x=y",
)


class Told(NamedTuple):
    """Something told that holds a card number, and perhaps its code."""

    value: Any
    number: str
    code: str = ""


def number(random: Random, begin: str, length: int) -> str:
    """Make up a number whose check digit is right."""
    body = begin + "".join(random.choice("0123456789") for _ in range(length - len(begin) - 1))
    return next(body + digit for digit in "0123456789" if passes_luhn(body + digit))


def a_number(random: Random) -> str:
    """Make up a card number of any brand."""
    return number(random, *random.choice(BRANDS))


def pieces(random: Random, digits: str, parts: int) -> list[str]:
    """Cut digits into so many pieces anywhere."""
    cuts = sorted(random.sample(range(1, len(digits)), parts - 1))
    return [digits[a:b] for a, b in zip([0, *cuts], [*cuts, len(digits)], strict=True)]


def written(random: Random, digits: str) -> str:
    """Write digits with separators, in another script, or as words."""
    way = random.randrange(7)
    if way == 0:
        return digits
    if way == 1:
        return random.choice(_SEPARATORS).join(digits[n : n + 4] for n in range(0, len(digits), 4))
    if way == 2:
        return random.choice(_SEPARATORS).join(pieces(random, digits, random.randint(2, 5)))
    if way == 3:
        script = random.choice(_SCRIPTS)
        return "".join(script[int(digit)] for digit in digits)
    if way == 4:
        script = random.choice((_CHINESE, _FORMAL))
        return "".join(script[int(digit)] for digit in digits)
    if way == 5:
        return random.choice((" ", ", ", "-")).join(DIGITS[int(digit)] for digit in digits)
    return " ".join(digits)


def messages(random: Random, count: int) -> Iterator[Told]:
    """Make up things told, each with a card number somewhere in it."""
    for _ in range(count):
        digits = a_number(random)
        way, code = random.randrange(8), str(random.randint(100, 9999)).zfill(3)
        text = random.choice(_AROUND).format(written(random, digits))
        if way < 3:
            yield Told({"text": text}, digits)
        elif way == 3:
            yield Told({"value": [int(d) for d in digits] if code[0] > "5" else list(digits), "mode": "dtmf"}, digits)
        elif way == 4:
            yield Told({"a": [{"b": {digits: 1}}], "c": text}, digits)
        elif way == 5:
            near = random.choice(
                (
                    "{0}, cvv {1}",
                    "{0} {1}",
                    "{0} exp 12/29 code {1}",
                    "cvc: {1}, card {0}",
                    "卡号{0} 安全码{1}",
                    "security code {1} card number {0}",
                )
            )
            yield Told({"text": near.format(digits, code)}, digits, code)
        elif way == 6:
            yield Told({"card": {"number": int(digits), "cvv": int(code) if code[0] != "0" else code}}, digits, code)
        else:
            yield Told({"text": json.dumps({"pan": digits, "cvc": code})}, digits, code)


#: Patterns of a tenant's own numbers, and how to make one up.
FORMATS = (
    r"A-\d{6}",
    r"SF\d{13}",
    r"20\d{15}",
    r"78\d{11}",
    r"DHL[0-9A-Z]{2}\d{14}",
    r"1\d{12}",
    r"77\d{14}",
    r"ORD-\d{4}-\d{12}",
    r"00\d{16}",
    r"700123\d{10}",
)


def in_format(random: Random, pattern: str) -> str:
    """Make up a number in a format."""
    made, at = "", 0
    while at < len(pattern):
        piece = (
            pattern[at : at + 2]
            if pattern[at] == "\\"
            else pattern[at : pattern.find("]", at) + 1 or None]
            if pattern[at] == "["
            else pattern[at]
        )
        at += len(piece)
        times = 1
        if pattern[at : at + 1] == "{":
            end = pattern.index("}", at)
            times, at = int(pattern[at + 1 : end]), end + 1
        choice = "0123456789" if piece == "\\d" else "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ" if piece[0] == "[" else piece
        made += "".join(random.choice(choice) for _ in range(times))
    return made


def digits_in(value: Any) -> str:
    """Return every digit in a value, in order, as ASCII; words count as none."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(str(int(character)) for character in text if character.isdecimal())
