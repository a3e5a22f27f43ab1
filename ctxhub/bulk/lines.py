"""A file line by line, however large: where each line ends, so that a later run can go on from there."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ctxhub.settings import CannotStart

LONGEST = 1 << 20
_BUFFER = 1 << 20
_GZIP = b"\x1f\x8b"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line as it stands: its number, the byte after it, and its bytes, None where they are too many."""

    number: int
    ends_at: int
    content: bytes | None


class Source:
    """An open file, gzipped or not; offsets are those of the text, not of the compressed bytes."""

    def __init__(self, path: Path, longest: int = LONGEST) -> None:
        try:
            self._raw: BinaryIO = path.open("rb", buffering=_BUFFER)
        except OSError as error:
            raise CannotStart(f"{path} can't be read: {error.strerror}") from error
        start = self._raw.read(4)
        self._raw.seek(0)
        if start.startswith(_WIDE):
            self._raw.close()
            raise CannotStart(f"{path} is UTF-16: save it as UTF-8, or as GB18030 with --encoding gb18030")
        self.size = path.stat().st_size
        self.path = path
        self._longest = longest
        self._file = gzip.GzipFile(fileobj=self._raw) if start.startswith(_GZIP) else self._raw

    @property
    def passed(self) -> int:
        """How many bytes of the file itself have been read, for a progress bar."""
        return self._raw.tell()

    def lines(self, start: int = 0, number: int = 1) -> Iterator[Line]:
        """Yield the lines from an offset on, which is the start of line `number`."""
        try:
            self._file.seek(start)
            while chunk := self._file.readline(self._longest + 1):
                content = chunk if len(chunk) <= self._longest else None
                if content is None:
                    self._skip(chunk)
                yield Line(number, self._file.tell(), _without_bom(content, number))
                number += 1
        except (EOFError, OSError, zlib.error) as error:
            raise CannotStart(f"{self.path} breaks off or is damaged after line {number - 1}: {error}") from error

    def _skip(self, chunk: bytes) -> None:
        """Pass over the rest of a line without holding it."""
        while chunk and not chunk.endswith(b"\n"):
            chunk = self._file.readline(self._longest)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        self._raw.close()


def _without_bom(content: bytes | None, number: int) -> bytes | None:
    """Return a line without the mark with which some programs begin a file."""
    return content.removeprefix(_BOM) if content is not None and number == 1 else content
