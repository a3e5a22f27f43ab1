"""Customers come in from a CRM's export: once, never merged, and every line that can't be taken is told of."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from ctxhub.bulk.lines import Source
from ctxhub.bulk.record import misshapen
from ctxhub.bulk.run import Import
from ctxhub.errors import CustomerUnknown
from ctxhub.hub.changes import PLAIN
from ctxhub.hub.hub import Hub
from ctxhub.model.customer import Identifier
from ctxhub.model.disclosure import Reader
from ctxhub.model.event import Telling
from ctxhub.settings import CannotStart
from ctxhub.store.contexts import Who
from tests.bulk.scenes import Bringing, importer_of
from tests.hub.scenes import begin, told_of
from tests.model.cards import number
from tests.support import ACME, ADAPTER, DAY, NOON, a_phone, a_start

CRM = "customer_id,phone,email,tier\nc1,13800138000,Ann@Example.com,gold\nc2,13800138001,,silver\n"
TIER = "tier=fact:tier"


async def test_a_table_brings_customers_with_what_leads_to_them_and_what_is_known(bringing: Bringing) -> None:
    counts = await bringing.table(CRM, TIER)
    assert (counts.lines, counts.new, counts.refused) == (2, 2, 0)
    ann = await bringing.context("c1")
    assert ann.known
    assert [i.what for i in ann.identifiers] == [("email", "ann@example.com"), ("phone", "+8613800138000")]
    [tier] = ann.facts
    assert (tier.value, tier.state, tier.origin.party, tier.origin.at, tier.origin.scope) == (
        "gold", "observed", "system", NOON, None,
    )  # fmt: skip
    assert await told_of(bringing.hub, Who(ACME, "c1")) == ["identity.imported", "fact.observed"]


async def test_a_caller_is_recognised_by_an_imported_phone_and_not_asked_for_an_imported_fact(
    bringing: Bringing,
) -> None:
    await bringing.table(CRM, "phone=identifier:phone:verified", TIER)
    started, *_ = await bringing.hub.interactions.start(
        ADAPTER, a_start("CA1", level=2, identifiers=[a_phone("+8613800138000")])
    )
    assert started["customer_id"] == "c1"
    interaction_id = started["interaction"]["interaction_id"]
    answers = await bringing.hub.asks.ask(Who(ACME, "c1"), Reader(), interaction_id, ["tier"], None)
    assert answers.answers[0].verdict == "known"


async def test_the_same_file_again_changes_nothing(bringing: Bringing) -> None:
    await bringing.table(CRM, TIER)
    before = [await bringing.version("c1"), await bringing.context("c1")]
    counts = await bringing.table(CRM, TIER)
    assert (counts.new, counts.changed, counts.unchanged) == (0, 0, 2)
    assert [await bringing.version("c1"), await bringing.context("c1")] == before


async def test_next_week_s_file_tells_only_what_is_new_and_a_value_may_come_back(bringing: Bringing) -> None:
    for week, tier in enumerate(["gold", "gold", "silver", "gold"]):
        at = NOON - (10 - week) * DAY
        await bringing.table(f"customer_id,tier\nc1,{tier}\n", TIER, told_at=at)
    assert await bringing.facts("c1") == {"tier": "gold"}
    assert (await told_of(bringing.hub, Who(ACME, "c1"))).count("fact.observed") == 3


async def test_an_older_file_does_not_undo_a_newer_one(bringing: Bringing) -> None:
    await bringing.table("customer_id,tier\nc1,gold\n", TIER)
    await bringing.table("customer_id,tier\nc1,silver\n", TIER, told_at=NOON - DAY)
    assert await bringing.facts("c1") == {"tier": "gold"}


async def test_a_customer_who_was_there_keeps_what_is_there(bringing: Bringing) -> None:
    await begin(bringing.hub, customer_id="c1")
    counts = await bringing.table(CRM, TIER)
    assert (counts.new, counts.changed) == (1, 1)
    assert "in_" in next(iter((await bringing.context("c1")).interactions))
    assert "identity.imported" not in await told_of(bringing.hub, Who(ACME, "c1"))


async def test_what_was_unlinked_since_stays_unlinked_when_the_file_comes_again(bringing: Bringing) -> None:
    await bringing.table(CRM, TIER)
    who = Who(ACME, "c1")
    await bringing.hub.customers.remove_identifier(who, a_phone("+8613800138000"))
    await bringing.table(CRM, TIER)
    assert await bringing.hub.lookups.owners(ACME, [a_phone("+8613800138000")]) == [{}]
    await bringing.table(CRM, TIER, told_at=NOON + timedelta(minutes=1))
    assert await bringing.hub.lookups.owners(ACME, [a_phone("+8613800138000")]) == [{"c1": "claimed"}]


async def test_the_tenant_s_sensitivity_holds_for_imported_facts(bringing: Bringing) -> None:
    await bringing.table("customer_id,card_number\nc1,1234\n", "card_number=fact:card_number")
    [fact] = (await bringing.context("c1")).facts
    assert fact.sensitivity == "sensitive"


async def test_json_lines_tell_states_times_and_values_of_any_shape(bringing: Bringing) -> None:
    facts = [
        {"name": "limit", "value": 5000, "state": "verified", "at": "2019-05-01T10:00:00+08:00"},
        {"name": "地址", "value": {"city": "上海", "lines": ["浦东"]}, "sensitivity": "sensitive"},
        {"name": "offer", "value": True, "expires_at": "2026-12-01T00:00:00Z"},
    ]
    counts = await bringing.objects({"customer_id": "c1", "facts": facts})
    assert counts.new == 1
    by_name = {fact.name: fact for fact in (await bringing.context("c1")).facts}
    assert by_name["limit"].state == "verified"
    assert by_name["limit"].origin.at == datetime(2019, 5, 1, 2, tzinfo=UTC)
    assert by_name["地址"].value == {"city": "上海", "lines": ["浦东"]}
    assert by_name["offer"].expires_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert by_name["offer"].value is True


class TestWhoItIs:
    """Identifiers lead to customers; nobody is ever merged with anybody."""

    async def test_a_phone_of_two_customers_leads_to_both_and_is_told_of(self, bringing: Bringing) -> None:
        counts = await bringing.table("customer_id,phone\nc1,13800138000\nc2,13800138000\n")
        assert (counts.new, counts.refused, counts.ambiguous) == (2, 0, 1)
        [told] = bringing.told()
        assert (told["column"], told["refused"]) == ("phone", False)
        assert told["problem"] == "ambiguous: it leads to 2 customers now"
        started, *_ = await bringing.hub.interactions.start(
            ADAPTER, a_start("CA1", identifiers=[a_phone("+8613800138000")])
        )
        assert started["ambiguous"]
        assert started["customer_id"] not in ("c1", "c2")

    async def test_a_line_without_a_customer_id_goes_to_whom_its_identifier_leads(self, bringing: Bringing) -> None:
        await bringing.table(CRM, TIER)
        counts = await bringing.objects(
            {
                "identifiers": [{"type": "phone", "value": "+8613800138000"}],
                "facts": [{"name": "city", "value": "Bern"}],
            }
        )
        assert counts.changed == 1
        assert await bringing.facts("c1") == {"tier": "gold", "city": "Bern"}

    async def test_one_whose_identifier_leads_nowhere_gets_an_id_of_ours_always_the_same(
        self, bringing: Bringing
    ) -> None:
        line = {"identifiers": [{"type": "phone", "value": "+8613900139000"}], "facts": [{"name": "a", "value": 1}]}
        assert (await bringing.objects(line)).new == 1
        [owners] = await bringing.hub.lookups.owners(ACME, [a_phone("+8613900139000")])
        [customer_id] = owners
        assert customer_id.startswith("pc_")
        assert not (await bringing.context(customer_id)).known
        assert (await bringing.objects(line)).unchanged == 1

    async def test_a_line_whose_identifiers_lead_to_several_is_refused_as_ambiguous(self, bringing: Bringing) -> None:
        await bringing.table("customer_id,phone,email\nc1,13800138000,\nc2,,b@example.com\n")
        both = [{"type": "phone", "value": "+8613800138000"}, {"type": "email", "value": "b@example.com"}]
        counts = await bringing.objects({"identifiers": both, "facts": [{"name": "a", "value": 1}]})
        assert counts.refused == 1
        assert bringing.told("crm.jsonl")[0]["problem"].startswith("ambiguous")
        assert await bringing.facts("c1") == await bringing.facts("c2") == {}

    async def test_a_customer_on_two_lines_is_refused_the_second_time_and_says_where_the_first_is(
        self, bringing: Bringing
    ) -> None:
        counts = await bringing.table("customer_id,tier\nc1,gold\nc2,silver\nc1,iron\n", TIER, batch=1)
        assert (counts.new, counts.refused) == (2, 1)
        assert bringing.told()[0]["line"] == 4
        assert bringing.told()[0]["problem"] == "the same customer stands on line 2"
        assert await bringing.facts("c1") == {"tier": "gold"}

    async def test_several_lines_of_a_customer_are_taken_in_their_order_where_that_is_said(
        self, bringing: Bringing
    ) -> None:
        lines = [{"customer_id": "c1", "facts": [{"name": "n", "value": n}]} for n in range(20)]
        counts = await bringing.objects(*lines, several_lines=True)
        assert (counts.new, counts.changed, counts.refused) == (1, 19, 0)
        assert await bringing.facts("c1") == {"n": 19}

    async def test_one_who_was_erased_or_moved_is_refused(self, bringing: Bringing, hub: Hub) -> None:
        await bringing.table(CRM, TIER)
        context_key = hub.server.keys.customer(ACME, "c1").context
        await hub.server.call("HSET", context_key, "state", "moved:c2", writes=True)
        counts = await bringing.table(CRM.replace("gold", "iron"), TIER, told_at=NOON + timedelta(minutes=1))
        assert counts.refused == 1
        assert bringing.told()[0]["problem"] == "it has moved: it is c2 now"


def test_a_type_of_identifiers_that_the_tenant_does_not_declare_is_a_fault_of_the_line() -> None:
    fault = misshapen(Identifier(type="acount", value="A-1"), is_declared=False)
    assert fault is not None
    assert (fault.column, fault.problem) == ("acount", "the tenant declares no such type of identifiers")


BAD_CELLS = [
    ("c 1,13800138000,,gold", "customer_id", "that is no customer_id"),
    (f"{'c' * 129},13800138000,,gold", "customer_id", "that is no customer_id"),
    ("c1,n/a,,gold", "phone", "that is no phone number"),
    ("c1,123,,gold", "phone", "that is no phone number"),
    ("c1,,nobody,gold", "email", "that is no e-mail address"),
    (f"c1,,{'x' * 300}@example.com,gold", "email", "String should have at most 256 characters"),
    ("c1,,,gold,", "", "5 columns, the header has 4"),
    ("c1,13800138000", "", "2 columns, the header has 4"),
    (",,,gold", "customer_id, phone, email", "nobody is named"),
    ('c1,"13800138000,,gold', "", "a quote is opened and never closed"),
    ('c1,"138"00138000,,gold', "", "that is no CSV"),
    ("c1,,,go\0ld", "", "a NUL byte stands in it"),
    ("c1,,,go\x07ld\x07", None, None),
    (f"c1,,,{'x' * 70_000}", "tier", "a value has at most 64 KiB as JSON"),
    (f"c1,,,{'x' * (11 << 20)}", "", "the line has more than 1 MiB"),
]


@pytest.mark.parametrize(("row", "column", "problem"), BAD_CELLS, ids=range(len(BAD_CELLS)))
async def test_a_row_that_can_t_be_taken_is_told_with_line_column_and_remedy_and_the_rest_goes_on(
    bringing: Bringing, row: str, column: str | None, problem: str | None
) -> None:
    counts = await bringing.table(f"customer_id,phone,email,tier\nc8,,,a\n{row}\nc9,,,b\n", TIER)
    assert await bringing.facts("c8") == {"tier": "a"}
    assert await bringing.facts("c9") == {"tier": "b"}
    if problem is None:
        assert counts.refused == 0
        return
    assert counts.refused == 1
    told = bringing.told()[0]
    assert (told["line"], told["column"], told["refused"]) == (3, column, True)
    assert problem in told["problem"]
    assert told["remedy"]


BAD_OBJECTS: list[tuple[Any, str, str]] = [
    ('{"customer_id": "c1"', "", "Invalid JSON"),
    ("[1, 2]", "", "should be an object"),
    ("\0", "", "Invalid JSON"),
    ('{"customer_id": "\\ud800"}', "", "Invalid JSON"),
    ({"customer_id": 7}, "/customer_id", "valid string"),
    ({"customer_id": "c1", "vip": True}, "/vip", "not permitted"),
    ({"facts": []}, "customer_id", "nobody is named"),
    ({"customer_id": "c1", "identifiers": [{"type": "Phone!", "value": "1"}]}, "/identifiers/0/type", "pattern"),
    ({"customer_id": "c1", "facts": [{"name": "a"}]}, "/facts/0/value", "required"),
    ({"customer_id": "c1", "facts": [{"name": "a", "value": 1, "state": "stated"}]}, "/facts/0/state", "verified"),
    ({"customer_id": "c1", "facts": [{"name": "a", "value": 1, "at": "2026-01-01T10:00:00"}]}, "/facts/0/at", "offset"),
    ({"customer_id": "c1", "facts": [{"name": "a", "value": 1, "at": "2027-01-01T10:00:00Z"}]}, "fact a", "ahead"),
    ({"customer_id": "c1", "facts": [{"name": "a", "value": 1, "expires_at": "2026-01-01T10:00:00Z"}]}, "fact a",
     "lapsed"),
    ({"customer_id": "c1", "facts": [{"name": "a", "value": 1}, {"name": "a", "value": 2}]}, "fact a", "twice"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "column", "problem"), BAD_OBJECTS, ids=range(len(BAD_OBJECTS)))
async def test_a_json_line_that_can_t_be_taken_is_told_and_the_rest_goes_on(
    bringing: Bringing, line: Any, column: str, problem: str
) -> None:
    counts = await bringing.objects({"customer_id": "c8"}, line, "", {"customer_id": "c9"})
    assert (counts.new, counts.refused) == (2, 1)
    told = bringing.told("crm.jsonl")[0]
    assert (told["line"], told["column"]) == (2, column)
    assert problem in told["problem"]
    with pytest.raises(CustomerUnknown):
        await bringing.context("c1")


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", '[1, {"a": NaN}]'])
async def test_what_json_has_no_number_for_is_refused_and_not_kept_as_nothing(bringing: Bringing, value: str) -> None:
    counts = await bringing.objects(f'{{"customer_id": "c1", "facts": [{{"name": "a", "value": {value}}}]}}')
    assert (counts.new, counts.refused) == (0, 1)
    assert bringing.told("crm.jsonl")[0]["column"] == "fact a"


async def test_a_value_nested_too_deep_is_refused(bringing: Bringing) -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    counts = await bringing.objects({"customer_id": "c1", "facts": [{"name": "a", "value": deep}]})
    assert counts.refused == 1
    assert "nested" in bringing.told("crm.jsonl")[0]["problem"]


async def test_a_customer_whose_document_would_be_too_large_is_refused(bringing: Bringing) -> None:
    facts = [{"name": f"f{n}", "value": "x" * 60_000} for n in range(6)]
    counts = await bringing.objects({"customer_id": "c1", "facts": facts}, {"customer_id": "c2"})
    assert (counts.new, counts.refused) == (1, 1)
    assert "bytes; it may have" in bringing.told("crm.jsonl")[0]["problem"]


class TestFiles:
    """However a file is written, it is read, or refused at once."""

    @pytest.mark.parametrize(
        ("content", "more"),
        [
            ("\ufeffcustomer_id,城市\nc1,北京\n".encode(), {}),
            ("customer_id;城市\r\nc1;北京\r\n".encode(), {}),
            ("customer_id\t城市\nc1\t北京".encode(), {}),
            ("customer_id|城市\nc1|北京\n\n\n".encode(), {}),
            ("customer_id^城市\nc1^北京\n".encode(), {"delimiter": "^"}),
            ("customer_id,城市\nc1,北京\n".encode("gb18030"), {"encoding": "gb18030"}),
            ("customer_id,城市\nc1,北京\n".encode("big5"), {"encoding": "big5"}),
            (gzip.compress("customer_id,城市\nc1,北京\n".encode(), mtime=0), {}),
        ],
    )
    async def test_encodings_delimiters_and_line_ends(
        self, bringing: Bringing, content: bytes, more: dict[str, str]
    ) -> None:
        counts = await bringing.table(content, "城市=fact:城市", **more)
        assert (counts.new, counts.refused) == (1, 0)
        assert await bringing.facts("c1") == {"城市": "北京"}

    async def test_a_quoted_text_may_run_over_lines_and_hold_quotes_and_delimiters(self, bringing: Bringing) -> None:
        counts = await bringing.table('customer_id,note\nc1,"one,\n""two""\nthree"\nc2,x\n', "note=fact:note")
        assert counts.new == 2
        assert await bringing.facts("c1") == {"note": 'one,\n"two"\nthree'}
        assert await bringing.facts("c2") == {"note": "x"}

    async def test_a_quote_that_never_ends_costs_one_line_not_the_file(self, bringing: Bringing) -> None:
        rows = [f"c{n},x" for n in range(2000)]
        rows[10] = 'c10,"x'
        counts = await bringing.table("\n".join(["customer_id,note", *rows]), "note=fact:note")
        assert (counts.new, counts.refused) == (1999, 1)
        assert bringing.told()[0]["line"] == 12

    async def test_bytes_of_another_encoding_cost_their_line(self, bringing: Bringing) -> None:
        content = b"customer_id,city\nc1," + "北京".encode("gb18030") + b"\nc2,Bern\n"
        counts = await bringing.table(content, "city=fact:city")
        assert (counts.new, counts.refused) == (1, 1)
        assert "is not utf-8" in bringing.told()[0]["problem"]
        assert "gb18030" in bringing.told()[0]["remedy"]

    @pytest.mark.parametrize(
        ("content", "map_", "complaint"),
        [
            ("", [], "is empty"),
            ("\n\n", [], "must name the columns"),
            ("c1,13800138000\nc2,13800138001\n", [], "is not mapped (or the file has no header)"),
            ("customer_id,vip\nc1,1\n", [], "column 'vip' is not mapped"),
            ("customer_id,vip\nc1,1\n", ["VIP=fact:vip"], "the file has no column 'VIP'"),
            ("customer_id,vip\nc1,1\n", ["vip=color"], "'color' is no meaning"),
            ("customer_id,vip\nc1,1\n", ["vip=fact:vip:maybe"], "Input should be 'verified' or 'observed'"),
            ("customer_id,vip\nc1,1\n", ["vip=identifier:X!"], "pattern"),
            ("city\nBern\n", ["city=fact:city"], "no column says who it is"),
            ("customer_id,customer_id\nc1,c1\n", [], "stands twice"),
            ("customer_id,\nc1,1\n", [], "one has no name"),
            ("客户号,手机\nc1,1\n".encode("gb18030"), [], "the header can't be read"),
            ("customer_id\n".encode("utf-16"), [], "UTF-16: save it as UTF-8"),
        ],
    )
    async def test_a_header_that_does_not_fit_is_refused_at_once(
        self, bringing: Bringing, content: str | bytes, map_: list[str], complaint: str
    ) -> None:
        with pytest.raises(CannotStart) as refusal:
            await bringing.table(content, *map_)
        assert complaint in str(refusal.value)

    async def test_a_gzipped_file_cut_short_keeps_what_came_and_says_where_it_breaks_off(
        self, bringing: Bringing
    ) -> None:
        rows = "".join(f"c{n},{n * 7919}\n" for n in range(5000))
        whole = gzip.compress(f"customer_id,n\n{rows}".encode())
        with pytest.raises(CannotStart, match="breaks off or is damaged after line"):
            await bringing.table(whole[: len(whole) // 2], "n=fact:n")
        assert await bringing.facts("c0") == {"n": "0"}

    @pytest.mark.parametrize("encoding", ["utf-16", "klingon"])
    async def test_an_encoding_that_can_t_be_read_line_by_line_is_refused(
        self, bringing: Bringing, encoding: str
    ) -> None:
        with pytest.raises(CannotStart, match="write utf-8, gb18030"):
            await bringing.table(CRM, TIER, encoding=encoding)


class TestGoingOn:
    """An import that was stopped goes on where it had come to."""

    async def test_it_goes_on_after_the_last_batch_and_tells_every_refusal_once(self, bringing: Bringing) -> None:
        rows = [f"c{n},{n}" if n % 10 else f"c {n},{n}" for n in range(100)]
        path = bringing.file("\n".join(["customer_id,n", *rows]))
        with pytest.raises(_Stopped):
            await self._stopped_after(bringing, path, batches=3)
        assert bringing.job(path).journal.exists()
        counts = await bringing.bring(path, "n=fact:n", batch=10, resume=True)
        assert (counts.lines, counts.new, counts.refused) == (100, 90, 10)
        assert [told["line"] for told in bringing.told()] == [n * 10 + 2 for n in range(10)]
        assert not bringing.job(path).journal.exists()
        assert await bringing.version("c11") == 2

    async def _stopped_after(self, bringing: Bringing, path: Any, batches: int) -> None:
        left = iter(range(batches))

        def told(passed: int) -> None:
            if next(left, None) is None:
                raise _Stopped

        with closing(Source(path)) as source:
            job = bringing.job(path, "n=fact:n", batch=10)
            await Import(job, source).run(importer_of(bringing.hub, job), told)

    async def test_with_other_words_or_another_file_it_does_not_go_on(self, bringing: Bringing) -> None:
        path = bringing.file("\n".join(["customer_id,n", *(f"c{n},{n}" for n in range(100))]))
        with pytest.raises(_Stopped):
            await self._stopped_after(bringing, path, batches=3)
        with pytest.raises(CannotStart, match="belongs to another file, or to an import told otherwise"):
            await bringing.bring(path, "n=fact:number", batch=10, resume=True)
        with path.open("a") as file:
            file.write("\nc100,100")
        with pytest.raises(CannotStart, match="belongs to another file"):
            await bringing.bring(path, "n=fact:n", batch=10, resume=True)

    async def test_without_a_journal_there_is_nothing_to_go_on_with(self, bringing: Bringing) -> None:
        with pytest.raises(CannotStart, match="there is no import to go on with"):
            await bringing.table(CRM, TIER, resume=True)

    async def test_a_journal_that_is_none_is_named(self, bringing: Bringing) -> None:
        bringing.file("no database at all, but long enough to be looked at", "crm.csv.journal")
        with pytest.raises(CannotStart, match=r"crm\.csv\.journal is no journal of an import"):
            await bringing.table(CRM, TIER, resume=True)


class _Stopped(Exception):
    """An import is stopped in the middle."""


async def test_a_dry_run_tells_what_would_be_refused_and_writes_nothing(bringing: Bringing, redis: Any) -> None:
    counts = await bringing.table("customer_id,phone\nc1,13800138000\nc2,n/a\nc1,1\n", dry=True)
    assert (counts.lines, counts.taken, counts.refused) == (3, 1, 2)
    assert list(redis.scan_iter("*")) == []


async def test_an_import_beside_a_channel_that_writes_to_the_same_customers_loses_nothing(bringing: Bringing) -> None:
    whos = [Who(ACME, f"c{n}") for n in range(20)]
    for n, who in enumerate(whos):
        await begin(bringing.hub, f"x{n}", customer_id=who.customer_id)

    async def telling() -> None:
        for turn in range(10):
            for who in whos:
                told = Telling(
                    event_id=f"e{turn}", type="fact.stated", party="agent", data={"name": f"n{turn}", "value": 1}
                )
                await bringing.hub.events.tell(who, [told], PLAIN)

    lines = [
        {"customer_id": who.customer_id, "facts": [{"name": f"i{n}", "value": n} for n in range(5)]} for who in whos
    ]
    await asyncio.gather(telling(), bringing.objects(*lines, batch=3))
    for who in whos:
        assert len(await bringing.facts(who.customer_id)) == 15
        assert await bringing.version(who.customer_id) == 1 + 10 + 5


async def test_a_card_number_in_another_field_is_brought_in_as_a_card_or_is_a_fault(bringing: Bringing) -> None:
    digits = number(Random(1), "4929", 16)
    counts = await bringing.table(
        f"customer_id,acc,email\nc1,{digits},ann@example.com\nc2,A-2,{digits}@example.com\n", "acc=identifier:account"
    )
    assert (counts.new, counts.refused) == (1, 1)
    held = (await bringing.context("c1")).identifiers
    assert [(one.type, one.value) for one in held if one.type != "email"] == [("card", f"•••• {digits[-4:]}")]
