"""Histories made up at random: which calls, what is told of them in which disorder, and who it turns out to be.

A history is its seed. `play` plays one against the model and returns which kinds of things happened in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import NamedTuple

from ctxhub.model import continuing, lapsing, merging, moving
from ctxhub.model import handoff as handoffs
from ctxhub.model.context import Context
from ctxhub.model.continuing import Rules
from ctxhub.model.event import Ref
from ctxhub.model.handoff import Handoff
from tests.histories.line import Line, Name, Told, a_call
from tests.histories.world import TENANT, WAITS, World, is_the_end, of
from tests.support import DAY, GRACE, MINUTE, NOON, SECOND, started

KNOWN, UNKNOWN, FAMILY = "c42", "v7", "c43"
MERGE = "mg_1"
Step = Callable[[World], None]


class Arrival(NamedTuple):
    """A report as it arrives, at which customer it is told, and of which call it is."""

    told: Told
    at: timedelta
    interaction_id: str
    customer_id: str
    unnamed: bool


def play(seed: int, passes_on: bool = False) -> set[str]:
    """Play one history, and see that it is as it must be; return the kinds of what happened in it.

    Where the telephone system `passes_on` what nobody answers, a seed is another history.
    """
    return History(seed, passes_on).play()


class History:
    """One history: its calls, its world, and what happens beside the calls."""

    def __init__(self, seed: int, passes_on: bool = False) -> None:
        self.random = random.Random(seed)
        self.passes_on = passes_on
        self.kinds: set[str] = set()
        self.identity = self.random.choices(
            ["known", "moves", "another", "merged", "parted"], weights=[56, 14, 10, 12, 8]
        )[0]
        self.first = UNKNOWN if self.identity in ("moves", "merged", "parted") else KNOWN
        self.lines = self._lines()
        contexts = {
            self.first: _begun(self.first, tuple((one.interaction_id, one.name, one.waits) for one in self.lines))
        }
        for other in (KNOWN, FAMILY):
            if other != self.first and self.identity != "known":
                contexts.setdefault(other, _begun(other, ()))
        self.world = World(contexts, self.lines)
        self.certain: dict[str, bool] = {}

    def _says(self, share: float, kind: str) -> bool:
        """Let something be so in a share of the histories, and note its kind where it is."""
        so = self.random.random() < share
        if so:
            self.kinds.add(kind)
        return so

    def _lines(self) -> list[Line]:
        """Make up one call, or two at once on one line of a family."""
        apart = self.random.choice([-10, -7, -3, 3, 7, 10]) if self._says(0.25, "clocks up to 10 s apart") else 0
        between = self.random.choice([(11, 40), (1, 40), (1, 12)]) if apart else (1, 40)
        more = {
            "apart": apart,
            "brief": between[0],
            "longest": between[1],
            "legs_have_names": self._says(0.3, "legs with names of their own"),
            "passes_on": self.passes_on,
        }
        lines = [a_call(self.random, self.random.random() < 0.65, waits=self.random.random() < 0.85, **more)]
        if self._says(0.2, "a family's line, two calls at once"):
            same = self._says(0.5, "two systems with one call id")
            name = Name("pbx") if same else Name(id="0079")
            lines.append(a_call(self.random, self.random.random() < 0.65, 8, waits=self.random.random() < 0.5,
                                interaction_id="in_2", name=name, **more))  # fmt: skip
        return lines

    def play(self) -> set[str]:
        """Let everything arrive and happen, and look."""
        arrivals = sorted((one for line in self.lines for one in self._arrivals(line)), key=lambda one: one.at)
        steps = self._steps(len(arrivals))
        later: list[Arrival] = []
        for number, arrival in enumerate(arrivals):
            for step in steps.get(number, ()):
                step(self.world)
                later = [one for one in later if not self._arrives(one)]
            self._pass_time(arrival)
            if not self._arrives(arrival):
                later.append(arrival)
                self.kinds.add("told while it is on its way to another customer")
        for step in steps.get(len(arrivals), ()):
            step(self.world)
        assert [one for one in later if not self._arrives(one)] == []
        self._end()
        return self.kinds | {kind for line in self.lines for kind in line.kinds}

    def _pass_time(self, arrival: Arrival) -> None:
        """Let time pass until a report arrives; now and then the hub wakes meanwhile."""
        waited = NOON + arrival.at - self.world.now
        self.world.until(NOON + arrival.at)
        if waited > 10 * MINUTE or self.random.random() < 0.1:
            self.world.wake()

    def _arrives(self, arrival: Arrival) -> bool:
        """Let a report arrive; where it names only its call, at whoever has that."""
        event = arrival.told.event
        if arrival.unnamed:
            event = event.but(interaction_id=None)
            return self.world.take(event, arrival.interaction_id, self.world.at(arrival.interaction_id))
        return self.world.take(event, arrival.interaction_id, arrival.customer_id)

    # In which disorder

    def _arrivals(self, line: Line) -> list[Arrival]:
        """Return what arrives of what is told of a call: some lost, some twice, in order, late or in any order."""
        lost = self.random.choice([0.1, 0.25, 0.5]) if self._says(0.3, "some reports lost") else 0.0
        self.world.watched[line.interaction_id].complete = not lost
        kept = [one for one in line.told if self.random.random() >= lost]
        if self._says(0.5, "some told twice"):
            kept += [self._again(one) for one in kept if self.random.random() < 0.3]
        self.certain[line.interaction_id] = not lost and line.silent_for < 4 and _in_good_order(kept)
        unnamed = 0.3 if self._says(0.3, "some name only their call") else 0.0
        arrivals = [
            Arrival(
                told, at, line.interaction_id, self.first, self._may_be_unnamed(told) and self.random.random() < unnamed
            )
            for told, at in zip(kept, self._times(line, kept), strict=True)
        ]
        over = min((one.at for one in arrivals if is_the_end(one.told.event, line.name)), default=None)
        if over is not None and any(one.at > over and not is_the_end(one.told.event, line.name) for one in arrivals):
            self.kinds.add("told after the end")
        return arrivals

    def _again(self, told: Told) -> Told:
        """Return a report told once more under another name."""
        return told._replace(event=told.event.but(event_id=f"{told.event.event_id}-again"))

    def _may_be_unnamed(self, told: Told) -> bool:
        """Tell whether a report says of which call it is."""
        return told.event.data.get("ref", {}).get("id") in ("0078", "0079")

    def _times(self, line: Line, kept: list[Told]) -> list[timedelta]:
        """Return when each report arrives."""
        truly = [one.truly - NOON for one in kept]
        how = self.random.choices(["in order", "up to 90 s late", "in any order"], weights=[15, 45, 40])[0]
        self.kinds.add(how)
        if how == "in order":
            return truly
        if how == "up to 90 s late":
            return [at + SECOND * self.random.randint(0, 90) for at in truly]
        last = line.now - NOON
        times = [last + SECOND * number for number in range(len(kept))]
        self.random.shuffle(times)
        return times

    # Who it turns out to be

    def _steps(self, arrivals: int) -> dict[int, list[Step]]:
        """Return what happens between the reports while it turns out who somebody is."""
        steps: list[Step] = {
            "known": list[Step](),
            "moves": _moving("in_1", UNKNOWN, KNOWN),
            "another": _moving(self.lines[-1].interaction_id, KNOWN, FAMILY),
            "merged": _merging(),
            "parted": [*_merging(), *_parting()],
        }[self.identity]
        kind = {"moves": "unknown becomes known in the call", "another": "turns out to be another of the family",
                "merged": "merged in the call", "parted": "merged and parted in the call"}  # fmt: skip
        self.kinds |= {kind[self.identity]} if steps else set()
        at = sorted(self.random.randint(0, arrivals) for _ in steps)
        found: dict[int, list[Step]] = {}
        for number, step in zip(at, steps, strict=True):
            found.setdefault(number, []).append(step)
        return found

    # How it ends

    def _end(self) -> None:
        """Let what was told last be as long ago as it truly is, and look; then let everything come to its end."""
        world = self.world
        world.until(max(line.now for line in self.lines))
        world.wake()
        world.look_at_the_end(self.certain)
        first = self._first_place()
        if first is not None and first.state == "left" and len(self.lines) == 1:
            self._call_again(first)
        elif first is not None and first.state == "offered" and self.random.random() < 0.5:
            if continuing.is_kept(first, TENANT):
                self._go_on_in_chat(first)
        elif self.random.random() < 0.3:
            self._complete()
        world.settle()

    def _first_place(self) -> Handoff | None:
        """Return the first call's place in the queue where it began to wait."""
        context = self.world.contexts[self.world.at("in_1")]
        return context.handoffs.get("ho_1")

    def _call_again(self, left: Handoff) -> None:
        """Let a customer call again who was cut off while waiting: within the grace time the place is kept."""
        world, late = self.world, self.random.random() < 0.3
        assert left.final_at is not None
        if late:
            world.until(left.final_at + GRACE + SECOND)
        within = world.now - left.final_at <= GRACE
        world.start("in_8", "ivr")
        place = world.offer("in_8", "ho_8")
        self.kinds.add("cut off while waiting, and back " + ("within the grace time" if within else "too late"))
        assert place.waiting_since == (left.waiting_since if within else world.now), "the place was lost"
        assert (place.state, place.is_external) == ("offered", True)

    def _go_on_in_chat(self, waiting: Handoff) -> None:
        """Let a customer who waits on the phone go on in a chat: the place goes along, and stays as the call ends."""
        world = self.world
        customer_id = world.start("in_8", "chat")
        rules = Rules(TENANT, GRACE, world.now)
        watched = world.watched[waiting.interaction_id]
        watched.said_over = True
        moved = continuing.go_on(world.contexts[customer_id], waiting.handoff_id, "in_8", "ho_8", rules)
        world.change(customer_id, moved.change)
        hung_up = lapsing.end(world.contexts[customer_id], waiting.interaction_id, world.now, by="call")
        world.change(customer_id, hung_up)
        [place] = of(world.contexts[customer_id], "in_8")
        self.kinds.add("goes on in chat with the place")
        assert (place.state, place.waiting_since) == ("offered", waiting.waiting_since), "the place was lost"

    def _complete(self) -> None:
        """Let agents who wrap up complete their work."""
        world = self.world
        for customer_id, context in list(world.contexts.items()):
            for one in () if context.frozen or context.is_undoing else context.handoffs.values():
                if one.state == "accepted" and one.wrap_up_since is not None and one.agent_id and one.fence:
                    done = handoffs.complete(world.contexts[customer_id], one.handoff_id, one.agent_id, one.fence,
                                             "done", world.now)  # fmt: skip
                    world.change(customer_id, done)
                    self.kinds.add("an agent completes the work after the call")


def _in_good_order(kept: list[Told]) -> bool:
    """Tell whether the times of the reports, by whatever clock, are in the order in which things happened."""
    numbers = [one.number for one in sorted(kept, key=lambda one: (one.event.at, one.number))]
    ties = {one.event.at for one in kept}
    return numbers == sorted(numbers) and len(ties) == len({one.number for one in kept})


@cache
def _begun(customer_id: str, calls: tuple[tuple[str, Name, bool], ...]) -> Context:
    """Return a customer with calls that have begun, of which some wait in a queue."""
    context = Context(customer_id=customer_id, known=customer_id != UNKNOWN, created_at=NOON - DAY)
    for number, (interaction_id, name, waits) in enumerate(calls, 1):
        ref = Ref(system=name.system, id=name.id)
        context = started(context, interaction_id, 2, channel="ivr", refs=[ref])
        if waits:
            offer = WAITS.but(interaction_id=interaction_id)
            context = handoffs.offer(context, offer, f"ho_{number}", NOON, GRACE, (), TENANT).context
    return context


def _moving(interaction_id: str, source: str, home: str) -> list[Step]:
    """Return the steps by which an interaction goes to another customer."""

    def depart(world: World) -> None:
        world.change(source, moving.depart(world.contexts[source], interaction_id, home, world.now, None))

    def adopt(world: World) -> None:
        left = world.contexts[source]
        moved, move = moving.bundle(left, interaction_id), left.moves[interaction_id]
        world.change(home, moving.adopt(world.contexts[home], moved, move, source, world.now))

    def release(world: World) -> None:
        world.change(source, moving.release(world.contexts[source], interaction_id, world.now))
        assert interaction_id in world.contexts[home].interactions, "a call was lost on its way"

    return [depart, adopt, release]


def _merging() -> list[Step]:
    """Return the steps by which somebody unknown turns out to be a customer."""

    def note(world: World) -> None:
        world.change(KNOWN, merging.note(world.contexts[KNOWN], UNKNOWN, MERGE, world.now))

    def freeze(world: World) -> None:
        world.change(UNKNOWN, merging.freeze(world.contexts[UNKNOWN], MERGE, KNOWN, world.now))

    def adopt(world: World) -> None:
        world.change(KNOWN, merging.adopt(world.contexts[KNOWN], MERGE, world.contexts[UNKNOWN], world.now))

    def settle(world: World) -> None:
        world.change(KNOWN, merging.settle(world.contexts[KNOWN], MERGE))

    return [note, freeze, adopt, settle]


def _parting() -> list[Step]:
    """Return the steps by which a merge is undone."""

    def undo(world: World) -> None:
        world.change(KNOWN, merging.undo(world.contexts[KNOWN], MERGE))

    def thaw(world: World) -> None:
        world.change(UNKNOWN, merging.thaw(world.contexts[UNKNOWN], MERGE, world.contexts[KNOWN], world.now))

    def drop(world: World) -> None:
        world.change(KNOWN, merging.drop(world.contexts[KNOWN], MERGE, world.now))

    return [undo, thaw, drop]
