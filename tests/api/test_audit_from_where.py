"""From where a line says that a call came which a mounted adapter passes on; and that a customer's goes with him."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import httpx
import pytest
from ctxhub_ivr.signature import signature_of
from redis import Redis
from starlette.types import ASGIApp

from ctxhub.api.source import PASSED_ON
from ctxhub.hub.keys import Came, Keys
from ctxhub.settings import Settings
from ctxhub.store.embedded import EmbeddedServer, embedded_server
from ctxhub.store.keyring import Keyring
from ctxhub.testing import a_hub
from tests.api.living import ADMIN_KEY, MASTER_KEY, TENANT, http_to, living, settings_for
from tests.api.scenes import Caller, fresh, known, ok, phone, problem

VOICE = "https://ctx.example.com/ivr/twilio/default/voice"
HERE = "127.0.0.1"  # an adapter mounted beside the hub
CHANNELS = """
channels:
  ivr: {auth_token_env: IVR_TOKEN}
  chat: {queue: cards}
  app: {queue: cards}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server of this file's own."""
    with embedded_server(Settings(data=tmp_path_factory.mktemp("whence-server"), durability="fast")) as server:
        yield server


@pytest.fixture(scope="module")
async def app(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ASGIApp]:
    """A hub with all adapters, whose telephone system signs."""
    folder = tmp_path_factory.mktemp("whence")
    settings = settings_for(folder, server.url, public_url="https://ctx.example.com")
    (folder / "tenants" / "default.yaml").write_text(TENANT + CHANNELS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("IVR_TOKEN", "signs")
        async with living(settings) as app:
            yield app


@pytest.fixture(scope="module")
async def admin(app: ASGIApp) -> AsyncIterator[Caller]:
    """Who may do everything."""
    async with http_to(app) as http:
        yield Caller(http, ADMIN_KEY)


def comes_from(app: ASGIApp, address: str) -> httpx.AsyncClient:
    """A browser, a telephone or a telephone system at an address, which says of itself what it likes."""
    transport = httpx.ASGITransport(app=app, client=(address, 4711))
    lies = {
        "X-Forwarded-For": "198.51.100.66",
        "Forwarded": "for=198.51.100.66",
        PASSED_ON: f"198.51.100.66 {'0' * 64}",
    }
    return httpx.AsyncClient(transport=transport, base_url="http://hub.test", headers=lies)


async def lines_of(admin: Caller, customer_id: str, **query: Any) -> list[dict[str, Any]]:
    """The lines of the mounted adapters about a customer."""
    found = ok(await admin.get("/v1/audit", customer_id=customer_id, limit=1000, **query))["lines"]
    return [line for line in found if line["by"] == "mounted adapters"]


async def customer_of(admin: Caller, channel: str) -> str:
    """Whose the interaction is that began on a channel last."""
    listed = ok(await admin.get("/v1/interactions", channel=channel))["interactions"]
    newest: dict[str, Any] = max(listed, key=lambda each: each["started_at"])
    customer_id: str = newest["customer_id"]
    return customer_id


async def chats(app: ASGIApp, address: str, visit: str) -> None:
    """Somebody begins a chat, or comes back to it, and says something."""
    async with comes_from(app, address) as browser:
        opened = ok(await browser.post("/chat/default/sessions", json={"visit": visit}))
        said = {"session": opened["session"], "message_id": fresh("m"), "text": "hello"}
        ok(await browser.post("/chat/default/messages", json=said))


async def test_of_a_chat_the_browser_s_address_is_noted_whatever_its_headers_say(app: ASGIApp, admin: Caller) -> None:
    visit = fresh("visit-of-a-browser")
    await chats(app, "203.0.113.7", visit)
    await chats(app, "2001:db8::7", visit)
    found = await lines_of(admin, await customer_of(admin, "chat"))
    assert {line["source"] for line in found} == {"203.0.113.7", "2001:db8::7"}
    assert {"interaction.started", "context.read"} <= {line["action"] for line in found}


async def test_of_an_app_and_its_links_the_telephone_s_address_is_noted(app: ASGIApp, admin: Caller) -> None:
    scene = await known(admin, "ivr")
    handoff = await scene.offer({"channel": "app"})
    async with comes_from(app, "203.0.113.8") as device:
        assert (await device.get(f"/r/{handoff['token']}")).status_code == 200
        ok(
            await device.post(
                "/app/default/sessions", json={"visit": fresh("visit-of-an-app"), "token": handoff["token"]}
            )
        )
    found = await lines_of(admin, scene.customer_id)
    assert {line["source"] for line in found} == {"203.0.113.8"}
    assert {"handoff.redeemed", "handoff.looked_up"} <= {line["action"] for line in found}


async def test_of_a_telephone_menu_the_gateway_s_address_stands_in_the_line_itself(app: ASGIApp, admin: Caller) -> None:
    call = {"CallSid": fresh("CA"), "From": phone()["value"], "To": "+15550000", "CallStatus": "ringing"}
    signed = {"X-Twilio-Signature": signature_of("signs", VOICE, call.items(), "HMAC_SHA1")}
    async with comes_from(app, "203.0.113.9") as gateway:
        assert (await gateway.post("/ivr/twilio/default/voice", data=call, headers=signed)).status_code == 200
    found = await lines_of(admin, await customer_of(admin, "ivr"))
    assert {line["source"] for line in found} == {"203.0.113.9"}
    assert not any("source_seal" in line["about"] for line in found), "no customer's: there is nothing to forget"


async def test_from_where_a_customer_called_goes_with_him_and_the_trail_stays_whole(
    app: ASGIApp, admin: Caller, server: EmbeddedServer
) -> None:
    for address in ("203.0.113.71", "203.0.113.72"):
        await chats(app, address, fresh("visit-of-somebody"))
        customer_id = await customer_of(admin, "chat")
    assert {line["source"] for line in await lines_of(admin, customer_id)} == {"203.0.113.72"}
    receipt = ok(await admin.call("DELETE", f"/v1/customers/{customer_id}"))
    assert receipt["beside"]["whereabouts"] == 1
    assert {line["source"] for line in await lines_of(admin, customer_id)} == {HERE}
    every = str(ok(await admin.get("/v1/audit", limit=1000)))
    assert ("203.0.113.71" in every, "203.0.113.72" in every) == (True, False)
    with Redis.from_url(server.url) as redis:
        kept = str([redis.lrange(key, 0, -1) for key in redis.scan_iter("*:whereabouts:*")])
    assert ("203.0.113.71" in kept, "203.0.113.72" in kept) == (True, False)


async def test_it_goes_too_where_the_customer_was_not_known_yet(
    app: ASGIApp, admin: Caller, server: EmbeddedServer
) -> None:
    await chats(app, "203.0.113.74", fresh("visit-of-a-stranger"))
    before = await customer_of(admin, "chat")
    listed = ok(await admin.get("/v1/interactions", channel="chat"))["interactions"]
    (interaction_id,) = [each["interaction_id"] for each in listed if each["customer_id"] == before]
    known_as = fresh("c-known")
    ok(await admin.post(f"/v1/customers/{before}/interactions/{interaction_id}/identify", {"customer_id": known_as}))
    assert {line["source"] for line in await lines_of(admin, before)} == {"203.0.113.74"}
    receipt = ok(await admin.call("DELETE", f"/v1/customers/{known_as}"))
    assert receipt["beside"]["whereabouts"] == 1
    with Redis.from_url(server.url) as redis:
        assert "203.0.113.74" not in str([redis.lrange(key, 0, -1) for key in redis.scan_iter("*:whereabouts:*")])


def passed_on(address: str) -> dict[str, str]:
    """How a mounted adapter passes a customer's address on."""
    keys = Keys(cast("Keyring", None), MASTER_KEY.encode())
    return {PASSED_ON: keys.introduced(Came(address, is_customers=True))}


async def test_what_is_read_again_and_again_from_one_address_keeps_it_once(admin: Caller) -> None:
    scene = await known(admin, "chat")
    for _ in range(3):
        ok(await admin.get(f"{scene.base}/context", passed_on("203.0.113.73"), interaction_id=scene.interaction_id))
    found = ok(await admin.get("/v1/audit", customer_id=scene.customer_id, action="context.read"))["lines"]
    assert [line["source"] for line in found] == ["203.0.113.73"] * 3
    assert len({line["about"]["source_seal"] for line in found}) == 1


async def test_a_refusal_and_a_line_of_nobody_keep_no_customer_s_address(admin: Caller) -> None:
    scene = await known(admin, "chat")
    key = {"name": fresh("k"), "role": "adapter", "level": 1, "methods": ["ani"]}
    channel = Caller(admin.http, ok(await admin.post("/v1/keys", key), 201)["key"])
    came = passed_on("203.0.113.74")
    raised = {"events": [scene.event("assurance.raised", {"level": 2, "method": "pin"})]}
    problem(await channel.call("POST", f"{scene.base}/events", came, json=raised), 403, "assurance_not_allowed")
    ok(await channel.get("/v1/interactions", came, channel="chat"))
    lines = ok(await admin.get("/v1/audit", limit=1000))["lines"]
    found = [line for line in lines if line["by"] == key["name"]]
    assert [(line["source"], line["outcome"]) for line in found] == [(HERE, "refused"), (HERE, "done")]


def test_behind_a_proxy_it_is_the_address_that_the_proxy_saw() -> None:
    with a_hub(trusted_proxies=HERE) as hub:
        said = {"X-Forwarded-For": "198.51.100.66, 203.0.113.10"}
        begun = httpx.post(f"{hub.url}/chat/default/sessions", json={"visit": "v" * 32}, headers=said, trust_env=False)
        session = begun.json()["session"]
        with httpx.stream(
            "GET", f"{hub.url}/chat/default/stream", params={"session": session}, headers=said, trust_env=False
        ) as stream:
            told = stream.iter_lines()
            assert any("snapshot" in line for line in told)
            message = {"session": session, "message_id": "m-1", "text": "hello"}
            httpx.post(f"{hub.url}/chat/default/messages", json=message, headers=said, trust_env=False)
            assert any("hello" in line for line in told)
        by_key = {"Authorization": f"Bearer {hub.admin_key}"}
        lines = httpx.get(f"{hub.url}/v1/audit", headers=by_key, trust_env=False).json()["lines"]
    passed_on = [line for line in lines if line["by"] == "mounted adapters"]
    assert {"interaction.started", "stream.opened"} <= {line["action"] for line in passed_on}
    assert {line["source"] for line in passed_on} == {"203.0.113.10"}
