"""Reads of a context that are asked for again and again: what was found out for one is used for the next like it.

Nothing is taken for granted by that. Each time the key is looked at and counted, Redis is asked, and the read is noted;
what is left out is to check, to cut and to write once more what is the same as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from weakref import ReferenceType, WeakKeyDictionary, ref

from fastapi import Response
from pydantic import TypeAdapter

from ctxhub.api.audited import Noted
from ctxhub.api.calls import JSON, JsonRequest, caller_of, checked, header, hub_of, refuse_unless, who_of
from ctxhub.api.contexts import ContextQuery, is_held
from ctxhub.api.source import Source, source_of
from ctxhub.hub.contexts import Shown
from ctxhub.hub.hub import Hub
from ctxhub.hub.keys import Principal
from ctxhub.lately import Lately
from ctxhub.model.audit import Line
from ctxhub.model.disclosure import Reader
from ctxhub.store.contexts import Noting, Who

_QUERY = TypeAdapter(ContextQuery)
_REMEMBERED = 4096
#: By what a request is told from another: tenant, key's name, from where, customer, query.
Asked = tuple[str, str, Source, str, bytes]


@dataclass(slots=True)
class _Wanted:
    """What a request turned out to want: for whom, of whom, as which reader, how much; and what it was shown last."""

    caller: Principal
    who: Who
    reader: Reader
    query: ContextQuery
    last: ReferenceType[Shown] | None = None


class _Answers:
    """How a context is answered with: whole, or as the one that the caller has already; each is made when needed."""

    def __init__(self, shown: Shown) -> None:
        self._json = shown.json
        self.etag = f'"{shown.version}"'

    @cached_property
    def whole(self) -> Noted:
        """The answer that brings it."""
        return Noted(self._json, 200, {"ETag": self.etag}, JSON)

    @cached_property
    def unchanged(self) -> Noted:
        """The answer that says that it has not changed."""
        return Noted(status_code=304, headers={"ETag": self.etag})


class Reads:
    """Answers reads of contexts."""

    def __init__(self) -> None:
        self._wanted = Lately[Asked, _Wanted](_REMEMBERED)
        self._answers: WeakKeyDictionary[Shown, dict[Asked, _Answers]] = WeakKeyDictionary()

    async def answer(self, request: JsonRequest) -> Response:
        """Return the context as the caller may see it; 304 where nothing changed or lapsed."""
        caller = await caller_of(request)
        refuse_unless(caller, "adapter", "agent", "supervisor")
        scope = request.scope
        customer_id = scope["path_params"]["customer_id"]
        source = source_of(hub_of(request), request)
        asked = caller.tenant, caller.name, source, customer_id, scope["query_string"]
        wanted = self._wanted.get(asked)
        if wanted is None or (wanted.caller is not caller and wanted.caller != caller):
            wanted = self._found_out(asked, caller, request)
        held = header(scope, b"if-none-match")
        line = self._line(asked, wanted, held)
        shown = await self._again(hub_of(request), wanted, held, line) if line is not None else None
        request.state.is_noted = shown is not None
        if shown is None:
            query = wanted.query
            shown = await hub_of(request).contexts.read(wanted.who, wanted.reader, query.events, query.min_version)
        if wanted.last is None or wanted.last() is not shown:
            wanted.last = ref(shown)
        answers = self._answers.get(shown)
        if answers is None:
            answers = self._answers[shown] = {}
        answer = answers.get(asked)
        if answer is None:
            answer = answers[asked] = _Answers(shown)
            if line is not None and request.state.is_noted:
                answer.whole.line = line._replace(version=shown.version)
        if held and not shown.lapsed and (held == answer.etag or is_held(request, shown.version)):
            request.state.shows = shown.json
            return answer.unchanged
        return answer.whole

    def _line(self, asked: Asked, wanted: _Wanted, held: str) -> Line | None:
        """Return how it is noted that the same is answered as last time; None where that is not known beforehand.

        How often an agent looks is watched besides, and who knows of a version may have to be refused.
        """
        last = wanted.last() if wanted.last is not None else None
        before = self._answers.get(last, {}).get(asked) if last is not None else None
        if last is None or before is None or last.lapsed or wanted.query.min_version is not None:
            return None
        if wanted.caller.role == "agent" or (held and held != before.etag):
            return None
        return (before.unchanged if held else before.whole).line

    async def _again(self, hub: Hub, wanted: _Wanted, held: str, line: Line) -> Shown | None:
        """Read what was read before, and note it in the same step; None where that can't be done."""
        stream, last = hub.audit.stream(wanted.who.tenant), wanted.last() if wanted.last is not None else None
        if stream is None or last is None:
            return None
        noting = Noting(stream, *line.around(hub.ways.clock()), line.version if held else None)
        return await hub.contexts.again(wanted.who, wanted.reader, wanted.query.events, last, noting)

    def _found_out(self, asked: Asked, caller: Principal, request: JsonRequest) -> _Wanted:
        """Find out what a request wants, and keep it; the one kept longest ago makes room."""
        query = checked(_QUERY, dict(request.query_params))
        who = who_of(caller, request.path_params["customer_id"])
        wanted = _Wanted(caller, who, caller.reader(query.interaction_id, query.purpose), query)
        self._wanted.keep(asked, wanted)
        return wanted
