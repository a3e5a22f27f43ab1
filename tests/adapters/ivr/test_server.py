"""Who may call the webhooks, and what a caller hears when the hub is away."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from ctxhub_ivr import IvrSettings, router
from fastapi import FastAPI
from twilio.request_validator import RequestValidator

from ctxhub.client import ContextHub, Ref, Stopping, Unknown
from tests.adapters.ivr.calling import Caller, a_number
from tests.adapters.ivr.serving import AUTH_TOKEN, PUBLIC_URL, SECRETS, SHARED_KEY, ServingHub, end, ready_url, tenants
from tests.conftest import Many
from tests.many import environ_of
from tests.support import IMPATIENT

Ring = Callable[..., Caller]
PARAMS = {"CallSid": "CA_server", "From": "+15550100", "CallStatus": "ringing"}


async def post(
    wire: httpx.AsyncClient,
    path: str,
    params: dict[str, str],
    *,
    base: str = PUBLIC_URL,
    secret: str = AUTH_TOKEN,
    **headers: str,
) -> httpx.Response:
    """Send a webhook that is signed for an address."""
    signature = RequestValidator(secret).compute_signature(base + path, params, headers.pop("algorithm", None))
    sent = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    return await wire.post(path, content=urlencode(params), headers=sent | headers)


VOICE = "/ivr/twilio/acme/voice"


async def test_a_webhook_that_is_signed_is_answered(wire: httpx.AsyncClient) -> None:
    answer = await post(wire, VOICE, PARAMS)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


async def test_one_that_is_signed_with_a_shared_key_is_answered(wire: httpx.AsyncClient) -> None:
    named = {"X-Twilio-Webhooks-Signature-Settings": "key=key_1,algorithm=HMAC_SHA256"}
    assert (await post(wire, VOICE, PARAMS, secret=SHARED_KEY, algorithm="HMAC_SHA256", **named)).status_code == 200


async def test_one_that_is_not_signed_is_refused_without_a_word(wire: httpx.AsyncClient, serving: ServingHub) -> None:
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    bare = await wire.post(VOICE, content=urlencode(PARAMS), headers=sent)
    wrong = await post(wire, VOICE, PARAMS, secret="wrong")
    unknown = await post(wire, VOICE, PARAMS, **{"X-Twilio-Webhooks-Signature-Settings": "algorithm=HMAC_MD5"})
    crossed = await post(wire, VOICE, PARAMS, secret=SHARED_KEY)
    assert [(a.status_code, a.content) for a in (bare, wrong, unknown, crossed)] == [(403, b"")] * 4
    assert "the signature does not fit" in serving.log()


async def test_headers_of_a_proxy_don_t_decide_what_was_signed(wire: httpx.AsyncClient) -> None:
    forwarded = {"X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https", "Host": "evil.example.com"}
    assert (await post(wire, VOICE, PARAMS, base="https://evil.example.com", **forwarded)).status_code == 403
    assert (await post(wire, VOICE, PARAMS, **forwarded)).status_code == 200


@pytest.mark.parametrize(
    ("tenant", "reason"),
    [("silent", "no secret is set"), ("mute", "no secret is set"), ("faulty", "channels.ivr has faults in sip_target")],
)
async def test_a_tenant_without_a_secret_or_with_a_fault_gets_no_calls_and_the_log_says_why(
    wire: httpx.AsyncClient, serving: ServingHub, tenant: str, reason: str
) -> None:
    answer = await post(wire, f"/ivr/twilio/{tenant}/voice", PARAMS)
    assert (answer.status_code, answer.content) == (403, b"")
    assert any(reason in line and f'"{tenant}"' in line for line in serving.log().splitlines())


async def test_what_is_no_webhook_is_not_there(wire: httpx.AsyncClient) -> None:
    assert (await post(wire, "/ivr/twilio/nobody/voice", PARAMS)).status_code == 404
    assert (await post(wire, "/ivr/twilio/acme/nothing", PARAMS)).status_code == 404
    assert (await wire.get(VOICE)).status_code == 405
    assert (await post(wire, VOICE, {"From": "+15550100"})).status_code == 400


async def test_a_body_that_no_platform_would_send_is_refused(wire: httpx.AsyncClient) -> None:
    assert (await post(wire, VOICE, PARAMS | {"SpeechResult": "x" * 70_000})).status_code == 413


async def test_bytes_that_are_no_text_are_answered_by_a_refusal_and_nothing_else(wire: httpx.AsyncClient) -> None:
    for content in (b"\xff\xfe=\x00", b"%FF%FE&&&=", b"", b"{}"):
        assert (await wire.post(VOICE, content=content)).status_code == 403


@pytest.fixture(scope="module")
def frail(many: Many, systems: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingHub]:
    """A hub that these tests freeze and kill."""
    hub = ServingHub(tmp_path_factory.mktemp("frail"), tenants(systems.url), environ_of(many()))
    hub.start()
    yield hub
    hub.stop()


class OneHub:
    """The hub of one tenant, for an adapter in this process."""

    def __init__(self, tenant: str, hub: ContextHub) -> None:
        self.stopping = Stopping()
        self._tenant, self._hub = tenant, hub

    def of(self, tenant: str) -> ContextHub:
        if tenant != self._tenant:
            raise Unknown(f"there is no tenant {tenant}")
        return self._hub

    def with_key(self, key: str, agent_id: str | None = None) -> ContextHub:
        return self._hub.with_key(key, agent_id)


@pytest.fixture
async def impatient(frail: ServingHub) -> AsyncIterator[Callable[[str], Ring]]:
    """Callers of a telephone menu that does not wait long for its hub."""
    wires: list[Any] = []

    def of(tenant: str) -> Ring:
        hub = ContextHub(frail.url, frail.key(tenant, "adapter"), timeout=IMPATIENT)
        app = FastAPI()
        app.include_router(router(OneHub(tenant, hub), IvrSettings(PUBLIC_URL, SECRETS, deadline=1.2 * IMPATIENT)))
        wire = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside")
        wires.extend([wire, hub])
        return lambda **about: Caller(wire, tenant, **about)

    yield of
    for wire in wires:
        await wire.aclose()


@pytest.mark.parametrize(("tenant", "verb"), [("acme", "Sip"), ("router", "Task"), ("small", "Enqueue")])
async def test_when_the_hub_falls_silent_in_mid_call_the_caller_gets_to_a_human(
    frail: ServingHub, impatient: Callable[[str], Ring], tenant: str, verb: str
) -> None:
    caller = impatient(tenant)()
    await caller.dial()
    assert (await caller.press("1")).asks == "Buses_1.from"
    frail.send(signal.SIGSTOP)
    try:
        began = time.monotonic()
        heard = await caller.say("San Diego")
        assert time.monotonic() - began < 2 * IMPATIENT + 1
        assert (heard.is_degraded, heard.says) == (True, ["One moment please, we connect you."])
        assert heard.the(verb) is not None
        assert b"ctx-token=" not in heard.content
        heard = await caller.come_back(DialCallStatus="busy")
        assert heard.says[0] == "Nobody can take your call just now."
        assert heard.verbs[-1] == "Hangup"
        assert (await caller.hang_up()).headers["Ctxhub-Degraded"] == "1"
    finally:
        frail.send(signal.SIGCONT)


async def test_what_the_hub_may_have_heard_takes_effect_once_when_it_is_back(
    frail: ServingHub, impatient: Callable[[str], Ring]
) -> None:
    caller = impatient("acme")()
    await caller.dial()
    await caller.press("1")
    url = caller.now.action
    frail.send(signal.SIGSTOP)
    assert (await caller.say("San Diego")).is_degraded
    frail.send(signal.SIGCONT)
    again = await _until_not_degraded(caller, url)
    assert b"fact=Buses_1.to" in again.content
    async with ContextHub(frail.url, frail.key("acme", "admin")) as office:
        found = await office.interactions.lookup(Ref(system="twilio", id=caller.sid))
        events = (await office.contexts.timeline(found.customer_id)).events
    assert [event.type for event in events].count("fact.stated") == 1


async def test_a_hub_that_was_never_there_is_waited_for_and_then_regretted() -> None:
    hub = ContextHub("http://127.0.0.1:1", "key", timeout=0.3)
    app = FastAPI()
    app.include_router(router(OneHub("acme", hub), IvrSettings(PUBLIC_URL, SECRETS)))
    async with hub, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://inside") as wire:
        caller = Caller(wire, "acme", language="zh-CN")
        heard = await caller.dial()
        for _ in range(3):
            assert (heard.is_degraded, heard.verbs) == (True, ["Pause", "Redirect"])
            heard = await caller.follow(heard.the("Redirect").text or "")
        assert (heard.verbs, heard.says) == (["Say", "Hangup"], ["非常抱歉，现在无法继续，请稍后再拨。"])


async def test_alone_it_answers_as_it_does_when_mounted_and_outlives_its_hub(frail: ServingHub) -> None:
    process = frail.alone("acme")
    try:
        async with httpx.AsyncClient(base_url=ready_url(process), timeout=20) as wire:
            caller = Caller(wire, "acme", phone=a_number())
            assert (await caller.dial()).says[0] == "Welcome."
            assert (await caller.press("1")).asks == "Buses_1.from"
            frail.stop(signal.SIGKILL)
            began = time.monotonic()
            heard = await caller.say("San Diego")
            assert (heard.is_degraded, heard.verbs) == (True, ["Gather"])
            assert time.monotonic() - began < 15
            frail.start()
            async with asyncio.timeout(15):
                while (heard := await Caller(wire, "acme").dial()).is_degraded:
                    await asyncio.sleep(0.1)
            assert heard.says[0] == "Welcome."
    finally:
        process.terminate()
        end(process)
    assert process.returncode == 0


async def _until_not_degraded(caller: Caller, url: str) -> httpx.Response:
    """Send the answer again until the hub has caught up."""
    while True:
        answer = await caller.send(url, {"SpeechResult": "San Diego", "Confidence": "0.95"})
        if "Ctxhub-Degraded" not in answer.headers:
            return answer
        await asyncio.sleep(0.05)
