"""Going on elsewhere with the place in the queue kept: whose place that is, whether it is kept, and where.

A customer has one place. Whoever goes on in another interaction waits there, since when she has waited: the handoff
that waited before is `left`, and the new one is chained to it. Where somebody has answered already, or whoever routes
the queue can't keep a place, nothing moves. A call that its router answers all the same has the place again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from ctxhub.model.dialling import SPOKEN
from ctxhub.model.event import Change
from ctxhub.model.handoff import Delivery, Handoff, Target, take_place
from ctxhub.model.interaction import Interaction
from ctxhub.model.tenant import QueueSpec, Tenant
from ctxhub.model.value import Channel, Value

if TYPE_CHECKING:
    from ctxhub.model.context import Context


class ElsewhereRequest(Value):
    """Where a waiting customer may go on: by which channel, how the way there is told, and for how long it is good."""

    channel: Channel
    delivery: Delivery = "message"
    expires_in: Annotated[int, Field(gt=0, le=86_400, strict=True)] = 3600
    announce: bool = False


class Rules(NamedTuple):
    """By which places are kept: what the tenant declares, the grace of one who left, and the clock."""

    tenant: Tenant
    grace: timedelta
    now: datetime


class Moved(NamedTuple):
    """What came of a place: the change, and the handoff that has it now; None where it was not kept."""

    change: Change
    handoff_id: str | None


def is_kept(waiting: Handoff, tenant: Tenant) -> bool:
    """Tell whether a waiting customer who goes on elsewhere keeps the place: by default whom the hub routes.

    Who routes is what the offer itself says: a queue that declares nothing has calls that another system routes.
    """
    declared = _spec(waiting, tenant).keeps_place
    return not waiting.is_external if declared is None else declared


def _spec(waiting: Handoff, tenant: Tenant) -> QueueSpec:
    """Return what is declared of the queue where somebody waits."""
    return tenant.queues.get(waiting.to.queue or "", QueueSpec())


def has_place(context: Context, handoff: Handoff, rules: Rules) -> bool:
    """Tell whether a handoff is a place to take: waiting, or left within the grace time, and nobody's since."""
    waits = handoff.state == "offered"
    lately = handoff.state == "left" and handoff.final_at is not None and rules.now - handoff.final_at <= rules.grace
    return handoff.went_on_as is None and (waits or lately) and handoff.to.channel is None


def go_on(context: Context, waiting_id: str | None, arrived_id: str, new_id: str, rules: Rules) -> Moved:
    """Let an interaction take the place of a waiting handoff, if that is kept and there to be taken."""
    waiting, arrived = context.handoffs.get(waiting_id or ""), context.interactions[arrived_id]
    if waiting is None or waiting.interaction_id == arrived_id or not has_place(context, waiting, rules):
        return Moved(Change(context, []), None)
    busy = context.open_offer(arrived_id) or context.held_handoff(arrived_id)
    if busy is not None or not arrived.is_open or not is_kept(waiting, rules.tenant):
        return Moved(Change(context, []), None)
    queue = _spec(waiting, rules.tenant).continue_elsewhere
    to = Target(queue=queue) if waiting.to.queue and queue and arrived.channel not in SPOKEN else waiting.to
    return Moved(take_place(context, waiting, arrived, new_id, to, rules.now, rules.tenant), new_id)


def dropped(context: Context, calling: Interaction, rules: Rules) -> Handoff | None:
    """Return the place of a call that was cut off a moment ago, for one who calls again from the same number."""
    if calling.ani is None or calling.is_suspect:
        return None
    calls = {i.interaction_id for i in context.interactions.values() if i.ani == calling.ani and not i.is_suspect}
    left = [h for h in context.handoffs.values() if h.interaction_id in calls - {calling.interaction_id}]
    gone = [h for h in left if h.state == "left" and has_place(context, h, rules)]
    return max(gone, key=lambda handoff: handoff.final_at or handoff.offered_at, default=None)


def taken_back(context: Context, calling: Interaction) -> str | None:
    """Return the handoff by which an interaction waits in a place that it took over, if it still waits."""
    waiting = context.open_offer(calling.interaction_id)
    taken = {handoff.went_on_as for handoff in context.handoffs.values()}
    return waiting.handoff_id if waiting is not None and waiting.handoff_id in taken else None
