"""A parser as it is tried: what it reads, which refusals it may answer with, and what must hold of all it takes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


def _nothing_more(error: Exception) -> None:
    """Ask nothing more of a refusal."""


class Parser(NamedTuple):
    """One parser of the table.

    `reads` may raise what is `allowed` and nothing else; `refused` looks at such a refusal. Of what was read `holds`
    checks the promise. Neither of these two may raise at all. `words` are what a fuzzer would take long to come upon.
    """

    name: str
    takes: str
    promise: str
    reads: Callable[[bytes], Any]
    holds: Callable[[Any], None]
    allowed: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]
    refused: Callable[[Any], None] = _nothing_more
    words: tuple[bytes, ...] = ()

    def tried(self, data: bytes) -> bool:
        """Tell whether an input was taken; raise whatever breaks the promise."""
        try:
            found = self.reads(data)
        except self.allowed as refusal:
            self.refused(refusal)
            return False
        self.holds(found)
        return True


def driven(work: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine comes to that never has to wait."""
    try:
        work.send(None)
    except StopIteration as end:
        found: T = end.value
        return found
    work.close()
    raise AssertionError("it waits for something")
