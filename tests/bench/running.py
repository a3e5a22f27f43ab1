"""A server under measurement: where it listens, who may call it, and what it and its Redis have used so far."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from redis import Redis

from tests.bench.wire import BeginAfter


class Used(NamedTuple):
    """What was used up to now: CPU seconds of the server and of its Redis, and what Redis did."""

    cpu: float
    redis_cpu: float
    commands: float
    trips: float

    def since(self, before: Used) -> Used:
        """Return what was used from one moment to another."""
        return Used(*(now - then for now, then in zip(self, before, strict=True)))


@dataclass
class Running:
    """A server: its port, its process, its Redis, and how a customer begins there."""

    port: int
    pid: int
    redis: Redis
    begin: BeginAfter
    key: str

    def used(self) -> Used:
        """Return what the server, its workers and its Redis have used; the asking itself is one command of theirs."""
        return Used(sum(_cpu_of(pid) for pid in _family(self.pid)), *redis_used(self.redis))

    def memory(self) -> float:
        """Return the memory that its Redis uses."""
        return float(self.redis.info("memory")["used_memory"])


def redis_used(redis: Redis) -> tuple[float, float, float]:
    """Return CPU seconds of a Redis, commands done (also those of scripts), and how often it read from a connection."""
    info = redis.info()
    cpu = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
    return cpu, float(info["total_commands_processed"]), float(info["total_reads_processed"])


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Return what the kernel tells of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _family(pid: int) -> list[int]:
    """Return a process and those it started that run Python: the Redis that a hub brings along is not of them."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children if "python" in Path(f"/proc/{child}/comm").read_text())]
