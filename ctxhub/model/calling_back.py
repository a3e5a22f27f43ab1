"""Calling back: promised with a window, due when it may be, dialled, and brought to exactly one end.

Who is not to be called is not called: that, opening hours and how often a customer was called lately are asked as it is
promised, as it becomes due, and as it is dialled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ctxhub.errors import AlreadyOffered, DoNotCall, HeldByAnother, Invalid, NotPossibleThen, WrongState
from ctxhub.model.calendar import AHEAD
from ctxhub.model.callback import AskedCallback, Attempt, Callback, Number, Outcome, must_be_due
from ctxhub.model.commitment import Commitment, told_of, warn_at
from ctxhub.model.consent import Purpose, is_refused
from ctxhub.model.context import Context
from ctxhub.model.event import Change, Event
from ctxhub.model.fact import Origin
from ctxhub.model.handoff import Handoff, settle
from ctxhub.model.interaction import Holder, find, with_floor
from ctxhub.model.queue import window
from ctxhub.model.tenant import Tenant
from ctxhub.model.value import rfc3339

CALLS: Purpose = "calls"
DAY = timedelta(hours=24)
#: So long after the claim nobody has told what came of it: the attempt counts as failed.
DIALLED_WITHIN = timedelta(minutes=10)
#: Whoever is on the telephone with us just now is not called meanwhile.
LOOK_AGAIN = timedelta(minutes=5)
_TELEPHONE = ("ivr", "voice")
_UNREACHED = ("no_answer", "busy")


class Scene(NamedTuple):
    """The tenant's declarations, the references of the customer's own numbers, and the clock."""

    tenant: Tenant
    refs: Collection[str]
    now: datetime


def promised(offered: Change, handoff_id: str, asked: AskedCallback, number: Number, scene: Scene) -> Change:
    """Make a callback of an offer just made: with its window, and a promise to keep."""
    context, now = offered.context, scene.now
    handoff = context.handoff(handoff_id)
    _must_be_callable(context, handoff, now)
    _must_be_the_first(context, handoff)
    terms = scene.tenant.queue(handoff.to.queue or "").callback
    from_, until = _window(handoff, asked, scene)
    callback = Callback.model_validate(
        {"from": from_, "until": until, "number": number, "attempts": asked.attempts or terms.attempts,
         "pause": terms.pause, "commitment_id": f"cb_{handoff_id}"}
    )  # fmt: skip
    first = _possible_from(context, handoff, max(from_, now), scene)
    if first is None or first >= until:
        raise _not_then(handoff, first)
    # Who answers a telephone is not proven to be who asked to be called: nothing of that proof goes along.
    callback = callback.but(changes_at=first)
    handoff = handoff.but(callback=callback, expires_at=until, delivery="message")
    promise = _promise(context, handoff, callback, scene)
    made = _told(handoff, "commitment.made", f"{handoff_id}:promised", context, now, told_of(promise))
    shown = {"callback": callback.model_dump(mode="json"), "expires_at": rfc3339(until), "delivery": "message"}
    context = context.with_handoff(handoff).but(commitments=context.commitments | {promise.commitment_id: promise})
    return Change(context, [offered.events[0].but(data=offered.events[0].data | shown), *offered.events[1:], made])


def _must_be_callable(context: Context, handoff: Handoff, now: datetime) -> None:
    """Refuse to call a customer who does not want to be called."""
    if is_refused(context, CALLS, handoff.interaction_id, now):
        raise DoNotCall("the customer does not want to be called", handoff_id=handoff.handoff_id)


def _must_be_the_first(context: Context, handoff: Handoff) -> None:
    """Refuse a second callback about the same: the customer would be called twice."""
    others = [h for h in context.handoffs.values() if h.callback is not None and not h.is_final]
    same = [h for h in others if _subject(h) == _subject(handoff)]
    if same:
        raise AlreadyOffered(
            f"callback {same[0].handoff_id} is promised", handoff_id=same[0].handoff_id, state=same[0].state
        )


def _subject(handoff: Handoff) -> str:
    """Return what a callback is about: its journey, else the interaction in which it was promised."""
    return handoff.journey_id or handoff.interaction_id


def _window(handoff: Handoff, asked: AskedCallback, scene: Scene) -> tuple[datetime, datetime]:
    """Return from when until when to call: as asked, else the next window of the queue."""
    queue = handoff.to.queue or ""
    from_ = max(asked.from_ or scene.now, scene.now)
    usual = window(scene.tenant.calendar(queue), scene.tenant.queue(queue).callback, from_)
    if asked.until is None and usual is None:
        raise _not_then(handoff, None)
    begins = usual.begins if usual and asked.from_ is None and asked.until is None else from_
    until = asked.until or (usual.ends if usual else from_)
    if not begins < until <= scene.now + AHEAD:
        raise Invalid.field("/callback/until", "lies after `from`, and at most 60 days ahead")
    return begins, until


def _not_then(handoff: Handoff, first: datetime | None) -> NotPossibleThen:
    """Return the refusal of a window in which nobody can be called."""
    return NotPossibleThen(
        f"queue {handoff.to.queue} can't call in that window",
        queue=handoff.to.queue, possible_from=rfc3339(first) if first else None,
    )  # fmt: skip


def _promise(context: Context, handoff: Handoff, callback: Callback, scene: Scene) -> Commitment:
    """Return the promise that a callback is."""
    interaction = context.interaction(handoff.interaction_id)
    owner = handoff.to.queue or f"agent:{handoff.to.agent}"
    warns = warn_at(scene.now, callback.until, timedelta(seconds=scene.tenant.policies.warn_before))
    origin = Origin(
        adopted=interaction.adopted, channel=interaction.channel, interaction_id=interaction.interaction_id,
        party="system", assurance=interaction.level(scene.now), at=scene.now,
    )  # fmt: skip
    return Commitment(
        commitment_id=callback.commitment_id, what="call back", owner=owner,
        queue=owner if owner in scene.tenant.queues else None, due_at=callback.until, warn_at=warns,
        journey_id=handoff.journey_id, evidence=f"{handoff.handoff_id}:promised", origin=origin,
    )  # fmt: skip


def _told(handoff: Handoff, type_: str, event_id: str, context: Context, at: datetime, data: dict[str, Any]) -> Event:
    """Return an event about a callback."""
    interaction = context.interaction(handoff.interaction_id)
    return Event(
        event_id=event_id, type=type_, at=at, interaction_id=handoff.interaction_id, journey_id=handoff.journey_id,
        channel=interaction.channel, assurance=interaction.level(at), data=data,
    )  # fmt: skip


def _possible_from(context: Context, handoff: Handoff, at: datetime, scene: Scene) -> datetime | None:
    """Return from when the customer may be called: when the queue is open, and not too often; None for never."""
    rested = max(at, _rested_at(context, scene))
    calendar = scene.tenant.calendar(handoff.to.queue or "")
    if calendar is None or calendar.open_at(rested):
        return rested
    return calendar.opens_at(rested)


def _rested_at(context: Context, scene: Scene) -> datetime:
    """Return from when another call is not one too many within 24 hours."""
    most, recent = scene.tenant.policies.calls_a_day, contacts(context, scene.now)
    return recent[-most] + DAY if len(recent) >= most else scene.now


def contacts(context: Context, now: datetime) -> list[datetime]:
    """Return when we called the customer within the last 24 hours, oldest first: attempts, and other outbound calls."""
    callbacks = {h.handoff_id: h.callback for h in context.handoffs.values() if h.callback}
    attempts = [attempt for callback in callbacks.values() for attempt in callback.made]
    calls = [i for i in context.interactions.values() if i.direction == "outbound" and i.channel in _TELEPHONE]
    others = [call.started_at for call in calls if call.handoff_id not in callbacks]
    return sorted(at for at in [*(attempt.at for attempt in attempts), *others] if now - at < DAY)


def reviewed(context: Context, handoff_id: str, scene: Scene) -> Change:
    """Let a callback become due, wait on, or be withdrawn, as it may be now; a claim nobody told more of has failed."""
    handoff, now = context.handoff(handoff_id), scene.now
    callback = handoff.callback
    if callback is None or handoff.state != "offered" or handoff.interaction_id in context.moves:
        return Change(context, [])
    if is_refused(context, CALLS, handoff.interaction_id, now):
        return settle(context, handoff.but(outcome="do_not_call"), "cancelled", now, reason="do_not_call")
    if callback.number.ref not in scene.refs:
        return settle(context, handoff.but(outcome="number_gone"), "cancelled", now, reason="number_gone")
    if callback.phase == "dialling":
        return _silent(context, handoff, callback, scene)
    return _due(context, handoff, callback, scene)


def _silent(context: Context, handoff: Handoff, callback: Callback, scene: Scene) -> Change:
    """Count a claim as a failed attempt where its time is over."""
    if callback.changes_at is None or scene.now < callback.changes_at:
        return Change(context, [])
    said = Said(callback.attempt, "failed", reason="nothing was told of it")
    return attempted(context, handoff.handoff_id, said, scene)


def _due(context: Context, handoff: Handoff, callback: Callback, scene: Scene) -> Change:
    """Let a callback become due, or wait until it may be."""
    now = scene.now
    if callback.phase == "waiting" and (callback.changes_at is None or now < callback.changes_at):
        return Change(context, [])
    first = now + LOOK_AGAIN if _is_on_the_telephone(context) else _possible_from(context, handoff, now, scene)
    if first is None or first > now:
        later = callback.but(phase="waiting", changes_at=first if first and first < callback.until else None)
        return Change(context if later == callback else context.with_handoff(handoff.but(callback=later)), [])
    if callback.phase == "due":
        return Change(context, [])
    due = callback.but(phase="due", changes_at=None)
    number, until = callback.number.model_dump(), rfc3339(callback.until)
    data = _about(handoff, callback) | {"reason": handoff.reason, "number": number, "until": until}
    event_id = f"{handoff.handoff_id}:due:{callback.attempt}:{rfc3339(now)}"
    event = _told(handoff, "callback.due", event_id, context, now, data)
    return Change(context.with_handoff(handoff.but(callback=due)), [event])


def _is_on_the_telephone(context: Context) -> bool:
    """Tell whether the customer is in a call with us."""
    return any(i.is_open and i.channel in _TELEPHONE for i in context.interactions.values())


def _about(handoff: Handoff, callback: Callback) -> dict[str, Any]:
    """Return what every event of a callback tells."""
    return {"handoff_id": handoff.handoff_id, "queue": handoff.to.queue, "agent_id": handoff.to.agent,
            "attempt": callback.attempt, "of": callback.attempts,
            "commitment_id": callback.commitment_id}  # fmt: skip


def dialled(context: Context, handoff_id: str, scene: Scene, dialler: str | None = None) -> Change:
    """Give the attempt that is due to one dialler; a second one is refused until the first has told what came of it.

    One that an agent has accepted only that agent dials, or whoever speaks for all agents, which is None.
    """
    handoff = context.handoff(handoff_id)
    _must_be_callable(context, handoff, scene.now)
    callback = _callback_of(handoff)
    _must_be_open(handoff)
    _must_be_theirs(handoff, dialler)
    must_be_due(handoff)
    find(context, handoff.interaction_id)
    claimed = callback.but(phase="dialling", changes_at=min(scene.now + DIALLED_WITHIN, callback.until))
    event_id = f"{handoff_id}:dialled:{callback.attempt}"
    event = _told(handoff, "callback.dialled", event_id, context, scene.now, _about(handoff, callback))
    return Change(context.with_handoff(handoff.but(callback=claimed)), [event])


def still_dialled(handoff: Handoff, before: Mapping[str, Any] | None) -> Callback:
    """Return a callback that its dialler may dial; refused where what was done `before` is over meanwhile."""
    callback = _callback_of(handoff)
    if before is not None and (callback.phase, callback.attempt) != ("dialling", before["attempt"]):
        state = handoff.state if handoff.is_final else callback.phase
        raise WrongState(f"that attempt at callback {handoff.handoff_id} is over", handoff_id=handoff.handoff_id,
                         state=state, attempts=len(callback.made))  # fmt: skip
    return callback


def _callback_of(handoff: Handoff) -> Callback:
    """Return a handoff's callback; refused where it is none."""
    if handoff.callback is None:
        raise WrongState(f"handoff {handoff.handoff_id} is no callback", handoff_id=handoff.handoff_id,
                         state=handoff.state)  # fmt: skip
    return handoff.callback


def _must_be_open(handoff: Handoff) -> None:
    """Refuse what only a callback allows that has not ended."""
    if handoff.is_final:
        raise WrongState(f"callback {handoff.handoff_id} is {handoff.state}", handoff_id=handoff.handoff_id,
                         state=handoff.state, reason=handoff.outcome)  # fmt: skip


class Said(NamedTuple):
    """What came of an attempt, in which interaction, which agent speaks to the customer, and which one tells it."""

    attempt: int
    outcome: Outcome
    interaction_id: str | None = None
    agent_id: str | None = None
    reason: str | None = None
    teller: str | None = None


def is_told(handoff: Handoff, said: Said) -> bool:
    """Tell whether this was told before; `WrongState` where it comes to something else, or out of order."""
    made = _callback_of(handoff).made
    if said.attempt <= len(made) and made[said.attempt - 1].outcome == said.outcome:
        return True
    if said.attempt != len(made) + 1:
        raise WrongState(f"callback {handoff.handoff_id} had {len(made)} attempts", handoff_id=handoff.handoff_id,
                         state=handoff.state, attempts=len(made))  # fmt: skip
    _must_be_open(handoff)
    _must_be_theirs(handoff, said.teller)
    callback = _callback_of(handoff)
    if handoff.state == "offered" and callback.phase == "waiting":
        must_be_due(handoff)
    return False


def _must_be_theirs(handoff: Handoff, teller: str | None) -> None:
    """Refuse to dial, or to tell of, a callback that another agent has accepted."""
    if handoff.state == "accepted" and teller is not None and handoff.agent_id != teller:
        raise HeldByAnother(
            f"callback {handoff.handoff_id} is held by {handoff.agent_id}",
            handoff_id=handoff.handoff_id, state=handoff.state, held_by=handoff.agent_id, until=handoff.lease_ends,
        )  # fmt: skip


def attempted(context: Context, handoff_id: str, said: Said, scene: Scene) -> Change:
    """Note what came of an attempt: reached, it is done; else it waits for the next one, or has come to its end."""
    handoff, now = context.handoff(handoff_id), scene.now
    if is_told(handoff, said):
        return Change(context, [])
    callback = _callback_of(handoff)
    made = Attempt(at=now, outcome=said.outcome, interaction_id=said.interaction_id, reason=said.reason)
    tried = callback.but(made=(*callback.made, made), phase="waiting", changes_at=now + _pause(callback))
    told = {"outcome": said.outcome, "opened": said.interaction_id, "reason": said.reason}
    event = _told(handoff, "callback.attempted", f"{handoff_id}:attempted:{said.attempt}", context, now,
                  _about(handoff, callback) | told)  # fmt: skip
    context = _floor(context, handoff, said)
    after = _after(context, handoff.but(callback=tried), said, now)
    return Change(after.context, [event, *after.events])


def _pause(callback: Callback) -> timedelta:
    """Return how long to wait before the next attempt."""
    return timedelta(seconds=callback.pause)


def _floor(context: Context, handoff: Handoff, said: Said) -> Context:
    """Give the floor of the call to the agent who speaks in it, and that of where it was promised back to the bot."""
    call = context.interactions.get(said.interaction_id or "")
    if call is not None and said.agent_id is not None and call.holder.id != said.agent_id:
        context, _ = with_floor(context, call, Holder(party="agent", id=said.agent_id))
    interaction = context.interaction(handoff.interaction_id)
    if handoff.state == "accepted" and interaction.is_open:
        context, _ = with_floor(context, interaction, Holder(party="bot"))
    return context


def _after(context: Context, handoff: Handoff, said: Said, now: datetime) -> Change:
    """Return what becomes of a callback after an attempt."""
    callback = _callback_of(handoff)
    if said.outcome == "answered":
        reached = handoff.but(outcome="answered", agent_id=said.agent_id or handoff.agent_id)
        by = {"agent_id": reached.agent_id} if reached.agent_id else {}
        return settle(context, reached, "completed", now, outcome="answered", **by)
    if said.outcome == "refused":
        return settle(context, handoff.but(outcome="refused"), "cancelled", now, reason="refused")
    if len(callback.made) >= callback.attempts:
        return settle(context, handoff.but(outcome="attempts_exhausted"), "expired", now, reason="attempts_exhausted")
    if callback.changes_at is None or callback.changes_at >= callback.until:
        return settle(context, handoff.but(outcome="window_over"), "expired", now, reason="window_over")
    waits = {"state": "offered", "agent_id": None, "fence": None, "lease_ends": None, "accepted_at": None}
    return Change(context.with_handoff(handoff.but(**waits)), [])


def missed(context: Context, now: datetime) -> tuple[Handoff, Attempt] | None:
    """Return the callback by which we missed the customer last, within a day, and the attempt."""
    tried = [(h, h.callback.made[-1]) for h in context.handoffs.values() if h.callback and h.callback.made]
    last = max(tried, key=lambda pair: pair[1].at, default=None)
    if last is None or last[1].outcome not in _UNREACHED or now - last[1].at >= DAY:
        return None
    return last
