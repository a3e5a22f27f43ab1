"""Faults put into the model on purpose, each of which takes one of its rules away: histories must find every one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ctxhub.model import call as calls
from ctxhub.model import calling, continuing, lapsing, merging, moving, telling
from ctxhub.model import handoff as handoffs
from ctxhub.model.call import Call
from ctxhub.model.event import Change
from tests.histories import world
from tests.support import MINUTE, PATIENCE

#: What is put in place of a rule, and where that stands.
Fault = tuple[object, str, Any]


def _nothing(report: Any) -> Change:
    """Do nothing of what a report comes to."""
    return Change(report.context, [])


def _by_arrival(self: Call, mark: calls.Mark) -> Call:
    """Note a report as a hub would that goes by the order of arrival."""
    return self if mark in self.marks else Call(marks=(*self.marks, mark), names=self.names)


def _holds_at_once(self: Any, at: int, role: Any, offered: bool) -> None:
    """Let whoever is on the line have the call, whatever for."""
    self._hold(at)


def _anew(rule: Callable[..., Change]) -> Callable[..., Change]:
    """Let whoever goes on elsewhere begin to wait there."""

    def faulty(context: Any, waiting: Any, arrived: Any, handoff_id: str, to: Any, now: Any, tenant: Any) -> Change:
        return rule(context, waiting.but(waiting_since=now), arrived, handoff_id, to, now, tenant)

    return faulty


def _by_id_alone(context: Any, event: Any) -> Any:
    """Take calls of one id for one call, whichever system's it is."""
    wanted = event.data.get("ref", {}).get("id")
    named = [one for one in context.interactions.values() if wanted in {ref.id for ref in one.refs}]
    return event.but(interaction_id=named[0].interaction_id) if event.interaction_id is None and named else event


def _without_handoffs(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Let an interaction move without its handoffs."""
    return lambda context, interaction_id: rule(context, interaction_id).but(handoffs={})


def _without_interactions(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Part customers without giving back what one of them had."""
    return lambda home, merge_id: rule(home, merge_id).but(interactions={})


def _left_too(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Let the end of a call also end what is final."""

    def faulty(handoff: Any, interaction_id: str) -> Any:
        final = handoff.interaction_id == interaction_id and handoff.is_final
        return "completed" if final else rule(handoff, interaction_id)

    return faulty


def _lapsing_always(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Let time go on for what is on its way to another customer."""
    return lambda context, *rest: rule(context.but(moves={}), *rest)


def _wraps_up_for_ever(handoff: Any, now: Any) -> Any:
    """Let an agent wrap up without an end."""
    return handoff.but(wrap_up_since=now)


def _forgetful(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Forget where the hub had put an offer."""
    return lambda report, offer: rule(report, offer.but(put_at=None))


#: Found only where the telephone system gives on what nobody answers.
PASSED_ON = frozenset({
    "what nobody answered stays where it was given first",
    "what the hub offered stays where that put it",
    "what the hub offered is taken for a transfer once it was passed on",
})  # fmt: skip
FAULTS: dict[str, Fault] = {
    "reports are followed as they arrive": (Call, "noted", _by_arrival),
    "whoever is consulted or listens takes the floor": (calls._Following, "_take_part", _holds_at_once),
    "clocks are trusted to the second": (calls, "SKEW", timedelta(0)),
    "a leg's own name ends the call": (calls._Following, "_with_own", lambda self, ref: None),
    "a call that seems to be over is never taken up again": (calling, "_going_on", _nothing),
    "the floor stays with whoever came first": (calling, "_held", _nothing),
    "a transfer is forgotten": (calling, "_given", _nothing),
    "what nobody answered stays where it was given first": (
        calling,
        "_passed_on",
        lambda report, given, to: Change(report.context, []),
    ),
    "what the hub offered stays where that put it": (calling, "_follows", lambda report, offer, given: False),
    "what the hub offered is taken for a transfer once it was passed on": (
        calling,
        "_stood_for",
        _forgetful(calling._stood_for),
    ),
    "who has had the call for a moment is forgotten": (calling, "_missed", _nothing),
    "who has held a call that is over is forgotten": (calling, "_served", _nothing),
    "the end of a call is forgotten": (calling, "_over", _nothing),
    "an offer is taken by nobody": (calling, "_accepted", lambda context, *rest: Change(context, [])),
    "one call id is one call": (telling, "by_name", _by_id_alone),
    "the grace time is forgotten": (handoffs, "_left_lately", lambda *what: None),
    "who goes on in chat begins to wait anew": (continuing, "take_place", _anew(continuing.take_place)),
    "half an hour of silence ends a call": (world, "PATIENCE", PATIENCE._replace(silence=lambda channel: 30 * MINUTE)),
    "what is final ends again": (handoffs, "_after_end", _left_too(handoffs._after_end)),
    "wrap-up never ends": (handoffs, "wrapping_up", _wraps_up_for_ever),
    "handoffs stay behind as a call moves": (moving, "bundle", _without_handoffs(moving.bundle)),
    "a merge that is undone keeps the calls": (merging, "hand_back", _without_interactions(merging.hand_back)),
    "what is on its way lapses here and there": (world.lapsing, "lapse", _lapsing_always(lapsing.lapse)),
}
