"""Connected pieces of ink -> those that make up one digit each.

    mask ─▶ connected pieces ─▶ (those that paper surrounds) ─▶ broken strokes joined
         ─▶ lines, stains and specks dropped

Knows boxes and masks, and nothing of light.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitserve.client.camera._opencv import cv2
from digitserve.client.camera.boxes import Box

# A piece of fewer pixels is a grain of noise.
_LEAST_AREA = 6
# Of a picture full of texture, only so many of the largest pieces are looked at.
_MOST_PIECES = 500
# A digit is at least so many pixels high or wide, and at most this share of the picture's side.
_LEAST_SIDE = 10
_MOST_SHARE = 0.9
# Pieces nearer than this share of the larger one belong together …
_JOIN_GAP = 0.15
# … unless the lower one is this high in comparison: then both are digits …
_OWN_DIGIT = 0.6
# … unless they share this much of their columns, and hardly a gap (of their height) is between.
_ABOVE = 0.5
_STACK_GAP = 0.08
# Lower than this share of the usual height, or of the usual area, is a speck.
_SPECK_HEIGHT = 0.35
_SPECK_AREA = 0.08
# Wider than so many times its height is a line.
_LINE = 3.0
# A stroke is thin: half its width is at most this share of the digit's longer side.
_STAIN = 0.4


@dataclass(frozen=True, slots=True)
class Piece:
    """Ink that belongs together.

    Attributes:
        box: around it.
        labels: of its connected parts in the picture's map of parts.
        area: its pixels.
    """

    box: Box
    labels: tuple[int, ...]
    area: int

    def joined(self, other: "Piece") -> "Piece":
        """Both as one."""
        return Piece(self.box.joined(other.box), self.labels + other.labels, self.area + other.area)

    @property
    def side(self) -> int:
        """The longer side of its box."""
        return max(self.box.width, self.box.height)


def connected_pieces(mask: NDArray[np.uint8]) -> tuple[list[Piece], NDArray[np.int32]]:
    """Returns the connected pieces, the largest first, and the map of labels that they name."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    pieces = [
        Piece(Box(*(int(value) for value in stats[label, :4])), (label,), int(stats[label, 4]))
        for label in range(1, count)
        if stats[label, 4] >= _LEAST_AREA
    ]
    pieces = [piece for piece in pieces if _is_whole(piece, mask.shape)]
    pieces.sort(key=lambda piece: -piece.side)
    return pieces[:_MOST_PIECES], np.asarray(parts, np.int32)


def digit_pieces(pieces: list[Piece], mask: NDArray[np.uint8]) -> list[Piece]:
    """Joins what is one digit, and drops what is none by its shape and size."""
    return _without_specks([piece for piece in _joined(pieces) if _is_digit_like(piece, mask)])


def _is_whole(piece: Piece, shape: tuple[int, ...]) -> bool:
    """Whether it lies inside the picture: what its edge cuts is a desk, or can no more be read."""
    box = piece.box
    inside = box.x > 0 and box.y > 0 and box.right < shape[1] and box.bottom < shape[0]
    return inside and piece.side <= _MOST_SHARE * min(shape)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Joins what belongs together, from the largest on, until nothing changes."""
    rest = list(pieces)
    whole: list[Piece] = []
    while rest:
        piece = rest.pop(0)
        while near := [other for other in rest if _belong_together(piece, other)]:
            for other in near:
                piece = piece.joined(other)
                rest.remove(other)
        whole.append(piece)
    return whole


def _belong_together(one: Piece, other: Piece) -> bool:
    across, down = one.box.apart(other.box)
    gap = math.hypot(max(across, 0), max(down, 0))
    if gap > _JOIN_GAP * max(one.side, other.side):
        return False
    low, high = sorted((one.box.height, other.box.height))
    if low < _OWN_DIGIT * high:
        return True
    # Two as high as digits: halves of one if they lie above each other or inside one another.
    narrow = min(one.box.width, other.box.width)
    return -across > _ABOVE * narrow and down <= _STACK_GAP * (low + high)


def _is_digit_like(piece: Piece, mask: NDArray[np.uint8]) -> bool:
    x, y, width, height = piece.box
    if piece.side < _LEAST_SIDE or width > _LINE * height:
        return False
    inside = cv2.copyMakeBorder(
        mask[y : y + height, x : x + width], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0
    )
    half_stroke = float(cv2.distanceTransform(inside, cv2.DIST_L2, 3).max())
    return half_stroke <= _STAIN * piece.side


def _without_specks(pieces: list[Piece]) -> list[Piece]:
    """Drops what is much smaller than the others."""
    if not pieces:
        return []
    height = float(np.median([piece.box.height for piece in pieces]))
    area = float(np.median([piece.area for piece in pieces]))
    return [
        piece
        for piece in pieces
        if piece.box.height >= _SPECK_HEIGHT * height and piece.area >= _SPECK_AREA * area
    ]
