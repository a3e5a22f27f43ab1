"""Whole chats, by the requests of the page, with a hub that really runs."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from ctxhub.client import AssuranceClaim, ContextHub, Start, Telling, told

from .conftest import Caller, Page, until

QUEUE = "people"


def texts(answer: dict[str, Any]) -> list[str]:
    """What was said."""
    return [message["text"] for message in answer["messages"]]


def facts(answer: dict[str, Any]) -> dict[str, str]:
    """What the panel shows."""
    return {fact["name"]: fact["value"] for fact in answer["facts"]}


async def whereabouts(company: ContextHub, page: Page) -> tuple[str, str]:
    """Find the customer and interaction of a chat by its first waiting handoff."""
    waiting = await company.handoffs.list(queue=QUEUE)
    newest = max(waiting, key=lambda handoff: handoff.offered_at)
    return newest.customer_id, newest.interaction_id


class Agent:
    """Somebody at a desk who takes the chat that came last."""

    def __init__(self, company: ContextHub, name: str = "ann") -> None:
        self.company = company
        self.name = name

    async def accept(self) -> None:
        """Take it."""
        waiting = await self.company.handoffs.list(queue=QUEUE)
        self.handoff = max(waiting, key=lambda handoff: handoff.offered_at)
        accepted = await self.company.handoffs.accept(self.handoff.handoff_id, self.name)
        self.fence = accepted.fence

    async def say(self, text: str) -> None:
        """Write to the customer."""
        at = self.handoff.interaction_id
        said = told("message.sent", interaction_id=at, party="agent", text=text, fence=self.fence)
        await self.company.events.tell(self.handoff.customer_id, said)

    async def give_back(self, step: str | None = None, say: str | None = None) -> None:
        """Return the chat to the bot, with what it is to say first."""
        handoff_id = self.handoff.handoff_id
        await self.company.handoffs.give_back(handoff_id, self.name, self.fence, note="done", step=step, say=say)

    async def complete(self) -> None:
        """Finish."""
        await self.company.handoffs.complete(self.handoff.handoff_id, self.name, self.fence, "solved")


# From the first word to the last fact


async def test_a_stranger_says_what_he_wants_and_is_asked_one_thing_at_a_time(page: Page) -> None:
    opened = await page.open()
    assert opened["messages"][-1]["quick_replies"] == ["a train ticket", "a hotel room", "Talk to a person"]
    assert (opened["facts"], opened["asks"], opened["journey"]) == ([], None, None)
    asked = []
    answer = await page.say("a train ticket")
    for value in ("San Diego", "Fresno", "8th of March", "2"):
        asked.append(answer["asks"])
        answer = await page.say(value)
    assert asked == ["from_city", "to_city", "travel_date", "seats"]
    assert facts(answer) == {"from_city": "San Diego", "to_city": "Fresno", "travel_date": "8th of March", "seats": "2"}
    assert (answer["asks"], answer["journey"]["missing"]) == (None, [])
    assert answer["journey"]["step"] == "passengers"
    assert texts(answer)[0].splitlines()[1] == "I have all that is needed for: a train ticket."


async def test_who_comes_by_token_is_told_what_is_known_and_asked_only_the_rest(
    page: Page, company: ContextHub
) -> None:
    caller = await Caller.of(company, from_city="San Diego", travel_date="8th of March")
    opened = await page.open(token=await caller.token())
    known, question = texts(opened)
    assert known.splitlines()[1:] == ["We already have:", "departure city: San Diego", "travel date: 8th of March"]
    assert question.splitlines() == ["This is about: a train ticket.", "Please tell me: destination."]
    assert [(fact["name"], fact["from"]) for fact in opened["facts"]] == [
        ("from_city", "You, by phone menu"),
        ("travel_date", "You, by phone menu"),
    ]
    assert opened["asks"] == "to_city"
    assert (await page.say("Fresno"))["asks"] == "seats"
    assert (await page.say("2"))["asks"] is None
    asked = [e for e in (await company.contexts.timeline(caller.customer_id)).events if e.type == "question.asked"]
    assert [event.data["names"] for event in asked] == [["to_city"], ["seats"]]
    assert not [event for event in asked if event.data.get("repeats")]


async def test_who_comes_without_a_token_sees_nothing_of_anybody(page: Page, company: ContextHub) -> None:
    await Caller.of(company, from_city="San Diego")
    assert (await page.open())["facts"] == []


async def test_a_visitor_whom_the_browser_knows_is_steered_and_told_nothing(http: httpx.AsyncClient) -> None:
    first, second = Page(http), Page(http)
    await first.open(visitor="a-browser-of-0815")
    await first.say("a train ticket")
    await first.say("San Diego")
    assert (await second.open(visitor="a-browser-of-0815"))["facts"] == []


async def test_the_same_visit_comes_back_to_its_conversation(page: Page, company: ContextHub) -> None:
    token = await (await Caller.of(company, from_city="Bonn")).token()
    opened = await page.open(token=token)
    answer = await page.say("Fresno")
    again = await page.open(token=token)
    assert again["messages"] == [*opened["messages"], again["messages"][2], *answer["messages"]]
    assert (again["messages"][2]["party"], again["messages"][2]["text"], again["messages"][2]["id"]) == (
        "customer", "Fresno", "m1",
    )  # fmt: skip
    assert (again["asks"], facts(again)) == (answer["asks"], facts(answer))


async def test_a_token_leads_one_visit_in_and_no_other(http: httpx.AsyncClient, company: ContextHub) -> None:
    token = await (await Caller.of(company, from_city="Bonn")).token()
    await Page(http).open(token=token)
    other = await Page(http).open(token=token)
    assert other["facts"] == []
    assert (other["messages"][0]["party"], "can't be used any more" in texts(other)[0]) == ("system", True)
    assert other["messages"][1]["quick_replies"]


@pytest.mark.parametrize("token", ["x", "A" * 64, "../../etc", "点击"])
async def test_a_token_that_leads_nowhere_refuses_nothing(page: Page, token: str) -> None:
    opened = await page.open(token=token)
    assert opened["messages"][0]["party"] == "system"
    assert (await page.say("a hotel room"))["asks"] == "city"


async def test_it_speaks_chinese(page: Page, company: ContextHub) -> None:
    caller = await Caller.of(company, from_city="北京")
    opened = await page.open(token=await caller.token(), lang="zh-CN")
    assert opened["lang"] == "zh"
    assert "出发城市：北京" in texts(opened)[0].splitlines()
    assert texts(await page.say("上海"))[0].splitlines() == ["已记下：目的地：上海。", "请告诉我：出行日期。"]


# Facts beside the text


async def test_facts_found_beside_the_text_are_not_asked_for(page: Page) -> None:
    await page.open()
    beside = {"from_city": "SF", "to_city": "Long Beach"}
    answer = await page.say("From SF to Long Beach", facts=beside, intent={"name": "train_ticket", "confidence": 0.9})
    assert (answer["asks"], facts(answer)) == ("travel_date", beside)
    assert answer["journey"]["kind"] == "train_ticket"


async def test_facts_start_the_journeys_that_need_them_and_the_rest_is_the_customers(page: Page) -> None:
    await page.open()
    answer = await page.say("…", facts={"from_city": "SF", "nights": "3", "diet": "vegetarian"})
    homes = {fact["name"]: fact["journey_id"] for fact in answer["facts"]}
    assert homes["diet"] is None
    assert len({homes["from_city"], homes["nights"]} - {None}) == 2
    assert answer["journey"]["kind"] == "hotel"


async def test_when_one_journey_is_complete_the_next_one_goes_on(page: Page) -> None:
    await page.open()
    await page.say("…", facts={"from_city": "SF"}, intent={"name": "train_ticket"})
    await page.say("…", facts={"city": "LA"}, intent={"name": "hotel"})
    answer = await page.say("2 nights", facts={"nights": "2"})
    assert (answer["asks"], answer["journey"]["kind"]) == ("to_city", "train_ticket")
    assert "This is about: a train ticket." in texts(answer)[0]


async def test_a_later_value_takes_the_place_of_the_earlier(page: Page) -> None:
    await page.open()
    await page.say("…", facts={"from_city": "SF"})
    answer = await page.say("Oakland rather", facts={"from_city": "Oakland"})
    assert facts(answer)["from_city"] == "Oakland"
    assert answer["facts"][0]["others"] == []


async def test_what_was_heard_unsurely_is_read_back_and_confirmed(page: Page) -> None:
    await page.open()
    unsure = [{"name": "from_city", "value": "Boston", "confidence": 0.5}]
    answer = await page.say("…", facts=unsure)
    assert (answer["asks"], answer["facts"][0]["unsure"]) == ("from_city", True)
    assert answer["messages"][0]["quick_replies"][:2] == ["Yes", "No"]
    answer = await page.say("Yes")
    assert answer["asks"] == "to_city"
    assert (answer["facts"][0]["state"], answer["facts"][0]["unsure"]) == ("confirmed", False)


@pytest.mark.parametrize(("reply", "value"), [("No", None), ("No, Austin", "Austin")])
async def test_what_was_heard_wrongly_is_forgotten_or_put_right(page: Page, reply: str, value: str | None) -> None:
    await page.open()
    await page.say("…", facts=[{"name": "from_city", "value": "Boston", "confidence": 0.5}])
    answer = await page.say(reply)
    assert facts(answer).get("from_city") == value
    assert answer["asks"] == ("from_city" if value is None else "to_city")


async def test_a_question_can_be_left_for_later(page: Page) -> None:
    await page.open()
    await page.say("a hotel room")
    answer = await page.say("Skip this")
    assert answer["asks"] == "nights"
    answer = await page.say("2")
    assert (answer["asks"], [fact["name"] for fact in answer["journey"]["missing"]]) == (None, ["city"])
    assert "Left for later: city." in texts(answer)[0]


async def test_facts_stay_until_the_customer_says_that_it_is_done(page: Page) -> None:
    await page.open()
    await page.say("…", facts={"city": "LA", "nights": "2"})
    assert facts(await page.say("Thanks, that is all I need.", facts={})) == {"city": "LA", "nights": "2"}
    done = await page.say("That is all, finish")
    assert (facts(done), done["journey"]) == ({}, None)
    assert texts(done) == ["Thank you. If there is anything else, just write."]


# The same message again


async def test_a_message_sent_again_takes_effect_once_and_gets_the_same_answer(page: Page, company: ContextHub) -> None:
    await page.open()
    sent = {"message_id": "same", "facts": {"from_city": "SF"}}
    once = await page.say("From SF", **sent)
    await page.say("Fresno")
    again = await page.say("From SF", **sent)
    assert again["messages"] == once["messages"]
    assert (again["asks"], facts(again)) == ("travel_date", {"from_city": "SF", "to_city": "Fresno"})


async def test_twins_that_race_get_one_answer(page: Page) -> None:
    await page.open()
    answers = await asyncio.gather(*(page.say("From SF", message_id="m", facts={"from_city": "SF"}) for _ in range(6)))
    assert len({str(answer["messages"]) for answer in answers}) == 1
    assert len((await page.open())["messages"]) == 3


async def test_a_free_answer_sent_again_is_not_taken_for_the_next_answer(page: Page) -> None:
    await page.open()
    await page.say("a train ticket")
    once = await page.say("San Diego", message_id="x")
    again = await page.say("San Diego", message_id="x")
    assert again["messages"] == once["messages"]
    assert facts(again) == {"from_city": "San Diego"}


async def test_one_id_for_two_messages_is_refused(page: Page) -> None:
    await page.open()
    await page.say("a train ticket", message_id="x")
    refused = await page.post("a hotel room", message_id="x")
    assert (refused.status_code, refused.json()["code"]) == (422, "event_id_reused")


async def test_two_chats_may_use_the_same_message_ids(http: httpx.AsyncClient) -> None:
    one, other = Page(http), Page(http)
    await one.open(visitor="the-browser-of-both")
    await other.open(visitor="the-browser-of-both")
    assert (await one.say("a train ticket", message_id="1"))["asks"] == "from_city"
    assert (await other.say("a hotel room", message_id="1"))["asks"] == "city"


# People


async def test_a_person_is_called_takes_over_and_gives_back_at_a_step(page: Page, company: ContextHub) -> None:
    await page.open()
    await page.say("…", facts={"from_city": "SF"})
    waiting = await page.say("I want to talk to a person")
    assert (waiting["status"], waiting["asks"], waiting["holder"]) == ("waiting", None, {"party": "bot"})
    noted = await page.say("It's for Monday", facts={"travel_date": "Monday"})
    assert texts(noted) == ["Noted: travel date: Monday.\nYou are in line; a colleague will answer here."]

    agent = Agent(company)
    await agent.accept()
    silent = await page.say("To Fresno", facts={"to_city": "Fresno"})
    assert (silent["messages"], silent["status"], silent["asks"]) == ([], "agent", None)
    assert facts(silent) == {"from_city": "SF", "travel_date": "Monday", "to_city": "Fresno"}
    await agent.say("Hello, I am Ann.")
    assert (await page.open())["messages"][-1]["text"] == "Hello, I am Ann."

    await agent.give_back(step="passengers")
    back = await page.say("Hello again")
    assert (back["status"], back["asks"], back["journey"]["step"]) == ("bot", "seats", "passengers")


async def test_the_customer_can_stop_waiting(page: Page, company: ContextHub) -> None:
    await page.open()
    await page.say("Talk to a person")
    _, interaction_id = await whereabouts(company, page)
    stayed = await page.say("Go on with the assistant")
    assert stayed["status"] == "bot"
    assert texts(stayed)[0].startswith("All right, you are with me again.")
    waiting = await company.handoffs.list(queue=QUEUE)
    assert interaction_id not in [handoff.interaction_id for handoff in waiting]


async def test_asking_twice_for_a_person_offers_once(page: Page, company: ContextHub) -> None:
    await page.open()
    await page.say("Talk to a person")
    assert (await page.say("agent!"))["status"] == "waiting"
    _, interaction_id = await whereabouts(company, page)
    waiting = await company.handoffs.list(queue=QUEUE)
    assert [handoff.interaction_id for handoff in waiting].count(interaction_id) == 1


async def test_twice_not_understood_brings_in_a_person(page: Page) -> None:
    await page.open()
    await page.say("a train ticket")
    once = await page.say("Why is the sky blue?")
    assert (once["status"], once["asks"]) == ("bot", "from_city")
    assert texts(once)[0].splitlines() == ["Sorry, I did not understand that.", "Please tell me: departure city."]
    twice = await page.say("And the grass green?")
    assert twice["status"] == "waiting"
    assert texts(twice)[0].startswith("I don't get any further here")


async def test_when_the_person_is_done_the_bot_goes_on(page: Page, company: ContextHub) -> None:
    await page.open()
    await page.say("…", facts={"from_city": "SF"}, intent={"name": "human"})
    await page.say("Talk to a person")
    agent = Agent(company)
    await agent.accept()
    await agent.complete()
    assert (await page.say("So, where were we", facts={}))["asks"] == "to_city"


# Faults


async def test_an_unknown_tenant_is_not_found(http: httpx.AsyncClient) -> None:
    for path in ("", "sessions", "messages", "stream?session=x"):
        method = "POST" if path in ("sessions", "messages") else "GET"
        answer = await http.request(method, f"/chat/nobody/{path}", json={} if method == "POST" else None)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_a_session_that_is_not_ours_is_refused(page: Page, http: httpx.AsyncClient) -> None:
    await page.open()
    stranger = Page(http, "other")
    stranger.session = page.session
    for session in (page.session[:-2] + "AA", "x", "A" * 200):
        page.session = session
        assert (await page.post("hi")).status_code == 403
        assert (await http.get(f"{page.at}stream", params={"session": session})).status_code == 403
    refused = await stranger.post("hi")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_bad_bodies_are_told_apart(page: Page, http: httpx.AsyncClient) -> None:
    await page.open()
    json_type = {"content-type": "application/json"}
    answers = [
        await http.post(f"{page.at}messages", content=b"{", headers=json_type),
        await http.post(f"{page.at}messages", content=b"{}", headers={"content-type": "text/plain"}),
        await http.post(f"{page.at}messages", content=b'"' + b"x" * 1_100_000 + b'"', headers=json_type),
        await page.post("x" * 300_000),
        await page.post("hi", colour="red"),
        await http.post(f"{page.at}sessions", json={"visit": "short"}),
    ]
    assert [answer.status_code for answer in answers] == [422, 415, 413, 422, 422, 422]
    assert answers[4].json()["errors"][0]["pointer"] == "/colour"


ODD = ["", " ", "\x00", "😀" * 100, "<img src=x onerror=alert(1)>", "\u202e", "a\nb", "$html_lang {0} %s", "ẞ" * 50]


@pytest.mark.parametrize("text", ODD)
async def test_whatever_is_written_comes_back_as_it_was(page: Page, text: str) -> None:
    await page.open()
    await page.say("a train ticket")
    assert (await page.post(text)).status_code == 200
    assert [m["text"] for m in (await page.open())["messages"] if m["party"] == "customer"] == ["a train ticket", text]


@pytest.mark.parametrize("name", ["酒店.酒店设施-早餐服务", "a/b", "😀", "x" * 200, "__proto__", "constructor"])
async def test_any_name_of_a_fact_will_do(page: Page, name: str) -> None:
    await page.open()
    assert facts(await page.say("…", facts={name: "是"})) == {name: "是"}


@pytest.mark.parametrize("facts_", [{"": "x"}, {"a\x00b": "x"}, {"a": {"deep": "x" * 70_000}}, {"x" * 201: "y"}])
async def test_facts_that_no_hub_would_take_are_refused_with_the_message(page: Page, facts_: dict[str, Any]) -> None:
    await page.open()
    refused = await page.post("hi", facts=facts_)
    assert refused.status_code == 422
    assert len((await page.open())["messages"]) == 1


async def test_a_lone_surrogate_is_refused_and_no_fault_of_ours(page: Page, http: httpx.AsyncClient) -> None:
    await page.open()
    body = b'{"session": "%s", "message_id": "m", "text": "\\ud800"}' % page.session.encode()
    answer = await http.post(f"{page.at}messages", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422


# Where the customer turns out to be somebody else


async def test_a_chat_follows_its_customer_who_turns_out_to_be_another(page: Page, company: ContextHub) -> None:
    start = Start(channel="web", external_id=f"login-{page.visit}", customer_id=f"c-{page.visit[:8]}",
                  assurance=AssuranceClaim(level=2, method="password"))  # fmt: skip
    known = await company.interactions.start(start)
    await page.open()
    await page.say("…", facts={"from_city": "SF"}, intent={"name": "human"})
    await page.say("Talk to a person")
    customer_id, interaction_id = await whereabouts(company, page)
    await company.interactions.identify(customer_id, interaction_id, to=known.customer_id)
    before = page.session
    answer = await page.say("To Fresno", facts={"to_city": "Fresno"})
    assert facts(answer) == {"from_city": "SF", "to_city": "Fresno"}
    assert page.session != before


async def test_what_the_company_learns_is_seen_at_once(page: Page, company: ContextHub) -> None:
    caller = await Caller.of(company, from_city="SF")
    await page.open(token=await caller.token())
    learned: Telling = told("fact.verified", party="system", name="to_city", value="Fresno")
    await company.events.tell(caller.customer_id, learned)

    async def knows() -> bool:
        return facts(await page.say("ok", facts={})).get("to_city") == "Fresno"

    assert await until(knows)
