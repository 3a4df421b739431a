"""IDX, the format in which MNIST itself is published: a big-endian header, then bytes.

00 00 | type | axes | size of each axis, 4 bytes | data, the last axis running fastest
"""

import io
import struct
from collections.abc import Iterator

from digitserve.client.images.files import IMAGE_BYTES, SIDE, Found, Unfit, numbered, records

_UINT8 = 0x08
_IMAGES_MAGIC = 0x00000803
_LABELS_MAGIC = 0x00000801
_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float", 0x0E: "double"}


def is_idx(head: bytes) -> bool:
    """Whether a file that begins like this is IDX of any kind."""
    return len(head) >= 4 and head[:2] == b"\0\0" and head[2] in _TYPES and 1 <= head[3] <= 4


def read_idx(stream: io.BufferedIOBase) -> Iterator[Found]:
    """Yields the images of an IDX stream, reading each when it is asked for."""
    (magic,) = struct.unpack(">I", stream.read(4))
    if magic != _IMAGES_MAGIC:
        raise Unfit(_kind(magic), f"IDX images (magic {_IMAGES_MAGIC:#010x})")
    axes = stream.read(12)
    if len(axes) != 12:
        raise Unfit("cut off in its IDX header", "16 bytes")
    count, rows, columns = struct.unpack(">III", axes)
    if (rows, columns) != (SIDE, SIDE):
        raise Unfit(f"images of {rows}x{columns}", f"{SIDE}x{SIDE}")
    yield from numbered(count, records(stream, count, IMAGE_BYTES))


def _kind(magic: int) -> str:
    if magic == _LABELS_MAGIC:
        return f"IDX labels (magic {magic:#010x}), not images"
    type_name, axes = _TYPES[magic >> 8], magic & 0xFF
    return f"IDX of type {type_name} with {axes} axes (magic {magic:#010x})"
