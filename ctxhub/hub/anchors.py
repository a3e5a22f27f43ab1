"""Anchors: where audit trails ended, written to files apart from the trails, one line each; copy them elsewhere."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ctxhub.model.audit import Anchor

_ENDING = ".anchors"


class Anchors:
    """The anchors of every tenant, a file each; without a folder they are only logged."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._last: dict[str, Anchor] = {}

    def tenants(self) -> set[str]:
        """Return the tenants that have anchors in the folder."""
        return {file.stem for file in self._folder.glob(f"*{_ENDING}")} if self._folder is not None else set()

    def last(self, tenant: str) -> Anchor | None:
        """Return the last anchor that was written by whichever process, or by this one where there is no folder."""
        every = self.every(tenant) if tenant not in self._last else []
        if every:
            self._last[tenant] = every[-1]
        return self._last.get(tenant)

    def every(self, tenant: str) -> list[Anchor]:
        """Return all anchors of a tenant; a last line that was cut short by a crash is none."""
        if self._folder is None or not self._file(tenant).exists():
            return []
        whole = self._file(tenant).read_bytes().rpartition(b"\n")[0]
        return [Anchor.model_validate_json(line) for line in whole.splitlines() if line]

    async def write(self, tenant: str, anchor: Anchor) -> None:
        """Write an anchor, on the disk before it counts."""
        self._last[tenant] = anchor
        if self._folder is not None:
            await asyncio.to_thread(self._append, self._file(tenant), anchor.model_dump_json().encode() + b"\n")

    def _file(self, tenant: str) -> Path:
        """Return the file of a tenant."""
        assert self._folder is not None
        return self._folder / f"{tenant}{_ENDING}"

    def _append(self, file: Path, line: bytes) -> None:
        """Add a line to a file that only its owner may read."""
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line)
            os.fsync(handle)
        finally:
            os.close(handle)
