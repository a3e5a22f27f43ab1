"""Logins: what an assertion and a hook's answer are worth, without any hub."""

from __future__ import annotations

import hmac
import json
import time
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ctxhub_app import try_hook
from ctxhub_app.login import LONGEST_LIFE, Logins, read_assertion
from ctxhub_app.refusals import LoginRefused, LoginUnavailable
from ctxhub_app.settings import AppChannel, LoginChannel, login_hook, login_keys
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey
from pydantic import ValidationError

from ctxhub.client import Hook, signed_headers
from tests.adapters.redirecting import redirecting

from .conftest import SIGNED_WITH, assertion, running

LOGIN = LoginChannel(key_envs=["KEY"], audience="bank-app", issuer=None)
VISIT = "v" * 20


def pem(key: Any) -> str:
    return str(key.as_pem(private=False).decode())


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    return {"sub": "c42", "aud": "bank-app", "iat": now, "exp": now + 300} | more


# Assertions


def test_an_assertion_names_the_customer_and_how_surely() -> None:
    proven = read_assertion(assertion("c42"), [SIGNED_WITH], LOGIN, VISIT)
    assert (proven.customer_id, proven.level, proven.method, proven.lasts) == ("c42", 2, "login", 1800)
    assert read_assertion(assertion("c42", level=3), [SIGNED_WITH], LOGIN, VISIT).level == 3


def test_the_same_assertion_leaves_the_same_mark_and_another_one_another() -> None:
    one, other = assertion("c42"), assertion("c42", nonce=VISIT)
    marks = [read_assertion(each, [SIGNED_WITH], LOGIN, VISIT).mark for each in (one, one, other)]
    assert marks[0] == marks[1] != marks[2]


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(ECKey.generate_key("P-256"), "ES256"), (OKPKey.generate_key("Ed25519"), "Ed25519")],
    ids=["ES256", "EdDSA"],
)
def test_a_public_key_is_enough_to_check(key: Any, algorithm: str) -> None:
    signed = jwt.encode({"alg": algorithm}, claims(), key, algorithms=[algorithm])
    assert read_assertion(signed, [pem(key)], LOGIN, VISIT).customer_id == "c42"
    with pytest.raises(LoginRefused):
        read_assertion(signed, [pem(ECKey.generate_key("P-256"))], LOGIN, VISIT)


def test_a_public_key_is_never_taken_for_a_secret() -> None:
    key = pem(ECKey.generate_key("P-256"))
    head = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    body = urlsafe_b64encode(json.dumps(claims()).encode()).rstrip(b"=")
    mac = urlsafe_b64encode(hmac.digest(key.encode(), head + b"." + body, "sha256")).rstrip(b"=")
    with pytest.raises(LoginRefused):
        read_assertion((head + b"." + body + b"." + mac).decode(), [key], LOGIN, VISIT)


def test_an_unsigned_assertion_is_worth_nothing() -> None:
    head, body = (urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "none"}, claims()))
    with pytest.raises(LoginRefused):
        read_assertion(f"{head.decode()}.{body.decode()}.", [SIGNED_WITH], LOGIN, VISIT)


def test_an_issuer_counts_where_one_is_declared() -> None:
    strict = LoginChannel(key_envs=["KEY"], audience="bank-app", issuer="bank")
    assert read_assertion(assertion("c42", iss="bank"), [SIGNED_WITH], strict, VISIT).customer_id == "c42"
    for issuer in ("somebody", None):
        with pytest.raises(LoginRefused):
            read_assertion(assertion("c42", iss=issuer), [SIGNED_WITH], strict, VISIT)


def test_an_assertion_that_lives_long_is_refused() -> None:
    now = int(time.time())
    read_assertion(assertion("c42", iat=now, exp=now + LONGEST_LIFE), [SIGNED_WITH], LOGIN, VISIT)
    with pytest.raises(LoginRefused, match="at most 600 seconds"):
        read_assertion(assertion("c42", iat=now, exp=now + LONGEST_LIFE + 1), [SIGNED_WITH], LOGIN, VISIT)


@pytest.mark.parametrize("wrong", [{"sub": ""}, {"sub": "a b"}, {"level": "3"}, {"level": 1}, {"nonce": 7}])
def test_claims_that_are_not_as_agreed_are_refused(wrong: dict[str, Any]) -> None:
    signed = jwt.encode({"alg": "HS256"}, claims(**wrong), OctKey.import_key(SIGNED_WITH))
    with pytest.raises(LoginRefused, match="a claim is not as agreed"):
        read_assertion(signed, [SIGNED_WITH], LOGIN, VISIT)


def test_without_a_key_nothing_holds() -> None:
    with pytest.raises(LoginRefused, match="no key is set"):
        read_assertion(assertion("c42"), [], LOGIN, VISIT)
    with pytest.raises(LoginRefused):
        read_assertion(assertion("c42"), ["-----BEGIN PUBLIC KEY-----\nbroken"], LOGIN, VISIT)


# Hooks


def test_what_the_hook_is_asked_is_signed() -> None:
    headers = signed_headers(b"secret", "m1", 7, b"{}")
    mac = hmac.new(b"secret", b"m1.7.{}", sha256).digest()
    assert headers["webhook-signature"] == f"v1,{b64encode(mac).decode()}"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("m1", "7")


async def test_a_hook_that_nobody_answers_lets_nobody_in() -> None:
    logins = Logins(0.3, time.time)
    with pytest.raises(LoginUnavailable, match="can't be reached") as unavailable:
        await logins.check(Hook("http://127.0.0.1:1/", b"s"), "m1", {"pin": "1234"}, VISIT, LOGIN)
    assert "1234" not in str(unavailable.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_hook_that_leads_elsewhere_is_not_followed_and_lets_nobody_in(status: int) -> None:
    async with redirecting(status) as there:
        with pytest.raises(LoginUnavailable, match=str(status)):
            await Logins(3.0, time.time).check(Hook(f"{there.url}/login", b"s"), "m1", {"pin": "1"}, VISIT, LOGIN)
    assert there.asked == ["/login"]


# Settings


def test_only_keys_that_are_set_and_long_enough_count() -> None:
    login = LoginChannel(key_envs=["LONG", "SHORT", "UNSET"], audience="a")
    assert login_keys(login, {"LONG": "x" * 32, "SHORT": "x" * 31}) == ["x" * 32]


def test_a_hook_without_its_secret_is_none() -> None:
    login = LoginChannel(hook="https://bank.example/login", hook_secret_env="SECRET")
    assert login_hook(login, {}) is None
    assert login_hook(login, {"SECRET": "whsec_c2VjcmV0"}) == Hook("https://bank.example/login", b"secret")
    assert login_hook(login, {"SECRET": "plain"}) == Hook("https://bank.example/login", b"plain")
    assert "plain" not in repr(login_hook(login, {"SECRET": "plain"}))


@pytest.mark.parametrize(
    "declared",
    [
        {"login": {"key_envs": ["K"]}},
        {"login": {"hook": "https://bank.example/login"}},
        {"login": {"hook": "ftp://bank.example", "hook_secret_env": "S"}},
        {"login": {"lasts": 5}},
        {"logins": {}},
        {"deep_link": "javascript://%0aalert(1)"},
        {"deep_link": "bank://r/#"},
        {"deep_link": "no scheme"},
        {"dial": "call me"},
        {"apple": {"app_ids": []}},
        {"apple": {"app_ids": ["com.faraway.bank"]}},
        {"apple": {"app_ids": ["abcde12345.com.faraway.bank"]}},
        {"android": [{"package": "bank", "fingerprints": [":".join(["AB"] * 32)]}]},
        {"android": [{"package": "com.faraway.bank", "fingerprints": [":".join(["AB"] * 20)]}]},
        {"android": [{"package": "com.faraway.bank", "fingerprints": [":".join(["ab"] * 32)]}]},
        {"android": [{"package": "com.faraway.bank", "fingerprints": []}]},
    ],
)
def test_a_declaration_with_a_fault_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AppChannel.model_validate(declared)


# The hook to try the page with


def test_the_hook_to_try_with_knows_pins_and_believes_only_the_hub() -> None:
    def asked(pin: str, secret: bytes = b"secret", at: int = 1000) -> Any:
        body = json.dumps({"proof": {"account": "c42", "pin": pin}, "visit": VISIT}).encode()
        said = try_hook.answer(signed_headers(secret, "m1", at, body), body, b"secret", {"c42": "1234"}, 1000.0)
        return said and json.loads(said)

    assert asked("1234") == {"ok": True, "customer_id": "c42"}
    assert asked("4321") == {"ok": False}
    assert asked("1234", secret=b"another") is None
    assert asked("1234", at=100) is None


async def test_the_hook_to_try_with_lets_the_page_log_in(tmp_path: Path) -> None:
    command = ["ctxhub_app.try_hook", "--port", "0", "c42=1234"]
    with running(command, {"APP_HOOK_SECRET": "secret"}, tmp_path / "log") as (_, url):
        logins, hook = Logins(3.0, time.time), Hook(url, b"secret")
        proven = await logins.check(hook, "m1", {"account": "c42", "pin": "1234"}, VISIT, LOGIN)
        assert (proven.customer_id, proven.level) == ("c42", 2)
        with pytest.raises(LoginRefused):
            await logins.check(hook, "m2", {"account": "c42", "pin": "0"}, VISIT, LOGIN)
        with pytest.raises(LoginUnavailable, match="401"):
            await logins.check(Hook(url, b"another"), "m3", {"account": "c42", "pin": "1234"}, VISIT, LOGIN)
