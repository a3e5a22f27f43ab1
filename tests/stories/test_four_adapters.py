"""Li Na books a train: by phone, in the chat, in the app, with Ann and then with Bob; she says each thing once.

All four adapters as they are served, each by its own wire. On Sentinels and on a cluster the primary that has her is
killed in the middle of it, at one moment or another, and the story goes on: nothing is lost, nothing asked again.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

from ctxhub.client import Event, OfferRequest, Target
from tests.adapters.app.conftest import App
from tests.adapters.chat.test_secrets import SecretPage
from tests.adapters.ivr.calling import Caller
from tests.api.scenes import fresh, ok
from tests.conftest import Many
from tests.stories.branch import BACK_WITHIN, Branch, Happens, a_branch, losing_its_primary

#: What is known after each channel.
BY_PHONE = {"from_city": "San Diego"}
IN_CHAT = BY_PHONE | {"sms_code": "•••", "to_city": "Fresno"}
IN_APP = IN_CHAT | {"travel_date": "8 March"}
SEATED = IN_APP | {"seats": "2"}


async def test_li_na_books_a_train_over_four_channels_and_says_each_thing_once(many: Many, tmp_path: Path) -> None:
    servers = many()
    if servers is None:
        async with a_branch(tmp_path) as branch:
            await she_books_a_train(branch, nothing)
        return
    async with a_branch(tmp_path, servers.url, "safe") as branch, losing_its_primary(servers, "chat") as lost:
        await she_books_a_train(branch, lost)


async def nothing(moment: str, customer_id: str) -> None:
    """Let nothing happen at any moment."""


async def she_books_a_train(branch: Branch, happens: Happens) -> None:
    """The whole story; `happens` is told each moment, with the customer."""
    li_na, app = fresh("li-na"), App(branch.http)
    link = await she_calls(branch, happens, li_na)
    await she_chats(branch, happens, li_na, link)
    await she_opens_the_app(branch, happens, li_na, app)
    await she_is_helped(branch, happens, li_na, app)
    await branch.stands(li_na, SEATED)
    nothing_was_lost_or_asked_again(await branch.timeline(li_na))


async def she_calls(branch: Branch, happens: Happens, li_na: str) -> str:
    """She proves who she is by her PIN, says where from, and would rather type the rest; return the link she gets."""
    branch.company.pins["4711"] = {"ok": True, "customer_id": li_na}
    call = Caller(branch.http, "default")
    await call.choose("*", "4711")
    await branch.stands(li_na, {})
    assert (await call.say("a train ticket")).asks == "from_city"

    await happens("ivr", li_na)
    heard = await call.say("San Diego")
    assert heard.asks == "sms_code"
    await branch.stands(li_na, BY_PHONE, kept=heard.is_degraded)

    assert (await call.press("*2")).step == "done"
    assert (await call.hang_up()).status_code == 204
    [text] = branch.company.texts
    assert text["to"] == call.phone
    return str(text["link"])


async def she_chats(branch: Branch, happens: Happens, li_na: str, link: str) -> None:
    """The link knows what she said by phone; anybody may have it, so a code comes first; she says where to."""
    page = SecretPage(branch.http)
    opened = await page.open(token=link.partition("#")[2])
    assert [(fact["name"], fact["value"], fact["from"]) for fact in opened["facts"]] == [
        ("from_city", "San Diego", "You, by phone menu")
    ]
    assert (opened["asks"], opened["secure"]) == ("sms_code", "otp")
    branch.company.pins["86420913"] = {"outcome": "accepted"}
    assert (await page.key_in("86420913"))["asks"] == "to_city"

    async with aclosing(branch.following(f"{page.at}stream", params={"session": page.session})) as heard:
        await anext(heard)
        await happens("chat", li_na)
        answer = await page.post("Fresno")
        assert answer.status_code == (202 if answer.json()["kept"] else 200), answer.text
        # Where the hub is away, the bot's answer comes by itself once it is back.
        async with asyncio.timeout(BACK_WITHIN):
            async for name, data in heard:
                if name == "message" and data["party"] == "bot" and "travel date" in data["text"]:
                    break
    now = await page.open()
    missing = [one["name"] for one in now["journey"]["missing"]]
    assert (now["asks"], missing) == ("travel_date", ["travel_date", "seats"])
    await branch.stands(li_na, IN_CHAT, version=now["version"])


async def she_opens_the_app(branch: Branch, happens: Happens, li_na: str, app: App) -> None:
    """The ticket is there as she left it, with what she said and where; she enters the date, and wants a person."""
    home = await app.open(li_na)
    [ticket] = home["journeys"]
    assert [(fact["name"], fact["value"], fact["from"]) for fact in home["facts"]] == [
        ("from_city", "San Diego", "You, phone menu"), ("sms_code", "•••", "Our records, chat"),
        ("to_city", "Fresno", "You, chat"),
    ]  # fmt: skip
    at = ticket["journey_id"]
    form = (await app.does(f"journeys/{at}/form"))["form"]
    assert {row["name"]: row["verdict"] for row in form} == {
        "from_city": "known", "sms_code": "known", "to_city": "known", "travel_date": "ask",
    }  # fmt: skip

    await happens("app", li_na)
    given = await app.post("facts", op_id="date", journey_id=at, facts=[{"name": "travel_date", "value": "8 March"}])
    assert given.status_code == (202 if given.json()["kept"] else 200), given.text
    await branch.stands(li_na, IN_APP, version=given.json()["version"] or 0, kept=given.json()["kept"])
    assert (await app.does("human", reason="two of us"))["status"] == "waiting"


async def she_is_helped(branch: Branch, happens: Happens, li_na: str, app: App) -> None:
    """Ann sees all, says hello, asks what is missing, and passes her on to Bob, who sees all and finishes."""
    async with branch.seat("ann", "people") as ann, branch.seat("bob", "groups") as bob:
        work = await ann.take(await ann.waiting(li_na))
        assert seen(work) == {
            "from_city": ("San Diego", "ivr"), "sms_code": ("•••", "chat"), "to_city": ("Fresno", "chat"),
            "travel_date": ("8 March", "app"),
        }  # fmt: skip
        [ticket] = work["journeys"]
        assert [one["name"] for one in ticket["missing"]] == ["seats"]

        async with aclosing(branch.following(f"{app.at}stream", headers=app.bearer)) as heard:
            await anext(heard)
            await happens("desk", li_na)
            hello = await ann.tell(work, "messages", text="Hello, this is Ann.")
            assert hello.status_code in (200, 202), hello.text
            async with asyncio.timeout(BACK_WITHIN):
                async for name, data in heard:
                    if name == "message" and data["text"] == "Hello, this is Ann.":
                        break

        about = {"journey_id": ticket["journey_id"], "text": "How many are you?"}
        asked = ok(await ann.tell(work, "questions", names=["travel_date"], **about))
        assert (asked["sent"], asked["already"][0]["name"]) == (False, "travel_date")
        asked = ok(await ann.tell(work, "questions", names=["seats"], **about))
        assert (asked["sent"], asked["repeat"]) == (True, [])
        given = await app.does(
            "facts", journey_id=ticket["journey_id"], facts=[{"name": "seats", "value": "2"}]
        )  # fmt: skip
        now = await ann.look(work, given["version"])
        assert seen(now)["seats"] == ("2", "app")
        await branch.stands(li_na, SEATED, version=given["version"])
        assert now["journeys"][0]["missing"] == []

        await passed_on(branch, now)
        taken = await bob.take(await bob.waiting(li_na))
        assert seen(taken) == seen(now)
        assert taken["handoff"]["note"] == "two seats together"
        refused = await ann.tell(work, "messages", text="And another thing.")
        assert (refused.status_code, refused.json()["code"]) == (409, "not_the_holder")
        path = f"handoffs/{taken['handoff']['handoff_id']}/complete"
        done = ok(await bob.http.post(path, json={"fence": taken["handoff"]["fence"], "outcome": "booked"}))
        assert done["handoff"]["state"] == "completed"
        assert (await branch.hub.handoffs.get(work["handoff"]["handoff_id"])).state == "transferred"
    assert (await app.home())["status"] == "self"
    told = [one["text"] for one in (await app.home())["messages"] if one["party"] == "agent"]
    assert told == ["Hello, this is Ann.", "How many are you?"]


async def passed_on(branch: Branch, work: dict[str, Any]) -> None:
    """Ann passes her on to another queue: the page has no button for it, the company's own tool by her key has."""
    handoff = work["handoff"]
    mine = branch.hub.with_key(await branch.key("ann"), "ann")
    request = OfferRequest(
        customer_id=handoff["customer_id"], interaction_id=handoff["interaction_id"], reason="a group",
        to=Target(queue="groups"), fence=handoff["fence"], note="two seats together",
    )  # fmt: skip
    offered = await mine.handoffs.offer(request, key=fresh("op"))
    assert offered.handoff.parent_id == handoff["handoff_id"]


def seen(work: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """What an agent sees of each fact, and from which channel it came."""
    return {row["name"]: (row["value"], row["origin"]["channel"]) for row in work["facts"]}


def nothing_was_lost_or_asked_again(told: list[Event]) -> None:
    """Each thing was said once and asked for only before; no version is missing, no event doubled."""
    assert [event.version for event in told] == list(range(1, len(told) + 1))
    assert len({event.event_id for event in told}) == len(told)
    said = [(event.data["name"], event.channel) for event in told if event.type in ("fact.stated", "fact.verified")]
    assert said == [
        ("from_city", "ivr"), ("sms_code", "chat"), ("to_city", "chat"), ("travel_date", "app"), ("seats", "app"),
    ]  # fmt: skip
    known: set[str] = set()
    for event in told:
        if event.type in ("fact.stated", "fact.verified"):
            known.add(event.data["name"])
        if event.type == "question.asked":
            assert not known & set(event.data["names"])
            assert not event.data.get("repeats")
    assert known == set(SEATED)
