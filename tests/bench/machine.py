"""Where it was measured: the machine, how busy it was, and the versions of everything."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from redis import Redis

from tests.bench.peers import PINNED

_OURS = ("uvicorn", "uvloop", "httptools", "fastapi", "starlette", "redis", "hiredis", "orjson", "pydantic")


def described(redis: Redis) -> list[tuple[str, str]]:
    """Return what a reader has to know of a run, as rows of a table."""
    info = redis.info("server")
    load = os.getloadavg()[0]
    return [
        ("machine", f"{_processor()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB, {platform.system()} "
                    f"{platform.release()}"),
        ("busy before the run", f"{load:.1f} processes running on average in the last minute"),
        ("ctxhub", commit()),
        ("Python", platform.python_version()),
        ("Redis", f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"),
        ("packages", ", ".join(f"{name} {version(name)}" for name in _OURS)),
        ("peers", ", ".join(PINNED.values())),
    ]  # fmt: skip


def _processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _memory_gb() -> float:
    """Return how much memory there is."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def commit() -> str:
    """Return which commit this is, and whether it was changed since."""
    try:
        told = subprocess.run(["git", "describe", "--always", "--dirty"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return version("ctxhub")
    return told.stdout.strip()
