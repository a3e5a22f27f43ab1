"""What we sign, the library of Standard Webhooks verifies."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from ctxhub.model.signature import BadSecret, secret_of, signed


def spelled(secret: bytes) -> str:
    """A secret as it is handed over."""
    return "whsec_" + base64.b64encode(secret).decode()


def verified(secret: bytes, body: bytes, headers: dict[str, str]) -> bool:
    """Tell whether the library takes a message."""
    try:
        Webhook(spelled(secret)).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


@given(st.lists(st.binary(min_size=24, max_size=64), min_size=1, max_size=3, unique=True), st.text(max_size=200))
def test_every_secret_in_force_verifies_it(secrets: list[bytes], said: str) -> None:
    body = said.encode("utf-8", "replace")
    headers = signed(secrets, "msg_1", datetime.now(UTC), body)
    assert all(verified(secret, body, headers) for secret in secrets)
    assert not verified(b"another secret of 24 bytes..", body, headers)


@pytest.mark.parametrize("change", ["body", "id", "time"])
def test_whatever_is_changed_is_noticed(change: str) -> None:
    secret, body, now = bytes(range(32)), b'{"a":1}', datetime.now(UTC)
    headers = signed([secret], "msg_1", now, body)
    assert verified(secret, body, headers)
    other = {"id": {"webhook-id": "msg_2"}, "time": {"webhook-timestamp": str(int(now.timestamp()) + 1)}}
    assert not verified(secret, body + b" " if change == "body" else body, headers | other.get(change, {}))


def test_what_is_old_is_refused_by_its_receiver() -> None:
    secret = bytes(range(32))
    assert not verified(secret, b"{}", signed([secret], "msg_1", datetime.now(UTC) - timedelta(minutes=6), b"{}"))


@pytest.mark.parametrize("text", ["", "hush", "whsec_", "whsec_?", "whsec_aGVsbG8=", "whsec_" + "A" * 100])
def test_a_secret_that_is_none_is_refused_and_not_told(text: str) -> None:
    with pytest.raises(BadSecret) as refused:
        secret_of(text)
    assert text in ("", "whsec_") or text not in str(refused.value)


def test_the_example_of_the_specification_has_its_signature() -> None:
    at = datetime.fromtimestamp(1614265330, tz=UTC)
    secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
