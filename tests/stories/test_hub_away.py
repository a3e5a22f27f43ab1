"""The hub is away for five minutes in the middle of a call: the caller notices nothing but a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import yaml
from ctxhub_ivr import IvrSettings, router
from fastapi import FastAPI

from ctxhub.client import ContextHub, Event, Ref, SpoolFile
from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from tests.adapters.ivr.calling import Caller, Heard
from tests.adapters.ivr.serving import BUSES, FACTS, PUBLIC_URL, SECRETS
from tests.adapters.ivr.test_server import OneHub
from tests.api.living import ADMIN_KEY, Clock, living, settings_for
from tests.client.spooling import Way, quick

__all__ = ["quick"]

CHANNEL = {"auth_token_env": "IVR_TOKEN", "queue": "agents", "sip_target": "sip:agents@pbx.example.com"}
TENANT = {"languages": ["zh", "en"], "journeys": [BUSES], "facts": FACTS, "channels": {"ivr": CHANNEL}}


class Scene(NamedTuple):
    """A telephone menu beside its hub, and the way between them."""

    wire: httpx.AsyncClient
    way: Way
    hub: ContextHub
    clock: Clock

    async def timeline(self, caller: Caller) -> list[Event]:
        """All that the hub has of the caller."""
        found = await self.hub.interactions.lookup(Ref(system="twilio", kind="call", id=caller.sid))
        return (await self.hub.contexts.timeline(found.customer_id, after=0, limit=1000)).events


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server of its own: on the stories' one, the timers of a hub whose clock is days ahead are at work."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("own"), durability="fast")) as server:
        yield server


@pytest.fixture
async def scene(own_server: EmbeddedServer, quick: None, tmp_path: Path) -> AsyncIterator[Scene]:
    """The hub on a server of its own, and a menu with a spool."""
    clock, menu = Clock(), FastAPI()
    settings = settings_for(tmp_path / "hub", own_server.url)
    written = yaml.safe_dump(TENANT, allow_unicode=True)
    (tmp_path / "hub" / "tenants" / "default.yaml").write_text(written, encoding="utf-8")
    async with living(settings, clock) as app:
        way, file = Way(app), SpoolFile(tmp_path / "spool", "a secret", clock=clock)
        async with ContextHub("http://hub.test", ADMIN_KEY, transport=way, tries=1, spool=file) as hub:
            menu.include_router(router(OneHub("default", hub), IvrSettings(PUBLIC_URL, SECRETS)))
            transport = httpx.ASGITransport(menu)
            async with httpx.AsyncClient(transport=transport, base_url="http://inside") as wire:
                yield Scene(wire, way, hub, clock)


async def test_the_hub_is_away_for_five_minutes_in_the_middle_of_a_call(scene: Scene) -> None:
    began = scene.clock.now
    caller = Caller(scene.wire, "default", language="zh-CN")

    # He wants bus tickets and says where from; all is as usual.
    await caller.dial()
    await caller.press("1")
    heard = await caller.say("杭州")
    assert (heard.asks, heard.is_degraded) == ("Buses_1.to", False)

    # The hub goes away. He is told to go on, once, and does; a minute later, and three minutes after that.
    scene.way.mood = "gone"
    scene.clock.move(minutes=1)
    heard = await caller.say("北京")
    assert heard.asks == "Buses_1.date"
    assert heard.says[0] == "请您继续，您说的内容我们都会记下。"
    scene.clock.move(minutes=3)
    heard = await caller.say("明天")
    assert (heard.step, heard.is_degraded) == ("done", True)

    # It comes back. He asks for a human, and everything goes along.
    scene.clock.move(minutes=1)
    scene.way.mood = "here"
    heard = await _once_it_is_noticed(caller)
    assert "ctx-token=" in (heard.the("Sip").text or "")
    [handoff] = await scene.hub.handoffs.list(queue="agents")
    taken = await scene.hub.handoffs.accept(handoff.handoff_id, "ann")
    known = {name: fact.value for name, fact in taken.context.facts.items()}
    assert known == {"Buses_1.from": "杭州", "Buses_1.to": "北京", "Buses_1.date": "明天"}

    # Nothing was asked twice; each thing stands at the time at which it was said.
    timeline = await scene.timeline(caller)
    asked = [event.data["names"] for event in timeline if event.type == "question.asked"]
    assert asked == [["Buses_1.from"], ["Buses_1.to"], ["Buses_1.date"]]
    assert not any(event.data.get("repeats") for event in timeline)
    said = {event.data["name"]: event.at - began for event in timeline if event.type == "fact.stated"}
    assert said == {
        "Buses_1.from": timedelta(0), "Buses_1.to": timedelta(minutes=1), "Buses_1.date": timedelta(minutes=4),
    }  # fmt: skip
    assert [event.version for event in timeline] == list(range(1, len(timeline) + 1))
    assert await scene.hub.spool.refused() == []


async def _once_it_is_noticed(caller: Caller) -> Heard:
    """Ask for a human as often as it takes until the menu has noticed that the hub is back."""
    at = caller.now.action
    async with asyncio.timeout(20):
        while True:
            heard = await caller._go(at, {"Digits": "0"})
            if not heard.is_degraded:
                return heard
            await asyncio.sleep(0.01)
