"""A tenant's settings are read with care: secrets by name, faults named, nothing sent unsigned that must not be."""

from __future__ import annotations

import base64

import pytest
from ctxhub_ivr.settings import IvrChannel, IvrSettings, pin_hook, sms_hook
from pydantic import ValidationError

ENV = {"TOKEN": "t0k", "KEY": "k3y", "PIN": "p1n", "EMPTY": "", "WHSEC": "whsec_" + base64.b64encode(b"raw").decode()}


def test_secrets_are_taken_from_the_variables_named() -> None:
    channel = IvrChannel(auth_token_env="TOKEN", shared_keys={"key_1": "KEY", "key_2": "MISSING", "key_3": "EMPTY"})
    secrets = channel.secrets(ENV)
    assert (secrets.auth_token, secrets.shared_keys) == ("t0k", {"key_1": "k3y"})


@pytest.mark.parametrize("name", [None, "MISSING", "EMPTY", ""])
def test_a_variable_that_is_not_set_is_no_secret(name: str | None) -> None:
    assert not IvrChannel(auth_token_env=name).secrets(ENV).any


def test_a_pin_never_goes_out_unsigned() -> None:
    url = "https://bank.example.com/pin"
    assert pin_hook(IvrChannel(pin_hook=url), ENV) is None
    assert pin_hook(IvrChannel(pin_hook=url, pin_hook_secret_env="MISSING"), ENV) is None
    found = pin_hook(IvrChannel(pin_hook=url, pin_hook_secret_env="PIN"), ENV)
    assert found is not None
    assert (found.url, found.secret) == (url, b"p1n")


def test_a_text_message_is_signed_wherever_a_secret_is_named() -> None:
    url = "https://sms.example.com/send"
    unsigned = sms_hook(IvrChannel(sms_hook=url), ENV)
    assert unsigned is not None
    assert unsigned.secret is None
    assert sms_hook(IvrChannel(sms_hook=url, sms_hook_secret_env="MISSING"), ENV) is None
    assert sms_hook(IvrChannel(sms_hook_secret_env="PIN"), ENV) is None


def test_a_secret_as_standard_webhooks_write_it_is_the_bytes_behind_the_prefix() -> None:
    found = sms_hook(IvrChannel(sms_hook="http://h/", sms_hook_secret_env="WHSEC"), ENV)
    assert found is not None
    assert found.secret == b"raw"


@pytest.mark.parametrize(
    "wrong",
    [
        {"sip_target": "agents@pbx"},
        {"sip_target": "sip:agents"},
        {"pin_hook": "ftp://h/"},
        {"chat_link": "https://h/#x"},
        {"queue": ""},
        {"language": "<x>"},
        {"sms": "perhaps"},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        IvrChannel.model_validate(wrong)


def test_a_misspelt_setting_is_found() -> None:
    assert IvrChannel.unknown_in({"queue": "q", "sip_traget": "x", "auth_token": "y"}) == ["auth_token", "sip_traget"]


def test_settings_do_not_show_secrets_when_printed() -> None:
    settings = IvrSettings("https://h", {"TOKEN": "t0k"})
    found = pin_hook(IvrChannel(pin_hook="http://h/", pin_hook_secret_env="PIN"), ENV)
    assert "t0k" not in repr(settings)
    assert "p1n" not in repr(found)
