"""Sentences, labels and languages."""

from __future__ import annotations

import re

import pytest
from ctxhub_chat import say
from ctxhub_chat.say import BUTTONS, LANGS, PAGE, SENTENCES

from ctxhub.client import Origin, Tenant

from .scenes import NOON, TENANT

CATALOGUE = {**SENTENCES, **BUTTONS, **PAGE}


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_sentence_is_there_in_every_language_with_the_same_places(name: str) -> None:
    said = CATALOGUE[name]
    places = {lang: set(re.findall(r"\{\w+\}", said[lang])) for lang in LANGS}
    assert all(said[lang].strip() for lang in LANGS)
    assert places["en"] == places["zh"]


def test_every_chinese_sentence_is_chinese() -> None:
    own = {name for name, said in CATALOGUE.items() if re.search(r"[\u4e00-\u9fff]", said["zh"])}
    assert set(CATALOGUE) - own == {"fact", "between", "other_lang"}


def test_buttons_can_be_told_apart() -> None:
    texts = [text.casefold() for said in BUTTONS.values() for text in said.values()]
    assert len(texts) == len(set(texts))


def test_a_fact_is_called_as_declared_or_by_the_last_part_of_its_name() -> None:
    assert say.label_of_fact("from_city", TENANT, "zh") == "出发城市"
    assert say.label_of_fact("Buses_1.leaving_time", TENANT, "en") == "leaving time"
    assert say.label_of_fact("...", TENANT, "en") == "..."


def test_what_is_declared_in_one_language_only_is_said_in_that_one() -> None:
    tenant = Tenant.model_validate({"tenant": "t", "facts": {"plz": {"say": {"de-DE": "Postleitzahl"}}}})
    assert say.label_of_fact("plz", tenant, "en") == "Postleitzahl"


def test_a_regional_form_counts_as_the_language() -> None:
    assert say.in_language({"en-GB": "lift", "zh-Hans-CN": "电梯"}, "zh") == "电梯"


@pytest.mark.parametrize(
    ("asked", "accepted", "spoken", "lang"),
    [
        (None, "zh-CN,zh;q=0.9,en;q=0.8", ["en", "zh"], "zh"),
        (None, "de,en-US;q=0.7,zh;q=0.3", ["en", "zh"], "en"),
        (None, "en;q=0.1,zh", ["en", "zh"], "zh"),
        ("zh-TW", "en", ["en", "zh"], "zh"),
        ("fr", None, ["en", "zh"], "en"),
        (None, None, ["zh-CN"], "zh"),
        ("en", "en", ["zh-CN"], "zh"),
        (None, "zh;q=0,en;q=junk,*", ["en", "zh"], "en"),
        (None, "zh", ["de"], "zh"),
    ],
)
def test_the_language_is_the_one_asked_for_else_the_best_accepted(
    asked: str | None, accepted: str | None, spoken: list[str], lang: str
) -> None:
    assert say.language_of(asked, accepted, spoken) == lang


def test_values_are_shown_as_texts() -> None:
    told = ["<b>", 3, True, ["a", "北京"]]
    assert [say.value_aloud(value) for value in told] == ["<b>", "3", "true", '["a", "北京"]']


def test_a_facts_source_is_told_in_words() -> None:
    phone = Origin(channel="ivr", interaction_id="in_1", party="customer", at=NOON)
    assert say.whence(phone, "in_2", "en") == "You, by phone menu"
    assert say.whence(phone, "in_1", "zh") == "您，本次聊天"
    assert say.whence(Origin(party="system", at=NOON), "in_1", "en") == "Our records"
    assert say.whence(phone.but(channel="kiosk", party="agent"), "in_2", "en") == "Colleague, kiosk"
