"""What a supervisor sees: numbers of a span of days, where customers repeat themselves, and promises that are late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from ctxhub.client import ListedCommitment, Tenant
from ctxhub_desk.translate import fact_label

MOST_FACTS = 15


class Row(BaseModel):
    """One fact, and how often it was asked for again after each hop; null where nobody tells what is asked."""

    fact: str
    label: str
    repeats: list[int | None]
    total: int


class Matrix(BaseModel):
    """Facts by hops; `left_out` says how many facts with fewer repeats are not shown."""

    hops: list[dict[str, Any]]
    rows: list[Row]
    left_out: int


class Promise(BaseModel):
    """A promise that is late, or will be."""

    commitment_id: str
    customer_id: str
    what: str
    owner: str
    due_at: str
    state: str


class Overview(BaseModel):
    """All that the page shows."""

    window: dict[str, str]
    channel: str | None
    channels: list[str]
    metrics: list[dict[str, Any]]
    matrix: Matrix
    promises: list[Promise]


def days_of(tenant: Tenant, now: datetime, days: int) -> tuple[date, date]:
    """Return the first and the last of so many days, today's the last, where the tenant is."""
    today = now.astimezone(ZoneInfo(tenant.timezone or "UTC")).date()
    return today - timedelta(days=days - 1), today


def overview(numbers: Mapping[str, Any], promises: Sequence[ListedCommitment], tenant: Tenant, lang: str) -> Overview:
    """Put together what the page shows."""
    instrumented = numbers["repeats"]["instrumented"]
    return Overview(
        window={name: numbers[name] for name in ("from", "to", "time_zone")},
        channel=numbers["channel"],
        channels=sorted(place for place in instrumented if place != "desk"),
        metrics=numbers["metrics"],
        matrix=matrix(numbers, tenant, lang),
        promises=[_promise(promise) for promise in promises],
    )


def matrix(numbers: Mapping[str, Any], tenant: Tenant, lang: str) -> Matrix:
    """Return facts by hops: those asked for again most often first."""
    instrumented = numbers["repeats"]["instrumented"]
    counted = {(r["fact"], r["from"], r["to"]): r["repeats"] for r in numbers["repeats"]["by_fact_and_hop"]}
    ways = sorted({(from_, to) for _, from_, to in counted} | {(hop["from"], hop["to"]) for hop in numbers["hops"]})
    totals: dict[str, int] = {}
    for (fact, _, _), repeats in counted.items():
        totals[fact] = totals.get(fact, 0) + repeats
    ranked = sorted(totals, key=lambda fact: (-totals[fact], fact))
    rows = [
        Row(
            fact=fact,
            label=fact_label(tenant, fact, lang),
            repeats=[_cell(counted.get((fact, *way), 0), instrumented.get(way[1], True)) for way in ways],
            total=totals[fact],
        )
        for fact in ranked[:MOST_FACTS]
    ]
    hops = [{"from": from_, "to": to, "instrumented": instrumented.get(to, True)} for from_, to in ways]
    return Matrix(hops=hops, rows=rows, left_out=max(0, len(ranked) - MOST_FACTS))


def _cell(repeats: int, instrumented: bool) -> int | None:
    """Return a count; none where there may be more than was told."""
    return repeats if instrumented else None


def _promise(promise: ListedCommitment) -> Promise:
    """Show a promise."""
    shown = promise.model_dump(mode="json")
    return Promise(**{name: shown[name] for name in Promise.model_fields})
