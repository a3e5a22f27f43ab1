"""Sentences exist in both languages, and callers are understood in both."""

from __future__ import annotations

import re

import pytest
from ctxhub_ivr import say
from hypothesis import given
from hypothesis import strategies as st

from ctxhub.client import FactSpec, Kind, Tenant

TENANT = Tenant(
    tenant="acme",
    facts={"city": FactSpec(say={"en": "departure city", "zh": "出发城市"}), "odd": FactSpec(say={"fr": "ville"})},
)


def test_every_sentence_exists_in_both_languages_with_the_same_gaps() -> None:
    english, chinese = say._SENTENCES["en"], say._SENTENCES["zh"]
    assert english.keys() == chinese.keys()
    for name in english:
        assert set(re.findall(r"{\w+}", english[name])) == set(re.findall(r"{\w+}", chinese[name])), name


@pytest.mark.parametrize("language", ["zh", "zh-CN", "cmn-Hans-CN", "yue-Hant-HK", "ZH-tw"])
def test_chinese_by_any_tag_is_chinese(language: str) -> None:
    assert say.sentence(language, "known", label="城市", value="北京") == "我们已经有了城市：北京。"


@pytest.mark.parametrize("language", ["en", "en-GB", "fr-FR"])
def test_all_else_is_english(language: str) -> None:
    assert say.sentence(language, "known", label="city", value="Fresno") == "We already have city: Fresno."


def test_braces_in_a_value_are_said_and_not_filled_in() -> None:
    assert "{label} {0} {" in say.sentence("en", "known", label="city", value="{label} {0} {")


@pytest.mark.parametrize(
    ("value", "english", "chinese"),
    [
        ("8th of March", "8th of March", "8th of March"),
        (True, "yes", "是"),
        (2, "2", "2"),
        (2.5, "2.5", "2.5"),
        (["a", 1, False], "a, 1, no", "a、1、否"),
        ({"city": "Fresno", "stops": [1, 2]}, "city: Fresno, stops: 1, 2", "city: Fresno、stops: 1、2"),
        (None, "", ""),
    ],
)
def test_a_value_is_put_into_words(value: object, english: str, chinese: str) -> None:
    assert (say.spoken_value(value, "en"), say.spoken_value(value, "zh")) == (english, chinese)


def test_a_fact_is_called_as_the_tenant_calls_it_else_by_its_name_in_words() -> None:
    assert say.fact_label(TENANT, "city", "zh-CN") == "出发城市"
    assert say.fact_label(TENANT, "city", "en-US") == "departure city"
    assert say.fact_label(TENANT, "odd", "en-US") == "odd"
    assert say.fact_label(TENANT, "Buses_1.leaving_date", "en") == "Buses 1 leaving date"
    assert say.fact_label(TENANT, "酒店.早餐/服务🚌", "zh") == "酒店 早餐 服务🚌"
    assert say.fact_label(TENANT, "._/", "en") == "._/"
    assert say.kind_label(Kind(kind="Buses_1", say={"en-GB": "coach tickets"}), "en-US") == "coach tickets"


@pytest.mark.parametrize(
    ("speech", "command"),
    [
        ("Later.", "later"),
        ("以后。", "later"),
        ("以后再说", "later"),
        ("Human!", "human"),
        ("complaint", "human"),
        ("我要投诉", "human"),
        ("转人工。", "human"),
        ("Main menu, please", None),
        ("main menu", "menu"),
        ("send me a link", "link"),
        ("That’s right.", "yes"),
        ("对的", "yes"),
        ("不对！", "no"),
        ("later this week", None),
        ("the human condition", None),
        ("San Diego", None),
        ("", None),
    ],
)
def test_a_command_among_answers_is_a_whole_utterance(speech: str, command: str | None) -> None:
    assert say.command_in_answer(speech) == command


@pytest.mark.parametrize(
    ("speech", "command"),
    [
        ("I'd like to speak to an agent please", "human"),
        ("I want to complain about my bill", "human"),
        ("请帮我转人工客服", "human"),
        ("I have a PIN", "pin"),
        ("我有密码", "pin"),
        ("something pink from the shopping list", None),
        ("can we go on in the chat", "link"),
        ("what else, more please", "next"),
        ("其他业务", "other"),
        ("agentic", None),
    ],
)
def test_in_a_menu_a_command_is_heard_within_a_sentence(speech: str, command: str | None) -> None:
    assert say.command_in_menu(speech) == command


@given(st.text())
def test_any_speech_can_be_heard(speech: str) -> None:
    say.command_in_menu(speech)
    say.command_in_answer(speech)
