"""How log lines look: events with values, on stderr, ours and those of the libraries alike.

An event is named `noun.past-verb`, as on the timeline; ids stand beside it, what the customer said never does. Right
before a line is written, card numbers, codes and passwords are taken out of it, of tracebacks too.
"""

from __future__ import annotations

import logging
import sys
from io import StringIO
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, ExceptionRenderer, ExcInfo, Processor, WrappedLogger

from ctxhub.errors import Invalid
from ctxhub.model.never_kept import cleaned, cleaned_text

__all__ = ["configure"]

_PLAIN = (str, int, float, bool, dict, list)


def configure(level: str = "info", form: Literal["json", "console"] = "json") -> None:
    """Set up logging for this process; called once, before anything is logged."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared = _shared_processors()
    renderers = _renderers(form)
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    _send_library_logs_the_same_way(number, shared, renderers)


def _shared_processors() -> list[Processor]:
    """What happens to every line, whoever wrote it."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderers(form: Literal["json", "console"]) -> list[Processor]:
    """How a line is written; tracebacks come without local variables, which hold what customers said."""
    if form == "console":
        colors = sys.stderr.isatty()
        plain = structlog.dev.plain_traceback
        shown = structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="at", exception_formatter=_without(plain))
        return [_never_kept, shown]
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(tracebacks),
        _never_kept,
        structlog.processors.JSONRenderer(serializer=_json),
    ]


def _never_kept(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """Take out of each value of a line what is never kept; what is no plain value is written as text first."""
    return {name: value if name == "exc_info" else _clean(value) for name, value in event.items()}


def _clean(value: Any) -> Any:
    """Return a value to log without what is never kept; one that can't be looked through is left out."""
    plain = value if isinstance(value, _PLAIN) or value is None else str(value)
    try:
        return cleaned(plain).value
    except Invalid:
        return "…"


def _without(formatter: ExceptionRenderer) -> ExceptionRenderer:
    """Return a writer of tracebacks that leaves out what is never kept."""

    def write(out: TextIO, error: ExcInfo) -> None:
        text = StringIO()
        formatter(text, error)
        out.write(cleaned_text(text.getvalue()))

    return write


def _json(event: EventDict, **_: Any) -> str:
    """Write one line; what JSON does not know is written as text."""
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _send_library_logs_the_same_way(level: int, shared: list[Processor], renderers: list[Processor]) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
