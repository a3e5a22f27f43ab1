"""Reports of calls: the handoffs that they stand for can be found, and so can the call by every name it goes by."""

from __future__ import annotations

from collections.abc import Sequence

from ctxhub.hub.secrets import Secrets
from ctxhub.model.calling import HandoffIds
from ctxhub.model.context import Context
from ctxhub.model.event import Event, Ref
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Lookups


class Reported:
    """Lets what a telephone system told of lead somewhere."""

    def __init__(self, secrets: Secrets, lookups: Lookups) -> None:
        self._secrets = secrets
        self._lookups = lookups

    def handoff_ids(self, who: Who) -> HandoffIds:
        """Return how a customer's handoffs get ids: the same for the same words."""
        return lambda words: self._secrets.handoff_id(*who, words)

    def lookups(self, who: Who, before: Context, after: Context) -> list[tuple[str, str]]:
        """Return the look-ups of handoffs that were made, to be written with them."""
        made = [handoff_id for handoff_id in after.handoffs if handoff_id not in before.handoffs]
        pairs = [self._lookups.handoff_lookups(who, one, self._secrets.token(one)) for one in made]
        return [pair for both in pairs for pair in both]

    async def led(self, who: Who, told: Sequence[Event]) -> dict[str, str]:
        """Return, of reports that name only their call, in which interaction that was heard of last, by event id."""
        led = dict[str, str]()
        for event in told:
            if event.interaction_id is None and _names(event):
                ref = Ref.model_validate(event.data["ref"])
                found = await self._lookups.called(who.tenant, ref.system, ref.kind, ref.id)
                led |= {} if found is None else {event.event_id: found[1]}
        return led

    async def name(self, who: Who, told: Sequence[Event], context: Context) -> None:
        """Let the names that reports used lead to their interactions; may be repeated."""
        named = [Ref.model_validate(event.data["ref"]) for event in told if _names(event)]
        for interaction in context.interactions.values() if named else ():
            mine = [(ref.system, ref.kind, ref.id) for ref in dict.fromkeys(named) if ref in interaction.refs]
            if mine:
                await self._lookups.set_refs(who.tenant, mine, who.customer_id, interaction.interaction_id)


def _names(event: Event) -> bool:
    """Tell whether a report says what its call is called elsewhere."""
    return event.type.startswith(("call.", "recording.")) and bool(event.data.get("ref"))
