"""The chain of the audit trail: whatever is done to it behind the hub's back, it is found, and where."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from ctxhub.model.audit import (
    Anchor,
    Entry,
    Head,
    Line,
    Linked,
    anchored,
    chained,
    is_genuine,
    names_seen,
    text_of,
    text_with,
    verify,
)
from ctxhub.model.value import rfc3339

KEY = b"the key of the trail"
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
LONG = 60


def an_entry(number: int) -> Entry:
    return Entry(
        at=NOON + timedelta(seconds=number), action="context.read", by="desk", role="agent", agent_id=f"a{number % 7}",
        customer=f"{number:032x}", version=number, shown=("order_id",), source="192.0.2.7",
    )  # fmt: skip


def a_chain(length: int = LONG) -> list[Linked]:
    return chained(KEY, Head(), [text_of(an_entry(number)) for number in range(length)])


def an_anchor(chain: list[Linked]) -> Anchor:
    return anchored(KEY, Head(chain[-1].sequence, chain[-1].link), NOON)


CHAIN = a_chain()
ANCHOR = an_anchor(CHAIN)


def edited(chain: list[Linked], chance: random.Random) -> int:
    at = chance.randrange(len(chain))
    text = bytearray(chain[at].text)
    place = chance.randrange(len(text))
    text[place] ^= chance.randrange(1, 256)
    chain[at] = chain[at]._replace(text=bytes(text))
    return at + 1


def relinked(chain: list[Linked], chance: random.Random) -> int:
    at = chance.randrange(len(chain))
    forged = f"{chance.getrandbits(128):032x}"
    chain[at] = chain[at]._replace(link=forged)
    return at + 1


def deleted(chain: list[Linked], chance: random.Random) -> int:
    at = chance.randrange(len(chain))
    del chain[at]
    return at + 1


def deleted_and_renumbered(chain: list[Linked], chance: random.Random) -> int:
    at = chance.randrange(len(chain))
    del chain[at]
    chain[at:] = [entry._replace(sequence=entry.sequence - 1) for entry in chain[at:]]
    return at + 1


def reordered(chain: list[Linked], chance: random.Random) -> int:
    first, second = sorted(chance.sample(range(len(chain)), 2))
    chain[first], chain[second] = chain[second], chain[first]
    return first + 1


def swapped_in_place(chain: list[Linked], chance: random.Random) -> int:
    first, second = sorted(chance.sample(range(len(chain)), 2))
    one, other = chain[first], chain[second]
    chain[first], chain[second] = one._replace(text=other.text), other._replace(text=one.text)
    return first + 1


def inserted(chain: list[Linked], chance: random.Random) -> int:
    at = chance.randrange(len(chain))
    chain.insert(at, chain[at]._replace(text=text_of(an_entry(1000))))
    return at + 1


def truncated(chain: list[Linked], chance: random.Random) -> int:
    at = chance.randrange(len(chain))
    del chain[at:]
    return at + 1


TAMPERINGS = [edited, relinked, deleted, deleted_and_renumbered, reordered, swapped_in_place, inserted, truncated]


def test_a_chain_left_alone_is_whole() -> None:
    assert verify(KEY, CHAIN, [ANCHOR]) is None
    assert verify(KEY, [], []) is None


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_each_of_10000_tamperings_is_found_and_its_first_entry_named(
    tamper: Callable[[list[Linked], random.Random], int],
) -> None:
    chance = random.Random(tamper.__name__)
    for _ in range(10_000 // len(TAMPERINGS)):
        chain = list(CHAIN)
        first = tamper(chain, chance)
        broken = verify(KEY, chain, [ANCHOR])
        assert broken is not None
        assert broken.sequence == first


def test_an_end_that_was_cut_off_is_missed_without_an_anchor_and_found_with_one() -> None:
    assert verify(KEY, CHAIN[:-1], []) is None
    assert verify(KEY, CHAIN[:-1], [ANCHOR]) is not None


def test_a_chain_made_anew_by_somebody_without_the_key_is_found() -> None:
    forged = chained(b"another key", Head(), [entry.text for entry in CHAIN])
    broken = verify(KEY, forged, [ANCHOR])
    assert broken is not None
    assert broken.sequence == 1


def test_an_anchor_of_somebody_without_the_key_is_found() -> None:
    forged = anchored(b"another key", Head(3, CHAIN[2].link), NOON)
    assert not is_genuine(KEY, forged)
    assert verify(KEY, CHAIN, [forged]) is not None


def test_what_was_let_go_in_time_leaves_a_chain_that_still_proves_itself() -> None:
    kept, start = CHAIN[20:], Head(CHAIN[19].sequence, CHAIN[19].link)
    assert verify(KEY, kept, [ANCHOR], start) is None
    broken = verify(KEY, CHAIN[21:], [ANCHOR], start)
    assert broken is not None
    assert broken.sequence == 21


def test_an_anchor_before_the_start_of_what_is_kept_says_nothing_any_more() -> None:
    early = anchored(KEY, Head(5, CHAIN[4].link), NOON)
    assert verify(KEY, CHAIN[20:], [early, ANCHOR], Head(20, CHAIN[19].link)) is None


def test_a_seal_for_a_start_is_none_for_an_end() -> None:
    start = anchored(KEY, Head(3, CHAIN[2].link), NOON, "start")
    assert is_genuine(KEY, start, "start")
    assert not is_genuine(KEY, start)


def test_an_entry_comes_back_from_the_chain_as_it_was_noted() -> None:
    assert CHAIN[4].entry == an_entry(4)


def test_a_line_is_the_entry_s_text_with_any_instant() -> None:
    said = an_entry(4).__dict__ | {"about": {"queue": '","at":"', "at": rfc3339(NOON)}}
    line = Line.of(said)
    for at in (said["at"], NOON):
        assert line.text(at) == text_with(said | {"at": at})
        before, after = line._replace(version=77).around(at)
        assert before + b"77" + after == text_with(said | {"at": at, "version": 77})


def test_the_names_in_an_answer_are_told_apart_by_how_they_were_shown() -> None:
    facts = {
        "order_id": {"value": "A-17"},
        "phone": {"value": None, "masked": "••••31", "withheld": True},
        "income": {"withheld": True},
    }
    assert names_seen({"facts": facts}) == (["order_id"], ["phone"], ["income"])
    assert names_seen({"context": {"facts": facts}, "fence": 2})[0] == ["order_id"]
    judged = [{"name": "a", "verdict": "known"}, {"name": "b", "verdict": "withheld"}, {"name": "c", "verdict": "ask"}]
    assert names_seen({"answers": judged}) == (["a"], [], ["b"])
    assert names_seen({"answers": [{"name": "c", "verdict": "ask", "masked": "••••"}]}) == ([], ["c"], [])
    assert names_seen([1, 2]) == ([], [], [])
    told = [
        {"type": "fact.stated", "data": {"name": "city", "value": "Xi'an"}},
        {"type": "fact.confirmed", "data": {"name": "city", "value": "Xi'an"}},
        {"type": "fact.stated", "data": {"name": "income", "withheld": True}},
        {"type": "input.collected", "data": {"prompt": "pin", "withheld": True}},
        {"type": "message.received", "data": {"text": "hello"}},
    ]
    assert names_seen({"events": told}) == (["city"], [], ["income", "pin"])
