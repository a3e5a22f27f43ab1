"""Tenants' files: every fault is told with file, line and remedy, and none of them gets any further."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctxhub.hub import declarations
from ctxhub.hub.declarations import FaultyFile, LineFault, check, read_tenant
from ctxhub.model.tenant import Tenant

ROOT = Path(__file__).parents[2]


def a_file(folder: Path, text: str | bytes, name: str = "bank.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path: Path) -> list[LineFault]:
    with pytest.raises(FaultyFile) as refused:
        read_tenant(path)
    assert all(fault.file == path.name and fault.remedy for fault in refused.value.faults)
    return refused.value.faults


def read(folder: Path, text: str) -> Tenant:
    return read_tenant(a_file(folder, text))


KINDS = """\
languages: [zh, en]
journeys:
  - kind: card_lost
    say: {zh: 挂失, en: a lost card}
    steps:
      - step: block
"""
CALENDAR = """\
calendars:
  office:
    timezone: Asia/Shanghai
    holidays: CN
    hours:
      mon: ["08:30-12:00", "13:00-18:00"]
"""
QUEUES = "queues:\n  a: {fallback: {queue: b}}\n  b: {fallback: c}\n  c: {fallback: {queue: a}}\n"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (KINDS + "        colour: red\n", 7, "no key 'colour'"),
        (CALENDAR + "      tue: [09:00-25:00]\n", 7, "are no hours such as"),
        (CALENDAR + "      tue:\n        - 09:00-12:00\n        - 11:59-13:00\n", 9, "before 09:00-12:00 of tue"),
        (CALENDAR + "      sun: [22:00-09:00]\n", 6, "begin before 22:00-09:00 of sun are over"),
        (CALENDAR + "      noday: [09:00-12:00]\n", 7, "should be 'mon'"),
        (CALENDAR.replace("Asia/Shanghai", "Asia/Shanghigh"), 3, "is not a time zone"),
        (CALENDAR.replace("CN", "XX"), 4, "nothing is known of the holidays of 'XX'"),
        (CALENDAR.replace("CN", "[CN, 2026-10-01, 2026-10-01]"), 4, "stands here twice"),
        (CALENDAR.replace("CN", "[NO]"), 4, "in quotes"),
        (CALENDAR + "    workdays_like: sat\n", 7, "no hours of 'sat'"),
        (CALENDAR + "    closed:\n      - {from: 2026-11-23T12:00, until: 2026-11-23T11:00}\n", 8, "it is closed from"),
        (CALENDAR + "queues:\n  cards:\n    hours: ofice\n", 9, "there is no calendar 'ofice'"),
        (CALENDAR + "queues:\n  cards:\n    alternatives:\n      - {kind: channel, channel: chat, queue: b}\n", 10,
         "there is no queue 'b'"),
        (CALENDAR + "queues:\n  cards:\n    alternatives:\n      - kind: channel\n", 10, "`channel` is named for"),
        (KINDS + "        say: {zh: 锁卡}\n", 7, "no sentence in en"),
        (KINDS + "default_region: cn\n", 7, "no country 'cn'"),
        (KINDS + "default_region: UK\n", 7, "no country 'UK'"),
        (KINDS + "        say: {zh: 锁卡, en: ' '}\n", 7, "no sentence in en"),
        (KINDS + "      - step: block\n", 7, "the step 'block' stands here twice"),
        (KINDS + "        facts: [a, b, a]\n", 7, "the fact 'a' stands here twice"),
        (KINDS + "  - kind: card_lost\n", 7, "the kind 'card_lost' stands here twice"),
        (KINDS + "    owner: cards\n", 7, "there is no queue 'cards'"),
        (KINDS + "        owner: cards\n", 7, "there is no queue 'cards'"),
        (KINDS + "        within: soon\n", 7, "valid integer"),
        (KINDS + "    rest: 0\n", 7, "greater than 0"),
        (KINDS + "    lapse: 1.5\n", 7, "valid integer"),
        (KINDS + "    importance: 6\n", 7, "less than or equal to 5"),
        (KINDS + "    escalate:\n      - {after: 60, owner: cards}\nqueues: {x: {}}\n", 8, "no queue 'cards'"),
        (KINDS + "    escalate:\n      - {after: 9, owner: x}\n      - {after: 9, owner: x}\nqueues: {x: {}}\n", 9,
         "not later than the one before"),
        (KINDS + "    say: {zh: 挂失, en: a card}\n", 7, "the key 'say' stands here twice, first in line 4"),
        (KINDS + "facts:\n  city:\n    say: {en: city}\n", 9, "no sentence in zh"),
        (KINDS + "facts:\n  city:\n    sensitivity: secret\n", 9, "'public', 'internal'"),
        (KINDS + "\tsteps: []\n", 7, "a tab stands here"),
        ("identifiers:\n  types: {phone: {most: 0}}\n", 2, "greater than or equal to 1"),
        ("identifiers:\n  types: {phone: {alone: maybe}}\n", 2, "valid boolean"),
        ("identifiers:\n  blocked:\n    - {type: email, value: nobody}\n", 3, "no e-mail address"),
        ("identifiers:\n  blocked:\n    - {type: phone, value: '+86 10'}\n    - {type: phone, value: 'tel:+8610'}\n", 4,
         "stands here twice"),
        ("languages: [zh, en, zh]\n", 1, "the language 'zh' stands here twice"),
        ("queues:\n  cards:\n    routing: external\n    weights: {idle: 5}\n", 4, "by weights of his own"),
        ("queues: {cards: {}}\nagents:\n  ann:\n    queues: [cards, loans]\n", 4, "there is no queue 'loans'"),
        ("languages: [zh]\n\nqueues:\n  cards:\n    fallback: {queue: loans}\n", 5, "there is no queue 'loans'"),
        ("queues:\n  cards: {fallback: {queue: cards}}\n", 2, "go in a circle: cards → cards"),
        (QUEUES, 2, "go in a circle: a → b → c → a"),
        ("queues:\n  cards: {continue_elsewhere: chats}\n", 2, "there is no queue 'chats'"),
        ('dial: {number: "+8610", pool: ["+8611", "+8611"]}\n', 1, "the number '+8611' stands here twice"),
        ('dial: {number: "+8610", pool: ["+8610"]}\n', 1, "the number '+8610' stands here twice"),
        ("policies:\n  knowledge: off\n", 2, "'on' or 'off'"),
        ("- languages\n", 1, "one mapping"),
        ("just words\n", 1, "one mapping"),
        ("tenant: telecom\n", 1, "the file's name says that this is 'bank'"),
        ("languages: [zh\nfacts: {}\n", 2, "expected"),
        ("facts: {}\n---\nfacts: {}\n", 2, "another document"),
        ("facts: !!python/object/apply:os.system ['true']\n", 1, "could not determine a constructor"),
        ("facts:\n  ? [a, b]\n  : {}\n", 2, "a key here is not text"),
        ("facts: &all {x: *all}\n", 1, "holds itself"),
        ("facts: 2026-99-99\n", 1, "can't be read"),
        ('languages: [zh]\nfacts: "\x01"\n', 2, "not allowed in YAML"),
        (b"languages: [zh]\nfacts: {\xd3\xc4: {}}\n", 2, "not UTF-8"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line(tmp_path: Path, text: str | bytes, line: int, what: str) -> None:
    (first, *_) = refusal(a_file(tmp_path, text))
    assert (first.line, what in first.what) == (line, True), first


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    faults = refusal(a_file(tmp_path, KINDS + "        say: {zh: 锁卡}\n        owner: nobody\n    owner: nobody\n"))
    assert sorted(fault.line for fault in faults) == [7, 8, 9]


def test_a_fault_reads_as_file_line_and_remedy() -> None:
    fault = LineFault("bank.yaml", 7, "no sentence in en", "add it")
    assert str(fault) == "bank.yaml:7: no sentence in en -> add it"


def test_a_file_of_more_than_its_limit_is_not_read(tmp_path: Path) -> None:
    (fault,) = refusal(a_file(tmp_path, b"#" * (declarations.LARGEST + 1)))
    assert "more than 512 KiB" in fault.what


@pytest.mark.parametrize("text", ["[" * 200_000, "[" * 200_000 + "]" * 200_000, "{a: " * 100_000])
def test_what_is_nested_too_deep_is_refused_and_ends_no_process(tmp_path: Path, text: str) -> None:
    (fault,) = refusal(a_file(tmp_path, text))
    assert "deeper than 64 levels" in fault.what


def test_aliases_that_unfold_to_millions_are_refused(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    (fault,) = refusal(a_file(tmp_path, "\n".join(rows)))
    assert "aliases unfold" in fault.what


def test_an_alias_or_two_are_fine(tmp_path: Path) -> None:
    tenant = read(tmp_path, "facts:\n  a: &fact {say: {en: it}}\n  b: *fact\n")
    assert tenant.facts["a"] == tenant.facts["b"]


@pytest.mark.parametrize("name", ["Bank.yaml", "my bank.yaml", f"{'x' * 41}.yaml"])
def test_a_file_whose_name_is_no_tenant_s_is_refused(tmp_path: Path, name: str) -> None:
    assert "not the name of a tenant" in refusal(a_file(tmp_path, "", name))[0].what


def test_a_folder_in_place_of_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "bank.yaml").mkdir()
    assert "can't be read" in refusal(tmp_path / "bank.yaml")[0].what


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\ufefflanguages: [zh]\n", "{}"])
def test_an_empty_file_declares_nothing_and_a_byte_order_mark_is_passed_over(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).journeys == []


def test_the_shortest_kind_there_is_loads(tmp_path: Path) -> None:
    tenant = read(tmp_path, "journeys: [{kind: refund, rest: 60, steps: [{step: order, facts: [order_id]}]}]\n")
    assert tenant.kind("refund").needs == ["order_id"]
    assert tenant.kind("refund").importance == 3


def test_a_step_without_any_sentence_falls_back_to_its_name(tmp_path: Path) -> None:
    assert read(tmp_path, KINDS).kind("card_lost").steps[0].say == {}


def test_languages_that_are_not_declared_ask_for_no_sentence(tmp_path: Path) -> None:
    assert read(tmp_path, "facts: {city: {say: {de: Stadt}}}\n").facts["city"].say == {"de": "Stadt"}


def test_a_language_is_spoken_by_any_of_its_regions(tmp_path: Path) -> None:
    assert read(tmp_path, "languages: [zh-CN, en-GB]\nfacts: {city: {say: {zh: 城市, en: city}}}\n").facts


def test_a_fallback_may_be_a_name_and_an_owner_one_agent(tmp_path: Path) -> None:
    tenant = read(tmp_path, "queues: {a: {fallback: b}, b: {}}\njourneys: [{kind: x, owner: 'agent:ann'}]\n")
    fallback = tenant.queues["a"].fallback
    assert fallback is not None
    assert (fallback.queue, tenant.kind("x").owner) == ("b", "agent:ann")


def test_a_folder_is_checked_file_by_file(tmp_path: Path) -> None:
    a_file(tmp_path, "colour: red\n", "bad.yaml")
    a_file(tmp_path, "languages: [en]\n", "good.yaml")
    a_file(tmp_path, "\t", "notes.txt")
    assert [(fault.file, fault.line) for fault in check(tmp_path)] == [("bad.yaml", 1)]


def test_the_shipped_examples_have_no_fault() -> None:
    assert check(ROOT / "deploy" / "tenants") == []
