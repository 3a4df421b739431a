"""Predict over the wire: one prediction for each image, and errors that say whose fault it is."""

import struct
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from digitserve.v1 import digits_pb2, digits_pb2_grpc
from support.engines import BrokenEngine, HeldEngine, InkEngine, image_of
from support.serving import Serving, serving, versions_of

UINT8 = digits_pb2.PIXEL_ENCODING_UINT8
FLOAT32 = digits_pb2.PIXEL_ENCODING_FLOAT32


def details_of(error: grpc.RpcError) -> dict[str, Any]:
    """Code, reason and the first field violation of a refused call."""
    status = rpc_status.from_call(error)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    assert info.domain == "digitserve"
    field = bad.field_violations[0].field if bad.field_violations else None
    return {"code": error.code(), "reason": info.reason, "field": field, "message": status.message}


class TestOneImage:
    def test_all_is_said(self, serving: Serving) -> None:
        """Digit, confidence, ten probabilities that sum to 1, rejection and version."""
        with serving.digits() as stub:
            response = stub.Predict(digits_pb2.PredictRequest(pixels=bytes(784)))
        (prediction,) = response.predictions
        assert response.model_version == 1
        assert len(prediction.probabilities) == 10
        assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-5)
        assert prediction.confidence == max(prediction.probabilities)
        assert prediction.probabilities[prediction.digit] == prediction.confidence
        assert prediction.rejection == pytest.approx(1 - prediction.confidence, abs=1e-6)

    def test_brief_leaves_out_what_was_not_asked(self, serving: Serving) -> None:
        """Digit and confidence alone, and rejection is absent rather than 0."""
        request = digits_pb2.PredictRequest(pixels=bytes(784), detail=digits_pb2.DETAIL_BRIEF)
        with serving.digits() as stub:
            (prediction,) = stub.Predict(request).predictions
        assert prediction.confidence > 0
        assert not prediction.probabilities
        assert not prediction.HasField("rejection")

    @pytest.mark.parametrize("model", [{"version": 1}, {"label": "stable"}, {}])
    def test_the_model_may_be_named(self, serving: Serving, model: dict[str, Any]) -> None:
        """By its version, by its label, or not at all."""
        with serving.digits() as stub:
            response = stub.Predict(digits_pb2.PredictRequest(pixels=bytes(784), **model))
        assert response.model_version == 1


@given(images=st.lists(st.binary(min_size=784, max_size=784), min_size=1, max_size=70))
def test_an_answer_does_not_depend_on_its_batch(serving: Serving, images: list[bytes]) -> None:
    """Batched and one by one give the same predictions, to the bit, in the same order."""
    with serving.digits() as stub:
        together = stub.Predict(
            digits_pb2.PredictRequest(pixels=b"".join(images), count=len(images))
        )
        alone = [
            stub.Predict(digits_pb2.PredictRequest(pixels=image)).predictions[0] for image in images
        ]
    assert list(together.predictions) == alone


PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)


@pytest.mark.parametrize(
    ("request_", "reason", "field", "said"),
    [
        ({"pixels": b""}, "PIXELS_LENGTH", "pixels", "no pixels were sent"),
        ({"pixels": bytes(1)}, "PIXELS_LENGTH", "pixels", "expected 784 bytes"),
        ({"pixels": bytes(783)}, "PIXELS_LENGTH", "pixels", "got 783"),
        ({"pixels": bytes(785)}, "PIXELS_LENGTH", "pixels", "got 785"),
        ({"pixels": bytes(1024)}, "PIXELS_LENGTH", "pixels", "32x32"),
        ({"pixels": bytes(2352)}, "PIXELS_LENGTH", "pixels", "three colour channels"),
        ({"pixels": bytes(3136)}, "PIXELS_LENGTH", "pixels", "float32"),
        ({"pixels": bytes(784 * 5)}, "PIXELS_LENGTH", "pixels", "5 images; say so in `count`"),
        ({"pixels": bytes(784), "count": 2}, "PIXELS_LENGTH", "pixels", "expected 1568 bytes"),
        ({"pixels": bytes(784), "encoding": FLOAT32}, "PIXELS_LENGTH", "pixels", "uint8"),
        ({"pixels": PNG}, "PIXELS_LENGTH", "pixels", "a PNG file"),
        ({"pixels": b"\xff\xd8\xff" + bytes(9)}, "PIXELS_LENGTH", "pixels", "a JPEG file"),
        ({"pixels": bytes(784 * 1025), "count": 1025}, "TOO_MANY_IMAGES", "count", "at most 1024"),
        ({"pixels": bytes(784), "encoding": 7}, "ENCODING_UNKNOWN", "encoding", "got 7"),
        ({"pixels": bytes(784), "detail": 9}, "DETAIL_UNKNOWN", "detail", "got 9"),
    ],
)
def test_wrong_requests_say_what_is_wrong(
    serving: Serving, request_: dict[str, Any], reason: str, field: str, said: str
) -> None:
    """INVALID_ARGUMENT with reason, field, what was expected, what came and the likely cause."""
    with serving.digits() as stub:
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(digits_pb2.PredictRequest(**request_))
        assert stub.Predict(digits_pb2.PredictRequest(pixels=bytes(784))).predictions
    got = details_of(raised.value)
    assert got["code"] is grpc.StatusCode.INVALID_ARGUMENT
    assert (got["reason"], got["field"]) == (reason, field)
    assert said in str(got["message"])


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "255.0", "-0.001", "1.0001"])
def test_floats_outside_of_their_range_are_refused(serving: Serving, value: str) -> None:
    """And the first of them is named."""
    pixels = bytearray(3136)
    struct.pack_into("<f", pixels, 4 * 30, float(value))
    request = digits_pb2.PredictRequest(pixels=bytes(pixels), encoding=FLOAT32)
    with serving.digits() as stub, pytest.raises(grpc.RpcError) as raised:
        stub.Predict(request)
    got = details_of(raised.value)
    assert got["code"] is grpc.StatusCode.INVALID_ARGUMENT
    assert (got["reason"], got["field"]) == ("PIXELS_OUT_OF_RANGE", "pixels")
    assert "pixel 30" in str(got["message"])


@pytest.mark.parametrize(
    ("model", "reason", "there"),
    [
        ({"version": 99}, "VERSION_UNKNOWN", "there is: 1"),
        ({"label": "canary"}, "LABEL_UNKNOWN", "there is: stable"),
    ],
)
def test_unknown_models_are_not_found(
    serving: Serving, model: dict[str, Any], reason: str, there: str
) -> None:
    """NOT_FOUND, listing what is there."""
    with serving.digits() as stub, pytest.raises(grpc.RpcError) as raised:
        stub.Predict(digits_pb2.PredictRequest(pixels=bytes(784), **model))
    got = details_of(raised.value)
    assert (got["code"], got["reason"]) == (grpc.StatusCode.NOT_FOUND, reason)
    assert there in str(got["message"])


def test_garbage_is_an_invalid_argument(serving: Serving) -> None:
    """Bytes that are no message are the caller's fault, and the server lives on."""
    with serving.channel() as channel:
        call: Any = channel.unary_unary("/digitserve.v1.DigitService/Predict")
        with pytest.raises(grpc.RpcError) as raised:
            call(b"\xff\xff\xff\xff")
        assert digits_pb2_grpc.DigitServiceStub(channel).Predict(
            digits_pb2.PredictRequest(pixels=bytes(784))
        )
    got = details_of(raised.value)
    assert (got["code"], got["reason"]) == (grpc.StatusCode.INVALID_ARGUMENT, "NOT_A_MESSAGE")


def test_a_message_over_the_limit_is_refused_by_grpc(serving: Serving) -> None:
    """RESOURCE_EXHAUSTED, and the server lives on."""
    with serving.digits() as stub:
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(digits_pb2.PredictRequest(pixels=bytes(5 * 1024 * 1024)))
        assert stub.Predict(digits_pb2.PredictRequest(pixels=bytes(784)))
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_what_expires_in_the_queue_is_not_computed() -> None:
    """A deadline that passes while another holds the engine: the engine is never called for it."""
    engine = HeldEngine()
    with serving(versions=versions_of(engine, inline=False)) as up, up.digits() as stub:
        first = stub.Predict.future(digits_pb2.PredictRequest(pixels=image_of(3)))
        assert engine.entered.wait(timeout=10)
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(digits_pb2.PredictRequest(pixels=image_of(4)), timeout=0.05)
        engine.go.set()
        assert first.result().predictions[0].digit == 3
        after = stub.Predict(digits_pb2.PredictRequest(pixels=image_of(5)))
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert after.predictions[0].digit == 5
    assert engine.batches == [1, 1]


def test_long_messages_are_cut_into_turns() -> None:
    """No engine call is longer than a turn, and the answers come back in order."""
    engine = InkEngine()
    digits = [at % 10 for at in range(100)]
    request = digits_pb2.PredictRequest(pixels=b"".join(map(image_of, digits)), count=100)
    with serving(versions=versions_of(engine)) as up, up.digits() as stub:
        engine.batches.clear()
        response = stub.Predict(request)
    assert [each.digit for each in response.predictions] == digits
    assert engine.batches == [32, 32, 32, 4]


def test_the_unforeseen_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """INTERNAL with an id that the log has too, and never the exception's text."""
    with serving(versions=versions_of(BrokenEngine())) as up, up.digits() as stub:
        with pytest.raises(grpc.RpcError) as raised:
            stub.Predict(digits_pb2.PredictRequest(pixels=b"\xff" + bytes(783)))
        assert stub.Predict(digits_pb2.PredictRequest(pixels=image_of(1)))
    got = details_of(raised.value)
    assert (got["code"], got["reason"]) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in str(raised.value)
    number = str(got["message"]).removeprefix("internal error ")
    assert any(number in record.getMessage() for record in caplog.records)
