"""Counting: what each event of a timeline adds to its tenant's counters.

A counter is a family and the dimensions it is told apart by, such as `repeats` by channel, fact and hop. What is
counted about a hop counts on the day of the hop, whenever it was learned, so that of one hop all stands on one day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from ctxhub.model.hop import place
from ctxhub.model.measure import bucket

Event = dict[str, Any]
Counter = tuple[str, ...]


class Count(NamedTuple):
    """An amount to add to a counter, on the day of an instant."""

    at: datetime
    counter: Counter
    amount: int = 1


class Family(NamedTuple):
    """A family of counters: its dimensions in order, and what is counted."""

    dimensions: tuple[str, ...]
    counts: str


#: Every family of counters.
FAMILIES = {
    "interactions": Family(("channel",), "interactions that began"),
    "asked": Family(("channel", "place", "purpose"), "facts named in `question.asked`, each once per question"),
    "repeats": Family(("channel", "fact", "from", "to"), "known facts asked for again, once per holder of the floor"),
    "saved": Family(("channel",), "answers `known` to `asks`, once per interaction and name"),
    "carried": Family(("to", "from", "channel"), "facts in sight of whoever a handoff brought"),
    "hops": Family(("channel", "from", "to", "by"), "hops from place to place"),
    "hops_known": Family(("channel", "from", "to", "by"), "hops with at least one fact in the receiver's sight"),
    "hops_repeated": Family(("channel", "from", "to", "by"), "of these, hops after which a known fact was asked for"),
    "had": Family(("channel", "from", "to", "by"), "facts in the sender's sight at a hop by handoff"),
    "survived": Family(("channel", "from", "to", "by"), "as many of these as were in the receiver's sight"),
    "handoffs": Family(("state", "channel", "offered_to"), "what happened to handoffs"),
    "decided": Family(("channel", "offered_to", "outcome"), "what first became of each offer"),
    "waited_ms": Family(("channel",), "milliseconds from the beginning of the wait to each acceptance"),
    "legs": Family(("channel", "how"), "agents' work that ended, by how"),
    "outcomes": Family(("channel", "outcome"), "agents' work completed, by the outcome they chose"),
    "time": Family(("what", "channel", "up_to"), "durations, by fixed upper bounds in seconds"),
    "time_ms": Family(("what", "channel"), "the sum of these durations, milliseconds"),
    "commitments": Family(("state", "channel"), "promises, by what happened to them"),
    "promises": Family(("result", "channel"), "what first became of each promise that was due or settled"),
    "journeys": Family(("kind", "verb", "channel"), "journeys, by what happened to them"),
    "resume": Family(("answer", "channel", "kind"), "offers to resume a journey, by what came of them"),
    "out_of_turn": Family(("channel",), "messages said without the floor"),
}

_DECISIONS = {"accepted", "declined", "expired", "cancelled", "left"}
_JOURNEY_VERBS = {"started", "completed", "abandoned", "escalated"}
_RESULTS = {"commitment.kept": "kept", "commitment.broken": "broken", "commitment.overdue": "overdue"}
_OUTCOMES = {"resolved", "unresolved", "follow_up"}


def counted(event: Event) -> Iterator[Count]:
    """Yield what one event of a timeline adds."""
    family = event["type"].partition(".")[0]
    for rule in _RULES.get(family, ()):
        yield from (Count(*found) for found in rule(event) if found[2])


Found = Iterator[tuple[datetime, Counter, int]]


def _at(text: str) -> datetime:
    """Read an instant of the timeline."""
    return datetime.fromisoformat(text)


def _here(event: Event, amount: int, *counter: str) -> tuple[datetime, Counter, int]:
    """Count on the day of the event."""
    return _at(event["at"]), counter, amount


def _channel(event: Event) -> str:
    """Return the channel of an event; empty for what was told outside any interaction."""
    return str(event.get("channel", ""))


def _began(event: Event) -> Found:
    """Count an interaction that began."""
    if event["type"] == "interaction.started":
        yield _here(event, 1, "interactions", _channel(event))


def _arrived(event: Event) -> Found:
    """Count a hop and what came along."""
    data, hop = event["data"], event["data"].get("hop")
    if hop is None:
        return
    at = _at(hop.get("at", event["at"]))
    way = (_channel(event), hop["from"], hop["to"], hop["by"])
    count = data["carried"]
    yield at, ("hops", *way), 0 if hop.get("late") else 1
    yield at, ("hops_known", *way), 1 if count else 0
    yield at, ("had", *way), data.get("had", 0)
    yield at, ("survived", *way), min(count, data.get("had", 0))
    if hop["by"] != "switch" and "bot" not in data:
        yield at, ("carried", hop["to"], hop["from"], _channel(event)), count


def _asked(event: Event) -> Found:
    """Count a question, its repeats, and that a hop's receiver asked again."""
    data, hop = event["data"], event["data"].get("hop", {})
    channel, here = _channel(event), place(_channel(event), event.get("party", "bot"))
    yield _here(event, len(set(data["names"])), "asked", channel, here, data.get("purpose", "ask"))
    for name in sorted(set(data.get("repeats", ())) - set(data.get("again", ()))):
        yield _here(event, 1, "repeats", channel, name, hop.get("from", ""), here)
    if hop.get("first"):
        yield _at(hop["at"]), ("hops_repeated", channel, hop["from"], hop["to"], hop["by"]), 1


def _handed(event: Event) -> Found:
    """Count what happened to a handoff, how it was decided, and how long that took."""
    data, channel, state = event["data"], _channel(event), event["type"].partition(".")[2]
    offered_to = data.get("offered_to") or _kind_of(data)
    yield _here(event, 1, "handoffs", state, channel, offered_to)
    if state == "accepted":
        yield _here(event, _millis(data.get("waited", 0)), "waited_ms", channel)
    first = not data.get("lapses") and "went_on_as" not in data  # the wait goes on by another handoff
    if state in _DECISIONS and first and data.get("state") != "offered":
        yield _here(event, 1, "decided", channel, offered_to, state)
    if state == "rerouted" and data.get("from_kind") == "channel":
        yield _here(event, 1, "decided", channel, "channel", "expired")
    if state == "accepted" and first and "agent_id" in data:
        yield from _took(event, "accept", data["waited"])
    if state == "shown" and "after" in data:
        yield from _took(event, "context", data["after"])


def _kind_of(data: Event) -> str:
    """Return to whom a handoff was offered by an event that names the target itself."""
    return next(iter(data.get("to", {})), "")


def _worked(event: Event) -> Found:
    """Count an agent's work that ended: how, with which outcome, and how long it took."""
    data, channel, state = event["data"], _channel(event), event["type"].partition(".")[2]
    if "handled" not in data:
        return
    how = "to_bot" if state == "transferred" and data.get("to_party") == "bot" else state
    yield _here(event, 1, "legs", channel, how)
    yield from _took(event, "handle", data["handled"])
    if data.get("outcome"):
        yield _here(event, 1, "outcomes", channel, data["outcome"] if data["outcome"] in _OUTCOMES else "other")


def _took(event: Event, what: str, seconds: float) -> Found:
    """Count a duration into its bucket, and into the sum."""
    yield _here(event, 1, "time", what, _channel(event), bucket(seconds))
    yield _here(event, _millis(seconds), "time_ms", what, _channel(event))


def _millis(seconds: float) -> int:
    """Return a duration in milliseconds."""
    return round(seconds * 1000)


def _promised(event: Event) -> Found:
    """Count what happened to a promise, and how it came out: what was overdue once has come out already."""
    state = event["type"].partition(".")[2]
    yield _here(event, 1, "commitments", state, _channel(event))
    if event["type"] in _RESULTS and not event["data"].get("overdue"):
        late = event["type"] == "commitment.kept" and event["data"].get("late")
        yield _here(event, 1, "promises", "overdue" if late else _RESULTS[event["type"]], _channel(event))


def _travelled(event: Event) -> Found:
    """Count what happened to a journey, and the answer to an offer to resume it."""
    data, verb = event["data"], event["type"].partition(".")[2]
    kind = data.get("kind", "")
    if verb in _JOURNEY_VERBS:
        yield _here(event, 1, "journeys", kind, verb, _channel(event))
    if "offer" in data:
        yield _here(event, 1, "resume", data["offer"], _channel(event), kind)


def _out_of_turn(event: Event) -> Found:
    """Count a message that was said without the floor."""
    if "out_of_turn" in event.get("marks", ()):
        yield _here(event, 1, "out_of_turn", _channel(event))


_RULES: dict[str, tuple[Callable[[Event], Found], ...]] = {
    "interaction": (_began, _arrived),
    "assurance": (_arrived,),
    "question": (_asked,),
    "message": (_out_of_turn,),
    "handoff": (_handed, _worked, _arrived),
    "commitment": (_promised,),
    "journey": (_travelled,),
}
