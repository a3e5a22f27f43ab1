"""What was chained together, as one compressed piece: lines of a trail are much alike, and one write takes them all."""

from __future__ import annotations

from collections.abc import Sequence

import zstandard

from ctxhub.errors import Unreadable
from ctxhub.model.audit import Linked

_FORMAT = b"\x01"
_compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
_decompressor = zstandard.ZstdDecompressor()


def batch_of(linked: Sequence[Linked]) -> bytes:
    """Return entries as they are kept together: each a line of its number, its link and its text, compressed."""
    return _FORMAT + _compressor.compress(
        b"\n".join(b"%d %s %s" % (n, link.encode(), text) for n, link, text in linked)
    )


def entries_in(batch: bytes) -> list[Linked]:
    """Return the entries of a batch; `Unreadable` where it is not as it was made."""
    if batch[:1] != _FORMAT:
        raise Unreadable(f"a batch of format {batch[:1]!r} is not known here: it was written by a newer ctxhub")
    try:
        return [_entry(line) for line in _decompressor.decompress(batch[1:]).split(b"\n")]
    except (zstandard.ZstdError, MemoryError, ValueError) as error:
        raise Unreadable(f"a part of the trail is not whole ({error}): see `ctxhub audit verify`") from error


def _entry(line: bytes) -> Linked:
    """Read one line."""
    sequence, link, text = line.split(b" ", 2)
    return Linked(int(sequence), link.decode(), text)
