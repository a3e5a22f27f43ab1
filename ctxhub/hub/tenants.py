"""Tenants: their files are read when they change; a file with a fault leaves the last good one in force."""

from __future__ import annotations

import time
from pathlib import Path

import structlog
import yaml
from pydantic import ValidationError

from ctxhub.errors import Unknown
from ctxhub.model.event import faults
from ctxhub.model.tenant import Tenant

log = structlog.get_logger()
LOOK_EVERY = 0.5
DEFAULT = "default"


class Tenants:
    """Every tenant's declarations, as they are in force now."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[str, tuple[int, Tenant]] = {}
        self._plain: dict[str, Tenant] = {}
        self._looked = 0.0

    def of(self, tenant: str) -> Tenant:
        """Return a tenant's declarations; one without a file declares nothing."""
        self._refresh()
        found = self._read.get(tenant)
        return found[1] if found else self._plain.setdefault(tenant, Tenant(tenant=tenant))

    def declared(self, tenant: str) -> Tenant:
        """Return the declarations of a tenant that must have a file, or be the default one."""
        self._refresh()
        if tenant not in self._read and tenant != DEFAULT:
            raise Unknown(f"there is no tenant {tenant!r}", tenant=tenant)
        return self.of(tenant)

    def _refresh(self) -> None:
        """Look for changed files, at most twice a second."""
        if self._folder is None or time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        for path in sorted(self._folder.glob("*.yaml")):
            self._read_if_changed(path)

    def _read_if_changed(self, path: Path) -> None:
        """Read a file that is new or changed; log a fault, once, and keep what was in force."""
        name = path.stem
        try:
            changed = path.stat().st_mtime_ns
            known = self._read.get(name)
            if known is None or known[0] != changed:
                before = known[1] if known else Tenant(tenant=name)
                self._read[name] = (changed, before)
                self._read[name] = (changed, read_tenant(path))
                log.info("tenant.read", tenant=name, file=path.name)
        except ValidationError as error:
            log.error("tenant.refused", tenant=name, file=path.name, faults=faults(error))
        except (OSError, yaml.YAMLError, ValueError) as error:
            log.error("tenant.refused", tenant=name, file=path.name, reason=str(error))


def read_tenant(path: Path) -> Tenant:
    """Read one tenant's file."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(content, dict):
        raise ValueError("a tenant's file is one mapping")
    return Tenant.model_validate(content | {"tenant": path.stem})
