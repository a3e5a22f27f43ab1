"""`ctxhub doctor` and `ctxhub tenants check`: what is wrong with a set-up, and what mends it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from pydantic import SecretStr

from ctxhub import log
from ctxhub.addresses import without_password
from ctxhub.commands.places import settings_of, with_redis
from ctxhub.hub.declarations import LineFault, check
from ctxhub.hub.tenants import Tenants
from ctxhub.model.inward import allowed_of
from ctxhub.model.unsendable import unsendable
from ctxhub.server import CHANNELS
from ctxhub.settings import CannotStart, SettingLine, Settings, describe_settings, written
from ctxhub.store.checkup import Finding, examine

_MARKS = {"good": "  ok ", "bad": "  BAD", "unknown": "  ?  "}


def examined(arguments: argparse.Namespace) -> int:
    """Show the settings in force, and check Redis and the tenants' files against them; 1 where something is bad."""
    settings = settings_of(arguments)
    log.configure("warning", "console")
    print("Settings in force")
    for line in describe_settings():
        print(_shown(line, settings))
    with with_redis(settings) as reachable:
        assert reachable.redis_url is not None
        print(f"\nRedis at {without_password(reachable.redis_url)}")
        findings = examine(reachable.redis_url, settings)
    if settings.tenants is not None:
        findings += _tenant_findings(settings.tenants)
        findings += _outward_findings(settings)
    for finding in findings:
        print(_told(finding))
    return int(any(finding.verdict == "bad" for finding in findings))


def check_tenants(arguments: argparse.Namespace) -> int:
    """Tell each fault of tenants' files with file and line; 1 where there is one."""
    try:
        faults = _faults(arguments.folder)
    except OSError as error:
        raise CannotStart(f"{arguments.folder}: {error.strerror}: name a folder of tenants' files") from error
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults" if faults else "no faults", file=sys.stderr)
    return int(bool(faults))


def _tenant_findings(folder: Path) -> list[Finding]:
    """What is wrong with the tenants' files; that nothing is, is a finding too."""
    try:
        faults = _faults(folder)
    except OSError as error:
        return [Finding("tenants", f"{folder}: {error.strerror}", "bad", "let CTXHUB_TENANTS name a folder")]
    found = [Finding(f"{fault.file}:{fault.line}", fault.what, "bad", fault.remedy) for fault in faults]
    return found or [Finding("tenants", f"the files in {folder}", "good")]


def _outward_findings(settings: Settings) -> list[Finding]:
    """Which webhooks and sources of the tenants' files can't be reached as things stand."""
    allowed, tenants = allowed_of(settings.webhook_allow or ""), Tenants(settings.tenants)
    return [
        Finding(f"{name} {'.'.join(map(str, fault.path))}", fault.what, "bad", fault.remedy)
        for name in tenants.names()
        for fault in unsendable(tenants.of(name), os.environ, allowed)
    ]


def _faults(folder: Path) -> list[LineFault]:
    """Return what is wrong with a folder's files, also in what adapters read of them."""
    return check(folder, CHANNELS)


def _shown(line: SettingLine, settings: Settings) -> str:
    value = getattr(settings, line.variable.removeprefix("CTXHUB_").lower())
    shown = "set" if isinstance(value, SecretStr) else without_password(written(value))
    origin = "" if shown != line.default else "  (as it comes)"
    return f"  {line.variable:<26}{shown or '-'}{origin}"


def _told(finding: Finding) -> str:
    remedy = f"  -> {finding.remedy}" if finding.remedy else ""
    return f"{_MARKS[finding.verdict]}  {finding.name}: {finding.found}{remedy}"
