"""Queues as they stand: open or not, how long it takes, and what else there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import ConfigDict, Field, model_validator

from ctxhub.model.calendar import Calendar, Span
from ctxhub.model.value import Channel, Instant, Name, Text, Value

#: A window in which nobody could be called in peace is not offered.
SHORTEST_WINDOW = timedelta(minutes=15)


class CallbackTerms(Value):
    """How a queue calls back: so many attempts, `pause` seconds apart, within a window of `window` seconds."""

    attempts: Annotated[int, Field(ge=1, le=10, strict=True)] = 3
    pause: Annotated[int, Field(ge=60, le=86_400, strict=True)] = 1800
    window: Annotated[int, Field(ge=900, le=7 * 86_400, strict=True)] = 7200


class Alternative(Value):
    """What a queue offers beside waiting: to be called back, to leave a message, or another channel."""

    kind: Literal["callback", "message", "channel"]
    channel: Channel | None = None
    queue: Name | None = None

    @model_validator(mode="after")
    def _names_its_channel(self) -> Alternative:
        """Refuse another channel that is not named, and one that is named for nothing."""
        if (self.kind == "channel") != (self.channel is not None):
            raise ValueError("`channel` is named for `kind: channel`, and only there")
        return self


class AlternativeView(Value):
    """What is possible now beside waiting; a callback is possible within a window."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    kind: Literal["callback", "message", "channel"]
    channel: Channel | None = None
    queue: Name | None = None
    from_: Instant | None = Field(None, alias="from")
    until: Instant | None = None


class QueueView(Value):
    """A queue now: `expected_wait` in seconds, null while nobody can tell; `opens_at` null while it is open."""

    queue: Name
    open: bool = True
    opens_at: Instant | None = None
    closed_for: Text | None = None
    waiting: int = 0
    expected_wait: int | None = None
    alternatives: list[AlternativeView] = []


class Handled(Value):
    """What was measured of a queue lately: how long agents had each customer, and how many agents they were."""

    seconds: tuple[float, ...] = ()
    agents: int = 0


class Line(NamedTuple):
    """Who waits in a queue and whom agents of it have now, and what was measured of it lately."""

    waiting: int
    held: int = 0
    handled: Handled = Handled()


#: Below so many customers nothing is estimated.
FEWEST = 5


def expected_wait(line: Line) -> int | None:
    """Estimate how long whoever comes now will wait; None without a base.

    It is the predictor by queue length, (waiting + 1) × mean handling time ÷ places, and 0 while a place is free
    (W. Whitt, Predicting Queueing Delays, Management Science 45, 1999). As many places count as agents were at work
    lately, or as customers are held now, since an agent may hold several chats.
    """
    handled = line.handled
    if len(handled.seconds) < FEWEST:
        return None
    if not line.waiting and line.held < handled.agents:
        return 0
    mean = sum(handled.seconds) / len(handled.seconds)
    return round((line.waiting + 1) * mean / max(line.held, handled.agents))


def standing(queue: str, line: Line, calendar: Calendar | None, now: datetime) -> QueueView:
    """Show a queue as it stands, without alternatives; how long it takes only while it is open."""
    shown = QueueView(queue=queue, waiting=line.waiting)
    if calendar is None or calendar.open_at(now):
        return shown.but(expected_wait=expected_wait(line))
    return shown.but(open=False, opens_at=calendar.opens_at(now), closed_for=calendar.closed_for(now))


def possible(
    declared: Iterable[Alternative], window_: Span | None, is_open: Callable[[str], bool]
) -> list[AlternativeView]:
    """Return which alternatives are possible now: a callback in a window, another channel while its queue is open."""
    found = []
    for one in declared:
        shown = AlternativeView(kind=one.kind, channel=one.channel, queue=one.queue)
        if one.kind != "callback" and (one.queue is None or is_open(one.queue)):
            found.append(shown)
        elif one.kind == "callback" and window_ is not None:
            found.append(shown.but(from_=window_.begins, until=window_.ends))
    return found


def window(calendar: Calendar | None, terms: CallbackTerms, now: datetime) -> Span | None:
    """Return the next window in which a queue may call back; None where it does not open in time."""
    longest = timedelta(seconds=terms.window)
    if calendar is None:
        return Span(now, now + longest)
    for begins, ends in calendar.stretches(now):
        begins = max(begins, now)
        if ends - begins >= SHORTEST_WINDOW:
            return Span(begins, min(ends, begins + longest))
    return None
