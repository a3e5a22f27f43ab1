"""The tenants' files are read by the hub as they were meant, and no two names are called alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ctxhub.hub.tenants import read_tenant
from ctxhub.replay import tenants
from ctxhub.replay.tenants import Hooks, Labels

HOOKS = Hooks("http://127.0.0.1:1/sms", "http://127.0.0.1:1/pin", "SIGNED_WITH")
SERVICES = {"Buses_1": ["Buses_1.from_location", "Buses_1.travelers"], "酒店": ["酒店.酒店设施-SPA"], "Weather_1": []}


def test_the_hub_reads_both_tenants_from_their_files(tmp_path: Path) -> None:
    tenants.write(tmp_path, SERVICES, HOOKS)
    on, off = read_tenant(tmp_path / "replay.yaml"), read_tenant(tmp_path / "replay-off.yaml")
    assert (on.policies.knowledge, off.policies.knowledge) == ("on", "off")
    assert on.policies.customers_in_ten_minutes == 1_000_000, "its agents are named, and no dialogue waits for one"
    assert {kind.kind: kind.needs for kind in on.journeys} == SERVICES
    assert on.facts["酒店.酒店设施-SPA"].say == {"en": "酒店 酒店设施-SPA", "zh": "酒店的酒店设施-SPA"}
    assert on.channels["ivr"]["auth_token_env"] == on.channels["ivr"]["pin_hook_secret_env"] == "SIGNED_WITH"
    assert on.channels["ivr"]["queue"] == on.channels["chat"]["queue"] == next(iter(on.queues))
    assert off.model_dump(exclude={"tenant", "policies"}) == on.model_dump(exclude={"tenant", "policies"})


def test_off_is_written_as_a_word_and_not_as_a_truth_value(tmp_path: Path) -> None:
    tenants.write(tmp_path, SERVICES, HOOKS)
    assert yaml.safe_load((tmp_path / "replay-off.yaml").read_text("utf-8"))["policies"]["knowledge"] == "off"


def test_the_files_are_gone_when_the_play_is_over(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text("{}")
    tenants.write(tmp_path, SERVICES, HOOKS)
    tenants.remove(tmp_path)
    tenants.remove(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["acme.yaml"]


def test_names_are_called_by_words_and_by_numbers_only_where_they_must() -> None:
    names = ["Buses_1.leaving_date", "Hotels_1.stars", "Hotels_4.stars", "酒店.价格", "plain"]
    labels = Labels(names, "en")
    assert [labels[name] for name in names] == [
        "Buses leaving date",
        "Hotels 1 stars",
        "Hotels 4 stars",
        "酒店 价格",
        "plain",
    ]
    assert Labels(names, "zh")["酒店.价格"] == "酒店的价格"


def test_names_whose_words_are_the_same_keep_their_exact_names() -> None:
    labels = Labels(["a.b_c", "a.b/c", "a_1.x", "a_1/x"], "en")
    assert [labels[name] for name in ("a.b_c", "a.b/c")] == ["a.b_c", "a.b/c"]
    assert len({labels[name] for name in ("a.b_c", "a.b/c", "a_1.x", "a_1/x")}) == 4


@pytest.mark.parametrize(
    ("sentence", "name"),
    [
        ("Please tell us: Hotels star rating.", "Hotels_1.star_rating"),
        ("Please tell us: Hotels star.", "Hotels_1.star"),
        ("请告诉我们：something else", None),
    ],
)
def test_a_sentence_names_the_fact_with_the_longest_label_in_it(sentence: str, name: str | None) -> None:
    assert Labels(["Hotels_1.star", "Hotels_1.star_rating"], "en").name_in(sentence) == name


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("We already have Hotels star: 4 of 5: good.", ("Hotels_1.star", "4 of 5: good.")),
        ("Hotels star rating：5", ("Hotels_1.star_rating", "5")),
        ("Hotels star and more", (None, "")),
    ],
)
def test_what_stands_behind_a_label_and_a_colon_was_told(sentence: str, told: tuple[str | None, str]) -> None:
    assert Labels(["Hotels_1.star", "Hotels_1.star_rating"], "en").told_in(sentence) == told
