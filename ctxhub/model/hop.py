"""Hops: how whoever has the floor came to it, and how many facts came along.

A hop leads from one place to another: the channel where a bot has the floor, or `desk` where an agent has it. Most go
by a handoff; a customer who simply goes on elsewhere has switched.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from ctxhub.model.disclosure import Sight, facts_in_sight, sight_of
from ctxhub.model.event import Party
from ctxhub.model.fact import SHARED_FROM
from ctxhub.model.value import Channel, Instant, Value, rfc3339

if TYPE_CHECKING:
    from ctxhub.model.context import Context
    from ctxhub.model.interaction import Interaction

DESK = "desk"
SWITCHED_WITHIN = timedelta(minutes=30)
By = Literal["handoff", "transfer", "return", "switch"]


class Hop(Value):
    """A way from place to place; `told` once the timeline says so, `repeated` once the receiver asked again."""

    came_from: Channel
    to: Channel
    by: By
    at: Instant
    carried: int = 0
    told: bool = True
    repeated: bool = False

    @property
    def way(self) -> dict[str, Any]:
        """How an event tells of it."""
        return {"from": self.came_from, "to": self.to, "by": self.by}


def place(channel: str, party: Party) -> str:
    """Return where somebody works who has the floor on a channel: an agent always at the desk."""
    return DESK if party == "agent" else channel


def by(before: Party, after: Party) -> By:
    """Return what a move of the floor within one interaction is: agents transfer and return, bots hand off."""
    if before != "agent":
        return "handoff"
    return "transfer" if after == "agent" else "return"


def carried(context: Context, seen: Sight, now: datetime) -> int:
    """Return how many facts are in sight."""
    return len(facts_in_sight(context, seen, now))


def landed(
    context: Context, interaction: Interaction, hop: Hop, now: datetime, had: int | None = None
) -> tuple[Context, dict[str, Any]]:
    """Note by which hop an interaction got its holder; return also what its event tells.

    `had` is how many facts the sender had. That somebody switched is told only where it surely is this customer.
    """
    count = carried(context, sight_of(interaction, now, internal=hop.to == DESK), now)
    told = hop.by != "switch" or interaction.level(now) >= SHARED_FROM
    context = context.with_interaction(interaction.but(hop=hop.but(carried=count, told=told)))
    if not told:
        return context, {"carried": count}
    return context, {"hop": hop.way, "carried": count} | ({} if had is None else {"had": had})


def looked_again(context: Context, interaction: Interaction, now: datetime) -> tuple[Context, dict[str, Any]]:
    """Look again at a hop whose receiver now knows the customer more surely: what came along may only now be in sight.

    Returns also what the event tells, nothing where nothing changed; `late` says that the hop itself was told before.
    """
    hop = interaction.hop
    sure = interaction.level(now) >= SHARED_FROM
    if hop is None or not sure or (hop.told and hop.carried):
        return context, {}
    seen = sight_of(interaction, now, internal=hop.to == DESK)
    count = sum(
        min(fact.origin.at for fact in facts) <= hop.at for facts in facts_in_sight(context, seen, now).values()
    )
    if hop.told and not count:
        return context, {}
    data = {"hop": hop.way | ({"late": True} if hop.told else {}) | {"at": rfc3339(hop.at)}, "carried": count}
    return context.with_interaction(interaction.but(hop=hop.but(carried=count, told=True))), data


def asked_again(interaction: Interaction) -> tuple[Interaction, dict[str, Any]]:
    """Note that the holder asked again for what was known; return also what the question's event tells of the hop.

    `first` says that it is the first time since a hop that brought facts along.
    """
    hop = interaction.hop
    if hop is None or not hop.told:
        return interaction, {}
    first = bool(hop.carried) and not hop.repeated
    data = {"hop": hop.way | {"at": rfc3339(hop.at)} | ({"first": True} if first else {})}
    return (interaction.but(hop=hop.but(repeated=True)) if first else interaction), data


def switch(context: Context, interaction_id: str, channel: str, now: datetime) -> Hop | None:
    """Return the hop of a customer who was on another channel just before; None for one who was not."""
    others = [i for i in context.interactions.values() if i.interaction_id != interaction_id and i.channel != channel]
    lately = [i for i in others if i.ended_at is None or now - i.ended_at <= SWITCHED_WITHIN]
    last = max(lately, key=lambda i: i.ended_at or now, default=None)
    if last is None:
        return None
    return Hop(came_from=place(last.channel, last.holder.party), to=channel, by="switch", at=now)
