"""The steps by which whole customers go and come back, called with bare arguments."""

from __future__ import annotations

import pytest
from redis import Redis

from ctxhub.store.redis import Server
from tests.store.steps import LIFETIME, NOW, Steps, appended, committed


@pytest.fixture
async def steps(server: Server) -> Steps:
    """Steps on c42, who has said something; an archive is kept."""
    steps = Steps(server)
    await steps.commit(events=[committed("e1")], lifetime=0, lease=str(NOW + 5))
    return steps


async def run(steps: Steps, name: str, keys: list[str], *args: object) -> object:
    return await steps.server.run(name, keys, args)


def released(steps: Steps) -> list[str]:
    keys = steps.keys
    return [keys.context, keys.document, keys.timeline, keys.events, keys.saved, keys.leases]


async def restored(steps: Steps, *rest: object) -> object:
    keys = steps.keys
    names = [keys.context, keys.document, keys.timeline, keys.events, keys.leases, keys.due, keys.erased]
    head = ["version", 9, "commit", "k9", "document_version", 9, "state", "live", "base", 7, "born", "k1"]
    beside = [6, *head, 2, "entry 8", "entry 9", 1, "e9", "9:p", 0]
    return await run(steps, "restore", names, keys.member, "document 9", NOW + 50, "", *(rest or beside))


async def test_with_an_archive_keys_have_no_end_and_a_lease_is_noted(steps: Steps, redis: Redis) -> None:
    await steps.server.run(
        "append",
        [steps.keys.context, steps.keys.document, steps.keys.timeline, steps.keys.events, steps.keys.outbox,
         steps.operation],
        [NOW + 1, 0, steps.keys.member, steps.keys.hints, "", LIFETIME, "", "", *appended("e2")],
    )  # fmt: skip
    assert {redis.ttl(name) for name in (steps.keys.context, steps.keys.document, steps.keys.timeline)} == {-1}
    assert redis.hmget(steps.keys.context, "born", "last") == ["k1", str(NOW + 1)]
    assert redis.zscore(steps.keys.leases, steps.keys.member) == NOW + 5


async def test_work_that_goes_on_takes_the_lease_away_and_what_nobody_said_leaves_it(
    steps: Steps, redis: Redis
) -> None:
    await steps.commit("k1", "k2", lifetime=0, lease="-", now=NOW + 9)
    assert redis.zscore(steps.keys.leases, steps.keys.member) == NOW + 5
    assert redis.hget(steps.keys.context, "last") == str(NOW)
    await steps.commit("k2", "k3", lifetime=0, lease="")
    assert redis.zscore(steps.keys.leases, steps.keys.member) is None


async def test_only_what_the_archive_has_is_released(steps: Steps, redis: Redis) -> None:
    member = steps.keys.member
    assert await run(steps, "release", released(steps), 2, "k1", member) == 0
    assert await run(steps, "release", released(steps), 1, "k0", member) == 0
    assert redis.exists(steps.keys.context)
    assert await run(steps, "release", released(steps), 1, "k1", member) == 1
    assert redis.exists(*released(steps)) == 0


async def test_a_customer_comes_back_once(steps: Steps, redis: Redis) -> None:
    assert await restored(steps) == 0
    await run(steps, "release", released(steps), 1, "k1", steps.keys.member)
    assert (await restored(steps), await restored(steps)) == (1, 0)
    assert redis.lrange(steps.keys.timeline, 0, -1) == ["entry 8", "entry 9"]
    assert redis.zscore(steps.keys.leases, steps.keys.member) == NOW + 50


async def test_one_who_was_erased_meanwhile_does_not_come_back(steps: Steps, redis: Redis) -> None:
    await run(steps, "release", released(steps), 1, "k1", steps.keys.member)
    redis.set(steps.keys.erased, "k1")
    assert await restored(steps) == 0
    redis.set(steps.keys.erased, "another life")
    assert await restored(steps) == 1


async def test_spans_are_counted_from_the_base(steps: Steps, redis: Redis) -> None:
    await run(steps, "release", released(steps), 1, "k1", steps.keys.member)
    keys = [steps.keys.context, steps.keys.timeline]
    assert await run(steps, "span", keys, 1, 9) == [b"0", 0, [], b""]
    await restored(steps)
    assert await run(steps, "span", keys, 1, 9) == [b"1", 7, [b"entry 8", b"entry 9"], b""]
    assert await run(steps, "span", keys, 9, 9) == [b"1", 7, [b"entry 9"], b""]
    assert await run(steps, "span", keys, 1, 7) == [b"1", 7, [], b""]


async def test_a_copy_begins_with_what_the_archive_has_last(steps: Steps, redis: Redis) -> None:
    keys = [steps.keys.context, steps.keys.document, steps.keys.timeline]
    await steps.commit("k1", "k2", document="newer", events=[committed("e2"), committed("e3")], lifetime=0, lease="")
    _, document, first, entries = await run(steps, "copy", keys, 2, "k1", 10)  # type: ignore[misc]
    assert (document, first, len(entries)) == (b"newer", 2, 2)
    assert (await run(steps, "copy", keys, 2, "k2", 10))[1] is None  # type: ignore[index]
    assert len((await run(steps, "copy", keys, 0, "", 0))[3]) == 1  # type: ignore[index]


class TestLookups:
    """Identifiers are whole in Redis, or not there."""

    async def test_what_is_not_there_is_brought_back_before_it_is_linked(self, server: Server, redis: Redis) -> None:
        key = server.keys.lookup("acme", "identifier", "d" * 32)
        link = ["c1", "claimed", "first", LIFETIME, "recalled"]
        assert await server.run("link", [key], link) is None
        assert await server.run("recall", [key], [LIFETIME, LIFETIME]) == [b"", b"nobody"]
        assert await server.run("link", [key], link) == [b"c1", b"claimed"]
        assert await server.run("recall", [key], [LIFETIME, LIFETIME, "c2", "verified"]) == [b"c1", b"claimed"]

    async def test_the_last_one_taken_away_leaves_word_that_it_leads_nowhere(
        self, server: Server, redis: Redis
    ) -> None:
        key = server.keys.lookup("acme", "identifier", "d" * 32)
        await server.run("recall", [key], [LIFETIME, LIFETIME, "c1", "claimed"])
        assert await server.run("unlink", [key], ["c1", LIFETIME, "recalled"]) == 0
        assert redis.hgetall(key) == {"": "nobody"}

    @pytest.mark.parametrize(
        ("archived", "goes"),
        [(["c1", "claimed", "c2", "verified"], 1), (["c1", "claimed"], 0), (["c1", "claimed", "c2", "claimed"], 0)],
    )
    async def test_it_goes_only_if_the_archive_has_just_that(
        self, server: Server, redis: Redis, archived: list[str], goes: int
    ) -> None:
        key = server.keys.lookup("acme", "identifier", "d" * 32)
        await server.run("recall", [key], [LIFETIME, LIFETIME, "c1", "claimed", "c2", "verified"])
        assert await server.run("let_go", [key], ["identifier", *archived]) == goes
        assert redis.exists(key) == 1 - goes

    async def test_a_name_goes_only_if_it_leads_there_still(self, server: Server, redis: Redis) -> None:
        key = server.keys.lookup("acme", "external", "d" * 32)
        redis.set(key, "c1\nin_1")
        assert await server.run("let_go", [key], ["name", "c2\nin_1"]) == 0
        assert await server.run("let_go", [key], ["name", "c1\nin_1"]) == 1


async def test_a_lease_is_only_ever_made_longer_and_ends_with_its_customer(steps: Steps, redis: Redis) -> None:
    keys = [steps.keys.context, steps.keys.leases]
    await run(steps, "keep_on", keys, steps.keys.member, NOW + 3)
    assert redis.zscore(steps.keys.leases, steps.keys.member) == NOW + 5
    await run(steps, "keep_on", keys, steps.keys.member, NOW + 8)
    assert redis.zscore(steps.keys.leases, steps.keys.member) == NOW + 8
    redis.delete(steps.keys.context)
    assert await run(steps, "keep_on", keys, steps.keys.member, NOW + 9) == 0
    assert redis.zscore(steps.keys.leases, steps.keys.member) is None
