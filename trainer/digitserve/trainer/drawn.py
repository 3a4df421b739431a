"""Digits of the project's own making, drawn as MNIST would show them.

    strokes ──▶ slant, width, turn, waves ──▶ 20x20 box ──▶ centre of mass in the middle ──▶ ink

Only NumPy is known here.  The same seed draws the same digits on every machine with the
same NumPy (to the last bit of its sines), so that a sample can be drawn again.

`python -m digitserve.trainer.drawn OUT_DIR` writes the project's samples, and with a name that
ends in `.npz` the server's gate set; see `samples.py` and `gate.py`.
"""

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.strokes import HANDS, Hand, Stroke

SIDE = 28
_BOX = 20.0  # MNIST: a digit fills a box of 20x20 pixels …
_MIDDLE = 14.5  # … and its centre of mass is the middle of pixel (14, 14)

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]


def hands(digit: int) -> int:
    """How many ways to write `digit` there are."""
    return len(HANDS[digit])


def draw(digit: int, hand: int, rng: np.random.Generator) -> Images:
    """Draw one digit, `uint8[28, 28]`: 0 is paper, 255 is ink.

    Args:
        digit: 0 to 9.
        hand: which way to write it; see `hands`.
        rng: decides slant, width, turn, waves, size and thickness.
    """
    return shown(written(HANDS[digit][hand], rng), rng)


def shown(strokes: list[Stroke], rng: np.random.Generator) -> Images:
    """Show what was written as MNIST shows a digit, `uint8[28, 28]`: its box, its middle.

    Args:
        strokes: in any box.
        rng: decides size and thickness.
    """
    thickness = rng.uniform(1.8, 3.0)
    strokes = _fitted(strokes, _BOX * rng.uniform(0.92, 1.0) - thickness)
    strokes = _moved(strokes, _MIDDLE - _centre_of_length(strokes))
    strokes = _moved(strokes, _MIDDLE - _centre_of_mass(ink(strokes, thickness, SIDE)))
    return np.rint(255 * ink(strokes, thickness, SIDE)).astype(np.uint8)


def drawn_digits(count_per_digit: int, seed: int) -> tuple[Images, Labels]:
    """Draw `count_per_digit` of each digit, the hands in turn.

    Returns:
        Images `uint8[10 * count_per_digit, 28, 28]` and their labels, 0 to 9 in turn.
    """
    rng = np.random.default_rng(seed)
    images = [
        draw(digit, turn % hands(digit), rng)
        for turn in range(count_per_digit)
        for digit in range(10)
    ]
    labels = np.tile(np.arange(10, dtype=np.uint8), count_per_digit)
    return np.stack(images) if images else np.zeros((0, SIDE, SIDE), np.uint8), labels


def written(hand: Hand, rng: np.random.Generator) -> list[Stroke]:
    """What a hand writes this time: no two sevens of a person are the same."""
    turn = rng.normal(0, 0.05)
    slant = rng.normal(0.10, 0.12)
    width = rng.uniform(0.85, 1.10)
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shear = np.array([[width, -slant], [0.0, 1.0]])
    change = rotate @ shear
    # The paper is bent by slow waves, not the points by noise: strokes that meet still meet.
    height, phase = rng.normal(0, 0.018, 2), rng.uniform(0, 2 * np.pi, 2)
    length = rng.uniform(4, 7, 2)
    bent = [stroke + height * np.sin(length * stroke[:, ::-1] + phase) for stroke in hand]
    return [stroke @ change.T for stroke in bent]


def ink(strokes: list[Stroke], thickness: float, side: int) -> NDArray[np.float64]:
    """Share of ink in each pixel of a picture of `side`x`side`, 0 to 1.

    A pixel is as dark as the pen's edge is far inside it: the distance from its middle to the
    nearest stroke decides, which is anti-aliasing to half a pixel.
    """
    start_x, start_y = np.vstack([stroke[:-1] for stroke in strokes]).T
    way_x, way_y = np.vstack([np.diff(stroke, axis=0) for stroke in strokes]).T
    y, x = (axis.reshape(-1, 1) + 0.5 for axis in np.mgrid[:side, :side])
    off_x, off_y = x - start_x, y - start_y
    along = (off_x * way_x + off_y * way_y) / np.maximum(way_x**2 + way_y**2, 1e-12)
    along = np.clip(along, 0, 1)
    square = (off_x - along * way_x) ** 2 + (off_y - along * way_y) ** 2
    distance = np.sqrt(square.min(axis=1))
    covered: NDArray[np.float64] = np.clip(thickness / 2 + 0.5 - distance, 0, 1)
    return covered.reshape(side, side)


def _fitted(strokes: list[Stroke], size: float) -> list[Stroke]:
    points = np.vstack(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = size / (high - low).max()
    return [(stroke - low) * scale for stroke in strokes]


def _centre_of_mass(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    return np.array([(picture * axis).sum() / picture.sum() for axis in (x, y)])


def _centre_of_length(strokes: list[Stroke]) -> NDArray[np.float64]:
    middle = np.vstack([(stroke[:-1] + stroke[1:]) / 2 for stroke in strokes])
    length = np.hypot(*np.vstack([np.diff(stroke, axis=0) for stroke in strokes]).T)
    return np.array([(axis * length).sum() / length.sum() for axis in middle.T])


def _moved(strokes: list[Stroke], by: NDArray[np.float64]) -> list[Stroke]:
    return [stroke + by for stroke in strokes]


if __name__ == "__main__":
    import sys
    from pathlib import Path

    from digitserve.trainer.gate import write_gate
    from digitserve.trainer.samples import write_samples

    if len(sys.argv) != 2:
        sys.exit("usage: python -m digitserve.trainer.drawn OUT_DIR|GATE.npz")
    out = Path(sys.argv[1])
    (write_gate if out.suffix == ".npz" else write_samples)(out)
