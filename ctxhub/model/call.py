"""A call as the telephone system reports it: its legs with their times, who has which role, and whether it is over.

What was reported is kept as a set of marks, and what they come to is worked out anew from all of them, in the order of
their own times. So it makes no difference in which order they arrive, or how often.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal, NamedTuple

from ctxhub.model.event import Ref
from ctxhub.model.value import Id, Instant, Name, Text, Value

Role = Literal["holder", "consulted", "joined", "monitoring"]
LegState = Literal["alerting", "talking", "held", "ended"]
Recording = Literal["on", "paused", "off"]

#: So far the clocks of two systems may lie apart: within it the kind of a report counts, not its time.
SKEW = timedelta(seconds=10)
#: Of so many marks those are left out that later ones say again.
MOST_MARKS = 120
#: Why a system's own part of a call may end although the call goes on elsewhere.
TRANSFERRED = "transferred"
_ORDER = (
    "alerting", "queued", "consulted", "answered", "conferenced", "held", "retrieved", "transferred", "ended",
    "recording.started", "recording.paused", "recording.resumed", "recording.stopped",
)  # fmt: skip
_RANK = {verb: rank for rank, verb in enumerate(_ORDER)}
_RECORDING: dict[str, Recording] = {
    "recording.started": "on", "recording.paused": "paused", "recording.resumed": "on", "recording.stopped": "off",
}  # fmt: skip
_BESIDE = ("consulted", "joined", "monitoring")
_SAID_AGAIN = {"held", "retrieved", "queued", "alerting", *_RECORDING}


class Mark(Value):
    """One report, as short as it can be kept.

    `offered`: a handoff waited for whoever answers. `partly`: only the reporting system's part has ended. `own`: an
    agent told it, perhaps of himself; `by_holder`: one who had the floor then.
    """

    at: Instant
    verb: Name
    agent_id: Id | None = None
    ref: Ref | None = None
    role: Role | None = None
    queue: Name | None = None
    bot: Id | None = None
    step: Name | None = None
    say: Text | None = None
    position: int | None = None
    expected_wait: int | None = None
    offered: bool = False
    partly: bool = False
    own: bool = False
    by_holder: bool = False

    @property
    def is_doubtful(self) -> bool:
        """Tell whether only the word of an agent without the floor says so."""
        return self.own and not self.by_holder

    @property
    def order(self) -> tuple[datetime, int, tuple[str, ...]]:
        """Where it stands among the others: by its own time, then by its kind, then by what else it says."""
        names = (self.agent_id, self.ref.id if self.ref else None, self.role, self.queue, self.bot, self.step)
        return self.at, _RANK[self.verb], tuple(name or "" for name in names)


class Leg(Value):
    """One agent's part in a call, from the ringing to the end; who comes back has another one."""

    agent_id: Id
    role: Role | None = None
    state: LegState = "alerting"
    ref: Ref | None = None
    began_at: Instant | None = None
    answered_at: Instant | None = None
    ended_at: Instant | None = None
    unannounced: bool = False

    @property
    def is_live(self) -> bool:
        """Tell whether it goes on."""
        return self.state != "ended"

    @property
    def talks(self) -> bool:
        """Tell whether it is connected with the call, on hold or not."""
        return self.state in ("talking", "held")


class Place(NamedTuple):
    """Where a call stands in its queue, as its router told, of which queue if it said so, and when."""

    position: int | None
    expected_wait: int | None
    queue: str | None
    at: datetime


class Course(NamedTuple):
    """What the reports come to: legs, oldest first; the holder; over or not, and whether it was said in so many words.

    `given` is the last transfer nobody has answered yet, `held_last` who has the call or had it last, `held_at` since
    when.
    """

    legs: tuple[Leg, ...] = ()
    holder: str | None = None
    over: bool = False
    said: bool = False
    given: Mark | None = None
    place: Place | None = None
    recording: Recording | None = None
    held_last: str | None = None
    held_at: datetime | None = None

    @property
    def live(self) -> tuple[Leg, ...]:
        """The legs that go on."""
        return tuple(leg for leg in self.legs if leg.is_live)

    def leg(self, agent_id: str) -> Leg | None:
        """Return an agent's last leg."""
        return next((leg for leg in reversed(self.legs) if leg.agent_id == agent_id), None)

    def role(self, agent_id: str | None) -> Role | None:
        """Return the role of an agent who takes part now; None for one who does not, or whom it only alerts."""
        leg = self.leg(agent_id) if agent_id else None
        return leg.role if leg is not None and leg.is_live else None


class Call(Value):
    """What was reported of a call, and which names it had before anything was."""

    marks: tuple[Mark, ...] = ()
    names: tuple[Ref, ...] = ()

    def noted(self, mark: Mark) -> Call:
        """Return the call with one more report; one that says what is known changes nothing."""
        alike = [one for one in self.marks if one.at == mark.at and one.verb == mark.verb]
        if alike and not {mark, mark.but(by_holder=mark.own), mark.but(own=False, by_holder=False)}.isdisjoint(alike):
            return self
        marks = list(self.marks)
        insort(marks, mark, key=lambda one: one.order)
        kept = marks if len(marks) <= MOST_MARKS else _without_said_again(marks)
        return Call(marks=tuple(kept), names=self.names)

    @cached_property
    def course(self) -> Course:
        """What the reports come to."""
        return _course(self.marks, self.names)

    @cached_property
    def attested(self) -> Course:
        """What the reports come to that are not doubtful."""
        if not any(mark.is_doubtful for mark in self.marks):
            return self.course
        return _course([mark for mark in self.marks if not mark.is_doubtful], self.names)


NO_CALL = Call()


def _course(marks: Iterable[Mark], names: Iterable[Ref]) -> Course:
    """Return what reports come to, in their order."""
    followed = _Following(names)
    for mark in marks:
        followed.follow(mark)
    return followed.course()


def _without_said_again(marks: list[Mark]) -> list[Mark]:
    """Return the marks without those that a later one of the same kind and agent says again."""
    last = {(mark.verb, mark.agent_id): mark for mark in marks}
    return [mark for mark in marks if mark.verb not in _SAID_AGAIN or last[mark.verb, mark.agent_id] is mark][
        -MOST_MARKS:
    ]


class _Following:
    """Follows the reports of one call in their order."""

    def __init__(self, names: Iterable[Ref]) -> None:
        self.legs: list[Leg] = []
        self.holder: int | None = None
        self.over_at: datetime | None = None
        self.held_last: str | None = None
        self.held_at: datetime | None = None
        self.now: datetime | None = None
        # When an agent was last said to have left again, of whose present leg nobody had told.
        self.left_at: dict[str, datetime] = {}
        self.said_at: datetime | None = None
        self.given: Mark | None = None
        self.place: Place | None = None
        self.waits_at: str | None = None
        self.recording: Recording | None = None
        # Whom each name was used for; None is the call itself.
        self.named: dict[Ref, set[str | None]] = {name: {None} for name in names}

    def follow(self, mark: Mark) -> None:
        """Take in one report; of a call that is said to be over only what was before, by another clock."""
        self.now = mark.at
        if mark.verb in _RECORDING:
            self.recording = _RECORDING[mark.verb]
            return
        if self.said_at is not None and mark.at - self.said_at > SKEW:
            return
        if mark.ref is not None:
            whom = {mark.agent_id} if mark.agent_id is not None or mark.verb == "queued" else set[str | None]()
            self.named.setdefault(mark.ref, set()).update(whom)
        rule = getattr(self, f"_{mark.verb}", None)
        if rule is not None:
            rule(mark)
        if self.said_at is not None:
            self._finish(self.said_at)

    def course(self) -> Course:
        """Return what it came to."""
        holder = None if self.holder is None else self.legs[self.holder].agent_id
        over, given = self.over_at is not None, self.given if self.over_at is None else None
        said = self.said_at is not None
        return Course(
            tuple(self.legs), holder, over, said, given, self.place, self.recording, self.held_last, self.held_at
        )

    def _alerting(self, mark: Mark) -> None:
        """An agent is being rung: so the call goes on."""
        if mark.agent_id is not None and not self._rang_before(mark):
            self._begun(mark, mark.agent_id)
            self.over_at = None

    def _rang_before(self, mark: Mark) -> bool:
        """Tell whether the end of this ringing was told already, by another clock."""
        ends = [(n, leg.ended_at) for n, leg in enumerate(self.legs) if leg.agent_id == mark.agent_id]
        last, ended_at = ends[-1] if ends else (0, None)
        if ended_at is None or self.legs[last].began_at is not None or mark.at - ended_at > SKEW:
            return False
        self._put(last, began_at=ended_at)
        return True

    def _queued(self, mark: Mark) -> None:
        """The router tells where the call stands."""
        self.place = Place(mark.position, mark.expected_wait, mark.queue, mark.at)
        self.waits_at = mark.ref.system if mark.ref else None
        self.over_at = None

    def _answered(self, mark: Mark) -> None:
        """An agent is on the line: as was announced, else as the holder where nobody is, else as consulted."""
        if mark.agent_id is None or self._was_over_already(mark):
            return
        at = self._begun(mark, mark.agent_id)
        leg = self.legs[at]
        if leg.talks:
            return
        role = mark.role or leg.role
        self._put(at, state="talking", answered_at=leg.answered_at or mark.at, role=role)
        self._take_part(at, role, mark.offered)

    def _take_part(self, at: int, role: Role | None, offered: bool) -> None:
        """Give a leg that talks its part; whoever was asked to help holds the call where its holder has gone."""
        left_alone = self.holder is None and self.held_last is not None and self.given is None
        if role == "monitoring" or (role in ("consulted", "joined") and not left_alone):
            return
        if self.holder not in (None, at) and role != "holder" and not offered:
            self._put(at, role="consulted", unannounced=True)
            return
        self._hold(at)

    def _hold(self, at: int) -> None:
        """Let a leg hold the call; whoever held it has given it away."""
        if self.holder not in (None, at):
            assert self.holder is not None
            self._put(self.holder, state="ended", ended_at=self.legs[at].answered_at)
        self._put(at, role="holder", unannounced=False)
        if (self.held_last, self.holder) != (self.legs[at].agent_id, at):
            self.held_at = self.now
        self.holder, self.held_last = at, self.legs[at].agent_id
        self.given, self.over_at, self.waits_at, self.place = None, None, None, None

    def _held(self, mark: Mark) -> None:
        """A leg is put on hold; one of which nobody told before has been talking."""
        self._on_hold(mark, "held")

    def _retrieved(self, mark: Mark) -> None:
        """A leg is taken off hold."""
        self._on_hold(mark, "talking")

    def _on_hold(self, mark: Mark, state: LegState) -> None:
        """Put a leg on hold or take it off."""
        agent_id = mark.agent_id or (self.legs[self.holder].agent_id if self.holder is not None else None)
        if agent_id is None or self._was_over_already(mark.but(agent_id=agent_id)):
            return
        if self._is_of_the_leg_before(mark, agent_id):
            return
        self._answered(mark.but(agent_id=agent_id))
        at = self._open(agent_id)
        if at is not None:
            self._put(at, state=state)

    def _is_of_the_leg_before(self, mark: Mark, agent_id: str) -> bool:
        """Tell whether a hold is that of a leg which ended just before, by another clock, while the next one rings."""
        at = self._open(agent_id)
        if at is None or self.legs[at].answered_at is not None:
            return False
        ends = [leg.ended_at for leg in self.legs if leg.agent_id == agent_id and leg.ended_at is not None]
        return any(mark.at - ended_at <= SKEW for ended_at in ends)

    def _consulted(self, mark: Mark) -> None:
        """The holder asks another agent."""
        if mark.agent_id is not None:
            self._announce(mark, mark.agent_id, mark.role or "consulted")

    def _conferenced(self, mark: Mark) -> None:
        """An agent joins the call; without one named, whoever was consulted does."""
        if mark.agent_id is None:
            for at in self._others("consulted"):
                self._put(at, role="joined", unannounced=False)
            return
        if self._was_over_already(mark):
            return
        at = self._announce(mark, mark.agent_id, mark.role or "joined")
        if self.legs[at].state == "alerting" and at != self.holder:
            self._put(at, state="talking", answered_at=mark.at)

    def _announce(self, mark: Mark, agent_id: str, role: Role) -> int:
        """Note in which role an agent takes part; the holder stays the holder."""
        at = self._begun(mark, agent_id)
        if at != self.holder:
            self._put(at, role=role, unannounced=False)
        return at

    def _transferred(self, mark: Mark) -> None:
        """The holder gives the call away: to the agent named, to whoever was consulted, or to a queue or a bot."""
        if mark.agent_id is not None:
            self._given_to(mark, self._begun(mark, mark.agent_id))
            return
        talking = [] if mark.queue or mark.bot else [*self._others("joined"), *self._others("consulted")]
        if talking:
            self._hold(talking[0])
            return
        self._let_go(mark)
        self.given, self.over_at, self.place = mark, None, None

    def _given_to(self, mark: Mark, at: int) -> None:
        """Give the call to an agent, who may still have to answer."""
        if at == self.holder:
            return
        if self.legs[at].talks:
            self._hold(at)
            return
        self._let_go(mark)
        self._put(at, role="holder", unannounced=False)
        self.given, self.over_at, self.place = mark, None, None

    def _let_go(self, mark: Mark) -> None:
        """Let the holder's leg end by a transfer."""
        if self.holder is not None:
            self._put(self.holder, state="ended", ended_at=mark.at)
        self.holder = None

    def _ended(self, mark: Mark) -> None:
        """A leg ends, or the part of the call that one system has, or all of it."""
        if mark.agent_id is not None:
            self._left(mark, mark.agent_id)
            return
        own = self._with_own(mark.ref)
        if own is not None:
            for agent_id in [self.legs[at].agent_id for at in own]:
                self._left(mark, agent_id)
            return
        if not mark.partly and not self._goes_on_elsewhere(mark.ref):
            self.said_at = self.said_at or mark.at

    def _left(self, mark: Mark, agent_id: str) -> None:
        """Let an agent's leg end; whoever is still there holds the call, and without anybody it is over."""
        at = self._open(agent_id)
        if at is None:
            self._ended_again(mark, agent_id)
            return
        self._put(at, state="ended", ended_at=mark.at)
        if at != self.holder:
            return
        self.holder = None
        others = [*self._others("joined"), *self._others("consulted")]
        if others:
            self._hold(others[0])
        elif self.given is None and all(leg.role == "monitoring" for leg in self.legs if leg.is_live):
            self.over_at = mark.at

    def _ended_again(self, mark: Mark, agent_id: str) -> None:
        """Note an end of which nothing was told before; one that gave the call away has ended already."""
        if any(leg.agent_id == agent_id for leg in self.legs):
            self.left_at[agent_id] = mark.at
        else:
            self.legs.append(Leg(agent_id=agent_id, state="ended", ref=mark.ref, ended_at=mark.at))

    def _finish(self, at: datetime) -> None:
        """Let everything end."""
        for number, leg in enumerate(self.legs):
            if leg.is_live:
                self._put(number, state="ended", ended_at=at)
        self.holder, self.over_at = None, at

    def _with_own(self, ref: Ref | None) -> list[int] | None:
        """Return the legs that a name is of, none that goes on if need be; None where it is the call's.

        That of the holder's leg may well be the call's, unless this is known by another one in the same system.
        """
        if ref is None or None in self.named[ref] or not self._has_another_name(ref):
            return None
        last = {leg.agent_id: at for at, leg in enumerate(self.legs) if leg.agent_id in self.named[ref]}
        aside = [at for at in last.values() if self.legs[at].role in _BESIDE or self.legs[at].answered_at is None]
        is_known = any(None in whom and name.system == ref.system for name, whom in self.named.items())
        if len(aside) < len(last) and not is_known:
            return None
        return [at for at in last.values() if self.legs[at].is_live and (at in aside or self.legs[at].ref == ref)]

    def _has_another_name(self, ref: Ref) -> bool:
        """Tell whether the call goes by another name than this in the same system, or its holder's leg in any."""
        held = {leg.ref for leg in self.legs if leg.role not in _BESIDE and leg.ref is not None}
        return any(name != ref and (name.system == ref.system or name in held) for name in self.named)

    def _goes_on_elsewhere(self, ref: Ref | None) -> bool:
        """Tell whether another system still has a part of the call."""
        if ref is None:
            return False
        systems = {leg.ref.system for leg in self.legs if leg.is_live and leg.ref is not None}
        waits = self.waits_at is not None and self.waits_at != ref.system
        return waits or (bool(systems) and ref.system not in systems)

    def _was_over_already(self, mark: Mark) -> bool:
        """Tell whether a report is of a leg that ended just before, by another clock."""
        if self._open(mark.agent_id) is not None:
            return False
        left_at = self.left_at.get(mark.agent_id or "")
        if mark.own and mark.role is None and left_at is not None and mark.at - left_at <= SKEW:
            return True
        last = next((n for n in reversed(range(len(self.legs))) if self.legs[n].agent_id == mark.agent_id), None)
        ended_at = self.legs[last].ended_at if last is not None else None
        if last is None or ended_at is None or mark.at - ended_at > SKEW:
            return False
        if mark.role not in (None, self.legs[last].role):
            return False
        if self.legs[last].answered_at is not None:
            # The desk's word of an answer that the switch has told of too is no second one.
            return mark.verb != "answered" or mark.own
        self._answered_late(last, ended_at)
        return True

    def _answered_late(self, at: int, ended_at: datetime) -> None:
        """Note that a leg which seemed to end unanswered was answered; where nobody else was there it held the call."""
        role = self.legs[at].role or ("consulted" if self.holder is not None else "holder")
        self._put(at, answered_at=ended_at, role=role)
        if role == "holder":
            self.held_last, self.held_at = self.legs[at].agent_id, ended_at
        if role == "holder" and self.given is None and not any(leg.is_live for leg in self.legs):
            self.over_at = self.over_at or ended_at

    def _begun(self, mark: Mark, agent_id: str) -> int:
        """Return an agent's leg that goes on, a new one where there is none."""
        at = self._open(agent_id)
        if at is None:
            self.legs.append(Leg(agent_id=agent_id, ref=mark.ref, began_at=mark.at))
            return len(self.legs) - 1
        if self.legs[at].ref is None and mark.ref is not None:
            self._put(at, ref=mark.ref)
        return at

    def _open(self, agent_id: str | None) -> int | None:
        """Return an agent's leg that goes on."""
        for at, leg in enumerate(self.legs):
            if leg.agent_id == agent_id and leg.state != "ended":
                return at
        return None

    def _others(self, role: Role) -> list[int]:
        """Return the legs of a role that talk, those that answered first in front."""
        found = [n for n, leg in enumerate(self.legs) if leg.talks and leg.role == role]
        return sorted(found, key=lambda n: (self.legs[n].answered_at or self.legs[n].began_at, n))

    def _put(self, at: int, **changes: object) -> None:
        """Change a leg."""
        self.legs[at] = self.legs[at].but(**changes)


def closed(before: Course, after: Course) -> list[Leg]:
    """Return the legs that have ended since."""
    over = [leg for leg in before.legs if not leg.is_live]
    return [leg for leg in after.legs if not leg.is_live and leg not in over]


def agents(legs: Iterable[Leg]) -> list[str]:
    """Return whose legs these are, each once."""
    return list(dict.fromkeys(leg.agent_id for leg in legs))
