"""Masks: what is left of a value for somebody who may know that there is one, and compare, but not read it."""

from __future__ import annotations

import re
from typing import Any

DOTS = "••••"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_CARD = re.compile(r"(?:\d[ -]?){12,18}\d")
_PHONE = re.compile(r"\+?(?:[\d(][ ().-]*){6,14}\d")


def mask(value: Any) -> str:
    """Return a mask of a value: the end of a phone or card number, an address's first letter; else nothing but dots.

    The mask of any other value is the same for all, so that it tells neither what it is nor how long.
    """
    text = value.strip() if isinstance(value, str) else ""
    if _EMAIL.fullmatch(text):
        return f"{text[0]}{DOTS}@{text.rpartition('@')[2]}"
    if _CARD.fullmatch(text):
        return DOTS + _digits(text)[-4:]
    if _PHONE.fullmatch(text):
        return DOTS + _digits(text)[-2:]
    return DOTS


def _digits(text: str) -> str:
    """Return the digits of a text alone."""
    return "".join(sign for sign in text if sign.isdigit())
