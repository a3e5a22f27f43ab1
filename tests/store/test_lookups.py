"""What leads to a customer: never spelled in a key, never overwritten, never for another tenant."""

from __future__ import annotations

import asyncio

import pytest
from redis import Redis

from ctxhub.errors import TooMany
from ctxhub.store.contexts import Who
from ctxhub.store.lookups import Lookups
from ctxhub.store.redis import Server
from tests.support import ACME, HOUR, KEEP, MASTER_KEY, a_phone

pytestmark = pytest.mark.usefixtures("no_key_leaks")


@pytest.fixture
def lookups(server: Server) -> Lookups:
    return Lookups(server, MASTER_KEY, KEEP)


class TestExternalIds:
    """Who is first to say where a system's id leads."""

    async def test_the_first_to_say_so_is_believed(self, lookups: Lookups) -> None:
        assert await lookups.external(ACME, "twilio", "CA1") is None
        assert await lookups.claim_external(ACME, "twilio", "CA1", "c1", "in_1") == ("c1", "in_1")
        assert await lookups.claim_external(ACME, "twilio", "CA1", "c2", "in_2") == ("c1", "in_1")
        assert await lookups.external(ACME, "twilio", "CA1") == ("c1", "in_1")

    async def test_of_many_at_the_same_instant_one_is_first_and_all_learn_who(self, lookups: Lookups) -> None:
        claims = (lookups.claim_external(ACME, "twilio", "CA1", f"c{n}", f"in_{n}") for n in range(20))
        assert len(set(await asyncio.gather(*claims))) == 1

    async def test_another_system_or_tenant_means_another_call(self, lookups: Lookups) -> None:
        await lookups.claim_external(ACME, "twilio", "CA1", "c1", "in_1")
        assert await lookups.external(ACME, "acd", "CA1") is None
        assert await lookups.external("other", "twilio", "CA1") is None

    async def test_after_a_move_it_leads_elsewhere(self, lookups: Lookups) -> None:
        await lookups.claim_external(ACME, "twilio", "CA1", "c1", "in_1")
        await lookups.set_external(ACME, "twilio", "CA1", "c7", "in_1")
        assert await lookups.external(ACME, "twilio", "CA1") == ("c7", "in_1")

    async def test_of_another_name_the_newest_meaning_counts_until_it_is_dropped(self, lookups: Lookups) -> None:
        ref = ("acd", "call", "0078")
        await lookups.set_refs(ACME, [ref], "c1", "in_1")
        await lookups.set_refs(ACME, [ref], "c2", "in_2")
        assert await lookups.ref(ACME, *ref) == ("c2", "in_2")
        assert await lookups.ref(ACME, "acd", "case", "0078") is None
        await lookups.drop_interaction(ACME, "acd", "x", [ref])
        assert await lookups.ref(ACME, *ref) is None


class TestIdentifiers:
    """An identifier leads to one customer, or to several, and is never taken from anybody."""

    async def test_the_first_has_it_and_a_second_first_changes_nothing(self, lookups: Lookups) -> None:
        assert await lookups.link(ACME, a_phone(), "c1", first=True) == {"c1": "claimed"}
        assert await lookups.link(ACME, a_phone(), "c2", first=True) == {"c1": "claimed"}

    async def test_beside_somebody_it_leads_to_both(self, lookups: Lookups) -> None:
        await lookups.link(ACME, a_phone(), "c1", first=True)
        both = {"c1": "claimed", "c2": "verified"}
        assert await lookups.link(ACME, a_phone(strength="verified"), "c2", first=False) == both
        assert await lookups.owners(ACME, [a_phone(), a_phone("+1")]) == [both, {}]

    async def test_verified_outlasts_claimed_and_a_claim_may_be_verified(self, lookups: Lookups) -> None:
        for first in (True, False):
            assert await lookups.link(ACME, a_phone(), "c1", first=first) == {"c1": "claimed"}
        assert await lookups.link(ACME, a_phone(strength="verified"), "c1", first=True) == {"c1": "verified"}
        assert await lookups.link(ACME, a_phone(), "c1", first=False) == {"c1": "verified"}

    async def test_unlinked_it_leads_to_the_others_only(self, lookups: Lookups) -> None:
        await lookups.link(ACME, a_phone(), "c1", first=True)
        await lookups.link(ACME, a_phone(), "c2", first=False)
        await lookups.unlink(ACME, a_phone(), "c1")
        assert await lookups.owners(ACME, [a_phone()]) == [{"c2": "claimed"}]

    async def test_of_many_at_the_same_instant_one_is_first_and_all_learn_who(self, lookups: Lookups) -> None:
        found = await asyncio.gather(*(lookups.link(ACME, a_phone(), f"c{n}", first=True) for n in range(20)))
        assert len({tuple(owners) for owners in found}) == 1
        assert len(found[0]) == 1

    async def test_no_key_and_no_value_spells_it(self, lookups: Lookups, redis: Redis) -> None:
        await lookups.link(ACME, a_phone("+8613800138000"), "c1", first=True)
        await lookups.claim_external(ACME, "twilio", "CA-secret", "c1", "in_1")
        spelled = [
            key + str(redis.hgetall(key) if redis.type(key) == "hash" else redis.get(key)) for key in redis.scan_iter()
        ]
        assert len(spelled) == 2
        assert not [text for text in spelled if "138" in text or "secret" in text]

    async def test_under_another_master_key_it_leads_nowhere(self, lookups: Lookups, server: Server) -> None:
        await lookups.link(ACME, a_phone(), "c1", first=True)
        assert await Lookups(server, b"another", KEEP).owners(ACME, [a_phone()]) == [{}]


class TestHandoffs:
    """Handoffs and tokens name their partition, so that they are found without knowing the customer."""

    async def test_one_of_another_tenant_is_not_there(self, lookups: Lookups, server: Server) -> None:
        await lookups.repoint_handoffs(Who(ACME, "c1"), ["ho_03aaaaaaaaaaaaaaaaaaaa"])
        assert await lookups.handoff(ACME, "ho_03aaaaaaaaaaaaaaaaaaaa") == "c1"
        assert await lookups.handoff("other", "ho_03aaaaaaaaaaaaaaaaaaaa") is None

    async def test_moved_it_leads_to_the_new_home_and_left_nowhere(self, lookups: Lookups) -> None:
        await lookups.repoint_handoffs(Who(ACME, "c1"), ["ho_03aaaaaaaaaaaaaaaaaaaa"])
        await lookups.repoint_handoffs(Who(ACME, "c7"), ["ho_03aaaaaaaaaaaaaaaaaaaa"])
        assert await lookups.handoff(ACME, "ho_03aaaaaaaaaaaaaaaaaaaa") == "c7"
        handoffs = [("ho_03aaaaaaaaaaaaaaaaaaaa", f"03{'b' * 22}")]
        assert await lookups.leave(Who(ACME, "c7"), [], [], handoffs) == 1
        assert await lookups.handoff(ACME, "ho_03aaaaaaaaaaaaaaaaaaaa") is None

    @pytest.mark.parametrize("handoff_id", ["", "ho_", "ho_99zz", "x", "ho_é", "ho_{1}*", "ho_03\n", "ho_03 x"])
    async def test_whatever_is_asked_for_is_not_there_and_no_fault(self, lookups: Lookups, handoff_id: str) -> None:
        assert await lookups.handoff(ACME, handoff_id) is None
        assert await lookups.token(handoff_id) is None


class TestTries:
    """So many in a window that begins with the first."""

    async def test_after_the_most_it_is_refused_with_the_time_to_wait(self, lookups: Lookups) -> None:
        for _ in range(3):
            await lookups.count_try(ACME, ("x",), 3, HOUR)
        with pytest.raises(TooMany) as refusal:
            await lookups.count_try(ACME, ("x",), 3, HOUR)
        assert 3590 <= refusal.value.ids["retry_after"] <= 3600
        await lookups.count_try(ACME, ("y",), 3, HOUR)

    async def test_the_window_does_not_move_with_further_tries(self, lookups: Lookups, redis: Redis) -> None:
        await lookups.count_try(ACME, ("x",), 3, HOUR)
        key = next(redis.scan_iter())
        redis.pexpire(key, 20_000)
        await lookups.count_try(ACME, ("x",), 3, HOUR)
        assert redis.pttl(key) <= 20_000

    async def test_the_shortest_wait_is_a_second(self, lookups: Lookups, redis: Redis) -> None:
        await lookups.count_try(ACME, ("x",), 1, HOUR)
        redis.pexpire(next(redis.scan_iter()), 300)
        with pytest.raises(TooMany) as refusal:
            await lookups.count_try(ACME, ("x",), 1, HOUR)
        assert refusal.value.ids["retry_after"] == 1
