"""What goes into the archive and comes out of it, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """Whose rows: a customer of a tenant."""

    tenant: str
    customer_id: str


class Held(NamedTuple):
    """How much the archive has of a customer: up to which version, which document, and what its last entry is."""

    version: int
    commit: str
    born: str
    last_digest: bytes
    leads_print: str


class Entry(NamedTuple):
    """One entry of a timeline; a `lasting` event's id is remembered for ever, others' for as long as they may come."""

    version: int
    entry: bytes
    digest: bytes
    fingerprint: str
    at: int
    lasting: bool


class Lead(NamedTuple):
    """A look-up that leads to a customer."""

    digest: str
    kind: str
    to: str


class Copy(NamedTuple):
    """What the archive did not have of a customer yet; what is None is unchanged.

    `had` is what the archive had as this was read: a copy made on anything else is not written. A copy that
    `replaces` is whole: what the archive has otherwise is set aside.
    """

    row: Row
    had: Held | None
    born: str
    version: int
    document_version: int
    commit: str
    beside: bytes
    document: bytes | None
    live: bool
    entries: Sequence[Entry]
    leads: Sequence[Lead] | None
    leads_print: str
    replaces: bool = False


class Archived(NamedTuple):
    """A customer's last document, with what stood beside it."""

    row: Row
    born: str
    version: int
    document_version: int
    commit: str
    beside: bytes
    document: bytes


class Remembered(NamedTuple):
    """An event id as it is recognised the second time."""

    version: int
    digest: bytes
    fingerprint: str
