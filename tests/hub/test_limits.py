"""Limits: what is within is let through, what is over is told how long to wait."""

from __future__ import annotations

import pytest

from ctxhub.errors import TooMany
from ctxhub.hub.hub import Hub
from ctxhub.hub.keys import MOUNTED
from ctxhub.hub.limits import Limits, Rates
from tests.support import ADAPTER


class Seconds:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 7.5

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    """The clock of the limits."""
    return Seconds()


async def test_a_key_has_so_many_calls_a_second_and_the_next_second_as_many_again(hub: Hub, seconds: Seconds) -> None:
    limits = Limits(Rates(key=3), hub.lookups, seconds)
    for _ in range(2):
        for _ in range(3):
            limits.count(ADAPTER, None)
        with pytest.raises(TooMany) as refused:
            limits.count(ADAPTER, None)
        assert refused.value.ids == {"retry_after": 1, "policy": ("key", 3, 1)}
        seconds.now += 1


async def test_one_key_and_one_tenant_do_not_use_up_anothers(hub: Hub, seconds: Seconds) -> None:
    limits = Limits(Rates(key=1, customer=1), hub.lookups, seconds)
    limits.count(ADAPTER, "c1")
    limits.count(ADAPTER.but(name="another"), "c2")
    limits.count(ADAPTER.but(tenant="other"), "c1")
    with pytest.raises(TooMany, match="customer"):
        limits.count(ADAPTER.but(name="a third"), "c1")


async def test_the_hubs_own_adapters_have_no_limit_of_a_key(hub: Hub, seconds: Seconds) -> None:
    limits, mounted = Limits(Rates(key=1, lookup=1), hub.lookups, seconds), ADAPTER.but(name=MOUNTED)
    for _ in range(5):
        limits.count(mounted, None)
        await limits.count_lookup(mounted)


async def test_zero_is_no_limit(hub: Hub, seconds: Seconds) -> None:
    limits = Limits(Rates(), hub.lookups, seconds)
    for _ in range(100):
        limits.count(ADAPTER, "c1")
        await limits.count_lookup(ADAPTER)


async def test_lookups_are_counted_for_all_hubs_together(hub: Hub, seconds: Seconds) -> None:
    here, there = (Limits(Rates(lookup=3), hub.lookups, seconds) for _ in range(2))
    for limits in (here, there, here):
        await limits.count_lookup(ADAPTER)
    with pytest.raises(TooMany) as refused:
        await there.count_lookup(ADAPTER)
    assert 0 < refused.value.ids["retry_after"] <= 60
