"""Answers, as bytes: what protobuf would write of a ModelInferResponse, without its objects.

    model_name  model_version  id  parameters  outputs…  raw_output_contents…
    └ the same for a version ┘                 └ the same for a question ┘

Values are always raw bytes, as Triton sends them.
"""

import struct
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from digitserve.server.adapters.open_inference import words
from digitserve.server.adapters.open_inference.messages import message
from digitserve.server.adapters.open_inference.model import MODEL, OUTPUTS, Output
from digitserve.server.adapters.open_inference.parameters import check_no_region
from digitserve.server.engines import DIGITS, Answer
from digitserve.server.wire import varint

_BY_NAME = {output.name: output for output in OUTPUTS}
_ROW, _FLOAT = struct.Struct("<10f"), struct.Struct("<f")
_INT64 = [digit.to_bytes(8, "little") for digit in range(DIGITS)]
# A response's parameters, {"triton_final_response": true}: no other one comes for its request.
FINAL = b"\x22\x1b\x0a\x15triton_final_response\x12\x02\x08\x01"


class Asked(NamedTuple):
    """An output that was asked for.

    Attributes:
        output: which.
        classes: how many classes, as texts, instead of its values; 0: its values.
    """

    output: Output
    classes: int = 0


def asked_of(request: Any) -> tuple[Asked, ...]:
    """The outputs that a ModelInferRequest asks for, each once, in its order; all, if for none.

    Raises:
        BadForeignField: if there is no such output.
        ForeignUnsupported: if it cannot be had as it is asked for.
    """
    found: dict[str, Asked] = {}
    for each in request.outputs:
        output = _BY_NAME.get(each.name)
        if output is None:
            raise words.unexpected_output(each.name)
        check_no_region(each.name, each.parameters)
        found[each.name] = Asked(output, _classes(each))
    return tuple(found.values()) or tuple(map(Asked, OUTPUTS))


def _classes(asked: Any) -> int:
    if "classification" not in asked.parameters:
        return 0
    parameter = asked.parameters["classification"]
    kind = parameter.WhichOneof("parameter_choice")
    wanted: int = parameter.int64_param
    if kind != "int64_param" or wanted <= 0:
        raise words.classes(wanted if kind == "int64_param" else None)
    if asked.name != "probabilities":
        raise words.not_classified(asked.name)
    return min(wanted, DIGITS)


class Form:
    """How the answers to a question are written: which outputs, of how many images."""

    def __init__(self, asked: tuple[Asked, ...], count: int) -> None:
        """Writes `asked` of `count` images."""
        outputs = [
            {
                "name": output.name,
                "datatype": "BYTES" if classes else output.datatype,
                "shape": [count, classes or output.width],
            }
            for output, classes in asked
        ]
        self._outputs: bytes = message("ModelInferResponse")(outputs=outputs).SerializeToString()
        self._classes = tuple(classes for _, classes in asked)
        if count == 1 and not any(self._classes):
            names = tuple(_SINGLE[output.name] for output, _ in asked)
            self._values: Callable[[Answer], bytes] = lambda answer: _one(answer, names)
        else:
            self._values = lambda answer: b"".join(_many(answer, each) for each in asked)

    def written(self, version: int, request_id: bytes, answer: Answer, more: bytes = b"") -> bytes:
        """A ModelInferResponse; `more`: its parameters, as bytes."""
        head = _head(version)
        if request_id:
            head = b"%b\x1a%b%b" % (head, varint(len(request_id)), request_id)
        return b"%b%b%b%b" % (head, more, self._outputs, self._values(answer))


@cache
def _head(version: int) -> bytes:
    head: bytes = message("ModelInferResponse")(
        model_name=MODEL, model_version=str(version)
    ).SerializeToString()
    return head


# What `_one` makes of an image, in this order.
_SINGLE = {output.name: at for at, output in enumerate(OUTPUTS)}


def _one(answer: Answer, asked: tuple[int, ...]) -> bytes:
    """The values of a single image, without NumPy's calls, which would cost three times as much."""
    row = answer.probabilities.tobytes()
    probabilities = _ROW.unpack(row)
    confidence = max(probabilities)
    digit = probabilities.index(confidence)
    rejection = answer.rejection
    unsure = 1.0 - confidence if rejection is None else rejection.item()
    values = (
        b"\x32\x28" + row,
        b"\x32\x08" + _INT64[digit],
        b"\x32\x04" + row[4 * digit : 4 * digit + 4],
        b"\x32\x04" + _FLOAT.pack(unsure),
    )
    return b"".join([values[each] for each in asked])


def _many(answer: Answer, asked: Asked) -> bytes:
    """The values of any number of images."""
    probabilities, rejection = answer
    name = asked.output.name
    if asked.classes:
        values = _classified(answer, asked.classes)
    elif name == "digit":
        values = probabilities.argmax(axis=1).astype("<i8").tobytes()
    elif name == "confidence":
        values = probabilities.max(axis=1).astype("<f4").tobytes()
    elif name == "rejection":
        unsure = 1.0 - probabilities.max(axis=1) if rejection is None else rejection
        values = unsure.astype("<f4").tobytes()
    else:
        values = probabilities.astype("<f4").tobytes()
    return b"\x32%b%b" % (varint(len(values)), values)


def _classified(answer: Answer, classes: int) -> bytes:
    """The likeliest digits as `probability:digit`, as Triton writes them."""
    texts = []
    for row in answer.probabilities:
        for digit in np.argsort(-row, kind="stable")[:classes]:
            text = f"{row[digit]:f}:{digit}".encode()
            texts.append(len(text).to_bytes(4, "little") + text)
    return b"".join(texts)
