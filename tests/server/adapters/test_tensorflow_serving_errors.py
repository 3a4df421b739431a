"""What is wrong with a PredictRequest, said as TensorFlow Serving says it."""

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from digitserve.server.adapters.tensorflow_serving.messages import PROTOCOL
from support.serving import Serving
from support.tensorflow_serving import (
    NOISE,
    WAYS,
    predict_request,
    put,
    refused,
    request_of,
    stub_of,
)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def _with(change: Callable[[Any], Any]) -> Any:
    request = predict_request(NOISE)
    change(request)
    return request


def _tensor(**fields: Any) -> Any:
    request = predict_request(NOISE)
    for name, value in fields.items():
        setattr(request.inputs["images"], name, value)
    return request


def _valued(way: tuple[int, str], *values: float) -> Any:
    request = predict_request(np.empty((0, 28, 28), np.uint8), way, (1, 28, 28))
    getattr(request.inputs["images"], way[1]).extend(values)
    return request


# What is wrong with a request, and code, reason and message: of what TensorFlow Serving refuses
# too, to the letter.
WRONG = {
    "no model": (
        put(PROTOCOL.message("PredictRequest")(), NOISE),
        (INVALID, "MODEL_SPEC_MISSING", "Missing ModelSpec"),
    ),
    "no name": (
        predict_request(NOISE, model=""),
        (INVALID, "MODEL_NAME_MISSING", "ModelSpec has no name specified."),
    ),
    "another model": (
        predict_request(NOISE, model="half_plus_two"),
        (NOT_FOUND, "NAME_UNKNOWN", "Servable not found for request: Latest(half_plus_two)"),
    ),
    "a version of another model": (
        predict_request(NOISE, model="half_plus_two", version=3),
        (NOT_FOUND, "NAME_UNKNOWN", "Servable not found for request: Specific(half_plus_two, 3)"),
    ),
    "another version": (
        predict_request(NOISE, version=9),
        (NOT_FOUND, "VERSION_UNKNOWN", "Servable not found for request: Specific(digits, 9)"),
    ),
    "version 0": (
        predict_request(NOISE, version=0),
        (NOT_FOUND, "VERSION_UNKNOWN", "Servable not found for request: Specific(digits, 0)"),
    ),
    "another label": (
        predict_request(NOISE, version_label="best"),
        (INVALID, "LABEL_UNKNOWN", "Unrecognized servable version label: best"),
    ),
    "another signature": (
        predict_request(NOISE, signature_name="predict"),
        (PRECONDITION, "SIGNATURE_UNKNOWN", 'Serving signature key "predict" not found.'),
    ),
    "no input": (
        request_of("Predict"),
        (
            INVALID,
            "INPUT_UNKNOWN",
            "input size does not match signature: 0!=1 len({}) != len({images}). "
            "Sent extra: {}. Missing but required: {images}.",
        ),
    ),
    "an input more": (
        put(predict_request(NOISE), NOISE, WAYS[0], None, "input"),
        (
            INVALID,
            "INPUT_UNKNOWN",
            "input size does not match signature: 2!=1 len({images,input}) != len({images}). "
            "Sent extra: {input}. Missing but required: {}.",
        ),
    ),
    "another input": (
        put(request_of("Predict"), NOISE, WAYS[0], None, "input"),
        (
            INVALID,
            "INPUT_UNKNOWN",
            "Signature input alias: images(feed name: serving_default_images:0) not found in "
            "request and no default value provided. Inputs expected to be in the request {input}, "
            "or default input alias set: ",
        ),
    ),
    "another output": (
        _with(lambda request: request.output_filter.append("logits")),
        (
            INVALID,
            "OUTPUT_UNKNOWN",
            "output tensor alias not found in signature: logits "
            "Outputs expected to be in the set {digit,probabilities}.",
        ),
    ),
    "an output twice": (
        _with(lambda request: request.output_filter.extend(["digit", "digit"])),
        (INVALID, "OUTPUT_TWICE", "duplicate output tensor alias: digit"),
    ),
    "bytes missing": (
        _tensor(tensor_content=bytes(3919)),
        (
            INVALID,
            "PIXELS_LENGTH",
            "tensor parsing error: images: expected 3920 bytes of DT_UINT8 for 5 images of 28x28, "
            "got 3919",
        ),
    ),
    "values too many": (
        _valued(WAYS[3], *[0.0] * 785),
        (
            INVALID,
            "PIXELS_LENGTH",
            "tensor parsing error: images: expected 3136 bytes of DT_FLOAT for 1 images of 28x28, "
            "got 3140",
        ),
    ),
    "another type": (
        _tensor(dtype=3),
        (
            INVALID,
            "DTYPE_UNKNOWN",
            "inputs[images].dtype: expected DT_UINT8 (0 to 255) or DT_FLOAT (0.0 to 1.0), "
            "got DT_INT32",
        ),
    ),
    "a type that nobody knows": (
        _tensor(dtype=999),
        (
            INVALID,
            "DTYPE_UNKNOWN",
            "inputs[images].dtype: expected DT_UINT8 (0 to 255) or DT_FLOAT (0.0 to 1.0), got 999",
        ),
    ),
    "one image without its dimension": (
        predict_request(NOISE[:1], WAYS[0], (28, 28)),
        (
            INVALID,
            "SHAPE_UNKNOWN",
            "inputs[images].tensor_shape: expected [N,28,28], [N,28,28,1] or [N,784], "
            "got [28,28]; one image is [1,28,28]",
        ),
    ),
    "three colours": (
        predict_request(NOISE, WAYS[0], (5, 28, 28, 3)),
        (
            INVALID,
            "SHAPE_UNKNOWN",
            "inputs[images].tensor_shape: expected [N,28,28], [N,28,28,1] or [N,784], "
            "got [5,28,28,3]",
        ),
    ),
    "no images": (
        predict_request(NOISE[:0]),
        (
            INVALID,
            "TOO_MANY_IMAGES",
            "inputs[images].tensor_shape: expected 1 to 1024 images, got 0",
        ),
    ),
    "a value for millions of images": (
        _valued(WAYS[3], 0.0)
        and predict_request(np.empty((0, 28, 28), np.uint8), WAYS[3], (2**40, 28, 28)),
        (
            INVALID,
            "TOO_MANY_IMAGES",
            "inputs[images].tensor_shape: expected 1 to 1024 images, got 1099511627776",
        ),
    ),
    "a float over 1": (
        _valued(WAYS[3], 0.0, 255.0),
        (
            INVALID,
            "PIXELS_OUT_OF_RANGE",
            "inputs[images].float_val: expected floats from 0.0 to 1.0, got 255.0 "
            "(image 0, pixel 1); divide by 255, or send uint8",
        ),
    ),
    "an integer over 255": (
        _valued(WAYS[1], 0, 256),
        (
            INVALID,
            "PIXELS_OUT_OF_RANGE",
            "inputs[images].int_val: expected values from 0 to 255, got 256 (image 0, pixel 1)",
        ),
    ),
}


LONG = "x" * 100_000


@pytest.mark.parametrize(
    "request_",
    [
        predict_request(NOISE, model=LONG),
        predict_request(NOISE, version_label=LONG),
        predict_request(NOISE, signature_name=LONG),
        put(request_of("Predict"), NOISE, WAYS[0], None, LONG),
        put(predict_request(NOISE), NOISE, WAYS[0], None, LONG),
        predict_request(NOISE, WAYS[0], (1,) * 50_000),
        _with(lambda request: request.output_filter.append(LONG)),
    ],
    ids=["model", "label", "signature", "input", "inputs", "shape", "output"],
)
def test_what_is_wrong_and_long_is_cut(serving: Serving, request_: Any) -> None:
    """A caller's words come back in metadata, which has little room."""
    with stub_of(serving) as stub:
        assert len(refused(stub.Predict, request_)[2]) < 600


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said(serving: Serving, wrong: str) -> None:
    """As TensorFlow Serving says it; of tensors more, and which field of the request it is."""
    request, expected = WRONG[wrong]
    with stub_of(serving) as stub:
        *said, field = refused(stub.Predict, request)
    assert tuple(said) == expected
    assert bool(field) == (said[0] is INVALID)
