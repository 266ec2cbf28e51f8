"""
Traces for OpenTelemetry, if it is installed (the extra `otel`) and the setting otlp_endpoint says where they go.

A span is made when a request is over, from the times that were taken anyway: nothing is done while it runs.
"""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from roadstead import __version__
from roadstead.errors import ConfigurationError

if TYPE_CHECKING:
    from roadstead.api.messages import Request

FLUSH_MILLISECONDS = 3000


def check_installed() -> None:
    """Raises ConfigurationError."""
    try:
        found = importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") and importlib.util.find_spec("opentelemetry.sdk.trace")
    except ImportError:
        found = None
    if found is None:
        raise ConfigurationError(
            "otlp_endpoint is set, but OpenTelemetry is not installed: pip install 'roadstead[otel]', or leave otlp_endpoint empty"
        )


class Tracer:
    """endpoint: http://HOST:PORT of a collector that takes OTLP over HTTP, or the whole address with its path."""

    def __init__(self, endpoint: str) -> None:
        check_installed()
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        address = endpoint if urlsplit(endpoint).path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
        self._provider = TracerProvider(resource=Resource.create({"service.name": "roadstead", "service.version": __version__}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
        self._tracer = self._provider.get_tracer("roadstead", __version__)
        self._extract = TraceContextTextMapPropagator().extract
        self._server, self._error = SpanKind.SERVER, StatusCode.ERROR

    def __call__(self, request: Request, status: int, elapsed_ns: int, sent_bytes: int, client: str) -> None:
        """A request that is over. A caller's traceparent makes the span part of its trace (W3C Trace Context)."""
        end_ns = time.time_ns()
        carrier = {name: request.header(name.encode()) for name in ("traceparent", "tracestate")}
        attributes: dict[str, Any] = {
            "http.request.method": request.method,
            "http.route": request.route,
            "http.response.status_code": status,
            "http.response.body.size": sent_bytes,
            "url.path": request.path,
            "url.scheme": request.scheme,
            "client.address": client,
            "roadstead.location": request.location,
        }
        span = self._tracer.start_span(
            f"{request.method} {request.route}",
            context=self._extract({name: value for name, value in carrier.items() if value}),
            kind=self._server,
            attributes=attributes,
            start_time=end_ns - elapsed_ns,
        )
        if status >= 500:
            span.set_status(self._error)
        span.end(end_ns)

    def close(self) -> None:
        """Send what is left, for some seconds at the most."""
        self._provider.force_flush(FLUSH_MILLISECONDS)
        self._provider.shutdown()
