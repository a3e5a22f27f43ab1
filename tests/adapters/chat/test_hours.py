"""After hours: the chat says when somebody will be there, and promises a call that the hub can keep."""

from __future__ import annotations

import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import yaml
from ctxhub_chat.hours import closed_lines, promised_line, window_of

from ctxhub.client import (
    AlternativeView,
    AssuranceClaim,
    Callback,
    ContextHub,
    Identifier,
    OfferRequest,
    QueueView,
    Start,
    Target,
    told,
)
from tests.conftest import Many
from tests.many import environ_of

from .conftest import KEY, TENANT, Page, running
from .scenes import TENANT as TRAVEL
from .scenes import an_offer

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
ZONE = {"calendars": {"office": {"timezone": "Asia/Shanghai", "hours": {"mon": ["08:30-18:00"]}}}}
SHANGHAI = TRAVEL.model_validate(
    TRAVEL.model_dump(mode="json") | ZONE | {"queues": {"service": {"hours": "office"}}}
)  # fmt: skip
WINDOW = AlternativeView(kind="callback", from_=NOON, until=NOON + timedelta(hours=2))


def test_of_an_open_queue_nothing_is_said() -> None:
    assert closed_lines(None, SHANGHAI, "en") == closed_lines(QueueView(queue="service"), SHANGHAI, "en") == []


@pytest.mark.parametrize(
    ("queue", "lang", "said"),
    [
        ({}, "en", ["Nobody is there just now."]),
        ({"opens_at": NOON}, "en", ["Nobody is there just now. We open again on Wednesday, 2 January at 20:00."]),
        ({"opens_at": NOON, "alternatives": [WINDOW]}, "zh",
         ["现在没有客服值班，1月2日周三20:00恢复服务。", "需要我们届时给您回电吗？"]),
    ],
)  # fmt: skip
def test_of_a_closed_one_only_what_is_so(queue: dict[str, Any], lang: Any, said: list[str]) -> None:
    closed = QueueView.model_validate({"queue": "service", "open": False} | queue)
    assert closed_lines(closed, SHANGHAI, lang) == said
    assert (window_of(closed) is None) == ("alternatives" not in queue)


def test_the_promise_is_said_as_the_hub_made_it() -> None:
    callback = Callback.model_validate(
        {"from": NOON, "until": NOON + timedelta(hours=2), "number": {"ref": "r"}, "commitment_id": "cb"}
    )
    offer = an_offer(kind="callback", callback=callback)
    assert promised_line(offer, SHANGHAI, "zh") == "我们会在1月2日周三20:00至22:00之间给您回电。"
    english = "We will call you on Wednesday, 2 January at 20:00 or soon after, until 22:00 at the latest."
    assert promised_line(offer, SHANGHAI, "en") == english


@pytest.fixture(scope="module")
def night_url(many: Many, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a hub whose people are away until tomorrow."""
    folder, now = tmp_path_factory.mktemp("night"), datetime.now(UTC)
    (folder / "tenants").mkdir()
    closed = [{"from": now - timedelta(days=1), "until": now + timedelta(days=1), "reason": "the night"}]
    always = {weekday: ["00:00-24:00"] for weekday in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    night = {"calendars": {"night": {"timezone": "UTC", "hours": always, "closed": closed}},
             "queues": {"people": {"hours": "night", "alternatives": [{"kind": "callback"}]}}}  # fmt: skip
    declared = yaml.safe_load(TENANT) | night
    (folder / "tenants" / "default.yaml").write_text(yaml.safe_dump(declared, allow_unicode=True), encoding="utf-8")
    environ = {"CTXHUB_ADMIN_KEY": KEY, "CTXHUB_DURABILITY": "fast", "CTXHUB_TENANTS": str(folder / "tenants")}
    command = ["ctxhub", "serve", "--port", "0", "--data", str(folder / "data")]
    with running(command, environ | environ_of(many()), folder / "log") as (process, url):
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.fixture
async def night(night_url: str) -> AsyncIterator[Page]:
    """A page of its chat."""
    async with httpx.AsyncClient(base_url=night_url, timeout=10) as http:
        yield Page(http)


async def test_a_stranger_at_night_is_told_when_and_that_there_is_no_number_to_call(night: Page) -> None:
    await night.open()
    asked = (await night.say("Talk to a person"))["messages"][-1]
    assert asked["text"].startswith("Nobody is there just now. We open again on ")
    assert asked["quick_replies"] == ["Please call me back", "Go on with the assistant"]
    answer = (await night.say("Please call me back"))["messages"][-1]
    assert answer["text"].startswith("I know of no number of yours to call.")


async def test_a_customer_with_a_number_is_promised_a_call_tomorrow_and_nothing_else(
    night: Page, night_url: str
) -> None:
    async with ContextHub(night_url, KEY) as company:
        number = Identifier(type="phone", value=f"+86138{secrets.randbelow(10**8):08}", strength="verified")
        start = Start(channel="ivr", external_id=secrets.token_hex(16), identifiers=[number],
                      assurance=AssuranceClaim(level=2, method="pin"))  # fmt: skip
        call = await company.interactions.start(start)
        at = call.interaction.interaction_id
        begun = told("journey.started", interaction_id=at, party="customer", kind="train_ticket", journey_id="jr_night")
        await company.events.tell(call.customer_id, begun)
        to_chat = OfferRequest(
            customer_id=call.customer_id, interaction_id=at, reason="chat", to=Target(channel="chat")
        )
        token = (await company.handoffs.offer(to_chat)).handoff.token
        await night.open(token=token)
        await night.say("Talk to a person")
        answer = (await night.say("Please call me back"))["messages"][-1]
        assert answer["text"].startswith("We will call you on ")
        seen = await company.contexts.read(call.customer_id)
        [promise] = seen.commitments
        [callback] = [handoff for handoff in seen.handoffs if handoff.kind == "callback"]
        assert (promise.what, promise.owner, promise.journey_id) == ("call back", "people", "jr_night")
        assert callback.callback is not None
        assert promise.due_at == callback.callback.until
        waiting = [handoff for handoff in seen.handoffs if handoff.state == "offered" and handoff.kind == "live"]
        assert waiting == [], "nobody waits in vain"
        again = (await night.say("Please call me back"))["messages"][-1]
        assert again["text"].startswith("I can't promise a call just now.")
