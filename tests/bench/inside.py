"""A library's cycle inside its own process, as who uses it calls it: no server, no HTTP. Run by the library's Python.

Sixteen tasks append a message and read all of a session back. It knows nothing of this project, since it runs in an
environment where that is not installed; it prints one line of JSON.

`python inside.py openai-agents|rasa cycles --socket S --port P --customers N --history N --turns N --tasks N`
`python inside.py openai-agents|rasa tell --socket S --port P --name NAME --at TIME --turns N` is one of two writers;
`… count --socket S --port P --name NAME` says how many messages are there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import string
import time
import warnings


def text() -> str:
    """Return 100 characters of chatter."""
    return "".join(random.choices(string.ascii_lowercase + "     ", k=100))


class Sessions:
    """openai-agents' RedisSession, all sessions on one client."""

    def __init__(self, options: argparse.Namespace) -> None:
        from agents.extensions.memory.redis_session import RedisSession
        from redis.asyncio import Redis

        self._client = Redis.from_url(f"unix://{options.socket}")
        self._session = lambda name: RedisSession(name, redis_client=self._client)

    async def append(self, name: str, count: int = 1) -> None:
        """Append messages to a session."""
        await self._session(name).add_items([{"role": "user", "content": text()} for _ in range(count)])

    async def count(self, name: str) -> int:
        """Read all of a session."""
        return len(await self._session(name).get_items())


class Trackers:
    """Rasa's RedisTrackerStore, without its lock store."""

    def __init__(self, options: argparse.Namespace) -> None:
        from rasa.core.tracker_store import RedisTrackerStore
        from rasa.shared.core.domain import Domain
        from rasa.shared.core.events import UserUttered
        from rasa.shared.core.trackers import DialogueStateTracker

        self._domain = Domain.empty()
        self._store = RedisTrackerStore(self._domain, host="127.0.0.1", port=options.port)
        self._new = lambda name: DialogueStateTracker(name, self._domain.slots)
        self._uttered = UserUttered

    async def append(self, name: str, count: int = 1) -> None:
        """Append messages to a tracker: read it, change it, save it."""
        tracker = await self._store.retrieve(name) or self._new(name)
        for _ in range(count):
            tracker.update(self._uttered(text()))
        await self._store.save(tracker)

    async def count(self, name: str) -> int:
        """Read all of a tracker."""
        tracker = await self._store.retrieve(name)
        return sum(isinstance(event, self._uttered) for event in tracker.events) if tracker else 0


Store = Sessions | Trackers
KINDS: dict[str, type[Store]] = {"openai-agents": Sessions, "rasa": Trackers}


def redis_used(socket: str) -> list[float]:
    """Return CPU seconds of the Redis, commands done, and how often it read from a connection."""
    from redis import Redis

    info = Redis.from_url(f"unix://{socket}").info()
    cpu = float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
    return [cpu, float(info["total_commands_processed"]), float(info["total_reads_processed"])]


async def cycles(store: Store, options: argparse.Namespace) -> dict[str, object]:
    """Begin the sessions, then run their cycles, and return what it came to."""
    names = [f"i{time.monotonic_ns():x}-{number}" for number in range(options.customers)]
    for name in names:
        if options.history:
            await store.append(name, options.history)
    await store.count(names[0])
    taken: list[float] = []

    async def work(part: list[str]) -> None:
        for name in part:
            for turn in range(options.turns):
                began = time.perf_counter()
                await store.append(name)
                assert await store.count(name) == options.history + turn + 1
                taken.append(time.perf_counter() - began)

    used, cpu, began = redis_used(options.socket), sum(os.times()[:2]), time.perf_counter()
    await asyncio.gather(*(work(names[at :: options.tasks]) for at in range(options.tasks)))
    seconds, spent = time.perf_counter() - began, sum(os.times()[:2]) - cpu
    after = redis_used(options.socket)
    return {"seconds": seconds, "cycles": taken,
            "used": [spent, *(now - then for now, then in zip(after, used, strict=True))]}  # fmt: skip


async def tell(store: Store, options: argparse.Namespace) -> dict[str, object]:
    """Be one of several writers of one session; all start at the same moment."""
    await asyncio.sleep(max(0.0, options.at - time.time()))
    for _ in range(options.turns):
        await store.append(options.name)
    return {"told": options.turns}


async def count(store: Store, options: argparse.Namespace) -> dict[str, object]:
    """Say how many messages a session has."""
    return {"count": await store.count(options.name)}


def main() -> None:
    """Do what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("work", choices=("cycles", "tell", "count"))
    parser.add_argument("--socket", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--name", default="")
    parser.add_argument("--at", type=float, default=0)
    for name in ("customers", "history", "turns", "tasks"):
        parser.add_argument(f"--{name}", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    work = {"cycles": cycles, "tell": tell, "count": count}[options.work]
    print(json.dumps(asyncio.run(work(KINDS[options.kind](options), options))))


if __name__ == "__main__":
    main()
