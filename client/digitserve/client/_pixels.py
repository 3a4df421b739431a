"""Whatever the caller calls an image -> bytes for the wire.  Needs no NumPy, and uses none.

Anything with the buffer protocol will do (bytes, array, memoryview, a NumPy array), and anything
that can make an array of itself (`__array__`: tensors).  uint8 and float32 go out as they are, so
an image costs one copy.
"""

import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from digitserve.client.errors import InvalidImage
from digitserve.v1 import digits_pb2

# A 28x28 buffer has no type that says so; `_view` checks what comes.
Image: TypeAlias = object

PIXELS = 28 * 28
_ONE = {(28, 28), (PIXELS,), (28, 28, 1), (1, 28, 28), (1, PIXELS), (1, 28, 28, 1)}
_EACH = {(28, 28), (PIXELS,), (28, 28, 1)}
_KINDS = {"B": "uint8", "f": "float32", "d": "float64"}


@dataclass(slots=True)  # not frozen: that would double the cost of making one
class Pixels:
    """Images as they travel.

    Attributes:
        data: `count` images, one after the other.
        count: how many.
        encoding: the `digitserve.v1.PixelEncoding` of `data`.
    """

    data: bytes
    count: int
    encoding: "digits_pb2.PixelEncoding"


def one_image(image: Image) -> Pixels:
    """Encodes one image.

    Raises:
        InvalidImage: if it is not 28x28 uint8 (0 = paper, 255 = ink) or float (0.0 to 1.0).
    """
    if type(image) is bytes and len(image) == PIXELS:
        return Pixels(image, 1, digits_pb2.PIXEL_ENCODING_UINT8)
    view, kind = _view(image)
    if view.shape not in _ONE:
        raise InvalidImage(f"expected one 28x28 image (784 pixels), got {_described(view, kind)}")
    return _encoded(view, kind, 1)


def check_range(pixels: Pixels) -> None:
    """Refuses floats that a server would refuse: for images that are to share a message.

    Raises:
        InvalidImage: if a float is not from 0.0 to 1.0.
    """
    if pixels.encoding == digits_pb2.PIXEL_ENCODING_FLOAT32:
        values = struct.unpack(f"<{len(pixels.data) // 4}f", pixels.data)
        wrong = [value for value in values if not 0.0 <= value <= 1.0]  # NaN is not
        if wrong:
            raise InvalidImage(f"expected floats from 0.0 to 1.0, got {wrong[0]}")


def many_images(images: Iterable[Image] | Image) -> Pixels:
    """Encodes several images: one array [N, 28, 28], or one image after the other.

    Raises:
        InvalidImage: if any is no 28x28 image, there is none, or they are not all of one kind.
    """
    if not _is_array(images) and isinstance(images, Iterable):
        return _joined([one_image(image) for image in images])
    view, kind = _view(images)
    count, *each = view.shape or (0,)
    if tuple(each) not in _EACH or not count:
        raise InvalidImage(f"expected N images of 28x28, got {_described(view, kind)}")
    return _encoded(view, kind, count)


def any_images(images: Image) -> Pixels:
    """Encodes one image or several: what a frame of a stream may hold."""
    if _is_array(images):
        view, _ = _view(images)
        if view.shape in _ONE or view.ndim == 1:
            return one_image(images)
    return many_images(images)


def _joined(parts: list[Pixels]) -> Pixels:
    if not parts:
        raise InvalidImage("expected at least one image, got none")
    if len({part.encoding for part in parts}) > 1:
        raise InvalidImage("expected images of one kind, got uint8 and float together")
    return Pixels(b"".join(part.data for part in parts), len(parts), parts[0].encoding)


def _is_array(images: object) -> bool:
    return hasattr(images, "__array__") or isinstance(
        images, bytes | bytearray | memoryview | array
    )


def _view(image: object) -> tuple[memoryview, str]:
    given: Any = image
    try:
        try:
            view = memoryview(given)
        except TypeError:
            view = memoryview(given.__array__())
    except (AttributeError, TypeError):
        raise InvalidImage(
            f"expected a buffer of 28x28 pixels, got {type(image).__name__}"
        ) from None
    kind = _KINDS.get(view.format) or _KINDS.get(view.format.lstrip("@=<|"))
    if kind is None:
        raise InvalidImage(f"expected uint8 or float pixels, got the format {view.format!r}")
    return view, kind


def _encoded(view: memoryview, kind: str, count: int) -> Pixels:
    data = view.tobytes()
    if kind == "uint8":
        return Pixels(data, count, digits_pb2.PIXEL_ENCODING_UINT8)
    if kind == "float64":
        data = array("f", array("d", data)).tobytes()
    if sys.byteorder == "big":
        swapped = array("f", data)
        swapped.byteswap()
        data = swapped.tobytes()
    return Pixels(data, count, digits_pb2.PIXEL_ENCODING_FLOAT32)


def _described(view: memoryview, kind: str) -> str:
    if view.ndim == 1:
        return f"{len(view)} {kind} values"
    return f"{kind} of shape ({', '.join(map(str, view.shape or ()))})"
