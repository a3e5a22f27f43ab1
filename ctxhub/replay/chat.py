"""A customer in the web chat: the requests of its page, up by POST and down by server-sent events."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from ctxhub.replay.dialogues import Turn, service_of
from ctxhub.replay.ivr import Person, PlayFailed, Words
from ctxhub.replay.pages import Chat

#: Longer than anything takes that works, shorter than anybody's patience.
HEARD_WITHIN = 15.0
_AGAIN_AFTER = 1.0
_A_PERSON = {"en": "I would like to talk to a person, please.", "zh": "请帮我转人工客服。"}
_AGAIN = {"en": "It is about {kind}.", "zh": "是关于{kind}的。"}
_VALUES = {"en": "It is {values}.", "zh": "是{values}。"}


class Window:
    """One chat, from the link to its end: the page as it was on arrival and as it is now.

    `asked` holds what the bot has asked for so far, or says that it wants.
    """

    def __init__(self, http: httpx.AsyncClient, person: Person, words: Words) -> None:
        self._http = http
        self._person = person
        self._words = words
        self._address = ""
        self._session = ""
        self._visit = secrets.token_urlsafe(16)
        self._sent = 0
        self.asked: set[str] = set()
        self.answered: set[str] = set()
        self.arrived: Chat | None = None
        self.page: Chat | None = None

    async def open(self, link: str) -> Chat:
        """Open the link that came by text message."""
        self._address, _, token = link.partition("#")
        opening = {"token": token, "lang": self._person.lang, "visit": self._visit}
        self.arrived = await self._post("sessions", opening)
        return self.arrived

    async def go_through(self, told: Mapping[str, str], page: Chat) -> None:
        """Turn to each service that was spoken of, and answer again whatever the bot asks for again."""
        for service in dict.fromkeys(service_of(name) for name in told):
            if page.journey is None or page.journey.kind != service:
                page = await self._turn_to(service)
            page = await self._answer_again(told, page)
            self.asked |= page.wanted & (told.keys() - self.answered)

    async def say(self, turn: Turn) -> Chat:
        """Say what a recorded turn says, with the facts that were found in it."""
        return await self._say(turn.text, turn.informs, turn.intent)

    async def ask_for_a_person(self) -> None:
        """Want to go on with a person, unless the bot has brought one in already."""
        page = self.page
        if page is None or page.status == "bot":
            page = await self._say(_A_PERSON[self._person.lang], {}, "human")
        if page.status not in ("waiting", "agent"):
            raise PlayFailed(f"the chat brings in nobody: {_texts(page)}")

    async def tell(self, facts: Mapping[str, str]) -> None:
        """Answer a person's question."""
        await self._say(self._in_words(facts), facts, None)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listening]:
        """Keep the chat's stream open, as its page does."""
        url = f"{self._address}stream"
        async with self._http.stream("GET", url, params={"session": self._session}, timeout=HEARD_WITHIN) as response:
            if not response.is_success:
                raise PlayFailed(f"the chat's stream answers {response.status_code}")
            yield Listening(response)

    async def _turn_to(self, service: str) -> Chat:
        """Say which of the services it is about."""
        return await self._say(_AGAIN[self._person.lang].format(kind=self._words.kinds[service]), {}, service)

    async def _answer_again(self, told: Mapping[str, str], page: Chat) -> Chat:
        """Answer until the bot wants nothing any more that was told before; skip what was not."""
        while page.asks and page.wanted & (told.keys() - self.answered):
            name = page.asks
            value = told.get(name)
            answered = {} if value is None else {name: value}
            page = await self._say(value or page.first_button, answered, None)
        return page

    async def _say(self, text: str, facts: Mapping[str, str], intent: str | None) -> Chat:
        self._sent += 1
        body: dict[str, Any] = {"session": self._session, "message_id": f"m{self._sent}", "text": text, "facts": facts}
        if intent:
            body["intent"] = {"name": intent}
        self.answered |= facts.keys()
        return await self._post("messages", body)

    async def _post(self, path: str, body: Mapping[str, Any]) -> Chat:
        """Send something up; as the page does, once more where the chat says that the hub is away."""
        page = await self._sent_up(path, body)
        if page.degraded:
            await asyncio.sleep(_AGAIN_AFTER)
            page = await self._sent_up(path, body)
        if page.degraded:
            raise PlayFailed(f"the chat works without the hub: {_texts(page)}")
        if page.asks in self.answered:
            raise PlayFailed(f"the bot asks again for {page.asks} within one chat")
        self._session = page.session
        self.asked |= {page.asks} if page.asks else set()
        self.page = page
        return page

    async def _sent_up(self, path: str, body: Mapping[str, Any]) -> Chat:
        response = await self._http.post(f"{self._address}{path}", json=body)
        if not response.is_success:
            raise PlayFailed(f"the chat answers {response.status_code} to {path}: {response.text[:300]}")
        return Chat.model_validate_json(response.content)

    def _in_words(self, facts: Mapping[str, str]) -> str:
        return _VALUES[self._person.lang].format(values=", ".join(facts.values()))


class Listening:
    """What comes down a chat's stream, in order."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def hear(self, text: str) -> None:
        """Wait until somebody says this."""
        await self.hear_any((text,))

    async def hear_any(self, texts: Collection[str]) -> str:
        """Wait until somebody says one of these, which may still grow; `PlayFailed` when nobody does."""
        try:
            async with asyncio.timeout(HEARD_WITHIN):
                return await self._until(texts)
        except (TimeoutError, httpx.TransportError) as error:
            raise PlayFailed(f"the chat never shows what an agent wrote ({', '.join(texts) or 'hello'})") from error

    async def _until(self, texts: Collection[str]) -> str:
        async for line in self._lines:
            said = _said_in(json.loads(line.removeprefix("data:"))) if line.startswith("data:") else []
            heard = next((text for text in said if text in texts), None)
            if heard is not None:
                return heard
        raise PlayFailed("the chat's stream ends")


def _said_in(data: Mapping[str, Any]) -> list[str]:
    """Return the texts that an event of the stream brings: one message, or a snapshot of all."""
    return [message.get("text", "") for message in data.get("messages", [data])]


def _texts(page: Chat) -> str:
    return " | ".join(message.text for message in page.messages)
