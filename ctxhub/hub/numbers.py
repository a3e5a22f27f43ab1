"""Numbers: what is counted, from which events, and what each count means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ctxhub.hub.changes import Clock
from ctxhub.hub.tenants import Tenants
from ctxhub.model.counting import FAMILIES, counted
from ctxhub.model.hop import DESK
from ctxhub.model.measure import Totals
from ctxhub.model.metric import DEFINITIONS as METRICS
from ctxhub.model.metric import Metric, Seen, Window, measured
from ctxhub.model.tenant import Tenant
from ctxhub.store.contexts import Who
from ctxhub.store.lists import Lists
from ctxhub.store.outbox import Tally

_BREAK = "\x1f"
_CHANNEL_AT = {name: family.dimensions.index("channel") for name, family in FAMILIES.items()}

DEFINITIONS = {
    "repeats": "facts asked for with purpose `ask` although they were known to whoever asked, by channel, by fact, by "
    "hop (from > to: how whoever asked got the floor, empty before > where no hop led there) and by both, each once "
    "for each holder of the floor; asked means told as `question.asked`. `instrumented` says which places tell what "
    "they ask; null stands where one had customers and tells nothing",
    "questions_asked": "facts named in `question.asked`, by channel and by purpose, each once per question",
    "questions_saved": "answers `known` to `asks`, each once per interaction and name, by channel",
    "facts_carried": "facts in sight as a handoff was accepted by an agent, or as an interaction began by a handoff, "
    "by channel of arrival and by hop",
    "hops": "moves from one holder to the next: by handoff, transfer, return, or switch of channel within 30 minutes "
    "by a customer surely known; `known` brought at least one fact in sight, `repeated` were followed by a repeat, "
    "null where the place does not tell what it asks",
    "handoffs": "handoffs by what happened to them; `waited_seconds` is the sum of the time from the beginning of "
    "the wait to each acceptance; `times` in seconds: `accept` from the beginning of the wait to the first acceptance "
    "by an agent, `handle` from there to the end of the agent's work, `context` to the receipt of the context; p50, "
    "p90 and p95 are estimated within fixed buckets, `up_to` their upper bounds",
    "commitments": "promises by what happened to them",
    "journeys": "journeys by kind and by what happened to them",
    "resume": "journeys offered to be resumed (`resume` in the answer of a start), taken up in an interaction other "
    "than where they began, and declined; each once per interaction and journey",
    "out_of_turn": "messages that were reported as already said by somebody who did not have the floor",
}


def spelled(counter: Iterable[str]) -> str:
    """Return how a counter is called where it is kept."""
    return _BREAK.join(counter)


def totals_of(kept: Mapping[str, int]) -> Totals:
    """Return kept counters as totals."""
    return Totals({tuple(key.split(_BREAK)): amount for key, amount in kept.items()})


class Counting:
    """Says what events add to the counters, on days of each tenant's own time zone."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    def day(self, tenant: str, at: datetime) -> date:
        """Return the day of an instant where the tenant is."""
        zone = self._tenants.of(tenant).timezone
        return at.astimezone(ZoneInfo(zone)).date() if zone else at.date()

    def tallies(self, told: Iterable[tuple[Who, dict[str, Any]]]) -> list[Tally]:
        """Return what events of timelines add, each counter once."""
        sums: dict[tuple[str, date, str], int] = {}
        for who, event in told:
            for at, counter, amount in counted(event):
                key = (who.tenant, self.day(who.tenant, at), spelled(counter))
                sums[key] = sums.get(key, 0) + amount
        return [Tally(*key, amount) for key, amount in sums.items()]


class Numbers:
    """Adds up what was counted, and measures it."""

    def __init__(self, lists: Lists, tenants: Tenants, counting: Counting, clock: Clock) -> None:
        self._lists = lists
        self._tenants = tenants
        self._counting = counting
        self._clock = clock

    def today(self, tenant: str) -> date:
        """Return the day it is where the tenant is."""
        return self._counting.day(tenant, self._clock())

    async def over(
        self, tenant: str, first: date, last: date, channel: str | None = None, language: str = "en"
    ) -> dict[str, Any]:
        """Return the numbers of a span of days, both included, with their definitions; of one channel or of all."""
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        everything = totals_of(await self._lists.numbers(tenant, days))
        totals = everything if channel is None else everything.only(channel, _CHANNEL_AT)
        declared = self._tenants.of(tenant)
        seen = Seen(totals, instrumented(totals, declared))
        window = Window(first=first, last=last, time_zone=declared.timezone or "UTC")
        now = self._clock()
        metrics = [measured(definition, seen, window, now, language) for definition in METRICS]
        return {
            **window.shown(),
            "channel": channel,
            **_parts(seen),
            "metrics": [metric.model_dump(mode="json") for metric in metrics],
            "definitions": DEFINITIONS,
        }

    async def metric(self, tenant: str, metric_id: str, first: date, last: date) -> Metric:
        """Return one metric of a span of days."""
        found = await self.over(tenant, first, last)
        return next(Metric.model_validate(shown) for shown in found["metrics"] if shown["id"] == metric_id)


def instrumented(totals: Totals, tenant: Tenant) -> dict[str, bool]:
    """Say of each place that had customers whether it tells what it asks: as declared, else as seen."""
    channels = {channel for (channel,), _ in totals.by("interactions", 0).items() if channel}
    places = channels | ({DESK} if totals.sum("hops", None, None, DESK) else set())
    return {place: _tells(totals, tenant, place) for place in sorted(places)}


def _tells(totals: Totals, tenant: Tenant, place: str) -> bool:
    """Tell whether a place declares its questions."""
    declared = tenant.channels.get(place, {}).get("instrumented")
    told = totals.sum("asked", None, place) + totals.sum("hops_repeated", None, None, place)
    return told > 0 if declared is None else bool(declared)


def _parts(seen: Seen) -> dict[str, Any]:
    """Return every part of the answer but the metrics."""
    totals = seen.totals
    return {
        "repeats": _repeats(seen),
        "questions_asked": _by(totals, "asked", by_channel=0, by_purpose=2),
        "questions_saved": _by(totals, "saved", by_channel=0),
        "facts_carried": _by(totals, "carried", by_channel=0) | {"by_hop": _by_hop(totals, "carried", 1, 0)},
        "hops": _hops(seen),
        "handoffs": {
            "by_state": _along(totals, "handoffs", 0),
            "waited_seconds": totals.sum("waited_ms") / 1000,
            "times": {what: totals.times(what).shown() for what in ("accept", "handle", "context")},
        },
        "commitments": {"by_state": _along(totals, "commitments", 0)},
        "journeys": {"by_kind": _nested(totals.by("journeys", 0, 1))},
        "resume": {answer: totals.sum("resume", answer) for answer in ("offered", "taken", "declined")},
        "out_of_turn": _by(totals, "out_of_turn", by_channel=0),
    }


def _by(totals: Totals, family: str, **dimensions: int) -> dict[str, Any]:
    """Return a family's total, and its sums along dimensions."""
    return {"total": totals.sum(family)} | {name: _along(totals, family, at) for name, at in dimensions.items()}


def _along(totals: Totals, family: str, at: int) -> dict[str, int]:
    """Return the sums of a family along one dimension."""
    return {value: amount for (value,), amount in totals.by(family, at).items()}


def _by_hop(totals: Totals, family: str, came_from: int, to: int) -> dict[str, int]:
    """Return the sums of a family by hop."""
    return {f"{a}>{b}": amount for (a, b), amount in totals.by(family, came_from, to).items()}


def _nested(sums: Mapping[tuple[str, ...], int]) -> dict[str, dict[str, int]]:
    """Return sums along two dimensions, one inside the other."""
    shown: dict[str, dict[str, int]] = {}
    for (outer, inner), amount in sums.items():
        shown.setdefault(outer, {})[inner] = amount
    return shown


def _repeats(seen: Seen) -> dict[str, Any]:
    """Return the repeats; where nobody tells what is asked there is no number, and that is said."""
    totals = seen.totals
    silent = {place for place, tells in seen.instrumented.items() if not tells}
    asked = {channel for (channel,), _ in totals.by("asked", 0).items()}
    channels: dict[str, int | None] = dict.fromkeys(silent - asked - {DESK})
    hops = {f"{a}>{b}": None if b in silent else n for (a, b), n in totals.by("repeats", 2, 3).items()}
    return _by(totals, "repeats", by_channel=0, by_fact=1) | {
        "by_channel": _along(totals, "repeats", 0) | channels,
        "by_hop": hops,
        "by_fact_and_hop": [
            {"fact": fact, "from": came_from, "to": to, "repeats": amount}
            for (fact, came_from, to), amount in totals.by("repeats", 1, 2, 3).items()
        ],
        "instrumented": dict(seen.instrumented),
    }


def _hops(seen: Seen) -> list[dict[str, Any]]:
    """Return the hops from place to place, and what they brought."""
    totals = seen.totals
    return [
        {
            "from": came_from,
            "to": to,
            "by": by,
            "hops": amount,
            "known": totals.sum("hops_known", None, came_from, to, by),
            "repeated": totals.sum("hops_repeated", None, came_from, to, by) if to in seen.asking else None,
        }
        for (came_from, to, by), amount in totals.by("hops", 1, 2, 3).items()
    ]
