"""Pixels on the wire <-> arrays: the only place that knows 28, 784 and how a pixel is written.

A length that is wrong is nearly always one of a few mistakes, so the error names the likely one.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from digitserve.server.errors import BadField
from digitserve.v1 import digits_pb2

SIDE = 28
PIXELS = SIDE * SIDE

Images: TypeAlias = npt.NDArray[np.uint8]

_UINT8 = digits_pb2.PIXEL_ENCODING_UINT8
_FLOAT32 = digits_pb2.PIXEL_ENCODING_FLOAT32
_BYTES_PER_PIXEL: dict[int, int] = {
    digits_pb2.PIXEL_ENCODING_UNSPECIFIED: 1,
    _UINT8: 1,
    _FLOAT32: 4,
}
_DETAILS = frozenset(digits_pb2.Detail.values())
_FILE_HEADERS = {b"\x89PNG\r\n\x1a\n": "a PNG file", b"\xff\xd8\xff": "a JPEG file"}

ENCODINGS = (_UINT8, _FLOAT32)


def check_encoding(encoding: int) -> None:
    """Refuses an encoding that is not in the contract."""
    if encoding not in _BYTES_PER_PIXEL:
        names = "PIXEL_ENCODING_UINT8 (1) or PIXEL_ENCODING_FLOAT32 (2)"
        raise BadField("encoding", "ENCODING_UNKNOWN", f"expected {names}, got {encoding}")


def check_detail(detail: int) -> None:
    """Refuses a detail that is not in the contract."""
    if detail not in _DETAILS:
        names = "DETAIL_FULL (1) or DETAIL_BRIEF (2)"
        raise BadField("detail", "DETAIL_UNKNOWN", f"expected {names}, got {detail}")


def check_frame_id(frame_id: str, most: int) -> None:
    """Refuses a name that is longer than `most` bytes."""
    if (size := len(frame_id.encode())) > most:
        raise BadField(
            "frame.frame_id", "FRAME_ID_LENGTH", f"expected at most {most} bytes, got {size}"
        )


def decode_images(pixels: bytes, count: int, encoding: int, max_images: int) -> Images:
    """Reads `count` images (0 means 1).

    Returns:
        uint8[count, 28, 28], 0 = paper, 255 = ink; read-only where it is a view of `pixels`.

    Raises:
        BadField: naming `pixels`, `count` or `encoding`, what was expected and what came.
    """
    check_encoding(encoding)
    count = count or 1
    if count > max_images:
        raise BadField("count", "TOO_MANY_IMAGES", f"expected at most {max_images}, got {count}")
    expected = count * PIXELS * _BYTES_PER_PIXEL[encoding]
    if len(pixels) != expected:
        raise _wrong_length(pixels, count, encoding, expected)
    if encoding == _FLOAT32:
        return _levels(np.frombuffer(pixels, "<f4")).reshape(count, SIDE, SIDE)
    return np.ndarray((count, SIDE, SIDE), np.uint8, pixels)


def _levels(values: npt.NDArray[np.float32]) -> Images:
    """Rounds 0.0..1.0 to the nearest of 256 levels, halves to even."""
    inside = (values >= 0.0) & (values <= 1.0)  # false for NaN too
    if not inside.all():
        at = int(np.argmin(inside))
        image, pixel = divmod(at, PIXELS)
        hint = "; divide by 255, or send uint8" if 1.0 < values[at] <= 255.0 else ""
        raise BadField(
            "pixels",
            "PIXELS_OUT_OF_RANGE",
            f"expected floats from 0.0 to 1.0, got {values[at]} (image {image}, pixel {pixel})"
            + hint,
        )
    levels: Images = np.rint(values * np.float32(255.0)).astype(np.uint8)
    return levels


def _wrong_length(pixels: bytes, count: int, encoding: int, expected: int) -> BadField:
    size = _BYTES_PER_PIXEL[encoding]
    what = f"{count} image{'s' if count > 1 else ''} of {PIXELS * size} bytes"
    cause = _likely_cause(pixels, count, size, expected)
    return BadField(
        "pixels",
        "PIXELS_LENGTH",
        f"expected {expected} bytes ({what}), got {len(pixels)}" + (f": {cause}" if cause else ""),
    )


def _likely_cause(pixels: bytes, count: int, size: int, expected: int) -> str:
    """Guesses the mistake behind a length; empty when it is none of the usual ones."""
    length = len(pixels)
    for header, name in _FILE_HEADERS.items():
        if pixels.startswith(header):
            return f"this looks like {name}; send its decoded pixels"
    causes = {
        0: "no pixels were sent",
        expected * 3: "this looks like three colour channels; send one grey channel",
        count * 32 * 32 * size: "this looks like 32x32 images; scale them to 28x28",
    }
    if size == 1:
        causes[expected * 4] = "this looks like float32; say so with PIXEL_ENCODING_FLOAT32"
    else:
        causes[expected // 4] = "this looks like uint8; say so with PIXEL_ENCODING_UINT8"
    if length in causes:
        return causes[length]
    images, rest = divmod(length, PIXELS * size)
    return f"this looks like {images} images; say so in `count`" if images and not rest else ""
