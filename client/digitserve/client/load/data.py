"""The images that are sent: a user's own, with labels where they are known, or random strokes."""

import os
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

from digitserve.client.images import ImageFileError, read_images
from digitserve.client.load.labels import labels_of

# 8 MB of pixels; enough that no cache of anybody's holds all answers.
MOST_IMAGES = 10_000

_SIDE = 28
_STROKES = 3


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a run.

    Attributes:
        source: where they are from, in a few words.
        pixels: 784 bytes each, row by row; 0 is paper, 255 is ink.
        labels: what they show, one for each; None: nobody knows.
    """

    source: str
    pixels: Sequence[bytes]
    labels: Sequence[int] | None = None


def stroke_images(count: int = 256, seed: int = 1) -> Images:
    """Draws `count` images of random strokes: ink where digits have it, and no digit."""
    chance = random.Random(seed)  # noqa: S311 - not a secret
    drawn = [_strokes(chance) for _ in range(count)]
    return Images(f"random strokes, seed {seed}", drawn)


def read_data(path: str | os.PathLike[str]) -> Images:
    """Reads up to `MOST_IMAGES` images of a file or a folder.

    Labels are known where `labels_of` finds them, and for pictures in folders called 0 to 9.

    Args:
        path: a file that `read_images` takes; or a folder with IDX images (the test set is taken
            where there are both), or with pictures, in folders of their own or not.

    Raises:
        ImageFileError: if there are no images, or one of them cannot be read.
    """
    place = Path(path)
    if place.is_dir():
        published = sorted(place.glob("*images*idx3-ubyte*"))
        if not published:
            return _folder(place)
        place = published[0]  # t10k comes before train
    pixels = [image.pixels for image in islice(read_images(place), MOST_IMAGES)]
    return Images(str(path), pixels, labels_of(place, len(pixels)))


def _folder(folder: Path) -> Images:
    pixels: list[bytes] = []
    labels: list[str] = []
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        for image in islice(read_images(file), MOST_IMAGES - len(pixels)):
            pixels.append(image.pixels)
            labels.append(file.parent.name)
    if not pixels:
        raise ImageFileError(str(folder), "no file in it", "a folder of images")
    known = all(re.fullmatch("[0-9]", label) for label in labels)
    return Images(str(folder), pixels, [int(label) for label in labels] if known else None)


def _strokes(chance: random.Random) -> bytes:
    """A few straight strokes, three pixels wide, inside the 20x20 that MNIST's digits fill."""
    image = bytearray(_SIDE * _SIDE)
    corners = [(chance.uniform(5, 23), chance.uniform(5, 23)) for _ in range(_STROKES + 1)]
    for begin, end in pairwise(corners):
        for row, column in _points(begin, end):
            for at in (-1, 0, 1):
                image[row * _SIDE + column + at] = 255
                image[(row + at) * _SIDE + column] = 255
    return bytes(image)


def _points(begin: tuple[float, float], end: tuple[float, float]) -> Iterator[tuple[int, int]]:
    steps = 2 * _SIDE
    for step in range(steps + 1):
        row, column = (a + (b - a) * step / steps for a, b in zip(begin, end, strict=True))
        yield int(row), int(column)
