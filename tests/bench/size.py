"""How much is measured: a whole run, or a quick one that shows that everything works."""

from __future__ import annotations

from typing import NamedTuple


class Size(NamedTuple):
    """How often in turn, how long each sample takes, how far each thing grows; and of a day in fast motion how many
    seconds an hour takes, and how many come in the busiest; `talkers` of many customers were in a chat."""

    rounds: int
    seconds: float
    histories: tuple[int, ...]
    customers: tuple[int, ...]
    talkers: int
    connections: tuple[int, ...]
    weighed: int
    overload: float
    updates: int
    imports: int
    hour: float
    comers: int


FULL = Size(
    rounds=3, seconds=4, histories=(20, 100, 300, 3000), customers=(1_000, 100_000), talkers=40_000,
    connections=(1, 16, 128), weighed=500, overload=10, updates=100, imports=100_000, hour=4, comers=400,
)  # fmt: skip
QUICK = Size(
    rounds=1, seconds=0.5, histories=(20, 300), customers=(200, 1_000), talkers=1_000,
    connections=(1, 16), weighed=100, overload=2, updates=20, imports=2_000, hour=0.5, comers=20,
)  # fmt: skip
MILLION = 1_000_000
