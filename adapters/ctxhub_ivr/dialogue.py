"""The steps of a call: what the caller did is understood, told to the hub, and answered with what comes next."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property

import structlog

from ctxhub.client import AssuranceClaim, HandoffView, JourneyView, Refused, Started
from ctxhub_ivr import menu
from ctxhub_ivr.asking import Asking
from ctxhub_ivr.hearing import Hearing, journey_of
from ctxhub_ivr.hooks import HookFailed, PinAnswer
from ctxhub_ivr.leaving import Leaving
from ctxhub_ivr.settings import Hook
from ctxhub_ivr.translate import PIN_TRIES, State, Teller

log = structlog.get_logger()

_MOST_REPEATS = 2
#: Writes a page for a state, with some sentences to open it.
_Page = Callable[[State, list[str]], bytes]
_TALKED = {"completed", "answered", "bridged"}


class Dialogue:
    """One webhook's work; each public method is a step and returns the document to answer with."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing
        self._call, self._state, self._pages = hearing.call, hearing.state, hearing.pages

    async def voice(self) -> bytes:
        """Begin: a mere number gets the neutral menu, a token takes up what it stands for."""
        started = await self._hearing.started(with_token=True)
        if started.interaction.state == "ended":
            return self._pages.goodbye()
        if self._call.token is None or started.handoff_problem is not None:
            return self._pages.menu(self._state.next(), self._pages.says("welcome"))
        return await self._welcome_back(started)

    async def menu(self) -> bytes:
        """Take the choice in the menu."""
        pages, state = self._pages, self._state
        kind = menu.chosen_kind(self._call, pages.tenant, state.page, pages.language)
        if kind is not None:
            return await self._asking.choose(await self._hearing.started(), kind)
        command = menu.menu_command(self._call)
        if command == "pin" and self._hearing.pin_hook and state.tries < PIN_TRIES:
            return pages.pin(state.next())
        if command == "next":
            return pages.menu(state.next(page=state.page % menu.pages(pages.tenant) + 1))
        return await self._aside(command) or await self._once_more(pages.menu)

    async def pin(self) -> bytes:
        """Have the PIN checked; three wrong ones lead to a human."""
        hook, digits = self._hearing.pin_hook, self._call.digits
        if hook is None or self._state.tries >= PIN_TRIES or "*" in digits:
            return self._pages.menu(self._state.next())
        if digits == "0":
            return await self._leaving.to_a_human()
        if not digits:
            return await self._once_more(self._pages.pin)
        try:
            answer = await self._check_pin(hook, digits)
        except HookFailed as error:
            log.warning("ivr.hook_failed", hook="pin", call=self._call.call_sid, reason=str(error))
            return self._pages.menu(self._state.next(), self._pages.says("pin_away"))
        return await self._verified(answer) if answer.ok else await self._pin_refused()

    async def resume(self) -> bytes:
        """Go on with one of the journeys that were offered, or with something else."""
        started = await self._hearing.started()
        complaint = menu.complaint(self._call, self._pages.tenant)
        if complaint is not None:
            return await self._asking.choose(started, complaint)
        journeys = [found for id_ in self._state.journeys if (found := journey_of(started, id_))]
        kinds = [self._hearing.kind(journey) for journey in journeys]
        chosen = menu.chosen_journey(self._call, kinds, self._pages.language)
        if chosen is not None:
            return await self._asking.enter(started, journeys[chosen])
        command = menu.resume_command(self._call)
        if command in ("other", "no", "menu"):
            await self._decline(started, journeys)
            return self._pages.menu(self._state.next())
        aside = await self._aside(command)
        return aside or await self._once_more(lambda state, opening: self._pages.resume(state, opening, kinds))

    async def fact(self) -> bytes:
        """Take the answer to a question."""
        started = await self._hearing.started()
        journey, name = journey_of(started, self._state.journey), self._state.fact
        if journey is None or name is None:
            return self._pages.menu(self._state.next())
        confirms = self._state.confirms
        command = menu.confirm_command(self._call) if confirms else menu.fact_command(self._call)
        if command == "later":
            return await self._asking.pass_over(started, journey, name)
        aside = await self._aside(command)
        if aside is not None:
            return aside
        if confirms:
            return await self._asking.take_confirmation(started, journey, name, command)
        return await self._asking.take_answer(started, journey, name)

    async def done(self) -> bytes:
        """Take the answer to whether there is anything else."""
        complaint = menu.complaint(self._call, self._pages.tenant)
        if complaint is not None:
            return await self._asking.choose(await self._hearing.started(), complaint)
        command = menu.done_command(self._call)
        if command == "yes":
            return self._pages.menu(self._state.next())
        if command == "no" or (command is None and self._state.again >= _MOST_REPEATS):
            return self._pages.goodbye()
        return await self._aside(command) or await self._once_more(self._pages.done)

    async def queue(self) -> bytes:
        """Go on after the queue: the human is through with the call, gave it back to us, or nobody was there."""
        talked = self._call.outcome in _TALKED
        if self._state.handoff is None or self._hearing.is_alone:
            return self._pages.goodbye([] if talked else self._pages.says("nobody"))
        handoff = await self._hearing.hub.handoffs.get(self._state.handoff)
        if handoff.state == "returned":
            return await self._back(handoff)
        if talked or self._call.outcome == "hangup":
            return self._pages.goodbye()
        with suppress(Refused):  # it has ended otherwise, which is as good
            await self._hearing.hub.handoffs.cancel(handoff.handoff_id)
        return self._pages.menu(self._state.next(), self._pages.says("nobody"))

    async def to_colleagues(self) -> bytes:
        """Bring the caller to those who are at work on the journey already."""
        return await self._leaving.to_a_human("colleague_at_work")

    @cached_property
    def _asking(self) -> Asking:
        return Asking(self._hearing)

    @cached_property
    def _leaving(self) -> Leaving:
        return Leaving(self._hearing)

    async def _aside(self, command: str | None) -> bytes | None:
        """Do what can be asked for anywhere: a human, the menu, a link; None if it was none of these."""
        if command == "human":
            return await self._leaving.to_a_human()
        if command == "menu":
            return self._pages.menu(self._state.next())
        if command == "link" and self._pages.has_link:
            return await self._leaving.to_the_chat()
        return None

    async def _once_more(self, page: _Page) -> bytes:
        """Say the same again; who is not understood time and again gets a human."""
        if self._state.again >= _MOST_REPEATS:
            return await self._leaving.to_a_human("not_understood")
        return page(self._state.once_more(), self._pages.says("not_understood"))

    async def _welcome_back(self, started: Started) -> bytes:
        """Take up what a token stands for: its journey at once, else what else there is to resume."""
        opening = self._pages.says("welcome_back")
        handed = journey_of(started, started.interaction.journey_id)
        if handed is None:
            return self._offer_to_resume(started, opening)
        return await self._asking.enter(started, handed, [*opening, *self._asking.known_elsewhere(started, handed)])

    def _offer_to_resume(self, started: Started, opening: list[str]) -> bytes:
        """Say what is known and offer the journeys that are under way, best first."""
        offers = started.resume[: menu.MOST_RESUMED]
        lines = [*opening, *self._asking.known_elsewhere(started)]
        if not offers:
            return self._pages.menu(self._state.next(), lines)
        state = self._state.next(journeys=tuple(offer.journey_id for offer in offers))
        return self._pages.resume(state, lines, [self._hearing.kind(offer) for offer in offers])

    async def _check_pin(self, hook: Hook, pin: str) -> PinAnswer:
        """Have the tenant check a PIN; a repeated webhook asks under the same message id."""
        call = self._call
        message_id = call.operation(self._state.n, "pin")
        return await self._hearing.hooks.check_pin(hook, message_id, call_sid=call.call_sid, phone=call.phone, pin=pin)

    async def _verified(self, answer: PinAnswer) -> bytes:
        """Know the caller by the PIN, as whom the tenant says, and offer to go on."""
        started = await self._hearing.started()
        customer_id, interaction_id = started.customer_id, started.interaction.interaction_id
        if answer.customer_id and answer.customer_id != customer_id:
            claim = AssuranceClaim(level=answer.level, method="pin")
            identify = self._hearing.hub.interactions.identify
            moved = await identify(customer_id, interaction_id, to=answer.customer_id, assurance=claim)
            customer_id, interaction_id = moved.customer_id, moved.interaction.interaction_id
        raised = Teller(self._call, self._state.n, interaction_id).raised(answer.level)
        await self._hearing.hub.events.tell(customer_id, raised)
        return self._offer_to_resume(await self._hearing.started(), self._pages.says("thanks"))

    async def _pin_refused(self) -> bytes:
        """Let the caller try again; after the last try a human takes over, and is warned."""
        tries = self._state.tries + 1
        if tries < PIN_TRIES:
            return self._pages.pin(self._state.next(tries=tries), self._pages.says("pin_wrong"))
        started = await self._hearing.started()
        await self._hearing.tell(started, self._hearing.teller(started).pin_refused())
        return await self._leaving.to_a_human("pin_refused", tries=tries)

    async def _decline(self, started: Started, journeys: list[JourneyView]) -> None:
        """Note that the caller wants something else than what was offered."""
        if journeys:
            declined = [self._hearing.teller(started, journey).declined() for journey in journeys]
            await self._hearing.tell(started, *declined)

    async def _back(self, handoff: HandoffView) -> bytes:
        """Go on where a human gave the call back to us."""
        started, opening = await self._hearing.started(), self._pages.says("back")
        journey = journey_of(started, handoff.journey_id or started.interaction.journey_id)
        if journey is None:
            return self._pages.menu(self._state.next(), opening)
        return await self._asking.enter(started, journey, opening)
