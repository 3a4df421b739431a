"""How light a picture is -> how much ink there is at each point, 0 on paper.

    light ─▶ ink on dark or on light paper?  turned so that ink is the darker one
          ─▶ paper = the picture with everything narrow closed over; ink = what light is missing
          ─▶ what stands out of the noise, in blobs ─▶ levels: noise to 0, full strokes to 1

Paper need not be lit evenly: closing (a local maximum, then a local minimum) follows gradients and
hard shadows alike, and fills whatever is narrower than its window, as strokes are.
Knows arrays, neither files nor 28.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digitserve.client.images.blobs import main_blobs

Plane = NDArray[np.float32]

# Sizes, in points of a longest side, at which the questions are asked: large enough for strokes,
# small enough for noise to average out.
_PAPER_SIDE = 96
_POLARITY_SIDE = 40
# Windows, as shares of the longest side.  The closing's must be wider than any stroke.
_POLARITY_WINDOW = 0.5
_PAPER_WINDOW = 0.45
# Share of the shorter side that counts as border, where the noise of the paper is measured.
_BORDER = 0.06
# Ink takes its share of the light, in a shadow as outside; on darker paper than this, though, the
# share of almost nothing would be noise.
_LEAST_PAPER = 0.5
# Ink is what stands out by so many times the noise, by so much, and by this share of the darkest.
_NOISE_FACTOR = 5.0
_LEAST_INK = 0.05
_LEAST_OF_DARKEST = 0.15
# Where the levels begin, in times the noise and as a share of a full stroke.
_FLOOR_NOISE = 2.0
_FLOOR = 0.1


class NoInk(Exception):
    """A picture of nothing but paper."""


def find_ink(light: Plane) -> Plane:
    """Returns how much ink each point holds, 0 to 1; paper is exactly 0.

    Raises:
        NoInk: if nothing stands out.
    """
    dark_ink = light if _ink_is_dark(light) else 1 - light
    coarse = _shrunk(dark_ink, _PAPER_SIDE)
    paper = _closed(coarse)
    ink = _relative(dark_ink, _resized(paper, light.shape, Image.Resampling.BILINEAR))
    blobs = _blobs(_relative(coarse, paper))
    core = ink[_resized(blobs.astype(np.float32), light.shape, Image.Resampling.NEAREST) > 0]
    full = float(np.quantile(core, 0.9))
    floor = min(max(_FLOOR_NOISE * _noise(ink), _FLOOR * full), full / 2)
    levels = np.clip((ink - floor) / (full - floor), 0, 1)
    soft_edge = _windowed(blobs.astype(np.float32), 3, np.max)
    near = _resized(soft_edge, light.shape, Image.Resampling.NEAREST) > 0
    return np.where(near, levels, 0).astype(np.float32)


def _ink_is_dark(light: Plane) -> bool:
    """Tells which side the ink differs to from what surrounds it: the median of a wide window."""
    tiny = _shrunk(light, _POLARITY_SIDE)
    size = _odd(_POLARITY_WINDOW * max(tiny.shape))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(tiny, size // 2, mode="edge"), (size, size)
    )
    darker = np.median(windows, axis=(2, 3)) - tiny
    return bool((np.clip(darker, 0, None) ** 2).sum() >= (np.clip(darker, None, 0) ** 2).sum())


def _closed(plane: Plane) -> Plane:
    size = _odd(_PAPER_WINDOW * max(plane.shape))
    # Continued as it ends, for both steps: else the paper would rise towards the border.
    wide = np.pad(plane, size, mode="edge")
    return _windowed(_windowed(wide, size, np.max), size, np.min)[size:-size, size:-size]


def _relative(dark_ink: Plane, paper: Plane) -> Plane:
    """The share of the paper's light that is missing; 0 is paper as it mostly is."""
    ink = (paper - dark_ink) / np.maximum(paper, _LEAST_PAPER)
    # Closing follows the lightest grains of the paper; most of it is a little darker than that.
    return np.asarray(ink - np.median(ink[_border(ink.shape)]), dtype=np.float32)


def _blobs(ink: Plane) -> NDArray[np.bool_]:
    darkest = float(np.quantile(ink, 0.999))
    least = max(_NOISE_FACTOR * _noise(ink), _LEAST_INK, _LEAST_OF_DARKEST * darkest)
    blobs = main_blobs(ink, ink > least)
    if not blobs.any():
        raise NoInk
    return blobs


def _noise(ink: Plane) -> float:
    """The standard deviation on the border, by way of the median, which ink hardly moves."""
    border = ink[_border(ink.shape)]
    return float(1.4826 * np.median(np.abs(border - np.median(border))))


def _border(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    width = max(1, round(_BORDER * min(shape)))
    border = np.ones(shape, dtype=np.bool_)
    border[width:-width, width:-width] = False
    return border


def _windowed(plane: Plane, size: int, best: Callable[..., Any]) -> Plane:
    """The greatest (or least) of a square window around each point, one axis after the other."""
    half = size // 2
    for padding, axis in ((((half, half), (0, 0)), 0), (((0, 0), (half, half)), 1)):
        padded = np.pad(plane, padding, mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=axis)
        plane = np.asarray(best(windows, axis=-1), dtype=np.float32)
    return plane


def _odd(size: float) -> int:
    return max(3, round(size)) | 1


def _shrunk(plane: Plane, side: int) -> Plane:
    factor = min(1.0, side / max(plane.shape))
    rows, columns = (max(1, round(factor * axis)) for axis in plane.shape)
    return _resized(plane, (rows, columns), Image.Resampling.BOX)


def _resized(plane: Plane, shape: tuple[int, ...], how: Image.Resampling) -> Plane:
    rows, columns = shape
    resized = Image.fromarray(plane).resize((columns, rows), how)
    return np.asarray(resized, dtype=np.float32)
