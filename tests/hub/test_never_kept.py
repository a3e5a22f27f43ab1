"""What is never kept does not get past the hub: alone, in parts, in notes, and as what a customer is known by."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from ctxhub.errors import CustomerUnknown, Invalid
from ctxhub.hub.changes import PLAIN
from ctxhub.hub.hub import Hub
from ctxhub.model.customer import Identifier
from ctxhub.model.event import Telling
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import WHO, begin, context_of, in_one, offer, tell
from tests.model.cards import pieces
from tests.support import ACME, ADAPTER, MINUTE, Clock, ways

PAN = "4929724812467731"
SHOWN = "•••• 7731"


async def timeline(hub: Hub, who: Who = WHO) -> list[dict[str, Any]]:
    """The whole timeline of a customer."""
    return await hub.changes.contexts.timeline(who, 0, None, 10_000)


async def say(hub: Hub, place: str, event_id: str, text: str) -> dict[str, Any]:
    """Let the customer say something."""
    return await tell(hub, "message.received", place, event_id, text=text)


async def held(hub: Hub) -> str:
    """All that is kept of c42, as one text."""
    return f"{await timeline(hub)} {(await context_of(hub)).model_dump_json()}"


class TestAlone:
    """One event, one number."""

    async def test_a_message_is_kept_with_the_last_four_digits_and_says_that_something_was_taken_out(
        self, hub: Hub
    ) -> None:
        await say(hub, await in_one(hub), "m1", f"my card {PAN}, cvv 123")
        told = (await timeline(hub))[-1]
        assert told["data"] == {"text": f"my card {SHOWN}, cvv •••"}
        assert told["marks"] == ["redacted"]

    async def test_a_stated_fact_keeps_its_name(self, hub: Hub) -> None:
        place = await in_one(hub)
        await tell(hub, "fact.stated", place, "f1", name="card_number", value=PAN)
        [fact] = (await context_of(hub)).facts
        assert (fact.name, fact.value) == ("card_number", SHOWN)
        assert (await timeline(hub))[-1]["marks"] == ["redacted"]

    async def test_told_again_it_is_the_same_event(self, hub: Hub) -> None:
        place = await in_one(hub)
        first = await say(hub, place, "m1", f"card {PAN}")
        assert (await say(hub, place, "m1", f"card {SHOWN}"))["results"][0]["duplicate"]
        assert (await say(hub, place, "m1", f"card {PAN}"))["version"] == first["version"]

    async def test_notes_reasons_outcomes_and_touchpoints_are_texts_like_others(self, hub: Hub) -> None:
        place = (await begin(hub, touchpoint=f"page {PAN}"))["interaction"]["interaction_id"]
        await offer(hub, place, reason=f"lost {PAN}", note=f"it is {PAN}")
        await hub.interactions.end(WHO, place, None, f"said {PAN}")
        kept = await held(hub)
        assert PAN not in kept
        assert kept.count("7731") >= 4

    async def test_a_number_in_a_format_of_the_tenant_stays(self, hub: Hub, tenants_folder: Any) -> None:
        (tenants_folder / f"{ACME}.yaml").write_text('numbers: [{name: parcel, pattern: "492972\\\\d{10}"}]\n')
        hub.tenants._looked = 0.0
        await say(hub, await in_one(hub), "m1", f"where is {PAN}?")
        assert (await timeline(hub))[-1]["data"]["text"] == f"where is {PAN}?"


class TestInParts:
    """One number, several messages or key presses."""

    @pytest.mark.parametrize("seed", range(12))
    async def test_however_a_number_is_cut_its_parts_go_as_the_last_one_comes(self, hub: Hub, seed: int) -> None:
        place, random = await in_one(hub), Random(seed)
        parts = pieces(random, PAN, random.randint(2, 5))
        for n, part in enumerate(parts):
            await tell(hub, "message.sent", place, f"b{n}", party="bot", text="go on", fence=1)
            await say(hub, place, f"m{n}", part)
        kept = await timeline(hub)
        said = [event for event in kept if event["type"] == "message.received"]
        assert [event["data"]["text"] for event in said] == ["••••"] * (len(parts) - 1) + [SHOWN]
        assert all(event["marks"] == ["redacted"] for event in said)
        [redaction] = [event for event in kept if event["type"] == "event.redacted"]
        assert redaction["data"] == {"of": [f"m{n}" for n in range(len(parts))], "kind": "card", "last4": "7731"}
        assert [event["version"] for event in kept] == list(range(1, len(kept) + 1))

    async def test_single_key_presses_are_parts_as_well(self, hub: Hub) -> None:
        place = await in_one(hub)
        for n, key in enumerate(PAN):
            await tell(hub, "input.collected", place, f"k{n}", prompt="card_number", value=key, mode="dtmf")
        keyed = [event["data"]["value"] for event in await timeline(hub) if event["type"] == "input.collected"]
        assert keyed == ["••••"] * 15 + [SHOWN]

    async def test_facts_made_of_the_parts_go_too(self, hub: Hub) -> None:
        place = await in_one(hub)
        for n, part in enumerate((PAN[:8], PAN[8:])):
            data = {"prompt": f"part{n}", "value": part, "mode": "dtmf"}
            fact = {"name": f"part{n}", "value": part}
            events = [
                Telling(event_id=f"k{n}", type="input.collected", interaction_id=place, data=data),
                Telling(event_id=f"f{n}", type="fact.stated", interaction_id=place, data=fact),
            ]
            await hub.events.tell(WHO, events, PLAIN)
        kept = await held(hub)
        assert PAN[:8] not in kept
        assert PAN[8:] not in kept
        assert [fact.name for fact in (await context_of(hub)).facts] == ["part0", "part1"]

    async def test_all_parts_in_one_request_are_found_as_well(self, hub: Hub) -> None:
        place = await in_one(hub)
        told = [
            Telling(event_id=f"m{n}", type="message.received", interaction_id=place, data={"text": part})
            for n, part in enumerate((PAN[:4], PAN[4:11], PAN[11:]))
        ]
        await hub.events.tell(WHO, told, PLAIN)
        assert [e["data"]["text"] for e in (await timeline(hub))[1:4]] == ["••••", "••••", SHOWN]

    async def test_a_part_told_again_is_known_although_its_content_is_gone(self, hub: Hub) -> None:
        place = await in_one(hub)
        first = await say(hub, place, "m1", PAN[:9])
        last = await say(hub, place, "m2", PAN[9:])
        assert (await say(hub, place, "m1", PAN[:9]))["results"][0] == {**first["results"][0], "duplicate": True}
        assert (await say(hub, place, "m2", PAN[9:]))["results"][0] == {**last["results"][0], "duplicate": True}
        assert PAN[:9] not in await held(hub)

    async def test_the_code_said_right_behind_a_card_goes(self, hub: Hub) -> None:
        place = await in_one(hub)
        await say(hub, place, "m1", f"{PAN}")
        await say(hub, place, "m2", "123")
        assert (await timeline(hub))[-1]["data"]["text"] == "•••"

    async def test_what_was_said_long_ago_in_another_call_or_by_others_is_no_part(self, hub: Hub, clock: Clock) -> None:
        one, other = await in_one(hub), await in_one(hub, "x2")
        await say(hub, one, "m1", PAN[:8])
        await say(hub, other, "m2", PAN[8:])
        await say(hub, one, "m3", PAN[:8])
        clock.move(4 * MINUTE)
        await say(hub, one, "m4", PAN[8:])
        assert [e["data"]["text"] for e in await timeline(hub) if e["type"] == "message.received"] == [
            PAN[:8],
            PAN[8:],
            PAN[:8],
            PAN[8:],
        ]

    async def test_two_workers_that_hear_the_parts_at_once_leave_none(
        self, server: Server, clock: Clock, tenants_folder: Any
    ) -> None:
        workers = [Hub(server, ways(clock, tenants=tenants_folder)) for _ in range(2)]
        for n in range(15):
            place = await in_one(workers[0], f"x{n}")
            half = [say(workers[0], place, f"a{n}", PAN[:8]), say(workers[1], place, f"b{n}", PAN[8:])]
            await asyncio.gather(*half)
        texts = [e["data"]["text"] for e in await timeline(workers[0]) if e["type"] == "message.received"]
        told = [texts[n : n + 2] for n in range(0, 30, 2)]
        # In whichever order they came: only the first half before the second makes the number.
        assert all(pair in ([PAN[8:], PAN[:8]], ["••••", SHOWN]) for pair in told)
        assert ["••••", SHOWN] in told

    async def test_an_ordinary_message_is_still_one_round_trip(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        place, trips = await in_one(hub), []
        run = hub.server.run

        async def counted(name: str, *args: Any, **more: Any) -> Any:
            trips.append(name)
            return await run(name, *args, **more)

        monkeypatch.setattr(hub.server, "run", counted)
        await say(hub, place, "m1", "where is my order?")
        assert trips == ["append"]
        await say(hub, place, "m2", "for 2 please")
        assert trips == ["append", "load", "append"]


class TestCardsAsIdentifiers:
    """In a bank the number is how people say who they are."""

    async def test_a_card_leads_to_its_customer_and_its_number_is_nowhere(self, hub: Hub) -> None:
        card = Identifier(type="card", value="4929 7248 1246 7731", strength="verified", ref="tok_9")
        await begin(hub, identifiers=[card])
        assert await hub.customers.lookup(ACME, Identifier(type="card", value=PAN)) == WHO
        assert await hub.customers.lookup(ACME, Identifier(type="card_ref", value="tok_9")) == WHO
        kept = [i for i in (await context_of(hub)).identifiers if i.type == "card"]
        assert [(i.value, i.ref) for i in kept] == [(SHOWN, "tok_9")]
        assert "4929" not in await held(hub)

    async def test_another_card_with_the_same_last_digits_is_another(self, hub: Hub) -> None:
        await begin(hub, identifiers=[Identifier(type="card", value=PAN)])
        with pytest.raises(CustomerUnknown):
            await hub.customers.lookup(ACME, Identifier(type="card", value="6011000930007731"))

    async def test_the_same_card_is_another_for_another_tenant(self, hub: Hub) -> None:
        mine = hub.identity.normal(ACME, Identifier(type="card", value=PAN))
        theirs = hub.identity.normal("other", Identifier(type="card", value=PAN))
        assert mine.index != theirs.index

    async def test_what_is_no_card_number_is_refused_without_repeating_it(self, hub: Hub) -> None:
        with pytest.raises(Invalid) as refused:
            await begin(hub, identifiers=[Identifier(type="card", value="4929724812467732")])
        assert "4929" not in str(refused.value)

    async def test_asked_for_it_the_hub_knows_the_last_four_digits_from_level_2_on(self, hub: Hub) -> None:
        card = Identifier(type="card", value=PAN, strength="verified")
        low, high = await in_one(hub, "x1", 1, identifiers=[card]), await in_one(hub, "x2", 2, identifiers=[card])
        for place, value in ((low, None), (high, SHOWN)):
            asked = await hub.asks.ask(WHO, ADAPTER.reader(place), place, ["card_number"], None)
            assert asked.answers[0].value == value
