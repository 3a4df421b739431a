"""Traces: a span for a call, below its caller's, and for a share of a stream's frames."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from digitserve.server.app import MissingExtra
from digitserve.server.observe import tracing
from digitserve.v1 import digits_pb2
from support.collector import collecting
from support.engines import BrokenEngine, InkEngine, image_of
from support.serving import TEST_CONFIG, Serving, serving, versions_of
from support.talk import BLANK, Talking, frame

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACED = replace(TEST_CONFIG, traces="http://nowhere", trace_share=0.0, trace_frame_share=1.0)


@pytest.fixture(name="spans")
def _spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What servers export, kept here."""
    kept = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "exporting", lambda _: SimpleSpanProcessor(kept))
    return kept


def parent(flags: str = "01") -> list[tuple[str, str]]:
    """The metadata by which a caller says which trace a call belongs to."""
    return [("traceparent", f"00-{TRACE}-{SPAN}-{flags}")]


def predict(up: Serving, pixels: bytes = BLANK, **options: Any) -> None:
    """A call, whatever comes of it."""
    with up.digits() as stub:
        try:
            stub.Predict(digits_pb2.PredictRequest(pixels=pixels), **options)
        except grpc.RpcError:
            return


def told(span: ReadableSpan) -> dict[str, Any]:
    """What a span says of its call."""
    return dict(span.attributes or {})


def test_a_call_is_a_span_below_its_callers(spans: InMemorySpanExporter) -> None:
    """With method, code, images, version and times."""
    with serving(TRACED, versions_of(InkEngine())) as up:
        predict(up, image_of(3), metadata=parent())
    (span,) = spans.get_finished_spans()
    assert span.name == "digitserve.v1.DigitService/Predict"
    assert span.kind.name == "SERVER"
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
    expected = {
        "rpc.system": "grpc",
        "rpc.service": "digitserve.v1.DigitService",
        "rpc.method": "Predict",
        "rpc.response.status_code": "OK",
        "digitserve.images": 1,
        "digitserve.version": 1,
    }
    assert told(span).items() >= expected.items()
    assert told(span)["digitserve.wait_s"] >= 0
    assert told(span)["digitserve.model_s"] > 0


@pytest.mark.parametrize(
    ("share", "metadata", "traced"),
    [
        (0.0, None, False),
        (1.0, None, True),
        (1.0, parent("00"), False),
        (0.0, parent("01"), True),
        (0.0, [("traceparent", "00-rubbish-01")], False),
        (1.0, [("traceparent", "~" * 500)], True),
    ],
)
def test_who_decides_whether_a_call_is_traced(
    spans: InMemorySpanExporter, share: float, metadata: Any, traced: bool
) -> None:
    """Its caller, and chance where he says nothing, or nothing that can be read."""
    with serving(replace(TRACED, trace_share=share), versions_of(InkEngine())) as up:
        predict(up, metadata=metadata)
    assert len(spans.get_finished_spans()) == traced


def test_a_failure_is_told_with_whose_fault_it_is(spans: InMemorySpanExporter) -> None:
    """The caller's leaves the span as it is; ours is an error."""
    with serving(TRACED, versions_of(BrokenEngine())) as up:
        predict(up, b"?", metadata=parent())
        predict(up, image_of(255), metadata=parent())
    theirs, ours = spans.get_finished_spans()
    assert told(theirs)["digitserve.reason"] == "PIXELS_LENGTH"
    assert theirs.status.status_code.name == "UNSET"
    assert (ours.status.status_code.name, ours.status.description) == ("ERROR", "INTERNAL")


def test_frames_are_spans_below_their_stream(spans: InMemorySpanExporter) -> None:
    """With what came of each, and within its time."""
    with serving(TRACED, versions_of(InkEngine())) as up:
        asyncio.run(_stream(up, [image_of(1), b"?", image_of(2)], metadata=parent()))
    *frames, stream = spans.get_finished_spans()
    outcomes = [told(each)["digitserve.outcome"] for each in frames]
    assert outcomes == ["predicted", "failed", "predicted"]
    assert told(frames[1])["digitserve.reason"] == "INVALID_ARGUMENT"
    assert told(stream)["digitserve.frames.predicted"] == 2
    for each in frames:
        assert each.parent is not None
        assert stream.context is not None
        assert each.parent.span_id == stream.context.span_id
        assert stream.start_time is not None
        assert stream.end_time is not None
        assert each.start_time is not None
        assert each.end_time is not None
        # The two clocks are read one after the other: half a millisecond between them is much.
        assert stream.start_time - 500_000 <= each.start_time <= each.end_time
        assert each.end_time <= stream.end_time + 500_000


def test_spans_hold_neither_pixels_nor_credentials(spans: InMemorySpanExporter) -> None:
    """Nor names of frames: nothing of what was sent."""
    metadata = [*parent(), ("authorization", "Bearer s3cret")]
    pixels = bytes(range(1, 255)) + bytes(530)
    with serving(TRACED, versions_of(BrokenEngine())) as up:
        predict(up, bytes([255]) + pixels[1:], metadata=metadata)
        asyncio.run(_stream(up, [pixels, b"?"], metadata=metadata))
    said = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "StreamPredict" in said
    for secret in ("s3cret", "frame-1", "\\x01", "\\u0001"):
        assert secret not in said


def test_spans_reach_a_collector() -> None:
    """By OTLP over HTTP, the last of them when the server stops."""
    with collecting() as collector:
        config = replace(TRACED, traces=collector.address)
        with serving(config, versions_of(InkEngine())) as up:
            predict(up, metadata=parent())
        (span,) = collector.spans
    assert span.trace_id.hex() == TRACE
    assert span.name == "digitserve.v1.DigitService/Predict"


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setitem(sys.modules, "digitserve.server.observe.tracing", None)
    with pytest.raises(MissingExtra, match=r"pip install 'digitserve\[tracing\]'"), serving(TRACED):
        pass


def test_nothing_is_imported_unless_it_is_wanted() -> None:
    """Neither OpenTelemetry nor Prometheus."""
    code = (
        "import sys, digitserve.server.app\n"
        "print([name for name in ('opentelemetry', 'prometheus_client') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


async def _stream(up: Serving, pixels: Sequence[bytes], **options: Any) -> None:
    async with Talking(up) as talking:
        talk = talking.talk(**options)
        await talk.say(*[frame(each, frame_id=f"frame-{at}") for at, each in enumerate(pixels)])
        await talk.end()
