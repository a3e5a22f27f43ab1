"""A collector that is none of ours: takes OTLP over HTTP on loopback, reads the protobuf, and remembers every span."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status


class Seen(NamedTuple):
    """One span as it came."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    links: dict[str, dict[str, Any]]
    failed: bool
    lasted: float

    @property
    def named(self) -> str:
        """How W3C writes it, where it is kept."""
        return f"00-{self.trace_id}-{self.span_id}-01"


class Collector:
    """What came so far."""

    def __init__(self) -> None:
        self.url = ""
        self.raw: list[bytes] = []
        self.spans: list[Seen] = []
        self.resources: list[dict[str, Any]] = []
        self.makers: set[str] = set()

    def take(self, body: bytes) -> None:
        """Take one message."""
        self.raw.append(body)
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(_plain(part.resource.attributes))
            for scope in part.scope_spans:
                self.makers.add(scope.scope.name)
                self.spans += [_seen(span) for span in scope.spans]

    def begin_anew(self) -> None:
        """Forget what came so far."""
        self.raw, self.spans = [], []

    def of(self, name: str) -> list[Seen]:
        """The spans of a name, as they began."""
        return [span for span in self.spans if span.name == name]

    def below(self, span: Seen) -> set[str]:
        """The names of the spans that a span is the parent of."""
        return {one.name for one in self.spans if one.parent_id == span.span_id and one.trace_id == span.trace_id}


def _seen(span: Sent) -> Seen:
    """Return a span in plain words."""
    return Seen(
        span.name,
        Sent.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _plain(span.attributes),
        {f"00-{link.trace_id.hex()}-{link.span_id.hex()}-01": _plain(link.attributes) for link in span.links},
        span.status.code == Status.STATUS_CODE_ERROR,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


def _plain(attributes: Iterable[Any]) -> dict[str, Any]:
    """Return attributes by name."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector for as long as the block lasts."""
    collector = Collector()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Take what is posted where spans are posted."""
            body = self.rfile.read(int(self.headers["content-length"]))
            here = self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
            if here:
                collector.take(body)
            self.send_response(200 if here else 404)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
