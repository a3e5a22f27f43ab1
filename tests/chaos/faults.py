"""What is done to a world: each fault begins, lasts, and is over, and says from when on recovery counts."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx

from tests.chaos.running import KEY
from tests.chaos.world import World

Fault = Callable[[World], Awaitable[None]]


async def hub_killed(world: World) -> None:
    """A hub is killed and started again."""
    await asyncio.to_thread(world.hubs[0].kill)
    world.now_over()
    await asyncio.to_thread(world.hubs[0].start)


async def hub_told_to_stop(world: World) -> None:
    """A hub is stopped, as an upgrade does, and started again."""
    took = await asyncio.to_thread(world.hubs[0].stop)
    world.now_over()
    assert took < 10
    await asyncio.to_thread(world.hubs[0].start)


async def worker_killed(world: World) -> None:
    """One process of several that serve is killed; its hub brings another."""
    os.kill(world.worker(world.hubs[0]), signal.SIGKILL)
    world.now_over()
    await asyncio.sleep(1)


async def redis_killed(world: World) -> None:
    """Redis is killed and started again."""
    world.store.kill()
    world.now_over()
    await asyncio.to_thread(world.store.start)


async def both_killed(world: World) -> None:
    """Redis and a hub are killed together and started again."""
    world.store.kill()
    await asyncio.to_thread(world.hubs[0].kill)
    world.now_over()
    await asyncio.to_thread(world.store.start)
    await asyncio.to_thread(world.hubs[0].start)


async def torn_file(world: World) -> None:
    """Redis is killed in the middle of appending: the end of its file is half a command."""
    world.store.kill()
    world.now_over()
    with world.store.files()[-1].open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$5\r\nhalf-")
    await asyncio.to_thread(world.store.start)


async def disk_full(world: World) -> None:
    """The append-only file can't grow: Redis gives up, and is started again where there is room."""
    world.store.disk_is_full(True)
    died = await asyncio.to_thread(world.store.has_died, 20)
    assert died, "a Redis that syncs each write goes on with a full disk"
    world.now_over()
    await asyncio.to_thread(world.store.start)


async def memory_full(world: World) -> None:
    """Redis has no memory left and forgets nothing: it refuses writes for a while."""
    world.store.call("CONFIG", "SET", "maxmemory", "1mb")
    await asyncio.sleep(1.5)
    world.store.call("CONFIG", "SET", "maxmemory", "0")
    world.now_over()


def frozen(seconds: float) -> Fault:
    """Redis stands still for so long."""

    async def freeze(world: World) -> None:
        world.store.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        world.store.signal(signal.SIGCONT)
        world.now_over()

    return freeze


def network(order: str, seconds: float) -> Fault:
    """The way between hub and Redis is disturbed for so long."""

    async def disturb(world: World) -> None:
        await asyncio.to_thread(world.wire.order, order)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(world.wire.order, "heal")
        world.now_over()

    return disturb


async def replies_cut(world: World) -> None:
    """Connections end in the middle of a reply, again and again, each after another number of bytes."""
    for _ in range(12):
        await asyncio.to_thread(world.wire.order, f"cut {random.randrange(1, 2000)}")
        await asyncio.sleep(0.1)
    await asyncio.to_thread(world.wire.order, "heal")
    world.now_over()


async def replies_lost(world: World) -> None:
    """What Redis was asked is done, and the reply never comes; a few times, with time between to go on."""
    for _ in range(8):
        await asyncio.to_thread(world.wire.order, "lose")
        await asyncio.sleep(0.05)
        await asyncio.to_thread(world.wire.order, "heal")
        await asyncio.sleep(0.15)
    world.now_over()


async def scripts_forgotten(world: World) -> None:
    """Redis forgets the scripts it was given."""
    world.store.call("SCRIPT", "FLUSH")
    world.now_over()


async def clock_jumps(world: World) -> None:
    """The clock of a hub and of Redis goes two hours ahead, and comes back."""
    world.clock.write_text("+2h\n")
    await asyncio.sleep(3)
    world.clock.write_text("+0\n")
    world.now_over()
    await asyncio.sleep(1.5)


async def browsers_vanish(world: World) -> None:
    """Fifty open a stream each and go without a word, the network's way: reset, in the middle of it."""
    host, port = world.hubs[0].url.removeprefix("http://").split(":")
    asked = f"GET /v1/queues/q/stream HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    for _ in range(50):
        with suppress(OSError), socket.create_connection((host, int(port)), timeout=5) as browser:
            browser.sendall(asked)
            browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await asyncio.sleep(0.01)
    world.now_over()


async def slow_readers(world: World) -> None:
    """Twenty follow a queue and read nothing of it while it is busy."""
    host, port = world.hubs[0].url.removeprefix("http://").split(":")
    asked = f"GET /v1/queues/q/stream HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    readers = []
    for _ in range(20):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        reader.settimeout(5)
        with suppress(OSError):
            reader.connect((host, int(port)))
            reader.sendall(asked)
        readers.append(reader)
    await asyncio.sleep(2)
    for reader in readers:
        reader.close()
    world.now_over()


async def storm_after_restart(world: World) -> None:
    """A hub is killed, and two hundred clients wait for it and come all at once."""
    await asyncio.to_thread(world.hubs[0].kill)
    world.now_over()
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(
        base_url=world.hubs[0].url, trust_env=False, limits=limits, headers=headers, timeout=20
    ) as http:
        storm = asyncio.gather(*(_until_answered(http) for _ in range(200)))
        await asyncio.to_thread(world.hubs[0].start)
        await storm


async def _until_answered(http: httpx.AsyncClient) -> None:
    """Ask until there is an answer that is one; busy or not yet there is asked again."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            answer = await http.get("/v1/queues/q")
            if answer.is_success:
                return
            assert answer.status_code in (429, 503), answer.text
        await asyncio.sleep(random.uniform(0.2, 0.6))
    raise AssertionError("a client of the storm was never answered")


CLOCK = "clock two hours ahead and back"
#: Every kind of fault, by the name that the report gives it.
KINDS: dict[str, Fault] = {
    "hub killed": hub_killed,
    "hub told to stop": hub_told_to_stop,
    "one worker of several killed": worker_killed,
    "Redis killed": redis_killed,
    "hub and Redis killed": both_killed,
    "end of the append-only file torn": torn_file,
    "disk full": disk_full,
    "memory full": memory_full,
    "Redis frozen for 1 s": frozen(1),
    "Redis frozen for 5 s": frozen(5),
    "Redis frozen for 30 s": frozen(30),
    "connections cut in mid reply": replies_cut,
    "replies lost after it was done": replies_lost,
    "network slow": network("slow 120", 2),
    "network trickling": network("trickle", 2),
    "network swallows everything": network("deaf", 2),
    "connections refused": network("refuse", 1.5),
    "scripts forgotten": scripts_forgotten,
    "browsers vanish": browsers_vanish,
    "streams that nobody reads": slow_readers,
    "restart storm of 200": storm_after_restart,
    CLOCK: clock_jumps,
}
