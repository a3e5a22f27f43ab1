"""What stands beside a context so that it can be found: derived from the document, written in the same step."""

from __future__ import annotations

from datetime import UTC, datetime

from ctxhub.model.call import agents
from ctxhub.model.context import Context
from ctxhub.model.handoff import Handoff
from ctxhub.model.interaction import Interaction
from ctxhub.model.lapsing import Activities, Activity

_PRIORITY_WEIGHT = 10**13


def millis(at: datetime) -> int:
    """Return an instant in milliseconds."""
    return round(at.timestamp() * 1000)


def entries(context: Context) -> dict[tuple[str, str], float]:
    """Return the lists in which a customer's handoffs, interactions and promises stand; of one who moved, none."""
    if context.frozen:
        return {}
    found: dict[tuple[str, str], float] = {}
    for handoff in context.handoffs.values():
        member = f"{context.customer_id}\n{handoff.handoff_id}"
        if handoff.waits_in is not None:
            score = millis(handoff.waiting_since) - handoff.priority * _PRIORITY_WEIGHT
            found[f"waiting:{handoff.waits_in}", member] = score
        elif handoff.state == "accepted" and handoff.to.place:
            found[f"held:{handoff.to.place}", member] = millis(handoff.accepted_at or handoff.offered_at)
        found |= _work(context, handoff, member)
    for interaction in context.interactions.values():
        if interaction.is_open:
            member = f"{context.customer_id}\n{interaction.interaction_id}"
            found[f"open:{interaction.channel}", member] = millis(interaction.started_at)
            found |= {
                (f"calls:{agent}", member): millis(interaction.started_at) for agent in _at_the_phone(interaction)
            }
    for promise in context.commitments.values():
        member, score = f"{context.customer_id}\n{promise.commitment_id}", millis(promise.changes_at or promise.due_at)
        found[f"promised:{promise.state}", member] = score
        found[f"promised:{promise.state}:{promise.owner}", member] = score
    return found


def _at_the_phone(interaction: Interaction) -> list[str]:
    """Return at whose phones its call rings and who is on the line, as far as more than their own word says so."""
    return agents(interaction.call.attested.live) if interaction.call is not None else []


def _work(context: Context, handoff: Handoff, member: str) -> dict[tuple[str, str], float]:
    """Return where a handoff stands as an agent's work, if it does: held, or ringing for him."""
    interaction = context.interactions.get(handoff.interaction_id)
    what = f"{member}\n{interaction.channel if interaction else ''}\n"
    if handoff.state == "accepted" and handoff.agent_id is not None:
        return {("work:held", f"{what}{handoff.agent_id}"): millis(handoff.accepted_at or handoff.offered_at)}
    ringing = handoff.rings(handoff.suggested.at) if handoff.suggested is not None else None
    return {("work:ringing", f"{what}{ringing.agent_id}"): millis(ringing.until)} if ringing is not None else {}


def entry_changes(before: Context | None, after: Context) -> list[tuple[str, str, float | None]]:
    """Return what to put into lists and what to take out, as (list, member, score or None)."""
    old = entries(before) if before else {}
    new = entries(after)
    gone: list[tuple[str, str, float | None]] = [(*key, None) for key in old if key not in new]
    return gone + [(*key, score) for key, score in new.items() if old.get(key) != score]


def standing(interaction: Interaction) -> str:
    """Return what an append must know of an open interaction: fence, holder's party, level and its end, channel."""
    until = interaction.assurance.until
    till = millis(until) if until else 0
    # An append can't leave words out: of an interaction that is not to be kept it goes to where decisions are made.
    channel = f"{interaction.channel}!" if interaction.unkept else interaction.channel
    return f"{interaction.fence} {interaction.holder.party} {interaction.proven} {till} {channel}"


def standing_changes(before: Context | None, after: Context) -> dict[str, str]:
    """Return the standing of each interaction that has a new one; '' for one that is no longer open, or is leaving."""
    old = _standings(before) if before else {}
    new = _standings(after)
    return dict.fromkeys(old.keys() - new.keys(), "") | {k: s for k, s in new.items() if old.get(k) != s}


def _standings(context: Context) -> dict[str, str]:
    """Return the standing of each interaction of which something may be told here without a decision."""
    leaving = context.leaving
    return {k: standing(i) for k, i in context.interactions.items() if i.is_open and k not in leaving}


def activities(head: dict[bytes, bytes]) -> Activities:
    """Read when each open interaction was last heard of, and its holder."""
    found: Activities = {}
    for field, text in head.items():
        if field.startswith(b"i:"):
            *_, last, held = text.split()
            spoke = instant(held) if held != b"0" else None
            found[field[2:].decode()] = Activity(instant(last), spoke)
    return found


def instant(text: bytes) -> datetime:
    """Read an instant from milliseconds."""
    return datetime.fromtimestamp(int(text) / 1000, tz=UTC)
