"""Mixed clients of two tenants on the same customers' names: they tell, read, start, offer, take and complete, send
each operation up to six times, some of them at once, and go away in the middle. What they were answered is kept."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from tests.chaos.history import Claim, Entry, Fault, Final, History, Op
from tests.chaos.wire import Answer, Cut, Line
from tests.chaos.world import TENANTS, Served

STRANGE = "another's"
_ANSWERED_WITHIN = 90.0
_TOLD_ON_WITHIN = 20.0
_JUDGES = 6
_DEEDS = ("interaction.started", "interaction.ended", "handoff.offered", "handoff.accepted", "handoff.completed")
#: What a hub may say that is none of its successes; anything else is a fault of its own.
_LATER = (429, 503)
_REFUSED = (409, 410)


@dataclass
class Mix:
    """How much of what there is."""

    customers: int = 6
    clients: int = 10
    most_events: int = 60
    most_times: int = 6
    claimants: int = 4
    facts: float = 0.3  # how many batches begin with one
    most_facts: int = 60  # of one customer
    tell: float = 60
    read: float = 20
    vanish: float = 20
    hand_over: float = 6
    clock_moves: bool = False  # what ends by its time may then have ended when the channel ends it


@dataclass
class Customer:
    """A customer of one tenant, and all that was answered about it."""

    tenant: str
    name: str
    history: History
    interaction: str = ""
    handoffs: set[str] = field(default_factory=set)

    @property
    def mark(self) -> str:
        """Return what everything told of it bears, and nothing told of anybody else."""
        return f"<{self.tenant}/{self.name}>"

    @property
    def base(self) -> str:
        """Return where it is found."""
        return f"/v1/customers/{self.name}"


def _nothing(_: Answer) -> Sequence[tuple[str, int | None]]:
    """Return what a call proves that leaves nothing behind."""
    return ()


class Operation(NamedTuple):
    """Something that a client wants done once, however often it has to send it, and how its answer is read."""

    customer: Customer
    op_id: str
    method: str
    path: str
    body: Any
    effects: Callable[[Answer], Sequence[tuple[str, int | None]]] = _nothing
    key: str = ""
    claims: bool = False
    ids: int = 1


class Load:
    """Clients at work on new customers, for as long as they are let."""

    def __init__(self, world: Served, name: str, mix: Mix | None = None) -> None:
        self.world = world
        self.mix = mix or Mix()
        self.counts: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.answered_at: dict[int, list[tuple[float, float]]] = defaultdict(list)
        self._name = lettered(name)
        names = [f"{self._name}-{lettered(n)}" for n in range(self.mix.customers)]
        self.customers = [Customer(t, each, History(shown_stays=world.shown_stays)) for each in names for t in TENANTS]
        self._chance = random.Random(name)
        self._numbers = map(lettered, count())
        self._over = False
        self._with_ids: list[Operation] = []
        self._written: set[str] = set()
        self._idle: dict[tuple[str, int], list[Line]] = defaultdict(list)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Work as long as the block lasts, and end what was begun; then compare all that was answered."""
        await asyncio.gather(*(self._begin(customer) for customer in self.customers))
        async with asyncio.TaskGroup() as group:
            for number in range(self.mix.clients):
                group.create_task(self._client(number))
            try:
                yield
            finally:
                self._over = True
        await self._judge()
        for line in (line for idle in self._idle.values() for line in idle):
            line.hang_up()

    @property
    def acknowledged(self) -> int:
        """How many writes were acknowledged."""
        return self.counts["acknowledged"]

    async def recovered(self, hub: int, since: float, within: float = 60) -> float:
        """Wait until a call that began after this moment is answered by this hub; return how long that took."""
        async with asyncio.timeout(within):
            while not (ended := [end for began, end in self.answered_at[hub] if began >= since]):
                await asyncio.sleep(0.05)
        return min(ended) - since

    def written_within(self, since: float, concerned: Callable[[Customer], bool]) -> float | None:
        """Return how long after this moment the first write that began after it was acknowledged to some customers."""
        ops = (op for customer in self.customers if concerned(customer) for op in customer.history.ops)
        ended = [op.ended for op in ops if op.effects and op.began >= since]
        return min(ended) - since if ended else None

    async def reaches(self, counter: str, many: int, within: float = 60) -> None:
        """Wait until something was done so often."""
        async with asyncio.timeout(within):
            while self.counts[counter] < many:
                await asyncio.sleep(0.05)

    def _line(self, customer: Customer, hub: int | None = None) -> tuple[Line, int]:
        """Return a connection to one of the hubs that nobody uses just now."""
        number = self._chance.randrange(len(self.world.hubs)) if hub is None else hub
        idle = self._idle[customer.tenant, number]
        return idle.pop() if idle else Line(self.world.hubs[number].url, self.world.keys[customer.tenant]), number

    def _back(self, customer: Customer, hub: int, line: Line) -> None:
        """Leave a connection to whoever calls next."""
        self._idle[customer.tenant, hub].append(line)

    async def _begin(self, customer: Customer) -> None:
        """Let a customer be known."""
        body = {"channel": "chat", "external_id": f"first {customer.name}", "customer_id": customer.name,
                "assurance": {"level": 2, "method": "pin"}}  # fmt: skip
        [answer] = await self._sent(Operation(customer, f"begin {customer.name}", "POST", "/v1/interactions", body))
        customer.interaction = answer.json()["interaction"]["interaction_id"]

    async def _client(self, number: int) -> None:
        """Do one thing after the other, as chance has it."""
        deeds: list[Callable[[Customer], Awaitable[None]]] = [self._tell, self._read, self._vanish, self._hand_over]
        while not self._over:
            weights = (self.mix.tell, self.mix.read, self.mix.vanish, self.mix.hand_over)
            [deed] = self._chance.choices(deeds, weights)
            await deed(self._chance.choice(self.customers))

    def _events(self, customer: Customer, op_id: str) -> list[dict[str, Any]]:
        """Return events to tell, each with the customer's mark."""
        events = []
        for n in range(self._chance.randint(1, self.mix.most_events)):
            event_id = f"{op_id}.{lettered(n)}"
            type_, data = "message.received", {"text": f"{customer.mark} {event_id}"}
            if n == 0 and len(customer.history.facts) < self.mix.most_facts and self._chance.random() < self.mix.facts:
                type_, data = "fact.stated", {"name": event_id, "value": customer.mark}
                customer.history.facts[event_id] = event_id
            events.append({"event_id": event_id, "type": type_, "interaction_id": customer.interaction, "data": data,
                           "party": "customer"})  # fmt: skip
        self.counts["ids"] += len(events)
        return events

    async def _tell(self, customer: Customer) -> None:
        """Tell some events, several times."""
        await self._sent(self._telling(customer), None)

    def _telling(self, customer: Customer) -> Operation:
        """Return some events to be told; whoever looks for what was done twice sends them once more later."""
        op_id = f"{self._name}.{next(self._numbers)}"
        events = self._events(customer, op_id)
        path = f"{customer.base}/events"
        return self._kept(Operation(customer, op_id, "POST", path, {"events": events}, _results, ids=len(events)))

    def _kept(self, one: Operation) -> Operation:
        """Keep an operation whose ids are its own, to be sent again."""
        self._with_ids.append(one)
        return one

    async def again(self) -> None:
        """Send all that bears ids of its own once more by a client of each hub, as those do that heard no answer."""
        left = iter([(one, hub) for one in self._with_ids for hub in range(len(self.world.hubs))])

        async def send() -> None:
            for one, hub in left:
                await self._sent(one, hub=hub)
                self.counts["repeated"] += one.ids if hub == 0 else 0

        self._with_ids = []
        await asyncio.gather(*(send() for _ in range(self.mix.clients)))

    async def _vanish(self, customer: Customer) -> None:
        """Begin a call and go away; what it would have done may be done or not, but not twice."""
        calls: list[tuple[str, str, Any]] = [("GET", f"{customer.base}/context?events=5", None)]
        if self._chance.random() < 0.5:
            one = self._telling(customer)
            calls = [(one.method, one.path, one.body)] * self._chance.randint(1, 2)
        line, hub = self._line(customer)
        for call in calls:
            self.counts["calls"] += 1
            self.counts["cancelled"] += 1
            await line.give_up(*call)
        self._back(customer, hub, line)

    async def _read(self, customer: Customer) -> None:
        """Read a context; it must be this customer's, and nobody else's."""
        path = f"{customer.base}/context?interaction_id={customer.interaction}&events=5"
        shown: list[Answer] = []
        await self._sent_once(Operation(customer, f"read {next(self._numbers)}", "GET", path, None), shown, None)
        for answer in shown:
            self._must_be_own(customer, answer)

    async def _hand_over(self, customer: Customer) -> None:
        """Offer an interaction to several who reach for it at once; who has it completes it."""
        number = next(self._numbers)
        op_id = f"{self._name}.{number}"
        body = {"channel": "chat", "external_id": op_id, "customer_id": customer.name,
                "assurance": {"level": 2, "method": "pin"}}  # fmt: skip
        start = Operation(customer, f"{op_id} starts", "POST", "/v1/interactions", body, _started)
        began = await self._sent(start, None)
        if not began:
            return
        here = began[0].json()["interaction"]["interaction_id"]
        offer = {"customer_id": customer.name, "interaction_id": here, "reason": "help", "to": {"queue": "q"}}
        offering = (customer, f"{op_id} offers", "POST", "/v1/handoffs", offer, _deed("handoff.offered"), f"{op_id}o")
        offered = await self._sent(self._kept(Operation(*offering)), None)
        if offered:
            await self._reach(customer, offered[0].json()["handoff"]["handoff_id"])
        end = f"{customer.base}/interactions/{here}/end"
        await self._sent(Operation(customer, f"{op_id} ends", "POST", end, {}, _ended))

    async def _reach(self, customer: Customer, handoff: str) -> None:
        """Let several reach for a handoff."""
        customer.handoffs.add(handoff)
        self.counts["offers"] += 1
        agents = [f"agent-{n}" for n in range(self.mix.claimants)]
        reached = await asyncio.gather(*(self._accept(customer, handoff, agent) for agent in agents))
        won = [(agent, answers[0].json()["fence"]) for agent, answers in zip(agents, reached, strict=True) if answers]
        for agent, fence in won:
            body = {"agent_id": agent, "fence": fence, "outcome": "done"}
            path, done = f"/v1/handoffs/{handoff}/complete", _deed("handoff.completed")
            await self._sent(Operation(customer, f"{handoff} done", "POST", path, body, done))

    async def _accept(self, customer: Customer, handoff: str, agent: str) -> list[Answer]:
        """Reach for a handoff as one agent."""
        body, path = {"agent_id": agent}, f"/v1/handoffs/{handoff}/accept"
        self.counts["claims"] += 1
        accepted = _deed("handoff.accepted")
        return await self._sent(
            Operation(customer, f"{handoff} for {agent}", "POST", path, body, accepted, claims=True)
        )

    async def _sent(self, one: Operation, times: int | None = 1, hub: int | None = None) -> list[Answer]:
        """Send one operation so many times, some at once, until at least one is answered; all that was done."""
        if times is None:
            times = self._chance.choice([1, self._chance.randint(1, self.mix.most_times)])
        at_once = self._chance.randint(1, min(times, 3))
        self.counts["operations"] += 1
        end = time.monotonic() + _ANSWERED_WITHIN
        done: list[Answer] = []
        sends = 0
        while True:
            some = at_once if sends == 0 else 1
            ended = await asyncio.gather(*(self._sent_once(one, done, hub) for _ in range(some)))
            sends += some
            if any(ended) and sends >= times:
                return done
            if not any(ended):
                await asyncio.sleep(self._chance.uniform(0.02, 0.1))
            if time.monotonic() > end:
                self.faults.append(Fault("unanswered", f"{one.op_id} for {_ANSWERED_WITHIN:g} s"))
                return done

    async def _sent_once(self, one: Operation, done: list[Answer], hub: int | None) -> bool:
        """Send an operation once, and note what was done; True when there is an answer that stays."""
        line, number = self._line(one.customer, hub)
        began = time.monotonic()
        self.counts["calls"] += 1
        try:
            answer = await line.call(one.method, one.path, one.body, one.key)
        except Cut:
            self.counts["cut"] += 1
            return False
        finally:
            self._back(one.customer, number, line)
        if not self._noted(one, answer, began, number):
            return answer.status not in _LATER
        done.append(answer)
        return True

    def _noted(self, one: Operation, answer: Answer, began: float, hub: int) -> bool:
        """Note an answer; True where it was a success."""
        ended = time.monotonic()
        self.counts[str(answer.status)] += 1
        if not answer.is_success:
            if answer.status not in (*_LATER, *_REFUSED):
                self.faults.append(Fault(f"answered {answer.status}", f"{one.op_id}: {answer.body[:200]!r}"))
            return False
        self.answered_at[hub].append((began, ended))
        effects = tuple(one.effects(answer))
        self._written.update(effect for effect, _ in effects)
        self.counts["acknowledged"] = len(self._written)
        op = Op(one.op_id, began, ended, answer.version, effects, _claim(answer) if one.claims else None)
        one.customer.history.ops.append(op)
        return True

    def _must_be_own(self, customer: Customer, answer: Answer) -> None:
        """Find what bears another's mark."""
        marks = set(answer.body.decode().split("<")[1:])
        strange = [mark for mark in marks if not mark.startswith(customer.mark[1:])]
        if strange or answer.json()["customer_id"] != customer.name:
            self.faults.append(Fault(STRANGE, f"{customer.mark} was shown {strange[:1]}"))

    async def _judge(self) -> None:
        """Read what stands in the end, and find what contradicts it."""
        left = iter(self.customers)

        async def judge() -> None:
            for customer in left:
                await self._judged(customer)

        await asyncio.gather(*(judge() for _ in range(_JUDGES)))
        await asyncio.gather(*map(self._counted, TENANTS))

    async def _judged(self, customer: Customer) -> None:
        """Find what contradicts what stands of one customer."""
        final = await self._final(customer)
        self.counts["events"] += len(final.timeline)
        self.faults += [Fault(f.kind, f"{customer.mark} {f.what}") for f in customer.history.faults(final)]
        offers = [entry for entry in final.timeline if entry.deed.startswith("handoff.offered")]
        self.world.offers[customer.tenant] += len(offers)

    async def _counted(self, tenant: str) -> None:
        """Find what was told on more often or less often than it happened: the hub's numbers count each offer once."""
        line, expected = Line(self.world.hubs[-1].url, self.world.keys[tenant]), self.world.offers[tenant]
        end, counted = time.monotonic() + _TOLD_ON_WITHIN, -1
        while counted < expected and time.monotonic() < end:
            await asyncio.sleep(0.2)
            numbers = await _insisted(line, "/v1/numbers")  # a refusal has none
            counted = numbers.get("handoffs", {}).get("by_state", {}).get("offered", 0)
        line.hang_up()
        if counted != expected:
            self.faults.append(Fault("counted", f"{counted} offers of {tenant} where there were {expected}"))

    async def _final(self, customer: Customer) -> Final:
        """Return what stands of a customer in the end."""
        line, _ = self._line(customer, 0)
        try:
            entries = await self._timeline(customer, line)
            context = await _insisted(line, f"{customer.base}/context?interaction_id={customer.interaction}&events=0")
            states = {}
            for handoff in customer.handoffs:
                found = await _insisted(line, f"/v1/handoffs/{handoff}")
                states[handoff] = found.get("handoff", {}).get("state", "not there")
            return Final(entries, frozenset(context.get("facts", {})), states)
        finally:
            line.hang_up()

    async def _timeline(self, customer: Customer, line: Line) -> list[Entry]:
        """Read a whole timeline."""
        entries: list[Entry] = []
        after: int | None = 0
        while after is not None:
            page = await _insisted(line, f"{customer.base}/timeline?after={after}&limit=1000")
            events = page.get("events", [])
            entries += [Entry(event["version"], event["event_id"], _deed_of(event)) for event in events]
            after = page.get("next")
        return entries


def lettered(what: object) -> str:
    """Spell digits as letters: many small numbers side by side look like those that the hub never keeps."""
    return str(what).translate(str.maketrans("0123456789", "abcdefghij"))


async def _insisted(line: Line, path: str) -> Any:
    """Read until the hub can answer."""
    end = time.monotonic() + _ANSWERED_WITHIN
    while time.monotonic() < end:
        with suppress(Cut):
            answer = await line.call("GET", path)
            if answer.status not in _LATER:
                return answer.json()
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} could not be read for {_ANSWERED_WITHIN:g} s")


def _deed_of(event: dict[str, Any]) -> str:
    """Name the deed of the hub's that an event tells of; each can be done once."""
    by_silence = event["type"] == "interaction.ended" and event["data"].get("by") != "channel"
    if event["type"] not in _DEEDS or by_silence:  # silence ends what goes on after it more than once
        return ""
    where = event["data"].get("handoff_id") or event["interaction_id"]
    return f"{event['type']} {where}"


def _deed(type_: str) -> Callable[[Answer], Sequence[tuple[str, int | None]]]:
    """Return what an answer about a handoff proves."""
    return lambda answer: [(f"{type_} {answer.json()['handoff']['handoff_id']}", None)]


def _results(answer: Answer) -> Sequence[tuple[str, int | None]]:
    return [(result["event_id"], result["version"]) for result in answer.json()["results"]]


def _claim(answer: Answer) -> Claim:
    """Return who was told to hold what."""
    said = answer.json()
    here = said["interaction"]["interaction_id"]
    return Claim(said["handoff"]["handoff_id"], here, said["fence"], said["handoff"]["agent_id"])


def _started(answer: Answer) -> Sequence[tuple[str, int | None]]:
    return [(f"interaction.started {answer.json()['interaction']['interaction_id']}", None)]


def _ended(answer: Answer) -> Sequence[tuple[str, int | None]]:
    return [(f"interaction.ended {answer.json()['interaction']['interaction_id']}", None)]
