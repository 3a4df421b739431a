"""What a ModelInferRequest asks: images, a version, and which outputs.

Most requests of a caller differ in their pixels alone, and those come last.  What comes before them
is read once, and known when it comes again: that takes a third of what protobuf's objects do.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from google.protobuf.message import DecodeError

from digitserve.server.adapters.open_inference.messages import MESSAGES, PIXELS, check_model
from digitserve.server.adapters.open_inference.responses import OUTPUTS
from digitserve.server.codec import PIXELS as IMAGE_BYTES
from digitserve.server.codec import SIDE, Images, decode_images
from digitserve.server.errors import BadField
from digitserve.v1 import digits_pb2

_ENCODINGS = {
    "UINT8": digits_pb2.PIXEL_ENCODING_UINT8,
    "FP32": digits_pb2.PIXEL_ENCODING_FLOAT32,
}
# Where each type's values are if they are no bytes, and how they are written as bytes.
_TYPED = {"UINT8": ("uint_contents", "u1"), "FP32": ("fp32_contents", "<f4")}
# Before the pixels of one image: `raw_input_contents`, and how many bytes.
_ONE = b"\x3a\x90\x06"
_TAIL = len(_ONE) + IMAGE_BYTES
# Beginnings that are kept.
_KEPT = 256


class Asked(NamedTuple):
    """A request.

    Attributes:
        images: uint8[N, 28, 28].
        version: as it is named; empty: not at all.
        outputs: which tensors are wanted, in that order.
        id: the caller's own name for it.
    """

    images: Images
    version: str
    outputs: tuple[str, ...]
    id: str = ""


class Requests:
    """Reads requests."""

    def __init__(self, most: int) -> None:
        """Of at most so many images each."""
        self._most = most
        self._known: dict[bytes, tuple[str, tuple[str, ...]]] = {}

    def read(self, data: bytes) -> Asked:
        """What is asked.

        Raises:
            UnknownModel: if it is of another model.
            BadField: naming the field, what was expected and what came.
        """
        known = self._known.get(data[:-_TAIL])
        if known is not None and data[-_TAIL:-IMAGE_BYTES] == _ONE:
            offset = len(data) - IMAGE_BYTES
            return Asked(np.ndarray((1, SIDE, SIDE), np.uint8, data, offset), *known)
        return self.asked(MESSAGES.parsed(data, "ModelInferRequest"), data)

    def asked(self, request: Any, data: bytes = b"") -> Asked:
        """The same of a request that is read already, and of its bytes if they are to be known.

        Raises:
            UnknownModel, BadField: as `read` does.
        """
        check_model(request.model_name)
        outputs = outputs_of(request)
        images = images_of(request, self._most)
        if data[-_TAIL:-IMAGE_BYTES] == _ONE and not request.id and len(images) == 1:
            self._keep(data[:-_TAIL], request.model_version, outputs)
        return Asked(images, request.model_version, outputs, request.id)

    def _keep(self, head: bytes, version: str, outputs: tuple[str, ...]) -> None:
        # That it is whole fields is not known yet: what looks like the tag may be a part of one.
        alone = MESSAGES.ModelInferRequest()
        try:
            alone.ParseFromString(head)
        except DecodeError:
            return
        if alone.raw_input_contents or alone.inputs[0].datatype != "UINT8":
            return
        if len(self._known) >= _KEPT:
            self._known.clear()
        self._known[head] = version, outputs


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
        return tuple(OUTPUTS)
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
