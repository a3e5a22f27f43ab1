"""Claims: one worker at a time takes a step that must not be done twice, such as sending money.

Talking about a journey needs no claim, and nothing is locked by that. A claim is for side effects alone: it lapses by
itself, and a step that the journey has left can't be claimed any more. From a step that is declared to be done `once`
nobody but its worker goes on as long as the claim stands, and once it is done it is not claimed again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ctxhub.errors import AtWork, ClaimedByAnother, StaleFence, WrongState
from ctxhub.model.event import Change, Event
from ctxhub.model.value import Id, Instant, Name, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.journey import Journey

LONGEST = 3600


class ClaimRequest(Value):
    """Who wants to do which step, for how long at most; with an interaction, the one in which it is done."""

    step: Name
    by: Id
    for_seconds: Annotated[int, Field(gt=0, le=LONGEST, strict=True)] = 60
    interaction_id: Id | None = None


class Claim(Value):
    """Who does a step now, until when at most; the fence rises with each new claim of the journey."""

    step: Name
    by: Id
    fence: int
    until: Instant


def standing(claim: Claim | None, now: datetime) -> Claim | None:
    """Return a claim as long as it stands."""
    return claim if claim is not None and now < claim.until else None


def claim(context: Context, journey: Journey, wanted: ClaimRequest, now: datetime) -> Change:
    """Let one worker have a step; the same one again has it for longer, under the same fence."""
    _must_be_there(journey, wanted.step)
    held = standing(journey.claim, now)
    if held is not None and (held.by, held.step) != (wanted.by, wanted.step):
        raise ClaimedByAnother(
            f"step {held.step} of journey {journey.journey_id} is being done by {held.by}",
            journey_id=journey.journey_id, step=held.step, by=held.by, until=held.until,
        )  # fmt: skip
    until = now + timedelta(seconds=wanted.for_seconds)
    if held is not None:
        longer = held.but(until=max(held.until, until))
        return Change(context.with_journey(journey.but(claim=longer)), [])
    taken = Claim(step=wanted.step, by=wanted.by, fence=journey.claims + 1, until=until)
    claimed = journey.but(claim=taken, claims=taken.fence)
    return Change(context.with_journey(claimed), [_told(journey, "claimed", taken, wanted, now)])


def must_be_its_worker(journey: Journey, fence: int | None, now: datetime) -> None:
    """Refuse work under a claim that has lapsed, or that another has by now; who names no fence claims nothing."""
    held = standing(journey.claim, now)
    if fence is not None and (held is None or held.fence != fence):
        raise StaleFence(
            f"claim {fence} of journey {journey.journey_id} does not stand any more",
            journey_id=journey.journey_id, fence=held.fence if held else None,
        )  # fmt: skip


def being_done(journey: Journey, held: Claim) -> AtWork:
    """Return the refusal of whoever would go on from a step that must not be done twice while its worker does it."""
    return AtWork(
        f"step {held.step} of journey {journey.journey_id} is being done by {held.by}",
        journey_id=journey.journey_id, state=journey.state, step=held.step, by=held.by, until=held.until,
    )  # fmt: skip


def _must_be_there(journey: Journey, step: str) -> None:
    """Refuse a step at which the journey does not stand: it was done, or is not to be done yet."""
    if step in journey.done:
        raise WrongState(
            f"step {step} of journey {journey.journey_id} was done already",
            journey_id=journey.journey_id, state=journey.state, step=journey.step,
        )  # fmt: skip
    if journey.step not in (None, step):
        raise WrongState(
            f"journey {journey.journey_id} stands at {journey.step}, not at {step}",
            journey_id=journey.journey_id, state=journey.state, step=journey.step,
        )  # fmt: skip


def _told(journey: Journey, verb: str, taken: Claim, wanted: ClaimRequest, now: datetime) -> Event:
    """Return the event that tells of a claim."""
    return Event(
        event_id=f"{journey.journey_id}:{verb}:{taken.fence}", type=f"journey.{verb}", at=now,
        interaction_id=wanted.interaction_id, journey_id=journey.journey_id, assurance=journey.origin.assurance,
        data={"kind": journey.kind, **taken.model_dump(mode="json")},
    )  # fmt: skip
