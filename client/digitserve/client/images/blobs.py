"""Which connected pieces of a picture are the digit, and which are specks, or the table's edge.

Knows arrays, and nothing of light or paper.  Plain Python over a coarse plane (some 100 x 100):
SciPy would do it in one call, and weighs more than all that the extra installs.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# A piece lighter than this share of the heaviest is a speck: a dot, dust, a crumb of noise.
_LEAST_SHARE = 0.08
# A piece that runs along this share of a side of the picture is not drawn on the paper but where
# the paper ends: a table, a shadow, a frame.
_WHOLE_SIDE = 0.6
# Where no piece is longer than this share of the longest side, all are specks.
_LEAST_EXTENT = 0.04

Mask = NDArray[np.bool_]


def main_blobs(weight: NDArray[np.float32], mask: Mask) -> Mask:
    """Returns the pieces of `mask` (neighbours may touch at corners) that are the digit's."""
    blobs = list(_connected(mask))
    blobs = [blob for blob in blobs if not _runs_along_a_side(blob)] or blobs
    masses = [float(weight[blob].sum()) for blob in blobs]
    kept = np.zeros_like(mask)
    for blob, mass in zip(blobs, masses, strict=True):
        if mass >= _LEAST_SHARE * max(masses):
            kept |= blob
    large = any(_extent(blob) > _LEAST_EXTENT * max(mask.shape) for blob in blobs)
    return kept if large else np.zeros_like(mask)


def _connected(mask: Mask) -> Iterator[Mask]:
    """Yields each connected piece as a mask of its own."""
    rest = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    while rest:
        blob = np.zeros_like(mask)
        reached = [rest.pop()]
        while reached:
            row, column = reached.pop()
            blob[row, column] = True
            around = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & rest
            rest -= around
            reached.extend(around)
        yield blob


def _runs_along_a_side(blob: Mask) -> bool:
    sides = (blob[0], blob[-1], blob[:, 0], blob[:, -1])
    return any(float(side.mean()) > _WHOLE_SIDE for side in sides)


def _extent(mask: Mask) -> int:
    """The longer side of the box around it."""
    return max(int(np.ptp(at)) + 1 if at.size else 0 for at in np.nonzero(mask))
