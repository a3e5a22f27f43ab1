"""Whatever people start, redeem and identify, nobody is surely known as somebody who they never proved to be."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from ctxhub.errors import CtxhubError
from ctxhub.hub.hub import Hub
from ctxhub.hub.interactions import NOT_THIS_CUSTOMER
from ctxhub.model.context import Context
from ctxhub.model.customer import AssuranceClaim, Identifier
from ctxhub.model.interaction import HandoffHint, Start
from ctxhub.store.contexts import Who
from tests.hub.scenes import context_of, offer, tell
from tests.support import ACME, ADAPTER

PEOPLE = ("ann", "bob", "eve")
KNOWN = ("ann", "bob")
LOGIN = AssuranceClaim(level=2, method="login")
STEPS = 25


class Crowd:
    """People who each prove only themselves, and claim to be, or use the links of, anybody."""

    def __init__(self, hub: Hub, seed: int) -> None:
        self.hub = hub
        self.random = Random(seed)
        self.seed = seed
        self.names = iter(range(1000))
        self.by: dict[str, str] = {}
        self.at: dict[str, str] = {}
        self.name_of: dict[str, str] = {}
        self.whose: dict[str, str] = {self.customer(person): person for person in KNOWN}
        self.tokens: list[tuple[str, str, str]] = []
        self.done: list[str] = []
        self.came_to: Counter[str] = Counter()

    def customer(self, person: str) -> str:
        """By what the company knows somebody; nobody knows eve."""
        return f"{person}-{self.seed}"

    def own(self, person: str, type_: str, strength: Any) -> Identifier:
        """A number or an account that is somebody's own."""
        value = f"+86138{PEOPLE.index(person)}{self.seed:07}" if type_ == "phone" else f"A-{person}-{self.seed}"
        return Identifier(type=type_, value=value, strength=strength)

    def proof(self, person: str) -> dict[str, Any]:
        """What a channel says of somebody who has logged in."""
        mine = [self.own(person, "account", "verified")]
        named = {"customer_id": self.customer(person)} if person in KNOWN else {}
        return self.random.choice(
            [{"identifiers": mine}, named | {"identifiers": mine}, named or {"identifiers": mine}]
        )

    def claim(self) -> dict[str, Any]:
        """What a channel says of somebody who only calls from a number, which may be anybody's."""
        return {"identifiers": [self.own(self.random.choice(PEOPLE), "phone", "claimed")]}

    async def begins(self, person: str, said: dict[str, Any], claim: AssuranceClaim | None, **more: Any) -> None:
        """Somebody comes."""
        external_id = more.pop("external_id", None) or f"{self.seed}-{next(self.names)}"
        request = Start(channel="chat", external_id=external_id, assurance=claim, **said, **more)
        answer = (await self.hub.interactions.start(ADAPTER, request))[0]
        key = answer["interaction"]["interaction_id"]
        self.by.setdefault(key, person)
        self.at[key], self.name_of[key] = answer["customer_id"], external_id
        self.whose.setdefault(answer["customer_id"], person)

    async def logs_in(self, person: str) -> None:
        await self.begins(person, self.proof(person), LOGIN)

    async def calls(self, person: str) -> None:
        await self.begins(person, self.claim(), None)

    async def offers(self, person: str) -> None:
        """Somebody makes a link, and lets anybody have it where it is a message."""
        key = self.one_of(person)
        delivery = self.random.choice(["signal", "message"])
        to = {"channel": "chat"}
        made = await offer(self.hub, key, Who(ACME, self.at[key]), to=to, delivery=delivery, keyed=self.fresh())
        self.tokens.append((made["token"], delivery, person))

    async def opens(self, person: str) -> None:
        """Somebody opens a link: in a new chat, logged in or not, or in one that goes on."""
        token, delivery, maker = self.random.choice(self.tokens)
        surely = self.random.random() < 0.5
        if delivery == "signal" and maker != person and not (surely and person in KNOWN):
            return  # whoever is shown the code on another's screen is taken for them
        hint = HandoffHint(token=token)
        if self.random.random() < 0.4 and delivery == "message":
            external_id = self.name_of[self.one_of(person)]
            await self.begins(person, {}, None, external_id=external_id, handoff=hint)
        else:
            said, claim = (self.proof(person), LOGIN) if surely else (self.claim(), None)
            await self.begins(person, said, claim, handoff=hint)

    async def is_said_to_be(self, person: str) -> None:
        """A channel is told that somebody is another, and believes it without proof."""
        key, other = self.one_of(person), self.random.choice(PEOPLE)
        named, identifiers = self.random.choice(
            [
                (self.customer(other) if other in KNOWN else None, []),
                (None, [self.own(other, "phone", "claimed")]),
                (None, [self.own(other, "account", "claimed")]),
                (None, []),
            ]
        )
        reason = NOT_THIS_CUSTOMER if named is None and not identifiers else "verified"
        args = (named, identifiers, None, reason)
        where, _, _ = await self.hub.interactions.identify_as(Who(ACME, self.at[key]), key, *args)
        self.at[key] = where.customer_id
        self.whose.setdefault(where.customer_id, person)

    async def says(self, person: str) -> None:
        key = self.one_of(person)
        who = Who(ACME, self.at[key])
        await tell(self.hub, "fact.stated", key, self.fresh(), who, name="said by", value=person)

    def one_of(self, person: str) -> str:
        return self.random.choice([key for key, by in self.by.items() if by == person])

    def fresh(self) -> str:
        return f"e{self.seed}-{next(self.names)}"

    async def goes_on(self) -> None:
        """Something happens; what is refused, or can't be yet, is nothing."""
        step = self.random.choice([self.logs_in, self.calls, self.offers, self.opens, self.is_said_to_be, self.says])
        person = self.random.choice(PEOPLE)
        self.done.append(f"{person} {step.__name__}")
        try:
            await step(person)
        except (CtxhubError, IndexError):
            return
        self.came_to[step.__name__] += 1

    async def wrong(self) -> list[str]:
        """Everything that somebody is, or has left, at a customer who is another."""
        found: list[str] = []
        for customer_id, person in self.whose.items():
            who = Who(ACME, customer_id)
            if (await self.hub.changes.contexts.wherever(who)).context is None:
                continue
            context = await context_of(self.hub, who)
            found += [f"{what} at {person}'s {customer_id}" for what in self.of_others(context, person)]
        return found

    def of_others(self, context: Context, person: str) -> list[str]:
        """What is surely known of a customer's, and is not that customer's."""
        now = self.hub.changes.clock()
        sure = [key for key, one in context.interactions.items() if one.level(now) > 1 and self.by[key] != person]
        told = [str(f.value) for f in context.facts if f.origin.scope is None and f.value != person]
        mine = {self.own(person, type_, "verified").what for type_ in ("phone", "account")}
        named = [one.value for one in context.identifiers if one.strength == "verified" and one.what not in mine]
        return [f"{self.by[key]} in {key}" for key in sure] + [f"{each} said" for each in told] + named


@pytest.mark.timeout(300)
async def test_nobody_is_surely_known_as_another(hub: Hub) -> None:
    came_to: Counter[str] = Counter()
    for seed in range(16):
        crowd = Crowd(hub, seed)
        for person in KNOWN:
            both = [crowd.own(person, "phone", "verified"), crowd.own(person, "account", "verified")]
            await crowd.begins(person, {"customer_id": crowd.customer(person), "identifiers": both}, LOGIN)
        for _ in range(STEPS):
            await crowd.goes_on()
            assert await crowd.wrong() == [], crowd.done
        came_to += crowd.came_to
    assert min(came_to[step] for step in ("logs_in", "calls", "offers", "opens", "is_said_to_be", "says")) > 15
