"""Answers, as bytes: what protobuf would write of a PredictResponse, without its objects.

    outputs{ key  value{ dtype  tensor_shape  values } }…  model_spec
             └ the same for so many images ┘               └ the same for a version

Values are in typed fields, as TensorFlow Serving sends them unless it is told otherwise: many
callers read `float_val` and nothing else.
"""

import struct
from collections.abc import Callable, Collection
from functools import cache
from typing import NamedTuple

from digitserve.server.adapters.tensorflow_serving.messages import PROTOCOL
from digitserve.server.adapters.tensorflow_serving.naming import MODEL, SIGNATURE
from digitserve.server.adapters.tensorflow_serving.tensors import FLOAT, INT64
from digitserve.server.engines import DIGITS, Answer
from digitserve.server.wire import varint

_ROW = struct.Struct(f"<{DIGITS}f")


class Output(NamedTuple):
    """An output.

    Attributes:
        name: its name.
        dtype: of its values.
        sizes: of its dimensions behind the first, which counts images.
        field: the tag of the typed field with its values.
        width: how many bytes an image's values take there.
        values: writes them.
    """

    name: str
    dtype: int
    sizes: tuple[int, ...]
    field: bytes
    width: int
    values: Callable[[Answer], bytes]


def _probabilities(answer: Answer) -> bytes:
    return answer.probabilities.tobytes()


def _digit(answer: Answer) -> bytes:
    """A digit is a varint of one byte."""
    probabilities = answer.probabilities
    if len(probabilities) > 1:
        digits: bytes = probabilities.argmax(axis=1).astype("u1").tobytes()
        return digits
    # Alone, without NumPy's calls: half of their cost.
    row = _ROW.unpack(probabilities.tobytes())
    return bytes((row.index(max(row)),))


OUTPUTS = {
    output.name: output
    for output in (
        Output("digit", INT64, (), b"\x52", 1, _digit),
        Output("probabilities", FLOAT, (DIGITS,), b"\x2a", 4 * DIGITS, _probabilities),
    )
}


def written(answer: Answer, version: int, wanted: Collection[str]) -> bytes:
    """A PredictResponse with the wanted outputs."""
    count = len(answer.probabilities)
    parts = [_opened(name, count) + OUTPUTS[name].values(answer) for name in wanted]
    return b"".join(parts) + _model_spec(version)


@cache
def _opened(name: str, count: int) -> bytes:
    """An entry of `outputs` up to its values, which are the last thing in it."""
    output = OUTPUTS[name]
    size = count * output.width
    head = PROTOCOL.message("PredictResponse")().outputs[name]
    head.dtype = output.dtype
    for each in (count, *output.sizes):
        head.tensor_shape.dim.add(size=each)
    opened = head.SerializeToString() + output.field + varint(size)
    key = b"\x0a%b%b" % (varint(len(name)), name.encode())
    value = b"\x12%b%b" % (varint(len(opened) + size), opened)
    return b"\x0a%b%b%b" % (varint(len(key) + len(value) + size), key, value)


@cache
def _model_spec(version: int) -> bytes:
    response = PROTOCOL.message("PredictResponse")()
    response.model_spec.name, response.model_spec.signature_name = MODEL, SIGNATURE
    response.model_spec.version.value = version
    said: bytes = response.SerializeToString()
    return said
