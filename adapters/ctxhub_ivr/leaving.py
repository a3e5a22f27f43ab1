"""Ways out of the menu: to a human in the queue, and by a link to the chat; both with all that was said."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from ctxhub.client import AlreadyOffered, HandoffView, Started, Target
from ctxhub_ivr.hearing import Hearing
from ctxhub_ivr.hooks import HookFailed
from ctxhub_ivr.pages import Link
from ctxhub_ivr.translate import offer_to

log = structlog.get_logger()

_WAITS_FOR_A_HUMAN = 3600
_LINK_LASTS = 3600


@dataclass(frozen=True)
class Leaving:
    """How the caller leaves the menu in one webhook."""

    hearing: Hearing

    async def to_a_human(self, reason: str = "asked_for_a_human", *, tries: int | None = None) -> bytes:
        """Offer the call to the queue and bring the caller there with the token."""
        state, pages = self.hearing.state, self.hearing.pages
        started = await self.hearing.started()
        if self.hearing.is_alone:
            await self.hearing.tell(started, self.hearing.teller(started).sent_on(reason))
            return pages.degraded(state.next())
        handoff = await self._offer(started, Target(queue=pages.channel.queue), reason, _WAITS_FOR_A_HUMAN)
        tries = state.tries if tries is None else tries
        after = state.next(handoff=handoff.handoff_id, journeys=state.journeys, tries=tries)
        return pages.queue(after, handoff)

    async def to_the_chat(self) -> bytes:
        """Send a link that goes on in the chat."""
        hearing, pages = self.hearing, self.hearing.pages
        state = hearing.state.next(journeys=hearing.state.journeys)
        if hearing.call.phone is None:
            return pages.done(state, pages.says("link_failed"))
        started = await hearing.started()
        handoff = await self._offer(started, Target(channel="chat"), "go_on_in_chat", _LINK_LASTS)
        address = self._address_of(handoff)
        [text] = pages.says("sms", link=address)
        try:
            await self._send(started, handoff, hearing.call.phone, address, text)
        except HookFailed as error:
            log.warning("ivr.hook_failed", hook="sms", call=hearing.call.call_sid, reason=str(error))
            return pages.done(state, [*pages.says("link_failed"), *self._code(handoff)])
        link = Link(text, hearing.call.phone, within_call=hearing.sms_hook is None)
        return pages.done(state, [*pages.says("link_sent"), *self._code(handoff)], link)

    async def _offer(self, started: Started, target: Target, reason: str, expires_in: int) -> HandoffView:
        """Offer the call; an offer made before, such as a link that was not followed, gives way."""
        hearing, interaction = self.hearing, started.interaction
        journey_id = hearing.state.journey or interaction.journey_id
        request = offer_to(target, started.customer_id, interaction.interaction_id, journey_id, reason, expires_in)
        key = hearing.call.operation(hearing.state.n, "offer", reason)
        try:
            return (await hearing.hub.handoffs.offer(request, key=key)).handoff
        except AlreadyOffered:
            await self._cancel_offers(started)
            return (await hearing.hub.handoffs.offer(request, key=key)).handoff

    async def _cancel_offers(self, started: Started) -> None:
        """Take back what this call offered before."""
        interaction_id = started.interaction.interaction_id
        for handoff in started.context.handoffs:
            if handoff.interaction_id == interaction_id and handoff.state == "offered":
                await self.hearing.hub.handoffs.cancel(handoff.handoff_id)

    async def _send(self, started: Started, handoff: HandoffView, to: str, address: str, text: str) -> None:
        """Have the tenant's system send the link, if it has one, and not again when the webhook is repeated."""
        hearing = self.hearing
        sent = hearing.teller(started).link_sent(handoff.handoff_id)
        is_repeated = any(event.event_id == sent.event_id for event in started.context.recent)
        if hearing.sms_hook is None or is_repeated:
            return
        message_id = hearing.call.operation(hearing.state.n, "sms")
        await hearing.hooks.send_sms(hearing.sms_hook, message_id, to=to, link=address, text=text)
        await hearing.tell(started, sent)

    def _address_of(self, handoff: HandoffView) -> str:
        """Return where the link leads; the token stands behind the #, which no log gets to see."""
        page = self.hearing.pages.channel.chat_link
        return f"{page}#{handoff.token}" if page else str(handoff.link)

    def _code(self, handoff: HandoffView) -> list[str]:
        """Say the code, for telephones that take no text messages."""
        page = self.hearing.pages.channel.chat_link
        if not page or not handoff.code:
            return []
        return self.hearing.pages.says("code", address=page.partition("://")[2], code=" ".join(handoff.code))
