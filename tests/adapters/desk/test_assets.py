"""The page's own files: small, whole, in both languages, without a way for text to become markup."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from ctxhub_desk.assets import Asset, load_assets

from ctxhub.model.callback import Outcome

ASSETS = load_assets()
SCRIPTS = {name: asset.content.decode() for name, asset in ASSETS.items() if name.endswith(".js")}
FIRST_LOAD = 100 * 1024
OUTCOMES = get_args(Outcome)
#: Fetched only when somebody asks for the keys, reveals a value, opens a customer beside the work, follows a queue that
#: suggests, does what exactly one does, has a call at the phone, or gives a customer to others.
PARTS = {"help.js", "reveal.js", "customer.js", "presence.js", "once.js", "calls.js", "onward.js"}
#: And what those bring along.
SELDOM = PARTS | {"seldom_words.js"}


def words_of(language: str) -> dict[str, str]:
    pairs = re.findall(r'^  "?([\w.]+)"?: "(.*)",$', SCRIPTS[f"{language}.js"], re.MULTILINE)
    return dict(pairs)


@pytest.mark.parametrize(("spoken", "other"), [("en.js", "zh.js"), ("zh.js", "en.js")])
def test_all_of_the_page_is_small_in_the_language_that_it_speaks(spoken: str, other: str) -> None:
    own = {name: asset for name, asset in ASSETS.items() if not name.startswith("overview")}
    assert {spoken, other, *SELDOM} < own.keys()
    assert sum(len(own[name].content) for name in own.keys() - SELDOM - {other}) <= FIRST_LOAD


def test_the_overview_brings_little_of_its_own() -> None:
    assert sum(len(asset.content) for name, asset in ASSETS.items() if name.startswith("overview")) <= FIRST_LOAD // 3


def test_everything_that_the_page_names_is_there() -> None:
    page = ASSETS["index.html"].content.decode()
    named = set(re.findall(r'(?:href|src)="static/([\w.]+)"', page))
    imported = {name for script in SCRIPTS.values() for name in re.findall(r'from "\./([\w.]+)"', script)}
    fetched = {f"{name}.js" for script in SCRIPTS.values() for name in re.findall(r'\bpart\("(\w+)"\)', script)}
    assert fetched == PARTS
    shown = re.findall(r'(?:href|src)="static/([\w.]+)"', ASSETS["overview.html"].content.decode())
    assert named
    assert imported
    assert shown
    assert {*named, *imported, *fetched, *shown} <= ASSETS.keys()


def test_both_languages_have_the_same_sentences_with_the_same_places_in_them() -> None:
    en, zh = words_of("en"), words_of("zh")
    assert len(en) > 100
    assert en.keys() == zh.keys()
    places = {name: (set(re.findall(r"\{\w+\}", en[name])), set(re.findall(r"\{\w+\}", zh[name]))) for name in en}
    assert {name: both for name, both in places.items() if both[0] != both[1]} == {}


def test_what_is_seldom_said_is_said_in_both_languages_and_none_of_it_for_nothing() -> None:
    english, chinese = SCRIPTS["seldom_words.js"].split("  zh: {")
    en, zh = (dict(re.findall(r'^    (\w+): "(.*)",$', words, re.MULTILINE)) for words in (english, chinese))
    assert len(en) > 30
    assert {name: set(re.findall(r"\{\w+\}", words)) for name, words in en.items()} == {
        name: set(re.findall(r"\{\w+\}", words)) for name, words in zh.items()
    }
    parts = "".join(SCRIPTS[name] for name in PARTS)
    said = set(re.findall(r'"(\w+)"', parts)) | {f"then_{outcome}" for outcome in OUTCOMES}
    assert en.keys() <= said
    assert set(re.findall(r'\b(?:w|more)\("(\w+)"', parts)) <= en.keys()


def test_every_sentence_that_a_script_says_exists() -> None:
    said = {name for script in SCRIPTS.values() for name in re.findall(r'\bt\("([\w.]+)"', script)}
    assert len(said) > 60
    assert said <= words_of("en").keys()


def test_no_sentence_is_left_unsaid() -> None:
    everything = "".join(script for name, script in SCRIPTS.items() if name not in ("en.js", "zh.js"))
    made = (
        "event.",
        "level_",
        "strength_",
        "state_",
        "party_",
        "outcome_",
        "decline_",
        "journey_",
        "promise_",
        "clears_",
        "risk_",
    )
    said = set(re.findall(r'"([\w.]+)"', everything))
    assert {name for name in words_of("en") if name not in said and not name.startswith(made)} == set()


@pytest.mark.parametrize("danger", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "://"])
def test_no_script_turns_text_into_markup_or_reaches_elsewhere(danger: str) -> None:
    assert [name for name, script in SCRIPTS.items() if danger in script] == []


def test_a_changed_file_has_another_tag() -> None:
    tags = {asset.etag for asset in ASSETS.values()}
    assert len(tags) == len(ASSETS)
    assert all(isinstance(asset, Asset) and asset.etag.startswith('"') for asset in ASSETS.values())
