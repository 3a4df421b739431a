"""The digits as a hand draws them: the strokes of each, in a unit square, from the left top."""

import math

Point = tuple[float, float]
Stroke = list[Point]


def arc(middle: Point, radii: Point, start: float, end: float) -> Stroke:
    """A part of an ellipse, in degrees clockwise from the right."""
    (x, y), (wide, high) = middle, radii
    steps = 32
    angles = [math.radians(start + (end - start) * at / steps) for at in range(steps + 1)]
    return [(x + wide * math.cos(angle), y + high * math.sin(angle)) for angle in angles]


STROKES: dict[int, list[Stroke]] = {
    0: [arc((0.5, 0.5), (0.19, 0.28), -90, 270)],
    1: [[(0.5, 0.22), (0.5, 0.78)]],
    2: [[*arc((0.48, 0.38), (0.17, 0.16), -170, 40), (0.34, 0.76), (0.7, 0.75)]],
    3: [[*arc((0.47, 0.36), (0.17, 0.14), -150, 90), *arc((0.47, 0.64), (0.19, 0.15), -90, 150)]],
    4: [
        [(0.4, 0.22), (0.33, 0.52), (0.68, 0.5)],
        [(0.62, 0.26), (0.58, 0.8)],
    ],
    5: [
        [
            (0.66, 0.23),
            (0.4, 0.24),
            (0.37, 0.46),
            *arc((0.47, 0.61), (0.19, 0.16), -110, 140),
        ]
    ],
    6: [[(0.58, 0.2), (0.42, 0.4), *arc((0.5, 0.63), (0.15, 0.15), 180, -180)]],
    7: [[(0.32, 0.25), (0.68, 0.25), (0.46, 0.8)]],
    8: [
        [
            *arc((0.5, 0.36), (0.14, 0.13), 90, -270),
            *arc((0.5, 0.64), (0.17, 0.15), -90, 270),
        ]
    ],
    9: [[*arc((0.49, 0.38), (0.15, 0.15), 0, -360), (0.62, 0.55), (0.58, 0.8)]],
}

# A four whose top is nearly closed: the model wavers between four and nine.
UNSURE: list[Stroke] = [
    [(0.38, 0.24), (0.34, 0.42), (0.4, 0.52), (0.6, 0.5)],
    [(0.62, 0.24), (0.6, 0.8)],
    [(0.36, 0.25), (0.465, 0.24)],
]
