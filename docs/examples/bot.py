"""A bot in your terminal. It asks the hub before it asks you, brings in a human, and is silent while one speaks.

CTXHUB_KEY=… python bot.py CUSTOMER       say `human` for a person; Ctrl-D ends
"""

import asyncio
import os
import sys
import uuid
from contextlib import aclosing
from typing import Any

from ctxhub.client import AssuranceClaim, ContextHub, NotTheHolder, OfferRequest, Party, Start, Target, told

KIND, QUEUE = "card_blocked", "cards"
QUESTIONS = {"country": "Which country are you in?", "card_last4": "What are the last four digits of your card?"}


class Bot:
    def __init__(self, hub: ContextHub, customer_id: str) -> None:
        self.hub, self.customer_id, self.journey_id = hub, customer_id, f"jr_{uuid.uuid4().hex}"
        self.asking, self.settled = "", set[str]()

    async def greet(self) -> None:
        login = AssuranceClaim(level=2, method="login")  # your site knows who is logged in; a mere visitor is level 0
        visit = Start(channel="chat", external_id=uuid.uuid4().hex, customer_id=self.customer_id, assurance=login)
        started = await self.hub.interactions.start(visit)
        self.here, self.fence, self.has_floor = started.interaction.interaction_id, started.interaction.fence, True
        self.version = started.context.version  # follow from here on, so that nothing is missed
        if started.resume:  # begun before, here or on another channel: go on with it
            self.journey_id = started.resume[0].journey_id
            await self.say("Welcome back.")
        else:
            await self.tell("journey.started", kind=KIND)
            await self.say("Good day. I am sorry about your card.")
        await self.go_on()

    async def go_on(self) -> None:
        answers = await self.hub.asks.may_i_ask(self.customer_id, self.here, [*QUESTIONS], journey_id=self.journey_id)
        for answer in answers:
            if answer.verdict == "known" and answer.name not in self.settled:
                self.settled.add(answer.name)
                await self.say(f"I have your {answer.name}: {answer.value}.")
        self.asking = next((answer.name for answer in answers if answer.verdict in ("ask", "confirm")), "")
        if self.asking:
            await self.tell("question.asked", names=[self.asking])
        await self.say(QUESTIONS.get(self.asking, "That is all I need. Say `human` for a colleague."))

    async def hear(self, text: str) -> None:
        await self.tell("message.received", party="customer", text=text)
        if self.has_floor and "human" in text.lower():
            self.asking = ""  # what is said from now on is for the human
            await self.say("Let me get a colleague for you.")
            whom = {"customer_id": self.customer_id, "interaction_id": self.here, "journey_id": self.journey_id}
            await self.hub.handoffs.offer(OfferRequest(**whom, reason="asked_for_a_human", to=Target(queue=QUEUE)))
        elif self.has_floor and self.asking:
            self.settled.add(self.asking)
            await self.tell("fact.stated", party="customer", name=self.asking, value=text)
            await self.go_on()

    async def say(self, text: str) -> None:
        try:  # the hub first: it refuses a bot that would talk over a human
            await self.tell("message.sent", text=text, fence=self.fence)
            print("bot:", text, flush=True)
        except NotTheHolder:
            self.has_floor = False

    async def tell(self, type_: str, party: Party = "bot", **data: Any) -> None:
        event = told(type_, party=party, interaction_id=self.here, journey_id=self.journey_id, **data)
        await self.hub.events.tell(self.customer_id, event)

    async def follow(self) -> None:
        happened = self.hub.feeds.customer(self.customer_id, after=self.version, interaction_id=self.here)
        async with aclosing(happened):
            async for fed in happened:
                if fed.type == "message.sent" and fed.event and fed.event.party == "agent":
                    print("agent:", fed.event.data["text"], flush=True)
                elif fed.type.startswith("handoff."):
                    await self.look_who_speaks()

    async def look_who_speaks(self) -> None:
        context = await self.hub.contexts.read(self.customer_id, interaction_id=self.here)
        now = next(i for i in context.interactions if i.interaction_id == self.here)
        self.has_floor = now.holder.party == "bot"
        if self.has_floor and now.fence != self.fence:  # a human had it meanwhile
            self.fence = now.fence
            await self.go_on()


async def main(customer_id: str) -> None:
    async with ContextHub(os.environ.get("CTXHUB_URL", "http://127.0.0.1:8080"), os.environ["CTXHUB_KEY"]) as hub:
        bot, typed = Bot(hub, customer_id), asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(typed), sys.stdin)
        await bot.greet()
        async with asyncio.TaskGroup() as group:
            following = group.create_task(bot.follow())
            async for line in typed:
                await bot.hear(line.decode().strip())
            following.cancel()
        await hub.interactions.end(customer_id, bot.here)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
