"""PGM, the simplest of grey pictures, 28x28: `P5` with bytes or `P2` with decimals.

    P5 | width | height | highest value | data          # comments run to the end of their line

Its pixels are taken as they are: low is paper, high is ink.  A PGM of another size is a picture
like any other, and `picture.py` reads it.
"""

import io
from collections.abc import Iterator
from typing import NamedTuple

from digitserve.client.images.files import IMAGE_BYTES, SIDE, Found, Unfit

MAGICS = (b"P2", b"P5")
# Longer is no number that could matter here; and a comment, or 784 decimals, need no more.
_DIGITS_LIMIT = 9
_TEXT_LIMIT = 64 * 1024


class Header(NamedTuple):
    """What a PGM says before its pixels; the stream then stands at the first of them."""

    plain: bool
    width: int
    height: int
    highest: int

    @property
    def is_image(self) -> bool:
        """Whether it is 28x28."""
        return (self.width, self.height) == (SIDE, SIDE)


def read_header(stream: io.BufferedIOBase) -> Header:
    """Reads as far as the pixels."""
    plain = stream.read(2) == b"P2"
    return Header(plain, _number(stream), _number(stream), _number(stream))


def read_pgm(stream: io.BufferedIOBase, header: Header) -> Iterator[Found]:
    """Yields the one image of a 28x28 PGM whose header has been read."""
    if not 1 <= header.highest <= 255:
        raise Unfit(f"a highest value of {header.highest}", "1 to 255")
    levels = _decimals(stream) if header.plain else stream.read(IMAGE_BYTES + 1)
    if len(levels) != IMAGE_BYTES:
        came = f"{len(levels)} pixels" if len(levels) < IMAGE_BYTES else "more pixels than 28x28"
        raise Unfit(came, f"{IMAGE_BYTES}")
    if (top := max(levels)) > header.highest:
        raise Unfit(f"a pixel of {top}", f"at most {header.highest}, as its header says")
    half = header.highest // 2
    yield "", bytes((255 * level + half) // header.highest for level in levels)


def _decimals(stream: io.BufferedIOBase) -> list[int]:
    text = stream.read(_TEXT_LIMIT)
    words = b" ".join(line.partition(b"#")[0] for line in text.splitlines()).split()
    if wrong := [word for word in words if not word.isdigit() or len(word) > _DIGITS_LIMIT]:
        raise Unfit(f"{wrong[0][:20]!r} among the pixels", "decimals")
    return [int(word) for word in words]


def _number(stream: io.BufferedIOBase) -> int:
    """Reads the next decimal of the header and the one blank that ends it."""
    word = b""
    while len(word) <= _DIGITS_LIMIT:
        byte = stream.read(1)
        if byte == b"#":
            stream.readline(_TEXT_LIMIT)
            byte = b"\n"
        if not byte or (byte.isspace() and word):
            break
        word += byte.strip()
    if not word.isdigit():
        raise Unfit("a broken PGM header", "width, height and highest value")
    return int(word)
