"""A picture in uneven light -> how much ink there is at each point, and where it is certain.

    light ─▶ paper = the median of a wide window, in small ─▶ contrast = light / paper - 1
          ─▶ smoothed, once as dark ink and once as light
          ─▶ mask = above the noise, and above a share of the strongest ink nearby

A contrast against the paper around it is the same in light and in shade.  A share of the nearby
maximum cuts strong and faint strokes at half their flanks, so that boxes are tight for both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitserve.client.camera._opencv import cv2

Plane = NDArray[np.float32]

# The paper is looked for in a picture reduced to this longest side; in a window of this side.
_PAPER_SIDE = 160
_PAPER_WINDOW = 19
# Darker paper (of 255) tells nothing: contrast would be noise over nothing.
_LEAST_PAPER = 24
# Standard deviation of the smoothing before ink is told from noise, in pixels.
_SMOOTH = 1.2
# Ink is what is stronger than so many times the noise, than so much of the paper's light, and …
_NOISE_FACTOR = 5.0
_LEAST_INK = 0.1
# … than this share of the strongest ink within a window of so many pixels.
_NEAR_SHARE = 0.4
_NEAR_WINDOW = 25


@dataclass(frozen=True, slots=True, eq=False)
class Ink:
    """What is darker than a picture's paper, or what is lighter.

    Attributes:
        level: [H, W], the share of the paper's light that ink takes or adds; about 0 on paper.
        smooth: the same, with the noise smoothed.
        mask: uint8[H, W], 1 where there is ink for certain.
        noise: the standard deviation of `smooth` on blank paper.
    """

    level: Plane
    smooth: Plane
    mask: NDArray[np.uint8]
    noise: float


def dark_and_light_ink(grey: NDArray[np.uint8]) -> tuple[Ink, Ink]:
    """Separates what may be ink from paper, for either of the two that it may be."""
    paper = np.maximum(_paper(grey), _LEAST_PAPER)
    level = np.asarray(grey / paper - 1, np.float32)
    smooth = np.asarray(cv2.GaussianBlur(level, (0, 0), _SMOOTH), np.float32)
    noise = 1.4826 * float(np.median(np.abs(smooth - np.median(smooth))))
    return _ink(-level, -smooth, noise), _ink(level, smooth, noise)


def _ink(level: Plane, smooth: Plane, noise: float) -> Ink:
    near = cv2.dilate(smooth, np.ones((_NEAR_WINDOW, _NEAR_WINDOW), np.uint8))
    least = max(_NOISE_FACTOR * noise, _LEAST_INK)
    mask = smooth > np.maximum(least, _NEAR_SHARE * near)
    return Ink(level, smooth, mask.astype(np.uint8), noise)


def _paper(grey: NDArray[np.uint8]) -> Plane:
    """The median follows gradients, and ink is never the most of its window."""
    rows, columns = grey.shape
    factor = min(1.0, _PAPER_SIDE / max(grey.shape))
    size = (max(1, round(factor * columns)), max(1, round(factor * rows)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    paper = cv2.GaussianBlur(cv2.medianBlur(small, _PAPER_WINDOW), (0, 0), 3)
    large = cv2.resize(paper.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.float32)
