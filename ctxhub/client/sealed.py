"""A sealed log: what is appended to it stands in a file that only its secret opens, each entry whole or not at all.

    head    magic (16) | salt (16) | length (4) | nonce (12) | the log's name, sealed
    entry   length (4) | mark of place and length (8) | nonce (12) | content, sealed

Each file has a key of its own, made of the secret and its salt. An entry is sealed together with its place, so none
can be moved, left out in the middle, or taken to another file. What could not be read is renamed aside, and said so;
what is sealed of that goes when its owner says that its time is over.
"""

from __future__ import annotations

import fcntl
import glob
import hmac
import logging
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

__all__ = ["InUse", "SealedLog", "clear_set_aside", "own_secret"]

log = logging.getLogger(__name__)

_MAGIC = b"ctxhub sealed 1\n"
_SALT, _NONCE, _TAG, _LENGTH, _MARK = 16, 12, 16, 4, 8
_BEFORE_NAME = len(_MAGIC) + _SALT + _LENGTH
_BEFORE_CONTENT = _LENGTH + _MARK
_OWNER_ONLY = 0o600
_STAMP = "%Y%m%dT%H%M%S"
_SEALED_ASIDE = re.compile(r"(?:cut|another-key|another-hub|damaged)-(\d{8}T\d{6})(?:-\d+)?")


class InUse(OSError):
    """Another process has the log open."""


class _Unfit(Exception):
    """The file is not this log's; `word` goes into the name that it gets, the message says why."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(why)
        self.word = word


class _Torn(Exception):
    """A crash left something unfinished behind; `at` is where."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class _Keys(NamedTuple):
    """What one file is sealed with."""

    cipher: AESGCM
    marks: bytes

    @classmethod
    def of(cls, secret: bytes, salt: bytes) -> _Keys:
        """Make a file's own keys."""
        made = HKDF(algorithm=hashes.SHA256(), length=64, salt=salt, info=b"ctxhub sealed log 1").derive(secret)
        return cls(AESGCM(made[:32]), made[32:])

    def seal(self, content: bytes, beside: bytes) -> bytes:
        """Seal a content together with what stands beside it."""
        nonce = os.urandom(_NONCE)
        return nonce + self.cipher.encrypt(nonce, content, beside)

    def open(self, sealed: bytes, beside: bytes) -> bytes:
        """Return a content; `InvalidTag` where one bit is not as it was written."""
        return self.cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], beside)

    def entry(self, place: int, content: bytes) -> bytes:
        """Write an entry."""
        length = (len(content) + _NONCE + _TAG).to_bytes(_LENGTH)
        return length + self.mark(place, length) + self.seal(content, place.to_bytes(8) + length)

    def mark(self, place: int, length: bytes) -> bytes:
        """Prove a length, so that one that was altered is not taken for an entry that was cut off."""
        return hmac.digest(self.marks, place.to_bytes(8) + length, "sha256")[:_MARK]


class SealedLog:
    """One log under a name; everything here blocks, so it is called from a thread of its own."""

    def __init__(self, path: Path, secret: bytes, name: str, *, sync: bool = True) -> None:
        self.path = path
        self._secret = secret
        self._name = name.encode()
        self._sync = sync
        self._file = -1
        self._lock = -1
        self._keys = _Keys.of(secret, b"")
        self._end = 0
        self._places = 0

    @property
    def size(self) -> int:
        """How many bytes it takes on the disk."""
        return self._end

    def open(self) -> list[bytes]:
        """Lock it and return its contents; a file that is not ours is renamed aside and a new log begun."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        try:
            return self._opened()
        except _Unfit as unfit:
            self._set_aside(unfit)
            return self._opened()

    def append(self, contents: Iterable[bytes]) -> None:
        """Add contents, on the disk when this returns; an `OSError` leaves the log as it was."""
        entries = [self._keys.entry(place, content) for place, content in enumerate(contents, self._places)]
        written = b"".join(entries)
        try:
            _write_whole(self._file, written, self._end)
            self._synced()
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += len(written)
        self._places += len(entries)

    def replace(self, contents: Iterable[bytes]) -> None:
        """Put other contents in the place of all there are, in one step."""
        beside = self.path.with_name(f"{self.path.name}.new")
        new = SealedLog(beside, self._secret, self._name.decode(), sync=self._sync)
        new.path.unlink(missing_ok=True)
        new._file = os.open(new.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        try:
            new._begin()
            new.append(contents)
            os.replace(new.path, self.path)
        except OSError:
            os.close(new._file)
            raise
        os.close(self._file)
        self._file, self._keys, self._end, self._places = new._file, new._keys, new._end, new._places
        with suppress(OSError):  # a power cut may bring the old file back: what it has is known by its ids
            self._sync_folder()

    def close(self) -> None:
        """Let others open it; again does nothing."""
        for held in (self._file, self._lock):
            if held >= 0:
                os.close(held)
        self._file = self._lock = -1

    def _take_lock(self) -> None:
        """Be the only one; `InUse` where somebody else is."""
        self._lock = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise InUse(f"{self.path} is used by another process: give each process a spool of its own") from None

    def _opened(self) -> list[bytes]:
        """Read the file, or begin it."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
        os.fchmod(self._file, _OWNER_ONLY)
        data = _read_whole(self._file)
        if self._is_only_begun(data):
            self._begin()
            self._sync_folder()
            return []
        self._end = self._read_head(data)
        return self._read_entries(data)

    def _is_only_begun(self, data: bytes) -> bool:
        """Tell whether a file has not even its head: it is empty, or a crash came in the middle of that.

        One whose head says another length than ours is another's, or was altered; there may be something behind it.
        """
        begun = data.rstrip(b"\0")
        if len(begun) < len(_MAGIC):
            return _MAGIC.startswith(begun)
        is_ours = len(begun) < _BEFORE_NAME or data[_BEFORE_NAME - _LENGTH : _BEFORE_NAME] == self._length_of_name
        return data.startswith(_MAGIC) and is_ours and len(begun) < _BEFORE_NAME + int.from_bytes(self._length_of_name)

    @property
    def _length_of_name(self) -> bytes:
        """How long the name is, sealed; as it is written."""
        return (_NONCE + len(self._name) + _TAG).to_bytes(_LENGTH)

    def _begin(self) -> None:
        """Write the head of a new file."""
        salt = os.urandom(_SALT)
        self._keys = _Keys.of(self._secret, salt)
        head = _MAGIC + salt + self._length_of_name + self._keys.seal(self._name, b"name")
        os.ftruncate(self._file, 0)
        _write_whole(self._file, head, 0)
        self._synced()
        self._end, self._places = len(head), 0

    def _read_head(self, data: bytes) -> int:
        """Check whose file it is; return where its entries begin."""
        if not data.startswith(_MAGIC):
            raise _Unfit("no-spool", "it is no sealed log")
        self._keys = _Keys.of(self._secret, data[len(_MAGIC) : len(_MAGIC) + _SALT])
        end = _BEFORE_NAME + int.from_bytes(data[_BEFORE_NAME - _LENGTH : _BEFORE_NAME])
        try:
            name = self._keys.open(data[_BEFORE_NAME:end], b"name")
        except (InvalidTag, ValueError):
            raise _Unfit("another-key", "it was sealed with another key, or altered") from None
        if not hmac.compare_digest(name, self._name):
            raise _Unfit("another-hub", f"it belongs to {name.decode(errors='replace')!r}")
        return end

    def _read_entries(self, data: bytes) -> list[bytes]:
        """Return every whole entry; what a crash left unfinished at the end is cut off."""
        contents: list[bytes] = []
        written_to = len(data.rstrip(b"\0"))
        try:
            while self._end < len(data):
                contents.append(self._read_entry(data, len(contents), written_to))
        except _Torn as torn:
            self._cut(data, torn.at, len(contents))
        self._places = len(contents)
        return contents

    def _read_entry(self, data: bytes, place: int, written_to: int) -> bytes:
        """Return the next entry; `_Torn` where it was never finished, `_Unfit` where it was altered."""
        at = self._end
        if written_to - at < _BEFORE_CONTENT:
            raise _Torn(at)
        length, mark = data[at : at + _LENGTH], data[at + _LENGTH : at + _BEFORE_CONTENT]
        if not hmac.compare_digest(mark, self._keys.mark(place, length)):
            raise _Unfit("damaged", f"entry {place} was altered")
        begins, ends = at + _BEFORE_CONTENT, at + _BEFORE_CONTENT + int.from_bytes(length)
        try:
            content = self._keys.open(data[begins:ends], place.to_bytes(8) + length)
        except (InvalidTag, ValueError):
            if ends >= len(data):
                raise _Torn(at) from None
            raise _Unfit("damaged", f"entry {place} was altered") from None
        self._end = ends
        return content

    def _cut(self, data: bytes, at: int, whole: int) -> None:
        """Cut off what was never finished, and keep the bytes beside it."""
        beside = _free_name(self.path, "cut")
        _write_new(beside, data[at:])
        os.ftruncate(self._file, at)
        self._synced()
        log.warning("spool.cut path=%s whole=%d bytes=%d kept_as=%s", self.path, whole, len(data) - at, beside)

    def _set_aside(self, unfit: _Unfit) -> None:
        """Rename a file that is not ours, so that somebody can look at it."""
        os.close(self._file)
        self._file = -1
        beside = _free_name(self.path, unfit.word)
        os.rename(self.path, beside)
        log.error("spool.set_aside path=%s reason=%s kept_as=%s", self.path, unfit, beside)

    def _synced(self) -> None:
        if self._sync:
            os.fdatasync(self._file)

    def _sync_folder(self) -> None:
        """Make a file's name as lasting as its content."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def clear_set_aside(path: Path, before: datetime) -> None:
    """Delete what was renamed aside before a time, of a log and of those whose names begin like its own.

    A file that was no sealed log at all is somebody else's, and stays.
    """
    for beside in path.parent.glob(f"{glob.escape(path.name)}*"):
        at = _set_aside_at(beside)
        if at is not None and at < before:
            beside.unlink(missing_ok=True)
            log.warning("spool.aside_let_go path=%s", beside)


def _set_aside_at(path: Path) -> datetime | None:
    """Return when a log was renamed aside, by its name; None where it is named otherwise."""
    named = _SEALED_ASIDE.fullmatch(path.name.rpartition(".")[2])
    try:
        return datetime.strptime(named[1], _STAMP).replace(tzinfo=UTC) if named else None
    except ValueError:  # digits that are no date
        return None


def own_secret(path: Path) -> SecretStr:
    """Read a secret of a channel's own, made at the first start; refused if others could read it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _make_secret(path)
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path} can be read by others: run `chmod 600 {path}`, and replace it if they did")
    secret = path.read_text("ascii").strip()
    if not secret:
        raise ValueError(f"{path} is empty: put the secret back, or remove the file to have a new one made")
    return SecretStr(secret)


def _make_secret(path: Path) -> None:
    """Write a secret in one step: whoever comes second finds the first one's, whole."""
    made = path.with_name(f".{path.name}.{os.getpid()}")
    _write_new(made, secrets.token_urlsafe(32).encode())
    with suppress(FileExistsError):
        os.link(made, path)
    made.unlink()


def _free_name(path: Path, word: str) -> Path:
    """Return a name beside a file's own that nothing has yet."""
    stamp = datetime.now(UTC).strftime(_STAMP)
    names = (path.with_name(f"{path.name}.{word}-{stamp}{f'-{n}' if n else ''}") for n in range(1000))
    return next(name for name in names if not name.exists())


def _read_whole(file: int) -> bytes:
    """Read a file from its beginning."""
    size = os.fstat(file).st_size
    data = b""
    while len(data) < size and (part := os.pread(file, size - len(data), len(data))):
        data += part
    return data


def _write_whole(file: int, data: bytes, at: int) -> None:
    """Write all of it, however often the system takes only a part."""
    left = memoryview(data)
    while left:
        written = os.pwrite(file, left, at)
        left, at = left[written:], at + written


def _write_new(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        _write_whole(file, data, 0)
    finally:
        os.close(file)
