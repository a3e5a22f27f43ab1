"""The formats of a tenant's own numbers: declared, so that an order number is never taken for a card number."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator

from ctxhub.model.card import LONGEST, SHORTEST, is_issued
from ctxhub.model.value import Name, Value

MOST_CHARACTERS = 64
_FIXED_ENOUGH = 6
_PIECE = re.compile(r"(\\d|\[(?:[0-9A-Za-z]-[0-9A-Za-z]|[0-9A-Za-z])+\]|\\?[-./#_: ]|[0-9A-Za-z])"
                    r"(?:\{(\d{1,2})(?:,(\d{1,2}))?\}|(\?))?")  # fmt: skip


def _checked(pattern: str) -> str:
    """Refuse a pattern that may take long to match, or that card numbers fit."""
    pieces = _pieces(pattern)
    if sum(most for _, _, most in pieces) > MOST_CHARACTERS:
        raise ValueError(f"a number has at most {MOST_CHARACTERS} characters")
    if sum(least != most for _, least, most in pieces) > 2:
        raise ValueError("at most two pieces of it may vary in length")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"this is no pattern: {error}") from error
    if _fits_cards(pieces):
        raise ValueError("card numbers would fit it: begin with a letter, or with the digits that all of them share")
    return pattern


def _pieces(pattern: str) -> list[tuple[str, int, int]]:
    """Return what a pattern consists of: each piece with how often it stands there at least and at most."""
    pieces, at = [], 0
    while at < len(pattern):
        match = _PIECE.match(pattern, at)
        if match is None:
            raise ValueError(f"write letters, digits, \\d, [A-Z], {{6}} or {{6,8}} or ?; not {pattern[at:]!r}")
        least = 0 if match[4] else int(match[2] or 1)
        most = 1 if match[4] else int(match[3] or match[2] or 1)
        if least > most:
            raise ValueError(f"{match[0]!r} asks for more than it allows")
        pieces.append((match[1], least, most))
        at = match.end()
    if not any(piece[0] in "\\[" or piece.isdigit() for piece, _, _ in pieces):
        raise ValueError("a number has digits")
    return pieces


def _fits_cards(pieces: list[tuple[str, int, int]]) -> bool:
    """Tell whether a pattern is digits alone that card numbers fit: as many, and with no beginning of their own."""
    digits = [piece for piece in pieces if not piece[0].startswith("\\") or piece[0] == "\\d"]
    if any(least and _is_no_digit(piece) for piece, least, _ in digits):
        return False
    least, most = sum(piece[1] for piece in digits), sum(piece[2] for piece in digits)
    if most < SHORTEST or least > LONGEST:
        return False
    fixed = ""
    for piece, low, high in digits:
        if not piece.isdigit() or low != high:
            break
        fixed += piece * low
    return len(fixed) < _FIXED_ENOUGH and any(is_issued(f"{fixed}{more:03}") for more in range(1000))


def _is_no_digit(piece: str) -> bool:
    """Tell whether a piece stands for something that is never a digit."""
    return piece.isalpha() or (piece[0] == "[" and not re.search(r"\d", piece))


class NumberFormat(Value):
    """What a tenant's numbers of one kind look like, such as `A-\\d{6}`."""

    name: Name
    pattern: Annotated[str, AfterValidator(_checked)]


#: Patterns of numbers that are never taken for a card number, unless they are called one.
Formats = tuple[re.Pattern[str], ...]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern that matches whole numbers only."""
    return re.compile(rf"(?<![0-9A-Za-z]){pattern}(?![0-9A-Za-z])")


def compiled(numbers: list[NumberFormat]) -> Formats:
    """Return declared formats as they are matched."""
    return tuple(_compiled(number.pattern) for number in numbers)
