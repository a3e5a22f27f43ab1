"""What one customer's data does to the relay, it does to that customer alone."""

from __future__ import annotations

from ctxhub.hub.hub import Hub
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.support import ACME


async def test_a_customer_who_can_not_be_read_does_not_end_the_relay(hub: Hub, server: Server) -> None:
    woken: list[str] = []

    async def wake(who: Who) -> None:
        woken.append(who.customer_id)
        if who.customer_id == "broken":
            raise ValueError("format 9 is not known here")

    hub.relay._wake = wake
    await hub.relay._keep_leases()
    for customer_id in ("broken", "well"):
        keys = server.keys.customer(ACME, customer_id)
        await server.call("ZADD", keys.due, 1, keys.member, writes=True)
    await hub.relay._wake_due()
    assert sorted(woken) == ["broken", "well"]
