"""The checker finds every stale read, lost update, double, gap and second holder that is put into a history."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.history import Claim, Entry, Final, History, Op

WRITES = 400


def a_history(seed: int = 7) -> tuple[History, Final]:
    """One customer whom several clients write and read at once, as it goes where nothing is wrong."""
    chance, ops, version, now = random.Random(seed), [], 0, 0.0
    for n in range(1, WRITES + 1):
        now += chance.random()
        began, version = now, version + 1
        ops.append(Op(f"w{n}", began, began + 3 * chance.random(), version, ((f"e{n}", n),)))
        if n % 3 == 0:  # a read whose effect falls between its begin and its end
            ops.append(Op(f"r{n}", began, began + 2 * chance.random(), version))
        if n % 5 == 0:  # sent again, and shown what stands by then
            ops.append(Op(f"w{n}", began + 5, began + 6, None, ((f"e{n}", n),)))
    ops.append(Op("offer", now, now + 1, None, (("handoff.offered h1", None),)))
    ops.append(Op("accept", now + 1, now + 2, None, (), Claim("h1", "i1", 2, "ann")))
    timeline = [Entry(n, f"e{n}") for n in range(1, WRITES + 1)]
    timeline += [Entry(WRITES + 1, "o1", "handoff.offered h1")]
    facts = {f"fact {n}": f"e{n}" for n in range(1, WRITES, 10)}
    return History(ops, facts), Final(timeline, frozenset(facts), {"h1": "completed"})


def test_where_nothing_is_wrong_nothing_is_found() -> None:
    for seed in range(20):
        history, final = a_history(seed)
        assert history.faults(final) == []
        assert history.acknowledged == WRITES + 1


@pytest.mark.parametrize("seed", range(20))
def test_every_stale_read_is_found(seed: int) -> None:
    history, final = a_history(seed)
    chance = random.Random(seed)
    latest = max(op.ended for op in history.ops)
    for n in range(20):
        began = latest * (n + 5) / 30
        known = max((op.version or 0) for op in history.ops if op.ended < began)
        history.ops.append(Op(f"late {n}", began, began + 1, chance.randrange(known)))
    found = {fault.what.split(" was")[0] for fault in history.faults(final) if fault.kind == "stale"}
    assert found == {f"late {n}" for n in range(20)}


def test_where_servers_are_lost_only_what_was_acknowledged_stays() -> None:
    write, read = Op("w", 1.0, 2.0, 1, (("e1", 1),)), Op("r", 3.0, 4.0, 3)
    final = Final([Entry(1, "e1")])
    for version, otherwise in ((1, []), (0, ["stale"])):
        ops = [write, read, Op("s", 5.0, 6.0, version)]
        assert [fault.kind for fault in History(ops).faults(final)] == ["stale"]
        assert [fault.kind for fault in History(ops, shown_stays=False).faults(final)] == otherwise


def test_a_read_beside_a_write_may_show_either() -> None:
    write = Op("w", 1.0, 2.0, 1, (("e1", 1),))
    final = Final([Entry(1, "e1")])
    for version in (0, 1):
        assert History([write, Op("r", 1.5, 3.0, version)]).faults(final) == []
    assert [fault.kind for fault in History([write, Op("r", 2.5, 3.0, 0)]).faults(final)] == ["stale"]


def test_what_one_reader_was_shown_another_may_not_miss() -> None:
    seen = Op("r1", 1.0, 2.0, 1)  # of a write that nobody has acknowledged
    assert [f.kind for f in History([seen, Op("r2", 3.0, 4.0, 0)]).faults(Final([Entry(1, "e1")]))] == ["stale"]


def without(event_id: str, final: Final) -> Final:
    """The end without one event, numbered as if it had never been."""
    left = [entry for entry in final.timeline if entry.event_id != event_id]
    return replace(final, timeline=[entry._replace(version=n) for n, entry in enumerate(left, 1)])


def test_every_lost_write_is_found_and_what_moved_with_it() -> None:
    for n in range(1, WRITES + 1, 13):
        history, final = a_history()
        faults = history.faults(without(f"e{n}", final))
        assert [fault.what for fault in faults if fault.kind == "lost"] == [f"e{n}"]
        assert len([fault for fault in faults if fault.kind == "moved"]) == WRITES - n


def test_every_update_that_the_document_lost_is_found() -> None:
    history, final = a_history()
    for name in history.facts:
        less = replace(final, facts=final.facts - {name})
        assert [(f.kind, f.what) for f in history.faults(less)] == [("update lost", name)]
    history.facts["never acknowledged"] = "no such event"
    assert history.faults(final) == []


def test_a_double_is_found_though_it_has_a_version_of_its_own() -> None:
    history, final = a_history()
    twice = [*final.timeline, Entry(len(final.timeline) + 1, "e9")]
    assert ("doubled", "e9") in history.faults(replace(final, timeline=twice))
    deeds = [*final.timeline, Entry(len(final.timeline) + 1, "o2", "handoff.offered h1")]
    assert ("doubled", "handoff.offered h1") in history.faults(replace(final, timeline=deeds))


def test_a_gap_is_found() -> None:
    history, final = a_history()
    shifted = [entry._replace(version=entry.version + (entry.version > 200)) for entry in final.timeline]
    kinds = {fault.kind for fault in history.faults(replace(final, timeline=shifted))}
    assert kinds == {"gap", "moved"}


def test_twins_that_were_answered_in_two_ways_are_found() -> None:
    history, final = a_history()
    history.ops.append(Op("w9", 900.0, 901.0, None, (("e9", 10),)))
    assert ("unlike", "w9") in history.faults(final)


@pytest.mark.parametrize(
    ("claim", "found"),
    [
        (Claim("h1", "i1", 3, "bob"), ["h1: ann, bob"]),
        (Claim("h2", "i1", 2, "bob"), ["fence 2 of i1: ann, bob"]),
        (Claim("h1", "i1", 2, "ann"), []),
    ],
)
def test_two_holders_and_a_fence_of_two_are_found(claim: Claim, found: list[str]) -> None:
    history, final = a_history()
    history.ops.append(Op("another", 999.0, 1000.0, None, (), claim))
    assert [fault.what for fault in history.faults(final) if fault.kind == "two holders"] == found


@pytest.mark.parametrize("change", [lambda s: s.update(h1="offered"), lambda s: s.update(h1="accepted"), dict.clear])
def test_a_handoff_without_an_end_is_found(change: Callable[[dict[str, str]], None]) -> None:
    history, final = a_history()
    states = dict(final.handoffs)
    change(states)
    assert [fault.kind for fault in history.faults(replace(final, handoffs=states))] == ["unfinished"]
