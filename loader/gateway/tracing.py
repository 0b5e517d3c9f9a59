"""A span for each request, in the trace that its header traceparent names. This module needs the extra ``otel``."""

from __future__ import annotations

from typing import Any

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from starlette.types import ASGIApp

_ROUTES = ("/queue/add", "/queue/add-batch")
_TASK = "/queue/{id}"
_NOT_TRACED = "//[^/]+/healthz?$,//[^/]+/metrics$"
"""What probes and Prometheus ask for all the time."""


def traced(app: ASGIApp, provider: TracerProvider) -> ASGIApp:
    """The application, with a span for each request. Its metrics are ours, so that their names are."""
    traced_app: Any = OpenTelemetryMiddleware(
        app,
        excluded_urls=_NOT_TRACED,
        default_span_details=_details,
        tracer_provider=provider,
        meter_provider=NoOpMeterProvider(),
        exclude_spans=["receive", "send"],
    )
    application: ASGIApp = traced_app
    return application


def _details(scope: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and attributes of a span. A name must not hold what clients choose, such as the id of a task."""
    path, method = scope["path"], scope["method"]
    route = path if path in _ROUTES else _TASK if path.startswith("/queue/") else None
    known = method if method in ("GET", "HEAD", "POST") else "HTTP"
    return (known, {}) if route is None else (f"{known} {route}", {"http.route": route})
