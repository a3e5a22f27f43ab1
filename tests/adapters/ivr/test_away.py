"""A call while the hub is away: the caller goes on, what was said is told later, and nothing of it is asked again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ctxhub_ivr import IvrSettings, router
from fastapi import FastAPI

from ctxhub.client import ContextHub, Event, Ref, SpoolFile
from tests.adapters.chat.test_server import Cable
from tests.adapters.ivr.calling import Caller
from tests.adapters.ivr.serving import PUBLIC_URL, SECRETS, ServingHub, end, ready_url, tenants
from tests.adapters.ivr.test_server import OneHub
from tests.client.spooling import quick
from tests.conftest import Many
from tests.many import environ_of
from tests.support import IMPATIENT, PATIENT

__all__ = ["quick"]

pytestmark = pytest.mark.usefixtures("quick")
MARK = "X-Ctxhub-Degraded"
GO_ON = "Please go on. We note all that you say."


class Line:
    """A telephone menu with a spool, at the end of a cable to its hub."""

    def __init__(self, hub: ContextHub, cable: Cable, wire: httpx.AsyncClient) -> None:
        self.hub = hub
        self.cable = cable
        self._wire = wire

    def caller(self, **about: Any) -> Caller:
        return Caller(self._wire, "acme", **about)

    async def hub_is_back(self) -> None:
        """Mend the cable, and wait until all that waited is told."""
        self.cable.is_cut = self.cable.is_slow = False
        async with asyncio.timeout(10):
            await self.hub.spool.drained()

    async def timeline(self, caller: Caller) -> list[Event]:
        """What the hub has of a call."""
        found = await self.hub.interactions.lookup(Ref(system="twilio", kind="call", id=caller.sid))
        here = found.interaction.interaction_id
        page = await self.hub.contexts.timeline(found.customer_id, after=0, limit=1000)
        return [event for event in page.events if event.interaction_id == here]


@asynccontextmanager
async def a_line(serving: ServingHub, key: str, path: Path, patience: float = PATIENT) -> AsyncIterator[Line]:
    cable, app = Cable(), FastAPI()
    file = SpoolFile(path, "a secret", of="acme")
    async with ContextHub(serving.url, key, transport=cable, timeout=patience, tries=1, spool=file) as hub:
        app.include_router(router(OneHub("acme", hub), IvrSettings(PUBLIC_URL, SECRETS, deadline=1.5 * patience)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as wire:
            yield Line(hub, cable, wire)


@pytest.fixture
async def line(serving: ServingHub, keys: Callable[[str, str], str], tmp_path: Path) -> AsyncIterator[Line]:
    async with a_line(serving, keys("acme", "admin"), tmp_path / "spool") as line:
        await line.hub.tenants.read()
        yield line


def asked(timeline: list[Event]) -> list[str]:
    """What was asked for, in order."""
    return [name for event in timeline if event.type == "question.asked" for name in event.data["names"]]


def stated(timeline: list[Event]) -> dict[str, Any]:
    return {event.data["name"]: event.data["value"] for event in timeline if event.type == "fact.stated"}


async def test_the_caller_goes_on_where_the_hub_went_away_and_is_asked_nothing_twice(line: Line) -> None:
    caller = line.caller()
    await caller.dial()
    assert (await caller.press("1")).asks == "Buses_1.from"
    line.cable.is_cut = True
    heard = await caller.say("San Diego")
    assert (heard.asks, heard.response.headers[MARK]) == ("Buses_1.to", "away")
    assert heard.says[0] == GO_ON
    heard = await caller.say("Los Angeles")
    assert heard.asks == "Buses_1.date"
    assert GO_ON not in heard.says
    line.cable.is_cut = False
    heard = await caller.say("tomorrow")
    assert MARK not in heard.response.headers
    assert heard.step == "done"
    timeline = await line.timeline(caller)
    assert stated(timeline) == {
        "Buses_1.from": "San Diego", "Buses_1.to": "Los Angeles", "Buses_1.date": "tomorrow",
    }  # fmt: skip
    assert asked(timeline) == ["Buses_1.from", "Buses_1.to", "Buses_1.date"]
    assert not any(event.data.get("repeats") for event in timeline)


async def test_a_whole_call_without_the_hub_arrives_later_in_order(line: Line) -> None:
    line.cable.is_cut = True
    caller = line.caller()
    assert GO_ON in (await caller.dial()).says
    assert (await caller.press("1")).asks == "Buses_1.from"
    await caller.say("San Diego")
    await caller.press("*")
    heard = await caller.say("tomorrow")
    assert heard.step == "done"
    assert "Noted, travel date: tomorrow." in heard.says
    assert (await caller.press("3")).verbs[-1] == "Hangup"
    assert (await caller.hang_up()).headers[MARK] == "away"
    await line.hub_is_back()
    timeline = await line.timeline(caller)
    assert timeline[0].type == "interaction.started"
    assert timeline[-1].type == "interaction.ended"
    assert stated(timeline) == {"Buses_1.from": "San Diego", "Buses_1.date": "tomorrow"}
    assert asked(timeline) == ["Buses_1.from", "Buses_1.to", "Buses_1.date"]
    assert await line.hub.spool.refused() == []


async def test_another_process_goes_on_from_what_stands_in_the_address(
    serving: ServingHub, keys: Callable[[str, str], str], tmp_path: Path, line: Line
) -> None:
    caller = line.caller()
    await caller.dial()
    await caller.press("1")
    await caller.say("San Diego")
    async with a_line(serving, keys("acme", "admin"), tmp_path / "other") as other:
        await other.hub.tenants.read()
        other.cable.is_cut = True
        caller._wire = other._wire
        assert (await caller.say("Los Angeles")).asks == "Buses_1.date"
        assert (await caller.say("tomorrow")).step == "done"
        await other.hub_is_back()
    assert stated(await line.timeline(caller)) == {
        "Buses_1.from": "San Diego", "Buses_1.to": "Los Angeles", "Buses_1.date": "tomorrow",
    }  # fmt: skip


async def test_a_value_that_was_read_out_can_be_confirmed_without_the_hub(line: Line) -> None:
    caller = line.caller()
    await caller.dial()
    await caller.press("1")
    heard = await caller.say("San Diego", confidence=0.5)
    assert heard.confirms
    line.cable.is_cut = True
    assert (await caller.press("1")).asks == "Buses_1.to"
    await line.hub_is_back()
    confirmed = [event.data for event in await line.timeline(caller) if event.type == "fact.confirmed"]
    assert [(data["name"], data["value"]) for data in confirmed] == [("Buses_1.from", "San Diego")]


async def test_who_wants_a_human_gets_one_without_a_token_and_the_hub_learns_of_it(line: Line) -> None:
    caller = line.caller()
    await caller.dial()
    line.cable.is_cut = True
    heard = await caller.press("0")
    assert heard.verbs == ["Say", "Say", "Dial"]
    assert heard.the("Sip").text == "sip:agents@pbx.example.com?x-ctx-degraded=1"
    assert (await caller.come_back(DialCallStatus="completed")).verbs[-1] == "Hangup"
    await line.hub_is_back()
    assert "x.ivr.sent_on" in [event.type for event in await line.timeline(caller)]


async def test_a_hub_that_hangs_is_marked_as_slow_and_not_waited_for_each_time(
    serving: ServingHub, keys: Callable[[str, str], str], tmp_path: Path
) -> None:
    async with a_line(serving, keys("acme", "admin"), tmp_path / "spool", IMPATIENT) as line:
        await line.hub.tenants.read()
        caller = line.caller()
        await caller.dial()
        await caller.press("1")
        line.cable.is_slow = True
        for city in ("San Diego", "Los Angeles", "tomorrow"):
            heard = await caller.say(city)
            assert heard.response.headers[MARK] == "slow"
        assert line.hub.away.state == "slow"
        await line.hub_is_back()
        assert len(stated(await line.timeline(caller))) == 3


async def test_a_webhook_that_comes_again_after_the_hub_is_back_takes_effect_once(line: Line) -> None:
    caller = line.caller()
    await caller.dial()
    await caller.press("1")
    line.cable.is_cut = True
    await caller.say("San Diego")
    await caller.once_more()
    await line.hub_is_back()
    while (heard := await caller.once_more()).is_degraded:
        continue
    assert heard.asks == "Buses_1.to"
    timeline = await line.timeline(caller)
    assert [event.type for event in timeline].count("fact.stated") == 1
    assert asked(timeline) == ["Buses_1.from", "Buses_1.to"]


@pytest.fixture(scope="module")
def frail(many: Many, systems: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingHub]:
    hub = ServingHub(tmp_path_factory.mktemp("away"), tenants(systems.url), environ_of(many()))
    hub.start()
    yield hub
    hub.stop()


async def test_a_process_of_its_own_keeps_a_call_going_while_its_hub_is_killed(frail: ServingHub) -> None:
    process = frail.alone("acme")
    try:
        async with httpx.AsyncClient(base_url=ready_url(process), timeout=20) as wire:
            caller = Caller(wire, "acme")
            await caller.dial()
            await caller.press("1")
            frail.stop(signal.SIGKILL)
            heard = await caller.say("San Diego")
            assert (heard.asks, heard.response.headers[MARK]) == ("Buses_1.to", "away")
            frail.start()
            heard = await caller.say("Los Angeles")
            while heard.is_degraded:
                heard = await caller.once_more()
            assert heard.asks == "Buses_1.date"
            counted = (await wire.get("/metrics")).text
            assert 'ctxhub_degraded_total{channel="ivr",why="away"}' in counted
        async with ContextHub(frail.url, frail.key("acme", "admin")) as office:
            found = await office.interactions.lookup(Ref(system="twilio", id=caller.sid))
            timeline = (await office.contexts.timeline(found.customer_id)).events
        assert stated(timeline) == {"Buses_1.from": "San Diego", "Buses_1.to": "Los Angeles"}
        assert asked(timeline) == ["Buses_1.from", "Buses_1.to", "Buses_1.date"]
    finally:
        process.terminate()
        end(process)


async def test_a_process_of_its_own_answers_in_time_while_its_hub_is_frozen(frail: ServingHub) -> None:
    process = frail.alone("acme")
    try:
        async with httpx.AsyncClient(base_url=ready_url(process), timeout=20) as wire:
            caller = Caller(wire, "acme")
            await caller.dial()
            await caller.press("1")
            frail.send(signal.SIGSTOP)
            try:
                began = time.monotonic()
                heard = await caller.say("San Diego")
                waited = time.monotonic() - began
            finally:
                frail.send(signal.SIGCONT)
            assert (heard.asks, heard.response.headers[MARK]) == ("Buses_1.to", "slow")
            assert waited < 15  # what the platform waits at most
    finally:
        process.terminate()
        end(process)
