"""What a tenant's declarations must be beyond their types: named once, said in every language, and never in circles."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from phonenumbers import SUPPORTED_REGIONS

from ctxhub.model.calendar import Calendar, overlapping
from ctxhub.model.identifier import NotNormal, blocked_form
from ctxhub.model.journey import Escalation, queue_of
from ctxhub.model.official_days import NoCountry, official_days
from ctxhub.model.tenant import Kind, Say, Step, Tenant

Path = tuple[str | int, ...]
#: Whether a country is known at all does not depend on the year.
_ANY_YEAR = 2026


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
    yield from _twice(("numbers",), [number.name for number in tenant.numbers], "format", "name")
    for number, kind in enumerate(tenant.journeys):
        yield from _of_kind(("journeys", number), kind, tenant)
    for name, fact in tenant.facts.items():
        yield from _unsaid(("facts", name), fact.say, tenant)
    yield from _of_queues(tenant)
    for name, calendar in tenant.calendars.items():
        yield from _of_calendar(("calendars", name), calendar)
    yield from _of_agents(tenant)
    if tenant.dial is not None:
        yield from _twice(("dial", "pool"), [*tenant.dial.pool, tenant.dial.number], "number")
    known = {kind.kind for kind in tenant.journeys}
    for name in tenant.retention.journeys.keys() - known:
        yield Fault(("retention", "journeys", name), f"there is no kind {name!r}", "declare it under `journeys`")
    yield from _of_blocked(tenant)
    for name, webhook in tenant.webhooks.items():
        for queue in (queue for queue in webhook.queues if queue not in tenant.queues):
            yield Fault(("webhooks", name, "queues"), f"there is no queue {queue!r}", "declare it under `queues`")
    if tenant.policies.fraud_queue is not None and tenant.policies.fraud_queue not in tenant.queues:
        yield Fault(("policies", "fraud_queue"), f"there is no queue {tenant.policies.fraud_queue!r}",
                    "declare it under `queues`")  # fmt: skip


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
        if spec.hours is not None and spec.hours not in tenant.calendars:
            yield Fault(("queues", name, "hours"), f"there is no calendar {spec.hours!r}",
                        "declare it under `calendars`")  # fmt: skip
        for number, other in enumerate(spec.alternatives):
            if other.queue is not None and other.queue not in tenant.queues:
                yield Fault(("queues", name, "alternatives", number, "queue"), f"there is no queue {other.queue!r}",
                            "declare it under `queues`")  # fmt: skip
        to = spec.fallback.queue if spec.fallback else None
        if to is not None and to not in tenant.queues:
            yield Fault(("queues", name, "fallback"), f"there is no queue {to!r}", "declare it under `queues`")
        elsewhere = spec.continue_elsewhere
        if elsewhere is not None and elsewhere not in tenant.queues:
            yield Fault(("queues", name, "continue_elsewhere"), f"there is no queue {elsewhere!r}",
                        "declare it under `queues`")  # fmt: skip
        circle = _circle(tenant, name)
        if circle:
            yield Fault(("queues", name, "fallback"), f"the fallbacks go in a circle: {' → '.join(circle)}",
                        "let the last one have no fallback")  # fmt: skip


def _of_agents(tenant: Tenant) -> Iterator[Fault]:
    """Yield what agents are to serve and nobody declares, and queues that suggest although another routes them."""
    for name, spec in tenant.queues.items():
        if spec.routing == "external" and spec.weights is not None:
            yield Fault(("queues", name, "weights"), "who routes it outside decides by weights of his own",
                        "take them out, or write `routing: hub`")  # fmt: skip
    for agent_id, agent in tenant.agents.items():
        for number, queue in enumerate(agent.queues):
            if queue not in tenant.queues:
                yield Fault(("agents", agent_id, "queues", number), f"there is no queue {queue!r}",
                            "declare it under `queues`")  # fmt: skip


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


def _of_calendar(path: Path, calendar: Calendar) -> Iterator[Fault]:
    """Yield the faults of a calendar: hours that overlap, days that stand twice, closings without any time."""
    for weekday, place, others in overlapping(calendar):
        yield Fault((*path, "hours", weekday, place), f"these hours begin before {others} are over",
                    "let hours begin when those before are over; 22:00-06:00 ends on the next day")  # fmt: skip
    yield from _twice((*path, "holidays"), calendar.holidays, "holiday")
    yield from _twice((*path, "workdays"), calendar.workdays, "working day")
    for number, day in enumerate(calendar.workdays):
        if day in calendar.holidays:
            yield Fault((*path, "workdays", number), f"{day} is a holiday here as well", "keep one of them")
    if (calendar.workdays or calendar.places) and not calendar.hours.get(calendar.workdays_like):
        yield Fault((*path, "workdays_like"), f"there are no hours of {calendar.workdays_like!r}",
                    "name a weekday whose hours a made-up working day has")  # fmt: skip
    for number, (closing, one) in enumerate(zip(calendar.closed, calendar.closed_spans, strict=True)):
        if one.ends <= one.begins:
            yield Fault((*path, "closed", number), f"it is closed from {closing.from_} until {closing.until}",
                        "let a closing end after it begins")  # fmt: skip
    yield from _of_places(path, calendar)


def _of_places(path: Path, calendar: Calendar) -> Iterator[Fault]:
    """Yield the countries of whose holidays nothing is known."""
    for number, place in enumerate(calendar.holidays):
        try:
            official_days(place, _ANY_YEAR) if isinstance(place, str) else None
        except NoCountry:
            yield Fault((*path, "holidays", number), f"nothing is known of the holidays of {place!r}",
                        "write a country such as CN or DE-BY, or the dates themselves")  # fmt: skip


def _of_blocked(tenant: Tenant) -> Iterator[Fault]:
    """Yield the blocked values that no identifier of their type has, and those that stand twice."""
    path: Path = ("identifiers", "blocked")
    forms: list[tuple[str, str]] = []
    for number, blocked in enumerate(tenant.identifiers.blocked):
        try:
            forms.append((blocked.type, blocked_form(blocked, tenant.default_region)))
        except NotNormal as error:
            forms.append((blocked.type, blocked.value))
            yield Fault((*path, number, "value"), f"{blocked.value!r}: {error}", "write it as channels tell it")
    yield from _twice(path, forms, "blocked value", "value")
