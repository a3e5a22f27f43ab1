"""One event in one line, for eyes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ctxhub.client import Event
from ctxhub.looking.paper import Paper, written

__all__ = ["gist", "print_event"]

_STYLES = {
    "message": "white",
    "fact": "green",
    "question": "yellow",
    "journey": "cyan",
    "handoff": "magenta",
    "interaction": "blue",
    "commitment": "yellow",
    "assurance": "red",
    "risk": "bold red",
}
# What tells nobody at a terminal anything, or stands elsewhere in the line.
_QUIET = {
    "fence", "delivered", "content_type", "lease_ends", "expires_in", "expires_at", "offered_at", "waiting_since",
    "root_id", "parent_id", "hop", "had", "offered_to", "ends_parent", "to_party",
}  # fmt: skip


def print_event(paper: Paper, event: Event, customer_id: str | None = None) -> None:
    """Print when, what, who and the gist of it."""
    at = event.at.astimezone()
    version = f"{event.version:>5}  " if event.version is not None and customer_id is None else ""
    who = " ".join(part for part in (event.channel, event.party) if part)
    style = _STYLES.get(event.type.partition(".")[0], "")
    paper.line(
        (f"{at:%m-%d %H:%M:%S}  ", "dim"),
        (version, "dim"),
        (f"{customer_id}  " if customer_id else "", "bold"),
        (f"{written(event.type):<22}", style),
        (f"{who:<16}", "dim"),
        gist(event.data),
    )


def gist(data: dict[str, Any]) -> str:
    """Write what an event tells: a text as said, a fact as `name = value`, all else as names and values."""
    if data.get("withheld"):
        return "…"
    rest = {name: value for name, value in data.items() if value is not None and name not in _QUIET}
    return "  ".join([*_main(rest), *(f"{written(name)}={written(value)}" for name, value in rest.items())])


def _main(rest: dict[str, Any]) -> Iterator[str]:
    """Take out what matters most, and write it without its field's name."""
    if "text" in rest:
        yield written(rest.pop("text"))
    if "names" in rest:
        yield ", ".join(map(written, rest.pop("names")))
    for name in ("name", "prompt"):
        if name in rest and "value" in rest:
            yield f"{written(rest.pop(name))} = {written(rest.pop('value'))}"
