"""A sealed log: nothing of it can be read without its secret, and nothing is lost of it unsaid."""

from __future__ import annotations

import logging
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxhub.client.sealed import InUse, SealedLog

SECRET = b"a secret for tests alone"
NAME = "https://ctx.example.com acme"
AROUND = 4 + 8 + 12 + 16  # length, mark, nonce, tag


def a_log(path: Path, secret: bytes = SECRET, name: str = NAME) -> SealedLog:
    return SealedLog(path, secret, name)


def filled(path: Path, *contents: bytes) -> bytes:
    """Write a log and return its bytes."""
    log = a_log(path)
    log.open()
    log.append(contents)
    log.close()
    return path.read_bytes()


def reopened(path: Path) -> list[bytes]:
    log = a_log(path)
    try:
        return log.open()
    finally:
        log.close()


def aside(path: Path) -> list[str]:
    """What was put beside a log, by kind."""
    names = (found.name.removeprefix(path.name) for found in path.parent.iterdir())
    return sorted(name.split("-2")[0] for name in names if name not in ("", ".lock"))


def test_what_was_appended_is_there_at_the_next_start_in_order(tmp_path: Path) -> None:
    log = a_log(tmp_path / "log")
    assert log.open() == []
    log.append([b"one", b"two"])
    log.append([b""])
    log.close()
    again = a_log(tmp_path / "log")
    assert again.open() == [b"one", b"two", b""]
    again.append([b"four"])
    again.close()
    assert reopened(tmp_path / "log") == [b"one", b"two", b"", b"four"]


def test_nothing_stands_in_clear_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    data = filled(tmp_path / "log", b"order A-17 of Mrs Li")
    assert b"A-17" not in data
    assert b"ctx.example.com" not in data
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def test_two_files_of_one_secret_have_nothing_in_common(tmp_path: Path) -> None:
    one, other = filled(tmp_path / "one", b"hello"), filled(tmp_path / "other", b"hello")
    assert one[16:] != other[16:]


def test_replacing_leaves_the_new_contents_alone_and_goes_on_behind_them(tmp_path: Path) -> None:
    log = a_log(tmp_path / "log")
    log.open()
    log.append([b"one", b"two", b"three"])
    before = log.size
    log.replace([b"three"])
    assert log.size < before
    log.append([b"four"])
    log.close()
    assert reopened(tmp_path / "log") == [b"three", b"four"]
    assert aside(tmp_path / "log") == []


def test_a_second_process_is_refused_and_told_why(tmp_path: Path) -> None:
    log = a_log(tmp_path / "log")
    log.open()
    with pytest.raises(InUse, match="a spool of its own"):
        a_log(tmp_path / "log").open()
    log.close()
    assert reopened(tmp_path / "log") == []


@settings(max_examples=60, deadline=None)
@given(lost=st.integers(1, 200))
def test_a_file_cut_off_anywhere_keeps_every_whole_entry(tmp_path_factory: pytest.TempPathFactory, lost: int) -> None:
    path = tmp_path_factory.mktemp("torn") / "log"
    entries = [b"first", b"second entry", b"third"]
    data = filled(path, *entries)
    path.write_bytes(data[:-lost])
    behind = [sum(AROUND + len(entry) for entry in entries[n:]) for n in range(len(entries))]
    assert reopened(path) == [entry for entry, end in zip(entries, [*behind[1:], 0], strict=True) if lost <= end]
    assert len(reopened(path)) == sum(lost <= end for end in [*behind[1:], 0])


@pytest.mark.parametrize("tail", [b"\0" * 7, b"\0" * 4096, b"\0\0\0\x21"])
def test_what_a_power_cut_leaves_behind_the_last_entry_is_cut_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tail: bytes
) -> None:
    path = tmp_path / "log"
    path.write_bytes(filled(path, b"one", b"two") + tail)
    with caplog.at_level(logging.WARNING):
        assert reopened(path) == [b"one", b"two"]
    assert "spool.cut" in caplog.text
    assert aside(path) == [".cut"]


def test_one_altered_bit_in_the_middle_sets_the_whole_file_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    data = bytearray(filled(path, b"one", b"two", b"three"))
    data[-80] ^= 1
    path.write_bytes(data)
    with caplog.at_level(logging.ERROR):
        assert reopened(path) == []
    assert "was altered" in caplog.text
    assert aside(path) == [".damaged"]
    [kept] = [found for found in tmp_path.iterdir() if "damaged" in found.name]
    assert kept.read_bytes() == bytes(data)


def test_entries_that_changed_places_are_found_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    data = filled(path, b"one", b"two")
    size = AROUND + 3
    path.write_bytes(data[: -2 * size] + data[-size:] + data[-2 * size : -size])
    assert reopened(path) == []
    assert aside(path) == [".damaged"]


@pytest.mark.parametrize(
    ("secret", "name", "word"),
    [(b"another secret", NAME, ".another-key"), (SECRET, "https://ctx.example.com other", ".another-hub")],
)
def test_a_file_of_another_key_or_hub_is_renamed_and_never_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, secret: bytes, name: str, word: str
) -> None:
    path = tmp_path / "log"
    filled(path, b"one")
    other = a_log(path, secret, name)
    with caplog.at_level(logging.ERROR):
        assert other.open() == []
    other.append([b"ours"])
    other.close()
    assert "spool.set_aside" in caplog.text
    assert aside(path) == [word]


def test_a_file_that_is_no_log_at_all_is_left_as_it_is_under_another_name(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("somebody's shopping list")
    assert reopened(path) == []
    assert aside(path) == [".no-spool"]
    [kept] = [found for found in tmp_path.iterdir() if "no-spool" in found.name]
    assert kept.read_text() == "somebody's shopping list"


def test_a_crash_in_the_very_first_write_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    whole = filled(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert reopened(path) == []
    assert aside(path) == []


def test_a_head_that_says_another_length_than_ours_is_not_taken_for_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "log"
    data = bytearray(filled(path, b"one", b"two"))
    data[34] ^= 2  # the name would be 512 bytes longer, and the file end within it
    path.write_bytes(data)
    assert reopened(path) == []
    assert aside(path) == [".another-key"]
    [kept] = [found for found in tmp_path.iterdir() if "another-key" in found.name]
    assert kept.read_bytes() == bytes(data)


@contextmanager
def files_no_larger_than(most: int) -> Iterator[None]:
    """Let the system refuse to make any file larger, as a full disk does."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_takes_no_more_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    log = a_log(tmp_path / "log")
    log.open()
    log.append([b"one"])
    with files_no_larger_than(log.size + 20), pytest.raises(OSError, match="large"):
        log.append([b"more than the twenty bytes that the limit leaves"])
    with files_no_larger_than(log.size), pytest.raises(OSError, match="large"):
        log.replace([b"one", b"and more than there was before"])
    log.append([b"two"])
    log.close()
    assert reopened(tmp_path / "log") == [b"one", b"two"]
