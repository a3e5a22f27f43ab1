"""One dialogue, played from channel to channel at one tenant, and what became of its facts on the way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import httpx
from pydantic import ValidationError

from ctxhub.replay.chat import Listening, Window
from ctxhub.replay.desk import Agent, Floor
from ctxhub.replay.dialogues import Dialogue, Language, Turn, service_of
from ctxhub.replay.hooks import Systems
from ctxhub.replay.ivr import Call, Person, PlayFailed, Words
from ctxhub.replay.judge import Judged, Knowledge, Shown, judge
from ctxhub.replay.pages import Work

_ASK = {"en": "May I have these once more: {labels}?", "zh": "麻烦您再说一下：{labels}。"}
_JOIN = {"en": ", ", "zh": "、"}


class House(NamedTuple):
    """One tenant's channels, as the player reaches them."""

    url: str
    tenant: str
    knowledge: Knowledge
    http: httpx.AsyncClient
    webhook_token: str
    systems: Systems
    floor: Floor
    words: Mapping[Language, Words]


class Played(NamedTuple):
    """How a dialogue went: what was judged on each hop, or why it broke off; `story` holds what was heard and shown."""

    dialogue: Dialogue
    person: Person
    knowledge: Knowledge
    hops: tuple[list[Judged], ...]
    failure: str | None
    seconds: float
    story: Story


class Story(NamedTuple):
    """The channels as the customer and the agent met them."""

    call: Call
    window: Window
    pages: list[Work]


async def play(dialogue: Dialogue, person: Person, house: House) -> Played:
    """Play a dialogue: by telephone, then in the chat, then with an agent."""
    words = house.words[person.lang]
    root = f"{house.url}/ivr/twilio/{house.tenant}"
    call = Call(house.http, root, house.webhook_token, person, words)
    story = Story(call, Window(house.http, person, words), [])
    hops: list[list[Judged]] = []
    failure, began = None, time.monotonic()
    try:
        hops.append(await _from_call_to_chat(dialogue, person, house, story))
        hops.append(await _from_chat_to_desk(dialogue, person, house, story))
    except (PlayFailed, ValidationError, httpx.HTTPError) as error:
        failure = f"{type(error).__name__}: {error}" if not isinstance(error, PlayFailed) else str(error)
    return Played(dialogue, person, house.knowledge, tuple(hops), failure, time.monotonic() - began, story)


async def _from_call_to_chat(dialogue: Dialogue, person: Person, house: House, story: Story) -> list[Judged]:
    """Play the first part by telephone and the second in the chat, which needs all that the first one brought."""
    call, window = story.call, story.window
    await call.tell(dialogue.parts[0])
    await call.hang_up()
    link = house.systems.take_link(person.phone)
    if link is None:
        raise PlayFailed("no text message with a link came")
    told = dialogue.told_before(1)
    page = await window.open(link)
    shown = page.values(house.words[person.lang].facts)
    await window.go_through(told, page)
    for turn in dialogue.parts[1].said:
        await window.say(turn)
    return judge(told, Shown(shown, frozenset(window.asked)))


async def _from_chat_to_desk(dialogue: Dialogue, person: Person, house: House, story: Story) -> list[Judged]:
    """Have an agent take over for the last part, which needs all that the first two brought."""
    await story.window.ask_for_a_person()
    told = dialogue.told_before(2)
    async with story.window.listening() as listening:
        agent, work = await house.floor.meet(listening)
        story.pages.append(work)
        unshown = {name: value for name, value in told.items() if name not in work.values}
        talk = Talk(agent, work, story.window, listening)
        await talk.ask_again(unshown, person.lang, house.words[person.lang])
        for turn in dialogue.parts[2].turns:
            await talk.say(turn)
    await agent.complete(work)
    house.floor.release(agent)
    return judge(told, Shown(work.values, frozenset(work.missing) | unshown.keys()))


class Talk(NamedTuple):
    """An agent at the desk and a customer in the chat, who hear each other."""

    agent: Agent
    work: Work
    window: Window
    listening: Listening

    async def say(self, turn: Turn) -> None:
        """Let whoever said a recorded turn say it, and an agent be heard."""
        if turn.speaker == "customer":
            await self.window.say(turn)
            return
        await self.agent.say(self.work, turn.text)
        await self.listening.hear(turn.text)

    async def ask_again(self, facts: Mapping[str, str], lang: Language, words: Words) -> None:
        """Let the agent ask for what the page does not show, service by service, and the customer say it again."""
        for service in dict.fromkeys(service_of(name) for name in facts):
            wanted = {name: value for name, value in facts.items() if service_of(name) == service}
            question = _ASK[lang].format(labels=_JOIN[lang].join(words.facts[name] for name in wanted))
            await self.agent.ask(self.work, list(wanted), question)
            await self.listening.hear(question)
            await self.window.tell(wanted)
