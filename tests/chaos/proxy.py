"""A proxy between hub and Redis that knows every byte: it cuts, swallows, delays, trickles, and goes deaf when told to.

Run as a process of its own: `python -m tests.chaos.proxy LISTEN SERVER`, two unix sockets. Orders come in on stdin, one
a line, and each is answered with a line once it is in force.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable

CHUNK = 65536


class Proxy:
    """Passes on what both sides say, as the order in force has it; `heal` is the first one."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._order: list[str] = ["heal"]
        self._writers: set[asyncio.StreamWriter] = set()
        self._budget = 0

    async def obey(self, order: str) -> None:
        """Put an order in force: heal, cut N (bytes of replies), lose, lose once, slow MS, trickle, deaf or refuse."""
        was, self._order = self._order[0], order.split()
        self._budget = int(self._order[1]) if self._order[0] == "cut" else 0
        if self._order[0] == "refuse" or (was == "deaf" and self._order[0] != "deaf"):
            for writer in list(self._writers):  # whoever spoke to the deaf is out of step: it begins anew
                writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the hub."""
        if self._order[0] == "refuse":
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_unix_connection(self._server)
        except OSError:
            writer.transport.abort()
            return
        ends = (writer, there[1])
        self._writers.update(ends)
        ways = (self._pass_on(reader, there[1], self._asked), self._pass_on(there[0], writer, self._replied))
        try:
            tasks = [asyncio.create_task(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            self._writers.difference_update(ends)
            for end in ends:
                end.transport.abort()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        treat: Callable[[bytes, asyncio.StreamWriter], Awaitable[bool]],
    ) -> None:
        """Pass on one direction until it ends."""
        try:
            while data := await reader.read(CHUNK):
                if not await treat(data, writer):
                    return
        except OSError:
            return

    async def _asked(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Treat what the hub asks; False ends the connection."""
        if self._order[0] == "deaf":
            return True
        writer.write(data)
        await writer.drain()
        return True

    async def _replied(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Treat what the server replies; False ends the connection."""
        match self._order:
            case ["deaf"]:
                return True
            case ["lose"]:
                return False  # it was done, and nobody will know
            case ["lose", "once"]:
                self._order = ["heal"]
                return False
            case ["cut", *_]:
                return await self._cut(data, writer)
            case ["slow", milliseconds]:
                await asyncio.sleep(int(milliseconds) / 1000 * random.uniform(0.5, 1.5))
            case ["trickle"]:
                return await self._trickled(data, writer)
        writer.write(data)
        await writer.drain()
        return True

    async def _cut(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Pass on the bytes that are left of the budget, then end the connection in the middle of a reply."""
        part, self._budget = data[: self._budget], self._budget - len(data)
        writer.write(part)
        await writer.drain()
        if self._budget >= 0:
            return True
        await asyncio.sleep(0)  # the part is on its way before the end is
        writer.close()
        self._budget = random.randrange(1, 400)
        return False

    async def _trickled(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        """Pass on a few bytes at a time."""
        for start in range(0, len(data), 7):
            writer.write(data[start : start + 7])
            await writer.drain()
            if start % 70 == 0:
                await asyncio.sleep(0.001)
        return True


async def main(listen: str, server: str) -> None:
    """Serve until stdin ends."""
    proxy = Proxy(server)
    await asyncio.start_unix_server(proxy.serve, listen)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await proxy.obey(line.strip())
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
