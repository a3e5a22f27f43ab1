"""Merges: what comes together, what conflicts, and that undone it is as if it had never been."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctxhub.errors import CtxhubError, MergeUnknown, Unavailable, VerifiedApart, WrongState
from ctxhub.model import merging, moving
from ctxhub.model.context import MOST_ENDED, Context
from ctxhub.model.customer import Identifier
from ctxhub.model.disclosure import Reader, facts_in_sight, sight
from ctxhub.model.event import Event
from ctxhub.model.interaction import find, start
from ctxhub.model.lapsing import lapse, next_due
from ctxhub.model.merging import adopt, drop, freeze, let_go, note, preview, refuse_unfit, settle, thaw, undo
from ctxhub.store.indexes import entries
from tests.model.scenes import accepted, offered, the
from tests.support import (
    DAY,
    HOUR,
    NOON,
    PATIENCE,
    PLAIN,
    SECOND,
    a_context,
    a_fact,
    a_phone,
    a_start,
    after,
    an_event,
    started,
    telling,
)


def account(value: str, strength: Any = "verified") -> Identifier:
    return Identifier(type="account", value=value, strength=strength)


def li() -> Context:
    """Somebody known, with a call in which a city was named."""
    context = started(a_context("c1", identifiers=(a_phone(),)), "in_1", 2)
    return after(context, a_fact("Xi'an", interaction_id="in_1", event_id="e1"))


def wang() -> Context:
    """Somebody else, with a chat that waits for a human: a journey, a city, a promise."""
    context = started(a_context("c2", identifiers=(a_phone("+8613900139000", "verified"),)), "in_2", 2)
    context = after(context, an_event("journey.started", "in_2", kind="refund", journey_id="jr_2"))
    context = after(context, a_fact("Lhasa", interaction_id="in_2", event_id="e2"))
    context = after(context, a_fact("A-17", name="order_id", interaction_id="in_2", journey_id="jr_2"))
    promise = an_event("commitment.made", "in_2", what="call", owner="x", due_at=NOON + DAY, commitment_id="cm_2")
    return offered(after(context, promise), "ho_2", interaction_id="in_2")


def merged(home: Context, source: Context, merge_id: str = "mg_1") -> tuple[Context, Context]:
    """Both after a merge."""
    home = note(home, source.customer_id, merge_id, NOON).context
    frozen = freeze(source, merge_id, home.customer_id, NOON).context
    home = adopt(home, merge_id, frozen, NOON).context
    return settle(home, merge_id).context, frozen


def parted(home: Context, source: Context, merge_id: str = "mg_1") -> tuple[Context, Context]:
    """Both after it was undone."""
    home = undo(home, merge_id).context
    source = thaw(source, merge_id, home, NOON + HOUR).context
    return drop(home, merge_id, NOON + HOUR).context, source


def as_never_linked(context: Context) -> Context:
    """A context without the signposts that a merge leaves behind, which change nothing that is known."""
    own = {key: one.but(told_at=(), hop=None) for key, one in context.interactions.items()}
    return context.but(interactions=own, moved={})


class TestBeforeIt:
    """A preview says what would come together and what conflicts; some merges are refused."""

    def test_it_counts_and_names_without_a_value(self) -> None:
        shown = preview(li(), wang())
        assert (shown.facts, shown.journeys, shown.identifiers) == (["city", "order_id"], ["refund"], ["phone"])
        assert (shown.interactions, shown.handoffs, shown.commitments) == (1, 1, 1)
        assert "Lhasa" not in shown.model_dump_json()
        assert "1390013" not in shown.model_dump_json()

    def test_it_names_what_conflicts(self) -> None:
        home = offered(li().but(identifiers=(account("A-1"),)), "ho_1")
        source = wang().but(identifiers=(account("A-2"),))
        assert {conflict.kind: conflict.names for conflict in preview(home, source).conflicts} == {
            "different_values": ["city"],
            "verified_apart": ["account"],
            "both_wait": ["ho_1", "ho_2"],
            "both_talk": ["in_1", "in_2"],
        }

    def test_one_value_in_common_is_no_conflict(self) -> None:
        same = after(li(), a_fact("Lhasa", interaction_id="in_1", party="agent", event_id="e9"))
        assert "different_values" not in {conflict.kind for conflict in preview(same, wang()).conflicts}

    def test_two_accounts_are_two_people_unless_somebody_says_so(self) -> None:
        home, source = li().but(identifiers=(account("A-1"),)), wang().but(identifiers=(account("A-2"),))
        with pytest.raises(VerifiedApart):
            refuse_unfit(home, source, force=False)
        refuse_unfit(home, source, force=True)

    @pytest.mark.parametrize(("ours", "theirs"), [("verified", "claimed"), ("claimed", "verified")])
    def test_an_account_that_is_only_claimed_keeps_nobody_apart(self, ours: str, theirs: str) -> None:
        home = li().but(identifiers=(account("A-1", ours),))
        refuse_unfit(home, wang().but(identifiers=(account("A-2", theirs),)), force=False)

    def test_somebody_known_does_not_become_somebody_unknown(self) -> None:
        with pytest.raises(WrongState, match="other way round"):
            refuse_unfit(li().but(known=False), wang(), force=True)

    def test_who_is_another_customer_already_is_not_merged_again(self) -> None:
        _, frozen = merged(li(), wang())
        with pytest.raises(WrongState) as refusal:
            refuse_unfit(a_context("c3"), frozen, force=True)
        assert refusal.value.ids["customer_id"] == "c1"
        with pytest.raises(WrongState) as refusal:
            freeze(frozen, "mg_9", "c3", NOON)
        assert refusal.value.ids["customer_id"] == "c1"

    def test_in_the_middle_of_another_move_or_merge_nobody_is_frozen(self) -> None:
        moving_on = moving.depart(wang(), "in_2", "c7", NOON, None).context
        joining = note(wang(), "c9", "mg_9", NOON).context
        for source in (moving_on, joining):
            with pytest.raises(WrongState):
                freeze(source, "mg_1", "c1", NOON)


class TestThere:
    """All that the other had is here, with its origin; the other is frozen as it was."""

    def test_everything_comes_along_and_nothing_of_the_home_s_is_replaced(self) -> None:
        home, _ = merged(li(), wang())
        assert (list(home.interactions), list(home.journeys)) == (["in_1", "in_2"], ["jr_2"])
        assert (list(home.handoffs), list(home.commitments)) == (["ho_2"], ["cm_2"])
        assert sorted(fact.value for fact in home.facts) == ["A-17", "Lhasa", "Xi'an"]
        assert {fact.value: fact.origin.adopted for fact in home.facts}["Lhasa"] == ("mg_1",)
        assert sorted(i.value for i in home.leading) == ["+8613800138000", "+8613900139000"]

    def test_a_handoff_under_way_keeps_its_holder_and_its_fence(self) -> None:
        source = accepted(wang(), "ho_2")
        home, _ = merged(li(), source)
        assert the(home, "ho_2") == the(source, "ho_2")
        assert home.interactions["in_2"].fence == source.interactions["in_2"].fence

    def test_the_other_is_as_it_was_and_nothing_of_it_lapses_or_is_listed(self) -> None:
        _, frozen = merged(li(), wang())
        assert frozen.but(frozen=None) == wang()
        assert lapse(frozen, {}, PATIENCE, NOON + 90 * DAY) == (frozen, [])
        assert (next_due(frozen, {}, PATIENCE), entries(frozen)) == (None, {})

    def test_both_timelines_tell_of_it(self) -> None:
        home = note(li(), "c2", "mg_1", NOON).context
        there, here = freeze(wang(), "mg_1", "c1", NOON), adopt(home, "mg_1", wang(), NOON)
        assert [event.type for event in (*there.events, *here.events)] == ["identity.merged"] * 2
        assert there.events[0].data == {"merge_id": "mg_1", "from": "c2", "to": "c1"}

    def test_each_step_may_be_repeated(self) -> None:
        noted = note(li(), "c2", "mg_1", NOON).context
        assert note(noted, "c2", "mg_2", NOON + HOUR) == (noted, [])
        frozen = freeze(wang(), "mg_1", "c1", NOON).context
        assert freeze(frozen, "mg_1", "c1", NOON + HOUR) == (frozen, [])
        home = adopt(noted, "mg_1", frozen, NOON).context
        assert adopt(home, "mg_1", frozen, NOON + HOUR) == (home, [])
        done = settle(home, "mg_1").context
        assert settle(done, "mg_1") == (done, [])
        assert adopt(done, "mg_1", frozen, NOON) == (done, [])

    def test_until_all_is_here_an_interaction_that_is_not_is_only_on_its_way(self) -> None:
        noted = note(li(), "c2", "mg_1", NOON).context
        with pytest.raises(Unavailable):
            find(noted, "in_2")
        assert next_due(noted, {}, PATIENCE) == NOON

    def test_what_can_t_be_done_is_taken_back(self) -> None:
        noted = note(li(), "c2", "mg_1", NOON).context
        assert merging.forsake(noted, "mg_1").context == li()
        frozen = freeze(wang(), "mg_1", "c1", NOON).context
        assert let_go(frozen, "mg_1", NOON).context == wang()
        assert let_go(wang(), "mg_1", NOON) == (wang(), [])

    def test_an_old_signpost_to_the_other_does_not_lead_in_circles(self) -> None:
        home, source = li().but(moved={"in_2": "c2", "in_9": "c2"}), wang().but(moved={"in_9": "c7"})
        joined, _ = merged(home, source)
        assert joined.moved == {"in_9": "c7"}

    def test_too_many_ended_interactions_are_counted_for_each_by_itself(self) -> None:
        def busy(customer_id: str) -> Context:
            context = a_context(customer_id)
            for number in range(MOST_ENDED):
                context = started(context, f"{customer_id}_{number}")
                ended = context.interactions[f"{customer_id}_{number}"].but(state="ended", ended_at=NOON)
                context = context.with_interaction(ended)
            return context

        home, _ = merged(busy("c1"), busy("c2"))
        assert len(home.pruned(NOON).interactions) == 2 * MOST_ENDED

    def test_a_later_word_of_one_side_does_not_replace_the_other_s(self) -> None:
        home, _ = merged(li(), wang())
        home = after(home, a_fact("Chengdu", interaction_id="in_1", at=NOON + SECOND, event_id="e3"))
        assert sorted(fact.value for fact in home.facts if fact.name == "city") == ["Chengdu", "Lhasa"]

    def test_what_is_rejected_is_rejected_on_both_sides_as_long_as_they_are_one(self) -> None:
        home, frozen = merged(li(), wang())
        home = after(home, an_event("fact.rejected", "in_1", at=NOON + SECOND, name="city"))
        seen = sight(home, Reader(interaction_id="in_1"), PLAIN, NOON + SECOND)
        assert ("city", None) not in facts_in_sight(home, seen, NOON + SECOND)
        home, source = parted(home, frozen)
        assert [fact.value for fact in source.facts if fact.name == "city"] == ["Lhasa"]
        assert home.facts == ()


class TestBack:
    """Each has what is its own, with what was told of it since; what began since stays."""

    def test_nothing_told_meanwhile_both_are_as_before(self) -> None:
        home, source = parted(*merged(li(), wang()))
        assert as_never_linked(home) == as_never_linked(li())
        assert as_never_linked(source) == as_never_linked(wang())

    def test_what_was_told_since_goes_to_whose_interaction_or_journey_it_was(self) -> None:
        home, frozen = merged(li(), wang())
        home = after(home, a_fact("Harbin", interaction_id="in_2", at=NOON + SECOND, event_id="e3"))
        home = after(home, an_event("journey.advanced", "in_2", NOON + SECOND, journey_id="jr_2", step="payout"))
        home = after(home, a_fact("Chengdu", interaction_id="in_1", at=NOON + SECOND, event_id="e4"))
        home, source = parted(home, frozen)
        assert [fact.value for fact in source.facts if fact.name == "city"] == ["Harbin"]
        assert source.journeys["jr_2"].step == "payout"
        assert [fact.value for fact in home.facts] == ["Chengdu"]

    def test_what_began_since_stays_and_is_named(self) -> None:
        home, frozen = merged(li(), wang())
        home = started(home, "in_3", 2, NOON + SECOND)
        home = after(home, a_fact("blue", name="colour", interaction_id="in_3", at=NOON + SECOND))
        change = drop(undo(home, "mg_1").context, "mg_1", NOON + HOUR)
        assert change.events[0].data["stays"] == ["in_3"]
        assert list(change.context.interactions) == ["in_1", "in_3"]
        assert "colour" in {fact.name for fact in change.context.facts}
        assert frozen.interactions.keys() == {"in_2"}

    def test_what_a_handoff_of_theirs_brought_is_theirs(self) -> None:
        source = offered(started(a_context("c2"), "in_2", 2), "ho_2", interaction_id="in_2", to={"channel": "chat"})
        home, frozen = merged(li(), source)
        home = start(home, a_start("in_3"), "in_3", NOON + SECOND, the(home, "ho_2")).context
        home, back = parted(home, frozen)
        assert (list(home.interactions), list(back.interactions)) == (["in_1"], ["in_2", "in_3"])

    def test_the_home_points_to_where_it_went_and_hides_what_was_told_of_it_here(self) -> None:
        home, source = parted(*merged(li(), wang()))
        assert home.moved == {"in_2": "c2"}
        seen = sight(home, Reader(interaction_id="in_1"), PLAIN, NOON)
        assert not seen.sees_told("message.received", "in_2", 2)
        assert source.interactions["in_2"].told_at == ("c1",)

    def test_what_moved_on_to_a_third_does_not_come_back(self) -> None:
        home, frozen = merged(li(), wang())
        left = moving.depart(home, "in_2", "c7", NOON, None).context
        third = moving.adopt(a_context("c7"), moving.bundle(left, "in_2"), left.moves["in_2"], "c1", NOON).context
        assert third.interactions["in_2"].adopted == ()
        assert {fact.origin.adopted for fact in third.facts} == {()}
        home = moving.release(left, "in_2", NOON).context
        home, source = parted(home, frozen)
        assert (source.interactions, source.moved) == ({}, {"in_2": "c7"})
        assert home.moved == {"in_2": "c7"}

    def test_an_interaction_is_not_about_what_is_elsewhere_now(self) -> None:
        home, frozen = merged(li(), wang())
        home = after(home, an_event("journey.resumed", "in_1", NOON + SECOND, journey_id="jr_2"))
        assert home.interactions["in_1"].journey_id == "jr_2"
        home, _ = parted(home, frozen)
        assert home.interactions["in_1"].journey_id is None

    def test_each_step_may_be_repeated(self) -> None:
        home, frozen = merged(li(), wang())
        undoing = undo(home, "mg_1").context
        assert undo(undoing, "mg_1") == (undoing, [])
        own = thaw(frozen, "mg_1", undoing, NOON).context
        assert thaw(own, "mg_1", undoing, NOON + HOUR) == (own, [])
        left = drop(undoing, "mg_1", NOON).context
        assert drop(left, "mg_1", NOON + HOUR) == (left, [])

    def test_while_it_is_undone_nothing_lapses(self) -> None:
        undoing = undo(merged(li(), wang())[0], "mg_1").context
        assert lapse(undoing, {}, PATIENCE, NOON + 90 * DAY) == (undoing, [])

    def test_what_is_not_there_or_under_way_can_t_be_undone(self) -> None:
        with pytest.raises(MergeUnknown):
            undo(li(), "mg_1")
        with pytest.raises(WrongState):
            undo(note(li(), "c2", "mg_1", NOON).context, "mg_1")

    def test_a_merge_that_came_along_waits_for_the_one_that_brought_it(self) -> None:
        inner, _ = merged(li(), wang(), "mg_1")
        outer, _ = merged(a_context("c3"), inner, "mg_2")
        with pytest.raises(WrongState) as refusal:
            undo(outer, "mg_1")
        assert refusal.value.ids["merge_id"] == "mg_2"

    def test_two_merges_into_one_are_undone_in_either_order(self) -> None:
        for order in (("mg_1", "mg_2"), ("mg_2", "mg_1")):
            third = started(a_context("c3", identifiers=(a_phone("+8613700137000"),)), "in_3", 2)
            home, frozen = merged(li(), wang(), "mg_1")
            home, also = merged(home, third, "mg_2")
            sources = {"mg_1": frozen, "mg_2": also}
            for merge_id in order:
                home, sources[merge_id] = parted(home, sources[merge_id], merge_id)
            assert as_never_linked(home) == as_never_linked(li())
            assert as_never_linked(sources["mg_1"]) == as_never_linked(wang())
            assert as_never_linked(sources["mg_2"]) == as_never_linked(third)


# Link, write, unlink, in any order, equals never linked

NAMES = ("c1", "c2", "c3")
Step = Callable[["Linked"], None]


@dataclass
class Linked:
    """Three customers who are linked and unlinked step by step, killed between any two of them; and as if never."""

    tick: int = 0
    here: dict[str, Context] = field(default_factory=lambda: {name: a_context(name) for name in NAMES})
    apart: dict[str, Context] = field(default_factory=lambda: {name: a_context(name) for name in NAMES})
    owner: dict[str, str] = field(default_factory=dict)
    pending: list[Callable[[], None]] = field(default_factory=list)
    leave_out: str = ""
    merges: int = 0

    def now(self) -> Any:
        """A later instant each time."""
        self.tick += 1
        return NOON + timedelta(seconds=self.tick)

    def home(self, name: str) -> str:
        """Who somebody is now."""
        frozen = self.here[name].frozen
        return self.home(frozen.to) if frozen else name

    def take(self, steps: int) -> None:
        """Go on with what was begun, for so many steps; then somebody pulls the plug, and the next one is repeated."""
        for _ in range(min(steps, len(self.pending))):
            self.pending.pop(0)()

    def complete(self) -> None:
        """Complete what was begun."""
        self.take(len(self.pending))

    def begin(self, where: int, level: int) -> None:
        """Somebody calls: who that is now, the call belongs to, also in the world where nobody was ever merged."""
        self.complete()
        name, key, now = self.home(NAMES[where]), f"in_{len(self.owner)}", self.now()
        self.owner[key] = name
        self.here[name] = start(self.here[name], a_start(key, level), key, now).context
        self.apart[name] = start(self.apart[name], a_start(key, level), key, now).context

    def write(self, which: int, event: Callable[[str, Any], Event | None]) -> None:
        """Something is told in an interaction: at whoever has it now, and at whose it is."""
        if not self.owner:
            return
        self.complete()
        key = sorted(self.owner)[which % len(self.owner)]
        told = event(key, self.now())
        if told is None:
            return
        name = self.home(self.owner[key])
        outcomes = [self._told(self.here, name, told), self._told(self.apart, self.owner[key], told)]
        assert outcomes[0] == outcomes[1], told

    def _told(self, world: dict[str, Context], name: str, event: Event) -> type[Exception] | None:
        """Tell it; return how it was refused."""
        try:
            world[name] = telling(world[name], event).context
        except CtxhubError as refusal:
            return type(refusal)
        return None

    def link(self, one: int, other: int, steps: int) -> None:
        """Merge two, as far as so many steps."""
        self.complete()
        home, source = self.home(NAMES[one]), self.home(NAMES[other])
        if home == source:
            return
        self.merges += 1
        merge_id = f"mg_{self.merges}"
        wanted = {
            "note": lambda: self._at(home, lambda c: note(c, source, merge_id, self.now()).context),
            "freeze": lambda: self._at(source, lambda c: freeze(c, merge_id, home, self.now()).context),
            "adopt": lambda: self._at(home, lambda c: adopt(c, merge_id, self.here[source], self.now()).context),
            "settle": lambda: self._at(home, lambda c: settle(c, merge_id).context),
        }
        self._begin(wanted, steps)

    def unlink(self, which: int, steps: int) -> None:
        """Undo a merge that can be undone, as far as so many steps."""
        self.complete()
        open_ = [(name, key) for name in NAMES if not self.here[name].frozen for key in self.here[name].merges]
        if not open_:
            return
        home, merge_id = open_[which % len(open_)]
        source = self.here[home].merges[merge_id].source
        wanted = {
            "undo": lambda: self._at(home, lambda c: undo(c, merge_id).context),
            "thaw": lambda: self._at(source, lambda c: thaw(c, merge_id, self.here[home], self.now()).context),
            "drop": lambda: self._at(home, lambda c: drop(c, merge_id, self.now()).context),
        }
        self._begin(wanted, steps)

    def _begin(self, steps: dict[str, Callable[[], None]], count: int) -> None:
        """Begin a row of steps; the one at which the plug is pulled is taken twice."""
        row = [step for name, step in steps.items() if name != self.leave_out]
        self.pending = [*row[:count], *row[max(0, count - 1) :]]
        self.take(count)

    def _at(self, name: str, change: Callable[[Context], Context]) -> None:
        """Change one of them."""
        self.here[name] = change(self.here[name])

    def part(self) -> None:
        """Undo whatever is still linked."""
        self.complete()
        while any(context.merges for context in self.here.values()):
            self.unlink(0, 9)
            self.complete()


def _fact(name: str, value: str, how: str) -> Callable[[str, Any], Event]:
    return lambda key, now: an_event(
        f"fact.{how}", key, now, name=name, value=value, event_id=f"{how}@{now.timestamp()}"
    )


def _journey(verb: str) -> Callable[[str, Any], Event]:
    said: dict[str, Any] = {"advanced": {"step": "payout"}, "started": {"kind": "refund"}}.get(verb, {})
    return lambda key, now: an_event(
        f"journey.{verb}", key, now, journey_id=f"jr_{key}", event_id=f"{verb}@{now.timestamp()}", **said
    )


def _other(type_: str, **data: Any) -> Callable[[str, Any], Event]:
    return lambda key, now: an_event(type_, key, now, event_id=f"{type_}@{now.timestamp()}", **data)


def _promise(key: str, now: Any) -> Event:
    due = now + DAY
    return an_event("commitment.made", key, now, event_id=f"cm@{now.timestamp()}", what="call", owner="x",
                    due_at=due, commitment_id=f"cm_{now.timestamp():.0f}")  # fmt: skip


TOLD = st.one_of(
    st.builds(_fact, st.sampled_from(["city", "name"]), st.sampled_from("ab"),
              st.sampled_from(["stated", "stated", "confirmed", "observed", "rejected"])),
    st.builds(_journey, st.sampled_from(["started", "started", "advanced", "suspended", "completed", "declined"])),
    st.just(_other("assurance.raised", level=2, method="pin")),
    st.just(_other("assurance.revoked")),
    st.just(_other("intent.detected", name="pay")),
    st.just(_promise),
)  # fmt: skip
THIRDS, STEPS = st.integers(0, 2), st.integers(0, 5)
OPERATIONS = st.lists(
    st.one_of(
        st.builds(lambda *a: lambda world: world.begin(*a), THIRDS, st.sampled_from([0, 2])),
        st.builds(lambda *a: lambda world: world.write(*a), st.integers(0, 9), TOLD),
        st.builds(lambda *a: lambda world: world.write(*a), st.integers(0, 9), TOLD),
        st.builds(lambda *a: lambda world: world.link(*a), THIRDS, THIRDS, STEPS),
        st.builds(lambda *a: lambda world: world.unlink(*a), THIRDS, STEPS),
    ),
    max_size=30,
)


def ends_as_if_never_linked(operations: list[Step], leave_out: str = "") -> bool:
    """Tell whether after all of it, and everybody parted again, nobody can tell that there was a merge."""
    world = Linked(leave_out=leave_out)
    for operation in operations:
        operation(world)
    world.part()
    return all(as_never_linked(world.here[name]) == as_never_linked(world.apart[name]) for name in NAMES)


@settings(max_examples=1000, deadline=None)
@given(OPERATIONS)
def test_link_write_unlink_in_any_order_with_crashes_between_equals_never_linked(operations: list[Step]) -> None:
    assert ends_as_if_never_linked(operations)


def a_plain_case() -> list[Step]:
    """Two who each said something, and one who said something more while they were one."""
    return [
        lambda world: world.begin(0, 2),
        lambda world: world.begin(1, 2),
        lambda world: world.write(0, _fact("city", "a", "stated")),
        lambda world: world.write(1, _fact("city", "b", "stated")),
        lambda world: world.link(0, 1, 9),
        lambda world: world.write(1, _fact("city", "c", "stated")),
        lambda world: world.unlink(0, 9),
    ]


def test_that_comparison_sees_what_a_mark_left_out_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ends_as_if_never_linked(a_plain_case())
    monkeypatch.setattr(merging, "_adopted", lambda thing, merge_id: thing)
    assert not ends_as_if_never_linked(a_plain_case())


def test_that_comparison_sees_what_a_step_left_out_would_do() -> None:
    assert not ends_as_if_never_linked(a_plain_case(), leave_out="thaw")
