"""A lean HTTP client and the load it makes, so that what is measured is the server."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


class Connection:
    """One kept-alive HTTP connection."""

    def __init__(self, port: int, key: str = "") -> None:
        self._port = port
        self.key = key

    def speak_with(self, key: str) -> None:
        """Bring another key from now on."""
        self.key = key

    async def __aenter__(self) -> Connection:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        self._writer.close()
        await self._writer.wait_closed()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request and return its JSON; anything but a 2xx fails."""
        return _taken(await self._answer(method, path, body), f"{method} {path}")

    async def insist(self, method: str, path: str, body: Any) -> Any:
        """Send what may be said again until it is taken, as a channel does; for what is not measured."""
        while (answer := await self._answer(method, path, body))[0] == "503":
            await asyncio.sleep(0.2)
        return _taken(answer, f"{method} {path}")

    async def _answer(self, method: str, path: str, body: Any) -> tuple[str, bytes]:
        """Return the status and the body of an answer."""
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self._writer.write(head.encode() + content)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length"))
        data = await self._reader.readexactly(int(length.split(b":")[1]))
        return answer.split()[1].decode(), data


def _taken(answer: tuple[str, bytes], what: str) -> Any:
    """Return the JSON of an answer that has to be a 2xx."""
    status, data = answer
    if status[:1] != "2":
        raise RuntimeError(f"{what}: {status} {data[:200]!r}")
    return json.loads(data)


Cycle = Callable[[int], Awaitable[None]]
Begin = Callable[[Connection, str], Awaitable[Cycle]]


@dataclass
class Load:
    """What a run came to: seconds for each cycle, and the server's CPU seconds."""

    seconds: float = 0.0
    cpu: float = 0.0
    cycles: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Cycles a second."""
        return len(self.cycles) / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU of the server for each cycle, in milliseconds."""
        return self.cpu / len(self.cycles) * 1000

    def percentile(self, part: float) -> float:
        """Milliseconds within which this part of the cycles was done."""
        return sorted(self.cycles)[int((len(self.cycles) - 1) * part)] * 1000


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(begin: Begin, port: int, key: str, pid: int, names: list[str], turns: int, connections: int = 16) -> Load:
    """Let connections work on customers, a number of cycles each; what comes before the first cycle is not counted."""
    load = Load()
    cycles = await _begun(begin, port, key, names, connections)
    cpu, start = cpu_of(pid), time.perf_counter()
    await asyncio.gather(*[_worked(part, turns, load) for part in cycles])
    load.seconds, load.cpu = time.perf_counter() - start, cpu_of(pid) - cpu
    for part in cycles:
        for connection, _ in part[:1]:
            await connection.__aexit__()
    return load


async def _begun(
    begin: Begin, port: int, key: str, names: list[str], connections: int
) -> list[list[tuple[Connection, Cycle]]]:
    """Begin every customer, spread over the connections."""
    lanes = [await Connection(port, key).__aenter__() for _ in range(min(connections, len(names)))]
    parts: list[list[tuple[Connection, Cycle]]] = [[] for _ in lanes]
    for number, name in enumerate(names):
        lane = number % len(lanes)
        parts[lane].append((lanes[lane], await begin(lanes[lane], name)))
    return parts


async def _worked(part: list[tuple[Connection, Cycle]], turns: int, load: Load) -> None:
    """Do every cycle of one connection's customers, one customer after the other."""
    for _, cycle in part:
        for turn in range(turns):
            start = time.perf_counter()
            await cycle(turn)
            load.cycles.append(time.perf_counter() - start)
