"""Whole calls that go on elsewhere: cut off and back, out of the queue into the chat, in from the app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ctxhub.client import AssuranceClaim, ContextHub, HandoffView, Identifier, OfferRequest, Ref, Start, Target, told
from tests.adapters.ivr.calling import Caller, a_number
from tests.adapters.ivr.conftest import Company
from tests.adapters.ivr.serving import DIAL, LENT
from tests.adapters.ivr.test_calls import a_chat

FROM = "Buses_1.from"
Channel = Callable[..., ContextHub]
Ring = Callable[..., Caller]
WELCOME = ["Welcome.", "To go on where you were, press one."]
BOTH = pytest.mark.parametrize("routing", ["hub", "external"])


async def in_the_queue(ring: Ring, routing: str, phone: str) -> Caller:
    """A caller who waits for a human."""
    caller = ring(routing, phone=phone)
    await caller.dial()
    await caller.stay_silent()
    await caller.press("0")
    return caller


async def waiting(hub: ContextHub) -> list[str]:
    """The handoffs of the queue, in line."""
    return [handoff.handoff_id for handoff in await hub.handoffs.list(queue="agents")]


async def interaction_of(hub: ContextHub, caller: Caller) -> str:
    return (await hub.interactions.lookup(Ref(system="twilio", id=caller.sid))).interaction.interaction_id


async def place_of(hub: ContextHub, caller: Caller) -> HandoffView:
    """Where a caller waits."""
    at = await interaction_of(hub, caller)
    [found] = [h for h in await hub.handoffs.list(queue="agents") if h.interaction_id == at]
    return found


async def to_the_phone(hub: ContextHub, phone: str, **more: Any) -> tuple[HandoffView, str]:
    """The offer of an app's user, logged in, to go on by telephone."""
    identifiers = [Identifier(type="phone", value=phone, strength="verified")]
    start = Start(
        channel="app", external_id=a_number(), customer_id=f"c{phone[1:]}", identifiers=identifiers,
        assurance=AssuranceClaim(level=2, method="login"),
    )  # fmt: skip
    app = await hub.interactions.start(start)
    about: dict[str, Any] = {"interaction_id": app.interaction.interaction_id, "party": "customer"}
    await hub.events.tell(app.customer_id, told("fact.stated", **about, name=FROM, value="San Diego"))
    request = OfferRequest(
        customer_id=app.customer_id, interaction_id=app.interaction.interaction_id, reason="wants_to_talk",
        to=Target(channel="ivr"), **more,
    )  # fmt: skip
    return (await hub.handoffs.offer(request)).handoff, app.customer_id


async def test_every_caller_hears_one_sentence_that_discloses_nothing(ring: Ring, channel: Channel) -> None:
    dropped = await in_the_queue(ring, "hub", a_number())
    await dropped.hang_up()
    known = a_number()
    phones = [Identifier(type="phone", value=known, strength="verified")]
    await a_chat(channel("hub"), f"c{known[1:]}", {FROM: "San Diego"}, identifiers=phones)
    callers = [ring("hub", phone=phone) for phone in (dropped.phone, known, a_number(), "anonymous")]
    heard = [await caller.dial() for caller in callers]
    assert heard[0].says == WELCOME
    assert len({one.content for one in heard}) == 1
    silent = [await caller.stay_silent() for caller in callers]
    assert len({one.content for one in silent}) == 1


@BOTH
async def test_dropped_in_the_queue_and_back_on_one_key(
    ring: Ring, channel: Channel, office: Channel, routing: str
) -> None:
    first = await in_the_queue(ring, routing, a_number())
    before = await place_of(office(routing), first)
    other = await place_of(office(routing), await in_the_queue(ring, routing, a_number()))
    await first.hang_up()
    back = ring(routing, phone=first.phone)
    await back.dial()
    heard = await back.press("1")
    if routing == "external":
        assert heard.says[0] == "There is nothing to go on with."
        return
    assert heard.says == ["We connect you now. What you have told us goes along."]
    assert (heard.verbs[-1], heard.step) == ("Enqueue", "queue")
    place = await place_of(office(routing), back)
    assert (place.waiting_since, place.parent_id) == (before.waiting_since, before.handoff_id)
    line = await waiting(office(routing))
    assert line.index(place.handoff_id) < line.index(other.handoff_id)


async def test_all_who_can_not_go_on_hear_the_same(ring: Ring, channel: Channel) -> None:
    shared, known = a_number(), a_number()
    for customer_id in ("one", "two"):
        phones = [Identifier(type="phone", value=shared, strength="verified")]
        await a_chat(channel("hub"), f"{customer_id}{shared[1:]}", {FROM: "x"}, identifiers=phones)
    phones = [Identifier(type="phone", value=known, strength="verified")]
    await a_chat(channel("hub"), f"c{known[1:]}", {FROM: "x"}, identifiers=phones)
    family = await in_the_queue(ring, "hub", shared)
    await family.hang_up()
    callers = [ring("hub", phone=phone) for phone in (shared, known, a_number(), "anonymous")]
    for caller in callers:
        await caller.dial()
    heard = [await caller.press("1") for caller in callers]
    assert len({one.content for one in heard}) == 1
    assert heard[0].says[0] == "There is nothing to go on with."
    assert heard[0].step == "menu"


@BOTH
async def test_phone_queue_to_chat_says_whether_the_place_goes_along(
    ring: Ring, channel: Channel, office: Channel, company: Company, routing: str
) -> None:
    caller = await in_the_queue(ring, routing, a_number())
    before = await place_of(office(routing), caller)
    wait = await caller.follow(caller.now.the("Enqueue").attrib["waitUrl"])
    assert wait.says == ["To go on in the chat instead of waiting here, press 2. We send you a link."]
    heard = await caller.press("2")
    words = "When you go on there, you keep your place." if routing == "hub" else (
        "Your place in this line can't come along: it is kept as long as you stay on the phone."
    )  # fmt: skip
    assert heard.says[1] == words
    assert (await caller.once_more()).content == heard.content
    [text] = company.texts
    token = text["link"].partition("#")[2]
    start = Start(channel="chat", external_id=a_number())
    chat = await channel(routing).handoffs.redeem(start, token=token)
    assert chat.interaction.assurance.level == 1
    assert chat.place_kept is (routing == "hub")
    now_waiting = [h for h in await office(routing).handoffs.list(queue="agents") if h.root_id == before.root_id]
    assert [h.waiting_since for h in now_waiting] == [before.waiting_since]
    assert [h.channel for h in now_waiting] == ["chat" if routing == "hub" else "ivr"]
    await caller.hang_up()
    kept = [h for h in await office(routing).handoffs.list(queue="agents") if h.root_id == before.root_id]
    assert len(kept) == (1 if routing == "hub" else 0)


async def test_app_user_calls_in_by_the_apps_token_and_is_asked_no_pin(ring: Ring, channel: Channel) -> None:
    phone = a_number()
    handoff, _ = await to_the_phone(channel("hub"), phone)
    caller = ring("hub", phone=phone)
    heard = await caller.dial(**{"SipHeader_x-ctx-token": str(handoff.token)})
    assert heard.says[:2] == ["Welcome back.", "We already have departure city: San Diego."]
    assert not any("PIN" in line for line in heard.says[:2])


async def test_app_user_calls_in_by_the_number_and_the_digits_behind_it(ring: Ring, channel: Channel) -> None:
    phone = a_number()
    handoff, _ = await to_the_phone(channel("hub"), phone)
    assert handoff.dial is not None
    if handoff.dial.number == LENT:
        handoff, _ = await to_the_phone(channel("hub"), phone)
    assert handoff.dial is not None
    assert (handoff.dial.number, handoff.dial.post_dial) == (DIAL, f",,{handoff.code}#")
    caller = ring("hub", phone=phone)
    assert (await caller.dial(To=DIAL)).says == WELCOME
    heard = await caller._go(caller.now.action, {"Digits": str(handoff.code), "To": DIAL})
    assert heard.says[0] == "Welcome back."
    assert (await channel("hub").handoffs.get(handoff.handoff_id)).state == "accepted"
    wrong = ring("hub", phone=phone)
    await wrong.dial(To=DIAL)
    heard = await wrong._go(wrong.now.action, {"Digits": f"{(int(str(handoff.code)) + 1) % 10**8:08}", "To": DIAL})
    assert heard.says[0] == "There is nothing to go on with."


async def test_an_announced_call_is_found_and_hears_what_everybody_hears(ring: Ring, channel: Channel) -> None:
    phone = a_number()
    handoff, customer_id = await to_the_phone(channel("external"), phone, announce=True)
    caller, stranger = ring("external", phone=phone), ring("external")
    assert (await caller.dial()).content == (await stranger.dial()).content
    assert (await channel("external").handoffs.get(handoff.handoff_id)).state == "accepted"
    assert (
        await channel("external").interactions.lookup(Ref(system="twilio", id=caller.sid))
    ).customer_id == customer_id


async def test_a_lent_number_finds_its_offer(ring: Ring, channel: Channel) -> None:
    handoff, customer_id = await to_the_phone(channel("external"), a_number())
    if handoff.dial is None or handoff.dial.number != LENT:
        pytest.fail("the only number of the pool is lent to nobody else")
    caller = ring("external", phone="anonymous")
    assert (await caller.dial(To=LENT)).says == WELCOME
    found = await channel("external").interactions.lookup(Ref(system="twilio", id=caller.sid))
    assert (found.customer_id, found.interaction.assurance.level) == (customer_id, 0)
