"""The adapter on the page that tells how to write one works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from fastapi import FastAPI

from ctxhub.client import ContextHub, Ref
from tests.adapters.ivr.calling import a_number
from tests.adapters.ivr.serving import ServingHub
from tests.adapters.ivr.test_server import OneHub

PAGE = Path(__file__).parents[3] / "adapters" / "README.md"


def the_adapter_on_the_page() -> Any:
    """The page's code, in one module."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType("ctxhub_sms")
    exec("\n".join(blocks), vars(module))
    return module


async def test_the_page_s_adapter_asks_each_fact_once_and_hands_over_with_all_of_them(
    serving: ServingHub, keys: Any, office: Any
) -> None:
    sender = a_number()
    async with ContextHub(serving.url, keys("acme", "adapter")) as hub:
        app = FastAPI()
        app.include_router(the_adapter_on_the_page().router(OneHub("acme", hub)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as wire:

            async def send(message_id: str, text: str) -> str:
                message = {"message_id": f"{sender}-{message_id}", "sender": sender, "text": text}
                answers = [await wire.post("/sms/acme/messages", json=message) for _ in range(2)]
                assert answers[0].json() == answers[1].json()
                assert "X-Ctxhub-Degraded" not in answers[0].headers
                return str(answers[0].json()["reply"])

            assert await send("1", "I need a bus") == "Please tell us: departure city"
            assert await send("2", "San Diego") == "Please tell us: destination"
            assert await send("3", "Fresno") == "Please tell us: travel date"
            assert await send("4", "a human please") == "A colleague will write to you here."
    found = await office().interactions.lookup(Ref(system="sms", id=sender))
    context = await office().contexts.read(found.customer_id)
    facts = {name: fact.value for name, fact in context.facts.items()}
    assert facts == {"Buses_1.from": "San Diego", "Buses_1.to": "Fresno"}
    assert [event.type for event in context.recent].count("question.asked") == 3
    assert [handoff.to.queue for handoff in context.handoffs] == ["agents"]


async def test_the_page_s_adapter_answers_without_its_hub() -> None:
    hello = {"message_id": "1", "sender": "+15550100", "text": "hi"}
    async with ContextHub("http://127.0.0.1:1", "key", timeout=0.3) as hub:
        app = FastAPI()
        app.include_router(the_adapter_on_the_page().router(OneHub("acme", hub)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as wire:
            answer = await wire.post("/sms/acme/messages", json=hello)
    assert (answer.status_code, answer.headers["X-Ctxhub-Degraded"]) == (200, "away")
