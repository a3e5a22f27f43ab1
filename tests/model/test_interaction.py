"""Interactions: begun, ended, gone silent and taken up again; what came along by a handoff."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ctxhub.errors import InteractionEnded, InteractionUnknown, Moved, Unavailable
from ctxhub.model import interaction as interactions
from ctxhub.model import lapsing, moving
from ctxhub.model.context import Context
from ctxhub.model.event import Change, Ref
from ctxhub.model.interaction import Start, start, view, with_refs
from tests.model.scenes import offered, the
from tests.support import (
    GRACE,
    HOUR,
    MINUTE,
    NOON,
    PATIENCE,
    SECOND,
    a_context,
    a_fact,
    a_phone,
    a_start,
    after,
    an_event,
    an_interaction,
    started,
    telling,
    with_one,
)

HALF_AN_HOUR = 30 * MINUTE


def silent(context: Context, after_: timedelta = HALF_AN_HOUR) -> Context:
    return lapsing.lapse(context, {}, PATIENCE, NOON + after_).context


class TestBeginning:
    """What a channel knows as it begins."""

    def test_it_begins_open_with_the_floor_at_whoever_began(self) -> None:
        change = start(a_context(), a_start("CA1", channel="ivr", party="agent"), "in_1", NOON)
        interaction = an_interaction(change.context)
        assert (interaction.state, interaction.holder.party, interaction.fence) == ("open", "agent", 1)
        assert (interaction.system, interaction.external_id) == ("ivr", "CA1")
        assert [(event.event_id, event.type, event.channel) for event in change.events] == [
            ("in_1:started", "interaction.started", "ivr")
        ]

    @pytest.mark.parametrize(
        ("more", "level"),
        [
            ({}, 0),
            ({"identifiers": [a_phone()]}, 1),
            ({"assurance": {"level": 2, "method": "pin"}}, 2),
            ({"identifiers": [a_phone()], "assurance": {"level": 0}}, 0),
        ],
    )
    def test_its_assurance_is_what_the_channel_asserts_an_identifier_is_a_claim(
        self, more: dict[str, object], level: int
    ) -> None:
        request = Start.model_validate({"channel": "chat", "external_id": "x"} | more)
        interaction = an_interaction(start(a_context(), request, "in_1", NOON).context)
        assert interaction.level(NOON) == level

    def test_its_assurance_lapses(self) -> None:
        interaction = an_interaction(with_one(2))
        assert (interaction.level(NOON + HALF_AN_HOUR - SECOND), interaction.level(NOON + HALF_AN_HOUR)) == (2, 0)
        assert view(interaction, NOON + HALF_AN_HOUR).assurance.level == 0

    def test_the_surer_of_what_is_asserted_and_what_came_along_counts(self) -> None:
        context = offered(with_one(2), to={"channel": "chat"})
        for claimed, level in ((1, 2), (3, 3)):
            arrived = start(context, a_start("x", claimed), "in_2", NOON, the(context)).context.interactions["in_2"]
            assert arrived.level(NOON) == level

    def test_what_came_along_lapses_as_it_would_have_where_it_came_from(self) -> None:
        context = offered(with_one(2), to={"channel": "chat"})
        late = NOON + HALF_AN_HOUR - SECOND
        arrived = start(context, a_start("x"), "in_2", late, the(context)).context.interactions["in_2"]
        assert (arrived.level(late), arrived.level(NOON + HALF_AN_HOUR)) == (2, 0)
        assert arrived.assurance.method == "handoff:otp"

    def test_language_and_journey_come_along(self) -> None:
        context = after(with_one(language="zh-CN"), an_event("journey.started", kind="x", journey_id="jr_1"))
        context = offered(context, to={"channel": "chat"})
        arrived = start(context, a_start("x"), "in_2", NOON, the(context)).context.interactions["in_2"]
        assert (arrived.language, arrived.journey_id) == ("zh-CN", "jr_1")

    def test_a_long_way_is_remembered_as_a_whole(self) -> None:
        context = with_one()
        for number in (1, 2):
            context = offered(context, f"ho_{number}", interaction_id=f"in_{number}", to={"channel": "chat"})
            via = the(context, f"ho_{number}")
            context = start(context, a_start(f"in_{number + 1}"), f"in_{number + 1}", NOON, via).context
        assert context.interactions["in_3"].lineage == ("in_2", "in_1")


class TestEnding:
    """It is over."""

    def test_it_says_when_by_whom_and_how(self) -> None:
        change = interactions.end(with_one(), "in_1", NOON + MINUTE, "resolved", "sold")
        ended = an_interaction(change.context)
        assert (ended.state, ended.ended_at, ended.ended_by) == ("ended", NOON + MINUTE, "channel")
        assert (ended.outcome, ended.disposition) == ("resolved", "sold")
        assert change.events[0].data == {"by": "channel", "outcome": "resolved", "disposition": "sold"}

    def test_again_changes_nothing(self) -> None:
        context = interactions.end(with_one(), "in_1", NOON).context
        assert interactions.end(context, "in_1", NOON + MINUTE) == Change(context, [])

    def test_one_that_is_not_there_is_unknown(self) -> None:
        with pytest.raises(InteractionUnknown):
            interactions.end(with_one(), "in_none", NOON)

    def test_what_happened_before_its_end_is_always_taken(self) -> None:
        context = interactions.end(with_one(), "in_1", NOON).context
        context = after(context, a_fact("Xi'an", at=NOON - SECOND), now=NOON + HOUR)
        assert [fact.value for fact in context.facts] == ["Xi'an"]

    @pytest.mark.parametrize("late", [timedelta(0), SECOND])
    def test_what_happened_since_is_refused(self, late: timedelta) -> None:
        context = interactions.end(with_one(), "in_1", NOON).context
        with pytest.raises(InteractionEnded) as refusal:
            after(context, a_fact("Xi'an", at=NOON + late))
        assert refusal.value.ids == {"interaction_id": "in_1", "ended_at": NOON, "state": "ended"}


class TestSilence:
    """What its channel did not end is ended by silence, and goes on with the next word."""

    def test_it_ends_when_it_has_been_silent_for_too_long(self) -> None:
        assert an_interaction(silent(with_one(), HALF_AN_HOUR - SECOND)).is_open
        assert an_interaction(silent(with_one())).ended_by == "silence"

    def test_each_channel_has_a_patience_of_its_own(self) -> None:
        assert an_interaction(silent(with_one(channel="voice"), 4 * HOUR - SECOND)).is_open
        assert not an_interaction(silent(with_one(channel="voice"), 4 * HOUR)).is_open

    def test_heard_of_since_it_goes_on(self) -> None:
        heard = {"in_1": lapsing.Activity(NOON + MINUTE)}
        change = lapsing.lapse(with_one(), heard, PATIENCE, NOON + HALF_AN_HOUR)
        assert an_interaction(change.context).is_open
        change = lapsing.lapse(with_one(), heard, PATIENCE, NOON + MINUTE + HALF_AN_HOUR)
        assert not an_interaction(change.context).is_open

    def test_the_next_word_takes_it_up_again(self) -> None:
        late = NOON + HOUR
        change = telling(silent(with_one()), a_fact("Xi'an", at=late))
        assert [event.type for event in change.events] == ["interaction.reopened", "fact.stated"]
        again = an_interaction(change.context)
        assert (again.state, again.ended_at, again.ended_by, again.reopened) == ("open", None, None, 1)

    def test_taken_up_and_silenced_again_each_has_an_event_of_its_own(self) -> None:
        context, ids = with_one(), []
        for hours in (1, 2, 3):
            change = lapsing.lapse(context, {}, PATIENCE, NOON + hours * HOUR)
            told = telling(change.context, an_event("note.added", at=NOON + hours * HOUR, text="x"))
            ids += [event.event_id for event in change.events + told.events[:-1]]
            context = told.context
        assert len(ids) == len(set(ids)) == 6

    def test_what_its_channel_ended_stays_ended(self) -> None:
        context = interactions.end(with_one(), "in_1", NOON).context
        with pytest.raises(InteractionEnded):
            after(context, an_event("note.added", at=NOON + HOUR, text="x"))


class TestRefs:
    """Other systems' names for it."""

    CALL = Ref(system="acd", id="0078")

    def test_they_are_added_once(self) -> None:
        change = with_refs(with_one(), "in_1", [self.CALL, self.CALL], NOON, "0")
        assert an_interaction(change.context).refs == (self.CALL,)
        assert len(change.events) == 1

    def test_those_it_has_change_nothing(self) -> None:
        context = with_refs(with_one(), "in_1", [self.CALL], NOON, "0").context
        assert with_refs(context, "in_1", [self.CALL], NOON, "1") == Change(context, [])


class TestFinding:
    """Where is it?"""

    def test_one_that_went_to_another_customer_says_where(self) -> None:
        context = with_one().but(moved={"in_9": "c7"})
        with pytest.raises(Moved) as refusal:
            interactions.find(context, "in_9")
        assert refusal.value.ids == {"customer_id": "c7"}

    def test_one_on_its_way_is_not_to_be_had_for_a_moment(self) -> None:
        context = moving.depart(with_one(), "in_1", "c7", NOON, None).context
        with pytest.raises(Unavailable) as refusal:
            interactions.find(context, "in_1")
        assert refusal.value.ids == {"retry_after": 1}


class TestRemembering:
    """Ended ones are kept for a while, and not too many."""

    def test_thirty_days_after_its_end_it_is_forgotten_with_the_words_that_stayed_with_it(self) -> None:
        context = interactions.end(after(with_one(1), a_fact("Xi'an")), "in_1", NOON).context
        kept = context.pruned(NOON + timedelta(days=30))
        assert (list(kept.interactions), len(kept.facts)) == (["in_1"], 1)
        gone = context.pruned(NOON + timedelta(days=30, seconds=1))
        assert (gone.interactions, gone.facts) == ({}, ())

    def test_what_was_shared_stays(self) -> None:
        context = interactions.end(after(with_one(2), a_fact("Xi'an")), "in_1", NOON).context
        assert len(context.pruned(NOON + timedelta(days=31)).facts) == 1

    def test_of_more_than_a_hundred_ended_ones_the_oldest_go(self) -> None:
        context = a_context()
        for number in range(102):
            context = started(context, f"in_{number}")
            context = interactions.end(context, f"in_{number}", NOON + number * SECOND).context
        kept = context.pruned(NOON + HOUR).interactions
        assert len(kept) == 100
        assert "in_1" not in kept
        assert "in_2" in kept

    def test_one_whose_handoff_has_not_ended_stays_so_that_it_can(self) -> None:
        context = offered(with_one(), kind="callback", expires_in=7200)
        context = interactions.end(context, "in_1", NOON).context
        for number in range(2, 103):
            context = started(context, f"in_{number}")
            context = interactions.end(context, f"in_{number}", NOON + number * SECOND).context
        context = context.pruned(NOON + HOUR)
        assert "in_1" in context.interactions
        context = lapsing.lapse(context, {}, PATIENCE, NOON + 3 * HOUR).context
        assert (the(context).state, "in_1" in context.interactions) == ("expired", False)

    def test_one_that_is_moving_stays_so_that_it_arrives(self) -> None:
        context = interactions.end(with_one(), "in_1", NOON).context
        context = moving.depart(context, "in_1", "c7", NOON, None).context
        assert "in_1" in context.pruned(NOON + timedelta(days=31)).interactions


def test_the_grace_of_who_left_is_shorter_than_the_memory_of_handoffs() -> None:
    assert timedelta(hours=24) > GRACE
