"""The company's own systems are asked, signed, and never told on."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ctxhub_ivr.hooks import Hooks, PinAnswer

from ctxhub.client import Hook, HookFailed, signed_headers
from tests.adapters.redirecting import redirecting

HOOKS = Hooks(2.0, now=lambda: 1_900_000_000.5)
SECRET = b"hook-secret"


async def check(company: Any, pin: str = "1234", hooks: Hooks = HOOKS, path: str = "/pin") -> PinAnswer:
    return await hooks.check_pin(Hook(company.url + path, SECRET), "m-1", call_sid="CA1", phone="+15550100", pin=pin)


async def test_a_right_pin_tells_who_it_is_and_how_surely(company: Any) -> None:
    company.pins["1234"] = {"ok": True, "customer_id": "c42", "level": 3, "more": "ignored"}
    assert await check(company) == PinAnswer(ok=True, customer_id="c42", level=3)
    assert company.asked == [{"call_sid": "CA1", "phone": "+15550100", "pin": "1234"}]
    assert company.ids == ["m-1"]


async def test_a_right_pin_is_level_two_unless_said_otherwise_and_a_wrong_one_is_not_ok(company: Any) -> None:
    company.pins["1234"] = {"ok": True}
    assert await check(company) == PinAnswer(ok=True, customer_id=None, level=2)
    assert (await check(company, "9999")).ok is False


@pytest.mark.parametrize(
    "answer",
    [b"", b"yes", b"[]", b'{"ok": 1}', b'{"ok": "true"}', b'{"ok": true, "level": 9}', b'{"ok": true, "level": 1}',
     b'{"ok": true, "customer_id": "a b"}'],
)  # fmt: skip
async def test_an_answer_that_is_not_as_agreed_is_no_yes(company: Any, answer: bytes) -> None:
    company.broken["/pin"] = (200, answer)
    with pytest.raises(HookFailed, match="not as agreed"):
        await check(company)


@pytest.mark.parametrize("status", [302, 401, 404, 500])
async def test_any_other_status_is_no_yes(company: Any, status: int) -> None:
    company.broken["/pin"] = (status, b'{"ok": true}')
    with pytest.raises(HookFailed, match=str(status)):
        await check(company)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_system_that_leads_elsewhere_is_not_followed(status: int) -> None:
    async with redirecting(status) as there:
        with pytest.raises(HookFailed, match=str(status)):
            await HOOKS.check_pin(Hook(f"{there.url}/pin", SECRET), "m", call_sid="CA1", phone=None, pin="1")
    assert there.asked == ["/pin"]


async def test_a_hook_that_knows_whose_pin_it_must_be_says_whose_it_is(company: Any) -> None:
    asked = {"call_sid": "CA1", "phone": None, "pin": "4711", "claimed": "c42"}
    company.pins["4711"] = {"ok": True}
    with pytest.raises(HookFailed, match="without `customer_id`"):
        await HOOKS.check_pin(Hook(company.url + "/pin", SECRET), "m", **asked)
    company.pins["4711"] = {"ok": True, "customer_id": "c42"}
    assert (await HOOKS.check_pin(Hook(company.url + "/pin", SECRET), "m", **asked)).customer_id == "c42"
    company.pins["4711"] = {"ok": False}
    assert not (await HOOKS.check_pin(Hook(company.url + "/pin", SECRET), "m", **asked)).ok


async def test_half_a_sign_is_sent_as_something_and_is_no_yes(company: Any) -> None:
    company.pins["1234"] = {"ok": True}
    assert (await check(company, "12\ud83434")).ok is False


async def test_a_system_that_is_away_or_slow_fails_in_time(company: Any) -> None:
    with pytest.raises(HookFailed, match="ConnectError"):
        await HOOKS.check_pin(Hook("http://127.0.0.1:1/pin", SECRET), "m", call_sid="CA1", phone=None, pin="1")
    company.answering.clear()
    with pytest.raises(HookFailed, match="TimeoutError"):
        await check(company, hooks=Hooks(0.1, now=lambda: 0.0))


async def test_no_failure_repeats_the_pin(company: Any) -> None:
    company.broken["/pin"] = (200, b'{"ok": "4711"}')
    with pytest.raises(HookFailed) as failure:
        await check(company, "4711")
    assert "4711" not in repr(failure.value)
    assert failure.value.__cause__ is None
    assert failure.value.__suppress_context__


async def test_a_text_message_carries_the_link(company: Any) -> None:
    await HOOKS.send_sms(
        Hook(company.url + "/sms", SECRET), "m", to="+1555", link="https://h/#T", text="请点击：https://h/#T"
    )
    assert company.texts == [{"to": "+1555", "link": "https://h/#T", "text": "请点击：https://h/#T"}]


async def test_a_wrong_secret_is_noticed(company: Any) -> None:
    with pytest.raises(HookFailed, match="401"):
        await HOOKS.send_sms(Hook(company.url + "/sms", b"wrong"), "m", to="+1555", link="l", text="t")


def test_the_signature_is_the_one_that_standard_webhooks_libraries_are_tested_with() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_there_is_no_signature() -> None:
    assert "webhook-signature" not in signed_headers(None, "msg_1", 0, b"")
