"""The table of disclosure: row by row, and in 100,000 random reads against a second opinion."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple, get_args

import pytest

from ctxhub.model import clearance
from ctxhub.model.clearance import Disclosure, Item, ReadingFor, Standing, Unlock, disclosed
from ctxhub.model.context import Context
from ctxhub.model.customer import Assurance
from ctxhub.model.disclosure import Reader, Role, Sight, sight
from ctxhub.model.event import Sensitivity
from ctxhub.model.fact import SENSITIVITIES, Fact, Origin
from ctxhub.model.interaction import Holder, Interaction
from ctxhub.model.tenant import Tenant
from tests.model.scenes import offered
from tests.support import MINUTE, NOON, PLAIN, a_context, a_fact, after, an_event, started

READS = 100_000


def of(sensitivity: Sensitivity, **more: object) -> Item:
    """A value that all of the customer shares."""
    return Item(sensitivity, shared=True)._replace(**more)  # type: ignore[arg-type]


CHANNEL = [Standing(level=level) for level in range(4)]
AGENT = [Standing(level=level, colleague=True) for level in range(4)]
BOSS = Standing(level=3, colleague=True, everything=True)
JUST_PROVEN = Standing(level=2, fresh=True)

#: What each stands before: outcomes at level 0, 1, 2 and 3.
ROWS = {
    ("public", "channel"): "unseen unseen shown shown",
    ("personal", "channel"): "unseen unseen shown shown",
    ("sensitive", "channel"): "unseen unseen withheld shown",
    ("internal", "channel"): "unseen unseen unseen unseen",
    ("public", "agent"): "shown shown shown shown",
    ("personal", "agent"): "masked masked shown shown",
    ("sensitive", "agent"): "masked masked masked shown",
    ("internal", "agent"): "shown shown shown shown",
}


@pytest.mark.parametrize(("sensitivity", "who"), ROWS)
def test_what_is_shared_is_disclosed_by_sensitivity_and_level(sensitivity: Sensitivity, who: str) -> None:
    standings = CHANNEL if who == "channel" else AGENT
    outcomes = " ".join(disclosed(of(sensitivity), standing).outcome for standing in standings)
    assert outcomes == ROWS[sensitivity, who]


@pytest.mark.parametrize("sensitivity", SENSITIVITIES)
def test_supervisors_see_all_of_it(sensitivity: Sensitivity) -> None:
    assert disclosed(Item(sensitivity), BOSS) == Disclosure("shown")


@pytest.mark.parametrize("level", range(4))
def test_an_interaction_hears_what_was_said_in_itself_save_what_is_internal(level: int) -> None:
    outcomes = {s: disclosed(Item(s, own=True), CHANNEL[level]).outcome for s in SENSITIVITIES}
    assert outcomes == {"public": "shown", "personal": "shown", "sensitive": "shown", "internal": "unseen"}


def test_level_2_proven_just_now_clears_what_is_sensitive_and_nothing_else_that_needs_more() -> None:
    assert disclosed(of("sensitive"), JUST_PROVEN) == Disclosure("shown")
    assert disclosed(of("sensitive"), Standing(level=1, fresh=True)) == Disclosure("unseen")
    assert disclosed(of("personal", name_from=3), JUST_PROVEN).outcome == "withheld"


def test_what_is_held_back_says_what_would_unlock_it() -> None:
    assert disclosed(of("sensitive"), CHANNEL[2]).unlock == Unlock(level=3, again=2, within=300)
    assert disclosed(of("personal"), AGENT[1]).unlock == Unlock(level=2)
    assert disclosed(of("sensitive", name_from=3), CHANNEL[2]).unlock == Unlock(level=3)
    assert disclosed(of("personal"), CHANNEL[2]).unlock is None


@pytest.mark.parametrize(
    ("item", "outcomes"),
    [
        (of("personal", name_from=3), "unseen unseen withheld shown"),
        (of("personal", kind_from=3), "unseen unseen withheld shown"),
        (of("sensitive", name_from=2), "unseen unseen shown shown"),
        (of("sensitive", kind_from=2), "unseen unseen withheld shown"),
        (of("personal", name_from=2, kind_from=3), "unseen unseen shown shown"),
        (of("personal", name_from=0), "unseen unseen shown shown"),
        (of("internal", name_from=0), "unseen unseen unseen unseen"),
    ],
)
def test_a_tenant_sets_levels_by_name_and_kind_but_opens_nothing_below_level_2(item: Item, outcomes: str) -> None:
    assert " ".join(disclosed(item, standing).outcome for standing in CHANNEL) == outcomes


def test_quality_never_reads_what_is_sensitive_and_routing_reads_no_facts() -> None:
    quality, routing = (BOSS._replace(purpose=purpose) for purpose in ("quality", "routing"))
    assert disclosed(of("sensitive"), quality) == Disclosure("masked")
    assert disclosed(of("personal"), quality) == Disclosure("shown")
    assert {disclosed(of(s, own=True), routing).outcome for s in SENSITIVITIES} == {"unseen"}


class Read(NamedTuple):
    """One read: what it is about, and who reads."""

    item: Item
    by: Standing


def a_read(dice: random.Random) -> Read:
    """Any fact and any reader there may be."""
    level_of_name = dice.choice([None, None, 0, 1, 2, 3])
    item = Item(
        dice.choice(SENSITIVITIES), dice.random() < 0.3, dice.random() < 0.7, level_of_name,
        dice.choice([None, None, 0, 1, 2, 3]),
    )  # fmt: skip
    role = dice.choice(["adapter", "agent", "supervisor", "admin"])
    by = Standing(
        dice.randrange(4), dice.random() < 0.4, role != "adapter", role in ("supervisor", "admin"),
        dice.choice(get_args(ReadingFor)),
    )  # fmt: skip
    return Read(item, by)


def may_be_read(item: Item, by: Standing) -> bool:
    """The second opinion: whether the value itself may reach this reader, told rule by rule as the issue has it."""
    if by.purpose == "routing":
        return False
    if by.purpose == "quality" and item.sensitivity == "sensitive":
        return False
    if item.sensitivity == "internal":
        return by.colleague and (by.everything or item.own or item.shared)
    if by.everything or item.own:
        return True
    if not item.shared or (not by.colleague and by.level < 2):
        return False
    if item.name_from is not None:
        return by.level >= item.name_from
    if by.level < (item.kind_from or 0):
        return item.sensitivity == "sensitive" and (item.kind_from or 0) <= 2 and by.fresh and by.level >= 2
    if item.sensitivity == "sensitive":
        return by.level == 3 or (by.level == 2 and by.fresh and (item.kind_from or 0) < 3)
    return item.sensitivity == "public" or by.level >= 2


Rule = Callable[[Item, Standing], Disclosure]


def wrong_read(rule: Rule) -> Read | None:
    """The first read in which a rule gives a value that may not be read, or holds back one that may."""
    dice = random.Random(4)
    reads = (a_read(dice) for _ in range(READS))
    return next((read for read in reads if (rule(*read).outcome == "shown") != may_be_read(*read)), None)


def test_a_hundred_thousand_random_reads_disclose_nothing_below_its_assurance() -> None:
    assert wrong_read(disclosed) is None


def _fresh_for_all(item: Item, by: Standing) -> Disclosure:
    return Disclosure("shown") if item.shared and by.fresh and by.level >= 2 else disclosed(item, by)


def _internal_to_its_channel(item: Item, by: Standing) -> Disclosure:
    return Disclosure("shown") if item.own and by.purpose == "service" else disclosed(item, by)


def _level_1_is_enough(item: Item, by: Standing) -> Disclosure:
    return disclosed(item, by._replace(level=2) if by.level == 1 else by)


@pytest.mark.parametrize("hole", [_fresh_for_all, _internal_to_its_channel, _level_1_is_enough])
def test_a_hole_in_the_policy_is_found(hole: Rule) -> None:
    assert wrong_read(hole)


def test_a_level_lowered_in_the_table_itself_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    holed = dict(clearance._LEVEL_FOR) | {"sensitive": 2}
    monkeypatch.setattr(clearance, "_LEVEL_FOR", holed)
    assert wrong_read(disclosed.__wrapped__)


#: What each role gets of what is shared: without an interaction, and for one at level 0, 1, 2 and 3. Who works for none
#: in particular goes by what he holds, here at level 1; an admin for an interaction stands in for its channel.
OF_ROLES = {
    ("adapter", "personal"): "unseen, unseen unseen shown shown",
    ("adapter", "sensitive"): "unseen, unseen unseen withheld shown",
    ("adapter", "internal"): "unseen, unseen unseen unseen unseen",
    ("agent", "personal"): "masked, masked masked shown shown",
    ("agent", "sensitive"): "masked, masked masked masked shown",
    ("agent", "internal"): "shown, shown shown shown shown",
    ("supervisor", "personal"): "shown, masked masked shown shown",
    ("supervisor", "sensitive"): "shown, masked masked masked shown",
    ("supervisor", "internal"): "shown, shown shown shown shown",
    ("admin", "personal"): "shown, unseen unseen shown shown",
    ("admin", "sensitive"): "shown, unseen unseen withheld shown",
    ("admin", "internal"): "shown, unseen unseen unseen unseen",
}


def an_outcome(role: Role, sensitivity: Sensitivity, level: int, interaction_id: str | None) -> str:
    """What a role gets of a shared fact while a customer, proven a while ago, waits for an agent."""
    told = after(started(a_context(), "in_1", 3), a_fact(1, sensitivity=sensitivity))
    waits = offered(started(told, "in_2", level, NOON - 10 * MINUTE), interaction_id="in_2", to={"queue": "cards"})
    seen = sight(waits, Reader(role=role, interaction_id=interaction_id, agent_id="ann"), PLAIN, NOON)
    return seen.of(told.facts[0]).outcome


@pytest.mark.parametrize(("role", "sensitivity"), OF_ROLES)
def test_a_role_sees_by_the_interaction_that_it_reads_for(role: Role, sensitivity: Sensitivity) -> None:
    outcomes = " ".join(an_outcome(role, sensitivity, level, "in_2") for level in range(4))
    assert f"{an_outcome(role, sensitivity, 1, None)}, {outcomes}" == OF_ROLES[role, sensitivity]


class TestSights:
    """From interactions and tenants' files to the table."""

    @pytest.mark.parametrize(("ago", "outcome"), [(0, "shown"), (299, "shown"), (300, "withheld"), (900, "withheld")])
    def test_just_now_is_five_minutes(self, ago: int, outcome: str) -> None:
        raised = Assurance(level=2, method="pin", raised_at=NOON - timedelta(seconds=ago))
        assert self.of("sensitive", raised).outcome == outcome

    def test_an_assurance_of_unknown_age_is_not_fresh(self) -> None:
        assert self.of("sensitive", Assurance(level=2, method="pin")).outcome == "withheld"

    @staticmethod
    def of(sensitivity: Sensitivity, assurance: Assurance) -> Disclosure:
        """What an interaction of this assurance gets of a shared fact."""
        interaction = Interaction(
            interaction_id="in_1", channel="ivr", system="ivr", external_id="x", holder=Holder(party="bot"),
            started_at=NOON, assurance=assurance,
        )  # fmt: skip
        context = a_context().with_interaction(interaction)
        seen = sight(context, Reader(interaction_id="in_1"), PLAIN, NOON)
        fact = Fact(name="f", value=1, state="stated", sensitivity=sensitivity, evidence="e",
                    origin=Origin(assurance=2, at=NOON))  # fmt: skip
        return seen.of(fact)

    TENANT = Tenant.model_validate(
        {
            "tenant": "acme",
            "facts": {"salary": {"disclose_from": 3}},
            "journeys": [{"kind": "debt advice", "disclose_from": 3}],
        }
    )

    def seen(self, level: int, interaction_id: str = "in_2") -> Sight:
        """What another interaction of this level sees of a customer with a salary and a guarded journey."""
        context = started(self.told(), interaction_id, level, NOON - 10 * MINUTE)
        return sight(context, Reader(interaction_id=interaction_id), self.TENANT, NOON)

    def told(self) -> Context:
        """A customer who told it in a call at level 3."""
        context = started(a_context(), "in_1", 3)
        context = after(context, an_event("journey.started", kind="debt advice", journey_id="jr_1"), tenant=self.TENANT)
        return after(context, a_fact(1, name="salary"), a_fact(2, name="debt", journey_id="jr_1"), tenant=self.TENANT)

    def test_a_name_s_own_level_and_its_journey_s_kind_s_hold_for_facts(self) -> None:
        facts = {fact.name: fact for fact in self.told().facts}
        for name in ("salary", "debt"):
            assert [self.seen(level).of(facts[name]).outcome for level in (2, 3)] == ["withheld", "shown"]

    def test_a_guarded_journey_is_not_in_sight_below_its_level_nor_are_its_events(self) -> None:
        journey = self.told().journeys["jr_1"]
        assert [self.seen(level).sees_journey(journey) for level in (2, 3)] == [False, True]
        event = {"type": "journey.started", "journey_id": "jr_1", "interaction_id": "in_1", "assurance": 3,
                 "data": {"kind": "debt advice"}}  # fmt: skip
        assert [self.seen(level).told(event) is not None for level in (2, 3)] == [False, True]
        over = event | {"journey_id": "jr_over"}
        assert [self.seen(level).told(over) is not None for level in (2, 3)] == [False, True], "it may have been such"
