"""What told events come to: the floor, assurance, intents, questions and promises; all or nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ctxhub.errors import (
    CommitmentUnknown,
    InteractionEnded,
    InteractionUnknown,
    Invalid,
    NotTheHolder,
    Unavailable,
    WrongState,
)
from ctxhub.model import interaction as interactions
from ctxhub.model import moving
from ctxhub.model.context import Context
from ctxhub.model.disclosure import intent_in_sight, sight_of
from ctxhub.model.event import TOLD, Event, checked_data, default_party
from tests.model.scenes import held
from tests.support import (
    HOUR,
    MINUTE,
    NOON,
    SECOND,
    a_fact,
    after,
    an_event,
    an_interaction,
    started,
    telling,
    with_one,
)


def said(party: str = "bot", interaction_id: str | None = "in_1", **data: object) -> Event:
    return an_event("message.sent", interaction_id, party=party, text="hello", **data)


def level(context: Context, after_: timedelta = timedelta(0)) -> int:
    return an_interaction(context).level(NOON + after_)


class TestSpeaking:
    """Only the holder of the floor speaks to the customer."""

    def test_the_holder_speaks_with_the_present_fence(self) -> None:
        assert telling(with_one(), said(fence=1)).events[0].marks == []
        assert telling(held(with_one()), said("agent", fence=2)).events[0].marks == []

    @pytest.mark.parametrize("fence", [{}, {"fence": 1}, {"fence": 3}, {"fence": None}])
    def test_nobody_else_does_and_the_refusal_tells_who_does(self, fence: dict[str, int]) -> None:
        with pytest.raises(NotTheHolder) as refusal:
            after(held(with_one()), said(**fence))
        assert refusal.value.ids == {"interaction_id": "in_1", "fence": 2, "holder": {"party": "agent", "id": "ann"}}

    @pytest.mark.parametrize(
        ("party", "data", "marks"),
        [
            ("bot", {}, ["out_of_turn"]),
            ("bot", {"fence": 1}, ["out_of_turn"]),
            ("agent", {"fence": 1}, ["out_of_turn"]),
            ("agent", {"fence": 2}, []),
            ("agent", {}, []),
        ],
    )
    def test_what_was_already_said_is_kept_and_marked_where_it_was_out_of_turn(
        self, party: str, data: dict[str, int], marks: list[str]
    ) -> None:
        change = telling(held(with_one()), said(party, delivered=True, **data))
        assert change.events[0].marks == marks

    @pytest.mark.parametrize("party", ["system", "customer"])
    def test_a_notice_needs_no_floor(self, party: str) -> None:
        assert telling(held(with_one()), said(party)).events[0].marks == []

    def test_what_is_said_outside_any_interaction_needs_none(self) -> None:
        assert len(telling(with_one(), said(interaction_id=None)).events) == 1


class TestAssurance:
    """How surely the customer is known, and until when."""

    def raised(self, context: Context, level: int, at: timedelta = timedelta(0), **more: object) -> Context:
        event = an_event("assurance.raised", at=NOON + at, level=level, method="pin", **more)
        return after(context, event, now=NOON + max(at, timedelta(0)))

    def test_it_rises_for_a_while(self) -> None:
        context = self.raised(with_one(), 2, expires_in=60)
        assert (level(context), level(context, MINUTE)) == (2, 0)
        assert an_interaction(context).assurance.channel == "chat"

    def test_raising_never_lowers_it(self) -> None:
        assert level(self.raised(with_one(3), 2)) == 3

    def test_raising_to_the_same_level_never_shortens_it(self) -> None:
        context = self.raised(with_one(2), 2, expires_in=60)
        assert level(context, MINUTE) == 2
        assert level(self.raised(with_one(2), 2, expires_in=3600), HOUR - SECOND) == 2

    def test_a_verification_told_too_late_to_hold_still_changes_nothing(self) -> None:
        context = self.raised(with_one(2), 3, at=-HOUR, expires_in=60)
        assert level(context) == 2

    def test_lapsed_it_may_be_raised_to_less(self) -> None:
        assert level(self.raised(with_one(3), 1, at=HOUR), HOUR) == 1

    def test_revoked_nobody_is_known(self) -> None:
        assert level(after(with_one(3), an_event("assurance.revoked"))) == 0

    def test_what_was_proven_before_it_was_revoked_counts_no_more_however_late_it_is_told(self) -> None:
        revoked = after(with_one(2), an_event("assurance.revoked", at=NOON + MINUTE))
        late = self.raised(revoked, 3, at=SECOND)
        assert level(late, 2 * MINUTE) == 0
        assert telling(revoked, an_event("assurance.raised", level=2, method="pin")).events[0].assurance == 0
        assert level(self.raised(late, 2, at=2 * MINUTE), 2 * MINUTE) == 2

    def test_revoked_twice_the_later_counts_whichever_is_told_first(self) -> None:
        for first, then in ((MINUTE, 3 * MINUTE), (3 * MINUTE, MINUTE)):
            context = with_one(2)
            for at in (first, then):
                context = after(context, an_event("assurance.revoked", at=NOON + at), now=NOON + 4 * MINUTE)
            assert level(self.raised(context, 2, at=2 * MINUTE), 4 * MINUTE) == 0
            assert level(self.raised(context, 2, at=3 * MINUTE), 4 * MINUTE) == 2

    def test_revoked_ahead_of_time_it_is_revoked_now(self) -> None:
        context = after(with_one(2), an_event("assurance.revoked", at=NOON + 5 * MINUTE), now=NOON)
        assert level(self.raised(context, 2, at=MINUTE), MINUTE) == 2

    def test_the_event_of_a_verification_is_seen_by_those_it_lets_in(self) -> None:
        assert telling(with_one(), an_event("assurance.raised", level=2, method="pin")).events[0].assurance == 2

    @pytest.mark.parametrize("type_", ["assurance.raised", "assurance.revoked"])
    def test_it_is_that_of_an_interaction(self, type_: str) -> None:
        data = {"level": 2, "method": "pin"} if type_ == "assurance.raised" else {}
        with pytest.raises(Invalid, match="needs the interaction"):
            after(with_one(), an_event(type_, None, **data))


class TestIntents:
    """What the customer seems to want."""

    def wanted(self, context: Context, interaction_id: str = "in_1") -> str | None:
        intent = intent_in_sight(context, sight_of(context.interactions[interaction_id], NOON))
        return intent.name if intent else None

    def test_the_latest_counts(self) -> None:
        context = after(started(with_one(2), "in_2", 2), an_event("intent.detected", name="refund"))
        context = after(context, an_event("intent.detected", "in_2", NOON + SECOND, name="complaint"))
        assert self.wanted(context) == "complaint"

    def test_below_level_2_it_stays_with_its_interaction(self) -> None:
        context = after(started(with_one(1), "in_2", 3), an_event("intent.detected", name="refund"))
        assert (self.wanted(context), self.wanted(context, "in_2")) == ("refund", None)

    def test_told_below_level_2_it_does_not_hide_what_others_knew_before(self) -> None:
        context = after(started(with_one(2), "in_2", 2), an_event("intent.detected", name="refund"))
        for name in ("secret", "another secret"):
            doubted = after(context, an_event("assurance.revoked"))
            context = after(doubted, an_event("intent.detected", at=NOON + SECOND, name=name))
        assert (self.wanted(context), self.wanted(context, "in_2")) == ("another secret", "refund")

    def test_verified_it_is_shared(self) -> None:
        context = after(started(with_one(1), "in_2", 2), an_event("intent.detected", name="refund"))
        context = after(context, an_event("assurance.raised", level=2, method="pin"))
        assert self.wanted(context, "in_2") == "refund"


class TestQuestions:
    """An `ask` for what is known is a repeat."""

    def repeats(self, context: Context, **data: object) -> list[str]:
        event = an_event("question.asked", names=["city", "street"], **data)
        return list(telling(context, event).events[0].data.get("repeats", []))

    def test_what_is_known_is_asked_again(self) -> None:
        assert self.repeats(after(with_one(), a_fact("Xi'an"))) == ["city"]

    def test_what_is_not_surely_known_is_no_repeat(self) -> None:
        assert self.repeats(after(with_one(), a_fact("Xi'an", confidence=0.5))) == []

    @pytest.mark.parametrize("purpose", ["confirm", "step_up", "conflict", "expired", "regulatory"])
    def test_asked_with_another_purpose_it_is_none(self, purpose: str) -> None:
        assert self.repeats(after(with_one(), a_fact("Xi'an")), purpose=purpose) == []

    def test_what_somebody_else_knows_is_no_repeat(self) -> None:
        context = started(after(with_one(1), a_fact("Xi'an")), "in_2", 1)
        assert "repeats" not in telling(context, an_event("question.asked", "in_2", names=["city"])).events[0].data


class TestPromises:
    """What we said we would do."""

    def made(self, level: int = 0, **more: object) -> Context:
        event = an_event("commitment.made", what="call", owner="cards", due_at="2026-11-23T09:00:00+08:00",
                         commitment_id="cm_1", **more)  # fmt: skip
        return after(with_one(level), event)

    @pytest.mark.parametrize("verb", ["kept", "broken"])
    def test_it_is_open_until_it_is_kept_or_broken(self, verb: str) -> None:
        context = self.made(2)
        promise = context.commitments["cm_1"]
        assert (promise.what, promise.owner, promise.due_at.isoformat()) == (
            "call", "cards", "2026-11-23T01:00:00+00:00",
        )  # fmt: skip
        assert after(context, an_event(f"commitment.{verb}", commitment_id="cm_1")).commitments == {}

    def test_without_an_id_it_gets_one(self) -> None:
        change = telling(with_one(), an_event("commitment.made", what="call", owner="x", due_at=NOON.isoformat()))
        assert change.events[0].data["commitment_id"] == next(iter(change.context.commitments))

    def test_one_that_was_made_is_not_made_again(self) -> None:
        again = an_event("commitment.made", what="x", owner="x", due_at=NOON.isoformat(), commitment_id="cm_1")
        with pytest.raises(WrongState):
            after(self.made(), again)

    def test_one_that_is_not_there_can_t_be_kept(self) -> None:
        with pytest.raises(CommitmentUnknown):
            after(self.made(), an_event("commitment.kept", commitment_id="cm_none"))

    def test_another_s_below_level_2_is_not_there(self) -> None:
        with pytest.raises(CommitmentUnknown):
            after(started(self.made(1), "in_2", 3), an_event("commitment.kept", "in_2", commitment_id="cm_1"))

    def test_a_shared_one_is_kept_at_level_2_only(self) -> None:
        context = after(self.made(2), an_event("assurance.revoked"))
        with pytest.raises(CommitmentUnknown):
            after(context, an_event("commitment.kept", commitment_id="cm_1"))
        assert after(context, an_event("commitment.kept", None, commitment_id="cm_1", party="system")).commitments == {}


class TestTelling:
    """Events come in requests of several."""

    def test_they_count_in_their_order(self) -> None:
        events = [an_event("journey.started", kind="x", journey_id="jr_1"), a_fact(1, journey_id="jr_1")]
        assert after(with_one(), *events).facts[0].journey_id == "jr_1"

    def test_one_that_is_refused_refuses_all(self) -> None:
        with pytest.raises(NotTheHolder):
            after(with_one(), a_fact("Xi'an"), said(fence=9))

    def test_they_come_back_with_channel_and_assurance(self) -> None:
        event = telling(with_one(2, channel="ivr"), a_fact("Xi'an")).events[0]
        assert (event.channel, event.assurance) == ("ivr", 2)

    @pytest.mark.parametrize(("party", "level"), [("system", 2), ("agent", 2), ("bot", 0), ("customer", 0)])
    def test_without_an_interaction_only_the_company_s_word_is_sure(self, party: str, level: int) -> None:
        event = telling(with_one(3), an_event("x.seen", None, party=party)).events[0]
        assert (event.channel, event.assurance) == (None, level)

    def test_of_an_interaction_that_is_not_there_nothing_can_be_told(self) -> None:
        with pytest.raises(InteractionUnknown):
            after(with_one(), a_fact("x", interaction_id="in_none"))

    def test_of_one_that_is_moving_nothing_can_be_told_for_a_moment(self) -> None:
        context = moving.depart(with_one(), "in_1", "c7", NOON, None).context
        with pytest.raises(Unavailable):
            after(context, an_event("note.added", text="x"))

    def test_of_one_that_has_ended_nothing_new_can_be_told(self) -> None:
        context = interactions.end(with_one(), "in_1", NOON).context
        for event in (an_event("note.added", text="x"), an_event("x.seen"), said(fence=1), a_fact("x")):
            with pytest.raises(InteractionEnded):
                after(context, event)

    @pytest.mark.parametrize("type_", sorted(t for t in TOLD if t.split(".")[0] in ("call", "recording")))
    def test_what_is_reported_of_a_call_is_taken_also_after_its_end(self, type_: str) -> None:
        context = interactions.end(with_one(), "in_1", NOON).context
        event = telling(context, an_event(type_, reason="x")).events[0]
        assert (event.type, event.data["reason"]) == (type_, "x")

    def test_what_no_rule_is_about_is_kept_as_it_was_told(self) -> None:
        context = with_one()
        change = telling(context, an_event("x.seen", reason="x"))
        assert (change.context, change.events[0].data) == (context, {"reason": "x"})


class TestChecking:
    """Each type of event has data of its own."""

    @pytest.mark.parametrize(
        ("type_", "data", "pointer"),
        [
            ("fact.stated", {"name": "a"}, "/data/value"),
            ("fact.stated", {"name": "", "value": 1}, "/data/name"),
            ("fact.stated", {"name": "a\x00b", "value": 1}, "/data/name"),
            ("fact.stated", {"name": "a" * 201, "value": 1}, "/data/name"),
            ("fact.stated", {"name": "a", "value": 1, "confidence": 1.1}, "/data/confidence"),
            ("fact.stated", {"name": "a", "value": 1, "sensitivity": "secret"}, "/data/sensitivity"),
            ("fact.stated", {"name": "a", "value": 1, "expires_in": 0}, "/data/expires_in"),
            ("fact.stated", {"name": "a", "value": 1, "colour": 1}, "/data/colour"),
            ("message.received", {"text": "é" * 40_000}, "/data/text"),
            ("question.asked", {"names": []}, "/data/names"),
            ("assurance.raised", {"level": 4, "method": "x"}, "/data/level"),
            ("commitment.made", {"what": "x", "owner": "y", "due_at": "2026-11-22T12:00:00"}, "/data/due_at"),
            ("commitment.made", {"what": "x", "owner": "y", "due_at": "soon"}, "/data/due_at"),
            ("call.held", {"ref": {"system": "acd", "id": "x", "a/b": 1}}, "/data/ref/a~1b"),
            ("handoff.offered", {}, "/type"),
            ("interaction.ended", {}, "/type"),
            ("identity.linked", {}, "/type"),
            ("nonsense", {}, "/type"),
            ("x.", {}, "/type"),
            ("x.with blank", {}, "/type"),
            ("x.big", {"text": "x" * 140_000}, "/data"),
        ],
    )
    def test_what_does_not_fit_is_refused_at_its_place(self, type_: str, data: dict[str, object], pointer: str) -> None:
        with pytest.raises(Invalid) as refusal:
            checked_data(type_, data, "/events/3")
        assert [fault["pointer"] for fault in refusal.value.ids["errors"]] == [f"/events/3{pointer}"]

    @pytest.mark.parametrize("name", ["a.b", "a/b", "~", "城市", "😀", "a b", "__proto__"])
    def test_any_name_without_control_characters_fits(self, name: str) -> None:
        assert checked_data("fact.stated", {"name": name, "value": 1}, "")["name"] == name

    def test_free_types_carry_what_they_like(self) -> None:
        assert checked_data("x.anything", {"a": [{"b": None}]}, "") == {"a": [{"b": None}]}

    def test_each_type_has_a_party_that_is_taken_to_tell_it(self) -> None:
        assert {default_party(type_) for type_ in ("message.received", "fact.stated", "input.collected")} == {
            "customer"
        }
        assert {default_party(type_) for type_ in ("message.sent", "question.asked")} == {"bot"}
        assert {default_party(type_) for type_ in ("fact.observed", "call.held", "x.a")} == {"system"}
