"""Writes the references that come from the code: `python docs/reference/generate.py`; with `--check` it only compares.

http.md from the OpenAPI document, events.md from the table of told events, errors.md from the tree of errors,
settings.md from the settings, keys.md from the table of keys, numbers.md from the definitions,
../llms.txt from the index of guides.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ctxhub.api import guides, reference
from ctxhub.api.app import create_api, description
from ctxhub.hub.numbers import DEFINITIONS
from ctxhub.hub.scrape import EXPOSED, TIMES
from ctxhub.hub.vitals import OF_THE_OUTBOX, OF_THE_SERVER
from ctxhub.model.counting import FAMILIES
from ctxhub.model.measure import BOUNDS
from ctxhub.model.metric import DEFINITIONS as METRICS
from ctxhub.model.metric import ENOUGH
from ctxhub.settings import describe_settings
from ctxhub.store.keys import TABLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

HERE = Path(__file__).parent
_NOTICE = "<!-- Written by generate.py from the code: change it there. -->"

#: The events that the hub tells itself; a test holds this against what the code tells.
OWN = {
    "interaction.started": "an interaction began; `carried`: how many facts were in sight; `hop`: how they came",
    "interaction.ended": "it ended; `by`: channel, silence, or call: what the telephone reported",
    "interaction.reopened": "one that silence, or a report that was not the last, had closed goes on",
    "interaction.referred": "it got more names of other systems",
    "interaction.identified": "the customer is now known more surely in it",
    "interaction.moved": "it went to whom it really belongs: told at both places, with `from`, `to` and `reason`",
    "event.forgotten": "told of an interaction that went on to a customer who has been forgotten since",
    "event.redacted": "a card number told in parts was taken out of the events `of`; `kind`, `last4`",
    "handoff.offered": "an interaction is on offer; `refs`: by which names other systems know it, ten at most",
    "handoff.accepted": "somebody took it, and the floor with it: `agent_id`, `bot` or `redeemed_by`; `waited` "
    "seconds; `hop`, with the facts in the receiver's sight (`carried`) and in the sender's (`had`)",
    "handoff.declined": "an agent passed; `state: offered` where it stays on offer",
    "handoff.rerouted": "nobody took it: it goes to its fallback, or where the telephone system gave the call next",
    "handoff.suggested": "it is suggested to `agent_id` until `until`, for `reasons`, alone where `exclusive`; "
    "`from_agent` had it before; `rings` counts who was asked; told to colleagues alone",
    "handoff.opened": "no agent is left to ask: the whole queue may take it; told to colleagues alone",
    "handoff.joined": "a token for a queue or agent brought the customer in by another channel; it stays on offer",
    "handoff.renewed": "its holder keeps it for another lease",
    "handoff.shown": "the receiver was shown the context, so many seconds `after` accepting",
    "handoff.lapsed": "its holder gave no sign of life: on offer again",
    "handoff.completed": "final: the work is done; `handled` seconds since it was accepted by an agent, `wrap_up` "
    "since the customer had gone; `disposition`",
    "handoff.returned": "final: the handoff `by` which it went back was accepted",
    "handoff.transferred": "final: the handoff `by` which it went on was accepted",
    "handoff.cancelled": "final: the offer was taken back",
    "handoff.expired": "final: nobody took it in time",
    "handoff.left": "final: the customer went while waiting; or waits on elsewhere, by the handoff `went_on_as`",
    "callback.due": "the customer may be called now: `attempt` of `of`, `number` by reference, `until`",
    "callback.dialled": "somebody took the attempt",
    "callback.attempted": "`outcome`: answered, busy, no_answer, failed, refused; `opened`: the call's interaction",
    "fact.revealed": "an agent read masked values: `names`, `agent_id`, `reason`; told to colleagues alone",
    "journey.claimed": "a worker has a `step` that must not be done twice: `by`, `fence`, `until`",
    "source.answered": "a system of the company's, `source`, said so many `facts` of the customer",
    "source.missed": "it did not answer in time, or not at all: `reason`",
    "journey.delayed": "its step takes longer than the tenant's file allows",
    "journey.escalated": "it is still open: `owner` is responsible from now on; `level` counts how often that happened",
    "commitment.due_soon": "a promise is due soon; it stays open",
    "commitment.overdue": "a promise was not kept in time; it stays open",
    "customer.held": "a legal hold began: nothing is erased or taken out for its age; its reason is not told here",
    "customer.released": "the legal hold ended",
    "fact.retired": "the time that the tenant's file gives these `names` is over: values are taken out, events stay",
    "words.retired": "the time of what was said in so many `events` is over: the words are taken out, the events stay",
    "identity.imported": "the customer came from elsewhere: `source`, and kinds of `identifiers`, not their values",
    "identity.merged": "two customers are one: `merge_id`, `from` whom, `to` whom; it stands on both timelines",
    "identity.unmerged": "they are two again; at the home `stays` names the interactions that began there since",
    "identity.linked": "an identifier leads to the customer; its value is not told",
    "identity.unlinked": "it no longer does",
    "access.granted": "an agent broke the glass: `agent_id`, `reason`, `until`; only supervisors see it",
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
        "`queue:cards`, `CH` a channel, `F` a feed, `W` `held` or `ringing`, `H` a handoff. "
        "*lifetime*: `CTXHUB_KEEP` after the last write, longer under a legal hold."
    )
    return page("Keys", lead, table(("key", "type", "holds", "lives"), rows))


def numbers() -> str:
    """Write numbers.md."""
    lead = (
        "`GET /v1/numbers?from=2026-11-01&to=2026-11-22` answers these for the tenant of the key, by day of the "
        "event in the tenant's `timezone` (UTC where none is declared), with the same definitions beside them; "
        "`channel` narrows them to one channel, `lang=zh` puts names and formulas into Chinese, `format=csv` (or "
        "`Accept: text/csv`) answers a table. Each event counts exactly once, whoever relays it and however often."
    )
    return page(
        "Numbers", lead, "## Counts", table(("number", "counts"), ((f"`{n}`", m) for n, m in DEFINITIONS.items())),
        "## Metrics", _METRICS_LEAD, table(("metric", "version", "name", "formula"), _metric_rows(computed=True)),
        "## Not yet", "These are named so that nobody takes another number for them. They show no figure.",
        table(("metric", "name", "formula", "missing"), _metric_rows(computed=False)),
        "## Where a channel does not tell what it asks", _INSTRUMENTED,
        "## For Prometheus", _PROMETHEUS, table(("metric", "labels", "counts"), _exposed()),
    )  # fmt: skip


_METRICS_LEAD = (
    "`metrics` in the answer: each with `status`, `value`, `numerator`, `n` and, for a share, the 95 % interval "
    "(Wilson's). `provisional` until its window has matured (`matures_at`), `too_few` below "
    f"{ENOUGH}, `not_instrumented` where nobody tells what it needs, with `why`. Durations have mean, p50, p90 and "
    f"p95, estimated within fixed buckets up to {BOUNDS[-1]} seconds, so that those of any days add up."
)
_INSTRUMENTED = (
    "Repeats are seen where channels tell `question.asked`. A channel, or `desk` for agents, that had customers and "
    "told no question in the span has `null` repeats and `false` under `repeats.instrumented`; its hops are left out "
    "of the shares, and `left_out` says how many. A tenant may declare it: `channels: {desk: {instrumented: true}}` "
    "says that silence means no question, `false` that what is told is not all."
)
_PROMETHEUS = (
    "`GET /metrics` shows, beside what each process counts and times, the counters of all tenants as they stand in "
    "Redis, at most five seconds old. Every process of every hub shows the same: take the maximum over instances, not "
    "the sum. Channels, facts and kinds that a tenant has not declared stand under `other`. While Redis does not "
    "answer they are absent and `ctxhub_numbers_up` is 0. What Redis says of itself (`ctxhub_redis_…`) is absent too "
    "where the hub's user may not ask it by `INFO`."
)


def _metric_rows(computed: bool) -> Iterable[Sequence[str]]:
    """Yield a row for each metric that can be computed, or for each that can't."""
    for metric in METRICS:
        name, formula = f"{metric.name['en']} · {metric.name['zh']}", metric.formula["en"]
        if computed and metric.measure is not None:
            yield f"`{metric.id}`", str(metric.version), name, formula
        if not computed and metric.measure is None:
            yield f"`{metric.id}`", name, formula, metric.why["en"]


def _exposed() -> Iterable[Sequence[str]]:
    """Yield a row for each metric that is read from Redis for Prometheus."""
    for exposed in EXPOSED:
        labels = ", ".join(f"`{label}`" for label in ("tenant", *exposed.labels))
        yield f"`ctxhub_numbers_{exposed.name}_total`", labels, FAMILIES[exposed.family].counts
    for name, meaning in TIMES.values():
        yield f"`ctxhub_numbers_{name}`", "`tenant`, `le`", f"seconds {meaning}"
    for name, meaning in (OF_THE_OUTBOX | OF_THE_SERVER).items():
        yield f"`ctxhub_{name}`", "", meaning
    yield "`ctxhub_numbers_up`", "", "1 where these could be read, else 0"


def llms() -> str:
    """Write llms.txt, with links between the files of the repository."""
    return guides.listing(lambda place: posixpath.relpath(place, "docs"))


PAGES: dict[str, Callable[[], str]] = {
    "http.md": http,
    "events.md": events,
    "errors.md": errors,
    "settings.md": settings,
    "keys.md": keys,
    "numbers.md": numbers,
    "../llms.txt": llms,
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
