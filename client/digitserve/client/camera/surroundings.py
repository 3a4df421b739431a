"""Ink has paper all around; the edge of a sheet, of a shadow or of the desk has not.

    a piece ─▶ a ring of what surrounds it ─▶ does the piece stand out from nearly all of it?

A strip of desk beside the sheet looks like ink from the sheet's side, and like nothing from its
own.  A digit across the edge of a shadow stays darker than either side.
"""

import numpy as np
from numpy.typing import NDArray

from digitserve.client.camera._opencv import cv2
from digitserve.client.camera.ink import Ink
from digitserve.client.camera.pieces import Piece

# The ring lies between these distances from the ink, in pixels: beyond the soft flanks.
_NEAR, _FAR = 3, 6
# From all of the ring but this share, the piece stands out by this much of what is usual.
_TOLERATED = 0.1
_STANDS_OUT = 0.4


def stands_out(piece: Piece, parts: NDArray[np.int32], ink: Ink, light: NDArray[np.uint8]) -> bool:
    """Whether a piece is surrounded by paper.

    Args:
        piece: what may be a digit.
        parts: the map of connected parts that it names.
        ink: where it was found; what else is ink there does not surround, but stand beside.
        light: the picture, smoothed, negative if ink is light: high is paper.
    """
    x, y, width, height = piece.box
    rows = slice(max(y - _FAR, 0), y + height + _FAR)
    columns = slice(max(x - _FAR, 0), x + width + _FAR)
    own = np.isin(parts[rows, columns], piece.labels).astype(np.uint8)
    ring = (_grown(own, _FAR) > _grown(own, _NEAR)) & (ink.mask[rows, columns] == 0)
    if not ring.any():
        return False
    around = light[rows, columns][ring] - float(np.median(light[rows, columns][own > 0]))
    least, usual = np.quantile(around, (_TOLERATED, 0.5))
    return bool(usual > 0 and least >= _STANDS_OUT * usual)


def _grown(mask: NDArray[np.uint8], distance: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.dilate(mask, np.ones((2 * distance + 1,) * 2, np.uint8)), np.uint8)
