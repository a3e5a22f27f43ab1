"""An agent's desk in your terminal. It takes whoever waits longest and shows what is known; type to answer.

CTXHUB_KEY=… python agent_desk.py AGENT QUEUE       `/done` completes, `/back NOTE` returns to the bot, Ctrl-D ends
"""

import asyncio
import os
import sys
from contextlib import aclosing

from ctxhub.client import Accepted, ContextHub, Fed, HeldByAnother, Target, WrongState, told


class Desk:
    """One agent at one queue; `held` is the customer being served."""

    def __init__(self, hub: ContextHub, agent_id: str, queue: str) -> None:
        self.hub, self.agent_id, self.queue = hub, agent_id, queue
        self.held: Accepted | None = None
        self.free = asyncio.Event()

    async def work(self) -> None:
        """Take one after the other, each served until the agent is done."""
        async with aclosing(self.hub.feeds.queue(self.queue)) as feed:
            async for fed in feed:
                for handoff_id in offers(fed):
                    await self.take(handoff_id)

    async def take(self, handoff_id: str) -> None:
        try:
            self.held = await self.hub.handoffs.accept(handoff_id, self.agent_id)
        except (HeldByAnother, WrongState):
            return  # somebody was faster, or the customer has gone
        self.free.clear()
        print(f"{self.held.handoff.customer_id} is here: {self.held.handoff.reason}", flush=True)
        for name, fact in self.held.context.facts.items():
            print(f"  {name} = {fact.value}  ({fact.state})", flush=True)
        await self.hub.handoffs.receipt(handoff_id, self.agent_id)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self.listen(self.held))
            await self.free.wait()
            listening.cancel()

    async def listen(self, held: Accepted) -> None:
        here, version = held.interaction.interaction_id, held.context.version
        follow = self.hub.feeds.customer(held.handoff.customer_id, after=version, interaction_id=here)
        async with aclosing(follow) as feed:
            async for fed in feed:
                if fed.type == "message.received" and fed.event:
                    print("customer:", fed.event.data["text"], flush=True)

    async def type(self, line: str) -> None:
        if self.held is None:
            print("nobody is here", flush=True)
            return
        mine = (self.held.handoff.handoff_id, self.agent_id, self.held.fence)
        if line == "/done":
            await self.hub.handoffs.complete(*mine, outcome="resolved")
        elif line.startswith("/back"):
            await self.hub.handoffs.give_back(*mine, note=line[5:].strip(), to=Target(bot="bot"))
        else:
            here, fence = self.held.interaction.interaction_id, self.held.fence
            said = told("message.sent", interaction_id=here, party="agent", fence=fence, text=line)
            await self.hub.events.tell(self.held.handoff.customer_id, said)
            return
        self.held = None
        self.free.set()
        print("next, please", flush=True)


def offers(fed: Fed) -> list[str]:
    """Who waits: all at first, then each as it is offered."""
    if fed.type == "snapshot":
        return [handoff["handoff_id"] for handoff in fed.data["handoffs"]]
    return [fed.data["data"]["handoff_id"]] if fed.type == "handoff.offered" else []


async def main(agent_id: str, queue: str) -> None:
    async with ContextHub(os.environ.get("CTXHUB_URL", "http://127.0.0.1:8080"), os.environ["CTXHUB_KEY"]) as hub:
        desk, typed = Desk(hub, agent_id, queue), asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(typed), sys.stdin)
        async with asyncio.TaskGroup() as group:
            working = group.create_task(desk.work())
            async for line in typed:
                await desk.type(line.decode().strip())
            working.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
