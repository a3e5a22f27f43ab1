"""Routes of numbers: as JSON, and as a table for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from io import StringIO
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from ctxhub.api.calls import HubHere, Route, Supervisor, answer
from ctxhub.errors import Invalid
from ctxhub.model.value import Channel

router = APIRouter(prefix="/v1", tags=["numbers"], route_class=Route)

LONGEST_SPAN = 400
FURTHEST = 4000
CSV = "text/csv"
COLUMNS = ("part", "id", "dimension", "key", "value", "numerator", "n", "low", "high", "unit", "status", "from", "to",
           "time_zone", "channel", "meaning")  # fmt: skip
_ABOUT = ("from", "to", "time_zone", "channel")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")

First = Annotated[date | None, Query(alias="from", description="The first day; absent: the last.")]
Last = Annotated[date | None, Query(alias="to", description="The last day, itself included; absent: today.")]
OfChannel = Annotated[Channel | None, Query(description="Only what happened on this channel.")]
Lang = Annotated[Literal["en", "zh"], Query(description="The language of names and formulas.")]
Format = Annotated[Literal["json", "csv"] | None, Query(description="`csv` for a table; absent: as `Accept` says.")]


@router.get("/numbers", responses={200: {"content": {CSV: {"schema": {"type": "string"}}}}})
async def numbers(
    request: Request,
    hub: HubHere,
    caller: Supervisor,
    first: First = None,
    last: Last = None,
    channel: OfChannel = None,
    lang: Lang = "en",
    as_: Annotated[Format, Query(alias="format")] = None,
) -> Response:
    """Read repeats, questions, facts carried, handoffs, promises and journeys of a span of days, and what they mean.

    `metrics` are shares, durations and counts with definition, n, 95 % interval and status. Days are the tenant's own.
    """
    today = hub.numbers.today(caller.tenant)
    last = last or today
    first = first or last
    if abs((last - today).days) > FURTHEST:
        raise Invalid.field("/to", f"lies at most {FURTHEST} days from today: nothing is counted there")
    if not 0 <= (last - first).days < LONGEST_SPAN:
        raise Invalid.field("/from", f"lies at most {LONGEST_SPAN} days before `to`")
    found = await hub.numbers.over(caller.tenant, first, last, channel, lang)
    if as_ == "csv" or (as_ is None and _wants_csv(request)):
        name = f"numbers-{first.isoformat()}-{last.isoformat()}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept"}
        return Response(table(found), headers=headers, media_type=f"{CSV}; charset=utf-8")
    return answer(found)


def _wants_csv(request: Request) -> bool:
    """Tell whether a table is asked for by `Accept`, and JSON is not."""
    accepted = {part.split(";")[0].strip() for part in request.headers.get("accept", "").split(",")}
    return CSV in accepted and "application/json" not in accepted


def table(found: Mapping[str, Any]) -> str:
    """Return numbers as CSV: a row for each metric, and one for each number beside them."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    about = {name: found[name] for name in _ABOUT}
    for row in (*_metric_rows(found), *_count_rows(found)):
        writer.writerow({name: _harmless(value) for name, value in (about | row).items()})
    return text.getvalue()


def _harmless(value: Any) -> Any:
    """Keep a spreadsheet from taking a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULAS) else value


def _metric_rows(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the metrics, each followed by its quantiles or steps."""
    for metric in found["metrics"]:
        low, high = metric["interval"] or (None, None)
        same = {name: metric[name] for name in ("id", "unit", "status")}
        counted = {name: metric[name] for name in ("value", "numerator", "n")}
        meaning = metric["why"] or metric["formula"]
        yield {"part": "metric", **same, **counted, "low": low, "high": high, "meaning": meaning}
        for key in ("p50", "p90", "p95") if metric["times"] else ():
            yield {"part": "metric", **same, "dimension": "quantile", "key": key, "value": metric["times"][key]}
        for key, value in (metric["steps"] or {}).items():
            yield {"part": "metric", **same, "dimension": "step", "key": key, "value": value}


def _count_rows(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every number that is no metric."""
    for name, meaning in found["definitions"].items():
        for path, value in _leaves(found[name]):
            dimension, *key = path or ("total",)
            yield {"part": "count", "id": name, "dimension": dimension, "key": " ".join(key), "value": value,
                   "meaning": meaning}  # fmt: skip


def _leaves(inner: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every number in an answer with the way to it; in a list, the texts of a row are the way."""
    if isinstance(inner, dict):
        for name, value in inner.items():
            yield from _leaves(value, *path, name)
    elif isinstance(inner, list):
        for row in inner:
            texts = [value for value in row.values() if isinstance(value, str)]
            yield from ((leaf, n) for leaf, n in _leaves(_without_texts(row), *path, *texts))
    else:
        yield path, inner


def _without_texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a row is no text."""
    return {name: value for name, value in row.items() if not isinstance(value, str)}
