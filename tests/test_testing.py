"""What adapter authors test with: a whole hub in their process, a clock to turn, fixtures for pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from ctxhub.client import (
    ContextHub,
    CustomerUnknown,
    Forbidden,
    OfferRequest,
    Start,
    Target,
    Unauthenticated,
    Unavailable,
)
from ctxhub.settings import CannotStart
from ctxhub.testing import Clock, LiveHub, a_hub

ROOT = Path(__file__).parents[1]
ACME = {"languages": ["zh"], "facts": {"order_id": {"sensitivity": "personal", "say": {"zh": "订单号"}}}}


@pytest.fixture(scope="module")
def hub() -> Iterator[LiveHub]:
    """A hub with a tenant that declares something."""
    with a_hub({"acme": ACME}) as hub:
        yield hub


async def test_a_hub_has_a_client_for_each_role_and_its_tenants_declare_what_they_were_given(hub: LiveHub) -> None:
    async with hub.client(tenant="acme") as channel, hub.client("agent", tenant="acme", agent="ann") as ann:
        assert (await channel.tenants.read()).facts["order_id"].say == {"zh": "订单号"}
        with pytest.raises(Forbidden):
            await ann.interactions.start(Start(channel="sms", external_id="1"))
    async with ContextHub(hub.url, "not-a-key") as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.tenants.read()


async def test_the_clock_is_put_forward_and_what_is_due_by_then_has_lapsed(hub: LiveHub) -> None:
    async with hub.client() as channel:
        started = await channel.interactions.start(Start(channel="sms", external_id="lapses", customer_id="late"))
        here = started.interaction.interaction_id
        offer = OfferRequest(customer_id="late", interaction_id=here, reason="tired", to=Target(queue="cards"))
        waiting = (await channel.handoffs.offer(offer)).handoff
        hub.clock.move(minutes=6)
        assert (await channel.handoffs.get(waiting.handoff_id)).state == "expired"


async def test_timers_notice_that_the_clock_was_moved_and_streams_tell(hub: LiveHub) -> None:
    async with hub.client("admin") as admin:
        await admin.interactions.start(Start(channel="chat", external_id="silent", customer_id="silent"))
        async with aclosing(admin.feeds.customer("silent")) as feed:
            assert (await anext(feed)).type == "ready"
            hub.clock.move(hours=5)
            assert (await anext(feed)).type == "interaction.ended"


async def test_each_hub_has_customers_of_its_own_and_is_gone_after_the_block(hub: LiveHub) -> None:
    async with hub.client() as channel:
        await channel.interactions.start(Start(channel="sms", external_id="mine", customer_id="mine"))
    with a_hub() as other:
        async with other.client("admin") as admin:
            with pytest.raises(CustomerUnknown):
                await admin.contexts.read("mine")
    async with ContextHub(other.url, other.admin_key, timeout=1) as gone:
        with pytest.raises(Unavailable, match="can't be reached"):
            await gone.tenants.read()


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        Clock().move(hours=-1)


def test_a_setting_by_its_name_is_in_force_and_a_bad_one_is_refused() -> None:
    with pytest.raises(ValueError, match="partitions"), a_hub(partitions=0):
        pass


def test_a_hub_that_can_not_start_says_why() -> None:
    with pytest.raises(CannotStart, match="Redis does not answer"), a_hub(redis_url="redis://127.0.0.1:1"):
        pass


def test_the_fixtures_work_in_a_project_of_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        'import pytest\npytest_plugins = ["ctxhub.testing.plugin"]\n\n'
        '@pytest.fixture(scope="session")\ndef live_hub_tenants():\n    return {"acme": {"languages": ["zh"]}}\n'
    )
    (tmp_path / "test_it.py").write_text(
        "import asyncio\n\ndef test_it(live_hub):\n    async def languages():\n"
        '        async with live_hub.client(tenant="acme") as hub:\n'
        "            return (await hub.tenants.read()).languages\n"
        '    assert asyncio.run(languages()) == ["zh"]\n'
    )
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
