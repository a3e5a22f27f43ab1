"""Somebody's words in a prompt for a language model: between marks that the words themselves can't contain."""

from __future__ import annotations

import re
import unicodedata

OPEN, CLOSE = "⟦", "⟧"
_LIKE_THE_MARKS = str.maketrans(dict.fromkeys("⟦〚⟬⦃⦋⦍⦏[［", "(") | dict.fromkeys("⟧〛⟭⦄⦌⦎⦐]］", ")"))
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_TURNS = re.compile("[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def fenced(text: str) -> str:
    """Return somebody's words between the marks: on one line, without unseen characters, and without any such mark.

    Whatever the words say, the first closing mark after an opening one is ours: the marks, and brackets that look like
    them, are round ones inside.
    """
    return f"{OPEN}{unmarked(text)}{CLOSE}"


def on_one_line(text: str) -> str:
    """Return words on one line, without control characters and what turns the direction of writing."""
    return " ".join(_TURNS.sub(" ", text).split())


def unmarked(text: str) -> str:
    """Return words on one line, without unseen characters and without anything like a mark."""
    seen = "".join(" " if unicodedata.category(c) in _UNSEEN else c for c in text)
    return " ".join(seen.translate(_LIKE_THE_MARKS).split())
