"""What is sealed: opens for its own customer, field and key alone, and says so where it does not."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from redis import Redis

from ctxhub.errors import Unreadable
from ctxhub.hub.masterkeys import DerivedKeys, GivenKeys, KeysFile, parsed, with_next, without, written
from ctxhub.model.context import Context
from ctxhub.model.event import Event
from ctxhub.settings import CannotStart, Settings
from ctxhub.store.codec import (
    context_from,
    event_bytes,
    event_from,
    hollow_context,
    is_sealed,
    packed,
    sealed_document,
    unpacked,
)
from ctxhub.store.contexts import Contexts, Plan, Who
from ctxhub.store.datakeys import DataKeys
from ctxhub.store.redis import Server
from ctxhub.store.sealing import Algorithm, Destroyed, MasterKeys, Sealing, epoch_of, is_offered
from tests.store.scenes import WHO, seen
from tests.support import ACME, KEEP, MASTER_KEY, NOON, a_context, a_fact, after, started

ALGORITHMS: list[Algorithm] = ["aes-256-gcm", "sm4-gcm"]
SECRET = "6225-0000-1111-2222"
SEALING = Sealing(DerivedKeys(MASTER_KEY))


def with_a_secret(value: object = SECRET, name: str = "card") -> Context:
    """A customer with one sensitive fact and one that is not."""
    context = started(a_context(), level=2)
    return after(context, a_fact(value, name, sensitivity="sensitive", event_id="e-secret"), a_fact("Bern"))


def telling_it(value: object = SECRET, event_id: str = "e-secret") -> Event:
    """The event that tells it."""
    return a_fact(value, "card", sensitivity="sensitive", event_id=event_id)


def entry(event: Event, sealing: Sealing = SEALING, who: Who = WHO) -> tuple[bytes, str]:
    """The event as an entry of a timeline, and the data key it was sealed with."""
    key = sealing.new(*who)
    return b"2 chat  " + event_bytes(event, key), key.wrapped


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(
    value=some.recursive(
        some.none() | some.booleans() | some.integers(-(2**63), 2**63) | some.text(), some.lists, max_leaves=9
    )
)
def test_whatever_is_sealed_comes_back_as_it_was(algorithm: Algorithm, value: object) -> None:
    sealing = Sealing(DerivedKeys(MASTER_KEY), algorithm)
    key, context = sealing.new(*WHO), with_a_secret(value)
    kept, _ = sealed_document(context, key)
    assert context_from(kept, sealing.opener(*WHO, key.wrapped)) == context


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nothing_of_a_secret_stands_in_what_is_kept(algorithm: Algorithm) -> None:
    key = Sealing(DerivedKeys(MASTER_KEY), algorithm).new(*WHO)
    kept, _ = sealed_document(with_a_secret(), key)
    event = event_bytes(telling_it(), key)
    plain = [packed(unpacked(kept)), unpacked(kept), unpacked(event), kept, event]
    assert not any(SECRET.encode() in found for found in plain)
    assert b"Bern" in unpacked(kept)  # which is how the secret would be found, were it not sealed
    assert SECRET.encode() in unpacked(event_bytes(telling_it()))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_bit_that_is_changed_is_noticed(algorithm: Algorithm) -> None:
    sealing = Sealing(DerivedKeys(MASTER_KEY), algorithm)
    key = sealing.new(*WHO)
    sealed = key.seal("card", SECRET.encode())
    assert key.open("card", sealed) == SECRET.encode()
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Unreadable):
            key.open("card", bytes(changed))


def test_a_value_opens_in_its_own_field_of_its_own_customer_alone() -> None:
    key = SEALING.new(*WHO)
    sealed = key.seal("card", SECRET.encode())
    elsewhere = [Who("other", "c42"), Who(ACME, "c43")]
    with pytest.raises(Unreadable, match="broken"):
        key.open("pin", sealed)
    for who in elsewhere:
        with pytest.raises(Unreadable, match="another customer's"):
            SEALING.opened(*who, key.wrapped)
    with pytest.raises(Unreadable, match="broken"):
        SEALING.new(*WHO).open("card", sealed)  # another key of the same customer, as after an erasure


def test_facts_can_not_be_exchanged_within_a_document() -> None:
    context = with_a_secret("1111", "card")
    context = after(context, a_fact("2222", "pin", sensitivity="sensitive", event_id="e-pin"))
    key = SEALING.new(*WHO)
    kept, _ = sealed_document(context, key)
    begins, size = 3, 4 + int.from_bytes(kept[3:7])
    first, second = kept[begins : begins + size], kept[begins + size : begins + 2 * size]
    exchanged = kept[:begins] + second + first + kept[begins + 2 * size :]
    with pytest.raises(Unreadable):
        context_from(exchanged, SEALING.opener(*WHO, key.wrapped))


def test_an_event_of_another_place_is_shown_without_its_value_and_marked() -> None:
    kept, wrapped = entry(telling_it())
    shown = event_from(kept, 3, SEALING.opener(*WHO, wrapped))
    assert (shown["data"]["value"], shown.get("marks")) == (SECRET, None)
    moved = event_from(kept.replace(b"e-secret", b"e-public"), 3, SEALING.opener(*WHO, wrapped))
    assert (moved["data"]["value"], moved["marks"]) == (None, ["unreadable"])
    anybodys = event_from(kept, 3, SEALING.opener(ACME, "c43", wrapped))
    assert (anybodys["data"]["value"], anybodys["marks"]) == (None, ["unreadable"])
    assert is_sealed(kept)


def test_what_was_sealed_with_one_algorithm_stays_readable_under_another() -> None:
    aes, sm4 = (Sealing(DerivedKeys(MASTER_KEY), algorithm) for algorithm in ALGORITHMS)
    key = aes.new(*WHO)
    kept, _ = sealed_document(with_a_secret(), key)
    assert context_from(kept, sm4.opener(*WHO, key.wrapped)) == with_a_secret()
    assert all(is_offered(algorithm) for algorithm in ALGORITHMS)


def test_what_can_not_be_opened_can_still_be_found_to_be_erased() -> None:
    kept, _ = sealed_document(with_a_secret(), SEALING.new(*WHO))
    assert [fact.value for fact in hollow_context(kept).facts] == [None, "Bern"]


class TestMasterKeys:
    """Epochs come, are used, and go."""

    def test_a_file_is_made_once_for_its_owner_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "data" / "sealing.keys"
        first = KeysFile.made(path).master_keys()
        assert KeysFile.made(path).master_keys() == first
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o640)
        with pytest.raises(CannotStart, match="can be read by others"):
            KeysFile(path).master_keys()

    def test_a_new_epoch_counts_in_a_process_that_runs(self, tmp_path: Path) -> None:
        path = tmp_path / "sealing.keys"
        here, elsewhere = KeysFile.made(path), KeysFile(path)
        before = here.master_keys()
        assert elsewhere.master_keys() == before
        written(path, with_next(before, in_use=True))
        wrapped = Sealing(KeysFile(path)).new(*WHO).wrapped
        assert epoch_of(wrapped) == 2
        Sealing(elsewhere).opened(*WHO, wrapped)

    def test_an_epoch_may_be_prepared_before_it_is_used(self) -> None:
        first = MasterKeys(1, {1: os.urandom(32)})
        prepared = with_next(first, in_use=False)
        assert (prepared.present, sorted(prepared.by_epoch)) == (1, [1, 2])
        assert with_next(prepared, in_use=True) == prepared._replace(present=2)

    def test_the_present_epoch_is_not_destroyed_and_a_destroyed_one_does_not_come_again(self) -> None:
        second = with_next(MasterKeys(1, {1: os.urandom(32)}), in_use=True)
        with pytest.raises(CannotStart, match="present one"):
            without(second, 2)
        left = without(second, 1)
        assert (sorted(left.by_epoch), left.destroyed) == ([2], {1})
        assert with_next(without(with_next(left, in_use=True), 2), in_use=True).present == 4

    def test_what_a_destroyed_epoch_sealed_is_gone_and_the_rest_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "sealing.keys"
        sealing = Sealing(KeysFile.made(path))
        key = sealing.new(*WHO)
        kept, _ = sealed_document(with_a_secret(), key)
        written(path, without(with_next(sealing.provider.master_keys(), in_use=True), 1))
        later = Sealing(KeysFile(path))
        with pytest.raises(Destroyed):
            later.opened(*WHO, key.wrapped)
        left = context_from(kept, later.opener(*WHO, key.wrapped))
        assert [fact.value for fact in left.facts] == ["Bern"]

    def test_an_epoch_that_is_only_missing_destroys_nothing(self) -> None:
        key = SEALING.new(*WHO)
        kept, _ = sealed_document(with_a_secret(), key)
        another = Sealing(GivenKeys(f"7:{base64.b64encode(os.urandom(32)).decode()}"))
        with pytest.raises(Unreadable, match="can't be opened"):
            context_from(kept, another.opener(*WHO, key.wrapped))

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("present 1\n1 short\n", "32 bytes"),
            ("1 " + "A" * 43 + "=\n", "present epoch"),
            ("present 0\n", "no epoch"),
            ("present 1 2\n", "line 1"),
            ("present 70000\n", "no epoch"),
        ],
    )
    def test_a_file_that_is_wrong_says_what_is(self, text: str, says: str) -> None:
        with pytest.raises(CannotStart, match=says):
            parsed(text)

    def test_keys_of_the_environment_name_the_present_one_first(self) -> None:
        both = [base64.b64encode(bytes([n]) * 32).decode() for n in (2, 1)]
        keys = GivenKeys(f"2:{both[0]},1:{both[1]}").master_keys()
        assert (keys.present, keys.by_epoch) == (2, {2: b"\2" * 32, 1: b"\1" * 32})
        with pytest.raises(CannotStart, match="names no key"):
            GivenKeys(" ")

    def test_settings_lead_to_one_place_of_keys(self, tmp_path: Path) -> None:
        own = Settings(data=tmp_path).with_secrets()
        assert own.sealing_keys_file == tmp_path / "sealing.keys"
        given = Settings(data=tmp_path, master_key="0123456789abcdef").with_secrets()
        assert given.sealing_keys_file is None  # derived from that key, the same on every machine
        KeysFile.made(tmp_path / "sealing.keys")
        assert Settings(data=tmp_path, master_key="0123456789abcdef").with_secrets() == given.model_copy(
            update={"sealing_keys_file": tmp_path / "sealing.keys", "admin_key": given.admin_key}
        )


class TestInRedis:
    """Contexts that hold secrets."""

    async def born(self, kept: Contexts, who: Who = WHO) -> Context:
        """A customer with a secret, just written."""
        context = with_a_secret().but(customer_id=who.customer_id)
        plan = Plan(context, [(telling_it(), "p"), (seen("e2"), "p")])
        assert await kept.commit(who, await kept.load(who), plan, NOON, None)
        return context

    async def test_a_secret_stands_sealed_and_is_read_as_it_was(self, kept: Contexts, server: Server) -> None:
        context = await self.born(kept)
        fresh = Contexts(server, KEEP, None, SEALING)
        assert (await fresh.load(WHO, 5)).context == context
        assert (await fresh.many([WHO])) == [context]
        told = [await fresh.timeline(WHO, 0), (await fresh.load(WHO, 5)).recent]
        assert [event["data"].get("value") for events in told for event in events] == [SECRET, None] * 2

    async def test_the_data_key_is_made_once(self, kept: Contexts) -> None:
        context = await self.born(kept)
        before = (await kept.load(WHO)).data_key
        assert await kept.commit(WHO, await kept.load(WHO), Plan(context, [(telling_it("7", "e3"), "p")]), NOON, None)
        assert before == (await kept.load(WHO)).data_key != ""

    async def test_two_who_make_the_first_data_key_do_not_shut_each_other_out(self, kept: Contexts) -> None:
        context = started(a_context(), level=2)
        assert await kept.commit(WHO, await kept.load(WHO), Plan(context, [(seen("e1"), "p")]), NOON, None)
        loaded = await kept.load(WHO)
        plans = [Plan(None, [(telling_it(n, f"e-{n}"), "p")]) for n in ("1", "2")]
        assert await kept.commit(WHO, loaded, plans[0], NOON, None)
        assert await kept.commit(WHO, loaded, plans[1], NOON, None) is None
        assert await kept.commit(WHO, await kept.load(WHO), plans[1], NOON, None)
        assert [event["data"].get("value") for event in await kept.timeline(WHO, 0)] == [None, "1", "2"]

    async def test_without_keys_nothing_is_kept_in_the_clear(self, server: Server) -> None:
        bare = Contexts(server, KEEP)
        with pytest.raises(Unreadable, match="no keys"):
            await self.born(bare)

    async def test_a_bit_changed_in_redis_is_an_error_not_another_value(
        self, kept: Contexts, server: Server, redis_url: str
    ) -> None:
        await self.born(kept)
        name = kept.keys(WHO).document
        with Redis.from_url(redis_url) as raw:
            document = bytearray(raw.get(name) or b"")  # type: ignore[arg-type]
            document[30] ^= 1
            raw.set(name, bytes(document))
        with pytest.raises(Unreadable):
            await Contexts(server, KEEP, None, SEALING).load(WHO)

    async def test_a_document_copied_to_another_customer_does_not_open(
        self, kept: Contexts, server: Server, redis_url: str
    ) -> None:
        thief = Who(ACME, "c43")
        await self.born(kept)
        await self.born(kept, thief)
        mine, theirs = kept.keys(WHO), kept.keys(thief)
        with Redis.from_url(redis_url) as raw:
            raw.set(theirs.document, raw.get(mine.document))  # type: ignore[arg-type]
        with pytest.raises(Unreadable):
            await Contexts(server, KEEP, None, SEALING).load(thief)
        with Redis.from_url(redis_url) as raw:
            raw.hset(theirs.context, "key", raw.hget(mine.context, "key"))  # type: ignore[arg-type]
        with pytest.raises(Unreadable):
            await Contexts(server, KEEP, None, SEALING).load(thief)

    async def test_a_data_key_is_wrapped_anew_only_where_it_is_still_the_same(
        self, kept: Contexts, server: Server
    ) -> None:
        await self.born(kept)
        data_keys = DataKeys(server)
        found = [pair async for pairs in data_keys.every() for pair in pairs]
        wrapped = (await kept.load(WHO)).data_key
        assert found == [(WHO, wrapped)]
        assert await data_keys.replace([(WHO, "another", "anew"), (Who(ACME, "nobody"), wrapped, "anew")]) == 0
        assert await data_keys.replace([(WHO, wrapped, "anew")]) == 1
        assert (await kept.load(WHO)).data_key == "anew"
