"""What each channel lets a person hear or see, read from its own answers: TwiML, the chat's and the desk's JSON.

Nothing here asks the hub. A fact is *shown* where its name stands beside a value, and *asked for* where the channel
asks for it or lists it as still to be asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict

from ctxhub.replay.judge import Shown
from ctxhub.replay.tenants import Labels


class Page(BaseModel):
    """A part of a channel's answer; what a person is not shown is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Heard(NamedTuple):
    """What a caller hears: sentences, then perhaps a Gather that waits for an answer at its address."""

    sentences: tuple[str, ...]
    action: str | None

    @property
    def step(self) -> str:
        """The step of the menu that waits for an answer; empty where none does."""
        return urlsplit(self.action or "").path.rpartition("/")[2]

    def asks(self, labels: Labels) -> str | None:
        """Return the fact that the caller is asked for, if the question names it so that a caller can tell."""
        asked = parse_qs(urlsplit(self.action or "").query).get("fact", [""])[0]
        return asked if self.sentence_on(asked, labels) else None

    def sentence_on(self, name: str, labels: Labels) -> str | None:
        """Return the last sentence that speaks of a fact."""
        return next((said for said in reversed(self.sentences) if labels.name_in(said) == name), None)

    def shown(self, labels: Labels) -> Shown:
        """Return the facts that are told with their values, and the one that is asked for."""
        asked = self.asks(labels)
        return Shown(_told_aloud(self.sentences, labels), frozenset({asked} if asked else ()))


class OtherValue(Page):
    """Another living value of a fact, shown beneath it."""

    value: Any = None


class FactShown(Page):
    """One fact as chat panel and desk page show it."""

    name: str
    label: str = ""
    value: Any = None
    others: list[OtherValue | str] = []
    withheld: bool = False

    @property
    def values(self) -> list[str]:
        """Every value that a person reads beside the name."""
        best = [] if self.withheld or self.value in (None, "") else [self.value]
        return [str(value) for value in [*best, *(_value_of(other) for other in self.others)]]


class Named(Page):
    """A fact by its name."""

    name: str


class ChatMessage(Page):
    """One utterance in the chat."""

    id: str
    party: str
    text: str
    quick_replies: list[str] = []


class ChatJourney(Page):
    """The journey that the bot is on, with what it still wants to know."""

    kind: str
    missing: list[Named] = []


class Chat(Page):
    """What the chat's page gets for an answer, and shows."""

    session: str = ""
    messages: list[ChatMessage] = []
    facts: list[FactShown] = []
    asks: str | None = None
    journey: ChatJourney | None = None
    status: str
    degraded: bool = False

    @property
    def first_button(self) -> str:
        """The text of the first button under the last message; empty where there is none."""
        return next((text for message in reversed(self.messages) for text in message.quick_replies), "")

    @property
    def wanted(self) -> set[str]:
        """What the bot still wants to know about the journey that it is on."""
        return {fact.name for fact in self.journey.missing} if self.journey else set()

    def values(self, labels: Labels) -> dict[str, tuple[str, ...]]:
        """Return what the panel shows and the bot's own words tell."""
        values = _values(self.facts)
        for name, told in _told_in_lines((m.text for m in self.messages if m.party == "bot"), labels).items():
            values[name] = values.get(name, ()) + told
        return values


class Card(Page):
    """A waiting handoff in the agent's list."""

    handoff_id: str


class Waiting(Page):
    """The agent's list, longest waiting first."""

    offers: list[Card]


class Holding(Page):
    """The handoff that an agent works on."""

    handoff_id: str
    customer_id: str
    interaction_id: str
    fence: int | None


class Work(Page):
    """What the desk's page gets when an agent accepts, and shows."""

    handoff: Holding
    facts: list[FactShown] = []
    missing: list[str] = []

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        """Return what stands on the page."""
        return _values(self.facts)


def hear(twiml: bytes) -> Heard:
    """Listen to an answer to a telephone webhook."""
    root = ElementTree.fromstring(twiml)  # noqa: S314 - it comes from the hub under test
    gather = root.find(".//Gather")
    sentences = tuple((say.text or "").strip() for say in root.iter("Say"))
    return Heard(sentences, None if gather is None else gather.get("action"))


def key_for(kind: str, kinds: Labels, heard: Heard) -> str | None:
    """Return the key that a menu gives a kind of journey."""
    sentence = next((sentence for sentence in heard.sentences if kinds.name_in(sentence) == kind), "")
    keys = [character for character in sentence.replace(kinds[kind], "") if character.isdigit()]
    return keys[-1] if keys else None


def _told_aloud(sentences: Iterable[str], labels: Labels) -> dict[str, tuple[str, ...]]:
    """Find what is told in sentences of the form `We have label: value.`"""
    told: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for sentence in sentences:
        name, value = labels.told_in(sentence)
        if name:
            told[name] += (value.removesuffix("。").removesuffix("."),)
    return told


def _told_in_lines(texts: Iterable[str], labels: Labels) -> dict[str, tuple[str, ...]]:
    """Find what is told in lines of the form `label: value`."""
    told: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for line in (line.strip() for text in texts for line in text.splitlines()):
        name, value = labels.told_in(line)
        if name and line.startswith(labels[name]):
            told[name] += (value,)
    return told


def _values(facts: Iterable[FactShown]) -> dict[str, tuple[str, ...]]:
    values: dict[str, tuple[str, ...]] = defaultdict(tuple)
    for fact in facts:
        values[fact.name] += tuple(fact.values)
    return {name: shown for name, shown in values.items() if shown}


def _value_of(other: OtherValue | str) -> Any:
    return other if isinstance(other, str) else other.value
