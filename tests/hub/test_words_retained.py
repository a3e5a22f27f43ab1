"""What was said in words has its time too; the event stays, and no word comes back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ctxhub.hub.hub import Hub
from ctxhub.model.context import Context
from ctxhub.model.disclosure import sensitivity_of
from ctxhub.model.retention import Retention, live_work, looked_at_anew, with_review, without_old_words
from ctxhub.model.tenant import Tenant
from ctxhub.store.contexts import Who
from ctxhub.store.redis import Server
from tests.hub.scenes import WHO, context_of, due_in, in_one, offer, tell
from tests.hub.test_numbers import a_story, numbers, relayed
from tests.support import (
    ACME,
    DAY,
    DESK,
    HOUR,
    NOON,
    TENANT,
    Clock,
    a_context,
    after,
    an_event,
    started,
    ways,
)  # fmt: skip

DECLARED: dict[str, Any] = {"journeys": {"refund": 2}, "sensitivity": {"sensitive": 1, "internal": 4}, "words": 5}


def declare(folder: Path, tenant: Tenant, **declared: Any) -> Path:
    """A folder with a tenant's file that has these times."""
    folder.mkdir(exist_ok=True)
    said = tenant.but(retention=Retention.model_validate(declared)).model_dump_json(exclude={"tenant"})
    (folder / f"{ACME}.yaml").write_text(said, encoding="utf-8")
    return folder


@pytest.fixture
def tenants_folder(tmp_path: Path) -> Path:
    """The file of acme, which keeps words for five days, and some for less."""
    return declare(tmp_path / "tenants", TENANT, **DECLARED)


async def said(hub: Hub, who: Who = WHO) -> dict[str, Any]:
    """What the events of a timeline say, by their ids; of those that say anything or did."""
    told = await hub.changes.contexts.timeline(who, 0, None, 1000)
    return {e["event_id"]: e["data"].get("text", e["data"].get("value", e["data"].get("what"))) for e in told}


async def test_words_go_by_how_sensitive_they_are_and_their_events_stay(hub: Hub, clock: Clock) -> None:
    talk = await in_one(hub, level=2)
    await tell(hub, "message.received", talk, "said", text="my husband left")
    await tell(hub, "input.collected", talk, "keyed", prompt="order", value="17", mode="dtmf")
    await tell(hub, "note.added", talk, "note", text="sad", party="agent")
    await tell(hub, "intent.detected", talk, "wish", name="divorce")
    await hub.interactions.end(WHO, talk, None, None)
    before = await hub.changes.contexts.timeline(WHO, 0)
    gone = {"said": "my husband left", "keyed": "17", "note": "sad"}
    for days, blank in ((1, {"keyed": None}), (3, {"note": ""}), (1, {"said": ""})):
        assert timedelta() < await due_in(hub, clock) <= days * DAY
        clock.move(days * DAY)
        await hub.wake(WHO)
        gone |= blank
        assert {name: (await said(hub))[name] for name in gone} == gone
    told = await hub.changes.contexts.timeline(WHO, 0)
    assert [event["version"] for event in told] == list(range(1, len(told) + 1))
    assert [event["event_id"] for event in told][: len(before)] == [event["event_id"] for event in before]
    marked = {event["event_id"] for event in told if "retired" in event.get("marks", ())}
    assert marked == {"said", "keyed", "note", "wish"}
    assert [event["data"] for event in told if event["type"] == "words.retired"] == [
        {"events": 1}, {"events": 1}, {"events": 2}
    ]  # fmt: skip
    assert (await context_of(hub)).interactions[talk].intent is None


async def test_a_talk_about_a_task_goes_by_the_kind_of_the_task(hub: Hub, clock: Clock) -> None:
    talk, other = await in_one(hub, level=2), await in_one(hub, "x2", level=2)
    await tell(hub, "message.received", talk, "before", text="hello")
    await tell(hub, "journey.started", talk, "j", kind="refund", journey_id="jr_1")
    await tell(hub, "message.received", talk, "during", text="it broke")
    await tell(hub, "journey.completed", talk, "done", journey_id="jr_1")
    await tell(hub, "message.received", other, "elsewhere", text="what time is it")
    for each in (talk, other):
        await hub.interactions.end(WHO, each, None, None)
    clock.move(2 * DAY)
    await hub.wake(WHO)
    now = await said(hub)
    assert (now["before"], now["during"], now["elsewhere"]) == ("", "", "what time is it")


async def test_words_that_are_told_on_and_on_in_one_thread_each_have_their_time(hub: Hub, clock: Clock) -> None:
    talk = await in_one(hub, level=2, channel="whatsapp")
    for day in range(12):
        await tell(hub, "message.received", talk, f"day{day}", text="hello")
        clock.move(DAY)
        await hub.wake(WHO)
    now = await said(hub)
    assert [now[f"day{day}"] for day in range(12)] == [""] * 8 + ["hello"] * 4


async def test_live_work_keeps_its_words_until_it_is_done(hub: Hub, clock: Clock) -> None:
    talk = await in_one(hub, level=2)
    await tell(hub, "message.received", talk, "said", text="please call")
    await tell(hub, "commitment.made", talk, "promise", what="call her", owner="cards", commitment_id="cm_1",
               due_at="2027-01-01T12:00:00Z")  # fmt: skip
    handoff = await offer(hub, talk, kind="message", note="hard of hearing")
    clock.move(8 * DAY)
    await hub.wake(WHO)
    now = await said(hub)
    assert (now["said"], now["promise"]) == ("please call", "call her")
    await hub.handoffs.cancel(DESK, handoff["handoff_id"])
    await hub.wake(WHO)
    now, context = await said(hub), await context_of(hub)
    assert (now["said"], now["promise"]) == ("", "call her")
    assert "hard of hearing" not in repr((await hub.changes.contexts.timeline(WHO, 0), context))
    await tell(hub, "commitment.kept", None, "kept", commitment_id="cm_1", party="system")
    await hub.wake(WHO)
    assert (await said(hub))["promise"] == ""


async def test_words_of_work_that_is_done_before_their_time_have_it_still(
    server: Server, clock: Clock, tmp_path: Path
) -> None:
    hub = Hub(server, ways(clock, tenants=declare(tmp_path / "words", TENANT, words=5)))
    first = await in_one(hub, level=2)
    await tell(hub, "message.received", first, "first", text="hello")
    await hub.interactions.end(WHO, first, None, None)
    clock.move(4 * DAY)
    second = await in_one(hub, "x2", level=2)
    await tell(hub, "message.received", second, "said", text="please call")
    handoff = await offer(hub, second, kind="message", note=None)
    await hub.interactions.end(WHO, second, None, None)
    clock.move(DAY)
    await hub.wake(WHO)  # the first are over and looked at; the others are needed
    clock.move(DAY)
    await hub.handoffs.cancel(DESK, handoff["handoff_id"])
    clock.move(3 * DAY)
    assert await due_in(hub, clock) <= timedelta(0)
    await hub.wake(WHO)
    assert [(await said(hub))[name] for name in ("first", "said")] == ["", ""]


async def test_an_event_of_a_channel_s_own_may_carry_anything_and_all_goes_on(hub: Hub, clock: Clock) -> None:
    talk = await in_one(hub, level=2)
    await tell(hub, "x.acme.visit", talk, "odd", handoff_id=["a"], commitment_id=[2], kind={})
    await tell(hub, "message.received", talk, "said", text="a secret")
    clock.move(8 * DAY)
    await hub.wake(WHO)
    assert (await said(hub))["said"] == ""


async def test_a_hold_keeps_words_and_what_a_merged_customer_said(hub: Hub, clock: Clock) -> None:
    other = Who(ACME, "c2")
    theirs = await in_one(hub, "x2", level=2, customer_id="c2")
    await tell(hub, "message.received", theirs, "theirs", other, text="a secret")
    await hub.interactions.end(other, theirs, None, None)
    await in_one(hub, level=2)
    await hub.merging.merge(WHO, "c2")
    await hub.holds.begin(WHO, "a case in court", "ann")
    clock.move(9 * DAY)
    await hub.wake(WHO)
    assert (await said(hub, other))["theirs"] == "a secret"
    await hub.holds.end(WHO, "ann")
    await hub.wake(WHO)
    assert (await said(hub, other))["theirs"] == ""


async def test_what_was_told_outside_any_interaction_has_its_time(hub: Hub, clock: Clock) -> None:
    await hub.interactions.end(WHO, await in_one(hub, level=2), None, None)
    clock.move(DAY)
    await hub.wake(WHO)  # what was said in it was looked at, so that nothing is due any more
    await tell(hub, "note.added", None, "note", text="wrote a letter", party="agent")
    clock.move(4 * DAY)
    await hub.wake(WHO)
    assert (await said(hub))["note"] == ""


async def test_told_again_it_is_known_and_no_word_comes_back(hub: Hub, clock: Clock) -> None:
    talk = await in_one(hub, level=2)
    first = await tell(hub, "message.received", talk, "said", text="a secret")
    await tell(hub, "intent.detected", talk, "wish", name="divorce")
    clock.move(6 * DAY)
    await hub.wake(WHO)
    again = await tell(hub, "message.received", talk, "said", text="a secret")
    assert again["results"] == [first["results"][0] | {"duplicate": True}]
    assert (await tell(hub, "intent.detected", talk, "wish", name="divorce"))["results"][0]["duplicate"]
    assert "a secret" not in repr(await hub.changes.contexts.timeline(WHO, 0))
    assert "divorce" not in (await context_of(hub)).model_dump_json()


async def test_new_times_count_for_old_words_from_the_next_change_on(
    server: Server, clock: Clock, tmp_path: Path
) -> None:
    talk = await in_one(before := Hub(server, ways(clock)), level=2)
    await tell(before, "message.received", talk, "said", text="a secret")
    await before.interactions.end(WHO, talk, None, None)
    clock.move(9 * DAY)
    hub = Hub(server, ways(clock, tenants=declare(tmp_path / "later", TENANT, **DECLARED)))
    await in_one(hub, "x2")
    await hub.wake(WHO)
    assert (await said(hub))["said"] == ""


async def test_the_numbers_stay_as_they_were(hub: Hub, clock: Clock) -> None:
    await a_story(hub)
    await relayed(hub)
    before = await numbers(hub)
    assert sum(before["questions_saved"]["by_channel"].values()) > 0
    for _ in range(7):
        clock.move(DAY)
        await hub.wake(Who(ACME, "c1"))
    await relayed(hub)
    assert any("retired" in e.get("marks", ()) for e in await hub.changes.contexts.timeline(Who(ACME, "c1"), 0))
    assert await numbers(hub) == before


class TestRules:
    """The rules on plain values."""

    KEEPS = Retention(journeys={"refund": 3}, sensitivity={"sensitive": 1, "personal": 9, "internal": 7}, words=5)

    @pytest.mark.parametrize(
        ("type_", "data", "kinds", "days"),
        [
            ("message.received", {"text": "a"}, [], 5),
            ("message.received", {"text": "a"}, ["complaint", "refund"], 3),
            ("message.received", {"text": ""}, [], None),
            ("input.collected", {"value": None}, [], 1),
            ("note.added", {"text": "a"}, [], 5),
            ("fact.stated", {"name": "a", "value": 1}, [], 9),
            ("fact.stated", {"name": "a", "value": 1, "sensitivity": "sensitive"}, ["refund"], 1),
            ("fact.revealed", {"reason": "a"}, [], 5),
            ("journey.advanced", {"step": "a"}, ["refund"], None),
            ("x.acme.a", {"b": 1}, [], 5),
        ],
    )
    def test_the_first_of_all_times_counts(
        self, type_: str, data: dict[str, Any], kinds: list[str | None], days: int | None
    ) -> None:
        end = self.KEEPS.end_of(type_, data, NOON, kinds)
        assert end == (None if days is None else NOON + days * DAY)

    def test_words_count_from_the_full_hour_and_facts_from_the_minute(self) -> None:
        keeps, at = Retention(sensitivity={"personal": 1}), NOON + HOUR / 2
        assert keeps.end_of("note.added", {"text": "a"}, at, []) is None  # it is internal
        assert keeps.end_of("message.sent", {"text": "a"}, at, []) == NOON + DAY
        assert keeps.end_of("fact.stated", {"value": 1}, at, []) == at + DAY

    def test_words_are_as_sensitive_as_disclosure_takes_them_to_be(self) -> None:
        assert sensitivity_of("message.received", {"text": "a"}) == "personal"
        assert sensitivity_of("input.collected", {"value": "a"}) == "sensitive"
        assert sensitivity_of("note.added", {"text": "a"}) == "internal"

    def test_words_in_the_context_go_but_not_those_of_live_work(self) -> None:
        keeps = Retention(words=1)
        context = after(started(a_context(), level=2), an_event("intent.detected", name="divorce"))
        assert with_review(context, [], keeps).review_at == NOON + DAY
        over = NOON + DAY
        assert without_old_words(context, keeps, over - HOUR, ()) is context
        assert without_old_words(context, keeps, over, ["in_1"]) is context
        assert without_old_words(context, keeps, over, ()).interactions["in_1"].intent is None

    def test_work_that_is_done_lets_look_at_what_it_kept(self) -> None:
        keeps = Retention(words=1)
        made = an_event("commitment.made", what="call", owner="cards", due_at="2027-01-01T12:00:00Z",
                        commitment_id="cm_1")  # fmt: skip
        before = after(started(a_context(), level=2), made)
        before = before.but(reviewed_under=keeps.print, review_at=NOON + 30 * DAY)
        assert live_work(before) == {"cm_1", made.event_id}
        done = before.but(commitments={})
        assert looked_at_anew(before, done, keeps, NOON + HOUR) is done
        assert looked_at_anew(before, done, keeps, NOON + 2 * DAY).review_at == NOON + 2 * DAY

    def test_who_is_new_was_looked_at_and_whom_other_times_held_was_not(self) -> None:
        keeps, new = Retention(words=1), a_context()
        known: Context = looked_at_anew(None, new, keeps, NOON)
        assert (known.reviewed_under, known.review_at) == (keeps.print, None)
        assert looked_at_anew(known, known, keeps, NOON) is known
        assert looked_at_anew(known, known, Retention(words=2), NOON).review_at == NOON
        assert looked_at_anew(new, new, Retention(), NOON) is new
