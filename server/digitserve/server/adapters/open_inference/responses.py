"""Answers as the protocol's tensors.

probabilities  FP32 [N, 10]
digit          INT64 [N, 1]
rejection      FP32 [N, 1], 0 = surely a digit, 1 = surely none
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from digitserve.server.adapters.open_inference.messages import MESSAGES, MODEL
from digitserve.server.engines import DIGITS, Answer

_ROW = struct.Struct(f"<{DIGITS}f")
_FLOAT = struct.Struct("<f")
_DIGIT = [digit.to_bytes(8, "little") for digit in range(DIGITS)]
# `raw_output_contents`, before its length.
_RAW = b"\x32"


class Output(NamedTuple):
    """A tensor of an answer.

    Attributes:
        datatype: as the protocol names it.
        width: values for each image.
        alone: its bytes, of one image: of its probabilities, its digit, how sure that is, and the
            rejection, if the network knows one.
        several: its bytes, of more.
    """

    datatype: str
    width: int
    alone: Callable[[bytes, int, float, Any], bytes]
    several: Callable[[Answer], bytes]


def _rejection(_: bytes, __: int, confidence: float, known: Any) -> bytes:
    return _FLOAT.pack(1.0 - confidence) if known is None else bytes(known.tobytes())


def _rejections(answer: Answer) -> bytes:
    known = answer.rejection
    if known is None:
        known = np.float32(1.0) - answer.probabilities.max(axis=1)
    return bytes(known.astype("<f4").tobytes())


OUTPUTS: dict[str, Output] = {
    "probabilities": Output(
        "FP32", DIGITS, lambda row, *_: row, lambda answer: answer.probabilities.tobytes()
    ),
    "digit": Output(
        "INT64",
        1,
        lambda _, digit, *__: _DIGIT[digit],
        lambda answer: answer.probabilities.argmax(axis=1).astype("<i8").tobytes(),
    ),
    "rejection": Output("FP32", 1, _rejection, _rejections),
}


def response(answer: Answer, names: tuple[str, ...], version: int, request_id: str) -> bytes:
    """A ModelInferResponse, as protobuf would write it."""
    images = len(answer.probabilities)
    head, tensors = _described(names, images, version)
    parts = [head]
    if request_id:
        named = request_id.encode()
        parts += (b"\x1a", _varint(len(named)), named)
    parts.append(tensors)
    if images == 1:
        row = answer.probabilities.tobytes()
        values = _ROW.unpack(row)
        confidence = max(values)
        digit = values.index(confidence)
        for name in names:
            content = OUTPUTS[name].alone(row, digit, confidence, answer.rejection)
            parts += (_RAW, _BYTE[len(content)], content)
    else:
        for name in names:
            content = OUTPUTS[name].several(answer)
            parts += (_RAW, _varint(len(content)), content)
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _described(names: tuple[str, ...], images: int, version: int) -> tuple[bytes, bytes]:
    """What is the same in every such answer: before its id, and after."""
    head = MESSAGES.ModelInferResponse(model_name=MODEL, model_version=str(version))
    tensors = MESSAGES.ModelInferResponse()
    for name in names:
        output = OUTPUTS[name]
        tensors.outputs.add(name=name, datatype=output.datatype, shape=[images, output.width])
    return head.SerializeToString(), tensors.SerializeToString()


_BYTE = [bytes([value]) for value in range(128)]


def _varint(value: int) -> bytes:
    low = bytearray()
    while value >= 128:
        low.append(value & 127 | 128)
        value >>= 7
    low.append(value)
    return bytes(low)
