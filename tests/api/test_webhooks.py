"""Webhooks over HTTP: a whole hub tells an endpoint, and an admin sees how that goes and drives dead letters again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ctxhub.settings import Settings
from ctxhub.store.embedded import embedded_server
from tests.api.living import ADMIN_KEY, http_to, living, settings_for
from tests.api.scenes import Caller, ok, problem
from tests.hub.receiving import SECRET, Receiver, receiving, saying

WEBHOOKS = """
webhooks:
  crm:
    url: {url}
    secret: HOOK_SECRET
    events: [interaction.started]
"""


@pytest.fixture
async def crm() -> AsyncIterator[Receiver]:
    """An endpoint that wants nothing more."""
    async with receiving() as receiver:
        receiver.answer = saying("410 Gone")
        yield receiver


@pytest.fixture
async def admin(tmp_path: Path, crm: Receiver, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    """An admin of a hub whose tenant declares the endpoint; it works by itself, on a server that no other hub tends."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with embedded_server(Settings(data=tmp_path / "server", durability="fast")) as server:
        settings = settings_for(tmp_path, server.url, webhook_allow="127.0.0.1")
        path = tmp_path / "tenants" / "default.yaml"
        path.write_text(path.read_text(encoding="utf-8") + WEBHOOKS.format(url=crm.url), encoding="utf-8")
        async with living(settings) as app, http_to(app) as http:
            yield Caller(http, ADMIN_KEY)


async def until(admin: Caller, **wanted: Any) -> dict[str, Any]:
    """Wait until the endpoint stands like that; return how it does."""
    async with asyncio.timeout(20):
        while True:
            (shown,) = ok(await admin.get("/v1/webhooks"))["webhooks"]
            if all(shown[name] == value for name, value in wanted.items()):
                return dict(shown)
            await asyncio.sleep(0.05)


async def test_dead_letters_are_seen_and_driven_again(admin: Caller, crm: Receiver) -> None:
    start = {"channel": "chat", "external_id": f"visit {crm.port}", "customer_id": "c-hooks"}
    ok(await admin.post("/v1/interactions", start), 201)
    shown = await until(admin, dead=1, waiting=0)
    assert shown["disabled_at"] is not None
    (dead,) = ok(await admin.get("/v1/webhooks/crm/dead"))["deliveries"]
    assert (dead["state"], dead["said"], dead["type"]) == ("dead", "410", "interaction.started")
    crm.answer = saying()
    assert ok(await admin.post("/v1/webhooks/crm/redrive", {})) == {"redriven": 1}
    await until(admin, dead=0, delivered=1, disabled_at=None, oldest_at=None)
    (delivered,) = ok(await admin.get("/v1/webhooks/crm/delivered"))["deliveries"]
    assert delivered["webhook_id"] == dead["webhook_id"] == crm.events[-1]["id"]
    assert ok(await admin.get("/v1/webhooks/crm/waiting")) == {"deliveries": []}


async def test_an_endpoint_or_a_state_that_there_is_not_is_refused(admin: Caller) -> None:
    problem(await admin.get("/v1/webhooks/nobody/dead"), 404, "unknown")
    problem(await admin.post("/v1/webhooks/nobody/redrive", {}), 404, "unknown")
    problem(await admin.get("/v1/webhooks/crm/lost"), 422, "invalid")
    problem(await admin.get("/v1/webhooks/crm/dead", limit=0), 422, "invalid")


async def test_the_declarations_show_no_address(admin: Caller) -> None:
    shown = ok(await admin.get("/v1/tenant"))
    assert not {"webhooks", "sources"} & shown.keys()
