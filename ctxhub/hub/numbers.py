"""Numbers: what is counted, from which events, and what each count means."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from ctxhub.store.contexts import Who
from ctxhub.store.lists import Lists
from ctxhub.store.outbox import Tally

_BREAK = "\x1f"

DEFINITIONS = {
    "repeats": "facts asked for with purpose `ask` although they were known to whoever asked, "
    "by channel and by fact, each once for each holder of the floor; asked means told as `question.asked`",
    "questions_saved": "answers `known` to `asks`, each once per interaction and name, by channel",
    "facts_carried": "facts in sight as a handoff was accepted by an agent, or as an interaction began by a handoff, "
    "by channel of arrival",
    "handoffs": "handoffs by what happened to them; `waited_seconds` is the sum of the time from the beginning of "
    "the wait to each acceptance",
    "out_of_turn": "messages that were reported as already said by somebody who did not have the floor",
}


def tallies(who: Who, event: dict[str, Any]) -> list[Tally]:
    """Return what one event of the timeline adds to the tenant's counters."""
    day = datetime.fromisoformat(event["at"]).date()
    return [Tally(who.tenant, day, counter, amount) for counter, amount in _counted(event) if amount]


def _counted(event: dict[str, Any]) -> Iterable[tuple[str, int]]:
    """Yield the counters of one event."""
    type_, data, channel = event["type"], event["data"], event.get("channel", "")
    if type_ == "question.asked":
        for name in set(data.get("repeats", ())) - set(data.get("again", ())):
            yield _BREAK.join(("repeats", channel, name)), 1
    if type_ in ("handoff.accepted", "interaction.started") and data.get("carried") and _is_hop(data):
        yield _BREAK.join(("carried", data.get("to_channel") or _arrived(type_, channel))), data["carried"]
    if type_.startswith("handoff."):
        yield _BREAK.join(("handoffs", type_.removeprefix("handoff."))), 1
        yield "waited_ms", round(data.get("waited", 0) * 1000) if type_ == "handoff.accepted" else 0
    if "out_of_turn" in event.get("marks", ()):
        yield _BREAK.join(("out_of_turn", channel)), 1


def _is_hop(data: dict[str, Any]) -> bool:
    """Tell whether an event is an arrival by a handoff."""
    return "agent_id" in data or "handoff_id" in data


def _arrived(type_: str, channel: str) -> str:
    """Return where facts arrived: with an agent, or on the channel that began."""
    return "desk" if type_ == "handoff.accepted" else channel


class Numbers:
    """Adds up what was counted."""

    def __init__(self, lists: Lists) -> None:
        self._lists = lists

    async def over(self, tenant: str, first: date, last: date) -> dict[str, Any]:
        """Return the numbers of a span of days, both included, with their definitions."""
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        totals = await self._lists.numbers(tenant, days)
        return {
            "from": first.isoformat(),
            "to": last.isoformat(),
            "repeats": _by(totals, "repeats", ("by_channel", "by_fact")),
            "questions_saved": _by(totals, "saved", ("by_channel",)),
            "facts_carried": _by(totals, "carried", ("by_channel",)),
            "handoffs": {
                "by_state": _by(totals, "handoffs", ("by_state",))["by_state"],
                "waited_seconds": totals.get("waited_ms", 0) / 1000,
            },
            "out_of_turn": _by(totals, "out_of_turn", ("by_channel",)),
            "definitions": DEFINITIONS,
        }


def _by(totals: dict[str, int], name: str, dimensions: tuple[str, ...]) -> dict[str, Any]:
    """Return a counter's total, and its sums along each dimension."""
    found = {tuple(key.split(_BREAK)[1:]): n for key, n in totals.items() if key.split(_BREAK)[0] == name}
    shown: dict[str, Any] = {"total": sum(found.values())}
    for position, dimension in enumerate(dimensions):
        sums: dict[str, int] = {}
        for key, amount in found.items():
            sums[key[position]] = sums.get(key[position], 0) + amount
        shown[dimension] = sums
    return shown
