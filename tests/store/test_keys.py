"""Every key is spelled in one place, in the slot where its script needs it, and stands in the table."""

from __future__ import annotations

import re
from datetime import date

import pytest
from redis.crc import key_slot

from ctxhub.store.keys import TABLE, Keys
from tests.support import KEEP, _fault, _spelled

KEYS = Keys(64)


def slot(key: str) -> int:
    return int(key_slot(key.encode()))


@pytest.mark.parametrize("customer_id", ["c42", "a@b.c", "x" * 128, "{1}", "}{", "0.-_"])
def test_all_keys_of_a_customer_and_its_partition_share_a_slot(customer_id: str) -> None:
    keys = KEYS.customer("acme", customer_id)
    partition = keys.partition
    every = [
        keys.context, keys.document, keys.timeline, keys.events, keys.saved, keys.outbox, keys.due,
        KEYS.operation("acme", customer_id, "d" * 32), KEYS.list_part(partition, "acme", "waiting:queue:cards"),
        KEYS.numbers(partition, "acme", date(2026, 11, 22)), KEYS.handoff(partition, "ho_07ab"),
        KEYS.token(partition, "07xyz"), KEYS.of_partition(partition, "relay"), KEYS.of_partition(partition, "cursors"),
        KEYS.of_partition(partition, "outbox"), keys.leases, keys.erased, KEYS.router(partition, "acme"),
        KEYS.list_part(partition, "acme", "work:ringing"),
    ]  # fmt: skip
    assert len({slot(key) for key in every}) == 1
    assert len(set(every)) == len(every) - 1  # the outbox is named twice


def test_partitions_spread_over_slots() -> None:
    slots = {slot(KEYS.of_partition(partition, "due")) for partition in KEYS.every_partition()}
    assert len(slots) == 64


def test_customers_spread_over_partitions() -> None:
    counts: dict[str, int] = {}
    for number in range(6400):
        partition = KEYS.customer("acme", f"c{number}").partition
        counts[partition] = counts.get(partition, 0) + 1
    assert len(counts) == 64
    assert max(counts.values()) < 200


@pytest.mark.parametrize(("partitions", "names"), [(1, ["00"]), (3, ["00", "01", "02"])])
def test_partitions_have_names_of_one_width(partitions: int, names: list[str]) -> None:
    assert Keys(partitions).every_partition() == names
    assert {len(name) for name in Keys(1000).every_partition()} == {3}


def test_what_was_fixed_at_the_first_start_is_found_whatever_the_number_of_partitions() -> None:
    assert {Keys(partitions).founding for partitions in (1, 64, 1000)} == {"ctxhub:{00}:founding"}
    assert {Keys(partitions).api_keys for partitions in (1, 64, 1000)} == {"ctxhub:{00}:keys"}


_PLACES = (
    "waiting:queue:a:b",
    "held:queue:x",
    "held:agent:ann",
    "work:held",
    "work:ringing",
    "open:chat",
    "calls:ann",
    "promised:due_soon",
    "promised:open:a:b",
)


def test_every_key_that_is_spelled_stands_in_the_table_once() -> None:
    keys, partition = KEYS.customer("acme", "c42"), "07"
    spelled = [
        *keys[1:8], keys.leases, keys.erased, keys.operations, *KEYS.coming("acme", "c42"),
        KEYS.operation("acme", "c42", "d" * 32),
        KEYS.numbers(partition, "acme", date(2026, 11, 22)),
        *(KEYS.list_part(partition, "acme", place) for place in _PLACES),
        *(KEYS.of_partition(partition, name) for name in ("relay", "cursors")),
        KEYS.handled("acme", "cards"), KEYS.feed("acme", "queue:cards"),
        KEYS.handoff(partition, "ho_07"), KEYS.token(partition, "07x"),
        *(KEYS.lookup("acme", kind, "d" * 32) for kind in ("external", "ref", "start", "identifier", "tries")),
        *(KEYS.lookup("acme", kind, "d" * 32) for kind in ("access", "reading", "lent", "announced")),
        *(KEYS.lookup("acme", kind, "d" * 32) for kind in ("reasons", "whereabouts", "receipt")),
        *KEYS.deliveries("acme", "c42"), *KEYS.webhook(partition, "acme", "crm"), KEYS.endpoint("acme", "crm"),
        KEYS.of_partition(partition, "endpoints"), KEYS.lookup("acme", "source", "d" * 32),
        *KEYS.audit("acme"), KEYS.agents("acme"), KEYS.router(partition, "acme"),
        KEYS.disclosed("acme"), KEYS.audited, KEYS.ticket("d" * 32), KEYS.api_keys, KEYS.api_keys_used, KEYS.founding,
    ]  # fmt: skip
    rows = [[row.pattern for row in TABLE if re.fullmatch(_spelled(row.pattern), key)] for key in spelled]
    assert [len(found) for found in rows] == [1] * len(spelled)
    assert {found[0] for found in rows} == {row.pattern for row in TABLE}


def test_hints_go_out_on_the_customer_s_own_partition_and_one_pattern_hears_all() -> None:
    keys = KEYS.customer("acme", "c42")
    assert slot(keys.hints) == slot(keys.context)
    pattern = re.escape(KEYS.hints_pattern).replace(r"\*", ".*")
    assert re.fullmatch(pattern, keys.hints)
    assert re.fullmatch(pattern, KEYS.feed_hints("acme", "queue:cards"))


@pytest.mark.parametrize(
    ("name", "kind", "left", "complaint"),
    [
        ("ctxhub:{07}:acme:c42:context", "hash", 1000, None),
        ("ctxhub:{07}:acme:c42:context", "hash", 61 * 86_400_000, "the table says 2 × lifetime"),
        ("ctxhub:{07}:acme:c42:document", "string", -1, "the table says lifetime"),
        ("ctxhub:{07}:acme:c42:document", "string", 31 * 86_400_000, "the table says lifetime"),
        ("ctxhub:{07}:acme:c42:context", "string", 1000, "the table says hash"),
        ("ctxhub:{07}:acme:c42:contexts", "hash", 1000, "0 rows"),
        ("other:key", "string", -1, "0 rows"),
        ("ctxhub:{07}:outbox", "stream", -1, None),
        ("ctxhub:{07}:outbox", "stream", 1000, "until consumed"),
        ("ctxhub:{07}:acme:tries:0123456789abcdef", "string", 86_400_001, "the table says 24 h"),
        ("ctxhub:{07}:acme:tries:0123456789abcdef", "string", -2, None),
        ("ctxhub:{07}:acme:waiting:queue:a", "zset", -1, None),
    ],
)
def test_the_check_for_leaks_sees_what_is_wrong(name: str, kind: str, left: int, complaint: str | None) -> None:
    fault = _fault(name, kind, left, KEEP)
    assert (fault is None) == (complaint is None)
    assert complaint is None or complaint in (fault or "")
