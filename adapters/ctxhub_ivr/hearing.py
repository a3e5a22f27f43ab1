"""What one webhook of a call works with: what was heard, where the call stands, and the hub that knows the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ctxhub.client import Answer, ContextHub, Hook, JourneyView, Kind, Secure, Started, Telling
from ctxhub_ivr.hooks import Hooks
from ctxhub_ivr.pages import Pages
from ctxhub_ivr.translate import Call, State, Teller, start_of


@dataclass(frozen=True)
class Hearing:
    """One webhook of a call. Nothing is kept here: each finds the call again by its CallSid."""

    hub: ContextHub
    hooks: Hooks
    pages: Pages
    call: Call
    state: State
    pin_hook: Hook | None = None
    sms_hook: Hook | None = None
    secure: Mapping[str, Secure] = field(default_factory=dict)

    @property
    def is_alone(self) -> bool:
        """Tell whether there is no hub to ask."""
        return False

    async def started(self, *, with_token: bool = False) -> Started:
        """Find the call, or begin it, with all that may be known in it now."""
        return await self.hub.interactions.start(start_of(self.call, self.pages.language, with_token=with_token))

    async def tell(self, started: Started, *events: Telling) -> None:
        """Tell the hub what happened; what was told before by the same webhook counts once."""
        await self.hub.events.tell(started.customer_id, *events)

    async def may_i_ask(self, started: Started, journey: JourneyView, names: list[str]) -> list[Answer]:
        """Ask the hub before asking the caller."""
        return await self.hub.asks.may_i_ask(
            started.customer_id, started.interaction.interaction_id, names, journey_id=journey.journey_id
        )

    def teller(self, started: Started, journey: JourneyView | None = None) -> Teller:
        """Return who makes this webhook's events."""
        journey_id = journey.journey_id if journey else None
        return Teller(self.call, self.state.n, started.interaction.interaction_id, journey_id)

    def kind(self, journey: JourneyView) -> Kind:
        """Return what the tenant declares about a journey's kind."""
        return self.pages.tenant.kind(journey.kind)


def journey_of(started: Started, journey_id: str | None) -> JourneyView | None:
    """Find an open journey that is in the call's sight."""
    return next((journey for journey in started.context.journeys if journey.journey_id == journey_id), None)
