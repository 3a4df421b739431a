"""The project's samples: digits to try the client with, none of them MNIST's.

    <folder>/digits/0.png …   pictures as a camera might give them: 200x200, dark ink on light
                              paper, not in the middle, each by another hand
             digits.npy       uint8[50, 28, 28], as a network wants them
             labels.npy       uint8[50]
             7.pgm            one of them alone: 28x28, 0 is paper

`python -m digitserve.trainer.drawn OUT_DIR` writes them, the same bytes every time.
"""

import io
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.drawn import SIDE, drawn_digits, ink, written
from digitserve.trainer.strokes import HANDS

_SEED = 7
_PICTURE = 200  # pixels
_INKS: Final = ((24, 32, 44), (28, 52, 120), (58, 58, 62), (92, 30, 38))  # red, green, blue
_PAPERS: Final = ((250, 249, 245), (243, 244, 246), (246, 240, 226))


def write_samples(folder: Path) -> None:
    """Write all samples into `folder`."""
    (folder / "digits").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(_SEED)
    for digit in range(10):
        for turn, end in enumerate(("", "b")):
            picture = _photographed(digit, (digit + 2 * turn) % len(HANDS[digit]), rng)
            _write_png(folder / "digits" / f"{digit}{end}.png", picture)
    images, labels = drawn_digits(5, _SEED)
    np.save(folder / "digits.npy", images)
    np.save(folder / "labels.npy", labels)
    seven = images[int(np.flatnonzero(labels == 7)[0])]
    (folder / "7.pgm").write_bytes(b"P5\n%d %d\n255\n" % (SIDE, SIDE) + seven.tobytes())


def _photographed(digit: int, hand: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    strokes = written(HANDS[digit][hand], rng)
    points = np.vstack(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = rng.uniform(95, 135) / (high - low).max()
    free = _PICTURE - (high - low) * scale
    corner = free * rng.uniform(0.32, 0.68, 2)  # nobody writes in the very middle
    placed = [(stroke - low) * scale + corner for stroke in strokes]
    covered = ink(placed, rng.uniform(9, 15), _PICTURE)[..., None]
    # Light falls from one side.
    y, x = np.mgrid[:_PICTURE, :_PICTURE] / _PICTURE
    light = 1 - 0.10 * np.abs(rng.uniform() - (x + y) / 2)[..., None]
    paper = np.array(_PAPERS[rng.integers(len(_PAPERS))]) * light
    pen = np.array(_INKS[rng.integers(len(_INKS))])
    picture: NDArray[np.uint8] = np.rint(paper * (1 - covered) + pen * covered).astype(np.uint8)
    return picture


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    from PIL import Image  # noqa: PLC0415  (of the extra `cli`, and needed nowhere else here)

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="PNG", optimize=True)
    path.write_bytes(stream.getvalue())
