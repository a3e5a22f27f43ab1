"""The documents that the telephone platform is answered with, each made of sentences and one thing to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from xml.etree.ElementTree import Element

from ctxhub.client import HandoffView, Kind, QueueView, Tenant, said_at
from ctxhub_ivr import menu, say, twiml
from ctxhub_ivr.settings import IvrChannel
from ctxhub_ivr.translate import PIN_TRIES, State, mark_of, sip_uri, task_of

# A document has at most 64 KB, whatever is in it.
_MOST_FACTS = 40
_LONGEST_VALUE = 150
_TIME_TO_BEGIN = 3
_PAUSE_WHILE_WAITING = 15


@dataclass(frozen=True)
class Link:
    """A way to go on in the chat that was sent to the caller, or is to be sent within the call."""

    text: str
    to: str
    within_call: bool


@dataclass(frozen=True)
class Pages:
    """Writes documents in one language of one tenant; `base` is the address below which its webhooks stand.

    `first` is said before anything else.
    """

    base: str
    tenant: Tenant
    channel: IvrChannel
    language: str
    has_pin: bool = False
    has_link: bool = False
    first: tuple[str, ...] = ()

    def menu(self, state: State, opening: Sequence[str] = ()) -> bytes:
        """Offer the kinds of journeys on a page, the PIN, the link, a human; the same to everybody."""
        kinds = menu.on_page(self.tenant, state.page)
        lines = [*opening, *(self._says("kind", kind=self._label(kind), key=key) for key, kind in enumerate(kinds, 1))]
        lines += self._says_if(menu.pages(self.tenant) > 1, "more_kinds")
        lines += self._says_if(self.has_pin and state.tries < PIN_TRIES, "pin_choice")
        lines += self._says_if(self.has_link, "link_choice")
        return self._one_key("menu", state, [*lines, *self._always()], self.tenant.journeys)

    def begin(self, state: State, expects_code: bool) -> bytes:
        """Offer to go on, in one fixed sentence, the same to everybody; and wait for a code where one is dialled."""
        prompts = self._spoken([self._says("welcome"), *self._says_if(self.channel.continuation, "continue_choice")])
        more = {"finishOnKey": "#"} if expects_code else {"finishOnKey": "", "numDigits": "1"}
        verb = twiml.keys(self._action("begin", state), prompts, self.language, timeout=_TIME_TO_BEGIN, **more)
        return twiml.document(verb)

    def wait(self, state: State, opening: Sequence[str]) -> bytes:
        """Let the caller hear something while waiting, and listen for a key."""
        prompts = [*self._spoken(opening), twiml.pause(_PAUSE_WHILE_WAITING)]
        more = {"finishOnKey": "", "numDigits": "1"}
        return twiml.document(twiml.keys(self._action("wait", state), prompts, self.language, timeout=1, **more))

    def wait_with_link(self, state: State, opening: Sequence[str], link: Link) -> bytes:
        """Let the caller wait on after a link was sent, or is sent within the call."""
        message = [twiml.sms(link.text, link.to)] if link.within_call else []
        on = twiml.redirect(self._action("wait", state))
        return twiml.document(*message, *self._spoken(opening), twiml.pause(_PAUSE_WHILE_WAITING), on)

    def pin(self, state: State, opening: Sequence[str] = ()) -> bytes:
        """Ask for the PIN, by keys alone."""
        prompts = self._spoken([*opening, self._says("pin")])
        more = {"input": "dtmf", "finishOnKey": "#", "timeout": "10"}
        return twiml.document(twiml.gather(self._action("pin", state), prompts, self.language, **more))

    def who(self, state: State, way: str, opening: Sequence[str] = ()) -> bytes:
        """Ask by what it can be found out who it is, by keys alone; the same whoever calls."""
        prompts = self._spoken([*opening, self._says(f"who_{way}")])
        more = {"input": "dtmf", "finishOnKey": "#", "timeout": "10"}
        return twiml.document(twiml.gather(self._action("who", state), prompts, self.language, **more))

    def resume(self, state: State, opening: Sequence[str], kinds: Sequence[Kind]) -> bytes:
        """Offer journeys to go on with."""
        offers = [self._says("resume", kind=self._label(kind), key=key) for key, kind in enumerate(kinds, 1)]
        lines = [*opening, *offers, self._says("other_choice"), *self._always()]
        return self._one_key("resume", state, lines, kinds)

    def ask(self, state: State, name: str, opening: Sequence[str] = ()) -> bytes:
        """Ask for a fact; for a secret one by keys alone, since what is spoken is written down by the platform."""
        question = self._says("ask", label=self._fact_label(name))
        by_keys = {"input": "dtmf", "timeout": "10"} if name in self.channel.prompts else {}
        return self._question(state.next_about(name), [*opening, question], **by_keys)

    def confirm(self, state: State, name: str, value: Any, opening: Sequence[str] = ()) -> bytes:
        """Ask whether a value is right."""
        question = self._says("confirm", label=self._fact_label(name), value=self._aloud(value))
        return self._question(state.next_about(name, mark_of(value)), [*opening, question])

    def done(self, state: State, opening: Sequence[str], link: Link | None = None) -> bytes:
        """Ask whether there is anything else."""
        lines = [*opening, self._says("anything_else")]
        lines += self._says_if(self.has_link and link is None, "link_offer")
        prompts = self._spoken([*lines, *self._always()])
        verb = twiml.one_key(self._action("done", state), prompts, self.language)
        message = [twiml.sms(link.text, link.to)] if link and link.within_call else []
        return twiml.document(*message, verb)

    def queue(self, state: State, handoff: HandoffView) -> bytes:
        """Bring the caller to a human, with the token."""
        verb = self._towards_humans(state, handoff)
        return twiml.document(*self._spoken([self._says("queue")]), verb)

    def closed(self, state: State, handoff: HandoffView, queue: QueueView) -> bytes:
        """Say that nobody is there, offer to call back where that is possible, and let wait who wants to."""
        verb, lines = self._towards_humans(state, handoff), self._closed_lines(queue)
        if not any(one.kind == "callback" for one in queue.alternatives):
            return twiml.document(*self._spoken(lines), verb)
        prompts = self._spoken([*lines, self._says("callback_choice")])
        return twiml.document(
            twiml.one_key(self._action("callback", state), prompts, self.language, unless_silent=True), verb
        )

    def _closed_lines(self, queue: QueueView) -> list[str]:
        """Say when somebody will be there, as far as that is known."""
        if queue.opens_at is None:
            return self.says("closed")
        return self.says("closed_until", when=self.said_at(queue.opens_at, queue.queue))

    def said_at(self, at: datetime, queue: str) -> str:
        """Say a time by the clock of a queue."""
        return said_at(at, self.tenant.clock_of(queue), self.language)

    def goodbye(self, opening: Sequence[str] = ()) -> bytes:
        """End the call."""
        return twiml.document(*self._spoken([*opening, self._says("goodbye")]), twiml.hangup())

    def degraded(self, state: State) -> bytes:
        """Go on without the hub: to a human, with nothing said about why."""
        return twiml.document(*self._spoken([self._says("degraded")]), self._towards_humans(state, None))

    def known(self, facts: Iterable[tuple[str, Any]], sentence: str = "known") -> list[str]:
        """Say each fact in a sentence of its own, its value as it was given; nobody listens to hundreds."""
        told = islice(facts, _MOST_FACTS)
        return [self._says(sentence, label=self._fact_label(name), value=self._aloud(value)) for name, value in told]

    def says(self, name: str, **values: Any) -> list[str]:
        """Return one sentence, to open a document with."""
        return [self._says(name, **values)]

    def about(self, kind: Kind) -> list[str]:
        """Say which kind of journey the next sentences are about."""
        return self.says("about", kind=self._label(kind))

    def at_step(self, say_: dict[str, str]) -> list[str]:
        """Say which step a journey is at, where the tenant has words for it."""
        words = say.translated(say_, self.language)
        return self.says("step", step=words) if words else []

    def keys(self) -> list[str]:
        """Say what may be keyed in instead of answering."""
        return self.says("fact_keys" if self.has_link else "fact_keys_no_link")

    def _always(self) -> list[str]:
        """Say what every menu offers: a human, and a complaint."""
        if self.tenant.complaint is None:
            return self.says("human_choice")
        return [self._says("complaint_choice", key=menu.COMPLAINT_KEY), self._says("human_alone")]

    def _question(self, state: State, lines: Sequence[str], **more: str) -> bytes:
        """Listen for the answer to one question."""
        action = self._action("fact", state)
        return twiml.document(twiml.gather(action, self._spoken(lines), self.language, finishOnKey="#", **more))

    def _towards_humans(self, state: State, handoff: HandoffView | None) -> Element:
        """Dial or enqueue; without a handoff the caller comes without context."""
        channel, action = self.channel, self._action("queue", state)
        token, uui = (handoff.token, handoff.uui) if handoff else (None, None)
        if channel.sip_target:
            return twiml.dial_sip(sip_uri(channel.sip_target, token, uui, degraded=handoff is None), action)
        if channel.workflow_sid:
            task = task_of(token, channel.queue, self.language, degraded=handoff is None)
            return twiml.enqueue_task(channel.workflow_sid, task, action)
        waits = handoff is not None and channel.link_while_waiting and self.has_link
        return twiml.enqueue(channel.queue, action, self._action("wait", state) if waits else None)

    def _one_key(self, step: str, state: State, lines: Sequence[str], kinds: Iterable[Kind]) -> bytes:
        """Listen for one key, or the name of one of the kinds."""
        hints = [self._label(kind) for kind in kinds]
        action = self._action(step, state)
        return twiml.document(twiml.one_key(action, self._spoken(lines), self.language, hints))

    def _action(self, step: str, state: State) -> str:
        return f"{self.base}/{step}?{state.query()}"

    def _spoken(self, lines: Iterable[str]) -> list[Element]:
        return [twiml.say(line, self.language) for line in (*self.first, *lines)]

    def _says(self, name: str, **values: Any) -> str:
        return say.sentence(self.language, name, **values)

    def _says_if(self, condition: bool, name: str) -> list[str]:
        return [self._says(name)] if condition else []

    def _aloud(self, value: Any) -> str:
        """Put a value into words; one too long for any ear is cut."""
        words = say.spoken_value(value, self.language)
        return words if len(words) <= _LONGEST_VALUE else f"{words[:_LONGEST_VALUE]}…"

    def _label(self, kind: Kind) -> str:
        return say.kind_label(kind, self.language)

    def _fact_label(self, name: str) -> str:
        return say.fact_label(self.tenant, name, self.language)
