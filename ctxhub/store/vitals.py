"""Vitals: what a server says of its own room, replicas and files."""

from __future__ import annotations

from typing import NamedTuple

from redis import exceptions

from ctxhub.errors import Unavailable
from ctxhub.store.redis import Server


class Vitals(NamedTuple):
    """How a server does: bytes in use, bytes it may use (0: no limit), replicas, and whether it keeps its file."""

    used_bytes: int
    limit_bytes: int
    replicas: int
    appends: bool


async def read_vitals(server: Server) -> Vitals | None:
    """Ask all servers that take writes how they do, as if they were one; None where they do not let us ask."""
    answers = await server.everywhere("INFO", "memory", "persistence", "replication")
    if any(isinstance(answer, exceptions.NoPermissionError) for answer in answers):
        return None
    missing = next((answer for answer in answers if isinstance(answer, BaseException)), None)
    if missing is not None:
        raise Unavailable("one of the Redis servers does not answer") from missing
    return _together([_read(answer.decode()) for answer in answers])


def _read(told: str) -> Vitals:
    """Read what one server says."""
    said = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    wrote = (said.get("aof_enabled"), said.get("aof_last_write_status"))
    return Vitals(
        used_bytes=int(said["used_memory"]),
        limit_bytes=int(said["maxmemory"]),
        replicas=int(said["connected_slaves"]),
        appends=wrote == ("1", "ok"),
    )


def _together(every: list[Vitals]) -> Vitals:
    """Return the sums of room, and the worst of what must hold everywhere."""
    limits = [one.limit_bytes for one in every]
    return Vitals(
        used_bytes=sum(one.used_bytes for one in every),
        limit_bytes=sum(limits) if all(limits) else 0,
        replicas=min(one.replicas for one in every),
        appends=all(one.appends for one in every),
    )
