"""A CRM hears of a wrap-up and a dialler of a callback: from a hub that listens, read by others' libraries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from standardwebhooks import Webhook

from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from tests.acd.listening import listening
from tests.api.living import Callers, Clock, settings_for
from tests.api.scenes import accept, fresh, known, ok, phone
from tests.hub.receiving import OTHER, SECRET, Receiver, receiving, saying
from tests.interop.test_cloud_events import as_request, read

SOON = timedelta(milliseconds=50)
#: What was said and noted, and must not leave.
SAID = ("I lost my card", "she was in tears", "a new one is on its way")


def declared(crm: Receiver, dialler: Receiver) -> str:
    """What a bank tells its CRM and its dialler."""
    return yaml.safe_dump({
        "default_region": "CN",
        "queues": {"cards": {"dispositions": ["card_blocked", "other"], "callback": {"attempts": 2, "pause": 60}}},
        "webhooks": {
            "crm": {"url": crm.url, "secret": "CRM_SECRET", "timeout": 5,
                    "events": ["handoff.completed", "interaction.ended", "commitment.kept"]},
            "dialler": {"url": dialler.url, "secret": "DIALLER_SECRET", "events": ["callback.*"], "queues": ["cards"]},
        },
    })  # fmt: skip


@pytest.fixture
async def crm() -> AsyncIterator[Receiver]:
    """A CRM that acknowledges."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def dialler() -> AsyncIterator[Receiver]:
    """A dialler that acknowledges."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def clock() -> Clock:
    """The hub's clock, right as the test begins."""
    return Clock()


@pytest.fixture
async def bank(
    tmp_path: Path, clock: Clock, crm: Receiver, dialler: Receiver, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callers]:
    """The bank's staff and channels, and a hub that listens."""
    monkeypatch.setenv("CRM_SECRET", SECRET)
    monkeypatch.setenv("DIALLER_SECRET", OTHER)
    with embedded_server(Settings(data=tmp_path / "server", durability="fast")) as server:
        settings = settings_for(tmp_path / "hub", server.url, webhook_allow="127.0.0.1", timer_tick=SOON)
        (tmp_path / "hub" / "tenants" / "default.yaml").write_text(declared(crm, dialler), encoding="utf-8")
        async with listening(settings, clock) as url, httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield await Callers(http).make()


async def told(receiver: Receiver, type_: str, times: int = 1) -> dict[str, Any]:
    """Wait until an endpoint was told of something so many times; return the last event of it."""
    async with asyncio.timeout(20):
        while len(found := [event for event in receiver.events if event["type"] == type_]) < times:
            await asyncio.sleep(0.02)
    return found[-1]


async def must_be_readable(package: Path, receiver: Receiver, secret: str) -> None:
    """Every message is signed as Standard Webhooks says, and holds a CloudEvent, and no word of anybody's."""
    for got in receiver.got:
        assert Webhook(secret).verify(got.body, got.head) == got.event
        assert not [words for words in SAID if words.encode() in got.body]
    read_ = await asyncio.to_thread(read, package, [as_request(got) for got in receiver.got])
    assert [one["event"]["id"] for one in read_] == [got.head["webhook-id"] for got in receiver.got]
    assert [one["event"]["data"] for one in read_] == [event["data"] for event in receiver.events]


async def test_a_wrap_up_reaches_the_crm_as_one_though_the_first_answer_is_lost(
    bank: Callers, crm: Receiver, dialler: Receiver, clock: Clock, package: Path, need: Callable[[str], str]
) -> None:
    need("node")
    chat = await known(bank.adapter, "chat")
    await chat.tell(chat.event("message.received", {"text": SAID[0]}, party="customer"))
    offered = await chat.offer({"queue": "cards"}, note=SAID[1])
    held = await accept(bank.ann, offered["handoff_id"], "ann")
    clock.move(seconds=90)
    ended = await chat.end()
    assert ended["interaction"]["state"] == "ended"
    clock.move(seconds=30)
    hold = {"agent_id": "ann", "fence": held["fence"]}
    draft = {"draft": {"text": SAID[2], "disposition": "card_blocked"}}
    ok(await bank.ann.call("PUT", f"/v1/handoffs/{offered['handoff_id']}/draft", json=hold | draft))
    await told(crm, "interaction.ended")
    crm.answer = saying("500 Internal Server Error")
    done = hold | {"outcome": "resolved", "disposition": "card_blocked"}
    for _ in range(2):
        ok(await bank.ann.post(f"/v1/handoffs/{offered['handoff_id']}/complete", done, idempotency_key="once"))
    await told(crm, "handoff.completed")
    crm.answer = saying()
    clock.move(seconds=10)
    wrapped = await told(crm, "handoff.completed", 2)
    data = wrapped["data"]
    assert {name: data[name] for name in ("handoff_id", "agent_id", "disposition", "outcome", "queue")} == {
        "handoff_id": offered["handoff_id"], "agent_id": "ann", "disposition": "card_blocked", "outcome": "resolved",
        "queue": "cards",
    }  # fmt: skip
    assert (data["handled"], data["wrap_up"]) == (120, 30)
    assert (wrapped["subject"], data["interaction_id"]) == (chat.customer_id, chat.interaction_id)
    await must_be_readable(package, crm, SECRET)
    ids = [event["id"] for event in crm.events if event["type"] == "handoff.completed"]
    assert len(ids) == 2
    assert len(set(ids)) == 1, "told twice it is one message"
    assert dialler.got == []
    (shown,) = [one for one in ok(await bank.admin.get("/v1/webhooks"))["webhooks"] if one["name"] == "crm"]
    assert (shown["waiting"], shown["delivered"], shown["dead"]) == (0, 2, 0)


async def test_a_callback_reaches_the_dialler_who_calls_and_the_crm_hears_that_the_promise_is_kept(
    bank: Callers, crm: Receiver, dialler: Receiver, clock: Clock, package: Path, need: Callable[[str], str]
) -> None:
    need("node")
    number = phone() | {"strength": "verified"}
    chat = await known(bank.adapter, "chat", identifiers=[number])
    await chat.tell(chat.event("message.received", {"text": SAID[0]}, party="customer"))
    await chat.offer({"queue": "cards"}, kind="callback", callback={}, note=SAID[1])
    await chat.end()
    due = (await told(dialler, "callback.due"))["data"]
    assert (due["attempt"], due["of"], due["queue"]) == (1, 2, "cards")
    callback = f"/v1/handoffs/{due['handoff_id']}"
    dialled = ok(await bank.adapter.post(f"{callback}/dial"))
    assert dialled["number"] == number["value"]
    await told(dialler, "callback.dialled")
    ok(await bank.adapter.post(f"{callback}/attempts", {"attempt": 1, "outcome": "no_answer", "reason": SAID[1]}))
    assert (await told(dialler, "callback.attempted"))["data"]["outcome"] == "no_answer"
    clock.move(seconds=60)
    assert (await told(dialler, "callback.due", 2))["data"]["attempt"] == 2
    ok(await bank.adapter.post(f"{callback}/dial"))
    answered = {"attempt": 2, "outcome": "answered", "agent_id": "ann", "external_id": fresh("out")}
    reached = ok(await bank.adapter.post(f"{callback}/attempts", answered))
    attempted = await told(dialler, "callback.attempted", 2)
    assert attempted["data"]["opened"] == reached["interaction"]["interaction_id"]
    kept = (await told(crm, "commitment.kept"))["data"]
    completed = (await told(crm, "handoff.completed"))["data"]
    assert (completed["handoff_id"], completed["outcome"], completed["agent_id"]) == (
        due["handoff_id"], "answered", "ann",
    )  # fmt: skip
    assert kept["commitment_id"] == due["commitment_id"]
    await must_be_readable(package, crm, SECRET)
    await must_be_readable(package, dialler, OTHER)
    assert not [got for got in (*crm.got, *dialler.got) if number["value"].encode() in got.body]
