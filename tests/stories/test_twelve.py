"""Twelve stories of customers who telephone, each where the hub routes and where the bank's own system does.

Where the hub routes, its router suggests each who waits, on the phone or in the chat, to an agent who is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from tests.acd.listening import listening, switched_on
from tests.adapters.ivr.calling import a_number
from tests.adapters.ivr.serving import AUTH_TOKEN, PUBLIC_URL
from tests.api.living import Clock, settings_for
from tests.api.scenes import Scene, begin, fresh, known, ok, problem, redeem
from tests.stories.telephone import ROUTINGS, Bank, BankWithAcd, Call, Staff, declared

pytestmark = pytest.mark.parametrize("routing", list(ROUTINGS))
SOON = timedelta(milliseconds=100)
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def clock() -> Clock:
    """The hub's clock: it stands still until a story moves it."""
    return Clock()


@pytest.fixture(scope="module")
def environ() -> Iterator[None]:
    """The secret by which the telephone platform signs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IVR_TOKEN", AUTH_TOKEN)
        yield


@pytest.fixture(scope="module")
async def url(clock: Clock, environ: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Where the hub of both banks listens, on a server on which no other hub's clock counts."""
    folder: Path = tmp_path_factory.mktemp("twelve")
    with embedded_server(Settings(data=folder / "server", durability="fast")) as server:
        settings = settings_for(
            folder / "hub", server.url, timer_tick=SOON, relay_lease=3 * SOON, public_url=PUBLIC_URL
        )
        for routing in ROUTINGS:
            (folder / "hub" / "tenants" / f"{routing}.yaml").write_text(declared(routing), encoding="utf-8")
        async with listening(settings, clock) as url:
            yield url


@pytest.fixture(scope="module")
async def banks(url: str, clock: Clock) -> AsyncIterator[dict[str, Bank]]:
    """Both banks, the telephone system of one switched on."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        plain, with_acd = [await Staff.of(http, routing) for routing in ROUTINGS]
        async with switched_on(url, with_acd.adapter.key, clock) as switch:
            yield {
                "hub": Bank(plain, clock),
                "acd": BankWithAcd(with_acd, clock, switch=switch),
            }


@pytest.fixture
async def bank(banks: dict[str, Bank], routing: str) -> AsyncIterator[Bank]:
    """The bank that routes so."""
    yield banks[routing]
    await banks[routing].closes()


def ten_in_the_evening(now: datetime) -> datetime:
    """The next evening at ten after which the office opens the next morning."""
    night = (now + timedelta(days=1)).astimezone(SHANGHAI).replace(hour=22, minute=0, second=0, microsecond=0)
    return night + timedelta(days=max(0, 7 - night.isoweekday()) if night.isoweekday() > 4 else 0)


async def test_app_user_calls_in_and_is_asked_nothing_again_by_menu_or_agent(bank: Bank) -> None:
    phone = a_number()
    app = await bank.app(phone)
    refund = await app.journey()
    await app.tell(app.fact("order_id", "A-17", journey_id=refund))
    offered = await app.offer({"channel": "ivr"})
    call = await bank.rings(phone, **{"SipHeader_x-ctx-token": offered["token"]})
    assert call.says[:3] == ["Welcome back.", "About a refund.", "We already have order: A-17."]
    assert call.telephone.now.asks == "bank"
    assert not any("PIN" in line for line in call.says)
    await call.telephone.press("*0")
    shown = await bank.answers("ann", call, await bank.waits(call))
    assert (shown["context"]["assurance"]["level"], shown["context"]["facts"]["order_id"]["value"]) == (2, "A-17")
    again = await call.scene.asks("order_id", journey_id=refund)
    assert again["order_id"]["verdict"] == "known"
    await bank.hangs_up(call)
    ok(await bank.staff.ann.post(f"/v1/handoffs/{shown['handoff']['handoff_id']}/complete", {
        "agent_id": "ann", "fence": shown["fence"], "outcome": "resolved"}))  # fmt: skip
    assert await bank.states(app) == ["completed", "completed"]


async def test_family_phone_gives_nothing_of_anybody_and_waits_in_the_line_like_everybody(bank: Bank) -> None:
    phone = a_number()
    family = [await bank.app(phone) for _ in range(2)]
    for member in family:
        await member.tell(member.fact("bank", "a bank of my own"))
        await member.offer({"channel": "ivr"}, announce=True)
    call, stranger = await bank.rings(phone), await bank.rings()
    assert call.telephone.now.content == stranger.telephone.now.content
    assert call.scene.customer_id not in {member.customer_id for member in family}
    shown = await bank.answers("ann", call, await bank.in_line(call))
    assert "a bank of my own" not in str([shown, await bank.desk("ann", call)])
    for member in family:
        problem(await bank.staff.ann.get(f"{member.base}/context"), 403, "forbidden")
        assert await bank.states(member) == ["offered"]


async def test_unknown_number_becomes_known_mid_call_and_agent_and_context_stay_with_the_customer(bank: Bank) -> None:
    owner = await bank.app(a_number())
    await owner.tell(owner.fact("order_id", "A-17"))
    call = await bank.rings()
    assert call.scene.customer_id != owner.customer_id
    await call.scene.tell(call.scene.fact("bank", "the bank at the corner"))
    shown = await bank.answers("ann", call, await bank.in_line(call))
    assert "order_id" not in shown["context"]["facts"]
    proof = {"customer_id": owner.customer_id, "assurance": {"level": 2, "method": "otp"}, "reason": "verified"}
    ok(await bank.staff.adapter.post(f"{call.scene.place}/identify", proof))
    now = ok(await bank.staff.ann.get(f"{owner.base}/context", interaction_id=call.scene.interaction_id))
    assert {name: fact["value"] for name, fact in now["facts"].items()} == {
        "order_id": "A-17", "bank": "the bank at the corner",
    }  # fmt: skip
    assert await bank.floor(call) == {"party": "agent", "id": "ann"}
    assert (await bank.stands(shown["handoff"]["handoff_id"]))["customer_id"] == owner.customer_id
    await bank.hangs_up(call)
    assert (await bank.interaction(call))["state"] == "ended"
    done = {"agent_id": "ann", "fence": shown["fence"], "outcome": "resolved"}
    ok(await bank.staff.ann.post(f"/v1/handoffs/{shown['handoff']['handoff_id']}/complete", done))
    assert (await bank.stands(shown["handoff"]["handoff_id"]))["state"] == "completed"


async def test_dropped_in_queue_and_back_on_one_key_the_place_is_as_before(bank: Bank, clock: Clock) -> None:
    call = await bank.rings()
    first = await bank.in_line(call)
    clock.move(minutes=1)
    other = await bank.in_line(await bank.rings())
    await bank.hangs_up(call)
    assert (await bank.stands(first["handoff_id"]))["state"] == "left"
    clock.move(minutes=3)
    back = await bank.rings(call.telephone.phone)
    assert back.says == ["Welcome.", "To go on where you were, press one."]
    heard = await back.telephone.press("1")
    assert heard.says == ["We connect you now. What you have told us goes along."]
    again = await bank.waits(back)
    assert again["waiting_since"] == first["waiting_since"]
    line = [one["handoff_id"] for one in await bank.line()]
    assert line.index(again["handoff_id"]) < line.index(other["handoff_id"])
    await bank.answers("ann", back, again)
    assert await bank.floor(back) == {"party": "agent", "id": "ann"}
    assert await bank.states(back.scene) == ["left", "accepted"]


async def due(bank: Bank, handoff_id: str) -> None:
    """Wait until a callback is due: a timer says so."""
    async with asyncio.timeout(5):
        while (await bank.stands(handoff_id))["callback"]["phase"] != "due":
            await asyncio.sleep(0.02)


async def test_bot_at_night_promises_only_what_is_so_and_the_promise_is_kept_in_the_morning(
    bank: Bank, clock: Clock
) -> None:
    clock.now = ten_in_the_evening(clock.now)
    number = {"type": "phone", "value": a_number()}
    mine = [number | {"strength": "verified"}]
    chat = await known(bank.staff.adapter, "chat", identifiers=mine)
    lost = await chat.journey("card_lost")
    await chat.tell(chat.fact("last_seen", "at the station", journey_id=lost))

    # The bot asks before it promises anything: nobody is there, and what is possible is a call in the morning.
    queue = ok(await bank.staff.adapter.get("/v1/queues/cards"))
    morning = clock.now + timedelta(hours=10, minutes=30)
    assert (queue["open"], datetime.fromisoformat(queue["opens_at"])) == (False, morning)
    callback = queue["alternatives"][0]
    assert (callback["kind"], callback["from"]) == ("callback", queue["opens_at"])

    # Tonight can't be promised; the morning can.
    tonight = {"until": (clock.now + timedelta(hours=1)).isoformat()}
    refused = await chat.try_offer({"queue": "cards"}, kind="callback", callback=tonight, journey_id=lost)
    assert problem(refused, 409, "not_possible_then")["possible_from"] == callback["from"]
    window = {"from": callback["from"], "until": callback["until"], "number": number}
    offered = await chat.offer({"queue": "cards"}, kind="callback", callback=window, journey_id=lost)
    promise = (await chat.context())["commitments"][0]
    assert (promise["what"], promise["owner"], promise["due_at"]) == ("call back", "cards", callback["until"])
    await chat.end(outcome="unresolved")

    # In the night it waits in nobody's line; as the office opens it is due, and exactly one dialler gets it.
    handoff_id = offered["handoff_id"]
    path = f"/v1/handoffs/{handoff_id}"
    assert await bank.line("cards") == []
    problem(await bank.staff.adapter.post(f"{path}/dial"), 409, "wrong_state")
    clock.now = morning
    await due(bank, handoff_id)
    [told] = [event for event in await chat.all_told(bank.staff.admin) if event["type"] == "callback.due"]
    assert (told["data"]["queue"], told["data"]["attempt"], told["journey_id"]) == ("cards", 1, lost)
    everything = str(await chat.all_told(bank.staff.admin)) + str(ok(await bank.staff.adapter.get(path)))
    assert number["value"] not in everything.replace(str(window), "")
    takes = [bank.staff.adapter.post(f"{path}/dial"), bank.staff.adapter.post(f"{path}/dial")]
    one, other = await asyncio.gather(*takes)
    winner, loser = (one, other) if one.is_success else (other, one)
    assert ok(winner)["number"] == number["value"]
    problem(loser, 409, "wrong_state")

    # Nobody answers at first. The customer, who sees the missed call, could call back and be offered just this.
    await bank.reports(handoff_id, attempt=1, outcome="no_answer")
    pin = {"level": 2, "method": "pin"}
    back = await begin(bank.staff.adapter, "ivr", customer_id=chat.customer_id, assurance=pin)
    first = back.started["resume"][0]
    assert (first["journey_id"], first["reason_code"]) == (lost, "missed_call")
    await back.end()

    # The second attempt reaches the customer: the call is on the same journey, and knows what the chat was told.
    clock.move(minutes=11)
    await due(bank, handoff_id)
    assert (await bank.dials(handoff_id))["attempt"] == 2
    answered = {"attempt": 2, "outcome": "answered", "agent_id": "ann"}
    answered |= {"external_id": fresh("out"), "system": "dialler"}
    reached = await bank.reports(handoff_id, **answered)
    call = reached["interaction"]
    assert (call["direction"], call["journey_id"], call["holder"]) == (
        "outbound", lost, {"party": "agent", "id": "ann"},
    )  # fmt: skip
    assert call["assurance"]["level"] <= 1, "who answers a telephone has proven nothing"
    again = await bank.reports(handoff_id, **answered)
    assert again["interaction"]["interaction_id"] == call["interaction_id"]
    shown = ok(await bank.staff.ann.get(f"{chat.base}/context", interaction_id=call["interaction_id"]))
    assert shown["facts"]["last_seen"]["value"] == "at the station"
    kept = [event for event in await chat.all_told(bank.staff.admin) if event["type"].startswith("commitment.")]
    assert [event["type"] for event in kept] == ["commitment.made", "commitment.kept"]
    assert not kept[-1]["data"]["late"]
    assert await bank.states(chat) == ["completed"]
    assert (await bank.stands(handoff_id))["outcome"] == "answered"


async def test_second_line_and_back_to_the_bot_which_goes_on_at_the_step_with_the_agents_sentence(bank: Bank) -> None:
    phone = a_number()
    app = await bank.app(phone)
    refund = await app.journey()
    await app.tell(app.fact("order_id", "A-17", journey_id=refund))
    call = await bank.rings(phone, **{"SipHeader_x-ctx-token": (await app.offer({"channel": "ivr"}))["token"]})
    await call.telephone.press("*0")
    first = await bank.answers("ann", call, await bank.waits(call))
    onwards = await bank.offers(call, {"queue": "second"}, note="wants it back", journey_id=refund)
    second = await bank.answers("bob", call, onwards)
    assert second["context"]["facts"]["order_id"]["value"] == "A-17"
    assert second["handoff"]["note"] == "wants it back"
    assert await bank.floor(call) == {"party": "agent", "id": "bob"}
    back = {"agent_id": "bob", "fence": second["fence"], "to": {"bot": "ivr"}, "step": "payout"}
    where = f"/v1/handoffs/{second['handoff']['handoff_id']}/return"
    ok(await bank.staff.bob.post(where, back | {"say": "One more thing, then it is done."}))
    heard = await call.telephone.come_back(QueueResult="bridged")
    assert heard.says[0] == "One more thing, then it is done."
    assert heard.asks == "bank"
    assert (await bank.floor(call))["party"] == "bot"
    late = call.scene.event("message.sent", {"text": "hello?", "fence": first["fence"]}, party="agent")
    problem(await call.scene.try_tell(late), 409, "not_the_holder")
    assert (await bank.states(call.scene))[1:] == ["transferred", "returned", "accepted"]


async def linked(bank: Bank, call: Call) -> Scene:
    """The chat to which a waiting caller goes by the link that was sent, with the place in the line."""
    await call.telephone.follow(call.telephone.now.the("Enqueue").attrib["waitUrl"])
    heard = await call.telephone.press("2")
    assert "When you go on there, you keep your place." in heard.says
    chat = await redeem(bank.staff.adapter, str(heard.the("Sms").text).partition("#")[2])
    assert chat.started["place_kept"] is True
    return chat


async def test_phone_queue_to_chat_keeps_the_place_and_all_that_was_said(bank: Bank, clock: Clock) -> None:
    call = await bank.rings()
    await call.scene.tell(call.scene.fact("bank", "the bank at the corner"))
    first = await bank.in_line(call)
    clock.move(minutes=4)
    other = await bank.in_line(await bank.rings())
    chat = await linked(bank, call)
    place = chat.started["place"]
    assert (place["waiting_since"], place["to"]) == (first["waiting_since"], {"queue": "chats"})
    assert [one["handoff_id"] for one in await bank.line("chats")].count(place["handoff_id"]) == 1
    await bank.hangs_up(call)
    waiting = [one["handoff_id"] for one in await bank.line()]
    assert (first["handoff_id"] in waiting, other["handoff_id"] in waiting) == (False, True)
    taken = await bank.takes("ann", place)
    assert taken["context"]["facts"]["bank"]["value"] == "the bank at the corner"
    assert (await chat.asks("bank"))["bank"]["verdict"] == "known"
    assert await bank.states(chat) == ["left", "accepted", "accepted"]


async def test_phone_queue_to_chat_and_the_call_is_connected_all_the_same_yet_nobody_waits_twice(
    bank: Bank, clock: Clock
) -> None:
    call = await bank.rings()
    first = await bank.in_line(call)
    clock.move(minutes=4)
    chat = await linked(bank, call)
    place = chat.started["place"]
    connected = await bank.connects("ann", call, first)
    waiting = [one["handoff_id"] for one in await bank.line("chats")]
    assert (place["handoff_id"] in waiting) is not connected
    assert (await bank.floor(call) == {"party": "agent", "id": "ann"}) is connected
    if connected:
        told = [event["data"] for event in await chat.all_told(bank.staff.admin) if event["type"] == "handoff.left"]
        assert [data["handoff_id"] for data in told] == [first["handoff_id"], place["handoff_id"]]
        answered = await bank.stands(told[-1]["went_on_as"])
        assert (answered["agent_id"], answered["waiting_since"]) == ("ann", first["waiting_since"])
    await bank.hangs_up(call)
    assert ((await bank.stands(place["handoff_id"]))["state"] == "left") is connected


async def test_card_number_spoken_reaches_nobody_but_by_its_last_four_digits(bank: Bank) -> None:
    spoken = "my card is four nine two nine seven two four eight one two four six seven seven three one"
    keyed, phone = "4929724812467731", a_number()
    app = await bank.app(phone)
    await app.journey()
    call = await bank.rings(phone, **{"SipHeader_x-ctx-token": (await app.offer({"channel": "ivr"}))["token"]})
    heard = await call.telephone.say(spoken)
    await call.telephone.press(keyed)
    await call.telephone.press("0")
    shown = await bank.answers("ann", call, await bank.waits(call))
    await call.scene.tell(call.scene.event("message.received", {"text": spoken}, party="customer"))
    seen = [
        shown,
        await bank.desk("ann", call),
        await call.scene.all_told(bank.staff.admin),
        await call.scene.context(),
    ]
    everything = "".join(str(seen).split()).lower()
    assert keyed not in everything
    assert "fourninetwonine" not in everything
    assert "7731" in everything
    assert keyed not in "".join(heard.says)
    await bank.hangs_up(call)


async def test_spoofed_number_gets_a_human_and_nothing_of_whose_number_it_is(bank: Bank) -> None:
    phone = a_number()
    owner = await bank.app(phone)
    await owner.tell(owner.fact("bank", "a bank of my own"))
    await owner.offer({"channel": "ivr"}, announce=True)
    call = await bank.rings(phone, StirVerstat="TN-Validation-Failed-A")
    assert call.says == ["Welcome.", "To go on where you were, press one."]
    heard = await call.telephone.press("1")
    assert heard.says[0] == "There is nothing to go on with."
    await call.telephone.press("0")
    shown = await bank.answers("bob", call, await bank.waits(call))
    assert shown["context"]["assurance"]["level"] < 2
    desk = await bank.desk("bob", call)
    assert "a bank of my own" not in str([shown, desk, await call.scene.timeline()])
    assert owner.interaction_id not in str([shown, desk])
    await call.scene.tell(call.scene.fact("bank", "the thief's"))
    assert (await owner.context())["facts"]["bank"]["value"] == "a bank of my own"
    assert (await owner.asks("bank"))["bank"]["verdict"] == "known"


async def test_two_channels_at_once_lead_to_the_agent_who_has_the_customer_and_one_pays(bank: Bank) -> None:
    app = await bank.app(phone := a_number())
    refund = await app.journey()
    call = await bank.rings(phone, **{"SipHeader_x-ctx-token": (await app.offer({"channel": "ivr"}))["token"]})
    await app.tell(app.event("journey.advanced", {"step": "payout"}, journey_id=refund))
    await call.telephone.press("*0")
    await bank.answers("ann", call, await bank.waits(call))
    await bank.is_known_to_hold("ann")
    chat = await known(bank.staff.adapter, "chat", customer_id=app.customer_id)
    assert call.scene.interaction_id in [other["interaction_id"] for other in chat.started["live"]]
    answer = ok(await chat.try_offer({"queue": "chats"}), 201)
    assert answer["handoff"]["prefers"] == {"agent": "ann"}
    listed = ok(await bank.staff.bob.get("/v1/handoffs", queue="chats"))["handoffs"]
    mine = answer["handoff"]["handoff_id"]
    assert [one["prefers"] for one in listed if one["handoff_id"] == mine] == [{"agent": "ann"}]
    for_channels = ok(await bank.staff.adapter.get("/v1/handoffs", queue="chats"))["handoffs"]
    assert [one["prefers"] for one in for_channels if one["handoff_id"] == mine] == [None]
    path = f"{app.base}/journeys/{refund}/claim"
    working = {"step": "payout", "by": "ann", "interaction_id": call.scene.interaction_id}
    held = ok(await bank.staff.ann.post(path, working))["claim"]
    bot = {"step": "payout", "by": "chat-bot", "interaction_id": chat.interaction_id}
    assert problem(await bank.staff.adapter.post(path, bot), 409, "at_work")["worker"]["id"] == "ann"
    refused = problem(await bank.staff.adapter.post(path, {"step": "payout", "by": "app"}), 409, "claimed_by_another")
    assert (refused["by"], refused["until"]) == ("ann", held["until"])
    paid = {"step": "sent", "fence": held["fence"]}
    await call.scene.tell(call.scene.event("journey.advanced", paid, journey_id=refund, party="agent"))
    problem(await bank.staff.adapter.post(path, {"step": "payout", "by": "app"}), 409, "wrong_state")
    taken = await bank.takes("ann", answer["handoff"], "bob", "cat")
    whys = [reason["why"] for reason in taken["suggested"]["reasons"]]
    assert whys[-2:] == ["with_now", "beyond_capacity"], "a call is all of an agent, yet both channels are one customer"
    assert taken["interaction"]["holder"] == {"party": "agent", "id": "ann"}
    assert await bank.floor(call) == {"party": "agent", "id": "ann"}
    await bank.hangs_up(call)


async def test_agents_browser_crashes_mid_call_and_floor_and_draft_are_there_when_it_is_back(
    bank: Bank, clock: Clock
) -> None:
    call = await bank.rings()
    taken = await bank.answers("ann", call, await bank.in_line(call))
    path = f"/v1/handoffs/{taken['handoff']['handoff_id']}"
    draft = {"agent_id": "ann", "fence": taken["fence"], "draft": {"text": "wants a letter"}}
    ok(await bank.staff.ann.call("PUT", f"{path}/draft", json=draft))
    clock.move(hours=2)
    assert await bank.floor(call) == {"party": "agent", "id": "ann"}
    problem(await bank.staff.bob.post(f"{path}/accept", {"agent_id": "bob"}), 409, "held_by_another")
    back = ok(await bank.staff.ann.post(f"{path}/accept", {"agent_id": "ann"}))
    assert (back["fence"], back["handoff"]["draft"]["text"]) == (taken["fence"], "wants a letter")
    await bank.hangs_up(call)
    ok(await bank.staff.ann.post(f"{path}/complete", {"agent_id": "ann", "fence": taken["fence"]}))
    assert await bank.states(call.scene) == ["completed"]


async def test_consult_and_conference_let_three_speak_and_the_floor_stays_with_one(bank: Bank) -> None:
    call = await bank.rings()
    await call.scene.tell(call.scene.fact("bank", "the bank at the corner"))
    taken = await bank.answers("ann", call, await bank.in_line(call))
    problem(await bank.staff.bob.get(f"{call.scene.base}/context"), 403, "forbidden")
    await bank.consults("ann", call, "bob")
    assert (await bank.desk("bob", call))["facts"]["bank"]["value"] == "the bank at the corner"
    assert await bank.floor(call) == {"party": "agent", "id": "ann"}
    await bank.confers(call, "bob")
    legs = (await bank.interaction(call))["legs"]
    assert [leg["role"] for leg in legs if leg["agent_id"] == "bob" and leg["state"] == "talking"] == ["joined"]
    assert await bank.floor(call) == {"party": "agent", "id": "ann"}
    await bank.leaves("bob", call)
    assert (await bank.desk("bob", call))["facts"]["bank"]["value"] == "the bank at the corner"
    assert await bank.floor(call) == {"party": "agent", "id": "ann"}
    assert (await bank.interaction(call))["state"] == "open"
    problem(await bank.staff.cat.get(f"{call.scene.base}/context"), 403, "forbidden")
    await bank.hangs_up(call)
    path = f"/v1/handoffs/{taken['handoff']['handoff_id']}/complete"
    ok(await bank.staff.ann.post(path, {"agent_id": "ann", "fence": taken["fence"]}))
    assert set(await bank.states(call.scene)) == {"completed"}
