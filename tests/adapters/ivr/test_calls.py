"""Whole calls, against a hub that runs: what a caller hears, and what the hub knows afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import pytest

from ctxhub.client import (
    AssuranceClaim,
    ContextHub,
    ContextView,
    Identifier,
    OfferRequest,
    Ref,
    Start,
    Started,
    Target,
    told,
)
from tests.adapters.ivr.calling import Caller, Heard, a_number

FROM, TO, DATE, HOTEL = "Buses_1.from", "Buses_1.to", "Buses_1.date", "酒店.名称/🏨 A.b"
Channel = Callable[..., ContextHub]
Ring = Callable[..., Caller]


async def context_of(hub: ContextHub, caller: Caller) -> ContextView:
    """What the call itself may know."""
    found = await hub.interactions.lookup(Ref(system="twilio", id=caller.sid))
    return await hub.contexts.read(found.customer_id, interaction_id=found.interaction.interaction_id, events=100)


async def a_chat(
    hub: ContextHub, customer_id: str, facts: dict[str, Any], kind: str = "Buses_1", **more: Any
) -> tuple[Started, str]:
    """A chat of a customer who is logged in, with a journey begun and some facts told."""
    start = Start(
        channel="chat", external_id=f"chat-{customer_id}-{a_number()}", customer_id=customer_id,
        assurance=AssuranceClaim(level=2, method="login"), **more,
    )  # fmt: skip
    started = await hub.interactions.start(start)
    about: dict[str, Any] = {"interaction_id": started.interaction.interaction_id, "party": "customer"}
    begun = await hub.events.tell(started.customer_id, told("journey.started", **about, kind=kind))
    journey_id = begun.results[0].journey_id
    assert journey_id is not None
    if facts:
        stated = [told("fact.stated", **about, journey_id=journey_id, name=n, value=v) for n, v in facts.items()]
        await hub.events.tell(started.customer_id, *stated)
    return started, journey_id


async def a_token(hub: ContextHub, chat: tuple[Started, str], **more: Any) -> Any:
    """A handoff of a chat to the telephone."""
    started, journey_id = chat
    request = OfferRequest(
        customer_id=started.customer_id, interaction_id=started.interaction.interaction_id, journey_id=journey_id,
        reason="wants_to_talk", to=Target(channel="ivr"), **more,
    )  # fmt: skip
    return (await hub.handoffs.offer(request)).handoff


async def test_a_mere_number_hears_the_same_whether_or_not_it_is_known(ring: Ring, channel: Channel) -> None:
    phone = a_number()
    phones = [Identifier(type="phone", value=phone, strength="verified")]
    await a_chat(channel(), f"c{phone[1:]}", {FROM: "San Diego"}, identifiers=phones)
    known, unknown = ring(phone=phone), ring()
    for caller in (known, unknown):
        await caller.dial()
        await caller.press("1")
        await caller.say("Fresno")
    started = await channel().interactions.start(Start(channel="ivr", system="twilio", external_id=known.sid))
    assert started.customer_id == f"c{phone[1:]}"
    first = (known.heard[0].content, unknown.heard[0].content)
    assert first[0] == first[1]
    assert known.heard[0].says == [
        "Welcome.",
        "For bus tickets, press 1.",
        "For a hotel, press 2.",
        "To go on where you were, press star and enter your PIN.",
        "To go on in the chat, press the pound key.",
        "To speak to a human, or for a complaint, press 0.",
    ]
    assert [heard.says for heard in known.heard] == [heard.says for heard in unknown.heard]


async def test_one_question_for_each_missing_fact_and_each_answer_is_kept(ring: Ring, channel: Channel) -> None:
    caller = ring()
    await caller.dial()
    heard = await caller.press("1")
    assert heard.says == [
        "About bus tickets.",
        "Press star to leave it for later, star 0 for a human, star 1 for the menu, star 2 for a link.",
        "Please tell us: departure city.",
    ]
    assert (heard.asks, heard.verbs) == (FROM, ["Gather"])
    assert (await caller.say("San Diego")).asks == TO
    heard = await caller.press("12")
    assert (heard.asks, heard.says) == (DATE, ["Please tell us: travel date."])
    heard = await caller.say("8th of March")
    assert heard.step == "done"
    assert heard.says == [
        "Noted, departure city: San Diego.",
        "Noted, destination: 12.",
        "Noted, travel date: 8th of March.",
        "That is all we need for now.",
        "For something else, press 1. If that is all, press 3.",
        "For a link to go on in the chat, press 2.",
        "To speak to a human, or for a complaint, press 0.",
    ]
    context = await context_of(channel(), caller)
    assert {name: fact.value for name, fact in context.facts.items()} == {
        FROM: "San Diego",
        TO: "12",
        DATE: "8th of March",
    }
    assert context.facts[FROM].confidence == 0.95
    assert context.facts[TO].confidence == 1.0
    [journey] = context.journeys
    assert (journey.kind, journey.step, journey.missing) == ("Buses_1", "time", [])
    kinds = [event.type for event in context.recent if not event.type.startswith("interaction")]
    answered = ["question.asked", "input.collected", "fact.stated"]
    assert kinds == ["journey.started", *answered, *answered, "journey.advanced", *answered]
    assert (await caller.press("3")).verbs == ["Say", "Hangup"]


async def test_the_menu_is_spoken_to_in_chinese(ring: Ring, channel: Channel) -> None:
    caller = ring(language="zh-CN")
    heard = await caller.dial()
    assert heard.says[:3] == ["您好，欢迎致电。", "汽车票，请按1。", "酒店预订，请按2。"]
    assert heard.the("Gather").get("language") == "zh-CN"
    heard = await caller.say("我想要酒店预订。")
    assert heard.asks == HOTEL
    heard = await caller.say("北京饭店")
    assert heard.says[:2] == [f"已记下，{'酒店 名称 🏨 A b'}：北京饭店。", "目前需要的信息都齐了。"]
    assert (await context_of(channel(), caller)).facts[HOTEL].value == "北京饭店"


@pytest.mark.parametrize("carrier", ["token", "SipHeader_x-ctx-token", "SipHeader_User-to-User"])
async def test_a_token_brings_what_is_known_and_only_the_rest_is_asked(
    ring: Ring, channel: Channel, carrier: str
) -> None:
    customer_id = f"c{a_number()[1:]}"
    chat = await a_chat(channel(), customer_id, {FROM: "San Diego", DATE: "8th of March"})
    hotel = await a_chat(channel(), customer_id, {HOTEL: "Ritz"}, kind="酒店")
    handoff = await a_token(channel(), chat)
    caller = ring()
    heard = await caller.dial(**{carrier: handoff.uui if "User" in carrier else handoff.token})
    assert heard.says[:-1] == [
        "Welcome back.",
        "About a hotel.",
        "We already have 酒店 名称 🏨 A b: Ritz.",
        "About bus tickets.",
        "We already have departure city: San Diego.",
        "We already have travel date: 8th of March.",
        "Press star to leave it for later, star 0 for a human, star 1 for the menu, star 2 for a link.",
    ]
    assert heard.asks == TO
    heard = await caller.say("Fresno")
    assert heard.step == "done"
    context = await context_of(channel(), caller)
    assert context.customer_id == customer_id
    assert {journey.journey_id for journey in context.journeys} == {chat[1], hotel[1]}
    assert context.facts[TO].journey_id == chat[1]


async def test_a_token_for_a_journey_that_misses_nothing_brings_all_and_asks_nothing(
    ring: Ring, channel: Channel
) -> None:
    chat = await a_chat(channel(), f"c{a_number()[1:]}", {FROM: "San Diego", TO: "Fresno", DATE: "8th of March"})
    caller = ring()
    heard = await caller.dial(token=(await a_token(channel(), chat)).token)
    assert heard.says[:6] == [
        "Welcome back.",
        "About bus tickets.",
        "We already have departure city: San Diego.",
        "We already have destination: Fresno.",
        "We already have travel date: 8th of March.",
        "That is all we need for now.",
    ]
    assert heard.step == "done"
    assert "question.asked" not in [event.type for event in (await context_of(channel(), caller)).recent]


async def test_a_token_that_leads_nowhere_leads_to_the_neutral_menu(ring: Ring) -> None:
    caller, mere = ring(), ring()
    heard = await caller.dial(token="nothing-there")
    assert heard.content == (await mere.dial()).content


async def test_a_token_sent_in_a_message_brings_its_own_words_and_nothing_else(ring: Ring, channel: Channel) -> None:
    customer_id = f"c{a_number()[1:]}"
    chat = await a_chat(channel(), customer_id, {FROM: "San Diego"})
    await a_chat(channel(), customer_id, {HOTEL: "Ritz"}, kind="酒店")
    handoff = await a_token(channel(), chat, delivery="message")
    heard = await ring().dial(token=handoff.token)
    assert "We already have departure city: San Diego." in heard.says
    assert b"Ritz" not in heard.content


async def test_a_pin_tells_who_it_is_and_the_journey_goes_on(ring: Ring, channel: Channel, company: Any) -> None:
    customer_id = f"c{a_number()[1:]}"
    _, journey_id = await a_chat(channel(), customer_id, {FROM: "San Diego", TO: "Fresno"})
    company.pins["4711"] = {"ok": True, "customer_id": customer_id}
    caller = ring()
    await caller.dial()
    heard = await caller.press("*")
    assert heard.says == ["Please enter your PIN, then press the pound key."]
    heard = await caller.press("4711")
    assert heard.says == [
        "Thank you.",
        "About bus tickets.",
        "We already have departure city: San Diego.",
        "We already have destination: Fresno.",
        "To go on with bus tickets, press 1.",
        "For something else, press 9.",
        "To speak to a human, or for a complaint, press 0.",
    ]
    assert company.asked == [{"call_sid": caller.sid, "phone": caller.phone, "pin": "4711"}]
    heard = await caller.press("1")
    assert heard.asks == DATE
    await caller.say("8th of March")
    context = await context_of(channel(), caller)
    assert (context.customer_id, context.assurance.level, context.assurance.method) == (customer_id, 2, "pin")
    assert context.facts[DATE].journey_id == journey_id


async def test_a_pin_that_names_nobody_else_raises_the_call_where_it_is(
    ring: Ring, channel: Channel, company: Any
) -> None:
    phone = a_number()
    customer_id = f"c{phone[1:]}"
    phones = [Identifier(type="phone", value=phone, strength="verified")]
    await a_chat(channel(), customer_id, {FROM: "San Diego"}, identifiers=phones)
    company.pins["1"] = {"ok": True}
    caller = await ring(phone=phone).choose("*", "1")
    assert "We already have departure city: San Diego." in caller.now.says
    assert (await context_of(channel(), caller)).assurance.level == 2


async def test_what_was_said_before_the_pin_goes_on_after_it(ring: Ring, channel: Channel, company: Any) -> None:
    customer_id = f"c{a_number()[1:]}"
    await a_chat(channel(), customer_id, {HOTEL: "Ritz"}, kind="酒店")
    company.pins["1"] = {"ok": True, "customer_id": customer_id}
    caller = await ring().choose("1")
    await caller.say("San Diego")
    await caller.press("*1")
    await caller.press("*")
    heard = await caller.press("1")
    assert "We already have departure city: San Diego." in heard.says
    assert "We already have 酒店 名称 🏨 A b: Ritz." in heard.says
    assert "To go on with bus tickets, press 1." in heard.says
    assert "To go on with a hotel, press 2." in heard.says
    heard = await caller.say("a hotel")
    assert (heard.step, heard.says[:2]) == ("done", ["About a hotel.", "We already have 酒店 名称 🏨 A b: Ritz."])


async def test_something_else_than_what_was_offered_is_not_offered_again(
    ring: Ring, channel: Channel, company: Any
) -> None:
    customer_id = f"c{a_number()[1:]}"
    await a_chat(channel(), customer_id, {FROM: "San Diego"})
    company.pins["1"] = {"ok": True, "customer_id": customer_id}
    caller = await ring().choose("*", "1")
    assert (await caller.press("9")).step == "menu"
    found = await channel().interactions.start(Start(channel="ivr", system="twilio", external_id=caller.sid))
    assert found.resume == []
    heard = await caller.press("1")
    assert "We already have departure city: San Diego." in heard.says


async def test_three_wrong_pins_lead_to_a_human_and_a_pin_leaves_no_trace(
    ring: Ring, office: Channel, company: Any, serving: Any
) -> None:
    caller = await ring().choose("*", "86420975")
    assert caller.now.says[0] == "That was not right."
    await caller.press("86420976")
    heard = await caller.press("86420977")
    assert heard.verbs == ["Say", "Dial"]
    assert [asked["pin"] for asked in company.asked] == ["86420975", "86420976", "86420977"]
    found = await office().interactions.lookup(Ref(system="twilio", id=caller.sid))
    context = await office().contexts.read(found.customer_id, events=100)
    assert [event.data["kind"] for event in context.recent if event.type == "risk.flagged"] == ["pin_refused"]
    heard = await caller.come_back(DialCallStatus="no-answer")
    assert not any("PIN" in line for line in heard.says)
    assert (await caller.press("*")).says[0] == "Sorry, we did not understand."
    traces = [context.model_dump_json(), serving.log(), *caller.urls, *(h.content.decode() for h in caller.heard)]
    assert not any("8642097" in trace for trace in traces)


@pytest.mark.parametrize("broken", [(500, b""), (200, b"never mind")])
async def test_a_pin_that_nobody_can_check_now_leads_back_to_the_menu(
    ring: Ring, company: Any, broken: tuple[int, bytes]
) -> None:
    company.broken["/pin"] = broken
    caller = await ring().choose("*", "4711")
    assert caller.now.says[0] == "We can't check a PIN just now."
    assert caller.now.step == "menu"


async def test_silence_at_the_pin_is_no_try_and_zero_is_a_human(ring: Ring, company: Any) -> None:
    caller = await ring().choose("*")
    assert (await caller.stay_silent()).step == "pin"
    assert (await caller.press("0")).verbs == ["Say", "Dial"]
    assert company.asked == []


@pytest.mark.parametrize("later", ["*", "Later.", "以后"])
async def test_a_fact_is_left_for_later_and_asked_when_the_journey_is_taken_up_again(ring: Ring, later: str) -> None:
    caller = await ring().choose("1")
    heard = await (caller.press(later) if later == "*" else caller.say(later))
    assert heard.asks == TO
    assert (await caller.say("Fresno")).asks == DATE
    heard = await caller.press("*")
    assert heard.says[:2] == ["Noted, destination: Fresno.", "We leave the rest for later."]
    assert (await caller.press("1")).step == "menu"
    heard = await caller.press("1")
    assert heard.asks == FROM
    assert "We already have destination: Fresno." in heard.says
    assert (await caller.say("San Diego")).asks == DATE


@pytest.mark.parametrize("mumbled", [None, "mmh"])
async def test_an_unclear_answer_is_asked_again_once_then_left_for_later(
    ring: Ring, channel: Channel, mumbled: str | None
) -> None:
    caller = await ring().choose("1")

    async def mumble() -> Heard:
        return await (caller.say(mumbled, 0.1) if mumbled else caller.stay_silent())

    heard = await mumble()
    assert (heard.asks, heard.says[0]) == (FROM, "Sorry, we did not understand.")
    assert (await mumble()).asks == TO
    assert (await mumble()).asks == TO
    assert (await mumble()).asks == DATE
    context = await context_of(channel(), caller)
    assert context.facts == {}
    assert [e.data["names"] for e in context.recent if e.type == "question.asked"] == [[FROM], [TO], [DATE]]


async def test_speech_hardly_understood_is_read_out_at_once(ring: Ring, channel: Channel) -> None:
    caller = await ring().choose("1")
    heard = await caller.say("San Diego", 0.6)
    assert (heard.asks, heard.confirms) == (FROM, True)
    assert heard.says == ["We have departure city: San Diego. Is that right? Press 1 for yes, 2 for no."]
    assert (await caller.press("1")).asks == TO
    await caller.say("Frisco", 0.5)
    heard = await caller.say("No.")
    assert (heard.asks, heard.confirms, heard.says) == (TO, False, ["Please tell us: destination."])
    await caller.say("Fresno", 0.9)
    context = await context_of(channel(), caller)
    assert (context.facts[FROM].state, context.facts[FROM].value) == ("confirmed", "San Diego")
    assert (context.facts[TO].state, context.facts[TO].value, context.facts[TO].others) == ("stated", "Fresno", [])
    purposes = [(e.data["names"][0], e.data.get("purpose")) for e in context.recent if e.type == "question.asked"]
    assert purposes == [(FROM, "ask"), (FROM, "confirm"), (TO, "ask"), (TO, "confirm"), (TO, "ask"), (DATE, "ask")]


async def test_a_yes_is_about_the_value_that_was_read_out_and_no_other(ring: Ring, channel: Channel) -> None:
    caller = await ring().choose("1")
    await caller.say("San Diego", 0.6)
    context = await context_of(channel(), caller)
    [call] = context.interactions
    changed = told(
        "fact.stated", interaction_id=call.interaction_id, journey_id=call.journey_id, party="customer",
        name=FROM, value="San Jose", confidence=0.6,
    )  # fmt: skip
    await channel().events.tell(context.customer_id, changed)
    heard = await caller.press("1")
    assert (heard.asks, heard.confirms) == (FROM, True)
    assert "San Jose" in heard.says[0]
    await caller.press("1")
    fact = (await context_of(channel(), caller)).facts[FROM]
    assert (fact.state, fact.value) == ("confirmed", "San Jose")


async def test_a_link_brings_the_caller_to_the_chat_with_all_that_was_said(
    ring: Ring, channel: Channel, company: Any
) -> None:
    caller = await ring().choose("1")
    await caller.say("San Diego")
    heard = await caller.press("*2")
    assert (heard.step, heard.says[0]) == (
        "done",
        "We have sent you a text message with a link to the chat, where we know all that you told us.",
    )
    [text] = company.texts
    assert text["to"] == caller.phone
    address, _, token = text["link"].partition("#")
    assert address == "https://ctx.example.com/chat/acme/"
    assert text["text"] == f"Go on here: {text['link']}"
    chat = await channel().handoffs.redeem(Start(channel="chat", external_id=f"web-{token}"), token=token)
    assert {name: fact.value for name, fact in chat.context.facts.items()} == {FROM: "San Diego"}
    assert chat.context.journeys[0].missing == [TO, DATE]
    assert (await channel().handoffs.get(chat.handoff.handoff_id if chat.handoff else "")).state == "accepted"


async def test_a_link_that_can_t_be_sent_is_not_promised(ring: Ring, company: Any) -> None:
    company.broken["/sms"] = (500, b"")
    caller = await ring().choose("#")
    assert caller.now.says[0] == "We can't send a text message to this number just now."
    nameless = await ring(phone="anonymous").choose("#")
    assert nameless.now.says[0] == "We can't send a text message to this number just now."
    assert company.texts == []


async def test_without_a_gateway_the_platform_sends_the_link(ring: Ring) -> None:
    caller = await ring("small").choose("1", "*2")
    sms = caller.now.the("Sms")
    assert sms.get("to") == caller.phone
    assert (sms.text or "").startswith("Go on here: https://small.example.com/chat#")


async def test_a_code_is_spoken_for_telephones_that_take_no_messages(ring: Ring, channel: Channel) -> None:
    caller = await ring("small").choose("1", "*2")
    [spoken] = [line for line in caller.now.says if "enter the code" in line]
    code = spoken.rstrip(".").partition("code ")[2].replace(" ", "")
    assert spoken.startswith("You can also open small.example.com/chat")
    phones = [Identifier(type="phone", value=caller.phone)]
    chat = await channel("small").handoffs.redeem(
        Start(channel="chat", external_id=code, identifiers=phones), code=code
    )
    assert chat.context.journeys[0].kind == "Buses_1"


async def test_a_human_gets_the_call_with_the_token_and_all_that_was_said(
    ring: Ring, channel: Channel, desk: ContextHub
) -> None:
    caller = await ring().choose("1")
    await caller.say("San Diego")
    heard = await caller.say("Human!")
    assert heard.verbs == ["Say", "Dial"]
    uri = heard.the("Sip").text or ""
    assert len(uri.partition("?")[2]) < 1024
    headers = dict(part.split("=", 1) for part in unquote(uri).partition("?")[2].split("&"))
    token = headers["x-ctx-token"]
    assert headers["User-to-User"] == f"00{token.encode().hex()};encoding=hex"
    offered = await channel().handoffs.lookup(token)
    assert (offered.to.queue, offered.state, offered.reason) == ("agents", "offered", "asked_for_a_human")
    accepted = await desk.handoffs.accept(offered.handoff_id, "ann")
    assert accepted.context.facts[FROM].value == "San Diego"
    await desk.handoffs.complete(offered.handoff_id, "ann", accepted.fence, "resolved")
    assert (await caller.come_back(DialCallStatus="completed")).verbs == ["Say", "Hangup"]


@pytest.mark.parametrize("speech", ["I want to complain about my bill", "agent please"])
async def test_a_complaint_is_one_step_away(ring: Ring, speech: str) -> None:
    caller = ring()
    await caller.dial()
    assert (await caller.say(speech)).verbs == ["Say", "Dial"]


@pytest.mark.parametrize("key_or_words", ["8", "I want to complain about my bill"])
async def test_where_it_is_declared_a_complaint_begins_in_one_step_from_every_menu(
    ring: Ring, channel: Channel, key_or_words: str
) -> None:
    async def complain(caller: Any) -> Any:
        return await (caller.press("8") if key_or_words == "8" else caller.say(key_or_words))

    caller = ring("caring")
    await caller.dial()
    assert (await complain(caller)).says[-1].startswith("Please tell us: complaint about.")
    done = await caller.say("the queue was too long")
    assert "For a complaint, press 8." in done.says
    await complain(caller)
    assert [j.kind for j in (await context_of(channel("caring"), caller)).journeys] == ["complaint"]


async def test_who_takes_up_what_a_colleague_works_on_elsewhere_is_brought_to_the_humans_with_all_of_it(
    ring: Ring, channel: Channel, desk: ContextHub, company: Any
) -> None:
    customer_id = f"c{a_number()[1:]}"
    chat, journey_id = await a_chat(channel(), customer_id, {FROM: "San Diego"})
    offered = await channel().handoffs.offer(
        OfferRequest(
            customer_id=customer_id, interaction_id=chat.interaction.interaction_id, reason="wants a person",
            to=Target(queue="elsewhere"),
        )
    )  # fmt: skip
    await desk.handoffs.accept(offered.handoff.handoff_id, "ann")
    company.pins["1"] = {"ok": True, "customer_id": customer_id}
    caller = ring()
    await caller.dial()
    await caller.press("*")
    heard = await caller.press("1")
    assert not any("go on with" in line for line in heard.says)
    assert (await caller.press("1")).verbs == ["Say", "Dial"]
    waiting = [h for h in await channel().handoffs.list(queue="agents") if h.customer_id == customer_id]
    assert [handoff.reason for handoff in waiting] == ["colleague_at_work"]
    journeys = (await channel().contexts.read(customer_id, interaction_id=chat.interaction.interaction_id)).journeys
    assert [journey.journey_id for journey in journeys] == [journey_id]


async def test_what_a_human_gave_back_goes_on_at_its_step(ring: Ring, channel: Channel, desk: ContextHub) -> None:
    caller = await ring().choose("1")
    await caller.say("San Diego")
    await caller.press("*0")
    [call] = (await context_of(channel(), caller)).interactions
    [waiting] = [h for h in await channel().handoffs.list(queue="agents") if h.interaction_id == call.interaction_id]
    accepted = await desk.handoffs.accept(waiting.handoff_id, "ann")
    about: dict[str, Any] = {"interaction_id": call.interaction_id, "journey_id": call.journey_id, "party": "agent"}
    await desk.events.tell(accepted.handoff.customer_id, told("fact.stated", **about, name=TO, value="Fresno"))
    await desk.handoffs.give_back(waiting.handoff_id, "ann", accepted.fence, note="the date is missing", step="time")
    heard = await caller.come_back(DialCallStatus="completed")
    assert heard.says[0] == "We go on together."
    assert "We already have destination: Fresno." in heard.says
    assert "We are at: the time." in heard.says
    assert heard.asks == DATE


async def test_what_the_second_line_gave_back_begins_with_its_sentence(ring: Ring, channel: Channel) -> None:
    caller, handoffs = await ring().choose("1"), channel().handoffs
    await caller.press("*0")
    [call] = (await context_of(channel(), caller)).interactions
    [waiting] = [h for h in await handoffs.list(queue="agents") if h.interaction_id == call.interaction_id]
    customer_id = waiting.customer_id
    await handoffs.accept(waiting.handoff_id, "ann")
    here = {"customer_id": customer_id, "interaction_id": call.interaction_id, "reason": "refund"}
    second = (await handoffs.offer(OfferRequest(**here, to=Target(agent="bob")))).handoff
    fence = (await handoffs.accept(second.handoff_id, "bob")).fence
    to = Target(bot="ivr")
    await handoffs.give_back(second.handoff_id, "bob", fence, note="-", to=to, step="time", say="Which day?")
    heard = await caller.come_back(DialCallStatus="completed")
    assert heard.says[0] == "Which day?"
    assert heard.step != "goodbye"


@pytest.mark.parametrize("status", ["no-answer", "busy", "failed", "canceled"])
async def test_when_no_human_is_there_the_offer_ends_and_the_menu_goes_on(
    ring: Ring, channel: Channel, status: str
) -> None:
    caller = await ring().choose("0")
    token = (caller.now.the("Sip").text or "").rpartition("x-ctx-token=")[2]
    heard = await caller.come_back(DialCallStatus=status)
    assert (heard.step, heard.says[0]) == ("menu", "Nobody can take your call just now.")
    assert (await channel().handoffs.lookup(token)).state == "cancelled"
    assert (await caller.press("0")).verbs == ["Say", "Dial"]


async def test_a_human_is_reached_although_a_link_was_sent_before(ring: Ring, company: Any, channel: Channel) -> None:
    caller = await ring().choose("#", "0")
    assert caller.now.verbs == ["Say", "Dial"]
    [handoff] = (await context_of(channel(), caller)).handoffs
    assert (handoff.state, handoff.to.queue) == ("offered", "agents")


async def test_a_platforms_own_queue_gets_the_token_in_the_task_or_by_the_hub(ring: Ring, channel: Channel) -> None:
    caller = await ring("router").choose("0")
    task = caller.now.the("Task").text or ""
    assert caller.now.the("Enqueue").get("workflowSid") == "WW1"
    assert '"queue": "人工"' in task
    token = task.partition('"ctx_token": "')[2].partition('"')[0]
    assert (await channel("router").handoffs.lookup(token)).to.queue == "人工"
    plain = await ring("small").choose("0")
    assert plain.now.the("Enqueue").text == "agents"
    [call] = (await context_of(channel("small"), plain)).interactions
    assert call.interaction_id in [h.interaction_id for h in await channel("small").handoffs.list(queue="agents")]
    assert (await plain.come_back(QueueResult="bridged")).verbs == ["Say", "Hangup"]


async def test_who_is_never_understood_gets_a_human(ring: Ring) -> None:
    caller = ring()
    await caller.dial()
    assert (await caller.stay_silent()).says[0] == "Sorry, we did not understand."
    assert (await caller.say("blah blah")).step == "menu"
    assert (await caller.press("7")).verbs == ["Say", "Dial"]


async def test_hanging_up_ends_the_interaction(ring: Ring, channel: Channel) -> None:
    caller = await ring().choose("1")
    answer = await caller.hang_up()
    assert (answer.status_code, answer.content) == (204, b"")
    found = await channel().interactions.lookup(Ref(system="twilio", id=caller.sid))
    assert found.interaction.state == "ended"
    assert (await caller.hang_up()).status_code == 204
    assert (await caller.dial()).verbs == ["Say", "Hangup"]
    assert (await ring().hang_up()).status_code == 204


async def test_nineteen_kinds_are_read_out_page_by_page(ring: Ring, channel: Channel) -> None:
    caller = ring("many")
    heard = await caller.dial()
    assert [line for line in heard.says if "task" in line] == [f"For task {n}, press {n}." for n in range(1, 9)]
    await caller.press("9")
    heard = await caller.press("9")
    assert [line for line in heard.says if "task" in line] == [f"For task {n + 16}, press {n}." for n in range(1, 4)]
    assert (await caller.press("9")).says[0] == "For task 1, press 1."
    await caller.say("Task 18")
    assert [journey.kind for journey in (await context_of(channel("many"), caller)).journeys] == ["kind_18"]


async def test_every_webhook_that_comes_twice_takes_effect_once_and_hears_the_same(
    ring: Ring, channel: Channel, company: Any
) -> None:
    customer_id = f"c{a_number()[1:]}"
    await a_chat(channel(), customer_id, {HOTEL: "Ritz"}, kind="酒店")
    company.pins["1"] = {"ok": True, "customer_id": customer_id}
    caller = ring()
    await twice(caller, channel(), caller.dial())
    await twice(caller, channel(), caller.press("1"))
    await twice(caller, channel(), caller.say("San Diego", 0.6))
    await twice(caller, channel(), caller.say("mmh", 0.1))
    await twice(caller, channel(), caller.say("no"))
    await twice(caller, channel(), caller.say("Fresno"))
    for key in ("*", "*", "1", "*", "1", "9", "2", "2", "0"):
        await twice(caller, channel(), caller.press(key))
    await twice(caller, channel(), caller.come_back(DialCallStatus="busy"))
    assert len(company.texts) == len({text["link"] for text in company.texts})


async def twice(caller: Caller, hub: ContextHub, step: Awaitable[Heard]) -> None:
    """Take a step, then send its webhook again: nothing must change."""
    first = await step
    before = await context_of(hub, caller)
    again = await caller.once_more()
    after = await context_of(hub, caller)
    assert again.content == first.content
    assert (after.customer_id, after.version) == (before.customer_id, before.version)


async def test_a_webhook_that_comes_twice_at_the_same_instant_takes_effect_once(ring: Ring, channel: Channel) -> None:
    caller = await ring().choose("1")
    url = caller.now.action
    answers = await asyncio.gather(*(caller.send(url, {"SpeechResult": "San Diego"}) for _ in range(4)))
    assert len({answer.content for answer in answers}) == 1
    assert [e.type for e in (await context_of(channel(), caller)).recent].count("fact.stated") == 1


async def test_with_knowledge_off_everything_is_asked_again_and_counted(
    ring: Ring, channel: Channel, office: Channel
) -> None:
    hub = channel("control")
    chat = await a_chat(hub, f"c{a_number()[1:]}", {FROM: "San Diego", TO: "Fresno"})
    handoff = await a_token(hub, chat)
    caller = ring("control")
    heard = await caller.dial(token=handoff.token)
    assert b"San Diego" not in heard.content
    assert b"Fresno" not in heard.content
    asked = []
    while heard.asks:
        asked.append(heard.asks)
        heard = await caller.say("something")
    assert asked == [FROM, TO, DATE]
    events = (await office("control").contexts.timeline(chat[0].customer_id)).events
    repeats = [e.data.get("repeats", []) for e in events if e.type == "question.asked"]
    assert repeats == [[FROM], [TO], []]


async def test_a_fact_of_a_journey_that_ended_meanwhile_leads_to_the_menu(ring: Ring, channel: Channel) -> None:
    caller = await ring().choose("1")
    context = await context_of(channel(), caller)
    [call] = context.interactions
    ended = told("journey.completed", interaction_id=call.interaction_id, journey_id=call.journey_id, party="bot")
    await channel().events.tell(context.customer_id, ended)
    assert (await caller.say("San Diego")).step == "menu"


@pytest.mark.parametrize("speech", ["<Hangup/>&\"'", "\x00\x1b[31m", "🚌" * 300, "' OR 1=1 --", "{value}"])
async def test_whatever_is_said_is_kept_as_it_was_said(ring: Ring, channel: Channel, speech: str) -> None:
    caller = await ring().choose("2")
    heard = await caller.say(speech)
    assert heard.step == "done"
    assert not heard.is_degraded
    assert (await context_of(channel(), caller)).facts[HOTEL].value == speech


@pytest.mark.parametrize(
    "query", ["", "n=abc", "n=2&journey=jr_not_there&fact=x", "fact=%00&journey=%F0%9F", "n=1&fact=a&ask=confirm"]
)
@pytest.mark.parametrize("step", ["menu", "pin", "resume", "fact", "done", "queue"])
async def test_a_step_out_of_nowhere_is_answered_all_the_same(ring: Ring, step: str, query: str) -> None:
    caller = ring()
    answer = await caller.send(f"https://ctx.example.com/ivr/twilio/acme/{step}?{query}".rstrip("?"), {"Digits": "7"})
    assert answer.status_code == 200
    assert answer.content.startswith(b"<?xml")
    assert "ctxhub-degraded" not in answer.headers
