"""The sealed cookie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from ctxhub_desk.sessions import Seal, Session
from pydantic import SecretStr

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)
SESSION = Session(key=SecretStr("key-of-ann"), agent_id="安", queue="default", ends_at=NOON + timedelta(hours=1))


def a_seal(secret: str = "a secret of the operator") -> Seal:
    return Seal(SecretStr(secret))


def test_what_is_sealed_is_opened_by_any_process_with_the_same_secret() -> None:
    assert a_seal().open(a_seal().close(SESSION), NOON) == SESSION


def test_the_cookie_shows_neither_key_nor_agent() -> None:
    cookie = a_seal().close(SESSION)
    assert "key-of-ann" not in cookie
    assert a_seal().close(SESSION) != cookie


def test_another_secret_opens_nothing() -> None:
    assert a_seal("another secret").open(a_seal().close(SESSION), NOON) is None


def test_a_session_that_is_over_opens_nothing() -> None:
    cookie = a_seal().close(SESSION)
    assert a_seal().open(cookie, NOON + timedelta(minutes=59)) is not None
    assert a_seal().open(cookie, NOON + timedelta(hours=1)) is None


def test_a_cookie_altered_anywhere_opens_nothing() -> None:
    cookie = a_seal().close(SESSION)
    altered = [cookie[:i] + ("A" if cookie[i] != "A" else "B") + cookie[i + 1 :] for i in range(len(cookie) - 1)]
    assert all(a_seal().open(bad, NOON) is None for bad in altered)


@pytest.mark.parametrize("cookie", ["", "x", "====", "äöü", "AAAA", "A" * 5000, "\x00"])
def test_anything_else_opens_nothing(cookie: str) -> None:
    assert a_seal().open(cookie, NOON) is None


def test_a_session_does_not_print_its_key() -> None:
    assert "key-of-ann" not in repr(SESSION)
