"""For adapter authors: a whole hub on a server of its own, in this process, with a clock to turn.

    with a_hub(tenants={"acme": {"queues": {"cards": {}}}}) as hub:
        async with hub.client("adapter", tenant="acme") as channel:
            started = await channel.interactions.start(Start(channel="sms", external_id="+15550100"))
            hub.clock.move(hours=5)

It is `ctxhub serve` without the process: adapters mounted, relay at work, streams over loopback. With pytest, put
`pytest_plugins = ["ctxhub.testing.plugin"]` into `conftest.py`, and take the fixture `live_hub`.
"""

from ctxhub.testing.clock import Clock
from ctxhub.testing.live import LiveHub, Tenants, a_hub

__all__ = ["Clock", "LiveHub", "Tenants", "a_hub"]
