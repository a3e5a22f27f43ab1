"""The tenant's systems take what the hub has signed, over real HTTP, and nothing else."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from ctxhub.replay.hooks import PIN, SMS, Systems, serving
from ctxhub.replay.ivr import Person

PHONE = "+12125550100"
SECRET = "a secret of both sides"


@pytest.fixture
async def systems() -> Systems:
    """The systems of a tenant with one customer who has a PIN."""
    systems = Systems(SECRET)
    systems.enrol(Person(PHONE, "en", "4711"))
    systems.enrol(Person("+12125550199", "en", None))
    return systems


@pytest.fixture
async def http(systems: Systems) -> AsyncIterator[httpx.AsyncClient]:
    """The way to them."""
    async with serving(systems) as at, httpx.AsyncClient(base_url=at) as client:
        yield client


async def send(http: httpx.AsyncClient, path: str, secret: str = SECRET, **content: Any) -> httpx.Response:
    """Send what the hub sends, signed by Standard Webhooks."""
    body = json.dumps(content).encode()
    mac = hmac.new(secret.encode(), b"msg_1.1700000000." + body, sha256).digest()
    signature = f"v1,AAAA v1,{base64.b64encode(mac).decode()}"
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1700000000", "webhook-signature": signature}
    return await http.post(path, content=body, headers=headers)


async def test_a_pin_is_right_for_its_own_telephone_only(http: httpx.AsyncClient) -> None:
    tried = [(PHONE, "4711"), (PHONE, "4712"), ("+12125550199", "4711")]
    answers = [(await send(http, PIN, phone=phone, pin=pin, call_sid="CA1")).json() for phone, pin in tried]
    assert answers == [{"ok": True}, {"ok": False}, {"ok": False}]


async def test_a_text_message_is_read_once_by_whom_it_was_sent_to(systems: Systems, http: httpx.AsyncClient) -> None:
    sent = await send(http, SMS, to=PHONE, link="https://hub.example/chat/replay/#t", text="…")
    assert sent.is_success
    assert systems.take_link("+12125550199") is None
    assert systems.take_link(PHONE) == "https://hub.example/chat/replay/#t"
    assert systems.take_link(PHONE) is None


async def test_what_is_not_signed_by_the_hub_takes_no_effect(systems: Systems, http: httpx.AsyncClient) -> None:
    forged = await send(http, SMS, secret="another", to=PHONE, link="https://evil.example/", text="…")
    unsigned = await http.post(PIN, json={"phone": PHONE, "pin": "4711"})
    assert (forged.status_code, unsigned.status_code, systems.take_link(PHONE)) == (401, 401, None)


async def test_there_is_nothing_else(http: httpx.AsyncClient) -> None:
    assert (await send(http, "/other")).status_code == 404
