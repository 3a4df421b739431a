"""Tensors of requests: what each must be, and the images in it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from digitserve.server import codec
from digitserve.server.adapters.open_inference import words
from digitserve.server.adapters.open_inference.model import DATATYPES, INPUT, images_of
from digitserve.server.adapters.open_inference.parameters import check_no_region
from digitserve.server.codec import PIXELS, Images
from digitserve.v1 import digits_pb2

_ENCODINGS = {
    "UINT8": digits_pb2.PIXEL_ENCODING_UINT8,
    "FP32": digits_pb2.PIXEL_ENCODING_FLOAT32,
}
# The lists of values, and the datatype that an error calls each by.
_LISTS = {
    "bool_contents": "BOOL",
    "int_contents": "INT32",
    "int64_contents": "INT64",
    "uint_contents": "UINT32",
    "uint64_contents": "UINT64",
    "fp32_contents": "FP32",
    "fp64_contents": "FP64",
    "bytes_contents": "BYTES",
}
_TYPED = {"UINT8": "uint_contents", "FP32": "fp32_contents"}
_BYTE = 255


@dataclass(frozen=True, slots=True)
class Tensor:
    """The input of a request, without its values.

    Attributes:
        datatype: of its values.
        count: how many images it has.
        size: how many bytes they take.
        encoding: what the codec calls that datatype.
    """

    datatype: str
    count: int
    size: int
    encoding: int


def tensor_of(request: Any, most: int) -> Tensor:
    """The only input of a ModelInferRequest, of at most so many images.

    Raises:
        BadForeignField: if it is not as the model's is.
        ForeignUnsupported: if its values are elsewhere.
    """
    inputs, asked = request.inputs, request.id
    for each in inputs:
        check_no_region(each.name, each.parameters)
    if len(inputs) != 1:
        names = [each.name for each in inputs]
        if names[1:] and set(names) == {INPUT}:
            raise words.input_again(asked)
        raise words.input_count(asked, names)
    sent = inputs[0]
    if sent.name != INPUT:
        raise words.unexpected_input(sent.name)
    width = DATATYPES.get(sent.datatype)
    if width is None:
        raise words.datatype(asked, sent.datatype)
    count = images_of(tuple(sent.shape)) if sent.shape else None
    if count is None:
        raise words.shape(asked, sent.shape) if sent.shape else words.no_shape(asked)
    if count > most:
        raise words.too_many(asked, most)
    return Tensor(sent.datatype, count, count * PIXELS * width, _ENCODINGS[sent.datatype])


def images_in(raw: bytes, tensor: Tensor, request: str) -> Images:
    """The images in a tensor's bytes.

    Returns:
        uint8[count, 28, 28], white on black.

    Raises:
        BadForeignField: if they are more, or fewer, than the tensor says.
        BadField: if floats are not from 0 to 1.
    """
    if len(raw) != tensor.size:
        raise words.size(request, tensor.size, len(raw))
    return codec.decode_images(raw, tensor.count, tensor.encoding, tensor.count)


def raw_of(request: Any, tensor: Tensor) -> bytes:
    """The bytes of the only input's values, however they were sent.

    Raises:
        BadForeignField: if they were not, or twice.
    """
    raw, sent = request.raw_input_contents, request.inputs[0]
    if not raw and not sent.HasField("contents"):
        raise words.no_data()
    if not raw:
        return _typed(sent.contents, tensor.datatype)
    if sent.HasField("contents"):
        raise words.raw_and_typed()
    if len(raw) > 1:
        raise words.raw_surplus(len(raw))
    only: bytes = raw[0]
    return only


def _typed(contents: Any, datatype: str) -> bytes:
    expected = _TYPED[datatype]
    lists = contents.ListFields()
    if len(lists) > 1:
        raise words.typed_twice()
    for field, values in lists:
        if field.name != expected:
            raise words.typed_otherwise(_LISTS[field.name], datatype)
        if datatype == "FP32":
            return np.array(values, "<f4").tobytes()
        if (largest := max(values)) > _BYTE:
            raise words.over_255(largest)
        return bytes(values)
    return b""
