"""Spans: what a request did and how long that took, sent to an OpenTelemetry collector.

Nobody imports this module unless `CTXHUB_TRACES` is set. What stands in a span is ours: routes, names of scripts, hosts
that tenants declare, ids that the hub made. Paths, queries, bodies and errors' texts, which may name a customer, don't.
How spans are sampled, batched and sent is said by the standard variables `OTEL_*`, which the SDK reads itself.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue
from structlog.contextvars import bound_contextvars

from ctxhub import __version__
from ctxhub.model.trace import Link, SpanName, span_named

__all__ = ["Told", "Tracing"]

_AS_STANDARD = "otel"
MOST_LINKS = 8
_PLACE = "/v1/traces"
_SENT_WITHIN = 1.0  # of the time that a hub has to stop
_METHODS = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
Attributes = Mapping[str, AttributeValue]


class Told:
    """The span of a request, to which its answer is told."""

    def __init__(self, span: Span, name: str) -> None:
        self._span = span
        self._name = name

    def answered(self, status: int, route: str | None, goes_on: bool) -> None:
        """Note what is answered, and by which route; the span of an answer that goes on for hours ends here."""
        self._span.set_attribute("http.response.status_code", status)
        if route is not None:
            self._span.set_attribute("http.route", route)
            self._span.update_name(f"{self._name} {route}")
        if status >= 500:
            _failed(self._span, str(status))
        if goes_on:
            self._span.end()


class Tracing:
    """Makes spans, and sends them in the background: a collector that is slow or away costs spans, never a request."""

    def __init__(self, where: str) -> None:
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=_endpoint(where))))
        self._tracer = self._provider.get_tracer("ctxhub", __version__)

    @contextmanager
    def request(self, method: str, scheme: str, traceparent: str | None) -> Iterator[Told]:
        """Make the span of a request, in the trace that its caller names; log lines within carry its ids."""
        known = method in _METHODS
        attributes = {"http.request.method": method if known else "_OTHER", "url.scheme": scheme}
        name = method if known else "HTTP"
        with self._span(name, SpanKind.SERVER, attributes, _remote(traceparent)) as span:
            at = span.get_span_context()
            ids = {"trace_id": f"{at.trace_id:032x}", "span_id": f"{at.span_id:016x}"} if at.is_valid else {}
            with bound_contextvars(**ids):
                yield Told(span, name)

    def redis(self, operation: str, script: str | None = None, size: int = 1) -> AbstractContextManager[object]:
        """Make the span of a call to Redis, if it is made for a request whose span is kept."""
        if not trace.get_current_span().is_recording():
            return nullcontext()
        attributes: dict[str, AttributeValue] = {"db.system.name": "redis", "db.operation.name": operation}
        if script is not None:
            attributes["db.stored_procedure.name"] = script
        if size > 1:
            attributes["db.operation.batch.size"] = size
        return self._span(f"{operation} {script}" if script else operation, SpanKind.CLIENT, attributes)

    @contextmanager
    def post(self, url: str) -> Iterator[tuple[Callable[[int], None], dict[str, str]]]:
        """Make the span of a call out: with what notes its answer, and with the headers that lead on from here.

        Of the address the span has no more than the host, since paths and queries may hold secrets.
        """
        to = urlsplit(url)
        attributes: dict[str, AttributeValue] = {"http.request.method": "POST", "server.address": to.hostname or ""}
        attributes["server.port"] = to.port or (443 if to.scheme == "https" else 80)
        with self._span("POST", SpanKind.CLIENT, attributes) as span:
            ours = {"traceparent": str(_name_of(span))} if span.get_span_context().is_valid else {}
            yield partial(_got, span), ours

    def here(self) -> str | None:
        """Return how the present span is named; None outside of any, and in one that is not kept."""
        span = trace.get_current_span()
        return str(_name_of(span)) if span.is_recording() else None

    def follow(self, links: Sequence[Link]) -> None:
        """Link the present span to the steps before it, except to itself."""
        span = trace.get_current_span()
        here = self.here()
        for link in [link for link in links if link.span != here][:MOST_LINKS]:
            named = span_named(link.span)
            if named is not None:
                span.add_link(_context_of(named), {f"ctxhub.{link.kind}.id": link.id})

    @contextmanager
    def _span(self, name: str, kind: SpanKind, attributes: Attributes, around: Context | None = None) -> Iterator[Span]:
        """Make a span; of an error it tells the kind and never the text."""
        span = self._tracer.start_span(name, around, kind, attributes)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield span
        except BaseException as error:
            _failed(span, getattr(error, "in_a_word", type(error).__name__))
            raise
        finally:
            if span.is_recording():
                span.end()

    async def aclose(self) -> None:
        """Send what is left, as far as a collector takes it within a second."""
        # The SDK would wait for half a minute; its own thread dies with the process.
        closing = threading.Thread(target=self._provider.shutdown, name="ctxhub-spans", daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, _SENT_WITHIN)


def _got(span: Span, status: int) -> None:
    """Note in the span of a call out what was answered."""
    span.set_attribute("http.response.status_code", status)
    if status >= 400:
        _failed(span, str(status))


def _failed(span: Span, why: str) -> None:
    """Note in a span that it failed, and why in a word."""
    if span.is_recording():
        span.set_attribute("error.type", why)
        span.set_status(StatusCode.ERROR)


def _resource() -> Resource:
    """Return as whom spans are sent; what the standard variables say of it counts more."""
    ours = {"service.name": "ctxhub", "service.version": __version__, "service.instance.id": str(uuid.uuid4())}
    return Resource(ours).merge(OTELResourceDetector().detect())


def _endpoint(where: str) -> str | None:
    """Return where spans are posted; None where the standard variables say so."""
    if where == _AS_STANDARD:
        return None
    return where if urlsplit(where).path.endswith(_PLACE) else where.rstrip("/") + _PLACE


def _remote(traceparent: str | None) -> Context:
    """Return the caller's span as the one around; nothing, so that a trace begins, where none is named."""
    named = span_named(traceparent or "")
    if named is None:
        return Context()
    return trace.set_span_in_context(NonRecordingSpan(_context_of(named)), Context())


def _context_of(named: SpanName) -> SpanContext:
    """Return the span that a name stands for, as one of another process."""
    return SpanContext(named.trace_id, named.span_id, is_remote=True, trace_flags=TraceFlags(int(named.is_sampled)))


def _name_of(span: Span) -> SpanName:
    """Return the name of a span."""
    at = span.get_span_context()
    return SpanName(at.trace_id, at.span_id, at.trace_flags.sampled)
