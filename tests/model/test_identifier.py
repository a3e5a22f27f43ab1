"""Identifiers in their normal form: the same however they are written, and nothing where they are none."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ctxhub.model.customer import Identifier
from ctxhub.model.identifier import NoNumber, NotNormal, blocked_forms, normal_form
from ctxhub.model.tenant import Identifiers
from ctxhub.store.codec import context_from, sealed_document
from tests.support import a_context

MOBILE = "+8613800138000"


@pytest.mark.parametrize(
    "written",
    [
        "+86 138 0013 8000",
        "138-0013-8000",
        "0086 13800138000",
        "008613800138000",
        "＋８６１３８００１３８０００",
        "１３８ ００１３ ８０００",
        "\u202a+86 138 0013 8000\u202c",
        "tel:+86-138-0013-8000",
        "TEL:+8613800138000",
        "sip:+8613800138000@sbc.example.com;user=phone",
        "sips:13800138000;phone-context=+86@host",
        '"Li Lei" <sip:+8613800138000@10.0.0.1:5060>',
        "whatsapp:+8613800138000",
        "+٨٦١٣٨٠٠١٣٨٠٠٠",
    ],
)
def test_a_phone_is_the_same_however_it_is_written(written: str) -> None:
    assert normal_form("phone", written, "CN") == MOBILE


@pytest.mark.parametrize("written", ["+86 10 6552 9988 ext. 12", "tel:+861065529988;ext=12", "010 6552 9988 x12"])
def test_an_extension_is_somebody_of_its_own(written: str) -> None:
    assert normal_form("phone", written, "CN") == "+861065529988;ext=12"
    assert normal_form("phone", "+861065529988", "CN") == "+861065529988"


def test_without_a_region_only_what_names_its_country_is_read_as_one() -> None:
    assert normal_form("phone", "0044 20 7946 0018") == "+442079460018"
    assert normal_form("phone", "10 01") == "1001"


def test_a_number_with_too_many_zeros_is_the_same_once_it_was_read() -> None:
    once = normal_form("phone", "++381 0033 email")
    assert once == normal_form("phone", once) == "+3813336245"


def test_a_sign_in_two_parts_with_something_unseen_between_them_is_that_sign() -> None:
    assert normal_form("account", "C\u200b\u0301-17") == "\u0106-17"


@pytest.mark.parametrize("type_", ["email", "account"])
def test_whatever_is_a_normal_form_may_be_kept_and_is_read_again(type_: str) -> None:
    written = Identifier(type=type_, value="\ufb03" * 80 + "@li.example")
    context = a_context(identifiers=(written.but(value=normal_form(type_, written.value)),))
    assert len(context.identifiers[0].value) > 240
    assert context_from(sealed_document(context, None)[0]) == context


@pytest.mark.parametrize("told", ["anonymous", "Unavailable", "sip:anonymous@anonymous.invalid", "restricted", "+"])
def test_what_a_telephone_system_tells_without_a_number_is_no_number(told: str) -> None:
    with pytest.raises(NoNumber):
        normal_form("phone", told, "CN")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (" Li.Lei@Example.COM ", "li.lei@example.com"),
        ("mailto:li@example.com", "li@example.com"),
        ("Mailto:MAILTO:li@example.com", "li@example.com"),
        ("ｌｉ＠ｅｘａｍｐｌｅ．ｃｏｍ", "li@example.com"),
        ("li@BÜCHER.example", "li@xn--bcher-kva.example"),
        ("李雷@例子.测试", "李雷@xn--fsqu00a.xn--0zwm56d"),
        ("li@example.com.", "li@example.com"),
        ("li@例子。测试。", "li@xn--fsqu00a.xn--0zwm56d"),
        ("li@Host\ufe01.\ufe01", "li@host"),
    ],
)
def test_an_address_is_the_same_however_it_is_written(written: str, kept: str) -> None:
    assert normal_form("email", written) == kept


@pytest.mark.parametrize("written", ["li", "@example.com", "li@", "li @example.com", "li@exa mple.com", "li@a..b"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(NotNormal):
        normal_form("email", written)


@pytest.mark.parametrize("type_", ["account", "device", "visitor", "wechat", "unionid", "bsuid", "club_card"])
def test_other_values_count_letter_by_letter(type_: str) -> None:
    assert normal_form(type_, " oAbC_1-2 ") == "oAbC_1-2"
    assert normal_form(type_, "ﾃｽﾄ１") == "テスト1"


@pytest.mark.parametrize("value", ["\u200b\u200d", " ", "a\nb", "a\x00b", "a\x85b", "ﷺ" * 100, "\ue000"])
def test_what_can_not_be_seen_or_is_too_long_is_refused(value: str) -> None:
    with pytest.raises(NotNormal):
        normal_form("account", value)


@given(st.sampled_from(["phone", "email", "account"]), st.text(max_size=80))
@example("phone", "0/1")
def test_a_normal_form_stays_as_it_is(type_: str, value: str) -> None:
    try:
        once = normal_form(type_, value, "CN")
    except NotNormal:
        return
    assert normal_form(type_, once, "CN") == once
    assert once == once.strip()


def test_blocked_values_are_compared_in_their_normal_form() -> None:
    declared = Identifiers.model_validate(
        {"blocked": [{"type": "phone", "value": "010 6552 9988"}, {"type": "phone", "value": "Anonymous"}]}
    )
    assert blocked_forms(declared, "CN") == {("phone", "+861065529988"), ("phone", "anonymous")}
