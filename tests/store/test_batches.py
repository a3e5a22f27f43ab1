"""Batches of a trail: what goes in comes out, and damage is said to be damage."""

from __future__ import annotations

import random

import pytest

from ctxhub.errors import Unreadable
from ctxhub.model.audit import Head, Linked, chained
from ctxhub.store.batches import batch_of, entries_in

TEXTS = [b'{"action":"context.read","agent_id":"a%d","reason":"  two  spaces"}' % number for number in range(200)]
LINKED = chained(b"key", Head(41, "f" * 32), TEXTS)


@pytest.mark.parametrize("length", [1, 2, 200])
def test_what_goes_in_comes_out(length: int) -> None:
    assert entries_in(batch_of(LINKED[:length])) == LINKED[:length]


def test_lines_that_are_alike_take_little_room() -> None:
    assert len(batch_of(LINKED)) < sum(len(each.text) + len(each.link) for each in LINKED) / 2


@pytest.mark.parametrize("seed", range(50))
def test_whatever_was_changed_in_it_is_unreadable(seed: int) -> None:
    chance = random.Random(seed)
    damaged = bytearray(batch_of(LINKED))
    damaged[chance.randrange(len(damaged))] ^= chance.randrange(1, 256)
    with pytest.raises(Unreadable):
        entries_in(bytes(damaged))


@pytest.mark.parametrize("batch", [b"", b"\x01", b"\x02" + batch_of(LINKED)[1:], batch_of([Linked(1, "", b"")])[:9]])
def test_what_is_no_batch_is_unreadable(batch: bytes) -> None:
    with pytest.raises(Unreadable):
        entries_in(batch)
