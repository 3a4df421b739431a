"""The finder: a picture with digits in it -> where each is, and each as the model wants it.

    picture ─▶ grey, working size ─▶ ink, dark or light ─▶ pieces with paper around them
            ─▶ a crop each ─▶ FoundDigit, in reading order

Paper on a desk, in uneven light, a little noisy and out of focus.  What is found is what is
written, not only digits: a letter is cut out too, and it is the model that may reject it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitserve.client.camera._opencv import cv2
from digitserve.client.camera.boxes import Box
from digitserve.client.camera.crop import crop
from digitserve.client.camera.ink import Ink, dark_and_light_ink
from digitserve.client.camera.pieces import Piece, connected_pieces, digit_pieces
from digitserve.client.camera.surroundings import stands_out

# A larger picture is reduced to this longest side: a digit worth reading is still 10 pixels high.
_WORKING_SIDE = 960


@dataclass(frozen=True, slots=True, eq=False)
class FoundDigit:
    """A digit in a picture.

    Attributes:
        box: x, y, width and height, tightly around its ink.
        image: uint8[28, 28], 0 = paper, 255 = ink, centred as MNIST's digits are.
    """

    box: Box
    image: NDArray[np.uint8]


def find_digits(picture: NDArray[np.uint8]) -> list[FoundDigit]:
    """Finds what is written on a picture, line by line from the left.

    Args:
        picture: uint8[H, W] grey, or uint8[H, W, 3] of blue, green, red as OpenCV reads it.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    factor = min(1.0, _WORKING_SIDE / max(grey.shape))
    if factor < 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    grey = np.asarray(grey, np.uint8)
    ink, parts, pieces = _written(grey)
    found = [
        FoundDigit(_scaled(piece.box, 1 / factor), crop(ink, parts, piece.labels, piece.box))
        for piece in pieces
    ]
    return _in_reading_order(found)


def _written(grey: NDArray[np.uint8]) -> tuple[Ink, NDArray[np.int32], list[Piece]]:
    """What is written, in dark ink or in light: of which there is more with paper around it."""
    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.5), np.uint8)
    candidates = []
    for ink, light in zip(dark_and_light_ink(grey), (smooth, 255 - smooth), strict=True):
        pieces, parts = connected_pieces(ink.mask)
        # Before any are joined: the edge of a sheet would join with what is written near it.
        pieces = [piece for piece in pieces if stands_out(piece, parts, ink, light)]
        candidates.append((ink, parts, digit_pieces(pieces, ink.mask)))
    return max(candidates, key=lambda candidate: sum(piece.area for piece in candidate[2]))


def _scaled(box: Box, factor: float) -> Box:
    return Box(*(round(factor * value) for value in box))


def _in_reading_order(found: list[FoundDigit]) -> list[FoundDigit]:
    """Lines from the top, each from the left.

    Of one line are those whose middle is above the bottom of the highest.
    """
    rest = sorted(found, key=_middle)
    ordered: list[FoundDigit] = []
    while rest:
        bottom = rest[0].box.bottom
        line = [digit for digit in rest if _middle(digit) < bottom]
        rest = rest[len(line) :]  # they are sorted by their middle
        ordered += sorted(line, key=lambda digit: digit.box.x)
    return ordered


def _middle(digit: FoundDigit) -> float:
    return digit.box.y + digit.box.height / 2
