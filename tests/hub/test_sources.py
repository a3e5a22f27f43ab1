"""A source is asked as the telephone rings; nobody waits beyond its deadline, and only what was declared counts."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from ctxhub.hub.hub import Hub
from ctxhub.hub.sources import ANSWER_WITHIN
from ctxhub.model.brief import Wanted
from ctxhub.model.disclosure import Reader
from ctxhub.model.inward import NOWHERE, allowed_of
from ctxhub.model.signature import secret_of, signed
from ctxhub.model.source import digest_of
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.receiving import (
    ENVIRON,
    SECRET,
    Answer,
    Pouring,
    Receiver,
    hanging_up,
    receiving,
    saying,
    silent,
    slamming,
    trickling,
)
from tests.hub.scenes import WHO, tell
from tests.support import ACME, ADAPTER, ADMIN, HOUR, SECOND, TENANT, Clock, a_phone, a_start, ways

FACTS = {
    "segment": {"type": "text", "one_of": ["gold", "silver"], "sensitivity": "internal"},
    "language": {"type": "text", "longest": 10},
    "open_cases": {"type": "number"},
}


def knowing(**facts: Any) -> Answer:
    """A source that knows something."""
    return saying("200 OK", orjson.dumps({"facts": facts}))


def after(seconds: float, then: Answer) -> Answer:
    """A source that takes its time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await then(reader, writer)

    return answer


@pytest.fixture
async def crm() -> AsyncIterator[Receiver]:
    """A source that knows the segment and how many cases are open."""
    async with receiving() as receiver:
        receiver.answer = knowing(segment="gold", open_cases=2)
        yield receiver


@pytest.fixture
async def another(
    server: Server, clock: Clock, tenants_folder: Path, crm: Receiver
) -> AsyncIterator[Callable[..., Hub]]:
    """Makes hubs whose tenant declares the source, as it usually is unless said otherwise."""
    made: list[Hub] = []

    def make(allow: str = "127.0.0.1", environ: dict[str, str] | None = None, **source: Any) -> Hub:
        usual: dict[str, Any] = {
            "url": crm.url,
            "secret": "HOOK_SECRET",
            "facts": FACTS,
            "deadline_ms": 300,
            "good_for": 600,
        }
        declared = TENANT.model_dump(mode="json", exclude={"tenant"}) | {"sources": {"crm": usual | source}}
        (tenants_folder / f"{ACME}.yaml").write_text(json.dumps(declared), encoding="utf-8")
        allowed = allowed_of(allow) if allow else NOWHERE
        hub = Hub(
            server, ways(clock, tenants=tenants_folder, environ=ENVIRON if environ is None else environ,
                         webhook_allow=allowed),
        )  # fmt: skip
        made.append(hub)
        return hub

    yield make
    for hub in made:
        await hub.sources.aclose()
        await hub.outward.aclose()


@pytest.fixture
def hub(another: Callable[..., Hub]) -> Hub:
    """A hub whose tenant declares the source."""
    return another()


async def ring(hub: Hub, external_id: str = "call-1", **more: Any) -> dict[str, Any]:
    """Let a call come in; return the answer."""
    start = a_start(external_id, **{"channel": "ivr", "customer_id": "c42", "level": 2} | more)
    return (await hub.interactions.start(ADAPTER, start))[0]


async def facts(hub: Hub, who: Who = WHO) -> dict[str, Any]:
    """What an admin sees of a customer's facts."""
    return dict((await hub.contexts.read(who, ADMIN.reader())).value["facts"])


async def missed(hub: Hub) -> list[str]:
    """Why the source did not answer, each time it did not."""
    events, _, _ = await hub.contexts.timeline(WHO, ADMIN.reader(), 0, None, 100)
    return [event["data"]["reason"] for event in events if event["type"] == "source.missed"]


async def done(hub: Hub) -> None:
    """Wait until nothing is being asked."""
    while hub.sources._under_way:
        await asyncio.gather(*hub.sources._under_way.values())


class TestWhatIsAsked:
    async def test_the_start_brings_back_what_the_source_knows(self, hub: Hub) -> None:
        answer = await ring(hub)
        assert answer["sources"] == [{"source": "crm", "state": "answered"}]
        fact = answer["context"]["facts"]["open_cases"]
        assert (fact["value"], fact["state"]) == (2, "observed")
        assert (fact["origin"]["party"], fact["origin"]["source"], fact["origin"]["at"]) == (
            "system", "crm", "2026-11-22T12:00:00.000Z",
        )  # fmt: skip
        assert fact["expires_at"] == "2026-11-22T12:10:00.000Z"
        assert "segment" not in answer["context"]["facts"]  # internal: for colleagues
        assert (await facts(hub))["segment"]["value"] == "gold"

    async def test_the_question_is_signed_and_names_the_customer_by_id_alone(self, hub: Hub, crm: Receiver) -> None:
        await ring(hub, identifiers=[a_phone()])
        (got,) = crm.got
        assert (got.event["type"], got.event["subject"]) == ("source.asked", "c42")
        assert got.event["data"] == {"customer_id": "c42", "facts": list(FACTS)}
        expected = signed([secret_of(SECRET)], got.event["id"], hub.ways.clock(), got.body)
        assert {name: got.head[name] for name in expected} == expected

    async def test_by_identifiers_only_their_digests_are_told(self, another: Callable[..., Hub], crm: Receiver) -> None:
        hub = another(by="identifiers")
        await ring(hub, identifiers=[a_phone()])
        (got,) = crm.got
        digest = digest_of(a_phone(), secret_of(SECRET))
        assert got.event["data"]["identifiers"] == [{"type": "phone", "digest": digest}]
        assert b"c42" not in got.body
        assert b"138001" not in got.body

    async def test_somebody_not_yet_known_is_not_asked_about(self, hub: Hub, crm: Receiver) -> None:
        answer = await ring(hub, customer_id=None)
        assert crm.got == []
        assert answer["sources"] == [{"source": "crm", "state": "not_asked"}]

    async def test_other_channels_are_not_kept_waiting(self, hub: Hub, crm: Receiver) -> None:
        assert "sources" not in await ring(hub, channel="chat")
        assert crm.got == []

    async def test_a_telephone_that_rings_is_reason_enough(self, another: Callable[..., Hub], crm: Receiver) -> None:
        hub = another(on=["call.alerting"])
        answer = await ring(hub)
        assert "sources" not in answer
        await tell(hub, "call.alerting", answer["interaction"]["interaction_id"], "a1")
        await hub.relay._keep_leases()
        await hub.relay._drain()
        await done(hub)
        assert len(crm.got) == 1
        assert (await facts(hub))["open_cases"]["value"] == 2


class TestTime:
    async def test_nobody_waits_beyond_the_deadline_and_what_comes_late_is_kept(self, hub: Hub, crm: Receiver) -> None:
        crm.answer = after(0.8, knowing(open_cases=5))
        await ring(hub, "warm", channel="chat")
        began = time.monotonic()
        answer = await ring(hub)
        waited = time.monotonic() - began
        assert 0.29 < waited < 0.75
        assert answer["sources"] == [{"source": "crm", "state": "late"}]
        await done(hub)
        assert (await facts(hub))["open_cases"]["value"] == 5
        assert await missed(hub) == ["late"]

    async def test_who_asks_too_much_of_it_is_told_that_it_did_not_answer(self, hub: Hub, crm: Receiver) -> None:
        crm.answer = slamming
        answer = await ring(hub)
        assert answer["sources"] == [{"source": "crm", "state": "failed"}]
        assert await missed(hub) == ["no_answer"]
        reader = Reader(role="admin")
        told = await hub.briefs.read(WHO, reader, Wanted(view="agent", lang="en"))
        assert any(line.text.startswith("Did not answer") and "crm" in line.text for line in told.brief.lines)
        crm.answer = knowing(open_cases=1)
        await ring(hub, "call-2")
        told = await hub.briefs.read(WHO, reader, Wanted(view="agent", lang="en"))
        assert not any("Did not answer" in line.text for line in told.brief.lines)

    async def test_it_is_not_asked_again_while_what_it_said_is_good(
        self, hub: Hub, crm: Receiver, clock: Clock
    ) -> None:
        await ring(hub)
        answer = await ring(hub, "call-2")
        assert answer["sources"] == [{"source": "crm", "state": "cached"}]
        assert answer["context"]["facts"]["open_cases"]["value"] == 2
        assert len(crm.got) == 1
        await ring(hub, "call-3", customer_id="c43")
        assert len(crm.got) == 2

    async def test_what_it_said_lapses(self, hub: Hub, clock: Clock) -> None:
        await ring(hub)
        clock.move(HOUR)
        assert "open_cases" not in await facts(hub)

    async def test_calls_at_once_ask_once(self, hub: Hub, crm: Receiver) -> None:
        crm.answer = after(0.05, knowing(open_cases=3))
        await ring(hub, "warm", channel="chat")
        answers = await asyncio.gather(*(ring(hub, f"call-{number}") for number in range(5)))
        assert len(crm.got) == 1
        assert {answer["sources"][0]["state"] for answer in answers} <= {"answered", "cached"}

    async def test_another_process_that_asks_is_not_asked_over(
        self, hub: Hub, another: Callable[..., Hub], crm: Receiver
    ) -> None:
        crm.answer = after(0.4, knowing(open_cases=3))
        other = another()
        answers = await asyncio.gather(ring(hub, "call-1"), ring(other, "call-2"))
        assert len(crm.got) == 1
        assert [answer["sources"][0]["state"] for answer in answers] == ["late", "late"]
        await done(hub)

    async def test_after_five_failures_it_is_left_alone_and_costs_no_time(
        self, hub: Hub, crm: Receiver, clock: Clock
    ) -> None:
        crm.answer = slamming
        for number in range(7):
            await ring(hub, f"call-{number}")
        assert len(crm.got) == 5
        assert (await missed(hub))[-1] == "left_alone"
        crm.answer = knowing(open_cases=1)
        clock.move(31 * SECOND)
        assert (await ring(hub, "call-8"))["sources"][0]["state"] == "answered"


GARBAGE: dict[str, tuple[Answer, str]] = {
    "no JSON": (saying("200 OK", b"<html>"), "garbage"),
    "no text": (saying("200 OK", b"\xff\xfe\x00"), "garbage"),
    "JSON without end": (saying("200 OK", b"[" * 60_000), "garbage"),
    "no object": (saying("200 OK", b"[]"), "garbage"),
    "no facts": (saying("200 OK", b"{}"), "garbage"),
    "facts that are none": (saying("200 OK", b'{"facts": [1]}'), "garbage"),
    "too much": (saying("200 OK", b" " * 70_000), "too_long"),
    "half of it": (hanging_up(b'{"facts"'), "no_answer"),
    "elsewhere": (saying("302 Found", head="location: /other\r\n"), "status_302"),
    "a fault": (saying("500 Internal Server Error", b'{"facts": {"open_cases": 1}}'), "status_500"),
    "made up": (saying("201 Created", b'{"facts": {"open_cases": 1}}'), "status_201"),
}


class TestBadAnswers:
    @pytest.mark.parametrize("kind", GARBAGE)
    async def test_garbage_is_no_answer(self, hub: Hub, crm: Receiver, kind: str) -> None:
        crm.answer, reason = GARBAGE[kind]
        answer = await ring(hub)
        await done(hub)
        assert answer["sources"][0]["state"] in ("failed", "late")
        assert [told for told in await missed(hub) if told != "late"] == [reason]
        assert await facts(hub) == {}
        assert [got.path for got in crm.got] == ["/hook"]

    @pytest.mark.parametrize("kind", ["silent", "trickling", "pouring"])
    async def test_one_without_end_is_late_and_then_given_up(
        self, hub: Hub, crm: Receiver, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ctxhub.hub.sources.ANSWER_WITHIN", 0.8)
        pouring = Pouring()
        trickle = trickling("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        crm.answer = {"silent": silent, "trickling": trickle, "pouring": pouring}[kind]
        await ring(hub)
        async with asyncio.timeout(ANSWER_WITHIN):
            await done(hub)
        assert (await missed(hub))[-1] in ("timeout", "too_long")
        assert pouring.poured < 10_000_000

    async def test_only_declared_facts_of_declared_types_are_taken(self, hub: Hub, crm: Receiver) -> None:
        crm.answer = knowing(
            segment="platinum", language="x" * 11, open_cases="2", balance=10_000, name="Ann"
        )  # fmt: skip
        assert (await ring(hub))["sources"][0]["state"] == "answered"
        assert await facts(hub) == {}

    @pytest.mark.parametrize("value", [True, None, [1], {"a": 1}, ""])
    async def test_a_number_is_a_number(self, hub: Hub, crm: Receiver, value: Any) -> None:
        crm.answer = knowing(open_cases=value, language="en")
        await ring(hub)
        assert set(await facts(hub)) == {"language"}

    async def test_what_is_never_kept_is_not_kept_of_a_source_either(
        self, another: Callable[..., Hub], crm: Receiver
    ) -> None:
        hub = another(facts={"remark": {"type": "text"}})
        crm.answer = knowing(remark="pays with 4111 1111 1111 1111")
        await ring(hub)
        assert "4111" not in str((await facts(hub))["remark"]["value"])

    async def test_who_is_not_there_is_nothing_known_of(self, hub: Hub, crm: Receiver) -> None:
        crm.answer = saying("404 Not Found")
        assert (await ring(hub))["sources"][0]["state"] == "answered"
        assert (await ring(hub, "call-2"))["sources"][0]["state"] == "cached"
        assert await missed(hub) == []

    async def test_an_inward_address_is_not_asked(self, another: Callable[..., Hub], crm: Receiver) -> None:
        hub = another(allow="")
        assert (await ring(hub))["sources"][0]["state"] == "failed"
        assert (await missed(hub), crm.got) == (["inward"], [])

    async def test_without_its_secret_nothing_is_asked(self, another: Callable[..., Hub], crm: Receiver) -> None:
        hub = another(environ={})
        await ring(hub)
        assert (await missed(hub), crm.got) == (["no_secret"], [])


class TestForgetting:
    async def test_who_was_forgotten_while_being_asked_about_stays_forgotten(self, hub: Hub, crm: Receiver) -> None:
        crm.answer = after(0.5, knowing(open_cases=5))
        await ring(hub)
        await hub.forgetting.forget(WHO)
        await done(hub)
        keys = hub.server.keys.customer(*WHO)
        assert await hub.server.call("EXISTS", keys.context, keys.document, keys.timeline) == 0

    async def test_who_comes_back_is_asked_about_anew(self, hub: Hub, crm: Receiver) -> None:
        await ring(hub)
        await hub.forgetting.forget(WHO)
        await ring(hub, "call-2")
        assert len(crm.got) == 2


async def test_a_channel_s_own_key_may_say_which_system_a_fact_came_from(hub: Hub) -> None:
    here = (await ring(hub, channel="chat"))["interaction"]["interaction_id"]
    await tell(hub, "fact.observed", here, "f1", name="plan", value="basic", source="billing")
    assert (await facts(hub))["plan"]["origin"]["source"] == "billing"
