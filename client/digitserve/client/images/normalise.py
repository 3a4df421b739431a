"""Ink, wherever and however large -> a digit as MNIST has it.

MNIST's own recipe: the ink is scaled to fit a box of 20x20, keeping its shape, and laid into 28x28
so that its centre of mass is in the middle.  Knows nothing of files or light.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitserve.client.images.files import SIDE
from digitserve.client.images.ink import NoInk, Plane, find_ink

_BOX = 20
# MNIST's centre of mass is at pixel (14, 14), not at 13.5: measured over its test images.
_MIDDLE = 14
# Fainter points do not decide where the digit ends: the soft edge of a stroke is no ink of its own.
_CROP_LEVEL = 0.25


def normalise(light: Plane) -> bytes:
    """Makes the 784 bytes of a digit from how light a picture is, 0 to 1.

    A picture that is as MNIST's already, or its negative, keeps its pixels.

    Raises:
        NoInk: if there is none.
    """
    for ink in (light, 1 - light):
        if _is_normal(ink):
            return _levels(ink)
    return centred(find_ink(light))


def centred(ink: Plane) -> bytes:
    """Makes the 784 bytes of a digit from its ink, 0 = paper to 1, wherever and however large.

    Raises:
        NoInk: if there is none.
    """
    digit = _scaled(_cropped(ink))
    rows, columns = digit.shape
    top, left = (
        int(np.clip(round(_MIDDLE - centre), 0, SIDE - side))
        for centre, side in zip(_centre_of_mass(digit), digit.shape, strict=True)
    )
    image = np.zeros((SIDE, SIDE), dtype=np.float32)
    image[top : top + rows, left : left + columns] = digit
    return _levels(image)


def _is_normal(ink: Plane) -> bool:
    """Whether this is 28x28 with a digit of the right size in the right place on clean paper."""
    if ink.shape != (SIDE, SIDE):
        return False
    # A heavy end may push the other end to the border, one side of it.
    if np.count_nonzero(ink[[0, -1]]) + np.count_nonzero(ink[:, [0, -1]]) > _BOX:
        return False
    extents = [int(np.ptp(at)) + 1 if at.size else 0 for at in np.nonzero(ink)]
    return _BOX - 2 <= max(extents) <= _BOX and all(
        abs(centre - _MIDDLE) <= 1 for centre in _centre_of_mass(ink)
    )


def _cropped(ink: Plane) -> Plane:
    solid = ink > _CROP_LEVEL
    if not solid.any():
        raise NoInk
    (top, bottom), (left, right) = ((at.min(), at.max() + 1) for at in np.nonzero(solid))
    return ink[top:bottom, left:right]


def _scaled(ink: Plane) -> Plane:
    factor = _BOX / max(ink.shape)
    rows, columns = (max(1, round(factor * side)) for side in ink.shape)
    digit = Image.fromarray(ink).resize((columns, rows), Image.Resampling.BICUBIC)
    # A fine pen's line covers its points in part only; the strongest counts as full ink.
    levels = np.clip(np.asarray(digit, dtype=np.float32), 0, None)
    return np.asarray(levels / levels.max(), dtype=np.float32)


def _centre_of_mass(ink: Plane) -> tuple[float, float]:
    rows, columns = np.indices(ink.shape)
    mass = float(ink.sum())
    return float((rows * ink).sum()) / mass, float((columns * ink).sum()) / mass


def _levels(ink: Plane) -> bytes:
    levels: NDArray[np.uint8] = np.rint(255 * np.clip(ink, 0, 1)).astype(np.uint8)
    return levels.tobytes()
