"""The caller's words <-> protobuf messages, for the sync and the async client alike."""

from typing import Any

from digitserve.client._pixels import Pixels, any_images
from digitserve.client.errors import CallError
from digitserve.client.types import (
    Delivery,
    Failed,
    Frame,
    Outcome,
    Predicted,
    Prediction,
    Skipped,
    SkipReason,
)
from digitserve.v1 import digits_pb2


def predict_request(
    pixels: Pixels, version: int | None, label: str | None, brief: bool
) -> digits_pb2.PredictRequest:
    """Makes the request for these pixels."""
    return digits_pb2.PredictRequest(
        pixels=pixels.data,
        count=pixels.count,
        encoding=pixels.encoding,
        detail=_detail(brief),
        **_model(version, label),
    )


def predictions(response: digits_pb2.PredictResponse) -> list[Prediction]:
    """Reads what the model said of each image."""
    version = response.model_version
    return [
        Prediction(
            each.digit,
            each.confidence,
            tuple(each.probabilities),
            each.rejection if each.HasField("rejection") else None,
            version,
        )
        for each in response.predictions
    ]


def stream_options(
    *,
    version: int | None,
    label: str | None,
    brief: bool,
    delivery: Delivery = Delivery.ORDERED,
    max_in_flight: int | None = None,
    max_age: float | None = None,
) -> digits_pb2.StreamOptions:
    """Makes the options of a stream; the encoding is that of its first frame.

    `max_in_flight` None: as the server says.

    Raises:
        ValueError: if it is below 1: nothing would ever be sent; or if both a version and a label
            are named.
    """
    if max_in_flight is not None and max_in_flight < 1:
        raise ValueError(f"max_in_flight: expected 1 or more, got {max_in_flight}")
    options = digits_pb2.StreamOptions(
        detail=_detail(brief),
        delivery=digits_pb2.Delivery.Name(delivery.value),
        max_in_flight_frames=max_in_flight,
        **_model(version, label),
    )
    if max_age is not None:
        options.max_age.FromMicroseconds(round(max_age * 1e6))
    return options


def frame_message(frame: Frame) -> tuple[digits_pb2.Frame, "digits_pb2.PixelEncoding"]:
    """Makes the message of a frame, and says how its pixels are encoded.

    Raises:
        InvalidImage: if it does not hold 28x28 images.
    """
    pixels = any_images(frame.images)
    message = digits_pb2.Frame(
        frame_id=frame.frame_id,
        pixels=pixels.data,
        count=pixels.count,
        age_us=round(frame.age * 1e6),
        timeout_us=0 if frame.timeout is None else max(1, round(frame.timeout * 1e6)),
    )
    return message, pixels.encoding


def outcome(response: digits_pb2.StreamPredictResponse, index: int) -> Outcome:
    """Reads what became of the caller's frame number `index`."""
    frame_id = response.frame_id
    match response.WhichOneof("outcome"):
        case "predicted":
            return Predicted(
                index,
                frame_id,
                tuple(predictions(response.predicted)),
                response.wait_us / 1e6,
                response.model_us / 1e6,
            )
        case "skipped":
            return Skipped(index, frame_id, SkipReason(response.skipped.reason))
        case _:
            return Failed(index, frame_id, CallError.from_status(response.failed))


def _detail(brief: bool) -> "digits_pb2.Detail":
    return digits_pb2.DETAIL_BRIEF if brief else digits_pb2.DETAIL_FULL


def _model(version: int | None, label: str | None) -> dict[str, Any]:
    if version is not None and label is not None:
        raise ValueError("name a version or a label, not both")
    named = {"version": version, "label": label}
    return {name: value for name, value in named.items() if value is not None}
