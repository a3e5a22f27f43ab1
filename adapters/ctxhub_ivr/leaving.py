"""Ways out of the menu: to a human in the queue, and by a link to the chat; both with all that was said."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import structlog

from ctxhub.client import AlreadyOffered, HandoffView, HookFailed, Invalid, Offered, Refused, Started, Target
from ctxhub_ivr.hearing import Hearing
from ctxhub_ivr.pages import Link
from ctxhub_ivr.translate import State, call_back, offer_to

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
        offered = await self._offer(started, Target(queue=pages.channel.queue), reason, _WAITS_FOR_A_HUMAN)
        handoff = offered.handoff
        tries = state.tries if tries is None else tries
        after = state.next(handoff=handoff.handoff_id, journeys=state.journeys, tries=tries)
        if offered.queue is not None and not offered.queue.open:
            return pages.closed(after, handoff, offered.queue)
        return pages.queue(after, handoff)

    async def by_a_callback(self) -> bytes:
        """Promise to call this number in the window that the queue can keep, instead of letting the caller wait."""
        hearing, pages, queue = self.hearing, self.hearing.pages, self.hearing.pages.channel.queue
        state = hearing.state.next(journeys=hearing.state.journeys)
        started = await hearing.started()
        shown = await hearing.hub.queues.show(queue)
        window = next((one for one in shown.alternatives if one.kind == "callback"), None)
        if window is None or hearing.call.phone is None:
            return pages.done(state, pages.says("callback_not"))
        journey_id = hearing.state.journey or started.interaction.journey_id
        request = call_back(queue, window, hearing.call.phone, started, journey_id)
        try:
            key = hearing.call.operation(hearing.state.n, "callback")
            promised = (await hearing.hub.handoffs.offer(request, key=key)).handoff.callback
        except (Invalid, Refused):
            promised = None
        if promised is None:
            return pages.done(state, pages.says("callback_not"))
        if hearing.state.handoff is not None:
            with suppress(Refused):  # it has ended otherwise, which is as good
                await hearing.hub.handoffs.cancel(hearing.state.handoff)
        return pages.done(state, pages.says("callback_promised", when=pages.said_at(promised.from_, queue)))

    async def to_the_chat(self) -> bytes:
        """Send a link that goes on in the chat."""
        hearing, pages = self.hearing, self.hearing.pages
        state = hearing.state.next(journeys=hearing.state.journeys)
        if hearing.call.phone is None:
            return pages.done(state, pages.says("link_failed"))
        started = await hearing.started()
        handoff = (await self._offer(started, Target(channel="chat"), "go_on_in_chat", _LINK_LASTS)).handoff
        address = self._address_of(handoff)
        [text] = pages.says("sms", link=address)
        try:
            await self._send(started, handoff, hearing.call.phone, address, text)
        except HookFailed as error:
            log.warning("ivr.hook_failed", hook="sms", call=hearing.call.call_sid, reason=str(error))
            return pages.done(state, [*pages.says("link_failed"), *self._code(handoff)])
        link = Link(text, hearing.call.phone, within_call=hearing.sms_hook is None)
        return pages.done(state, [*pages.says("link_sent"), *self._code(handoff)], link)

    async def from_the_queue(self, state: State, handoff_id: str) -> bytes:
        """Send a caller who waits a link to the chat, and say whether the place goes along."""
        hearing, pages = self.hearing, self.hearing.pages
        if hearing.call.phone is None:
            return pages.wait(state, pages.says("link_failed"))
        started, key = await hearing.started(), hearing.call.operation(hearing.state.n, "elsewhere")
        try:
            offered = await hearing.hub.handoffs.elsewhere(handoff_id, "chat", expires_in=_LINK_LASTS, key=key)
        except Refused:  # somebody has answered, or the customer went on already
            return pages.wait(state, [])
        handoff = offered.handoff
        address = self._address_of(handoff)
        [text] = pages.says("sms", link=address)
        try:
            await self._send(started, handoff, hearing.call.phone, address, text)
        except HookFailed as error:
            log.warning("ivr.hook_failed", hook="sms", call=hearing.call.call_sid, reason=str(error))
            return pages.wait(state, pages.says("link_failed"))
        link = Link(text, hearing.call.phone, within_call=hearing.sms_hook is None)
        place = pages.says("place_kept" if handoff.place_kept else "place_not_kept")
        return pages.wait_with_link(state, [*pages.says("link_sent"), *place], link)

    async def _offer(self, started: Started, target: Target, reason: str, expires_in: int) -> Offered:
        """Offer the call; an offer made before, such as a link that was not followed, gives way."""
        hearing, interaction = self.hearing, started.interaction
        journey_id = hearing.state.journey or interaction.journey_id
        request = offer_to(target, started.customer_id, interaction.interaction_id, journey_id, reason, expires_in)
        key = hearing.call.operation(hearing.state.n, "offer", reason)
        try:
            return await hearing.hub.handoffs.offer(request, key=key)
        except AlreadyOffered:
            await self._cancel_offers(started)
            return await hearing.hub.handoffs.offer(request, key=key)

    async def _cancel_offers(self, started: Started) -> None:
        """Take back what this call offered before."""
        interaction_id = started.interaction.interaction_id
        for handoff in started.context.handoffs:
            if handoff.interaction_id == interaction_id and handoff.state == "offered" and handoff.kind == "live":
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
