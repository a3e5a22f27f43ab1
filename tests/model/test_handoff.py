"""Handoffs: every transition and every one refused; chains, fallbacks, leases, returns and the grace of who left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from ctxhub.errors import (
    AlreadyOffered,
    AlreadyUsed,
    CtxhubError,
    Forbidden,
    HandoffUnknown,
    HeldByAnother,
    InteractionEnded,
    JourneyUnknown,
    Lapsed,
    StaleFence,
    Unavailable,
    WrongState,
)
from ctxhub.model import handoff as handoffs
from ctxhub.model import lapsing, moving
from ctxhub.model.context import Context
from ctxhub.model.event import Change
from ctxhub.model.handoff import FINAL, Target
from ctxhub.model.interaction import start
from tests.model.scenes import accepted, an_offer, held, offered, offering, returning, state, the
from tests.support import (
    GRACE,
    LEASE,
    MINUTE,
    NOON,
    PATIENCE,
    SECOND,
    a_context,
    a_start,
    after,
    an_event,
    an_interaction,
    started,
    with_one,
)

LATER = NOON + MINUTE


def lapsed(context: Context, now: datetime) -> Context:
    """The context without what has lapsed."""
    return lapsing.lapse(context, {}, PATIENCE, now).context


def ended(context: Context, interaction_id: str = "in_1", now: datetime = LATER) -> Context:
    return lapsing.end(context, interaction_id, now).context


def redeemed(
    context: Context, handoff_id: str = "ho_1", by: str = "in_2", channel: str = "chat", now: datetime = LATER
) -> Context:
    """The context with an interaction that came by a handoff's token."""
    begun = start(context, a_start(by, channel=channel), by, now, the(context, handoff_id)).context
    return handoffs.redeem(begun, handoff_id, begun.interactions[by], now).context


def types(change: Change) -> list[str]:
    return [event.type.removeprefix("handoff.") for event in change.events]


class TestOffering:
    """An interaction goes on offer."""

    def test_it_waits_where_it_was_offered(self) -> None:
        change = offering(with_one(2), expires_in=60)
        handoff = the(change.context)
        assert (handoff.state, handoff.waits_in, handoff.root_id) == ("offered", "queue:cards", "ho_1")
        assert (handoff.expires_at, handoff.waiting_since) == (NOON + MINUTE, NOON)
        assert (handoff.offered_by.party, handoff.offered_level) == ("bot", 2)
        assert types(change) == ["offered"]

    def test_it_says_by_which_names_other_systems_know_it_and_a_call_by_its_own_too(self) -> None:
        ucid = {"system": "acd", "kind": "call", "id": "0078"}
        own = {"system": "ivr", "kind": "call", "id": "in_1"}
        many = [ucid] + [{"system": "crm", "kind": "case", "id": str(number)} for number in range(20)]
        for channel, refs, told in (("ivr", [ucid], [own, ucid]), ("chat", [ucid], [ucid]), ("chat", [], None)):
            [event] = offering(with_one(channel=channel, refs=refs)).events
            assert event.data.get("refs") == told
        context = offered(with_one(channel="chat", refs=many), expires_in=60, fallback={"queue": "loans"})
        [rerouted] = handoffs.lapse(context, "ho_1", LATER).events
        assert rerouted.data["refs"] == many[:10]

    def test_an_offer_to_an_agent_waits_in_the_agent_s_own_list(self) -> None:
        assert the(offered(with_one(), to={"agent": "ann"})).waits_in == "agent:ann"

    def test_an_offer_to_a_channel_waits_in_no_list(self) -> None:
        assert the(offered(with_one(), to={"channel": "chat"})).waits_in is None

    def test_a_bot_that_is_named_takes_it_at_once_without_a_lease(self) -> None:
        change = offering(with_one(), to={"bot": "helper"})
        assert (state(change.context), the(change.context).lease_ends) == ("accepted", None)
        assert types(change) == ["offered", "accepted"]
        holder = an_interaction(change.context).holder
        assert (holder.party, holder.id, an_interaction(change.context).fence) == ("bot", "helper", 2)

    def test_one_open_offer_at_a_time(self) -> None:
        context = offered(with_one())
        with pytest.raises(AlreadyOffered, match="ho_1") as refusal:
            offering(context, "ho_2")
        assert refusal.value.ids == {"handoff_id": "ho_1", "state": "offered"}

    def test_an_ended_interaction_is_not_offered(self) -> None:
        with pytest.raises(InteractionEnded):
            offering(ended(with_one()))

    def test_a_stale_fence_is_refused_and_the_present_one_told(self) -> None:
        with pytest.raises(StaleFence) as refusal:
            offering(held(with_one()), "ho_2", fence=1)
        assert refusal.value.ids == {"fence": 2}
        assert state(offered(held(with_one()), "ho_2", fence=2), "ho_2") == "offered"

    def test_it_carries_the_journey_at_hand_unless_another_is_named(self) -> None:
        begun = [an_event("journey.started", kind="x", journey_id=journey_id) for journey_id in ("jr_1", "jr_2")]
        context = after(with_one(), *begun)
        assert the(offered(context)).journey_id == "jr_2"
        assert the(offered(context, journey_id="jr_1")).journey_id == "jr_1"

    def test_a_journey_out_of_sight_can_t_be_handed_on(self) -> None:
        context = started(after(with_one(1), an_event("journey.started", kind="x", journey_id="jr_1")), "in_2", 3)
        for journey_id in ("jr_1", "jr_none"):
            with pytest.raises(JourneyUnknown):
                offering(context, interaction_id="in_2", journey_id=journey_id)

    @pytest.mark.parametrize("to", [{}, {"queue": "a", "agent": "b"}, {"previous": False}, {"queue": ""}])
    def test_a_target_names_exactly_one_way(self, to: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            Target.model_validate(to)


class TestPrevious:
    """Back to whoever had the customer before."""

    def test_it_names_the_agent_who_had_the_interaction_last(self) -> None:
        context = handoffs.complete(held(with_one()), "ho_1", "ann", 2, None, LATER).context
        assert the(offered(context, "ho_2", LATER, to={"previous": True}), "ho_2").to == Target(agent="ann")

    def test_it_names_the_agent_of_the_interaction_this_one_came_from(self) -> None:
        context = handoffs.complete(held(with_one()), "ho_1", "ann", 2, None, LATER).context
        context = redeemed(offered(context, "ho_2", LATER, to={"channel": "chat"}), "ho_2")
        found = offered(context, "ho_3", LATER, interaction_id="in_2", to={"previous": True})
        assert the(found, "ho_3").to == Target(agent="ann")

    @pytest.mark.parametrize("to", [{"previous": True}, {"owner_of": "jr_none"}])
    def test_where_nobody_was_before_the_fallback_takes_its_place(self, to: dict[str, Any]) -> None:
        found = the(offered(with_one(), to=to, fallback={"queue": "loans"}))
        assert found.waits_in == "queue:loans"

    @pytest.mark.parametrize("fallback", [None, {"previous": True}, {"owner_of": "jr_none"}])
    def test_where_nobody_was_before_and_no_fallback_is_there_it_is_refused(self, fallback: Any) -> None:
        with pytest.raises(WrongState, match="nobody before"):
            offering(with_one(), to={"previous": True}, fallback=fallback)

    def test_a_fallback_may_mean_the_previous_agent(self) -> None:
        context = handoffs.complete(held(with_one()), "ho_1", "ann", 2, None, NOON).context
        context = offered(context, "ho_2", NOON, expires_in=60, fallback={"previous": True})
        assert the(lapsed(context, LATER), "ho_2").waits_in == "agent:ann"

    def test_a_fallback_that_means_nobody_is_none(self) -> None:
        context = offered(with_one(), expires_in=60, fallback={"previous": True})
        assert state(lapsed(context, LATER)) == "expired"


class TestAccepting:
    """Exactly one winner, who gets the floor."""

    def test_the_floor_moves_and_the_fence_rises(self) -> None:
        context = accepted(offered(with_one()), now=LATER)
        interaction, handoff = an_interaction(context), the(context)
        assert (interaction.holder.party, interaction.holder.id, interaction.fence) == ("agent", "ann", 2)
        assert (handoff.agent_id, handoff.fence, handoff.lease_ends) == ("ann", 2, LATER + LEASE)

    def test_the_event_tells_who_and_how_long_the_customer_waited(self) -> None:
        change = handoffs.accept(offered(with_one()), "ho_1", "ann", LATER, LEASE)
        assert change.events[0].data == {
            "handoff_id": "ho_1", "queue": "cards", "offered_to": "queue", "fence": 2, "waited": 60.0,
            "agent_id": "ann", "hop": {"from": "chat", "to": "desk", "by": "handoff"}, "carried": 0, "had": 0,
        }  # fmt: skip

    def test_the_same_agent_again_changes_nothing(self) -> None:
        context = held(with_one())
        assert handoffs.accept(context, "ho_1", "ann", LATER, LEASE) == Change(context, [])

    def test_another_agent_learns_who_holds_it_and_until_when(self) -> None:
        with pytest.raises(HeldByAnother) as refusal:
            handoffs.accept(held(with_one()), "ho_1", "bob", LATER, LEASE)
        assert refusal.value.ids == {
            "handoff_id": "ho_1", "state": "accepted", "held_by": "ann", "until": NOON + LEASE,
        }  # fmt: skip

    def test_an_offer_to_an_agent_is_hers_alone(self) -> None:
        context = offered(with_one(), to={"agent": "ann"})
        with pytest.raises(Forbidden):
            accepted(context, agent="bob")
        assert state(accepted(context)) == "accepted"

    def test_an_offer_to_a_channel_is_redeemed_not_accepted(self) -> None:
        with pytest.raises(WrongState, match="redeemed"):
            accepted(offered(with_one(), to={"channel": "chat"}))

    def test_what_a_bot_holds_is_held(self) -> None:
        with pytest.raises(HeldByAnother, match="a bot"):
            accepted(offered(with_one(), to={"bot": "helper"}))


class TestDeclining:
    """An agent passes."""

    def test_in_a_queue_it_stays_on_offer_for_the_others(self) -> None:
        change = handoffs.decline(offered(with_one()), "ho_1", "ann", "busy", LATER)
        assert (state(change.context), the(change.context).declined_by) == ("offered", ("ann",))
        assert change.events[0].data["state"] == "offered"
        assert state(accepted(change.context, agent="bob")) == "accepted"

    def test_twice_by_one_agent_are_two_events(self) -> None:
        first = handoffs.decline(offered(with_one()), "ho_1", "ann", "busy", LATER)
        second = handoffs.decline(first.context, "ho_1", "ann", "busy", LATER)
        assert first.events[0].event_id != second.events[0].event_id

    def test_an_offer_to_the_agent_ends_as_declined(self) -> None:
        context = handoffs.decline(offered(with_one(), to={"agent": "ann"}), "ho_1", "ann", "busy", LATER).context
        assert (state(context), the(context).final_at) == ("declined", LATER)

    def test_with_a_fallback_it_goes_there_with_a_new_deadline(self) -> None:
        context = offered(with_one(), to={"agent": "ann"}, fallback={"queue": "loans"}, expires_in=60)
        change = handoffs.decline(context, "ho_1", "ann", "busy", LATER)
        assert types(change) == ["declined", "rerouted"]
        handoff = the(change.context)
        assert (handoff.waits_in, handoff.expires_at, handoff.fallback) == ("queue:loans", LATER + MINUTE, None)
        assert handoff.waiting_since == NOON

    def test_nobody_declines_for_another(self) -> None:
        with pytest.raises(Forbidden):
            handoffs.decline(offered(with_one(), to={"agent": "ann"}), "ho_1", "bob", "busy", LATER)


class TestCancelling:
    """An offer is taken back."""

    def test_it_ends_and_another_may_follow(self) -> None:
        context = handoffs.cancel(offered(with_one()), "ho_1", LATER).context
        assert state(context) == "cancelled"
        assert state(offered(context, "ho_2", LATER), "ho_2") == "offered"

    def test_again_changes_nothing(self) -> None:
        context = handoffs.cancel(offered(with_one()), "ho_1", LATER).context
        assert handoffs.cancel(context, "ho_1", LATER) == Change(context, [])


class TestCompleting:
    """The work is done."""

    def test_the_floor_goes_back_to_the_bot_that_offered(self) -> None:
        context = offered(with_one(), to={"bot": "helper"})
        context = accepted(offered(context, "ho_2"), "ho_2")
        context = handoffs.complete(context, "ho_2", "ann", 3, "solved", LATER).context
        interaction = an_interaction(context)
        assert (interaction.holder.party, interaction.holder.id, interaction.fence) == ("bot", "helper", 4)
        assert (state(context, "ho_2"), the(context, "ho_2").outcome) == ("completed", "solved")

    def test_again_by_the_same_holder_changes_nothing(self) -> None:
        context = handoffs.complete(held(with_one()), "ho_1", "ann", 2, "solved", LATER).context
        assert handoffs.complete(context, "ho_1", "ann", 2, "solved", LATER) == Change(context, [])

    def test_with_a_stale_fence_it_is_refused(self) -> None:
        with pytest.raises(StaleFence) as refusal:
            handoffs.complete(held(with_one()), "ho_1", "ann", 1, None, LATER)
        assert refusal.value.ids["fence"] == 2

    def test_by_another_it_is_refused(self) -> None:
        with pytest.raises(HeldByAnother):
            handoffs.complete(held(with_one()), "ho_1", "bob", 2, None, LATER)

    def test_after_the_customer_has_gone_the_floor_moves_no_more(self) -> None:
        context = ended(held(with_one()))
        assert state(context) == "accepted"
        done = handoffs.complete(context, "ho_1", "ann", 2, None, LATER).context
        assert (state(done), an_interaction(done).fence) == ("completed", 2)


class TestTransferring:
    """A transfer is a handoff of its own; accepting it ends the one before."""

    def test_until_it_is_accepted_the_holder_holds_on(self) -> None:
        context = offered(held(with_one()), "ho_2", LATER, to={"queue": "loans"})
        assert (state(context, "ho_1"), an_interaction(context).holder.id) == ("accepted", "ann")
        child = the(context, "ho_2")
        assert (child.parent_id, child.root_id, child.ends_parent) == ("ho_1", "ho_1", "transferred")

    def test_accepted_it_ends_its_parent_as_transferred(self) -> None:
        context = offered(held(with_one()), "ho_2", LATER, to={"queue": "loans"})
        change = handoffs.accept(context, "ho_2", "bob", LATER, LEASE)
        assert types(change) == ["accepted", "transferred"]
        assert (state(change.context), an_interaction(change.context).holder.id) == ("transferred", "bob")

    def test_expired_it_leaves_its_parent_as_it_is(self) -> None:
        context = offered(held(with_one()), "ho_2", to={"queue": "loans"}, expires_in=60)
        context = lapsed(context, LATER)
        assert (state(context, "ho_1"), state(context, "ho_2")) == ("accepted", "expired")

    def test_the_chain_keeps_its_root(self) -> None:
        context = accepted(offered(held(with_one()), "ho_2"), "ho_2", "bob")
        context = offered(context, "ho_3")
        assert (the(context, "ho_3").parent_id, the(context, "ho_3").root_id) == ("ho_2", "ho_1")

    def test_a_lease_that_lapses_while_it_waits_ends_the_parent_and_lets_the_bot_speak(self) -> None:
        context = offered(held(with_one()), "ho_2", NOON + LEASE - SECOND, to={"queue": "loans"})
        context = lapsed(context, NOON + LEASE)
        assert (state(context, "ho_1"), state(context, "ho_2")) == ("transferred", "offered")
        assert an_interaction(context).holder.party == "bot"

    def test_a_link_sent_by_who_holds_it_takes_nothing_from_him(self) -> None:
        context = redeemed(offered(held(with_one()), "ho_2", to={"channel": "chat"}), "ho_2")
        assert (state(context, "ho_1"), state(context, "ho_2")) == ("accepted", "accepted")
        assert an_interaction(context).holder.id == "ann"

    def test_a_link_that_fell_back_to_a_queue_ends_whoever_held_it_once_accepted(self) -> None:
        context = offered(held(with_one()), "ho_2", to={"channel": "chat"}, expires_in=60, fallback={"queue": "loans"})
        context = accepted(lapsed(context, LATER), "ho_2", "bob", LATER)
        assert (state(context, "ho_1"), state(context, "ho_2")) == ("transferred", "accepted")


class TestReturning:
    """An interaction goes back by a handoff of its own."""

    def test_a_bot_takes_it_back_at_once_and_the_handoff_ends_as_returned(self) -> None:
        change = returning(held(with_one()))
        assert types(change) == ["offered", "accepted", "returned"]
        assert (state(change.context, "ho_1"), state(change.context, "ho_2")) == ("returned", "accepted")
        assert (an_interaction(change.context).holder.party, an_interaction(change.context).fence) == ("bot", 3)

    def test_it_goes_back_to_the_agent_who_offered_it(self) -> None:
        context = accepted(offered(held(with_one()), "ho_2"), "ho_2", "bob")
        context = returning(context, "ho_2", "ho_3", "bob").context
        assert (the(context, "ho_3").waits_in, state(context, "ho_2")) == ("agent:ann", "accepted")
        context = accepted(context, "ho_3", "ann")
        assert (state(context, "ho_2"), an_interaction(context).holder.id) == ("returned", "ann")

    def test_it_may_go_elsewhere(self) -> None:
        context = returning(held(with_one()), to=Target(queue="loans")).context
        assert (the(context, "ho_2").waits_in, state(context)) == ("queue:loans", "accepted")

    def test_the_bot_finds_the_journey_at_the_step_named(self) -> None:
        context = held(after(with_one(), an_event("journey.started", kind="x", journey_id="jr_1", step="one")))
        context = returning(context, step="three", now=LATER).context
        journey = context.journeys["jr_1"]
        assert (journey.step, journey.updated_at, the(context, "ho_2").step) == ("three", LATER, "three")

    def test_what_is_not_held_is_not_returned(self) -> None:
        with pytest.raises(WrongState, match="offered, not accepted"):
            returning(offered(with_one()))

    def test_after_the_customer_has_gone_nothing_is_returned(self) -> None:
        with pytest.raises(InteractionEnded):
            returning(ended(held(with_one())))

    def test_while_it_is_on_offer_elsewhere_nothing_is_returned(self) -> None:
        with pytest.raises(AlreadyOffered):
            returning(offered(held(with_one()), "ho_3"))


class TestLeases:
    """An accepted handoff is held for a while, and again for every sign of life."""

    def test_a_lapsed_lease_puts_it_on_offer_again_with_the_floor_back_at_the_bot(self) -> None:
        context = lapsed(held(with_one()), NOON + LEASE)
        handoff = the(context)
        assert (handoff.state, handoff.agent_id, handoff.fence, handoff.lapses) == ("offered", None, None, 1)
        assert handoff.expires_at == NOON + LEASE + timedelta(seconds=300)
        assert (an_interaction(context).holder.party, an_interaction(context).fence) == ("bot", 3)

    def test_up_to_its_end_it_holds(self) -> None:
        assert state(lapsed(held(with_one()), NOON + LEASE - SECOND / 1000)) == "accepted"

    def test_renewed_it_lasts_another_lease(self) -> None:
        context = handoffs.renew(held(with_one()), "ho_1", "ann", 2, LATER, LEASE).context
        assert state(lapsed(context, NOON + LEASE)) == "accepted"
        assert state(lapsed(context, LATER + LEASE)) == "offered"

    def test_renewed_twice_at_one_instant_it_is_renewed_once(self) -> None:
        context = handoffs.renew(held(with_one()), "ho_1", "ann", 2, LATER, LEASE).context
        assert handoffs.renew(context, "ho_1", "ann", 2, LATER, LEASE) == Change(context, [])

    def test_after_it_has_lapsed_its_fence_is_worth_nothing(self) -> None:
        context = lapsed(held(with_one()), NOON + LEASE)
        with pytest.raises(WrongState):
            handoffs.complete(context, "ho_1", "ann", 2, None, NOON + LEASE)
        context = accepted(context, now=NOON + LEASE)
        assert the(context).fence == 4
        with pytest.raises(StaleFence):
            handoffs.complete(context, "ho_1", "ann", 2, None, NOON + LEASE)

    def test_lapsed_long_ago_it_has_expired_by_now(self) -> None:
        context = lapsed(held(with_one()), NOON + LEASE + timedelta(seconds=300))
        assert state(context) == "expired"

    def test_where_the_customer_has_gone_a_lapsed_lease_completes_it(self) -> None:
        context = lapsed(ended(held(with_one())), NOON + LEASE)
        assert (state(context), the(context).outcome) == ("completed", "lease lapsed")


class TestExpiring:
    """An offer that nobody takes."""

    def test_it_ends_at_its_deadline(self) -> None:
        context = offered(with_one(), expires_in=60)
        assert state(lapsed(context, LATER - SECOND)) == "offered"
        expired = lapsed(context, LATER)
        assert (state(expired), the(expired).final_at) == ("expired", LATER)

    def test_with_a_fallback_it_is_the_same_handoff_elsewhere_once(self) -> None:
        context = offered(with_one(), expires_in=60, fallback={"queue": "loans"})
        context = lapsed(context, LATER)
        assert (state(context), the(context).waits_in) == ("offered", "queue:loans")
        assert the(context).expires_at == LATER + MINUTE
        assert state(lapsed(context, LATER + MINUTE)) == "expired"

    def test_seen_only_after_both_deadlines_it_has_ended(self) -> None:
        change = lapsing.lapse(
            offered(with_one(), expires_in=60, fallback={"queue": "x"}), {}, PATIENCE, LATER + MINUTE
        )
        assert types(change) == ["rerouted", "expired"]

    def test_a_bot_as_fallback_takes_it_at_once(self) -> None:
        context = lapsed(offered(with_one(), expires_in=60, fallback={"bot": "helper"}), LATER)
        assert (state(context), an_interaction(context).holder.id) == ("accepted", "helper")

    @pytest.mark.parametrize(
        ("kind", "fallback", "becomes"),
        [
            ("live", {"queue": "loans"}, "expired"),
            ("live", {"bot": "helper"}, "expired"),
            ("message", {"bot": "helper"}, "expired"),
            ("message", {"queue": "loans"}, "offered"),
        ],
    )
    def test_after_the_customer_has_gone_only_what_needs_no_customer_goes_on(
        self, kind: str, fallback: dict[str, str], becomes: str
    ) -> None:
        context = offered(with_one(), to={"channel": "chat"}, kind=kind, expires_in=60, fallback=fallback)
        assert state(lapsed(ended(context, now=NOON), LATER)) == becomes


class TestLeaving:
    """The customer goes while waiting."""

    def test_whoever_waited_for_a_human_has_left(self) -> None:
        context = ended(offered(with_one()))
        assert (state(context), the(context).final_at) == ("left", LATER)

    @pytest.mark.parametrize("kind", ["callback", "message"])
    def test_whoever_asked_to_be_called_back_still_waits(self, kind: str) -> None:
        assert state(ended(offered(with_one(), kind=kind))) == "offered"

    def test_a_link_to_another_channel_still_holds(self) -> None:
        assert state(ended(offered(with_one(), to={"channel": "chat"}))) == "offered"

    def test_what_a_bot_had_is_done(self) -> None:
        assert state(ended(offered(with_one(), to={"bot": "helper"}))) == "completed"

    @pytest.mark.parametrize(("after_", "kept"), [(GRACE, True), (GRACE + SECOND, False)])
    def test_whoever_comes_back_within_the_grace_keeps_his_place(self, after_: timedelta, kept: bool) -> None:
        context = started(ended(offered(with_one())), "in_2", now=LATER + after_)
        again = the(offered(context, "ho_2", LATER + after_, interaction_id="in_2"), "ho_2")
        assert again.waiting_since == (NOON if kept else LATER + after_)

    def test_the_place_is_kept_in_the_same_queue_only(self) -> None:
        context = started(ended(offered(with_one())), "in_2", now=LATER)
        again = the(offered(context, "ho_2", LATER, interaction_id="in_2", to={"queue": "loans"}), "ho_2")
        assert again.waiting_since == LATER


class TestRedeeming:
    """A token brings the customer in."""

    def test_an_offer_to_a_channel_is_accepted_by_who_comes_there(self) -> None:
        context = redeemed(offered(with_one(2), to={"channel": "chat"}))
        handoff, arrived = the(context), context.interactions["in_2"]
        assert (handoff.state, handoff.redeemed and handoff.redeemed.interaction_id) == ("accepted", "in_2")
        assert (arrived.lineage, arrived.handoff_id, arrived.level(LATER)) == (("in_1",), "ho_1", 2)
        assert an_interaction(context).fence == 1

    def test_it_ends_as_completed_with_the_interaction_it_brought(self) -> None:
        context = redeemed(offered(with_one(), to={"channel": "chat"}))
        assert state(ended(context, "in_1")) == "accepted"
        assert state(ended(context, "in_2")) == "completed"

    def test_an_offer_to_a_queue_is_joined_and_stays_open(self) -> None:
        context = redeemed(offered(with_one()))
        assert (state(context), [came.interaction_id for came in the(context).joined]) == ("offered", ["in_2"])

    def test_the_same_comer_comes_again_and_another_is_refused(self) -> None:
        handoff = the(redeemed(offered(with_one(), to={"channel": "chat"})))
        assert handoffs.redeemable(handoff, "chat", "in_2")
        with pytest.raises(AlreadyUsed):
            handoffs.redeemable(handoff, "chat", "in_3")

    def test_one_that_has_ended_is_refused(self) -> None:
        handoff = the(handoffs.cancel(offered(with_one()), "ho_1", LATER).context)
        with pytest.raises(Lapsed, match="cancelled"):
            handoffs.redeemable(handoff, "chat", "in_2")

    @pytest.mark.parametrize(("delivery", "level"), [("signal", 2), ("message", 1)])
    def test_it_carries_assurance_by_its_delivery(self, delivery: str, level: int) -> None:
        context = redeemed(offered(with_one(2), to={"channel": "chat"}, delivery=delivery))
        assert context.interactions["in_2"].level(LATER) == level

    def test_it_carries_no_more_than_there_was_as_it_was_offered(self) -> None:
        context = offered(with_one(1), to={"channel": "chat"})
        context = after(context, an_event("assurance.raised", level=3, method="otp"))
        assert redeemed(context).interactions["in_2"].level(LATER) == 1


class TestShowing:
    """The receiver was shown the context."""

    def test_the_first_time_counts(self) -> None:
        context = handoffs.shown(held(with_one()), "ho_1", "ann", LATER).context
        assert the(context).receipt_at == LATER
        assert handoffs.shown(context, "ho_1", "ann", LATER + MINUTE) == Change(context, [])

    def test_only_the_holder_is_shown_it(self) -> None:
        with pytest.raises(HeldByAnother):
            handoffs.shown(held(with_one()), "ho_1", "bob", LATER)


Rule = Callable[[Context], Change]
RULES: dict[str, Rule] = {
    "accept": lambda c: handoffs.accept(c, "ho_1", "carl", LATER, LEASE),
    "decline": lambda c: handoffs.decline(c, "ho_1", "carl", "busy", LATER),
    "cancel": lambda c: handoffs.cancel(c, "ho_1", LATER),
    "complete": lambda c: handoffs.complete(c, "ho_1", "carl", 2, None, LATER),
    "return": lambda c: returning(c, agent="carl"),
    "renew": lambda c: handoffs.renew(c, "ho_1", "carl", 2, LATER, LEASE),
    "receipt": lambda c: handoffs.shown(c, "ho_1", "carl", LATER),
}


def in_state(wanted: str) -> Context:
    """A context whose `ho_1` is in a final state, reached the way it is reached."""
    ways: dict[str, Callable[[], Context]] = {
        "completed": lambda: handoffs.complete(held(with_one()), "ho_1", "ann", 2, None, NOON).context,
        "returned": lambda: returning(held(with_one())).context,
        "transferred": lambda: accepted(offered(held(with_one()), "ho_2"), "ho_2", "bob"),
        "declined": lambda: (
            handoffs.decline(offered(with_one(), to={"agent": "ann"}), "ho_1", "ann", "x", NOON).context
        ),
        "expired": lambda: lapsed(offered(with_one(), expires_in=1), NOON + SECOND),
        "cancelled": lambda: handoffs.cancel(offered(with_one()), "ho_1", NOON).context,
        "left": lambda: ended(offered(with_one()), now=NOON),
    }
    return ways[wanted]()


@pytest.mark.parametrize("final", sorted(FINAL))
def test_every_final_state_is_reached_and_says_when(final: str) -> None:
    handoff = the(in_state(final))
    assert (handoff.state, handoff.is_final, handoff.final_at is not None, handoff.waits_in) == (
        final,
        True,
        True,
        None,
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("final", sorted(FINAL))
def test_nothing_leaves_a_final_state(final: str, rule: str) -> None:
    context = in_state(final)
    if (final, rule) == ("cancelled", "cancel"):
        assert RULES[rule](context) == Change(context, [])
        return
    with pytest.raises(WrongState) as refusal:
        RULES[rule](context)
    assert refusal.value.ids["state"] == final


@pytest.mark.parametrize("final", sorted(FINAL))
def test_time_changes_no_final_state(final: str) -> None:
    context = in_state(final)
    assert state(lapsed(context, NOON + timedelta(hours=23))) == final


@pytest.mark.parametrize("rule", ["complete", "return", "renew", "receipt"])
def test_what_is_on_offer_is_held_by_nobody(rule: str) -> None:
    with pytest.raises(WrongState) as refusal:
        RULES[rule](offered(with_one()))
    assert refusal.value.ids["state"] == "offered"


@pytest.mark.parametrize(
    ("rule", "error"),
    [("accept", HeldByAnother), ("decline", WrongState), ("cancel", WrongState), ("complete", HeldByAnother),
     ("return", HeldByAnother), ("renew", HeldByAnother), ("receipt", HeldByAnother)],
)  # fmt: skip
def test_what_is_held_is_the_holder_s(rule: str, error: type[CtxhubError]) -> None:
    with pytest.raises(error) as refusal:
        RULES[rule](held(with_one()))
    assert refusal.value.ids["state"] == "accepted"


@pytest.mark.parametrize("rule", RULES)
def test_one_that_is_not_there_is_unknown(rule: str) -> None:
    if rule == "return":
        with pytest.raises(HandoffUnknown):
            handoffs.return_of(a_context(), "ho_1", "ho_2", None, None, None, NOON)
        return
    with pytest.raises(HandoffUnknown):
        RULES[rule](with_one())


@pytest.mark.parametrize("rule", RULES)
def test_while_its_interaction_moves_to_another_customer_nobody_touches_it(rule: str) -> None:
    context = moving.depart(held(with_one()), "in_1", "c2", NOON, None).context
    with pytest.raises(Unavailable, match="moving"):
        RULES[rule](context)


def test_an_offer_of_a_moving_interaction_is_refused() -> None:
    context = moving.depart(with_one(), "in_1", "c2", NOON, None).context
    with pytest.raises(Unavailable):
        handoffs.offer(context, an_offer({"queue": "cards"}), "ho_1", NOON, GRACE, ())
