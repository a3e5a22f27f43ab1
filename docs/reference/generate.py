"""Writes the references that come from the code: `python docs/reference/generate.py`; with `--check` it only compares.

http.md from the OpenAPI document, events.md from the table of told events, errors.md from the tree of errors,
settings.md from the settings, keys.md from the table of keys, numbers.md from the definitions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ctxhub.api import reference
from ctxhub.api.app import create_api, description
from ctxhub.hub.numbers import DEFINITIONS
from ctxhub.settings import describe_settings
from ctxhub.store.keys import TABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

HERE = Path(__file__).parent
_NOTICE = "<!-- Written by generate.py from the code: change it there. -->"

#: The events that the hub tells itself; a test holds this against what the code tells.
OWN = {
    "interaction.started": "an interaction began; `carried`: how many facts came along by a handoff",
    "interaction.ended": "it ended; `by`: channel or silence",
    "interaction.reopened": "one that silence had closed goes on",
    "interaction.referred": "it got more names of other systems",
    "interaction.identified": "the customer is now known more surely in it",
    "interaction.moved": "it went to whom it really belongs: told at both places, with `from` and `to`",
    "handoff.offered": "an interaction is on offer",
    "handoff.accepted": "somebody took it, and the floor with it: `agent_id`, `bot` or `redeemed_by`; `waited` seconds",
    "handoff.declined": "an agent passed; `state: offered` where it stays on offer",
    "handoff.rerouted": "nobody took it: it goes to its fallback",
    "handoff.joined": "a token for a queue or agent brought the customer in by another channel; it stays on offer",
    "handoff.renewed": "its holder keeps it for another lease",
    "handoff.shown": "the receiver was shown the context",
    "handoff.lapsed": "its holder gave no sign of life: on offer again",
    "handoff.completed": "final: the work is done",
    "handoff.returned": "final: the handoff `by` which it went back was accepted",
    "handoff.transferred": "final: the handoff `by` which it went on was accepted",
    "handoff.cancelled": "final: the offer was taken back",
    "handoff.expired": "final: nobody took it in time",
    "handoff.left": "final: the customer went while waiting",
    "identity.linked": "an identifier leads to the customer; its value is not told",
    "identity.unlinked": "it no longer does",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    lines = [list(head), ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Escape what would break a cell: bars everywhere, angle brackets where they are no code."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(part if place % 2 else part.replace("<", "&lt;") for place, part in enumerate(parts))


def page(title: str, lead: str, *parts: str) -> str:
    """Write a page."""
    return "\n\n".join([f"# {title}", _NOTICE, lead, *(part for part in parts if part)]) + "\n"


def fields(found: Sequence[reference.Field], head: str) -> str:
    """Write a table of fields; nothing where there are none."""
    rows = [(f"`{f.name}`{' (required)' if f.required else ''}", _holds(f), f.note) for f in found]
    return table((head, "holds", "means"), rows) if rows else ""


def _holds(field: reference.Field) -> str:
    """Say what a field holds, with a link to its shape."""
    return f"[{field.type}](#{field.shape.lower()})" if field.shape else field.type


@asynccontextmanager
async def _asleep(app: FastAPI) -> AsyncIterator[None]:
    """Stand in for a life that an application which is only described never has."""
    yield


def http() -> str:
    """Write http.md."""
    document = reference.complete(description(create_api(_asleep)))
    groups = reference.groups_of(document)
    overview = table(("call", "does"), ((_link(o), o.promise) for g in groups for o in g.operations))
    parts = [part for group in groups for part in _group(group)]
    shapes = [part for shape in reference.shapes_of(document) for part in _shape(shape)]
    lead = (
        "The same stands at `/docs` of every hub, with an example answer for most calls, and as OpenAPI 3.1 at "
        "`/openapi.json`. Roles, headers and how calls go: [how calls go](../concepts.md#how-calls-go). "
        "Refusals: [errors](errors.md)."
    )
    return page("HTTP", lead, overview, *parts, "## Shapes", "What several answers hold, described once.", *shapes)


def _link(operation: reference.Operation) -> str:
    """Write an operation as a link to its place."""
    heading = f"{operation.method} {operation.path}"
    anchor = "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")
    return f"[`{heading}`](#{anchor})"


def _group(group: reference.Group) -> list[str]:
    """Write one group of operations."""
    parts = [part for operation in group.operations for part in _operation(operation)]
    return [f"## {group.name.capitalize()}", group.promise, *parts]


def _operation(operation: reference.Operation) -> list[str]:
    """Write one operation."""
    return [
        f"### {operation.method} {operation.path}",
        operation.promise,
        fields(operation.parameters, "parameter"),
        fields(operation.body, "body"),
        f"```json\n{operation.example}\n```" if operation.example else "",
        f"Answer: {operation.status}",
        fields(operation.answer, "answer"),
    ]


def _shape(shape: reference.Shape) -> list[str]:
    """Write one shape."""
    return [f"### {shape.name}", shape.promise, fields(shape.fields, "field")]


def events() -> str:
    """Write events.md."""
    told = ((f"`{kind.type}`", kind.promise, _data(kind.data)) for kind in reference.told())
    own = ((f"`{type_}`", meaning) for type_, meaning in OWN.items())
    lead = (
        "All that happens to a customer is told the same way and stands on one timeline. Channels tell with "
        "[POST events](http.md#post-v1customerscustomer_idevents). A `?` marks what may be absent. "
        "`x.` and any name is free: kept on the timeline, whatever its data."
    )
    return page(
        "Events", lead, "## Told by channels", table(("type", "means", "data"), told),
        "## Told by the hub", "Telling one of these is refused.", table(("type", "means"), own),
    )  # fmt: skip


def _data(found: Sequence[reference.Field]) -> str:
    """Write the fields of an event's data."""
    return ", ".join(f"`{field.name}`{'' if field.required else '?'}: {field.type}" for field in found)


def errors() -> str:
    """Write errors.md."""
    rows = ((f"`{p.code}`", str(p.status), p.title, p.remedy) for p in reference.problems())
    lead = (
        "A refusal is a problem document (RFC 9457, `application/problem+json`): `type` (`urn:ctxhub:problem:<code>`), "
        "`title`, `status`, `code`, `detail`, `remedy`, the ids concerned, and `errors` with a JSON pointer for each "
        "field at fault. The code is stable. The Python client raises the class of the same name."
    )
    return page("Errors", lead, table(("code", "status", "means", "what to do"), rows))


def settings() -> str:
    """Write settings.md."""
    rows = ((f"`{s.variable}`", f"`{s.default}`" if s.default else "", s.meaning) for s in describe_settings())
    lead = (
        "Every setting is an environment variable. `ctxhub doctor` shows those in force and checks Redis against them. "
        "A length of time is written 500ms, 30s, 15min, 4h or 30d."
    )
    return page("Settings", lead, table(("variable", "as it comes", "means"), rows))


def keys() -> str:
    """Write keys.md."""
    rows = ((f"`{kind.pattern}`", kind.type, kind.holds, kind.lives) for kind in TABLE)
    lead = (
        "Every key in Redis. `{P}` is the partition: keys with the same one share a slot of a cluster, so that one "
        "script may change them together. `T` a tenant, `C` a customer, `D` a digest, `L` a list such as "
        "`queue:cards`, `CH` a channel, `F` a feed, `H` a handoff. *lifetime*: `CTXHUB_KEEP` after the last write."
    )
    return page("Keys", lead, table(("key", "type", "holds", "lives"), rows))


def numbers() -> str:
    """Write numbers.md."""
    rows = ((f"`{name}`", meaning) for name, meaning in DEFINITIONS.items())
    lead = (
        "`GET /v1/numbers?from=2026-11-01&to=2026-11-22` answers these for the tenant of the key, by day of the "
        "event in UTC, with the same definitions beside them. For machines: `GET /metrics`."
    )
    return page("Numbers", lead, table(("number", "counts"), rows))


PAGES: dict[str, Callable[[], str]] = {
    "http.md": http,
    "events.md": events,
    "errors.md": errors,
    "settings.md": settings,
    "keys.md": keys,
    "numbers.md": numbers,
}


def stale() -> list[str]:
    """Return the pages that do not stand as the code would have them."""
    return [name for name, write in PAGES.items() if not _is(HERE / name, write())]


def _is(path: Path, text: str) -> bool:
    """Tell whether a file has this text."""
    return path.exists() and path.read_text("utf-8") == text


def main(arguments: Sequence[str]) -> int:
    """Write all pages, or say which are stale."""
    found = stale()
    if "--check" in arguments:
        print("\n".join(f"{name} is stale: run python docs/reference/generate.py" for name in found))
        return int(bool(found))
    for name in found:
        (HERE / name).write_text(PAGES[name](), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
