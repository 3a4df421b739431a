"""The two ways of asking: the bytes of a request and the probabilities in the bytes of a reply.

The load generator moves bytes and knows no message.  Both ways stand in one process because the
Open Inference Protocol's messages live in a descriptor pool of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from digitserve.v1 import digits_pb2

Image = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Wire:
    """How a server is asked.

    Attributes:
        method: the full name of the unary call.
        encode: uint8[28, 28] -> the bytes of a request.
        decode: the bytes of a reply -> float32[10].
    """

    method: str
    encode: Callable[[Image], bytes]
    decode: Callable[[bytes], Probabilities]


def _predict_request(image: Image) -> bytes:
    return digits_pb2.PredictRequest(pixels=image.tobytes()).SerializeToString()


def _predicted(reply: bytes) -> Probabilities:
    (prediction,) = digits_pb2.PredictResponse.FromString(reply).predictions
    return np.array(prediction.probabilities, np.float32)


def _open_inference() -> descriptor_pool.DescriptorPool:
    """As much of the public `grpc_service.proto` as a call needs; the rest is unknown fields."""
    file = descriptor_pb2.FileDescriptorProto(
        name="grpc_service.proto", package="inference", syntax="proto3"
    )
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(name: str, *fields: tuple[int, str, int, bool, str]) -> None:
        described = file.message_type.add(name=name)
        for number, field, kind, repeated, of in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            described.field.add(
                name=field, number=number, type=kind, label=label, type_name=of or None
            )

    text, integers, octets = kinds.TYPE_STRING, kinds.TYPE_INT64, kinds.TYPE_BYTES
    nested, floats = kinds.TYPE_MESSAGE, kinds.TYPE_FLOAT
    message("Contents", (6, "fp32_contents", floats, True, ""))
    message(
        "Tensor",
        (1, "name", text, False, ""),
        (2, "datatype", text, False, ""),
        (3, "shape", integers, True, ""),
        (5, "contents", nested, False, ".inference.Contents"),
    )
    message(
        "ModelInferRequest",
        (1, "model_name", text, False, ""),
        (3, "id", text, False, ""),
        (5, "inputs", nested, True, ".inference.Tensor"),
        (7, "raw_input_contents", octets, True, ""),
    )
    message(
        "ModelInferResponse",
        (5, "outputs", nested, True, ".inference.Tensor"),
        (6, "raw_output_contents", octets, True, ""),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _open_inference()
_Request, _Response = (
    message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"inference.{name}"))
    for name in ("ModelInferRequest", "ModelInferResponse")
)


def _infer_request(image: Image) -> bytes:
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, 28, 28]}
    request = _Request(
        model_name="digits", id="1", inputs=[tensor], raw_input_contents=[image.tobytes()]
    )
    encoded: bytes = request.SerializeToString()
    return encoded


def _inferred(reply: bytes) -> Probabilities:
    response: Any = _Response.FromString(reply)
    if response.raw_output_contents:
        return np.frombuffer(response.raw_output_contents[0], np.float32)
    return np.array(response.outputs[0].contents.fp32_contents, np.float32)


DIGITS = Wire("/digitserve.v1.DigitService/Predict", _predict_request, _predicted)
OPEN_INFERENCE = Wire("/inference.GRPCInferenceService/ModelInfer", _infer_request, _inferred)
