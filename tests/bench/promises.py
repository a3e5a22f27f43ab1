"""What else is promised in figures: imports, guards, briefs, calls, and what time may not tell."""

from __future__ import annotations

from tests.bench.alike import apart_ms
from tests.bench.briefs import beyond_a_read
from tests.bench.calls import alerting, bytes_a_call, telephone
from tests.bench.figure import Figure
from tests.bench.guards import kept_with_guards
from tests.bench.imports import customers_per_second
from tests.bench.part import Part
from tests.bench.running import Running
from tests.bench.size import Size

_CALLS_OF_A_BANK = 120_000


async def kept(hub: Running, size: Size) -> Part:
    """Measure each of them."""
    figures = [
        Figure("server CPU of a brief beyond a read of the context, ms", await beyond_a_read(hub), "<= 2"),
        Figure("median time that tells a number of somebody from one of nobody, ms",
               max((await apart_ms(hub)).values()), "<= 5"),
        Figure("customers imported a second, two identifiers and three facts each",
               customers_per_second(size.imports), ">= 2000"),
        Figure("part of its throughput that a read of a context keeps with all guards on",
               await kept_with_guards(), ">= 0.8"),
    ]  # fmt: skip
    with telephone() as calling:
        weight = await bytes_a_call(calling) * _CALLS_OF_A_BANK / 1e9
        late = (await alerting(calling)).p99
    figures += [
        Figure(f"Redis memory of {_CALLS_OF_A_BANK:,} live calls that wait, GB", weight, "<= 1"),
        Figure("alerting to the desk's stream at 200 calls/s, p99 in ms", late, "<= 200"),
    ]
    return Part("Other promises", "Figures that other pages speak of, taken in the same sitting.", figures=figures)
