"""The hands that write our own digits: which strokes a digit is made of.

MNIST is not ours to give away, so samples and golden answers are drawn.  This module is
the handwriting and nothing else: points in a unit box, x to the right and y down.  How a
stroke becomes ink is told in `drawn.py`.

A stroke is a row of points that the pen passes.  `smooth` rounds the way through them,
`straight` does not, `arc` goes round an ellipse.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Stroke = NDArray[np.float64]
"""Points `[n, 2]` that lie close together: what the pen draws without being lifted."""

Hand = tuple[Stroke, ...]
"""One way to write one digit."""

_STEPS = 8  # points between two points of a smooth stroke: no corner shows at 200 pixels


def straight(*points: Point) -> Stroke:
    """Straight lines from point to point."""
    return np.asarray(points, dtype=np.float64)


def smooth(*points: Point) -> Stroke:
    """A Catmull-Rom spline through all points."""
    way = np.asarray(points, dtype=np.float64)
    ends = np.vstack([2 * way[0] - way[1], way, 2 * way[-1] - way[-2]])
    before, start, stop, after = ends[:-3], ends[1:-2], ends[2:-1], ends[3:]
    t = np.linspace(0, 1, _STEPS, endpoint=False)[:, None, None]
    pieces = 0.5 * (
        2 * start
        + (stop - before) * t
        + (2 * before - 5 * start + 4 * stop - after) * t**2
        + (3 * (start - stop) + after - before) * t**3
    )
    return np.vstack([pieces.transpose(1, 0, 2).reshape(-1, 2), way[-1:]])


def arc(x: float, y: float, width: float, height: float, turn: tuple[float, float]) -> Stroke:
    """Part of an ellipse about `(x, y)`: clockwise degrees, from 0 at the top."""
    angle = np.radians(np.linspace(*turn, 4 * _STEPS))
    return np.stack([x + width / 2 * np.sin(angle), y - height / 2 * np.cos(angle)], axis=1)


_ZERO: Sequence[Hand] = (
    (arc(0.5, 0.5, 0.68, 1.0, (0, 360)),),
    (arc(0.5, 0.5, 0.50, 1.0, (20, 385)),),
    (arc(0.5, 0.5, 0.88, 0.96, (0, 360)),),
    (
        smooth(
            (0.70, 0.10), (0.46, 0.01), (0.20, 0.20), (0.12, 0.55), (0.26, 0.90), (0.52, 0.99),
            (0.80, 0.76), (0.86, 0.38), (0.66, 0.07), (0.44, 0.06),
        ),
    ),
)  # fmt: skip
_ONE: Sequence[Hand] = (
    (straight((0.5, 0.0), (0.5, 1.0)),),
    (straight((0.30, 0.22), (0.52, 0.0), (0.52, 1.0)),),
    (straight((0.32, 0.20), (0.52, 0.0), (0.52, 1.0)), straight((0.30, 1.0), (0.74, 1.0))),
    (straight((0.70, 0.0), (0.34, 1.0)),),
)
_TWO: Sequence[Hand] = (
    (
        smooth(
            (0.12, 0.26), (0.26, 0.06), (0.52, 0.0), (0.76, 0.12), (0.78, 0.36), (0.56, 0.64),
            (0.12, 0.98),
        ),
        straight((0.12, 0.98), (0.90, 0.98)),
    ),
    (
        smooth(
            (0.14, 0.20), (0.34, 0.02), (0.62, 0.02), (0.76, 0.22), (0.66, 0.50), (0.40, 0.80),
            (0.20, 0.96), (0.08, 0.90), (0.18, 0.78), (0.42, 0.86), (0.66, 0.97), (0.94, 0.90),
        ),
    ),
    (
        smooth(
            (0.16, 0.14), (0.44, 0.0), (0.72, 0.08), (0.76, 0.30), (0.52, 0.62), (0.14, 0.92),
        ),
        smooth((0.14, 0.92), (0.36, 0.86), (0.62, 0.98), (0.92, 0.92)),
    ),
    (
        smooth(
            (0.22, 0.34), (0.22, 0.12), (0.46, 0.0), (0.70, 0.14), (0.66, 0.42), (0.38, 0.76),
            (0.16, 1.0),
        ),
        straight((0.16, 1.0), (0.80, 0.96)),
    ),
)  # fmt: skip
_THREE: Sequence[Hand] = (
    (
        smooth((0.16, 0.12), (0.42, 0.0), (0.72, 0.10), (0.72, 0.32), (0.40, 0.47)),
        smooth((0.40, 0.47), (0.76, 0.56), (0.82, 0.80), (0.50, 1.0), (0.14, 0.88)),
    ),
    (
        straight((0.16, 0.02), (0.78, 0.02), (0.42, 0.40)),
        smooth((0.42, 0.40), (0.74, 0.48), (0.84, 0.74), (0.54, 0.98), (0.14, 0.90)),
    ),
    (
        smooth(
            (0.18, 0.14), (0.44, 0.0), (0.70, 0.12), (0.66, 0.34), (0.42, 0.47), (0.36, 0.41),
            (0.48, 0.44), (0.74, 0.58), (0.78, 0.82), (0.48, 1.0), (0.14, 0.86),
        ),
    ),
    (
        smooth((0.20, 0.06), (0.52, 0.0), (0.74, 0.14), (0.64, 0.34), (0.34, 0.42)),
        smooth((0.34, 0.42), (0.70, 0.46), (0.86, 0.70), (0.62, 0.95), (0.28, 0.98), (0.08, 0.84)),
    ),
)  # fmt: skip
_FOUR: Sequence[Hand] = (
    (straight((0.26, 0.02), (0.14, 0.56), (0.88, 0.54)), straight((0.72, 0.0), (0.66, 1.0))),
    (straight((0.64, 1.0), (0.66, 0.0), (0.10, 0.66), (0.90, 0.66)),),
    (
        smooth((0.20, 0.04), (0.14, 0.34), (0.26, 0.52), (0.54, 0.52), (0.76, 0.40)),
        straight((0.80, 0.02), (0.76, 0.40), (0.66, 1.0)),
    ),
    (
        smooth((0.70, 0.06), (0.40, 0.34), (0.14, 0.62), (0.40, 0.64), (0.88, 0.58)),
        straight((0.70, 0.06), (0.58, 1.0)),
    ),
)
_FIVE: Sequence[Hand] = (
    (
        straight((0.80, 0.02), (0.28, 0.04), (0.24, 0.44)),
        smooth((0.24, 0.44), (0.54, 0.38), (0.80, 0.58), (0.74, 0.86), (0.46, 1.0), (0.14, 0.90)),
    ),
    (
        smooth(
            (0.82, 0.04),
            (0.50, 0.04),
            (0.30, 0.16),
            (0.32, 0.38),
            (0.60, 0.52),
            (0.70, 0.74),
            (0.52, 0.96),
            (0.16, 0.94),
        ),
    ),
    (
        straight((0.34, 0.04), (0.24, 0.42)),
        smooth((0.24, 0.42), (0.52, 0.40), (0.72, 0.60), (0.66, 0.88), (0.40, 1.0), (0.14, 0.92)),
        straight((0.34, 0.04), (0.90, 0.0)),
    ),
    (
        straight((0.88, 0.0), (0.40, 0.06), (0.28, 0.46)),
        smooth((0.28, 0.46), (0.60, 0.44), (0.70, 0.70), (0.48, 0.94), (0.10, 1.0)),
    ),
)
_SIX: Sequence[Hand] = (
    (
        smooth(
            (0.70, 0.02), (0.40, 0.20), (0.20, 0.56), (0.24, 0.88), (0.50, 1.0), (0.76, 0.84),
            (0.72, 0.60), (0.48, 0.54), (0.24, 0.72),
        ),
    ),
    (
        smooth(
            (0.50, 0.0), (0.32, 0.30), (0.24, 0.66), (0.34, 0.96), (0.62, 0.98), (0.74, 0.76),
            (0.58, 0.58), (0.36, 0.66), (0.27, 0.84),
        ),
    ),
    (
        smooth(
            (0.80, 0.10), (0.56, 0.0), (0.26, 0.24), (0.12, 0.62), (0.28, 0.94), (0.60, 0.98),
            (0.82, 0.78), (0.70, 0.54), (0.42, 0.52), (0.16, 0.72),
        ),
    ),
    (
        straight((0.62, 0.0), (0.26, 0.58)),
        arc(0.50, 0.73, 0.52, 0.54, (-70, 300)),
    ),
)  # fmt: skip
_SEVEN: Sequence[Hand] = (
    (straight((0.12, 0.04), (0.84, 0.04), (0.42, 1.0)),),
    (straight((0.12, 0.04), (0.84, 0.04), (0.42, 1.0)), straight((0.34, 0.52), (0.84, 0.48))),
    (straight((0.14, 0.20), (0.16, 0.04), (0.82, 0.02), (0.46, 1.0)),),
    (
        smooth((0.10, 0.14), (0.28, 0.06), (0.56, 0.08), (0.84, 0.02)),
        smooth((0.84, 0.02), (0.62, 0.36), (0.50, 0.68), (0.46, 1.0)),
    ),
)
_EIGHT: Sequence[Hand] = (
    (arc(0.5, 0.24, 0.50, 0.48, (180, 540)), arc(0.5, 0.74, 0.62, 0.52, (0, 360))),
    (
        smooth(
            (0.72, 0.12), (0.48, 0.0), (0.24, 0.16), (0.38, 0.40), (0.64, 0.58), (0.76, 0.82),
            (0.50, 1.0), (0.24, 0.82), (0.40, 0.56), (0.66, 0.36), (0.72, 0.12),
        ),
    ),
    (
        smooth(
            (0.50, 0.46), (0.28, 0.26), (0.46, 0.02), (0.72, 0.14), (0.62, 0.38), (0.40, 0.54),
            (0.22, 0.78), (0.44, 1.0), (0.76, 0.88), (0.70, 0.62), (0.50, 0.46),
        ),
    ),
    (
        smooth(
            (0.78, 0.06), (0.46, 0.02), (0.26, 0.20), (0.44, 0.42), (0.66, 0.62), (0.68, 0.88),
            (0.44, 1.0), (0.28, 0.82), (0.46, 0.54), (0.72, 0.30), (0.84, 0.12),
        ),
    ),
)  # fmt: skip
_NINE: Sequence[Hand] = (
    (arc(0.46, 0.28, 0.54, 0.54, (80, 440)), straight((0.73, 0.20), (0.68, 1.0))),
    (
        smooth(
            (0.74, 0.20), (0.52, 0.02), (0.24, 0.16), (0.24, 0.42), (0.50, 0.50), (0.72, 0.30),
            (0.76, 0.14), (0.72, 0.54), (0.56, 1.0),
        ),
    ),
    (
        smooth(
            (0.74, 0.14), (0.48, 0.0), (0.22, 0.20), (0.28, 0.46), (0.54, 0.48), (0.76, 0.24),
        ),
        smooth((0.76, 0.20), (0.76, 0.60), (0.66, 0.92), (0.40, 1.0), (0.20, 0.90)),
    ),
    (
        smooth((0.68, 0.06), (0.36, 0.06), (0.16, 0.30), (0.34, 0.48), (0.64, 0.36), (0.80, 0.06)),
        straight((0.80, 0.06), (0.52, 1.0)),
    ),
)  # fmt: skip

HANDS: Final[tuple[Sequence[Hand], ...]] = (
    _ZERO, _ONE, _TWO, _THREE, _FOUR, _FIVE, _SIX, _SEVEN, _EIGHT, _NINE,
)  # fmt: skip
"""`HANDS[digit]` are the ways to write that digit."""
