"""Who it is: blocked values, values of too many, types that are not good alone, and callers nobody can tell apart."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from ctxhub.errors import Ambiguous, CustomerUnknown, InteractionUnknown, Invalid
from ctxhub.hub.changes import Decision
from ctxhub.hub.hub import Hub
from ctxhub.model.context import KEEP_ENDED
from ctxhub.model.customer import MOST_IDENTIFIERS, AssuranceClaim, Identifier, Unsure
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import a_stranger, begin, context_of, tell
from tests.model import cards
from tests.support import ACME, ADAPTER, ADMIN, HOUR, TENANT, Clock, a_phone, ways

DESK_NUMBER = "010 6552 9988"
DECLARED = {
    "types": {
        "phone": {"most": 3},
        "account": {},
        "club": {},
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
    async def test_nor_does_a_numberwithheld_lead_anywhere(self, hub: Hub, told: str) -> None:
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

    async def test_a_channel_that_links_it_can_not_tell_it_from_another(self, hub: Hub) -> None:
        started = await begin(hub, "a", 1, customer_id="c1")
        who, call = Who(ACME, "c1"), started["interaction"]["interaction_id"]
        for value in ("0000", "0001"):
            told = of("account", value)
            held, _ = await hub.customers.add_identifier(who, told, interaction_id=call, caller=ADAPTER)
            assert held == [told]
            with pytest.raises(InteractionUnknown):
                await hub.customers.add_identifier(who, told, interaction_id="in_none", caller=ADAPTER)


class TestUndeclared:
    """Where a tenant declares types, a free one that it does not declare is most likely a typing error."""

    async def test_it_is_refused_wherever_it_is_named(self, hub: Hub) -> None:
        typo = of("acount", "A-1")
        started = await begin(hub, "a", customer_id="c1", identifiers=[a_phone()])
        refusals = [
            (calls(hub, "b", a_phone(), typo), "/identifiers/1/type"),
            (hub.customers.add_identifier(Who(ACME, "c1"), typo), "/type"),
            (hub.customers.lookup(ACME, typo), "/identifier/type"),
        ]
        for refused, pointer in refusals:
            with pytest.raises(Invalid) as caught:
                await refused
            assert [error["pointer"] for error in caught.value.ids["errors"]] == [pointer]
        assert started["customer_id"] == "c1"

    @pytest.mark.parametrize("type_", ["email", "wechat", "unionid", "bsuid", "card_ref"])
    async def test_types_that_the_hub_knows_need_no_declaration(self, hub: Hub, type_: str) -> None:
        first = await calls(hub, "a", of(type_, "who@else.example"))
        assert (await calls(hub, "b", of(type_, "who@else.example")))["customer_id"] == first["customer_id"]

    async def test_what_is_held_of_a_type_declared_no_more_can_be_taken_away(self, hub: Hub) -> None:
        await begin(hub, "a", customer_id="c1", identifiers=[a_phone()])
        who, old = Who(ACME, "c1"), of("loyalty", "L-1")
        held = (await context_of(hub, who)).but(identifiers=(old,))
        await hub.changes.change(who, lambda present: Decision(held, heard={"none": "t"}))
        assert await hub.customers.remove_identifier(who, old) == ([], 2)


class TestTooMany:
    """A value of more customers than it may lead to is nobody's, and stays so."""

    async def shared(self, hub: Hub, count: int, level: int = 2) -> None:
        """So many customers with one number."""
        for number in range(count):
            await begin(hub, f"m{number}", level, customer_id=f"m{number}", identifiers=[a_phone()])

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

    async def test_who_only_claims_it_below_level_2_does_not_count(self, hub: Hub) -> None:
        await begin(hub, "v", customer_id="c1", identifiers=[a_phone(strength="verified")])
        await self.shared(hub, 8, level=1)
        assert (await calls(hub, "x", a_phone()))["customer_id"] == "c1"

    @pytest.mark.parametrize("level", [1, 2])
    async def test_it_grows_no_further(self, hub: Hub, level: int) -> None:
        await self.shared(hub, 8, level)
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
        assert shared["find_out"] == ["phone", "account", "club", "code"]
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

    async def test_a_registered_numberanother_calls_from_stays_its_owners(self, hub: Hub) -> None:
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
        await begin(hub, "a", 2, customer_id="c1", identifiers=many)
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


class TestWhispered:
    """What is claimed below level 2 is that interaction's alone, until it is told surely."""

    MAIL = of("email", "who@else.example")
    CARD = of("card", cards.number(Random(1), "4", 16))

    async def victim(self, hub: Hub) -> str:
        """Somebody known well, in an interaction at level 2; return it."""
        started = await begin(hub, "app", 2, customer_id="c1", identifiers=[a_phone(strength="verified")])
        return str(started["interaction"]["interaction_id"])

    async def whispering(self, hub: Hub, *identifiers: Identifier) -> str:
        """Somebody who calls from her number and claims more; return the call."""
        answer = await calls(hub, "CA-1", a_phone(), *identifiers or (self.MAIL, self.CARD), level=1)
        assert answer["customer_id"] == "c1"
        return str(answer["interaction"]["interaction_id"])

    async def read(self, hub: Hub, interaction_id: str) -> tuple[list[str], list[str]]:
        """By what a customer is known to a channel, and what may be asked."""
        who, reader = Who(ACME, "c1"), ADAPTER.reader(interaction_id)
        shown = (await hub.contexts.read(who, reader)).value
        asked = await hub.asks.ask(who, reader, interaction_id, ["card_number", "card_last4"], None)
        return [i["type"] for i in shown["identifiers"]], [answer.verdict for answer in asked.answers]

    async def test_nobody_else_reads_it_or_is_found_by_it(self, hub: Hub) -> None:
        app = await self.victim(hub)
        before = await self.read(hub, app)
        await self.whispering(hub)
        assert await self.read(hub, app) == before
        assert (await calls(hub, "x", self.MAIL))["customer_id"] != "c1"
        assert (await calls(hub, "y", self.CARD))["customer_id"] != "c1"

    async def test_once_its_caller_is_verified_it_leads_there(self, hub: Hub) -> None:
        app, call = await self.victim(hub), await self.whispering(hub)
        await tell(hub, "assurance.raised", call, "up", Who(ACME, "c1"), level=2, method="pin")
        types, verdicts = await self.read(hub, app)
        assert (sorted(types), verdicts) == (["card", "email", "phone"], ["known", "known"])
        assert (await calls(hub, "x", self.MAIL))["customer_id"] == "c1"

    async def test_or_once_it_is_told_surely_elsewhere(self, hub: Hub) -> None:
        app = await self.victim(hub)
        await self.whispering(hub)
        await begin(hub, "chat", 2, customer_id="c1", identifiers=[self.MAIL])
        assert (await self.read(hub, app))[0] == ["phone", "email"]
        assert (await calls(hub, "x", self.MAIL))["customer_id"] == "c1"

    @pytest.mark.parametrize("strength", ["claimed", "verified"])
    async def test_a_numbertold_surely_stays_unambiguous(self, hub: Hub, strength: str) -> None:
        await begin(hub, "app", 2, customer_id="c1", identifiers=[a_phone(strength=strength)])
        for number in range(4):
            await begin(hub, f"m{number}", 1, customer_id=f"m{number}", identifiers=[a_phone()])
        answer = await calls(hub, "x", a_phone())
        assert (answer["customer_id"], answer["ambiguous"]) == ("c1", False)

    async def test_who_only_claims_it_gives_way_to_who_tells_it_surely(self, hub: Hub) -> None:
        await begin(hub, "m1", 1, customer_id="m1", identifiers=[a_phone()])
        await begin(hub, "app", 2, customer_id="c1", identifiers=[a_phone()])
        assert (await calls(hub, "x", a_phone()))["customer_id"] == "c1"

    async def test_the_first_contact_of_somebody_new_leads_back_there_and_is_not_shown(self, hub: Hub) -> None:
        first = await calls(hub, "CA-1", a_phone(), self.CARD, level=1)
        again = await calls(hub, "CA-2", a_phone(), self.MAIL, level=1)
        assert again["customer_id"] == first["customer_id"]
        assert (await calls(hub, "x", self.MAIL))["customer_id"] == first["customer_id"]
        surely = await calls(hub, "app", a_phone(strength="verified"), level=2)
        assert surely["customer_id"] == first["customer_id"]
        assert [i["type"] for i in surely["context"]["identifiers"]] == ["phone"]

    async def test_it_is_not_taken_along_to_whom_a_stranger_claims_to_be(self, hub: Hub) -> None:
        await self.victim(hub)
        stranger = await calls(hub, "chat", self.MAIL, level=1)
        who, key = Who(ACME, stranger["customer_id"]), stranger["interaction"]["interaction_id"]
        await hub.interactions.identify(who, key, "c1", AssuranceClaim(level=1, method="ani"))
        assert (await calls(hub, "x", self.MAIL))["customer_id"] != "c1"

    async def test_but_to_whom_he_turns_out_to_be(self, hub: Hub) -> None:
        await self.victim(hub)
        stranger = await calls(hub, "chat", self.MAIL, level=1)
        who, key = Who(ACME, stranger["customer_id"]), stranger["interaction"]["interaction_id"]
        await hub.interactions.identify(who, key, "c1", AssuranceClaim(level=2, method="pin"))
        assert (await calls(hub, "x", self.MAIL))["customer_id"] == "c1"

    async def test_what_is_added_in_an_interaction_is_as_sure_as_that_is(self, hub: Hub) -> None:
        app, who = await self.victim(hub), Who(ACME, "c1")
        call = await self.whispering(hub, of("account", "A-0"))
        await hub.customers.add_identifier(who, self.MAIL, interaction_id=call)
        await hub.customers.add_identifier(who, of("account", "A-1"), interaction_id=app)
        assert (await self.read(hub, app))[0] == ["phone", "account"]
        assert (await calls(hub, "x", self.MAIL))["customer_id"] != "c1"
        assert (await calls(hub, "y", of("account", "A-1")))["customer_id"] == "c1"

    async def test_a_key_of_one_channel_says_in_which_interaction_something_is_claimed(self, hub: Hub) -> None:
        await self.victim(hub)
        chat, who = ADAPTER.but(channels=frozenset({"chat"})), Who(ACME, "c1")
        with pytest.raises(Invalid):
            await hub.customers.add_identifier(who, self.MAIL, caller=chat)
        await hub.customers.add_identifier(who, of("account", "A-1", "verified"), caller=chat)
        await hub.customers.add_identifier(who, self.MAIL, caller=ADAPTER)
        assert (await calls(hub, "x", self.MAIL))["customer_id"] == "c1"

    async def test_nobody_makes_it_sure_by_saying_so(self, hub: Hub) -> None:
        app = await self.victim(hub)
        await self.whispering(hub, self.MAIL.but(unsure=Unsure(leads=True)))
        assert (await self.read(hub, app))[0] == ["phone"]
        assert (await calls(hub, "x", self.MAIL))["customer_id"] != "c1"

    async def test_it_goes_with_the_last_interaction_that_claimed_it(self, hub: Hub) -> None:
        await self.victim(hub)
        call = await self.whispering(hub, self.MAIL)
        context = await context_of(hub, Who(ACME, "c1"))
        ended = context.interaction(call).but(state="ended", ended_at=context.created_at)
        left = context.with_interaction(ended).pruned(context.created_at + KEEP_ENDED + HOUR)
        assert [i.type for i in left.identifiers] == ["phone"]


class TestFull:
    """A customer has room for so many identifiers; what leads there is what is held."""

    ACCOUNTS = tuple(of("club", f"n{number}") for number in range(200))

    async def crowd(self, hub: Hub, level: int = 2) -> None:
        """Four starts of one customer with fifty claimed identifiers each."""
        for start in range(4):
            await begin(hub, f"s{start}", level, customer_id="c1", identifiers=self.ACCOUNTS[50 * start :][:50])

    async def leading(self, hub: Hub) -> set[str]:
        """Which of them lead to the customer."""
        owners = await hub.lookups.owners(ACME, self.ACCOUNTS)
        return {one.value for one, led in zip(self.ACCOUNTS, owners, strict=True) if led}

    @pytest.mark.parametrize("level", [1, 2])
    async def test_starts_add_no_more_than_that_and_only_what_is_held_leads_there(self, hub: Hub, level: int) -> None:
        await self.crowd(hub, level)
        held = (await context_of(hub, Who(ACME, "c1"))).identifiers
        assert (len(held), {one.value for one in held}) == (MOST_IDENTIFIERS, await self.leading(hub))

    async def test_what_is_verified_takes_the_place_of_what_was_seen_longest_ago(self, hub: Hub, clock: Clock) -> None:
        await self.crowd(hub)
        clock.move(HOUR)
        for start in range(2):
            seen = self.ACCOUNTS[1:][64 * start :][:64]
            await begin(hub, f"again-{start}", 2, customer_id="c1", identifiers=seen)
        named = [self.ACCOUNTS[1], of("account", "REAL", "verified")]
        await begin(hub, "login", 2, customer_id="c1", identifiers=named)
        held = (await context_of(hub, Who(ACME, "c1"))).identifiers
        assert {one.value for one in held} == {*(f"n{number}" for number in range(1, MOST_IDENTIFIERS)), "REAL"}
        assert {one.value for one in held[:-1]} == await self.leading(hub)

    async def test_claims_take_the_place_of_nothing_that_is_surer(self, hub: Hub) -> None:
        for start in range(2):
            named = [one.but(strength="verified") for one in self.ACCOUNTS[64 * start :][:64]]
            await begin(hub, f"s{start}", 2, customer_id="c1", identifiers=named)
        await begin(hub, "more", 2, customer_id="c1", identifiers=self.ACCOUNTS[150:])
        with pytest.raises(Invalid):
            await hub.customers.add_identifier(Who(ACME, "c1"), self.ACCOUNTS[199])
        assert await self.leading(hub) == {one.value for one in self.ACCOUNTS[:MOST_IDENTIFIERS]}

    @pytest.mark.parametrize("level", [1, 2])
    async def test_forgetting_finds_all_that_leads_there(self, hub: Hub, level: int) -> None:
        await self.crowd(hub, level)
        await hub.customers.forget(Who(ACME, "c1"))
        assert await self.leading(hub) == set()
        assert (await calls(hub, "x", self.ACCOUNTS[150]))["customer_id"] != "c1"
