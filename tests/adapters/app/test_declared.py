"""What a tenant declares of its app is checked as its file is read; a fault leaves the last good one in force."""

from __future__ import annotations

from pathlib import Path

import pytest
from ctxhub_app import association, check_channel
from ctxhub_app.settings import AppChannel, channel_of

from ctxhub.client import Tenant
from ctxhub.hub import tenants as reading
from ctxhub.hub.declarations import check
from ctxhub.hub.tenants import Tenants
from ctxhub.server import CHANNELS

GOOD = "languages: [en]\nchannels:\n  app:\n    dial: '+49 30 1'\n"
BAD = "languages: [en]\nchannels:\n  app:\n    dial: '+49 30 2'\n    apple: {app_ids: [com.faraway.bank]}\n"


def test_a_fault_is_told_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(BAD)
    [fault] = check(tmp_path, CHANNELS)
    assert (fault.file, fault.line) == ("acme.yaml", 5)
    assert "channels.app.apple.app_ids.0" in fault.what


def test_a_misspelt_setting_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(GOOD.replace("dial", "dail"))
    [fault] = check(tmp_path, CHANNELS)
    assert (fault.line, "no key 'dail'" in fault.what) == (4, True)


def test_a_fault_leaves_the_last_good_one_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LOOK_EVERY", 0)
    file, tenants = tmp_path / "acme.yaml", Tenants(tmp_path, CHANNELS)
    file.write_text(GOOD)
    assert tenants.of("acme").channels["app"]["dial"] == "+49 30 1"
    file.write_text(BAD)
    assert tenants.of("acme").channels["app"]["dial"] == "+49 30 1"
    assert [fault.line for fault in tenants.faults()] == [5]
    file.write_text(GOOD.replace("30 1", "30 3"))
    assert tenants.of("acme").channels["app"]["dial"] == "+49 30 3"
    assert tenants.names() == ["acme", "default"]


def test_nothing_declared_is_no_fault() -> None:
    check_channel({})
    assert association.apple([AppChannel()]) is None
    assert association.android([AppChannel()]) is None


def test_a_fault_that_came_through_all_the_same_lets_nobody_log_in() -> None:
    faulty = Tenant.model_validate({"tenant": "acme", "channels": {"app": {"dial": "call me", "chat": False}}})
    assert channel_of(faulty) == AppChannel()
