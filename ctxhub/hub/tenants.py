"""Tenants: their files are read when they change; a file with a fault leaves the last good one in force."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import structlog

from ctxhub.errors import Unknown
from ctxhub.hub.declarations import Checks, FaultyFile, LineFault, read_tenant
from ctxhub.model.tenant import Tenant

log = structlog.get_logger()
LOOK_EVERY = 0.5
DEFAULT = "default"


class _Read(NamedTuple):
    """What was read of a file: when it had changed last and its size, what is in force, and what is wrong with it."""

    stamp: tuple[int, int]
    tenant: Tenant
    faults: list[LineFault]


class Tenants:
    """Every tenant's declarations, as they are in force now."""

    def __init__(self, folder: Path | None, checks: Checks | None = None) -> None:
        self._folder = folder
        self._checks = checks or {}
        self._read: dict[str, _Read] = {}
        self._plain: dict[str, Tenant] = {}
        self._looked = 0.0

    def of(self, tenant: str) -> Tenant:
        """Return a tenant's declarations; one without a file declares nothing."""
        self._refresh()
        found = self._read.get(tenant)
        return found.tenant if found else self._without_a_file(tenant)

    def _without_a_file(self, tenant: str) -> Tenant:
        """Return a tenant that declares nothing: the same value each time."""
        if tenant not in self._plain:
            self._plain[tenant] = Tenant(tenant=tenant)
        return self._plain[tenant]

    def declared(self, tenant: str) -> Tenant:
        """Return the declarations of a tenant that must have a file, or be the default one."""
        self._refresh()
        if tenant not in self._read and tenant != DEFAULT:
            raise Unknown(f"there is no tenant {tenant!r}", tenant=tenant)
        return self.of(tenant)

    def names(self) -> list[str]:
        """Return every tenant that has a file, and the default one."""
        self._refresh()
        return sorted({DEFAULT, *self._read})

    def faults(self) -> list[LineFault]:
        """Return what is wrong with the files as they stand now."""
        self._refresh()
        return [fault for read in self._read.values() for fault in read.faults]

    def _refresh(self) -> None:
        """Look for changed files, at most twice a second."""
        if self._folder is None or time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        for path in sorted(self._folder.glob("*.yaml")):
            self._read_if_changed(path)

    def _read_if_changed(self, path: Path) -> None:
        """Read a file that is new or changed; log its faults, once, and keep what was in force."""
        try:
            status = path.stat()
        except OSError:  # it went as we looked: what was in force stays
            return
        stamp, known = (status.st_mtime_ns, status.st_size), self._read.get(path.stem)
        if known is None or known.stamp != stamp:
            self._read[path.stem] = self._reading(path, stamp, known.tenant if known else Tenant(tenant=path.stem))

    def _reading(self, path: Path, stamp: tuple[int, int], before: Tenant) -> _Read:
        """Return what a file declares; of a faulty one, what was in force before, and its faults."""
        try:
            tenant = read_tenant(path, self._checks)
        except FaultyFile as faulty:
            log.error(
                "tenant.refused", tenant=path.stem, file=path.name, faults=[str(fault) for fault in faulty.faults]
            )
            return _Read(stamp, before, faulty.faults)
        log.info("tenant.read", tenant=path.stem, file=path.name)
        return _Read(stamp, tenant, [])
