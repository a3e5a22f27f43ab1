"""`make bench`: ctxhub, the floor and the peers in turn, in one sitting; every figure with its target beside it.

Writes the report to `docs/reference/performance/`, a quick one to `.bench/report/`. Exit code 1 where a target is
missed; a peer that can't be set up is reported as absent and its figures left out.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from ctxhub import log
from tests.bench.against_floor import context_bytes, each_call
from tests.bench.crowd import with_customers
from tests.bench.cycles import Systems, everybody
from tests.bench.day import in_fast_motion
from tests.bench.growth import with_connections, with_history, with_workers
from tests.bench.lost import probed
from tests.bench.machine import described
from tests.bench.overload import overloaded
from tests.bench.part import Part
from tests.bench.peers import Absent, agent_memory_server, library
from tests.bench.promises import kept
from tests.bench.report import figures_of, verdicts, written
from tests.bench.running import Running
from tests.bench.servers import ctxhub, floor, with_channels_key
from tests.bench.size import FULL, MILLION, QUICK, Size
from tests.bench.weight import weighed

PARTS = (
    "everybody",
    "calls",
    "history",
    "customers",
    "connections",
    "workers",
    "memory",
    "overload",
    "lost",
    "day",
    "others",
)
#: What a quick run leaves out unless it is named: it has no shorter way.
LONG = ("day", "others")
PEERS = ("agent-memory-server", "openai-agents", "rasa")
REPORT = Path("docs/reference/performance")
QUICK_REPORT = Path(".bench/report")


def main() -> int:
    """Measure, write and print; the exit code."""
    options = _options()
    log.configure("error", "json")
    size = QUICK if options.quick else FULL
    if options.million:
        size = size._replace(customers=(*size.customers, MILLION))
    into = options.into or (QUICK_REPORT if options.quick else REPORT)
    parts = uvloop.run(_measured(options, size, into))
    print(f"\n{verdicts(parts)}\n\n{into}")
    return 0 if all(figure.is_met for figure in figures_of(parts)) else 1


def _options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="show within four minutes that all of it works")
    parser.add_argument("--million", action="store_true", help="also with a million customers: most of an hour more")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts, in their order")
    parser.add_argument("--without", nargs="+", choices=PARTS, default=(), help="not these parts")
    parser.add_argument("--peers", type=Path, default=Path(".bench"), help="where peers are set up")
    parser.add_argument("--beside", nargs="*", choices=PEERS, default=PEERS, help="these peers")
    parser.add_argument("--into", type=Path, help="the report's folder")
    return parser.parse_args()


async def _measured(options: argparse.Namespace, size: Size, into: Path) -> list[Part]:
    """Measure part by part, and write the report after each, so that none is lost when a later one fails."""
    parts: list[Part] = []
    with contextlib.ExitStack() as stack:
        hubs = {f"ctxhub {durability}": with_channels_key(stack.enter_context(ctxhub(durability)))
                for durability in ("fast", "safe")}  # fmt: skip
        fast = hubs["ctxhub fast"]
        least = stack.enter_context(floor(await context_bytes(fast)))
        about = described(fast.redis)
        peers, absent = _peers(stack, options.peers.absolute(), options.beside)
        systems: Systems = {**hubs, "floor": least, **peers}
        work: dict[str, Callable[[], Awaitable[Part]]] = {
            "everybody": lambda: everybody(systems, size),
            "calls": lambda: each_call(hubs, least, size),
            "history": lambda: with_history(systems, size),
            "customers": lambda: with_customers(size),
            "connections": lambda: with_connections({"ctxhub fast": fast, "ctxhub safe": hubs["ctxhub safe"],
                                                     "floor": least}, size),
            "workers": lambda: _workers(fast, size),
            "memory": lambda: weighed(systems, size),
            "overload": lambda: overloaded(fast, size),
            "lost": lambda: probed(systems, size),
            "day": lambda: in_fast_motion(size),
            "others": lambda: kept(fast, size),
        }  # fmt: skip
        wanted = options.only or [name for name in PARTS if not (options.quick and name in LONG)]
        chosen = [name for name in PARTS if name in wanted and name not in options.without]
        for name in chosen:
            parts.append(await _timed(name, work[name]))
            written(into, parts, about, absent)
    return parts


async def _timed(name: str, work: Callable[[], Awaitable[Part]]) -> Part:
    """Measure one part, print it, and say how long it took."""
    began = time.perf_counter()
    part = await work()
    print(f"\n{part.text()}\n({name}: {time.perf_counter() - began:.0f} s)", flush=True)
    return part


async def _workers(one: Running, size: Size) -> Part:
    """Measure the hub beside one of two workers."""
    with ctxhub("fast", workers="2") as two:
        return await with_workers(one, with_channels_key(two), size)


def _peers(stack: contextlib.ExitStack, folder: Path, names: Sequence[str]) -> tuple[Systems, list[str]]:
    """Start the peers; return them, and why who is absent is."""
    found: Systems = {}
    absent: list[str] = []
    for name in names:
        try:
            if name == "agent-memory-server":
                found[name] = stack.enter_context(agent_memory_server(folder / name))
            else:
                found[name] = stack.enter_context(library(name, folder))
        except Absent as reason:
            absent.append(f"Absent: {reason}")
            print(absent[-1], flush=True)
    return found, absent


if __name__ == "__main__":
    sys.exit(main())
