"""A caller of TensorFlow Serving's API, without TensorFlow: the messages are the server's own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from digitserve.server.adapters.tensorflow_serving.messages import PROTOCOL
from digitserve.server.adapters.tensorflow_serving.tensors import FLOAT, UINT8
from support.serving import Serving

PREDICTION = "tensorflow.serving.PredictionService"
MODEL = "tensorflow.serving.ModelService"

NOISE = np.random.default_rng(7).integers(0, 256, (5, 28, 28), np.uint8)

# How pixels may be sent: the type of a tensor, and where its elements are.
WAYS = (
    (UINT8, "tensor_content"),
    (UINT8, "int_val"),
    (FLOAT, "tensor_content"),
    (FLOAT, "float_val"),
)


class Stub:
    """Its methods, by their names."""

    def __init__(self, channel: grpc.Channel) -> None:
        def method(service: str, name: str) -> Any:
            return channel.unary_unary(
                f"/{service}/{name}",
                lambda request: request.SerializeToString(),
                PROTOCOL.message(f"{name}Response").FromString,
            )

        self.Predict = method(PREDICTION, "Predict")
        self.GetModelMetadata = method(PREDICTION, "GetModelMetadata")
        self.GetModelStatus = method(MODEL, "GetModelStatus")


@contextmanager
def stub_of(up: Serving) -> Iterator[Stub]:
    """A caller on a connection of its own."""
    with up.channel() as channel:
        yield Stub(channel)


def request_of(name: str, model: str = "digits", **spec: Any) -> Any:
    """A request that names the model, and of its `ModelSpec` what is given."""
    request = PROTOCOL.message(f"{name}Request")()
    request.model_spec.name = model
    if (version := spec.pop("version", None)) is not None:
        request.model_spec.version.value = version
    for field, value in spec.items():
        setattr(request.model_spec, field, value)
    return request


def put(
    request: Any,
    images: npt.NDArray[np.uint8],
    way: tuple[int, str] = WAYS[0],
    shape: Sequence[int] | None = None,
    key: str = "images",
) -> Any:
    """Puts uint8 images, white on black, into a request, in one of the ways; returns it."""
    dtype, field = way
    tensor = request.inputs[key]
    tensor.dtype = dtype
    for size in images.shape if shape is None else shape:
        tensor.tensor_shape.dim.add(size=size)
    pixels = images if dtype == UINT8 else (images / np.float32(255)).astype("<f4")
    if field == "tensor_content":
        tensor.tensor_content = pixels.tobytes()
    else:
        getattr(tensor, field).extend(pixels.ravel().tolist())
    return request


def predict_request(images: npt.NDArray[np.uint8], *how: Any, **spec: Any) -> Any:
    """A PredictRequest of these images."""
    return put(request_of("Predict", **spec), images, *how)


def refused(call: Callable[..., Any], request: Any, **more: Any) -> tuple[Any, str, str, str]:
    """Code, reason, message and field of a call that is refused."""
    with pytest.raises(grpc.RpcError) as raised:
        call(request, **more)
    status = rpc_status.from_call(raised.value)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad)
    field = bad.field_violations[0].field if bad.field_violations else ""
    return raised.value.code(), info.reason, status.message, field
