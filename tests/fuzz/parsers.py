"""The table of parsers: what reads what comes from outside, or may be damaged, and what each promises."""

from __future__ import annotations

import orjson

from ctxhub.errors import Forbidden, Invalid, Unauthenticated, Unreadable, every_error
from ctxhub.hub.declarations import FaultyFile
from ctxhub.model.event import TOLD
from ctxhub.model.identifier import NotNormal
from tests.fuzz import kept, let_in, told
from tests.fuzz.parser import Parser

#: What may be answered to a caller: nothing above 499.
_REFUSALS = tuple(error for error in every_error() if error.status < 500)
_JSON = (b"{", b"}", b"[", b"]", b'":"', b'":{', b'":[', b"null", b"true", b"1e308", b"\\u0000", b"\\ud83d\\ude42")

PARSERS = (
    Parser(
        "events", "the body of POST …/events, as far as the context that comes of it",
        "refused below 500 with a problem document, or the same once it was written and read",
        told.read_events, told.is_kept_as_told, _REFUSALS, told.bodies, told.becomes_a_problem,
        (*_JSON, *(type_.encode() for type_ in TOLD), b'"journey_id":"jr_1"', b'"find":true', b'"at":"2026-11-22T12'),
    ),
    Parser(
        "texts", "a text in front of the never-kept filter, in the hub and in a channel",
        "never refused; cleaning twice changes nothing; no card number is left that stands alone",
        told.read_text, told.is_clean, (), told.texts, words=(
            b"cvv", b"otp", b"pin", b"password is ", b"card ", "密码".encode(), "卡号".encode(), b"double ", b"seven ",
            "•••• ".encode(), "•••".encode(), "①".encode(), "٣".encode(), b"^", b"=", b"+49", b"\xe2\x80\x8b",
        ),
    ),
    Parser(
        "values", "any JSON in front of the same filter",
        "refused for its depth at most; cleaning twice changes nothing; no card number is left that stands alone",
        told.read_value, told.is_clean, (orjson.JSONDecodeError, Invalid), told.values, words=(
            *_JSON, b'"cvv"', b'"pin"', b'"name":', b'"value":', b'"part1":', b'"exp":', b'"password":',
        ),
    ),
    Parser(
        "identifiers", "an identifier of any type, in any region",
        "none of its type, or a normal form that may be kept and stays the same",
        told.read_identifier, told.stays_normal, (Invalid, NotNormal), told.identifiers, words=(
            b"phone\n", b"email\n", b"card\n", b";ext=", b"tel:", b"sip:", b"@", b"+86", b"00", "ﬁ".encode(),
            "İ".encode(), "ẞ".encode(), b"\xe2\x80\x8d", "。".encode(), b"xn--", "\u0345".encode(),
        ),
    ),
    Parser(
        "tokens", "a bearer token, as it stands or signed on the way",
        "401 or 403, or a token that the issuer has signed and that is in time",
        let_in.read_token, let_in.was_signed_by_us, (Unauthenticated, Forbidden), let_in.tokens, words=(
            *_JSON, b'"alg":"none"', b'"alg":"HS256"', b'"kid":"ours"', b'"exp":', b'"nbf":', b'"crit":', b"NaN",
            b"Infinity", b"eyJ", b".", b"=", b'"scope":', b'"roles":',
        ),
    ),
    Parser(
        "tenants", "a tenant's file",
        "each fault with its line and a remedy, or declarations that can be shown and used",
        let_in.read_file, let_in.can_be_used, (FaultyFile,), let_in.files, let_in.names_its_lines,
        (b"&a ", b"*a", b"<<: ", b"!!binary ", b"!!set ", b"? ", b"- ", b": ", b"queues:", b"journeys:", b"numbers:",
         b"calendars:", b"retention:", b"policies:", b"\\d{", b"[A-Z]", b"2001-02-30", b"0x", b".inf", b"holidays: CN"),
    ),
    Parser(
        "entries", "an entry of a timeline as it is kept in Redis",
        "unreadable, or written by a later version; else what is left of it without its value can be read",
        kept.read_entry, kept.is_still_an_entry, (Unreadable,), kept.entries, words=(
            *_JSON, b'"event_id":', b'"data":', b'"at":', b"\x01", b"\x02", b"\x02\x00\x01", b"\xc0\x38",
        ),
    ),
    Parser(
        "documents", "a context as it is kept in Redis",
        "unreadable, or written by a later version; else the same once it was kept again",
        kept.read_document, kept.is_kept_again, (Unreadable,), kept.documents, words=(
            *_JSON, b'"facts":[', b'"journeys":{', b'"interactions":{', b'"handoffs":{', b"\x01", b"\x02", b"\xc0\x38",
        ),
    ),
    Parser(
        "streams", "a stream of server-sent events in the client",
        "never refused; what came before the damage is there; the pieces in which it comes do not matter",
        kept.read_stream, kept.nothing_is_lost_before, (), kept.streams, words=(
            *_JSON, b"id: ", b"event: ", b"data: ", b"retry: ", b"\n\n", b"\r\n", b"\r", b": ", b"reset", b"bye",
            b"ready", b'"version":', b"\xe2\x80\xa8", b"\xc2\x85", b"\xef\xbb\xbf",
        ),
    ),
    Parser(
        "spool-files", "the sealed file of a spool, with bytes that are others, or cut off",
        "what is given back is the beginning of what was written; nothing else is deleted",
        kept.read_log, kept.keeps_what_it_can_not_read, (), kept.logs, words=(b"ctxhub sealed 1\n", b"\0\0\0\0", b"="),
    ),
    Parser(
        "spool-lines", "what stands in a spool's file, as another version or somebody in trouble may have written it",
        "never refused; what stands before it waits to be sent",
        kept.read_spool, kept.goes_on, (), kept.lines, words=(
            *_JSON, b'{"done"', b'"what":"end"', b'"what":"start"', b'"write_id":', b'"events":[', b'"start":{',
        ),
    ),
)  # fmt: skip


def _planted(data: bytes) -> bytes:
    """Raise what nobody allowed at an input that is two steps from its seed."""
    if data[:1] == b"(" and data.count(b"(") > 2:
        raise ZeroDivisionError("planted")
    return data


#: A parser with a fault, which whoever looks for faults must find.
PLANTED = Parser(
    "planted", "brackets", "broken at three of them", _planted, lambda found: None, (), lambda: [b"(a)"],
    words=(b"(",),
)  # fmt: skip
NAMED = {parser.name: parser for parser in (*PARSERS, PLANTED)}
