"""How good the finder is, where the truth is known: found, invented, read right.

Knows scenes and boxes; how a digit is read is the caller's: a server's client, or a model in the
process.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from digitserve.client.camera.boxes import matches
from digitserve.client.camera.finder import find_digits
from digitserve.client.camera.synthetic import Scene

# IoU from which on a found box is the true one's.
LEAST_OVERLAP = 0.5

#: uint8[N, 28, 28] -> N digits.
Read = Callable[[NDArray[np.uint8]], NDArray[np.integer]]


@dataclass(frozen=True, slots=True)
class Score:
    """What came of some scenes.

    Attributes:
        pictures: how many scenes.
        true: digits that were there.
        found: of these, how many were found, with IoU >= 0.5.
        boxes: boxes that the finder gave.
        right: of the true digits, how many were read right.
        seconds: that the finder took.
    """

    pictures: int
    true: int
    found: int
    boxes: int
    right: int
    seconds: float

    @property
    def found_share(self) -> float:
        """Of the digits that were there."""
        return self.found / max(self.true, 1)

    @property
    def false_share(self) -> float:
        """Of the boxes, those that are no digit's."""
        return (self.boxes - self.found) / max(self.boxes, 1)

    @property
    def right_share(self) -> float:
        """Of the digits that were there: a digit that was not found is not read right."""
        return self.right / max(self.true, 1)

    def __str__(self) -> str:
        return (
            f"{self.true} digits on {self.pictures} pictures: {self.found_share:.2%} found, "
            f"{self.false_share:.2%} of the boxes false, {self.right_share:.2%} read right, "
            f"{1e3 * self.seconds / max(self.pictures, 1):.1f} ms a picture"
        )


def score(scenes: Iterable[Scene], read: Read) -> Score:
    """Lets the finder look at each scene and `read` read what it found."""
    pictures = true = boxes = 0
    seconds = 0.0
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for scene in scenes:
        begun = perf_counter()
        found = find_digits(scene.picture)
        seconds += perf_counter() - begun
        pictures, true, boxes = pictures + 1, true + len(scene.digits), boxes + len(found)
        pairs = matches(
            [digit.box for digit in found], [digit.box for digit in scene.digits], LEAST_OVERLAP
        )
        for i, j in pairs:
            images.append(found[i].image)
            labels.append(scene.digits[j].label)
    right = int((read(np.stack(images)) == np.array(labels)).sum()) if images else 0
    return Score(pictures, true, len(labels), boxes, right, seconds)
