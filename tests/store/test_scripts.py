"""Each script keeps the contract on its top, on a real server."""

from __future__ import annotations

from datetime import date

import pytest

from ctxhub.errors import TooMany
from ctxhub.store.lists import Lists
from ctxhub.store.lookups import Lookups
from ctxhub.store.redis import Server
from tests.store.steps import C42, LIFETIME, NOW, Steps, appended, committed
from tests.support import ACME, HOUR, KEEP, MASTER_KEY, a_phone

BOT = "1 bot 2 2000000 chat"


@pytest.fixture
async def steps(server: Server) -> Steps:
    """One customer, with one interaction whose floor a bot has, at version 1."""
    steps = Steps(server)
    assert await steps.commit(events=[committed("e1")], standings=[("in_1", BOT, "t")]) == [b"ok", b"1", b"1"]
    return steps


async def test_load_of_nobody_brings_nothing(server: Server) -> None:
    assert await Steps(server).load() == [[], None, [], [], None]


async def test_load_brings_the_document_unless_the_caller_has_that_commit(steps: Steps) -> None:
    head, document, *_ = await steps.load("another")
    assert dict(zip(head[::2], head[1::2], strict=True))[b"commit"] == b"k1"
    assert document == b"document"
    assert (await steps.load("k1"))[1] is None


async def test_load_brings_the_newest_events_and_says_which_are_known(steps: Steps) -> None:
    await steps.append(appended("e2"), appended("e3"))
    _, _, newest, seen, _ = await steps.load("", 2, False, "e1", "e9", "e3")
    assert [entry.split(b" ", 3)[3] for entry in newest] == [b"bytes of e2", b"bytes of e3"]
    assert seen == [b"1:p", None, b"3:p"]


async def test_load_brings_the_record_of_an_operation_only_when_asked(steps: Steps) -> None:
    await steps.append(appended("e2"), keyed="print")
    assert (await steps.load())[4] is None
    assert (await steps.load("", 0, True))[4] == b'print {"flags":"0"}'


async def test_a_commit_writes_everything_or_nothing(steps: Steps) -> None:
    keys = steps.server.keys
    part = keys.list_part(steps.keys.partition, ACME, "open:chat")
    handoff = keys.handoff(steps.keys.partition, "ho_1")
    assert await steps.commit("stale", "k2", entries=[(part, "m", "5")], lookups=[(handoff, "v")]) == [b"changed"]
    assert await steps.server.call("EXISTS", part, handoff) == 0
    done = await steps.commit("k1", "k2", entries=[(part, "m", "5")], lookups=[(handoff, "v")], due="77")
    assert done == [b"ok", b"1", b"1"]
    assert await steps.server.call("ZSCORE", part, "m") == 5
    assert await steps.server.call("GET", handoff) == b"v"
    assert await steps.server.call("ZSCORE", steps.keys.due, steps.keys.member) == 77


async def test_a_commit_takes_out_of_lists_and_of_what_is_due(steps: Steps) -> None:
    part = steps.server.keys.list_part(steps.keys.partition, ACME, "open:chat")
    await steps.commit("k1", "k2", entries=[(part, "m", "5")], due="77")
    await steps.commit("k2", "k3", entries=[(part, "m", "")], due="")
    assert await steps.server.call("EXISTS", part, steps.keys.due) == 0


async def test_a_commit_without_a_document_leaves_it_alone(steps: Steps) -> None:
    assert await steps.commit("k1", "k1", document="", events=[committed("e2")]) == [b"ok", b"2", b"1"]
    assert await steps.server.call("GET", steps.keys.document) == b"document"
    assert await steps.commit("k1", "k2", document="newer", events=[committed("e3")]) == [b"ok", b"3", b"3"]


async def test_a_commit_whose_event_became_known_meanwhile_has_raced(steps: Steps) -> None:
    await steps.append(appended("e2"))
    assert await steps.commit("k1", "k2", events=[committed("e3"), committed("e2")]) == [b"raced"]
    assert await steps.timeline() == [b"0 chat  bytes of e1", b"0   bytes of e2"]


async def test_an_operation_is_done_once(steps: Steps) -> None:
    assert (await steps.commit("k1", "k2", events=[committed("e2")], record="print {}"))[0] == b"ok"
    assert await steps.commit("k2", "k3", events=[committed("e3")], record="print {}") == [b"replayed"]
    assert len(await steps.timeline()) == 2


async def test_every_key_of_a_customer_lives_equally_long(steps: Steps) -> None:
    keys = steps.keys
    for name in (keys.document, keys.timeline, keys.events):
        assert 0 < await steps.server.call("PTTL", name) <= LIFETIME
    assert LIFETIME < await steps.server.call("PTTL", keys.context) <= 2 * LIFETIME  # that somebody was there


async def test_an_interaction_that_ended_no_longer_stands_beside_the_document(steps: Steps) -> None:
    assert await steps.standing("in_1") == f"{BOT} {NOW} 0".encode()
    await steps.commit("k1", "k2", standings=[("in_1", "", "")])
    assert await steps.standing("in_1") is None


async def test_when_the_holder_spoke_is_forgotten_as_the_floor_moves(steps: Steps) -> None:
    await steps.append(appended("e2", interaction="in_1", fence="1", party="bot"), now=NOW + 5)
    assert await steps.standing("in_1") == f"{BOT} {NOW + 5} {NOW + 5}".encode()
    await steps.commit("k1", "k2", standings=[("in_1", BOT, "")], now=NOW + 7)
    assert await steps.standing("in_1") == f"{BOT} {NOW + 5} {NOW + 5}".encode()
    agent = BOT.replace("1 bot", "2 agent")
    await steps.commit("k2", "k3", standings=[("in_1", agent, "t")], now=NOW + 9)
    assert await steps.standing("in_1") == f"{agent} {NOW + 9} 0".encode()
    await steps.commit("k3", "k4", standings=[("in_1", agent, "h")], now=NOW + 11)
    assert await steps.standing("in_1") == f"{agent} {NOW + 11} {NOW + 11}".encode()


async def test_an_append_is_numbered_noted_and_leaves_the_decision_alone(steps: Steps) -> None:
    answer = await steps.append(appended("e2", interaction="in_1"), appended("e3", level=2))
    assert answer == [b"ok", b"3", b"1", b"00", b"2", b"3"]
    assert await steps.timeline() == [b"0 chat  bytes of e1", b"2 chat  bytes of e2", b"2   bytes of e3"]
    assert await steps.writes() == 2
    assert (await steps.commit("k1", "k2"))[0] == b"ok"


async def test_assurance_that_ended_counts_for_nothing_in_an_append(steps: Steps) -> None:
    await steps.append(appended("e2", interaction="in_1"), now=2_000_000)
    assert (await steps.timeline())[-1] == b"0 chat  bytes of e2"


async def test_an_append_to_nobody_is_unknown(server: Server) -> None:
    assert await Steps(server).append(appended("e1")) == [b"unknown"]


async def test_an_append_to_who_moved_or_is_gone_says_so(steps: Steps) -> None:
    await steps.commit("k1", "k2", state="moved:c7")
    assert await steps.append(appended("e2")) == [b"state", b"moved:c7"]


async def test_an_event_told_twice_keeps_its_first_version(steps: Steps) -> None:
    await steps.append(appended("e2"), appended("e3"))
    again = await steps.append(appended("e3"), appended("e4"), appended("e2"), appended("e4"))
    assert again == [b"ok", b"4", b"1", b"1011", b"3", b"4", b"2", b"4"]
    assert await steps.append(appended("e2")) == [b"ok", b"4", b"1", b"1", b"2"]
    assert len(await steps.timeline()) == 4
    assert await steps.writes() == 3


async def test_an_event_id_with_another_content_refuses_the_whole_append(steps: Steps) -> None:
    assert await steps.append(appended("e2"), appended("e1", "other")) == [b"event_id_reused", 2]
    assert await steps.append(appended("e2"), appended("e2", "other")) == [b"event_id_reused", 2]
    assert len(await steps.timeline()) == 1


async def test_an_idempotency_key_repeats_its_answer_and_refuses_another_request(steps: Steps) -> None:
    first = await steps.append(appended("e2", interaction="in_1"), keyed="print")
    assert first == [b"ok", b"2", b"1", b"0", b"2"]
    assert await steps.append(appended("e2", interaction="in_1"), keyed="print") == first
    assert await steps.append(appended("e3"), keyed="other") == [b"key_reused"]
    assert len(await steps.timeline()) == 2


async def test_an_interaction_that_is_not_open_needs_a_decision(steps: Steps) -> None:
    assert await steps.append(appended("e2"), appended("e3", interaction="in_9")) == [b"not_open", 2]
    assert len(await steps.timeline()) == 1


@pytest.mark.parametrize("fence", ["", "2"])
async def test_who_lacks_the_floor_is_told_who_has_it(steps: Steps, fence: str) -> None:
    refused = await steps.append(appended("e2", interaction="in_1", fence=fence, party="agent"))
    assert refused == [b"not_the_holder", 1, b"1", b"bot"]
    assert len(await steps.timeline()) == 1


async def test_what_was_already_said_out_of_turn_is_kept_and_marked(steps: Steps) -> None:
    said = appended("e2", interaction="in_1", fence="", delivered=True, party="agent")
    assert await steps.append(said) == [b"ok", b"2", b"1", b"2", b"2"]
    assert (await steps.timeline())[-1] == b"2 chat out_of_turn bytes of e2"


async def test_the_holder_need_not_show_a_fence_for_what_was_already_said(steps: Steps) -> None:
    said = appended("e2", interaction="in_1", fence="", delivered=True, party="bot")
    assert await steps.append(said) == [b"ok", b"2", b"1", b"0", b"2"]
    late = appended("e3", interaction="in_1", fence="7", delivered=True, party="bot")
    assert (await steps.append(late))[3] == b"2"


async def test_the_first_customer_has_an_identifier_and_later_ones_stand_beside(server: Server) -> None:
    lookups = Lookups(server, MASTER_KEY, KEEP)
    phone = a_phone()
    assert await lookups.link(ACME, phone, "c1", first=True) == {"c1": "claimed"}
    assert await lookups.link(ACME, phone, "c2", first=True) == {"c1": "claimed"}
    assert await lookups.link(ACME, phone, "c2", first=False) == {"c1": "claimed", "c2": "claimed"}


async def test_a_link_is_strengthened_and_never_weakened(server: Server) -> None:
    lookups = Lookups(server, MASTER_KEY, KEEP)
    await lookups.link(ACME, a_phone(), "c1", first=True)
    assert await lookups.link(ACME, a_phone(strength="verified"), "c1", first=True) == {"c1": "verified"}
    assert await lookups.link(ACME, a_phone(), "c1", first=False) == {"c1": "verified"}


async def test_tries_are_counted_in_a_window_that_begins_with_the_first(server: Server) -> None:
    key = server.keys.lookup(ACME, "tries", "ab" * 16)
    assert await server.run("count_try", [key], [60_000]) == [1, 60_000]
    await server.call("PEXPIRE", key, 5_000, writes=True)
    count, left = await server.run("count_try", [key], [60_000])
    assert count == 2
    assert 0 < left <= 5_000


async def test_after_the_most_tries_the_caller_learns_when_to_come_back(server: Server) -> None:
    lookups = Lookups(server, MASTER_KEY, KEEP)
    for _ in range(3):
        await lookups.count_try(ACME, ("code",), 3, HOUR)
    with pytest.raises(TooMany) as refused:
        await lookups.count_try(ACME, ("code",), 3, HOUR)
    assert 0 < refused.value.ids["retry_after"] <= 3600
    await lookups.count_try(ACME, ("another code",), 3, HOUR)


async def test_a_saved_question_counts_once_for_an_interaction_and_name(server: Server) -> None:
    lists = Lists(server, KEEP)
    day = date(2026, 11, 22)
    assert await lists.count_saved(C42, "in_1", ["city", "phone"], day, "saved\x1fivr") == 2
    assert await lists.count_saved(C42, "in_1", ["city", "order"], day, "saved\x1fivr") == 1
    assert await lists.count_saved(C42, "in_2", ["city"], day, "saved\x1fchat") == 1
    assert await lists.count_saved(C42, "in_2", ["city"], day, "saved\x1fchat") == 0
    assert await lists.numbers(ACME, [day]) == {"saved\x1fivr": 3, "saved\x1fchat": 1}


async def test_an_append_behind_a_version_is_refused_once_anything_was_written_since(steps: Steps) -> None:
    assert (await steps.append(appended("e2"), on="1"))[:2] == [b"ok", b"2"]
    assert await steps.append(appended("e3"), on="1") == [b"changed"]
    assert len(await steps.timeline()) == 2
    assert (await steps.append(appended("e3"), on="2"))[:2] == [b"ok", b"3"]


async def test_an_append_keeps_the_marks_of_an_event_beside_its_own(steps: Steps) -> None:
    await steps.append(appended("e2", marks="redacted"))
    await steps.append(appended("e3", interaction="in_1", fence="0", delivered=True, party="bot", marks="redacted"))
    assert [entry.split(b" ", 3)[2] for entry in await steps.timeline()] == [b"", b"redacted", b"redacted,out_of_turn"]


async def test_a_commit_writes_entries_anew_and_takes_any_content_for_what_they_said(steps: Steps) -> None:
    await steps.append(appended("e2"))
    anew = [(2, "e2", "0 chat redacted nothing")]
    assert await steps.commit("k1", "k2", stands="1", anew=anew) == [b"changed"]
    assert await steps.commit("k1", "k2", stands="2", anew=anew) == [b"ok", b"2", b"2"]
    assert (await steps.timeline())[1] == b"0 chat redacted nothing"
    assert await steps.append(appended("e2", print_="another")) == [b"ok", b"2", b"2", b"1", b"2"]


async def test_an_entry_that_only_the_archive_has_is_left_to_it(steps: Steps) -> None:
    await steps.server.call("HSET", steps.keys.context, "base", 1, writes=True)
    await steps.server.call("DEL", steps.keys.timeline, writes=True)
    assert await steps.commit("k1", "k2", anew=[(1, "e1", "0 chat redacted nothing")]) == [b"ok", b"1", b"1"]
    assert await steps.timeline() == []


async def test_an_append_takes_words_of_the_channels_it_is_for(steps: Steps) -> None:
    standings = [("in_1", "1 bot 0 0 ivr", ""), ("in_2", "1 bot 0 0 web_chat", ""), ("in_3", "1 bot 0 0 chat!", "")]
    await steps.commit("k1", standings=standings)
    assert await steps.append(appended("a", interaction="in_1"), channels=",chat,") == [b"other_channel", 1, b"ivr"]
    refused = await steps.append(appended("a"), appended("b", interaction="in_2"), channels=",chat,web,")
    assert refused == [b"other_channel", 2, b"web_chat"]
    assert await steps.append(appended("a", interaction="in_3"), channels=",ivr,") == [b"not_open", 1]
    assert len(await steps.timeline()) == 1
    assert (await steps.append(appended("a", interaction="in_1"), channels=",chat,ivr,"))[0] == b"ok"
    assert (await steps.append(appended("b", interaction="in_2")))[0] == b"ok"
