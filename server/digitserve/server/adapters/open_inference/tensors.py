"""Images out of the protocol's tensors, and tensors out of answers.

pixels         UINT8, 0 = paper, 255 = ink, or FP32, 0.0 to 1.0; [28, 28], [N, 28, 28],
               [N, 28, 28, 1] or [N, 784]
probabilities  FP32 [N, 10]
digit          INT64 [N, 1]
rejection      FP32 [N, 1], 0 = surely a digit, 1 = surely none
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from digitserve.server.adapters.open_inference.messages import MESSAGES, PIXELS
from digitserve.server.codec import Images, decode_images
from digitserve.server.engines import DIGITS, Answer
from digitserve.server.errors import BadField
from digitserve.v1 import digits_pb2

_ENCODINGS = {
    "UINT8": digits_pb2.PIXEL_ENCODING_UINT8,
    "FP32": digits_pb2.PIXEL_ENCODING_FLOAT32,
}
# Where each type's values are if they are no bytes, and how they are written as bytes.
_TYPED = {"UINT8": ("uint_contents", "u1"), "FP32": ("fp32_contents", "<f4")}
_ROW = struct.Struct(f"<{DIGITS}f")
_INT64 = struct.Struct("<q")
_FLOAT = struct.Struct("<f")


class Output(NamedTuple):
    """A tensor of the answer.

    Attributes:
        datatype: as the protocol names it.
        width: values for each image.
        one: its bytes, of one image: its probabilities, its digit, and the answer.
        many: its bytes, of several.
    """

    datatype: str
    width: int
    one: Callable[[Sequence[float], Answer], bytes]
    many: Callable[[Answer], bytes]


def _rejections(answer: Answer) -> Any:
    if answer.rejection is not None:
        return answer.rejection
    return np.float32(1.0) - answer.probabilities.max(axis=1)


OUTPUTS: dict[str, Output] = {
    "probabilities": Output(
        "FP32",
        DIGITS,
        lambda _, answer: answer.probabilities.tobytes(),
        lambda answer: answer.probabilities.tobytes(),
    ),
    "digit": Output(
        "INT64",
        1,
        lambda row, _: _INT64.pack(row.index(max(row))),
        lambda answer: answer.probabilities.argmax(axis=1).astype("<i8").tobytes(),
    ),
    "rejection": Output(
        "FP32",
        1,
        lambda row, answer: _FLOAT.pack(
            1.0 - max(row) if answer.rejection is None else answer.rejection.item()
        ),
        lambda answer: _rejections(answer).astype("<f4").tobytes(),
    ),
}
_ALL = tuple(OUTPUTS)


# --- what is asked ------------------------------------------------------------------------------


def images_of(request: Any, most: int) -> Images:
    """The images of a ModelInferRequest: uint8[N, 28, 28].

    Raises:
        BadField: naming the field, what was expected and what came.
    """
    inputs = request.inputs
    if len(inputs) != 1:
        names = ", ".join(repr(each.name) for each in inputs) or "none"
        raise BadField("inputs", "INPUTS_COUNT", f"expected one, {PIXELS!r}, got {names}")
    tensor = inputs[0]
    if tensor.name != PIXELS:
        raise BadField(
            "inputs[0].name", "INPUT_UNKNOWN", f"expected {PIXELS!r}, got {tensor.name!r}"
        )
    encoding = _ENCODINGS.get(tensor.datatype)
    if encoding is None:
        raise BadField(
            "inputs[0].datatype",
            "DATATYPE_UNKNOWN",
            f"expected UINT8 or FP32, got {tensor.datatype!r}",
        )
    count = _count(tensor.shape)
    return decode_images(_content(request, tensor), count, encoding, most)


def _count(shape: Sequence[int]) -> int:
    match tuple(shape):
        case (28, 28):
            return 1
        case (images, 28, 28) | (images, 28, 28, 1) | (images, 784) if images > 0:
            return int(images)
    raise BadField(
        "inputs[0].shape",
        "SHAPE_UNEXPECTED",
        f"expected [28,28], [N,28,28], [N,28,28,1] or [N,784], got {list(shape)}",
    )


def _content(request: Any, tensor: Any) -> bytes:
    raw = request.raw_input_contents
    if tensor.parameters and "shared_memory_region" in tensor.parameters:
        why = "shared memory is not taken: send the pixels"
        raise BadField("inputs[0].parameters", "SHARED_MEMORY", why)
    if len(raw) == 1 and not tensor.HasField("contents"):
        content: bytes = raw[0]
        return content
    if raw:
        got = f"{len(raw)} of them" if len(raw) > 1 else "contents too"
        expected = "one for the one input, and no contents"
        raise BadField("raw_input_contents", "CONTENT_SURPLUS", f"expected {expected}, got {got}")
    return _typed(tensor)


def _typed(tensor: Any) -> bytes:
    """The bytes of values that were sent as values."""
    field, dtype = _TYPED[tensor.datatype]
    sent = {each.name: values for each, values in tensor.contents.ListFields()}
    values = sent.pop(field, ())
    if sent:
        raise BadField(
            "inputs[0].contents",
            "CONTENT_TYPE",
            f"expected {field} for {tensor.datatype}, got {', '.join(sorted(sent))}",
        )
    if not values:
        expected = f"raw_input_contents, or {field} in inputs[0].contents"
        raise BadField("inputs[0].contents", "CONTENT_MISSING", f"expected {expected}, got neither")
    if dtype == "u1" and max(values) > 255:
        raise BadField(
            f"inputs[0].contents.{field}",
            "PIXELS_OUT_OF_RANGE",
            f"expected values from 0 to 255, got {max(values)}",
        )
    content: bytes = np.array(values, np.dtype(dtype)).tobytes()
    return content


def outputs_of(request: Any) -> tuple[str, ...]:
    """The outputs that are asked for, in that order; all if none is.

    Raises:
        BadField: if one is not there, or wanted in a way that it is not given.
    """
    asked = request.outputs
    if not asked:
        return _ALL
    for at, each in enumerate(asked):
        if each.name not in OUTPUTS:
            expected = ", ".join(OUTPUTS)
            raise BadField(
                f"outputs[{at}].name",
                "OUTPUT_UNKNOWN",
                f"expected one of {expected}; got {each.name!r}",
            )
        for unable in ("classification", "shared_memory_region"):
            if each.parameters and unable in each.parameters:
                raise BadField(
                    f"outputs[{at}].parameters", "PARAMETER_UNKNOWN", f"{unable} is not done here"
                )
    return tuple(dict.fromkeys(each.name for each in asked))


# --- what is answered ---------------------------------------------------------------------------


def response(answer: Answer, names: tuple[str, ...], version: int, request_id: str) -> bytes:
    """A ModelInferResponse, as protobuf would write it."""
    images = len(answer.probabilities)
    head, tensors = _described(names, images, version)
    if request_id:
        named = request_id.encode()
        head += b"\x1a" + _varint(len(named)) + named
    if images == 1:
        row = _ROW.unpack(answer.probabilities.tobytes())
        contents = [OUTPUTS[name].one(row, answer) for name in names]
    else:
        contents = [OUTPUTS[name].many(answer) for name in names]
    raw = b"".join([b"\x32" + _varint(len(each)) + each for each in contents])
    return head + tensors + raw


@lru_cache(maxsize=1024)
def _described(names: tuple[str, ...], images: int, version: int) -> tuple[bytes, bytes]:
    """What is the same in every such answer: before its id, and after."""
    head = MESSAGES.ModelInferResponse(model_name="digits", model_version=str(version))
    tensors = MESSAGES.ModelInferResponse()
    for name in names:
        output = OUTPUTS[name]
        tensors.outputs.add(name=name, datatype=output.datatype, shape=[images, output.width])
    return head.SerializeToString(), tensors.SerializeToString()


def _varint(value: int) -> bytes:
    low = bytearray()
    while value >= 128:
        low.append(value & 127 | 128)
        value >>= 7
    low.append(value)
    return bytes(low)
