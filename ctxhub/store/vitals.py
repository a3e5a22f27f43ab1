"""Vitals: what a server says of its own room, replicas and files."""

from __future__ import annotations

from typing import NamedTuple

from redis import exceptions

from ctxhub.store.redis import Server


class Vitals(NamedTuple):
    """How a server does: bytes in use, bytes it may use (0: no limit), replicas, and whether it keeps its file."""

    used_bytes: int
    limit_bytes: int
    replicas: int
    appends: bool


async def read_vitals(server: Server) -> Vitals | None:
    """Ask a server how it does; None where it does not let us ask."""
    try:
        told = (await server.call("INFO", "memory", "persistence", "replication")).decode()
    except exceptions.NoPermissionError:
        return None
    said = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    wrote = (said.get("aof_enabled"), said.get("aof_last_write_status"))
    return Vitals(
        used_bytes=int(said["used_memory"]),
        limit_bytes=int(said["maxmemory"]),
        replicas=int(said["connected_slaves"]),
        appends=wrote == ("1", "ok"),
    )
