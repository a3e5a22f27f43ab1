"""The steps of a call: what the caller did is understood, told to the hub, and answered with what comes next."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property

import structlog

from ctxhub.client import (
    AssuranceClaim,
    HandoffView,
    Hook,
    HookFailed,
    Identifier,
    Invalid,
    JourneyView,
    Lapsed,
    Refused,
    Started,
    TooMany,
    Unknown,
)
from ctxhub_ivr import menu
from ctxhub_ivr.asking import Asking
from ctxhub_ivr.hearing import Hearing, journey_of
from ctxhub_ivr.hooks import PinAnswer
from ctxhub_ivr.leaving import Leaving
from ctxhub_ivr.translate import PIN_TRIES, State, Teller, is_code, start_of

log = structlog.get_logger()

_MOST_REPEATS = 2
#: Of what leads to a customer, what can be keyed in.
_KEYABLE = ("account", "card", "code")
#: Writes a page for a state, with some sentences to open it.
_Page = Callable[[State, list[str]], bytes]
_TALKED = {"completed", "answered", "bridged"}
#: How a handoff ends whose call went on with somebody else, and may be ours again.
_GIVEN_ON = ("returned", "transferred")


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
        if started.place is not None:
            return self._to_the_place(started.place)
        if self._call.token is None or started.handoff_problem is not None:
            return self._first()
        return await self._welcome_back(started)

    async def begin(self) -> bytes:
        """Take the first key: go on where a call was cut off, take up what a dialled code stands for, or the menu."""
        digits = self._call.digits
        if is_code(digits) and self._expects_code and not self._hearing.is_alone:
            return await self._by_code(digits)
        if digits == "1" and self._pages.channel.continuation and not self._hearing.is_alone:
            return await self._go_on()
        return self._pages.menu(self._state.next())

    async def wait(self) -> bytes:
        """Let the caller wait on; on two, with a link to the chat."""
        state = self._state.next(handoff=self._state.handoff, journeys=self._state.journeys, again=1)
        if self._call.digits == "2" and state.handoff is not None and not self._hearing.is_alone:
            return await self._leaving.from_the_queue(state, state.handoff)
        return self._pages.wait(state, [] if self._state.again else self._pages.says("wait_choice"))

    async def menu(self) -> bytes:
        """Take the choice in the menu."""
        pages, state = self._pages, self._state
        kind = menu.chosen_kind(self._call, pages.tenant, state.page, pages.language)
        if kind is not None:
            return await self._asking.choose(await self._hearing.started(), kind)
        command = menu.menu_command(self._call)
        if command == "pin" and self._hearing.pin_hook and state.tries < PIN_TRIES:
            return await self._who_or_pin()
        if command == "next":
            return pages.menu(state.next(page=state.page % menu.pages(pages.tenant) + 1))
        return await self._aside(command) or await self._once_more(pages.menu)

    async def who(self) -> bytes:
        """Take by what it is to be found out who calls; the number calling is not guessed by."""
        started, state, digits = await self._hearing.started(), self._state, self._call.digits
        ways = self._ways(started)
        if not ways or state.page > len(ways):
            return self._pages.menu(state.next())
        if digits == "0":
            return await self._leaving.to_a_human()
        if "*" in digits:
            return self._next_way(ways)
        way = ways[state.page - 1]
        if not digits:
            return await self._once_more(lambda state, opening: self._pages.who(state, way, opening))
        if way == "code":
            return await self._by_code(digits, "pin_wrong")
        await self._claim(started, Identifier(type=way, value=digits))
        return self._pages.pin(state.next())

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
            answer = await self._check_pin(hook, digits, await self._claimed())
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
        if handoff.state in _GIVEN_ON:
            back = await self._given_back(handoff)
            if back is not None:
                return await self._back(back)
        if talked or self._call.outcome == "hangup":
            return self._pages.goodbye()
        with suppress(Refused):  # it has ended otherwise, which is as good
            await self._hearing.hub.handoffs.cancel(handoff.handoff_id)
        return self._pages.menu(self._state.next(), self._pages.says("nobody"))

    async def callback(self) -> bytes:
        """Take whether the caller wants to be called back; who wants something else waits on."""
        wants = self._call.digits == "1" or menu.done_command(self._call) == "yes"
        if wants and not self._hearing.is_alone:
            return await self._leaving.by_a_callback()
        return await self._leaving.to_a_human()

    async def to_colleagues(self) -> bytes:
        """Bring the caller to those who are at work on the journey already."""
        return await self._leaving.to_a_human("colleague_at_work")

    @cached_property
    def _asking(self) -> Asking:
        return Asking(self._hearing)

    @cached_property
    def _leaving(self) -> Leaving:
        return Leaving(self._hearing)

    @property
    def _expects_code(self) -> bool:
        """Tell whether the number called is the one behind which codes are dialled."""
        dial = self._pages.tenant.dial
        return dial is not None and self._call.called == dial.number

    def _first(self) -> bytes:
        """Begin with what every caller of this number hears, whoever it is."""
        if self._pages.channel.continuation or self._expects_code:
            return self._pages.begin(self._state.next(), self._expects_code)
        return self._pages.menu(self._state.next(), self._pages.says("welcome"))

    async def _go_on(self) -> bytes:
        """Give a caller who was cut off the place back; for all others there is nothing to go on with."""
        started = await self._hearing.started()
        at = started.interaction.interaction_id
        found = await self._hearing.hub.interactions.go_on(started.customer_id, at)
        if found.handoff is None:
            return self._pages.menu(self._state.next(), self._pages.says("nothing_to_go_on"))
        return self._to_the_place(found.handoff)

    def _to_the_place(self, handoff: HandoffView) -> bytes:
        """Bring the caller to where he waits already."""
        return self._pages.queue(self._state.next(handoff=handoff.handoff_id), handoff)

    async def _by_code(self, code: str, wrong: str = "nothing_to_go_on") -> bytes:
        """Take up what a code stands for; one that is none is answered as `wrong`."""
        start = start_of(self._call, self._pages.language)
        try:
            started = await self._hearing.hub.handoffs.redeem(start, code=code)
        except (Refused, Unknown, Lapsed, Invalid, TooMany):
            return self._pages.menu(self._state.next(), self._pages.says(wrong))
        if started.place is not None:
            return self._to_the_place(started.place)
        return await self._welcome_back(started)

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

    def _ways(self, started: Started) -> list[str]:
        """Return by what it can be found out who calls, as far as keys can tell it; none where nothing is declared.

        It is the tenant's, and so the same whoever calls: what is asked tells nobody whether a number is known.
        """
        declared = self._pages.tenant.identifiers.types
        return [way for way in started.find_out if way in _KEYABLE] if declared else []

    async def _who_or_pin(self) -> bytes:
        """Ask who it is before asking for the PIN, where the tenant says how that is found out."""
        ways = self._ways(await self._hearing.started())
        return self._pages.who(self._state.next(), ways[0]) if ways else self._pages.pin(self._state.next())

    def _next_way(self, ways: list[str]) -> bytes:
        """Ask by the next way; behind the last one there is the menu."""
        page = self._state.page + 1
        if page > len(ways):
            return self._pages.menu(self._state.next())
        return self._pages.who(self._state.next(page=page), ways[page - 1])

    async def _claim(self, started: Started, identifier: Identifier) -> None:
        """Let the call be that of whom an identifier leads to, as a claim; nobody learns whether there is one."""
        claim = AssuranceClaim(level=1, method=identifier.type)
        await self._hearing.hub.interactions.identify(
            started.customer_id, started.interaction.interaction_id, identifiers=[identifier], assurance=claim
        )

    async def _claimed(self) -> str | None:
        """Return whose PIN it must be, where the caller was asked who it is."""
        if not self._pages.tenant.identifiers.types:
            return None
        started = await self._hearing.started()
        return started.customer_id if self._ways(started) else None

    async def _check_pin(self, hook: Hook, pin: str, claimed: str | None) -> PinAnswer:
        """Have the tenant check a PIN; a repeated webhook asks under the same message id."""
        call = self._call
        message_id = call.operation(self._state.n, "pin")
        return await self._hearing.hooks.check_pin(
            hook, message_id, call_sid=call.call_sid, phone=call.phone, pin=pin, claimed=claimed
        )

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

    async def _given_back(self, handoff: HandoffView) -> HandoffView | None:
        """Return the handoff by which we have the call again, whoever had it in between; None where we don't."""
        shown = (await self._hearing.started()).context.handoffs
        ours = [one for one in shown if one.state == "accepted" and one.to.bot is not None]
        return ours[-1] if ours else handoff if handoff.state == "returned" else None

    async def _back(self, handoff: HandoffView) -> bytes:
        """Go on where a human gave the call back to us."""
        started = await self._hearing.started()
        opening = [handoff.say] if handoff.say else self._pages.says("back")
        journey = journey_of(started, handoff.journey_id or started.interaction.journey_id)
        if journey is None:
            return self._pages.menu(self._state.next(), opening)
        return await self._asking.enter(started, journey, opening)
