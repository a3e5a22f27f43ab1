"""What a tenant's declarations must be beyond their types: named once, said in every language, and never in circles."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from phonenumbers import SUPPORTED_REGIONS

from ctxhub.model.journey import Escalation, queue_of
from ctxhub.model.tenant import Kind, Say, Step, Tenant

Path = tuple[str | int, ...]


class Fault(NamedTuple):
    """What is wrong with declarations: where, what, and what to do about it."""

    path: Path
    what: str
    remedy: str


def unsound(tenant: Tenant) -> Iterator[Fault]:
    """Yield every fault of declarations that are right by their types."""
    yield from _twice(("languages",), tenant.languages, "language")
    if tenant.default_region is not None and tenant.default_region not in SUPPORTED_REGIONS:
        yield Fault(("default_region",), f"there is no country {tenant.default_region!r}",
                    "write its two capital letters, such as CN or GB")  # fmt: skip
    yield from _twice(("journeys",), [kind.kind for kind in tenant.journeys], "kind", "kind")
    for number, kind in enumerate(tenant.journeys):
        yield from _of_kind(("journeys", number), kind, tenant)
    for name, fact in tenant.facts.items():
        yield from _unsaid(("facts", name), fact.say, tenant)
    yield from _of_queues(tenant)


def _twice(path: Path, names: Sequence[Hashable], what: str, *below: str) -> Iterator[Fault]:
    """Yield a fault for each name that stands in a list again."""
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Fault((*path, number, *below), f"the {what} {name!r} stands here twice", "name each once")


def _of_kind(path: Path, kind: Kind, tenant: Tenant) -> Iterator[Fault]:
    """Yield the faults of one kind of journey."""
    yield from _unsaid(path, kind.say, tenant)
    yield from _unknown_owner(path, kind.owner, tenant)
    yield from _twice((*path, "steps"), [step.step for step in kind.steps], "step", "step")
    for number, step in enumerate(kind.steps):
        yield from _of_step((*path, "steps", number), step, tenant)
    yield from _of_escalations((*path, "escalate"), kind.escalate, tenant)


def _of_step(path: Path, step: Step, tenant: Tenant) -> Iterator[Fault]:
    """Yield the faults of one step."""
    yield from _unsaid(path, step.say, tenant)
    yield from _unknown_owner(path, step.owner, tenant)
    yield from _twice((*path, "facts"), step.facts, "fact")


def _of_escalations(path: Path, escalations: Sequence[Escalation], tenant: Tenant) -> Iterator[Fault]:
    """Yield the faults of a kind's escalations: each must come later than the one before."""
    for number, escalation in enumerate(escalations):
        yield from _unknown_owner((*path, number), escalation.owner, tenant)
        if number and escalation.after <= escalations[number - 1].after:
            yield Fault((*path, number, "after"), f"after {escalation.after} seconds is not later than the one before",
                        "put escalations in order, each later than the one before")  # fmt: skip


def _unsaid(path: Path, say: Say, tenant: Tenant) -> Iterator[Fault]:
    """Yield the declared languages in which something that is said at all is not said; none if none is declared."""
    declared: Iterable[str] = tenant.languages if "languages" in tenant.model_fields_set and say else ()
    for language in declared:
        if not any(text.strip() for tag, text in say.items() if _main(tag) == _main(language)):
            yield Fault((*path, "say"), f"no sentence in {language}", f"add `{language}: …`, or take the language out")


def _main(tag: str) -> str:
    """Return a language without its region and script."""
    return tag.split("-")[0].lower()


def _unknown_owner(path: Path, owner: str | None, tenant: Tenant) -> Iterator[Fault]:
    """Yield an owner who is a queue that is not declared."""
    queue = queue_of(owner)
    if queue is not None and queue not in tenant.queues:
        yield Fault((*path, "owner"), f"there is no queue {queue!r}",
                    "declare it under `queues`, or write `agent:<id>` for one person")  # fmt: skip


def _of_queues(tenant: Tenant) -> Iterator[Fault]:
    """Yield the fallbacks of queues that lead nowhere, or in a circle."""
    for name, spec in tenant.queues.items():
        to = spec.fallback.queue if spec.fallback else None
        if to is not None and to not in tenant.queues:
            yield Fault(("queues", name, "fallback"), f"there is no queue {to!r}", "declare it under `queues`")
        circle = _circle(tenant, name)
        if circle:
            yield Fault(("queues", name, "fallback"), f"the fallbacks go in a circle: {' → '.join(circle)}",
                        "let the last one have no fallback")  # fmt: skip


def _circle(tenant: Tenant, name: str) -> list[str]:
    """Return the circle of fallbacks that leads from a queue back to it, where there is one."""
    way = [name]
    while (here := tenant.queues.get(way[-1])) is not None and here.fallback and here.fallback.queue:
        way.append(here.fallback.queue)
        if way[-1] == name:
            return way
        if way[-1] in way[:-1]:
            return []
    return []
