"""Seals values at rest: each customer's under a data key of its own, and that key under the master key of an epoch.

    data key   algorithm (1) | epoch (2) | key id (6) | nonce (12) | key, sealed with tenant, customer, epoch, key id
    value      algorithm (1) | nonce (12) | value, sealed with version, tenant, customer, field, key id

Whoever has the master key of no epoch under which a data key was ever wrapped reads nothing that it sealed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ctxhub.errors import Unreadable

Algorithm = Literal["aes-256-gcm", "sm4-gcm"]
MASTER_BYTES = 32
LAST_EPOCH = 0xFFFF
_MARKS: dict[Algorithm, int] = {"aes-256-gcm": 1, "sm4-gcm": 2}
_KEY, _KEY_ID, _NONCE, _TAG = 32, 6, 12, 16
_EPOCH = slice(1, 3)
_NAMED = slice(3, 3 + _KEY_ID)
_REST = 3 + _KEY_ID
_OF_NOBODY = b"ctxhub content 1"


class MasterKeys(NamedTuple):
    """The master keys of every epoch that is not destroyed, and under which of them new data keys are wrapped."""

    present: int
    by_epoch: Mapping[int, bytes]
    destroyed: frozenset[int] = frozenset()


class KeyProvider(Protocol):
    """Has the master keys: a file, an environment, or a key management service that hands out one key an epoch."""

    def master_keys(self, wanted: int | None = None) -> MasterKeys:
        """Return the master keys as they are now; the epoch that is `wanted` may be newer than those seen before."""


class Destroyed(Exception):
    """The epoch of a data key was destroyed, and with it whatever the key sealed."""


class _Sm4Gcm:
    """SM4 in Galois/counter mode, as `AESGCM` is for AES."""

    def __init__(self, key: bytes) -> None:
        self._cipher = algorithms.SM4(key)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Seal data, together with what stands beside it."""
        encryptor = Cipher(self._cipher, modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(associated_data)
        return encryptor.update(data) + encryptor.finalize() + encryptor.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Open data; `InvalidTag` where one bit is not as it was."""
        decryptor = Cipher(self._cipher, modes.GCM(nonce, data[-_TAG:])).decryptor()
        decryptor.authenticate_additional_data(associated_data)
        return decryptor.update(data[:-_TAG]) + decryptor.finalize()


class DataKey:
    """The key of one customer: seals and opens that customer's values, each in its own field alone."""

    def __init__(self, tenant: str, customer_id: str, key: bytes, wrapped: str, algorithm: Algorithm) -> None:
        self.wrapped = wrapped
        self.has_sealed = False
        self._whose = (tenant, customer_id)
        self._key = key
        self._named = _unspelled(wrapped)[_NAMED].hex()
        self._algorithm = algorithm

    def seal(self, field: str, value: bytes) -> bytes:
        """Seal the value of a field."""
        self.has_sealed = True
        return _sealed(self._algorithm, self._key, value, self._beside(field))

    def open(self, field: str, sealed: bytes) -> bytes:
        """Return the value of a field; `Unreadable` where it was changed, or stood in another place."""
        try:
            return _opened(self._key, sealed, self._beside(field))
        except (InvalidTag, ValueError) as error:
            raise _unreadable(*self._whose, f"the seal of {field.split()[0]} is broken") from error

    def _beside(self, field: str) -> bytes:
        """Spell what a value is bound to."""
        return "\x1f".join(("ctxhub value 1", *self._whose, field, self._named)).encode("utf-8", "surrogatepass")


class Opener:
    """Opens what stands sealed at one customer; its data key is unwrapped when it is needed first."""

    def __init__(self, sealing: Sealing, tenant: str, customer_id: str, wrapped: str) -> None:
        self._sealing = sealing
        self.wrapped = wrapped
        self._whose = (tenant, customer_id)
        self._key: DataKey | None = None

    def open(self, field: str, sealed: bytes) -> bytes:
        """Return the value of a field; `Destroyed` where nobody can read it any more, as it was meant."""
        if not self.wrapped:
            raise _unreadable(*self._whose, "no data key stands beside what is sealed")
        self._key = self._key or self._sealing.opened(*self._whose, self.wrapped)
        return self._key.open(field, sealed)


class Sealing:
    """Makes data keys, and wraps them under the master key of the present epoch."""

    def __init__(self, provider: KeyProvider, algorithm: Algorithm = "aes-256-gcm") -> None:
        self.provider = provider
        self.algorithm = algorithm

    def new(self, tenant: str, customer_id: str) -> DataKey:
        """Return a new data key of a customer."""
        key, key_id = os.urandom(_KEY), os.urandom(_KEY_ID)
        return DataKey(tenant, customer_id, key, self._wrapped(tenant, customer_id, key_id, key), self.algorithm)

    def opened(self, tenant: str, customer_id: str, wrapped: str) -> DataKey:
        """Unwrap a customer's data key; `Destroyed` where its epoch was, `Unreadable` where it is no key of theirs."""
        key = self._unwrapped(tenant, customer_id, wrapped)
        return DataKey(tenant, customer_id, key, wrapped, self.algorithm)

    def opener(self, tenant: str, customer_id: str, wrapped: str) -> Opener:
        """Return what opens a customer's values, should there be any."""
        return Opener(self, tenant, customer_id, wrapped)

    def under(self, key: bytes, content: bytes) -> bytes:
        """Seal something that is no customer's under a key of 32 bytes that the caller has."""
        return _sealed(self.algorithm, key, content, _OF_NOBODY)

    def out_of(self, key: bytes, sealed: bytes) -> bytes:
        """Return what was sealed under a key; `Unreadable` where it was changed, or the key is another."""
        try:
            return _opened(key, sealed, _OF_NOBODY)
        except (InvalidTag, ValueError) as error:
            raise Unreadable("what is sealed can't be opened: its seal is broken") from error

    def rewrapped(self, tenant: str, customer_id: str, wrapped: str) -> str:
        """Return a data key under the present epoch; one that is there already, or destroyed, as it is."""
        if epoch_of(wrapped) == self.provider.master_keys().present:
            return wrapped
        try:
            key = self._unwrapped(tenant, customer_id, wrapped)
        except Destroyed:
            return wrapped
        return self._wrapped(tenant, customer_id, _unspelled(wrapped)[_NAMED], key)

    def _wrapped(self, tenant: str, customer_id: str, key_id: bytes, key: bytes) -> str:
        """Wrap a data key under the master key of the present epoch."""
        masters = self.provider.master_keys()
        head = masters.present.to_bytes(2) + key_id
        content = _sealed(self.algorithm, masters.by_epoch[masters.present], key, _of_key(tenant, customer_id, head))
        return base64.b64encode(content[:1] + head + content[1:]).decode()

    def _unwrapped(self, tenant: str, customer_id: str, wrapped: str) -> bytes:
        """Unwrap a data key."""
        content = _unspelled(wrapped)
        epoch = epoch_of(wrapped)
        masters = self.provider.master_keys(epoch)
        if epoch in masters.destroyed:
            raise Destroyed(epoch)
        if epoch not in masters.by_epoch:
            raise _unreadable(tenant, customer_id, f"the keys of epoch {epoch} are not here")
        beside = _of_key(tenant, customer_id, content[1:_REST])
        try:
            return _opened(masters.by_epoch[epoch], content[:1] + content[_REST:], beside)
        except (InvalidTag, ValueError) as error:
            raise _unreadable(tenant, customer_id, "its data key is broken, or another customer's") from error


def epoch_of(wrapped: str) -> int:
    """Return the epoch under whose master key a data key is wrapped."""
    return int.from_bytes(_unspelled(wrapped)[_EPOCH])


def is_offered(algorithm: Algorithm) -> bool:
    """Tell whether the cryptography of this machine can do it."""
    try:
        return _opened(bytes(_KEY), _sealed(algorithm, bytes(_KEY), b"", b""), b"") == b""
    except UnsupportedAlgorithm:
        return False


def proof_of(master: bytes) -> str:
    """Return by what a master key is recognised without telling anything about it."""
    return hmac.new(master, b"ctxhub sealing", hashlib.sha256).hexdigest()[:32]


def _sealed(algorithm: Algorithm, key: bytes, content: bytes, beside: bytes) -> bytes:
    """Seal some content under a key: algorithm, nonce, and what came of it."""
    nonce = os.urandom(_NONCE)
    return bytes((_MARKS[algorithm],)) + nonce + _cipher(_MARKS[algorithm], key).encrypt(nonce, content, beside)


def _opened(key: bytes, sealed: bytes, beside: bytes) -> bytes:
    """Open some content with the algorithm that sealed it; `InvalidTag` where one bit is not as it was."""
    if len(sealed) < 1 + _NONCE + _TAG:
        raise InvalidTag
    return _cipher(sealed[0], key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], beside)


def _cipher(mark: int, key: bytes) -> AESGCM | _Sm4Gcm:
    """Return the cipher of a mark; each algorithm has a key of its own, so that one tells nothing about the other."""
    if mark == _MARKS["aes-256-gcm"]:
        return AESGCM(key)
    if mark == _MARKS["sm4-gcm"]:
        return _Sm4Gcm(hmac.digest(key, b"ctxhub sm4-gcm", "sha256")[:16])
    raise InvalidTag


def _of_key(tenant: str, customer_id: str, head: bytes) -> bytes:
    """Spell what a data key is bound to."""
    return "\x1f".join(("ctxhub key 1", tenant, customer_id, head.hex())).encode()


def _unspelled(wrapped: str) -> bytes:
    """Read a wrapped data key; what is none has a broken seal."""
    try:
        return base64.b64decode(wrapped, validate=True).ljust(_REST, b"\0")
    except ValueError:
        return bytes(_REST)


def _unreadable(tenant: str, customer_id: str, why: str) -> Unreadable:
    """Return the refusal to show what can't be opened."""
    return Unreadable(f"what is sealed of {customer_id} can't be opened: {why}", tenant=tenant, customer_id=customer_id)
