"""What a hub says of itself on `/metrics`."""

from __future__ import annotations

import asyncio
import sys
import time
import urllib.request

from tests.bench.running import Running

_REST = 120.0


def metric(hub: Running, name: str, *labels: str) -> float:
    """Return a metric of a hub, summed over those of its lines that have one of the labels, or all of them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{hub.port}/metrics") as metrics:
        lines = metrics.read().decode().splitlines()
    named = [line for line in lines if line.startswith(name)]
    wanted = [line for line in named if not labels or any(label in line for label in labels)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in wanted)


async def at_rest(hub: Running, within: float = _REST) -> None:
    """Wait until the archive has everything, so that what was told before is no load while something is measured.

    Not longer than so many seconds; what is still to be archived then is said.
    """
    ends = time.monotonic() + within
    while (left := await asyncio.to_thread(metric, hub, "ctxhub_archive_backlog")) > 0 and time.monotonic() < ends:
        await asyncio.sleep(0.2)
    if left > 0:
        print(f"still to be archived: {left:,.0f}", file=sys.stderr, flush=True)
