"""Sealed sessions."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from ctxhub_chat.sessions import LASTS, Session, seal, unseal, visit_id

from ctxhub.client import Forbidden, Lapsed

from .scenes import NOON

SECRET = b"between us"
SESSION = Session("acme", "anna.berg@example.com", "in_9f", "zh")
SEALED = seal(SECRET, SESSION, NOON)


def test_a_sealed_session_opens_for_whoever_has_the_secret() -> None:
    assert unseal(SECRET, SEALED, "acme", NOON) == SESSION


def test_nothing_of_it_can_be_read() -> None:
    raw = base64.urlsafe_b64decode(SEALED + "==")
    assert not [part for part in (b"anna", b"acme", b"in_9f") if part in raw]
    assert "anna" not in SEALED


def test_another_secret_does_not_open_it() -> None:
    with pytest.raises(Forbidden):
        unseal(b"another", SEALED, "acme", NOON)


def test_another_tenant_does_not_take_it() -> None:
    with pytest.raises(Forbidden):
        unseal(SECRET, SEALED, "bravo", NOON)


def test_a_change_anywhere_makes_it_worthless() -> None:
    raw = base64.urlsafe_b64decode(SEALED + "==")
    for place in range(len(raw)):
        forged = bytes([*raw[:place], raw[place] ^ 1, *raw[place + 1 :]])
        with pytest.raises(Forbidden):
            unseal(SECRET, base64.urlsafe_b64encode(forged).decode(), "acme", NOON)


@pytest.mark.parametrize("junk", ["x", "", "äöü", "a" * 2000, "not base64!", "AAAA", "\x00", "===="])
def test_junk_is_refused(junk: str) -> None:
    with pytest.raises(Forbidden):
        unseal(SECRET, junk, "acme", NOON)


def test_it_lasts_a_day() -> None:
    assert unseal(SECRET, SEALED, "acme", NOON + LASTS) == SESSION
    with pytest.raises(Lapsed):
        unseal(SECRET, SEALED, "acme", NOON + LASTS + timedelta(hours=1, seconds=1))


def test_two_customers_masks_have_nothing_in_common() -> None:
    other = base64.urlsafe_b64decode(seal(SECRET, SESSION._replace(interaction_id="in_9e"), NOON) + "==")
    mine = base64.urlsafe_b64decode(SEALED + "==")
    assert sum(a == b for a, b in zip(mine, other, strict=True)) < 8


def test_the_hub_knows_a_visit_by_a_name_that_does_not_open_it() -> None:
    name = visit_id(SECRET, "acme", "v" * 24)
    assert (len(name), "vvv" in name) == (32, False)
    assert name == visit_id(SECRET, "acme", "v" * 24)
    assert name not in {visit_id(SECRET, "bravo", "v" * 24), visit_id(b"another", "acme", "v" * 24)}
