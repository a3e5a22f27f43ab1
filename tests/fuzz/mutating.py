"""Inputs made of good ones by small random steps, the same for the same seed; for where no fuzzer is at hand."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.fuzz.parser import Parser

LONGEST = 8192


def mutated(random: Random, seeds: list[bytes], words: tuple[bytes, ...]) -> bytes:
    """Return a seed after one to five steps."""
    data = random.choice(seeds)
    for _ in range(random.randint(1, 5)):
        data = _step(random, data, seeds, words)
    return data[:LONGEST]


def _step(random: Random, data: bytes, seeds: list[bytes], words: tuple[bytes, ...]) -> bytes:
    """Change a stretch of an input: flip, drop, double, put in a word or a piece of another seed."""
    at = random.randint(0, len(data))
    end = min(len(data), at + random.choice((1, 1, 2, 4, 16, 64)))
    way = random.randrange(6)
    if way == 0 and at < len(data):
        return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
    if way == 1:
        return data[:at] + data[end:]
    if way == 2:
        return data[:end] + data[at:end] * random.randint(1, 3) + data[end:]
    if way == 3 and words:
        return data[:at] + random.choice(words) + data[random.choice((at, end)) :]
    if way == 4:
        other = random.choice(seeds)
        start = random.randint(0, len(other))
        return data[:at] + other[start : start + 64] + data[at:]
    return data[:at] + bytes(random.randrange(256) for _ in range(random.randint(1, 4))) + data[end:]


def inputs(parser: Parser, random: Random, count: int) -> Iterator[bytes]:
    """Yield a parser's seeds, then so many mutations of them."""
    seeds = parser.seeds()
    yield from seeds
    for _ in range(count):
        yield mutated(random, seeds, parser.words)
