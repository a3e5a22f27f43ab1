"""What Prometheus reads of all tenants: exact, bounded, fresh enough, and there although Redis is not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric

from ctxhub.errors import Unavailable
from ctxhub.hub.hub import Hub
from ctxhub.hub.scrape import EXPOSED, FRESH_FOR, TIMES, Scrape
from ctxhub.metrics import exposition
from ctxhub.model.counting import FAMILIES
from ctxhub.store.lists import Lists
from ctxhub.store.redis import Server
from tests.hub.test_numbers import a_story, relayed
from tests.support import KEEP


async def samples(hub: Hub, scrape: Scrape | None = None) -> dict[str, dict[frozenset[str], float]]:
    """Samples by name and label values."""
    found: dict[str, dict[frozenset[str], float]] = {}
    for family in await (scrape or hub.scrape).metrics():
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.values())] = sample.value
    return found


@pytest.fixture
async def counted(hub: Hub) -> Hub:
    """A hub that has counted a story of acme."""
    await hub.keys.create("acme", "desk", "agent")
    await a_story(hub)
    await relayed(hub)
    return hub


async def test_counters_are_those_of_the_numbers(counted: Hub) -> None:
    found = await samples(counted)
    acme = "acme"
    assert found["ctxhub_numbers_hops_total"] == {
        frozenset({acme, "ivr", "chat", "handoff"}): 1, frozenset({acme, "chat", "desk", "handoff"}): 1,
    }  # fmt: skip
    assert found["ctxhub_numbers_questions_saved_total"] == {frozenset({acme, "chat"}): 1}
    assert found["ctxhub_numbers_journeys_total"][frozenset({acme, "refund", "started"})] == 1
    assert found["ctxhub_numbers_handoff_wait_seconds_sum"] == {frozenset({acme}): 60}
    buckets = found["ctxhub_numbers_handoff_wait_seconds_bucket"]
    assert (buckets[frozenset({acme, "45"})], buckets[frozenset({acme, "60"})], buckets[frozenset({acme, "+Inf"})]) == (
        0,
        1,
        1,
    )


async def test_what_is_not_declared_is_other(counted: Hub) -> None:
    found = await samples(counted)
    assert found["ctxhub_numbers_repeats_total"] == {frozenset({"acme", "chat", "other"}): 1}


async def test_every_process_shows_the_same(counted: Hub, server: Server) -> None:
    second = Hub(server, counted.ways)
    assert await samples(second) == await samples(counted)


async def test_it_is_read_again_only_when_it_is_no_longer_fresh(counted: Hub, server: Server) -> None:
    now = 0.0
    scrape = Scrape(counted.keys, counted.tenants, Lists(server, KEEP), counted.vitals.metrics, lambda: now)
    before = await samples(counted, scrape)
    await a_story(counted, 2)
    await relayed(counted)
    assert await samples(counted, scrape) == before
    now = FRESH_FOR
    assert (await samples(counted, scrape))["ctxhub_numbers_questions_saved_total"] == {frozenset({"acme", "chat"}): 2}


async def test_without_redis_it_says_so_and_the_rest_is_still_shown(counted: Hub, server: Server) -> None:
    async def away() -> list[Metric]:
        raise Unavailable("Redis does not answer")

    scrape = Scrape(counted.keys, counted.tenants, Lists(server, KEEP), away)
    assert await samples(counted, scrape) == {"ctxhub_numbers_up": {frozenset(): 0}}
    text = exposition(await scrape.metrics()).decode()
    assert "ctxhub_numbers_up 0.0" in text
    assert "ctxhub_requests" in text


async def test_a_slow_redis_is_told_of_in_time_to_all_who_read(counted: Hub, server: Server) -> None:
    async def slow() -> list[Metric]:
        await asyncio.sleep(60)
        return []

    scrape = Scrape(counted.keys, counted.tenants, Lists(server, KEEP), slow, within=0.05)
    for found in await asyncio.gather(*(samples(counted, scrape) for _ in range(3))):
        assert found == {"ctxhub_numbers_up": {frozenset(): 0}}


@pytest.mark.parametrize("exposed", EXPOSED, ids=lambda exposed: exposed.name)
def test_no_label_is_personal(exposed: Any) -> None:
    assert set(exposed.labels) <= set(FAMILIES[exposed.family].dimensions)
    assert not {"customer", "agent", "queue"} & set(exposed.labels)


def test_units_stand_in_names() -> None:
    assert all(name.endswith("_seconds") for name, _ in TIMES.values())
