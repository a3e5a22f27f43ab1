"""The smaller services: identity, customers, keys, tenants, secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import structlog
from redis import Redis

from ctxhub.errors import Ambiguous, CustomerUnknown, Forbidden, Invalid, KeyUnknown, Unauthenticated, Unknown
from ctxhub.hub import tenants as tenants_module
from ctxhub.hub.hub import Hub
from ctxhub.hub.keys import FRESH_FOR, Principal
from ctxhub.hub.secrets import CODE_DIGITS, Secrets, uui
from ctxhub.hub.tenants import Tenants
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Ref
from ctxhub.store.contexts import Who
from ctxhub.store.keys import Keys
from ctxhub.store.redis import Server
from tests.hub.scenes import WHO, begin, context_of, in_one, offer, tell
from tests.support import ACME, DESK, MASTER_KEY, Clock, a_phone, ways


class TestIdentity:
    """Identifiers in their normal form, and the customer they lead to."""

    @pytest.mark.parametrize(
        ("type_", "given", "normal"),
        [
            ("phone", "+86 138-0013-8000", "+8613800138000"),
            ("phone", "138 0013 8000", "+8613800138000"),
            ("phone", "+1 (202) 456-1111", "+12024561111"),
            ("phone", " 10 01 ", "+861001"),
            ("email", " Ann@Example.COM ", "ann@example.com"),
            ("account", " 0078-A ", "0078-A"),
        ],
    )
    def test_it_has_one_form(self, hub: Hub, type_: str, given: str, normal: str) -> None:
        assert hub.identity.normal(ACME, Identifier(type=type_, value=given)).value == normal

    def test_verified_ones_come_first_then_by_type_and_value_each_once(self, hub: Hub) -> None:
        given = [a_phone("+862"), Identifier(type="account", value="1"), a_phone("+861"), a_phone("+861"),
                 Identifier(type="wechat", value="w", strength="verified")]  # fmt: skip
        order = [(i.type, i.value) for i in hub.identity.in_order(ACME, given)]
        assert order == [("wechat", "w"), ("account", "1"), ("phone", "+861"), ("phone", "+862")]

    async def test_one_that_leads_to_nobody_or_several_says_so(self, hub: Hub) -> None:
        with pytest.raises(CustomerUnknown):
            await hub.identity.must_find(ACME, a_phone())
        for customer_id in ("c1", "c2"):
            await begin(hub, customer_id, identifiers=[a_phone()], customer_id=customer_id)
        with pytest.raises(Ambiguous) as refusal:
            await hub.identity.must_find(ACME, a_phone())
        assert "c1" not in str(refusal.value.ids)


class TestCustomers:
    """Linked to identifiers, and forgotten."""

    async def test_an_identifier_that_is_added_leads_there_until_it_is_removed(self, hub: Hub) -> None:
        await begin(hub)
        for _ in range(2):
            held, version = await hub.customers.add_identifier(WHO, a_phone("138 0013 8000"))
            assert ([identifier.value for identifier in held], version) == (["+8613800138000"], 2)
        assert await hub.customers.lookup(ACME, a_phone()) == WHO
        assert (await hub.customers.remove_identifier(WHO, a_phone()))[0] == []
        with pytest.raises(CustomerUnknown):
            await hub.customers.lookup(ACME, a_phone())

    async def test_no_event_spells_an_identifier(self, hub: Hub) -> None:
        await begin(hub, identifiers=[a_phone()])
        await hub.customers.add_identifier(WHO, a_phone("+8613900139000"))
        told = await hub.changes.contexts.timeline(WHO, 0)
        assert "139" not in str(told)
        assert "13800138000" not in str(told)

    async def test_forgotten_nothing_is_left_and_nothing_leads_there(self, hub: Hub, redis: Redis) -> None:
        interaction_id = await in_one(hub, level=2, identifiers=[a_phone()], refs=[Ref(system="acd", id="7")])
        await tell(hub, "fact.stated", interaction_id, "f1", name="city", value="Xi'an")
        handoff = await offer(hub, interaction_id)
        receipt = await hub.customers.forget(WHO)
        assert receipt["erased"] == {"events": 3, "facts": 1, "interactions": 1, "handoffs": 1, "identifiers": 1}
        left = {key.split(":", 2)[2] for key in redis.scan_iter()}
        told_of_the_end = {"acme:feed:queue:cards", "acme:feed:channel:chat"}
        assert left == {"outbox", "founding"} | told_of_the_end
        for work in (
            context_of(hub), hub.identity.must_find(ACME, a_phone()), hub.handoffs.get(DESK, handoff["handoff_id"]),
            hub.interactions.lookup(ACME, Ref(system="acd", id="7")), hub.handoffs.by_token(DESK, handoff["token"]),
        ):  # fmt: skip
            with pytest.raises(Unknown):
                await work

    async def test_forgotten_by_one_process_another_does_not_show_the_customer_either(
        self, hub: Hub, server: Server, clock: Clock
    ) -> None:
        await begin(hub)
        other = Hub(server, ways(clock))
        await context_of(other)
        await hub.customers.forget(WHO)
        with pytest.raises(CustomerUnknown):
            await context_of(other)


class TestKeys:
    """A key is shown once; the tenant comes from it."""

    async def test_it_is_known_until_it_is_revoked(self, hub: Hub) -> None:
        _, key = await hub.keys.create(ACME, "ann", "agent", "ann")
        now = [0.0]
        principal = await hub.keys.principal(key, lambda: now[0])
        assert principal == Principal(tenant=ACME, name="ann", role="agent", agent="ann")
        other = Hub(hub.server, hub.ways)
        await other.keys.revoke(ACME, "ann")
        now[0] = FRESH_FOR - 0.1
        assert await hub.keys.principal(key, lambda: now[0]) == principal
        now[0] = FRESH_FOR
        with pytest.raises(Unauthenticated):
            await hub.keys.principal(key, lambda: now[0])

    async def test_what_is_kept_does_not_show_it(self, hub: Hub, redis: Redis) -> None:
        _, key = await hub.keys.create(ACME, "ann", "agent")
        kept = [str(redis.hgetall(name)) for name in redis.scan_iter()]
        assert not [text for text in kept if key in text]
        assert key not in str(await hub.keys.list())

    async def test_names_are_unique_in_a_tenant(self, hub: Hub) -> None:
        await hub.keys.create(ACME, "ann", "agent")
        await hub.keys.create("other", "ann", "agent")
        with pytest.raises(Invalid):
            await hub.keys.create(ACME, "ann", "adapter")
        assert [record["name"] for record in await hub.keys.list(ACME)] == ["ann"]

    @pytest.mark.parametrize(("tenant", "role"), [("Acme", "agent"), ("", "agent"), (ACME, "king"), (ACME, "")])
    async def test_a_key_that_can_not_be_is_refused(self, hub: Hub, tenant: str, role: str) -> None:
        with pytest.raises(Invalid):
            await hub.keys.create(tenant, "n", role)

    async def test_one_that_is_not_there_can_not_be_revoked(self, hub: Hub) -> None:
        with pytest.raises(KeyUnknown):
            await hub.keys.revoke(ACME, "nobody")

    def test_a_key_bound_to_an_agent_speaks_for_no_other(self) -> None:
        ann = Principal(tenant=ACME, name="n", role="agent", agent="ann")
        ann.must_be("ann")
        DESK.must_be("anybody")
        with pytest.raises(Forbidden):
            ann.must_be("bob")


class TestTenants:
    """Files are read when they change; one with a fault leaves the last good one in force."""

    @pytest.fixture(autouse=True)
    def _look_always(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tenants_module, "LOOK_EVERY", 0)

    @staticmethod
    def write(path: Path, text: str, version: int) -> None:
        path.write_text(text, encoding="utf-8")
        os.utime(path, (version, version))

    def test_a_changed_file_is_in_force_at_once(self, tmp_path: Path) -> None:
        tenants, file = Tenants(tmp_path), tmp_path / "acme.yaml"
        assert tenants.of(ACME).journeys == []
        for version, kind in ((1, "refund"), (2, "退款")):
            self.write(file, f"journeys: [{{kind: {kind}}}]", version)
            assert [known.kind for known in tenants.of(ACME).journeys] == [kind]

    @pytest.mark.parametrize("fault", ["journeys: 7", "- a", "journeys: [", "unknown: 1", "tenant: [", "\x00"])
    def test_one_with_a_fault_leaves_the_last_good_one(self, tmp_path: Path, fault: str) -> None:
        tenants, file = Tenants(tmp_path), tmp_path / "acme.yaml"
        self.write(file, "journeys: [{kind: refund}]", 1)
        before = tenants.of(ACME)
        self.write(file, fault, 2)
        assert tenants.of(ACME) is before

    def test_a_fault_is_told_until_it_is_mended_and_logged_once_for_each_change(self, tmp_path: Path) -> None:
        tenants, file = Tenants(tmp_path), tmp_path / "acme.yaml"
        self.write(file, "languages: [zh]\ncolour: red", 1)
        with structlog.testing.capture_logs() as logged:
            for _ in range(3):
                assert [str(fault)[:12] for fault in tenants.faults()] == ["acme.yaml:2:"]
            self.write(file, "colour: blue\ncolour: red", 2)
            assert [fault.line for fault in tenants.faults()] == [2]
        refused = [entry["faults"] for entry in logged if entry["event"] == "tenant.refused"]
        assert len(refused) == 2
        assert refused[0][0].startswith("acme.yaml:2: there is no key 'colour' here")
        self.write(file, "languages: [zh]", 3)
        assert (tenants.faults(), tenants.of(ACME).languages) == ([], ["zh"])

    def test_a_file_that_is_taken_away_stays_in_force(self, tmp_path: Path) -> None:
        tenants, file = Tenants(tmp_path), tmp_path / "acme.yaml"
        self.write(file, "languages: [zh]", 1)
        before = tenants.of(ACME)
        file.unlink()
        assert tenants.of(ACME) is before

    def test_only_a_tenant_with_a_file_is_declared_and_the_default_one(self, tmp_path: Path) -> None:
        tenants = Tenants(tmp_path)
        assert tenants.declared("default").tenant == "default"
        assert tenants.of(ACME) is tenants.of(ACME)  # whoever made a view of what is not declared finds it still right
        with pytest.raises(Unknown):
            tenants.declared(ACME)

    def test_a_file_names_its_tenant_whatever_it_says(self, tmp_path: Path) -> None:
        self.write(tmp_path / "acme.yaml", "tenant: other", 1)
        assert Tenants(tmp_path).of(ACME).tenant == ACME


class TestSecrets:
    """Derived, so that they can be said again and nothing can be stolen."""

    SECRETS = Secrets(MASTER_KEY, Keys(64))

    def test_the_same_seed_gives_the_same_id_and_without_one_each_is_new(self) -> None:
        same = {self.SECRETS.handoff_id(ACME, "c42", "seed") for _ in range(3)}
        new = {self.SECRETS.handoff_id(ACME, "c42") for _ in range(3)}
        assert (len(same), len(new)) == (1, 3)

    def test_a_handoff_and_its_token_begin_with_the_customer_s_partition(self) -> None:
        partition = Keys(64).customer(ACME, "c42").partition
        handoff_id = self.SECRETS.handoff_id(ACME, "c42")
        assert handoff_id.startswith(f"ho_{partition}")
        assert self.SECRETS.token(handoff_id).startswith(partition)

    def test_tokens_and_codes_are_as_long_as_promised(self) -> None:
        for number in range(200):
            handoff_id = self.SECRETS.handoff_id(ACME, f"c{number}")
            assert len(self.SECRETS.token(handoff_id)) == 24
            code = self.SECRETS.code(handoff_id)
            assert (len(code), code.isdigit()) == (CODE_DIGITS, True)

    def test_ids_of_another_tenant_system_or_call_are_others(self) -> None:
        calls = [(ACME, "ivr", "x"), ("other", "ivr", "x"), (ACME, "acd", "x"), (ACME, "ivr", "y"), (ACME, "iv", "rx")]
        assert len({self.SECRETS.interaction_id(*call) for call in calls}) == len(calls)
        assert len({self.SECRETS.provisional_id(*call) for call in calls}) == len(calls)

    def test_user_to_user_data_is_hexadecimal_behind_its_discriminator(self) -> None:
        assert uui("07aZ") == "0030376" + "15a;encoding=hex"


async def test_a_customer_of_the_same_id_belongs_to_its_tenant_alone(hub: Hub) -> None:
    await begin(hub)
    assert (await hub.changes.contexts.load(Who("other", "c42"))).context is None
