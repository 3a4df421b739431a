"""What every reader shares: the image that it yields, and how it says that a file does not fit.

A reader sees a binary stream and never a file's name: it yields what it finds one image at a
time, and raises `Unfit` at what it cannot take.  `read_images` adds the name.
Pure Python: the base install reads arrays without NumPy.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from digitserve.client.errors import DigitServeError

SIDE = 28
IMAGE_BYTES = SIDE * SIDE

#: An image and what its name has after the file's: "" or such as "[17]".
Found: TypeAlias = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class NamedImage:
    """One image, ready to be sent.

    Attributes:
        name: the file's, with an index where the file holds several: `digits.npy[17]`.
        pixels: 784 bytes, row by row; 0 is paper, 255 is ink.
    """

    name: str
    pixels: bytes


class ImageFileError(DigitServeError):
    """A file that cannot be read as images of digits.

    Attributes:
        file: its name, as it was given.
        came: what was found.
        expected: what would have been right; empty where `came` says it all.
    """

    def __init__(self, file: str, came: str, expected: str = "") -> None:
        super().__init__(f"{file}: {came}" + (f"; expected {expected}" if expected else ""))
        self.file = file
        self.came = came
        self.expected = expected


class Unfit(Exception):
    """What a reader found wrong, before the file's name is known."""

    def __init__(self, came: str, expected: str = "") -> None:
        super().__init__(came)
        self.came = came
        self.expected = expected


def numbered(count: int, images: Iterable[bytes]) -> Iterator[Found]:
    """Gives each of `count` images its index; a lone one needs none."""
    for index, pixels in enumerate(images):
        yield (f"[{index}]" if count > 1 else ""), pixels


def records(stream: io.BufferedIOBase, count: int, size: int) -> Iterator[bytes]:
    """Yields `count` records of `size` bytes, one at a time, and nothing may follow them."""
    if count == 0:
        raise Unfit("no images in it", "at least one")
    for index in range(count):
        record = stream.read(size)
        if len(record) != size:
            raise Unfit(f"cut off after {index} of {count} images", f"{count * size} bytes of data")
        yield record
    if stream.read(1):
        raise Unfit(f"more data than its header says ({count} images)", "the end of the file")
