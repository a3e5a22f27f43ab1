"""Signatures agree with Twilio's own library, and nothing else is taken for one."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from ctxhub_ivr.signature import (
    SIGNATURE,
    SIGNATURE_SETTINGS,
    Scheme,
    Secrets,
    is_genuine,
    scheme_named_in,
    signature_of,
)
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator, get_signature_algorithm

URL = "https://ctx.example.com/ivr/twilio/acme/fact?n=3&fact=%E5%87%BA%E5%8F%91%2F%F0%9F%9A%8C&ask=ask"
PARAMS = [("CallSid", "CA1"), ("From", "+15550100"), ("Digits", "12"), ("SpeechResult", "北京 & more")]
TOKEN = Secrets("auth-token", {})
KEYS = Secrets("auth-token", {"key_1": "shared", "key_2": "other"})

texts = st.text(st.characters(codec="utf-8"), max_size=30)


@given(st.dictionaries(texts, texts, max_size=8), st.sampled_from(["HMAC_SHA1", "HMAC_SHA256"]))
def test_the_signature_is_the_one_that_twilios_library_computes(params: dict[str, str], algorithm: str) -> None:
    theirs = RequestValidator("secret").compute_signature(URL, params, algorithm)
    assert signature_of("secret", URL, params.items(), algorithm) == theirs


@pytest.mark.parametrize(
    "url", [URL, "http://localhost/a", "http://localhost:8080/a?b=c", "https://h:443/x", "http://u:p@h/x"]
)
@pytest.mark.parametrize("with_port", [True, False])
def test_a_signature_over_the_address_with_or_without_its_port_is_good(url: str, with_port: bool) -> None:
    parts = urlsplit(url)
    host, port = (
        parts.netloc.rpartition("@")[2].partition(":")[0],
        parts.port or {"http": 80, "https": 443}[parts.scheme],
    )
    login = parts.netloc[: parts.netloc.rfind("@") + 1]
    spelled = parts._replace(netloc=f"{login}{host}:{port}" if with_port else f"{login}{host}").geturl()
    signed = RequestValidator("auth-token").compute_signature(spelled, dict(PARAMS))
    assert is_genuine(TOKEN, url, PARAMS, {SIGNATURE: signed})
    assert RequestValidator("auth-token").validate(url, dict(PARAMS), signed)


def test_a_parameter_that_comes_several_times_is_signed_with_each_value_once() -> None:
    class Several(dict[str, list[str]]):
        def getall(self, name: str) -> list[str]:
            return self[name]

    theirs = RequestValidator("s").compute_signature(URL, Several(a=["2", "1", "2"], b=["x"]))
    assert signature_of("s", URL, [("a", "2"), ("b", "x"), ("a", "1"), ("a", "2")], "HMAC_SHA1") == theirs


def test_a_shared_key_signs_with_sha_256_and_is_named_in_the_header() -> None:
    signed = RequestValidator("shared").compute_signature(URL, dict(PARAMS), "HMAC_SHA256")
    headers = {SIGNATURE: signed, SIGNATURE_SETTINGS: "key=key_1,algorithm=HMAC_SHA256"}
    assert is_genuine(KEYS, URL, PARAMS, headers)
    assert not is_genuine(KEYS, URL, PARAMS, headers | {SIGNATURE_SETTINGS: "key=key_2,algorithm=HMAC_SHA256"})
    assert not is_genuine(KEYS, URL, PARAMS, headers | {SIGNATURE_SETTINGS: "key=unknown,algorithm=HMAC_SHA256"})
    assert not is_genuine(KEYS, URL, PARAMS, headers | {SIGNATURE_SETTINGS: "algorithm=HMAC_SHA256"})
    assert not is_genuine(KEYS, URL, PARAMS, {SIGNATURE: signed})


@pytest.mark.parametrize(
    "header", ["key=key_1,algorithm=HMAC_MD5", "algorithm=none", "key=key_1,algorithm=HMAC_SHA512"]
)
def test_an_unknown_algorithm_is_refused_whatever_it_is_signed_with(header: str) -> None:
    for secret, algorithm in (("auth-token", "HMAC_SHA1"), ("shared", "HMAC_SHA256")):
        signed = signature_of(secret, URL, PARAMS, algorithm)
        assert not is_genuine(KEYS, URL, PARAMS, {SIGNATURE: signed, SIGNATURE_SETTINGS: header})


def test_the_auth_token_does_not_pass_for_a_shared_key_nor_the_other_way_round() -> None:
    with_token = signature_of("auth-token", URL, PARAMS, "HMAC_SHA256")
    assert not is_genuine(KEYS, URL, PARAMS, {SIGNATURE: with_token, SIGNATURE_SETTINGS: "algorithm=HMAC_SHA256"})
    with_key = signature_of("shared", URL, PARAMS, "HMAC_SHA1")
    assert not is_genuine(KEYS, URL, PARAMS, {SIGNATURE: with_key, SIGNATURE_SETTINGS: "key=key_1"})


@pytest.mark.parametrize(
    "header", [None, "", "key=k", "algorithm=HMAC_SHA256,key=k", " algorithm = HMAC_SHA1", "algorithm="]
)
def test_the_algorithm_is_read_as_twilios_library_reads_it(header: str | None) -> None:
    assert scheme_named_in(header).algorithm == get_signature_algorithm(header)


def test_a_header_names_its_key() -> None:
    assert scheme_named_in("key=k 1, algorithm=hmac_sha256") == Scheme("HMAC_SHA256", "k 1")


@pytest.mark.parametrize("signature", ["", "nonsense", "ü", signature_of("wrong", URL, PARAMS, "HMAC_SHA1")])
def test_a_wrong_signature_is_refused(signature: str) -> None:
    assert not is_genuine(TOKEN, URL, PARAMS, {SIGNATURE: signature})
    assert not is_genuine(TOKEN, URL, PARAMS, {})


def test_another_address_or_another_parameter_is_refused() -> None:
    headers = {SIGNATURE: signature_of("auth-token", URL, PARAMS, "HMAC_SHA1")}
    assert is_genuine(TOKEN, URL, PARAMS, headers)
    assert not is_genuine(TOKEN, URL.replace("n=3", "n=4"), PARAMS, headers)
    assert not is_genuine(TOKEN, URL.replace("https", "http"), PARAMS, headers)
    assert not is_genuine(TOKEN, URL, [*PARAMS, ("token", "x")], headers)


@pytest.mark.parametrize("token", [None, ""])
def test_without_a_secret_nothing_is_genuine(token: str | None) -> None:
    empty = Secrets(token, {})
    assert not empty.any
    assert not is_genuine(empty, URL, PARAMS, {SIGNATURE: signature_of("", URL, PARAMS, "HMAC_SHA1")})
