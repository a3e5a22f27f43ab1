"""A customer in the chat answers what the bot asks, notes what it asks again, and does as the page does."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from ctxhub.replay.chat import Window
from ctxhub.replay.dialogues import Turn
from ctxhub.replay.ivr import Person, PlayFailed, Words
from ctxhub.replay.tenants import Labels

LINK = "https://hub.example/chat/replay/#token"
WORDS = Words(
    Labels(["Buses_1.from", "Buses_1.date", "Buses_1.seats", "Hotels_1.stars"], "en"),
    Labels(["Buses_1", "Hotels_1"], "en"),
)
TOLD = {"Buses_1.from": "Bonn", "Hotels_1.stars": "4"}


def a_page(kind: str | None = None, *missing: str, **more: Any) -> dict[str, Any]:
    """What the page gets: the bot asks for the first thing that is missing."""
    journey = {"kind": kind, "missing": [{"name": name} for name in missing]} if kind else None
    said = {"id": "m", "party": "bot", "text": "…", "quick_replies": ["Skip this", "Talk to a person"]}
    asks = missing[0] if missing else None
    return {"session": "s1", "status": "bot", "messages": [said], "facts": [], "journey": journey, "asks": asks} | more


class Chat:
    """The other side: answers from a list, and keeps what was sent up."""

    def __init__(self, *pages: dict[str, Any], stream: str = "") -> None:
        self.sent: list[dict[str, Any]] = []
        self._pages = list(pages)
        self._stream = stream

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            assert request.url.params["session"] == "s1"
            return httpx.Response(200, text=self._stream)
        assert str(request.url).startswith("https://hub.example/chat/replay/")
        self.sent.append(json.loads(request.content))
        return httpx.Response(200, json=self._pages.pop(0))

    @property
    def said(self) -> list[tuple[str, dict[str, str], str | None]]:
        """What the customer said, with the facts and the intent beside it."""
        messages = [body for body in self.sent if "text" in body]
        return [(body["text"], body["facts"], body.get("intent", {}).get("name")) for body in messages]

    async def opened(self) -> Window:
        """A customer who has opened the link."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        window = Window(http, Person("+12125550100", "en", None), WORDS)
        await window.open(LINK)
        return window


def the_page(window: Window) -> Any:
    """The page as it is now."""
    return window.page


async def test_the_link_is_opened_with_its_token() -> None:
    chat = Chat(a_page())
    window = await chat.opened()
    assert (chat.sent[0]["token"], chat.sent[0]["lang"], len(chat.sent[0]["visit"]) >= 16) == ("token", "en", True)
    assert window.arrived == window.page


async def test_where_all_is_known_each_service_is_turned_to_and_nothing_is_asked_again() -> None:
    chat = Chat(a_page("Buses_1", "Buses_1.date"), a_page("Hotels_1"))
    window = await chat.opened()
    await window.go_through(TOLD, the_page(window))
    assert chat.said == [("It is about Hotels.", {}, "Hotels_1")]
    assert not window.asked & TOLD.keys()


async def test_what_is_asked_again_is_answered_again_and_what_was_never_told_is_skipped() -> None:
    chat = Chat(
        a_page(),
        a_page("Buses_1", "Buses_1.date", "Buses_1.from"),
        a_page("Buses_1", "Buses_1.from"),
        a_page("Buses_1", "Buses_1.seats"),
        a_page("Hotels_1", "Hotels_1.stars"),
        a_page("Hotels_1"),
    )
    window = await chat.opened()
    await window.go_through(TOLD, the_page(window))
    assert chat.said == [
        ("It is about Buses.", {}, "Buses_1"),
        ("Skip this", {}, None),
        ("Bonn", {"Buses_1.from": "Bonn"}, None),
        ("It is about Hotels.", {}, "Hotels_1"),
        ("4", {"Hotels_1.stars": "4"}, None),
    ]
    assert window.asked & TOLD.keys() == TOLD.keys()


async def test_what_the_bot_lists_as_missing_counts_as_asked_though_it_does_not_get_to_it() -> None:
    chat = Chat(a_page("Buses_1", "Buses_1.from", asks=None), a_page("Hotels_1"))
    window = await chat.opened()
    await window.go_through(TOLD, the_page(window))
    assert window.asked == {"Buses_1.from"}


async def test_a_turn_is_said_with_its_facts_and_its_intent() -> None:
    chat = Chat(a_page(), a_page())
    window = await chat.opened()
    turn = {"speaker": "customer", "text": "To Fresno", "informs": {"Buses_1.from": "Fresno"}, "intent": "Buses_1.Buy"}
    await window.say(Turn.model_validate(turn))
    assert chat.said == [("To Fresno", {"Buses_1.from": "Fresno"}, "Buses_1.Buy")]


async def test_a_question_for_what_was_just_said_ends_the_play() -> None:
    window = await Chat(a_page(), a_page("Buses_1", "Buses_1.from")).opened()
    with pytest.raises(PlayFailed, match=r"asks again for Buses_1\.from within one chat"):
        await window.tell({"Buses_1.from": "Bonn"})


async def test_while_the_hub_is_away_the_same_message_is_sent_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctxhub.replay.chat._AGAIN_AFTER", 0)
    away = a_page(degraded=True, session="")
    chat = Chat(a_page(), away, a_page(), away, away)
    window = await chat.opened()
    await window.tell({"Buses_1.from": "Bonn"})
    assert chat.sent[1] == chat.sent[2]
    with pytest.raises(PlayFailed, match="works without the hub"):
        await window.tell({"Buses_1.date": "Monday"})


async def test_a_person_is_asked_for_unless_the_bot_has_brought_one_in() -> None:
    asked, stuck = Chat(a_page(), a_page(status="waiting")), Chat(a_page(status="waiting"))
    for chat in (asked, stuck):
        await (await chat.opened()).ask_for_a_person()
    assert [intent for _, _, intent in asked.said] == ["human"]
    assert stuck.said == []


async def test_a_bot_that_brings_in_nobody_ends_the_play() -> None:
    with pytest.raises(PlayFailed, match="brings in nobody"):
        await (await Chat(a_page(), a_page()).opened()).ask_for_a_person()


async def test_what_an_agent_writes_is_heard_in_the_snapshot_and_after_it() -> None:
    snapshot = {"messages": [{"id": "1", "party": "agent", "text": "Hello"}], "facts": []}
    message = {"id": "2", "party": "agent", "text": "现在"}
    stream = (
        f"retry: 1000\n\nevent: snapshot\ndata: {json.dumps(snapshot)}\n\n: comment\n\ndata: {json.dumps(message)}\n\n"
    )
    window = await Chat(a_page(), stream=stream).opened()
    async with window.listening() as listening:
        assert await listening.hear_any({"Hello": 1, "Goodbye": 2}) == "Hello"
        await listening.hear("现在")
        with pytest.raises(PlayFailed, match="stream ends"):
            await listening.hear("Goodbye")
