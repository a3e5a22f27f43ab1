"""Journeys on the telephone: begun or taken up, one question for each fact that is missing and none for a known one."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from ctxhub.client import (
    Answer,
    AssuranceClaim,
    HookFailed,
    JourneyView,
    Kind,
    Secure,
    SecureAnswer,
    Started,
    Telling,
)
from ctxhub_ivr.hearing import Hearing
from ctxhub_ivr.questions import (
    Known,
    Question,
    is_all_known,
    known_among,
    next_question,
    open_behind,
    open_journey,
    step_of,
    told_about,
)
from ctxhub_ivr.say import Command
from ctxhub_ivr.translate import SURE_ENOUGH, State, mark_of

log = structlog.get_logger()

_MOST_LINES = 40


@dataclass(frozen=True)
class Asking:
    """What is asked and told about journeys in one webhook."""

    hearing: Hearing

    async def choose(self, started: Started, kind: Kind) -> bytes:
        """Begin a journey of a kind, or go on with the one under way."""
        hearing = self.hearing
        under_way = open_journey(started.context, kind.kind, started.interaction.journey_id)
        if under_way is not None:
            return await self.enter(started, under_way)
        begun = JourneyView(
            journey_id=hearing.call.journey_id(hearing.state.n),
            kind=kind.kind,
            state="active",
            step=kind.steps[0].step if kind.steps else None,
            updated_at=started.interaction.started_at,
        )
        await hearing.tell(started, hearing.teller(started, begun).begun(kind.kind))
        return await self._open(started, begun, [])

    async def enter(self, started: Started, journey: JourneyView, opening: list[str] | None = None) -> bytes:
        """Take up a journey where it stands."""
        if journey.state != "active" or journey.journey_id != started.interaction.journey_id:
            await self.hearing.tell(started, self.hearing.teller(started, journey).resumed())
        return await self._open(started, journey, opening or [])

    async def pass_over(self, started: Started, journey: JourneyView, name: str) -> bytes:
        """Leave a fact for later and go on behind it."""
        return await self._go_on_behind(started, journey, name)

    async def take_answer(self, started: Started, journey: JourneyView, name: str) -> bytes:
        """Keep an answer; an unclear one is asked for again once, then left for later."""
        hearing = self.hearing
        if hearing.call.is_unclear:
            return await self._unclear(started, journey, Question(name))
        if name in hearing.secure:
            return await self._take_secret(started, journey, name, hearing.secure[name])
        await hearing.tell(started, *hearing.teller(started, journey).answer(name))
        answers = await self._answers(started, journey)
        question = next_question(answers, name, inclusive=hearing.call.sureness < SURE_ENOUGH)
        return await self._go_on(started, journey, answers, question)

    async def _take_secret(self, started: Started, journey: JourneyView, name: str, secure: Secure) -> bytes:
        """Have an answer checked that goes nowhere else; only its result is told."""
        answer = await self._checked(name, secure)
        if answer is None:
            return await self.pass_over(started, journey, name)
        here, accepted = started, answer.outcome == "accepted"
        if accepted:
            here = await self._identified(started, answer, secure)
        await self.hearing.tell(here, *self.hearing.teller(here, journey).checked(name, answer.result))
        if not accepted:
            return await self._unclear(started, journey, Question(name))
        return await self._go_on_behind(here, journey, name)

    async def _checked(self, name: str, secure: Secure) -> SecureAnswer | None:
        """Return what the tenant says about what was keyed; None where nobody can tell."""
        call, state = self.hearing.call, self.hearing.state
        if secure.hook is None or not call.digits:
            log.warning("ivr.secret_not_taken", prompt=name, call=call.call_sid)
            return None
        try:
            return await self.hearing.hooks.check_secure(
                secure.hook, call.operation(state.n, "secure", name), call_sid=call.call_sid, phone=call.phone,
                prompt=name, kind=secure.kind, keyed=call.digits,
            )  # fmt: skip
        except HookFailed as error:
            log.warning("ivr.hook_failed", hook="secure", prompt=name, call=call.call_sid, reason=str(error))
            return None

    async def _identified(self, started: Started, answer: SecureAnswer, secure: Secure) -> Started:
        """Know the caller as whom the tenant says; by a PIN or a code surely, by a card number as a claim."""
        hearing = self.hearing
        if hearing.is_alone:
            return started
        if answer.customer_id and answer.customer_id != started.customer_id:
            claim = AssuranceClaim(level=1 if secure.kind == "pan" else 2, method=secure.kind)
            place = started.interaction.interaction_id
            await hearing.hub.interactions.identify(
                started.customer_id, place, to=answer.customer_id, assurance=claim
            )  # fmt: skip
            started = await hearing.started()
        if secure.kind != "pan":
            await hearing.tell(started, hearing.teller(started).raised(2, secure.kind))
        return started

    async def _go_on_behind(self, started: Started, journey: JourneyView, name: str) -> bytes:
        """Go on behind a fact that is known now."""
        answers = await self._answers(started, journey)
        return await self._go_on(started, journey, answers, next_question(answers, name))

    async def take_confirmation(self, started: Started, journey: JourneyView, name: str, said: Command | None) -> bytes:
        """Keep whether a value is right; a wrong one is asked for, one that has changed meanwhile is read out again."""
        hearing = self.hearing
        [answer] = await hearing.may_i_ask(started, journey, [name])
        question = Question(name, confirms=answer.verdict in ("known", "confirm"), value=answer.value)
        if said not in ("yes", "no"):
            return await self._unclear(started, journey, question)
        if question.confirms and mark_of(answer.value) != hearing.state.mark:
            return self._page_of(question, self._state_in(journey), [])
        if question.confirms and said == "yes":
            await hearing.tell(started, *hearing.teller(started, journey).confirmed(name, answer.value))
            return await self.pass_over(started, journey, name)
        return await self._ask_instead(started, journey, question)

    def known_elsewhere(self, started: Started, besides: JourneyView | None = None) -> list[str]:
        """Say what is known about the customer, and about the open journeys besides one, the latest last."""
        pages = self.hearing.pages
        lines = pages.known(told_about(started.context, None))
        others = [journey for journey in started.context.journeys if journey is not besides]
        for journey in sorted(others, key=lambda journey: journey.updated_at):
            kind = self.hearing.kind(journey)
            facts = told_about(started.context, journey.journey_id, kind)
            lines += [*pages.about(kind), *pages.known(facts)] if facts else []
        return lines[-_MOST_LINES:]

    async def _open(self, started: Started, journey: JourneyView, opening: list[str]) -> bytes:
        """Say what a journey is about and what it has, and ask for the first thing that it has not."""
        pages, kind = self.hearing.pages, self.hearing.kind(journey)
        answers = await self._answers(started, journey)
        question = next_question(answers)
        lines = [*opening, *pages.about(kind), *pages.known(self._known(started, journey, answers))]
        if question is None:
            return self._rest(journey, answers, lines)
        step = step_of(kind, question.name)
        at_step = pages.at_step(step.say) if step else []
        return await self._ask(started, journey, question, [*lines, *at_step, *pages.keys()], answers)

    async def _go_on(
        self, started: Started, journey: JourneyView, answers: list[Answer], question: Question | None
    ) -> bytes:
        """Ask the next question; when there is none, say what was noted."""
        if question is None:
            noted = self.hearing.pages.known(self._known(started, journey, answers), "noted")
            return self._rest(journey, answers, noted)
        return await self._ask(started, journey, question, [], answers)

    async def _ask(
        self,
        started: Started,
        journey: JourneyView,
        question: Question,
        lines: list[str],
        answers: list[Answer],
    ) -> bytes:
        """Ask a question, and tell that it is asked."""
        await self.hearing.tell(started, *self._asking(started, journey, question))
        return self._page_of(question, self._state_in(journey, open_behind(answers, question.name)), lines)

    def _rest(self, journey: JourneyView, answers: list[Answer], lines: list[str]) -> bytes:
        """Let a journey rest that has nothing to ask just now."""
        pages = self.hearing.pages
        ending = pages.says("all_noted" if is_all_known(answers) else "some_left")
        return pages.done(self._state_in(journey), [*lines, *ending])

    async def _unclear(self, started: Started, journey: JourneyView, question: Question) -> bytes:
        """Ask the same again once, then leave it for later."""
        state, pages = self.hearing.state, self.hearing.pages
        if state.again:
            return await self.pass_over(started, journey, question.name)
        return self._page_of(question, state.once_more(), pages.says("not_understood"))

    async def _ask_instead(self, started: Started, journey: JourneyView, question: Question) -> bytes:
        """Ask for a fact whose value is wrong; a repeated webhook finds nothing left to reject."""
        teller = self.hearing.teller(started, journey)
        rejected = teller.rejected(question.name, question.value) if question.confirms else []
        await self.hearing.tell(started, *rejected, teller.asked(question.name, confirms=False))
        return self._page_of(Question(question.name), self._state_in(journey), [])

    async def _answers(self, started: Started, journey: JourneyView) -> list[Answer]:
        return await self.hearing.may_i_ask(started, journey, self.hearing.kind(journey).needs)

    def _asking(self, started: Started, journey: JourneyView, question: Question) -> list[Telling]:
        """Tell that a question is asked, and to which step the journey comes by it."""
        teller = self.hearing.teller(started, journey)
        step = step_of(self.hearing.kind(journey), question.name)
        moved = [teller.advanced(step.step)] if step and step.step != journey.step else []
        return [*moved, teller.asked(question.name, confirms=question.confirms)]

    def _known(self, started: Started, journey: JourneyView, answers: list[Answer]) -> list[Known]:
        """Return what is known in a journey: what its kind needs, and what was told beyond that."""
        kind = self.hearing.kind(journey)
        beyond = told_about(started.context, journey.journey_id)
        return [*known_among(answers), *((name, value) for name, value in beyond if name not in kind.needs)]

    def _page_of(self, question: Question, state: State, lines: list[str]) -> bytes:
        pages = self.hearing.pages
        if question.confirms:
            return pages.confirm(state, question.name, question.value, lines)
        return pages.ask(state, question.name, lines)

    def _state_in(self, journey: JourneyView, left: tuple[str, ...] | None = None) -> State:
        """Return the state of a page about a journey, with what is left to ask behind its question."""
        left = self.hearing.state.left if left is None else left
        return self.hearing.state.next(journeys=(journey.journey_id,), kind=journey.kind, left=left)
