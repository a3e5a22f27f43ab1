"""The state machine of the model, run against a hub on a real server, step by step."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hypothesis.stateful import invariant
from redis import Redis

from ctxhub.errors import CtxhubError
from ctxhub.hub.changes import Request
from ctxhub.hub.hub import Hub
from ctxhub.hub.masterkeys import DerivedKeys
from ctxhub.hub.secrets import Secrets
from ctxhub.model.interaction import HandoffHint, Start
from ctxhub.store.codec import digest
from ctxhub.store.contexts import Contexts, Operation, Who
from ctxhub.store.indexes import entries, millis
from ctxhub.store.redis import Server
from ctxhub.store.sealing import Sealing
from tests.model.machine import Customer, Step
from tests.model.world import CUSTOMER
from tests.support import ACME, ADAPTER, DESK, KEEP, MASTER_KEY, Clock

WHO = Who(ACME, CUSTOMER)
SEALING = Sealing(DerivedKeys(MASTER_KEY))


class Mirrored(Customer):
    """The customer twice, in a hub on a server and pure: both refuse the same, and come to the same."""

    server: Server
    redis: Redis
    runner: asyncio.Runner
    hub: Hub
    hub_clock: Clock

    def begin(self) -> None:
        """Empty the server; the hub before it, and the pure one, have one clock from now on."""
        self.redis.flushall()
        self.hub_clock.now = self.clock.now
        self.clock = self.world.clock = self.hub_clock
        self.secrets = Secrets(MASTER_KEY, self.server.keys)

    def do(self, name: str, *args: Any, **more: Any) -> bool:
        """Do it in the hub, then purely; compare the refusal, if there is one."""
        real = self._as_the_hub_names_it(name, args)
        refused: CtxhubError | None = None
        try:
            real = self.runner.run(self._in_the_hub(name, *real))
        except CtxhubError as error:
            refused = error
        again = name == "give_back" and real[3] in self.world.context.handoffs
        done = super().do("wake") if again else super().do(name, *real, **more)
        assert type(self.step.refused) is type(refused), (name, refused, self.step.refused)
        return done

    def _as_the_hub_names_it(self, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return what is to be done under the ids that the hub gives."""
        if name == "start":
            request: Start = args[0]
            return (request, self.secrets.interaction_id(ACME, request.of_system, request.external_id), *args[2:])
        if name == "offer":
            return (args[0], self.secrets.handoff_id(ACME, CUSTOMER, digest(args[1])))
        return args

    async def _in_the_hub(self, name: str, *args: Any) -> tuple[Any, ...]:
        """Do one thing in the hub; return its arguments, with the ids that it gave."""
        handoffs, interactions = self.hub.handoffs, self.hub.interactions
        if name == "wake":
            await self.hub.wake(WHO)
        elif name == "tell":
            await self.hub.events.tell(WHO, list(args), Request())
        elif name == "start":
            await self._start(*args)
        elif name == "end":
            await interactions.end(WHO, args[0], None, None)
        elif name == "offer":
            keyed = Operation(digest(f"ho_{self.number}"), "print")
            await handoffs.offer(DESK, args[0], Request(operation=keyed))
        elif name == "cancel":
            await handoffs.cancel(DESK, args[0])
        elif name == "decline":
            await handoffs.decline(DESK, *args, "busy")
        elif name == "complete":
            await handoffs.complete(DESK, *args, "done")
        elif name == "give_back":
            answer = await handoffs.give_back(DESK, *args[:3], args[4], None, None)
            return (*args[:3], answer["offered"]["handoff_id"], args[4])
        else:
            await getattr(handoffs, name)(DESK, *args)
        return args

    async def _start(self, request: Start, interaction_id: str, handoff_id: str | None = None) -> None:
        """Begin an interaction in the hub, by a handoff's token where one is named."""
        if handoff_id is None:
            await self.hub.interactions.start(ADAPTER, request)
            return
        token = HandoffHint(token=self.secrets.token(handoff_id))
        await self.hub.interactions.redeem(ADAPTER, request.but(handoff=token))

    @invariant()
    def both_are_the_same(self) -> None:
        """Another process reads from the server just what the pure one has."""
        loaded = self.runner.run(Contexts(self.server, KEEP, None, SEALING).load(WHO))
        assert loaded.context == self.world.context
        assert loaded.activities == self.world.activities
        assert loaded.version == len(self.world.timeline)

    @invariant()
    def nothing_lapses_unnoticed(self) -> None:
        """Whatever lapses by itself is due in the index by then, or earlier."""
        due_in = self.world.due_in()
        noted = self.redis.zscore(self.hub.changes.contexts.keys(WHO).due, f"{ACME}\n{CUSTOMER}")
        if due_in is not None:
            assert noted is not None
            assert noted <= millis(self.clock() + due_in)

    @invariant()
    def lists_are_exact(self) -> None:
        """What stands in lists is what the context says."""
        found: dict[tuple[str, str], float] = {}
        for key in self.redis.scan_iter(f"ctxhub:*:{ACME}:*"):
            listed = re.search(r"\}:acme:((?:waiting|held|open|promised|work):.+)", key)
            if listed:
                found |= {
                    (listed[1], member): score for member, score in self.redis.zrange(key, 0, -1, withscores=True)
                }
        assert found == entries(self.world.context)

    def teardown(self) -> None:
        """In the end the timelines are the same as well."""
        found = self.runner.run(self.hub.changes.contexts.timeline(WHO, 0, None, 10_000))
        told = [(e["event_id"], e["type"], e["assurance"], e.get("channel"), e.get("marks", [])) for e in found]
        pure = [(e.event_id, e.type, e.assurance, e.channel, e.marks) for e, _ in self.world.timeline]
        other = [(here, there) for here, there in zip(told, pure, strict=True) if here != there]
        assert not other, other
        self.step = Step(self.world)
