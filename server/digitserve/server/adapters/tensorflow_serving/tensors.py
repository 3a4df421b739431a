"""TensorProto -> arrays: which tensors are images.

    DT_UINT8 or DT_FLOAT [N,28,28], [N,28,28,1] or [N,784]  ──▶  uint8[N,28,28]

Elements are read as TensorFlow reads them: from `tensor_content` if there is any, else from the
typed field, of which the last value stands for all that are missing, and 0 for all if there is
none.  More values than there is room for TensorFlow leaves out; here they are refused.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from digitserve.server.codec import PIXELS, SIDE, Images, decode_images
from digitserve.server.errors import BadField, BadForeignField
from digitserve.v1 import digits_pb2

# A message of the private pool: its type is not known before the first call.
Tensor: TypeAlias = Any

# As `tensorflow.DataType` numbers them.
FLOAT, UINT8, INT64 = 1, 4, 9

# What an image may look like behind the first dimension, which counts them.
_SHAPES = ((SIDE, SIDE), (SIDE, SIDE, 1), (PIXELS,))
# Of more dimensions than this nobody needs to be told.
_SHOWN = 8
_EXPECTED_SHAPE = "expected [N,28,28], [N,28,28,1] or [N,784]"


class _Elements(NamedTuple):
    """How the elements of a type are sent.

    Attributes:
        name: of the type.
        numpy: one of them in `tensor_content`.
        encoding: what that is in digitserve.v1.
        field: where they are else.
        typed: one of them there.
    """

    name: str
    numpy: "np.dtype[Any]"
    encoding: int
    field: str
    typed: "np.dtype[Any]"


_BYTE, _INT, _FLOAT = np.dtype("u1"), np.dtype("i4"), np.dtype("<f4")
_TYPES: Final[Mapping[int, _Elements]] = {
    UINT8: _Elements("DT_UINT8", _BYTE, digits_pb2.PIXEL_ENCODING_UINT8, "int_val", _INT),
    FLOAT: _Elements("DT_FLOAT", _FLOAT, digits_pb2.PIXEL_ENCODING_FLOAT32, "float_val", _FLOAT),
}


def images_of(tensor: Tensor, key: str, max_images: int) -> Images:
    """Reads the images in a TensorProto.

    Args:
        tensor: the message.
        key: what its request calls it, for what may be wrong with it.
        max_images: how many there may be.

    Returns:
        uint8[N, 28, 28], 0 = paper, 255 = ink; read-only where it is a view of the message.

    Raises:
        BadField: naming the part of the tensor, what was expected and what came.
    """
    elements = _TYPES.get(tensor.dtype)
    if elements is None:
        raise _bad_type(tensor, key)
    count = _count(tensor.tensor_shape, key, max_images)
    content, field = tensor.tensor_content, "tensor_content"
    if not content:
        field = elements.field
        content = _typed(getattr(tensor, field), count, elements, f"inputs[{key}].{field}")
    expected = count * PIXELS * elements.numpy.itemsize
    if len(content) != expected:
        raise BadForeignField(
            f"inputs[{key}].{field}",
            "PIXELS_LENGTH",
            f"tensor parsing error: {key}: expected {expected} bytes of {elements.name} for "
            f"{count} images of 28x28, got {len(content)}",
        )
    try:
        return decode_images(content, count, elements.encoding, max_images)
    except BadField as error:
        error.field = f"inputs[{key}].{field}"
        raise


def _count(shape: Any, key: str, max_images: int) -> int:
    """How many images a shape says there are."""
    field = f"inputs[{key}].tensor_shape"
    sizes = tuple([dim.size for dim in shape.dim])  # half of what a generator takes
    if sizes[1:] not in _SHAPES or shape.unknown_rank:
        told = ",".join(map(str, sizes[:_SHOWN])) + (",…" if len(sizes) > _SHOWN else "")
        came = "an unknown rank" if shape.unknown_rank else f"[{told}]"
        hint = "; one image is [1,28,28]" if sizes == (SIDE, SIDE) else ""
        raise BadField(field, "SHAPE_UNKNOWN", f"{_EXPECTED_SHAPE}, got {came}{hint}")
    if not 1 <= sizes[0] <= max_images:
        raise BadField(
            field, "TOO_MANY_IMAGES", f"expected 1 to {max_images} images, got {sizes[0]}"
        )
    count: int = sizes[0]
    return count


def _typed(values: Any, count: int, elements: _Elements, field: str) -> bytes:
    """What `tensor_content` would be of the values in a typed field."""
    came, wanted = len(values), count * PIXELS
    array = np.array(values, elements.typed)  # protobuf 7 hands it over whole
    if elements.typed != elements.numpy:
        outside = (array < 0) | (array > 255)
        if outside.any():
            at = int(np.argmax(outside))
            image, pixel = divmod(at, PIXELS)
            raise BadField(
                field,
                "PIXELS_OUT_OF_RANGE",
                f"expected values from 0 to 255, got {array[at]} (image {image}, pixel {pixel})",
            )
    content = array.astype(elements.numpy).tobytes()
    if 0 < came < wanted:
        return content + content[-elements.numpy.itemsize :] * (wanted - came)
    return content or bytes(wanted * elements.numpy.itemsize)


def _bad_type(tensor: Tensor, key: str) -> BadField:
    known = type(tensor).DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_number
    came = known[tensor.dtype].name if tensor.dtype in known else tensor.dtype
    return BadField(
        f"inputs[{key}].dtype",
        "DTYPE_UNKNOWN",
        f"expected DT_UINT8 (0 to 255) or DT_FLOAT (0.0 to 1.0), got {came}",
    )
