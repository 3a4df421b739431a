"""Where something is in a picture, and how well two such places agree.

Plain Python: the vote needs neither NumPy nor OpenCV.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Box(NamedTuple):
    """A rectangle of whole pixels, upright."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column to the right of it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """How many pixels it holds."""
        return self.width * self.height

    def joined(self, other: "Box") -> "Box":
        """The least box around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Box(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def apart(self, other: "Box") -> tuple[int, int]:
        """Pixels between the two, across and down; negative where they overlap."""
        across = max(self.x, other.x) - min(self.right, other.right)
        down = max(self.y, other.y) - min(self.bottom, other.bottom)
        return across, down


@dataclass(frozen=True, slots=True)
class Reading:
    """What a digit was read as, and where.

    Attributes:
        box: where it is in the picture.
        digit: 0 to 9.
        confidence: 0 to 1.
        track: the same for the same digit in every picture of a video; None before the vote.
    """

    box: Box
    digit: int
    confidence: float
    track: int | None = None


def overlap(one: Box, other: Box) -> float:
    """Intersection over union (IoU): 1 for the same box, 0 for boxes apart."""
    across, down = one.apart(other)
    if across >= 0 or down >= 0:
        return 0.0
    shared = across * down
    return shared / (one.area + other.area - shared)


def matches(ones: Sequence[Box], others: Sequence[Box], least: float) -> Iterator[tuple[int, int]]:
    """Pairs each box with at most one other, the best overlap first.

    Yields:
        The indices of pairs that overlap by `least` (IoU) or more.
    """
    pairs = [
        (value, i, j)
        for i, one in enumerate(ones)
        for j, other in enumerate(others)
        if (value := overlap(one, other)) >= least and value > 0
    ]
    free_ones, free_others = set(range(len(ones))), set(range(len(others)))
    for _, i, j in sorted(pairs, key=lambda pair: -pair[0]):
        if i in free_ones and j in free_others:
            free_ones.remove(i)
            free_others.remove(j)
            yield i, j
