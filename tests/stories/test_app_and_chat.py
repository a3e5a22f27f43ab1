"""From the app to chat and back: each side goes on where the other was, and neither asks what the other has heard."""

from __future__ import annotations

from tests.api.living import Callers
from tests.api.scenes import Caller, accept, begin, fresh, ok, redeem

LOGIN = {"level": 2, "method": "login"}


async def test_what_was_begun_in_the_app_goes_on_in_chat_and_comes_back(callers: Callers, adapter: Caller) -> None:
    # Logged in, she begins in the app; typing the rest is easier with somebody to ask.
    app = await begin(adapter, "app", customer_id=fresh("li-na"), assurance=LOGIN, language="zh")
    refund = await app.journey("refund")
    await app.tell(app.fact("order_id", "A-17", journey_id=refund))
    over = await app.offer({"channel": "chat"}, reason="has a question", delivery="signal")

    # The app's own token carries the login: chat asks neither who she is nor for the order.
    chat = await redeem(adapter, over["token"], "chat")
    assert chat.started["interaction"]["assurance"]["level"] == 2
    answers = await chat.asks("order_id", "bank", "account", journey_id=refund)
    assert {name: answer["verdict"] for name, answer in answers.items()} == {
        "order_id": "known", "bank": "ask", "account": "ask",
    }  # fmt: skip
    await chat.tell(chat.event("question.asked", {"names": ["bank"]}, journey_id=refund))
    await chat.tell(chat.fact("bank", "ICBC", journey_id=refund))

    # Back to the app: what was told in chat stands there, also in the visit that stayed open all the while.
    back = await chat.offer({"channel": "app"}, reason="to sign", delivery="signal")
    again = await redeem(adapter, back["token"], "app")
    [offer] = again.started["resume"]
    assert (offer["journey_id"], offer["missing"]) == (refund, ["account"])
    assert (await app.asks("bank", journey_id=refund))["bank"]["verdict"] == "known"
    await again.tell(again.fact("account", "6222", journey_id=refund))
    await again.tell(again.event("journey.completed", journey_id=refund))

    asked = [each["data"] for each in await again.all_told(callers.admin) if each["type"] == "question.asked"]
    assert [each["names"] for each in asked] == [["bank"]]
    assert not any("repeats" in each for each in asked)


async def test_what_the_bot_knew_ann_knows_and_what_ann_heard_the_bot_knows(callers: Callers, adapter: Caller) -> None:
    # The bot has the order; the bank is a matter for a human.
    chat = await begin(adapter, "chat", customer_id=fresh("c"), assurance=LOGIN)
    refund = await chat.journey("refund")
    await chat.tell(chat.fact("order_id", "A-17", journey_id=refund))
    offered = await chat.offer({"queue": "billing"}, reason="bot is stuck", journey_id=refund)
    taken = await accept(callers.ann, offered["handoff_id"], "ann")
    assert taken["context"]["facts"]["order_id"]["value"] == "A-17"

    # Ann hears the bank and gives the customer back to the bot, at the step where a bot is enough.
    bank = chat.fact("bank", "ICBC", journey_id=refund, party="customer")
    await chat.tell(bank)
    ok(await callers.ann.post(
        f"/v1/handoffs/{offered['handoff_id']}/return",
        {"agent_id": "ann", "fence": taken["fence"], "step": "payout", "note": "only the account is missing"},
    ))  # fmt: skip

    # The bot has the floor again, with all of it; whoever takes the chat next finds Ann's note.
    context = await chat.context()
    here = next(each for each in context["interactions"] if each["interaction_id"] == chat.interaction_id)
    [journey] = context["journeys"]
    assert (here["holder"]["party"], journey["step"], journey["missing"]) == ("bot", "payout", ["account"])
    verdicts = await chat.asks("order_id", "bank", "account", journey_id=refund)
    assert [verdicts[name]["verdict"] for name in ("order_id", "bank", "account")] == ["known", "known", "ask"]
    await chat.tell(chat.event("message.sent", {"text": "Which account?", "fence": here["fence"]}, party="bot"))
    again = await chat.offer({"queue": "billing"}, reason="asks for Ann")
    await accept(callers.bob, again["handoff_id"], "bob")
    brief = ok(await callers.bob.get(f"{chat.base}/brief", interaction_id=chat.interaction_id, view="agent", lang="en"))
    assert any("only the account is missing" in line["text"] for line in brief["lines"])
