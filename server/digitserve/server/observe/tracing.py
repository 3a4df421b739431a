"""Traces: where a call's time went, for a share of the calls.  Needs the extra `tracing`.

    traceparent ─▶ its caller decided      a call ─▶ a span
    none        ─▶ a share of them           its stream's frames, a share of them ─▶ spans below it

Whether a call is traced is decided here, before OpenTelemetry hears of it: one that is not costs a
look at its metadata.  Spans are exported by a thread of their own, and dropped if it cannot follow.
"""

import random
import re
import time
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from digitserve.server.observe.counted import OK
from digitserve.server.observe.facts import Facts
from digitserve.server.observe.observer import Ending
from digitserve.server.services import Call
from digitserve.server.services.window import Frame
from digitserve.server.turns import Turn

_PARENT = "traceparent"
_SERVICE = "digitserve"
# Seconds for the collector to take what it is sent: a server that stops waits no longer for it.
_PATIENCE_S = 3.0
# Version, trace, span, and whether its caller traces it.
_SAYS = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
# Codes that say that the server is to blame, as OpenTelemetry's conventions for gRPC have it.
_SERVERS_FAULT = {
    "UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
}  # fmt: skip


class Traced(NamedTuple):
    """What is kept of a call that is traced.

    Attributes:
        span: its span.
        context: in which its frames' spans lie.
        offset: nanoseconds from the monotonic clock to the wall's, when it began.
    """

    span: Span
    context: Context
    offset: int

    @property
    def trace(self) -> str:
        """The trace's id, as everybody writes it."""
        return f"{self.span.get_span_context().trace_id:032x}"

    def at(self, instant: float) -> int:
        """An instant of the monotonic clock by the wall's, in nanoseconds."""
        return int(instant * 1e9) + self.offset


def exporting(endpoint: str) -> SpanProcessor:
    """Sends spans to a collector at this address, in the background."""
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_PATIENCE_S)
    return BatchSpanProcessor(exporter)


class Tracing:
    """Makes spans of calls and frames."""

    def __init__(self, processor: SpanProcessor, share: float, frame_share: float) -> None:
        """Gives spans to `processor`, of a share of the calls, and of their frames."""
        self._provider = TracerProvider(
            ALWAYS_ON, Resource.create({"service.name": _SERVICE}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(_SERVICE)
        self._parents = TraceContextTextMapPropagator()
        self._share, self._frame_share = share, frame_share

    def wants(self, call: Call) -> bool:
        """Whether a call is traced: as its caller says, else by chance."""
        said = _SAYS.fullmatch(call.metadata(_PARENT))
        if said is None:
            return random.random() < self._share  # noqa: S311 - not a secret
        return bool(int(said[1], 16) & 1)

    def began(self, facts: Facts) -> None:
        """Begins a span."""
        parent = facts.call.metadata(_PARENT)
        service, _, method = facts.method.partition("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        span = self._tracer.start_span(
            facts.method,
            self._parents.extract({_PARENT: parent}, Context()),
            SpanKind.SERVER,
            attributes,
        )
        assert isinstance(span, Span)  # of the SDK: nothing was sampled away
        offset = time.time_ns() - int(time.monotonic() * 1e9)
        facts.span = Traced(span, set_span_in_context(span, Context()), offset)

    def wrote(self, facts: Facts, frame: Frame, ending: Ending, written: float) -> None:
        """Makes a span of a frame, if it is one of the share."""
        traced: Traced | None = facts.span
        if traced is None or random.random() >= self._frame_share:  # noqa: S311 - not a secret
            return
        attributes: dict[str, AttributeValue] = {
            "digitserve.sequence": frame.sequence,
            "digitserve.outcome": ending.outcome,
        }
        if ending.reason:
            attributes["digitserve.reason"] = ending.reason
        if isinstance(turn := frame.cause, Turn):
            attributes["digitserve.wait_s"] = max(0.0, turn.started - frame.received)
            attributes["digitserve.model_s"] = turn.model_s
            attributes["digitserve.turn_images"] = len(turn.answer.probabilities)
        start = traced.at(frame.received)
        span = self._tracer.start_span(
            "frame", traced.context, attributes=attributes, start_time=start
        )
        if ending.reason in _SERVERS_FAULT:
            span.set_status(Status(StatusCode.ERROR, ending.reason))
        span.end(traced.at(written))

    def ended(self, facts: Facts) -> None:
        """Ends the span, saying what came of the call."""
        traced: Traced | None = facts.span
        if traced is None:
            return
        span = traced.span
        span.set_attributes(
            {
                "rpc.response.status_code": facts.code,
                "digitserve.call": facts.id,
                "digitserve.images": facts.images,
                "digitserve.model_s": facts.model_s,
                "digitserve.wait_s": facts.wait_s,
                **{f"digitserve.frames.{outcome}": n for outcome, n in facts.frames.items()},
            }
        )
        if facts.version:
            span.set_attribute("digitserve.version", facts.version)
        if facts.code != OK:
            span.set_attribute("digitserve.reason", facts.reason)
        if facts.code in _SERVERS_FAULT:
            span.set_status(Status(StatusCode.ERROR, facts.code))
        span.end()

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()
