"""Where master keys come from: a file of epochs, the environment, or the hub's one secret. A KMS would be one more."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ctxhub.settings import CannotStart
from ctxhub.store.sealing import LAST_EPOCH, MASTER_BYTES, MasterKeys

_HEAD = (
    "# The sealing keys of a ctxhub, one line an epoch. Whoever has this file and the data can read what is sealed:\n"
    "# keep a copy of it, but never in the same place as a backup of the data.\n"
)


class DerivedKeys:
    """One epoch, derived from the hub's master key: nothing more to keep, but nothing that can be destroyed either."""

    def __init__(self, master_key: bytes) -> None:
        derived = HKDF(hashes.SHA256(), MASTER_BYTES, salt=None, info=b"ctxhub sealing epoch 1").derive(master_key)
        self._keys = MasterKeys(1, {1: derived})

    def master_keys(self, wanted: int | None = None) -> MasterKeys:
        """Return the one key."""
        return self._keys


class GivenKeys:
    """Epochs as an environment variable gives them: `2:<base64>,1:<base64>`, the present one first."""

    def __init__(self, given: str) -> None:
        pairs = [part.strip().partition(":") for part in given.split(",") if part.strip()]
        by_epoch = {_epoch(epoch): _key(epoch, key) for epoch, _, key in pairs}
        if not by_epoch:
            raise CannotStart("CTXHUB_SEALING_KEYS names no key: write 2:<base64>,1:<base64>, the present one first")
        self._keys = MasterKeys(next(iter(by_epoch)), by_epoch)

    def master_keys(self, wanted: int | None = None) -> MasterKeys:
        """Return all keys that were given."""
        return self._keys


class KeysFile:
    """Epochs as a file has them; what another process or the operator changes there counts at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] = (0, 0, 0)
        self._keys: MasterKeys | None = None

    def master_keys(self, wanted: int | None = None) -> MasterKeys:
        """Return all keys of the file; one that is gone or spoilt meanwhile changes nothing for who runs."""
        before = self._keys
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if before is None or stamp != self._stamp:
                _refuse_if_others_may_read(self.path, found.st_mode)
                self._keys, self._stamp = parsed(self.path.read_text("ascii")), stamp
        except (OSError, CannotStart) as error:
            if before is None:
                raise CannotStart(f"{self.path} can't be used: {error}") from error
        assert self._keys is not None
        return self._keys

    @classmethod
    def made(cls, path: Path) -> KeysFile:
        """Return the file, with a first epoch where there is none yet."""
        if not path.exists():
            written(path, MasterKeys(1, {1: secrets.token_bytes(MASTER_BYTES)}), new=True)
        return cls(path)


def parsed(text: str) -> MasterKeys:
    """Read a file of epochs; what is wrong in it is named by its line."""
    present, by_epoch, destroyed = 0, {}, set()
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise CannotStart(f"line {number}: write `<epoch> <base64>`, `present <epoch>` or `destroyed <epoch>`")
        if words[0] == "present":
            present = _epoch(words[1])
        elif words[0] == "destroyed":
            destroyed.add(_epoch(words[1]))
        else:
            by_epoch[_epoch(words[0])] = _key(*words)
    if present not in by_epoch:
        raise CannotStart("the present epoch has no key there: write `present <epoch>` for one that has")
    return MasterKeys(present, by_epoch, frozenset(destroyed))


def written(path: Path, keys: MasterKeys, new: bool = False) -> None:
    """Write a file of epochs in one step, for its owner alone; a `new` one never replaces another."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # O_EXCL and 0600
    lines = [f"present {keys.present}", *(f"destroyed {epoch}" for epoch in sorted(keys.destroyed))]
    lines += [f"{epoch} {base64.b64encode(key).decode()}" for epoch, key in sorted(keys.by_epoch.items())]
    try:
        with os.fdopen(handle, "w") as file:
            file.write(_HEAD + "\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(name, path)
        else:
            os.replace(name, path)
    except FileExistsError:
        pass  # somebody else made it first, whole
    finally:
        Path(name).unlink(missing_ok=True)


def with_next(keys: MasterKeys, in_use: bool) -> MasterKeys:
    """Return the keys with a new epoch, `in_use` or only prepared; one prepared before is taken into use."""
    newest = max((*keys.by_epoch, *keys.destroyed))
    if newest > keys.present:
        return keys._replace(present=newest) if in_use else keys
    if newest == LAST_EPOCH:
        raise CannotStart(f"there are no more than {LAST_EPOCH} epochs")
    by_epoch = {**keys.by_epoch, newest + 1: secrets.token_bytes(MASTER_BYTES)}
    return keys._replace(by_epoch=by_epoch, present=newest + 1 if in_use else keys.present)


def without(keys: MasterKeys, epoch: int) -> MasterKeys:
    """Return the keys without an epoch; what was sealed under it is nobody's any more."""
    if epoch == keys.present:
        raise CannotStart(f"epoch {epoch} is the present one: begin another with `ctxhub epochs begin` first")
    if epoch not in keys.by_epoch:
        raise CannotStart(f"there is no epoch {epoch}: `ctxhub epochs list` shows those there are")
    by_epoch = {other: key for other, key in keys.by_epoch.items() if other != epoch}
    return keys._replace(by_epoch=by_epoch, destroyed=keys.destroyed | {epoch})


def _epoch(word: str) -> int:
    """Read an epoch's number."""
    if not word.isdecimal() or not 0 < int(word) <= LAST_EPOCH:
        raise CannotStart(f"{word!r} is no epoch: write a number from 1 to {LAST_EPOCH}")
    return int(word)


def _key(epoch: str, text: str) -> bytes:
    """Read the key of an epoch; it is never repeated in a message."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != MASTER_BYTES:
        raise CannotStart(f"the key of epoch {epoch} is not {MASTER_BYTES} bytes in base64: `openssl rand -base64 32`")
    return key


def _refuse_if_others_may_read(path: Path, mode: int) -> None:
    """Refuse keys that are not their owner's alone."""
    if mode & 0o077:
        raise CannotStart(f"it can be read by others: run `chmod 600 {path}`, and begin a new epoch if they did")
