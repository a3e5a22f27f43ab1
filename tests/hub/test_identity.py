"""Who it is: blocked values, values of too many, types that are not good alone, and callers nobody can tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ctxhub.errors import Ambiguous, CustomerUnknown, Invalid
from ctxhub.hub.hub import Hub
from ctxhub.model.customer import MOST_IDENTIFIERS, AssuranceClaim, Identifier
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import a_stranger, begin, context_of, tell
from tests.support import ACME, ADAPTER, ADMIN, HOUR, TENANT, Clock, a_phone, ways

DESK_NUMBER = "010 6552 9988"
DECLARED = {
    "types": {
        "phone": {"most": 3},
        "account": {},
        "visitor": {"alone": False},
        "device": {"alone": False},
    },
    "blocked": [{"type": "phone", "value": DESK_NUMBER}, {"type": "account", "value": "0000"}],
}


@pytest.fixture
async def hub(server: Server, clock: Clock, tmp_path: Path) -> Hub:
    """A hub whose tenant declares identifiers."""
    folder = tmp_path / "tenants"
    folder.mkdir()
    declared = TENANT.model_dump(mode="json", exclude={"tenant", "identifiers"}) | {"identifiers": DECLARED}
    (folder / f"{ACME}.yaml").write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
    hub = Hub(server, ways(clock, tenants=folder))
    assert hub.tenants.of(ACME).identifier("phone").most == 3
    return hub


def of(type_: str, value: str, strength: Any = "claimed") -> Identifier:
    return Identifier(type=type_, value=value, strength=strength)


async def calls(hub: Hub, external_id: str, *identifiers: Identifier, **more: Any) -> dict[str, Any]:
    """The answer to somebody who calls."""
    return (await hub.interactions.start(ADAPTER, a_stranger(external_id, *identifiers, **more)))[0]


class TestBlocked:
    """A value that is everybody's leads nowhere and links nothing, without a word."""

    async def test_two_who_call_from_the_reception_desk_are_two(self, hub: Hub) -> None:
        first, second = await calls(hub, "a", a_phone(DESK_NUMBER)), await calls(hub, "b", a_phone("+861065529988"))
        assert first["customer_id"] != second["customer_id"]
        assert (first["ambiguous"], second["ambiguous"]) == (False, False)
        assert (await context_of(hub, Who(ACME, first["customer_id"]))).identifiers == ()

    @pytest.mark.parametrize("told", ["anonymous", "Unavailable", "sip:anonymous@anonymous.invalid"])
    async def test_nor_does_a_number_withheld_lead_anywhere(self, hub: Hub, told: str) -> None:
        first, second = await calls(hub, "a", a_phone(told)), await calls(hub, "b", a_phone(told))
        assert first["customer_id"] != second["customer_id"]
        assert first["interaction"]["assurance"]["level"] == 0

    async def test_a_named_customer_is_not_linked_to_it(self, hub: Hub) -> None:
        await begin(hub, "a", customer_id="c1", identifiers=[a_phone(DESK_NUMBER), a_phone()])
        assert [i.value for i in (await context_of(hub, Who(ACME, "c1"))).identifiers] == ["+8613800138000"]
        held, _ = await hub.customers.add_identifier(Who(ACME, "c1"), of("account", "0000", "verified"))
        assert [i.type for i in held] == ["phone"]
        for blocked in (a_phone(DESK_NUMBER), of("account", "0000")):
            with pytest.raises(CustomerUnknown):
                await hub.customers.lookup(ACME, blocked)


class TestTooMany:
    """A value of more customers than it may lead to is nobody's, and stays so."""

    async def shared(self, hub: Hub, count: int) -> None:
        """So many customers with one number."""
        for number in range(count):
            await begin(hub, f"m{number}", customer_id=f"m{number}", identifiers=[a_phone()])

    async def test_up_to_that_many_a_verified_owner_may_still_be_told_from_the_others(self, hub: Hub) -> None:
        await self.shared(hub, 2)
        await begin(hub, "v", customer_id="c1", identifiers=[a_phone(strength="verified")])
        assert (await calls(hub, "x", a_phone()))["customer_id"] == "c1"

    async def test_beyond_it_not_even_that(self, hub: Hub) -> None:
        await begin(hub, "v", customer_id="c1", identifiers=[a_phone(strength="verified")])
        await self.shared(hub, 3)
        answer = await calls(hub, "x", a_phone())
        assert (answer["ambiguous"], answer["known"]) == (True, False)
        with pytest.raises(Ambiguous):
            await hub.customers.lookup(ACME, a_phone())

    async def test_it_grows_no_further(self, hub: Hub) -> None:
        await self.shared(hub, 8)
        assert len((await hub.lookups.owners(ACME, [a_phone()]))[0]) == 4
        held, _ = await hub.customers.add_identifier(Who(ACME, "m7"), a_phone())
        assert held == []


class TestNotAlone:
    """A type that is not good alone confirms, and picks only together with another."""

    async def test_by_itself_it_picks_nobody(self, hub: Hub) -> None:
        await begin(hub, "a", customer_id="c1", identifiers=[of("visitor", "v1")])
        answer = await calls(hub, "x", of("visitor", "v1"))
        assert (answer["customer_id"] != "c1", answer["ambiguous"]) == (True, False)

    async def test_two_types_that_agree_pick_their_customer(self, hub: Hub) -> None:
        both = [of("visitor", "v1"), of("device", "d1")]
        await begin(hub, "a", customer_id="c1", identifiers=both)
        assert (await calls(hub, "x", *both))["customer_id"] == "c1"

    async def test_two_that_do_not_agree_pick_nobody(self, hub: Hub) -> None:
        await begin(hub, "a", customer_id="c1", identifiers=[of("visitor", "v1")])
        await begin(hub, "b", customer_id="c2", identifiers=[of("device", "d1")])
        answer = await calls(hub, "x", of("visitor", "v1"), of("device", "d1"))
        assert answer["customer_id"] not in ("c1", "c2")

    async def test_two_values_of_one_type_are_no_second_witness(self, hub: Hub) -> None:
        both = [of("visitor", "v1"), of("visitor", "v2")]
        await begin(hub, "a", customer_id="c1", identifiers=both)
        assert (await calls(hub, "x", *both))["customer_id"] != "c1"


class TestSharedLine:
    """A number of several people shows nothing of any of them."""

    async def family(self, hub: Hub) -> None:
        """Two known people with one number, each with something to hide."""
        for name, city in (("c1", "Xi'an"), ("c2", "Lhasa")):
            started = await begin(hub, name, 2, customer_id=name, identifiers=[a_phone()])
            key, who = started["interaction"]["interaction_id"], Who(ACME, name)
            await tell(hub, "fact.stated", key, f"{name}-city", who, name="city", value=city)
            await tell(hub, "journey.started", key, f"{name}-jr", who, kind="refund")

    async def test_the_answer_is_that_to_somebody_nobody_knows_but_for_ids_and_the_flag(self, hub: Hub) -> None:
        await self.family(hub)
        shared = await calls(hub, "CA-1", a_phone())
        unknown = await calls(hub, "CA-2", a_phone("+8613700137000"))
        assert (shared["ambiguous"], unknown["ambiguous"]) == (True, False)

        def bare(answer: dict[str, Any]) -> str:
            ids = (answer["customer_id"], answer["interaction"]["interaction_id"], answer["interaction"]["external_id"])
            text = repr(answer | {"ambiguous": None})
            for place, one in enumerate(ids):
                text = text.replace(one, f"<{place}>")
            return text

        assert bare(shared) == bare(unknown)

    async def test_it_says_how_to_find_out_the_same_whoever_it_is(self, hub: Hub) -> None:
        await self.family(hub)
        shared = await calls(hub, "CA-1", a_phone())
        assert shared["find_out"] == ["phone", "account", "code"]
        assert (await begin(hub, "c1", 2, customer_id="c1"))["find_out"] == []

    async def test_what_it_turns_out_to_be_takes_this_call_and_nothing_else(self, hub: Hub) -> None:
        await self.family(hub)
        before = [await context_of(hub, Who(ACME, name)) for name in ("c1", "c2")]
        shared = await calls(hub, "CA-1", a_phone())
        who, key = Who(ACME, shared["customer_id"]), shared["interaction"]["interaction_id"]
        await tell(hub, "fact.stated", key, "said", who, name="city", value="Harbin")
        await hub.interactions.identify(who, key, "c3", AssuranceClaim(level=2, method="pin"))
        assert [await context_of(hub, Who(ACME, name)) for name in ("c1", "c2")] == before
        home = await context_of(hub, Who(ACME, "c3"))
        assert ([fact.value for fact in home.facts], list(home.interactions)) == (["Harbin"], [key])

    async def test_a_registered_number_another_calls_from_stays_its_owners(self, hub: Hub) -> None:
        started = await begin(hub, "c1", 2, customer_id="c1", identifiers=[a_phone(strength="verified")])
        await tell(hub, "fact.stated", started["interaction"]["interaction_id"], "e1", Who(ACME, "c1"), name="city",
                   value="Xi'an")  # fmt: skip
        before = await context_of(hub, Who(ACME, "c1"))
        guest = await calls(hub, "CA-1", a_phone())
        assert guest["customer_id"] == "c1"
        key = guest["interaction"]["interaction_id"]
        await tell(hub, "fact.stated", key, "e2", Who(ACME, "c1"), name="city", value="Harbin")
        await hub.interactions.identify(Who(ACME, "c1"), key, "c9", None)
        after = await context_of(hub, Who(ACME, "c1"))
        seen = tuple(i.but(last_seen=None) for i in before.identifiers)
        assert tuple(i.but(last_seen=None) for i in after.identifiers) == seen
        assert (after.facts, after.interactions) == (before.facts, before.interactions)
        assert [fact.value for fact in (await context_of(hub, Who(ACME, "c9"))).facts] == ["Harbin"]
        assert (await calls(hub, "CA-2", a_phone()))["customer_id"] == "c1"

    async def test_what_one_person_proved_is_worth_nothing_for_the_other(self, hub: Hub) -> None:
        owner = await begin(hub, "c1", 2, customer_id="c1", identifiers=[a_phone(strength="verified")])
        await begin(hub, "c9", 2, customer_id="c9")
        key = owner["interaction"]["interaction_id"]
        _, view, _ = await hub.interactions.identify(Who(ACME, "c1"), key, "c9", None)
        assert view.assurance.level == 0


class TestKept:
    """What is noted of an identifier, and how many there may be."""

    async def test_first_and_last_seen_and_where_from(self, hub: Hub, clock: Clock) -> None:
        first = clock()
        await begin(hub, "a", customer_id="c1", channel="ivr", system="acd-1", identifiers=[a_phone()])
        clock.move(HOUR)
        await begin(hub, "b", customer_id="c1", identifiers=[a_phone(strength="verified")])
        (held,) = (await context_of(hub, Who(ACME, "c1"))).identifiers
        assert (held.first_seen, held.last_seen, held.strength) == (first, clock(), "verified")
        assert held.source == "ivr/acd-1"

    async def test_what_a_channel_says_of_that_is_not_taken(self, hub: Hub, clock: Clock) -> None:
        forged = a_phone().but(source="head office", first_seen=clock() - HOUR)
        await begin(hub, "a", customer_id="c1", identifiers=[forged])
        (held,) = (await context_of(hub, Who(ACME, "c1"))).identifiers
        assert (held.source, held.first_seen) == ("chat/chat", clock())

    async def test_telling_something_writes_nothing_down_about_identifiers(self, hub: Hub, clock: Clock) -> None:
        started = await begin(hub, "a", customer_id="c1", identifiers=[a_phone()])
        loaded, _ = await hub.changes.contexts.existing(Who(ACME, "c1"))
        clock.move(HOUR / 60)
        key = started["interaction"]["interaction_id"]
        await tell(hub, "message.received", key, "m1", Who(ACME, "c1"), text="hello")
        after, _ = await hub.changes.contexts.existing(Who(ACME, "c1"))
        assert after.document_version == loaded.document_version

    async def test_there_may_be_many_but_not_any_number(self, hub: Hub) -> None:
        who = Who(ACME, "c1")
        many = [of("club", f"n{number}") for number in range(64)]
        await begin(hub, "a", customer_id="c1", identifiers=many)
        for number in range(64, MOST_IDENTIFIERS):
            await hub.customers.add_identifier(who, of("club", f"n{number}"))
        with pytest.raises(Invalid):
            await hub.customers.add_identifier(who, of("club", "one more"))
        await hub.customers.add_identifier(who, of("club", "n3", "verified"))
        assert (await begin(hub, "b", customer_id="c1", identifiers=[of("club", "another")]))["customer_id"] == "c1"
        assert len((await context_of(hub, who)).identifiers) == MOST_IDENTIFIERS

    async def test_where_it_came_from_is_shown_to_who_sees_everything(self, hub: Hub) -> None:
        started = await begin(hub, "a", 2, customer_id="c1", identifiers=[a_phone()])
        reader = ADAPTER.reader(started["interaction"]["interaction_id"])
        assert (await hub.contexts.read(Who(ACME, "c1"), reader)).value["identifiers"] == [
            {"type": "phone", "value": "+8613800138000", "strength": "claimed"}
        ]
        shown = (await hub.contexts.read(Who(ACME, "c1"), ADMIN.reader())).value["identifiers"]
        assert shown[0]["source"] == "chat/chat"
