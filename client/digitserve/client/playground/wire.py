"""What a browser and the bridge say to each other on a WebSocket.

A browser sends binary messages, little-endian, one picture each:

    version u8 | kind u8 | flags u8 | 0 u8 | frame u32 | width u16 | height u16 | grey u8 …

and gets JSON: `hello` once, `watch` whenever something changes, and for each message exactly one of
`answer`, `picture`, `blank`, `skipped` and `failed`, with the number of its frame; `away` says
that the server is, and that what has no answer gets none.
"""

import json
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any

VERSION = 1
_HEADER = struct.Struct("<BBBBIHH")
# A webcam's picture of 640x480, upright or not, and some more.
_MAX_SIDE = 1024
MAX_PIXELS = 640 * 640
MAX_MESSAGE_BYTES = _HEADER.size + MAX_PIXELS


class Kind(IntEnum):
    """What is on a picture: DRAWING, one digit, its ink from 0 to 255; PHOTO, any number."""

    DRAWING = 1
    PHOTO = 2


class Flags(IntFlag):
    """What is done wrong on purpose to a drawing, to see what comes of it.

    UNCENTRED: it is only made smaller.  NEGATIVE: ink and paper change places.
    """

    NONE = 0
    UNCENTRED = 1
    NEGATIVE = 2


class Malformed(ValueError):
    """A message that is none."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture as a browser sends it.

    Attributes:
        kind: what is on it.
        flags: what is done to it.
        frame: the browser's number for it.
        width: in pixels.
        height: in pixels.
        pixels: `width * height` bytes of grey, row by row.
    """

    kind: Kind
    flags: Flags
    frame: int
    width: int
    height: int
    pixels: bytes


def parse(message: bytes) -> Sent:
    """Reads a browser's message.

    Raises:
        Malformed: if it is none; says what was expected and what came.
    """
    if len(message) < _HEADER.size:
        raise Malformed(f"expected {_HEADER.size} bytes of header, got {len(message)} bytes")
    version, kind, flags, zero, frame, width, height = _HEADER.unpack_from(message)
    if version != VERSION:
        raise Malformed(f"expected version {VERSION}, got {version}")
    if kind not in set(Kind):
        raise Malformed(f"expected kind 1 or 2, got {kind}")
    if flags & ~3 or zero:
        raise Malformed(f"expected flags of 0 to 3 and a 0, got {flags} and {zero}")
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise Malformed(f"expected sides of 1 to {_MAX_SIDE} pixels, got {width}x{height}")
    pixels = message[_HEADER.size :]
    if len(pixels) != width * height:
        raise Malformed(f"expected {width}x{height} = {width * height} pixels, got {len(pixels)}")
    return Sent(Kind(kind), Flags(flags), frame, width, height, pixels)


def said(kind: str, **fields: Any) -> str:
    """Writes what a browser is told."""
    return json.dumps({"v": VERSION, "kind": kind, **fields}, separators=(",", ":"))
