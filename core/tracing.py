"""One photograph, followed from scan to point: OpenTelemetry spans, joined by the `traceparent` of the messages.

Off, and free, unless OTEL_EXPORTER_OTLP_ENDPOINT is set. Each photograph has a trace of its own, which begins where it
is published (linked to the scan that found it); a trace for a whole job would have as many spans as no viewer shows.
A stage's span lasts from when it takes a message until all that follows from it is delivered.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from core.errors import FatalError
from core.settings import Settings

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACER = trace.get_tracer("darkroom")
_TRACEPARENT = "traceparent"


@dataclass(slots=True)
class _State:
    is_on: bool = False


_STATE = _State()


def configure(settings: Settings, process: str) -> Callable[[], None]:
    """Send spans where the settings say; return what sends the last of them. Raises FatalError without the extra."""
    if not settings.otel_exporter_otlp_endpoint:
        return lambda: None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise FatalError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but traces need the extra `otel`: pip install -e '.[otel]'"
        ) from error
    provider = TracerProvider(
        resource=Resource.create({"service.name": settings.otel_service_name, "service.instance.id": process})
    )
    endpoint = f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    _STATE.is_on = True
    return provider.shutdown


def is_on() -> bool:
    """Tell whether spans are sent."""
    return _STATE.is_on


def process(message: Any, group: str, headers: Mapping[str, str]) -> tuple[Any, str]:
    """Begin the span of a file, or of a message that is about none, that a stage takes.

    Return the span and the `traceparent` for all that is caused by it, in whatever batch or task; off, the one that it
    came with. `done` ends the spans of a message.
    """
    if not _STATE.is_on:
        return None, headers.get(_TRACEPARENT, "")
    span = _TRACER.start_span(
        f"process {message.topic}",
        context=_context(headers.get(_TRACEPARENT, "")),
        kind=SpanKind.CONSUMER,
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": message.topic,
            "messaging.destination.partition.id": str(message.partition),
            "messaging.consumer.group.name": group,
            "messaging.kafka.offset": message.offset,
            **_of_file(headers),
        },
    )
    message.span = [*_spans(message), span]
    return span, _traceparent(span)


def failed(span: Any, error: Exception) -> None:
    """Note in a span why its file failed."""
    if isinstance(span, Span):
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, str(error)))


def done(message: Any) -> None:
    """End the spans of a message."""
    for span in _spans(message):
        span.end()


@contextmanager
def published(topic: str, attributes: Mapping[str, str], cause: str = "") -> Iterator[str]:
    """Begin a trace with a message that is published in the block; give the `traceparent` for it.

    `cause` is the traceparent of what led to it, and is linked. Off: the cause is passed on as it is.
    """
    if not _STATE.is_on:
        yield cause
        return
    span = _TRACER.start_span(
        f"send {topic}",
        context=Context(),
        kind=SpanKind.PRODUCER,
        links=_links([cause]),
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
            **_of_file(attributes),
        },
    )
    with trace.use_span(span, end_on_exit=True):
        yield _traceparent(span)


@contextmanager
def called(service: str, traceparents: Sequence[str]) -> Iterator[None]:
    """Measure a call for a batch of messages: below the first of them, linked to the others."""
    if not _STATE.is_on:
        yield
        return
    first, *others = traceparents
    span = _TRACER.start_span(
        service,
        context=_context(first),
        kind=SpanKind.CLIENT,
        links=_links(others),
        attributes={"messaging.batch.message_count": len(traceparents)},
    )
    with trace.use_span(span, end_on_exit=True):
        yield


def _spans(message: Any) -> list[Span]:
    found: list[Span] = getattr(message, "span", None) or []
    return found


def _of_file(named: Mapping[str, str]) -> dict[str, str]:
    return {f"darkroom.{name}": named[name] for name in ("job_id", "file_id", "path") if named.get(name)}


def _context(traceparent: str) -> Context:
    return _PROPAGATOR.extract({_TRACEPARENT: traceparent}, Context())


def _links(traceparents: Sequence[str]) -> list[Link]:
    contexts = [trace.get_current_span(_context(text)).get_span_context() for text in traceparents if text]
    return [Link(context) for context in contexts if context.is_valid]


def _traceparent(span: Span) -> str:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get(_TRACEPARENT, "")
