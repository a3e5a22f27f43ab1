"""What is kept lately: so much and no more."""

from __future__ import annotations

from ctxhub.lately import Lately


def test_what_was_kept_longest_ago_makes_room() -> None:
    held = Lately[str, int](2)
    for number, key in enumerate("abc"):
        held.keep(key, number)
    assert dict(held) == {"b": 1, "c": 2}


def test_what_was_used_or_kept_anew_stays() -> None:
    held = Lately[str, int](2)
    held.keep("a", 1)
    held.keep("b", 2)
    assert (held.use("a"), held.use("z")) == (1, None)
    held.keep("c", 3)
    assert list(held) == ["a", "c"]
    held.keep("a", 4)
    held.keep("d", 5)
    assert dict(held) == {"a": 4, "d": 5}
