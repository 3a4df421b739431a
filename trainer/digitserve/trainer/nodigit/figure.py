"""Pictures of no digit to take figures from: no network was trained on any, nor on their like.

Letters are printed, in fonts that come with Matplotlib; scribbles are the way of a pen that
wanders; two digits stand apart and whole; crosses and grids have no hand in them.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font

from digitserve.trainer.augment import SIDE, Inks, as_bytes, turned, warped
from digitserve.trainer.drawn import ink, shown
from digitserve.trainer.nodigit import Images, Kinds
from digitserve.trainer.strokes import Stroke

_LETTERS = "AEFHKMNRTWX"
_FONTS = (
    *("DejaVuSans.ttf", "DejaVuSans-*.ttf", "DejaVuSansMono*.ttf"),
    *("DejaVuSerif.ttf", "DejaVuSerif-*.ttf", "STIXGeneral*.ttf"),
    *("cmb10.ttf", "cmr10.ttf", "cmss10.ttf", "cmtt10.ttf"),
)
_BOX = 20  # pixels that a letter or a pair fills, as a digit does
_FINE = 8  # times finer, before it is averaged
_FORM = (SIDE, SIDE)


def _blank(count: int, _: Images, __: np.random.Generator) -> Images:
    """One level each, from paper to ink."""
    levels = np.linspace(0, 255, count) if count > 1 else np.zeros(count)
    return np.broadcast_to(np.rint(levels)[:, None, None], (count, *_FORM)).astype(np.uint8)


def _uniform(count: int, _: Images, rng: np.random.Generator) -> Images:
    return rng.integers(0, 256, (count, *_FORM), dtype=np.uint8)


def _gaussian(count: int, _: Images, rng: np.random.Generator) -> Images:
    sigma = rng.uniform(20, 100, (count, 1, 1))
    return as_bytes(((127 + sigma * rng.standard_normal((count, *_FORM))) / 255).astype(np.float32))


def _scribbles(count: int, _: Images, rng: np.random.Generator) -> Images:
    """A pen that wanders: its direction drifts, and the edges turn it back."""

    def way() -> Stroke:
        steps = int(rng.integers(90, 160))
        heading = np.cumsum(rng.normal(0, 0.45, steps)) + rng.uniform(0, 2 * np.pi)
        place = np.cumsum(0.07 * np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
        folded: Stroke = np.abs((place + rng.random(2)) % 2 - 1)
        return folded

    return np.stack([shown([way()], rng) for _ in range(count)])


def _crosses(count: int, _: Images, rng: np.random.Generator) -> Images:
    """From edge to edge of the box, evenly, upright or as a saltire."""

    def one() -> Images:
        lines, half = int(rng.integers(1, 5)), rng.uniform(8, 12)
        middle, thickness = 14 + rng.uniform(-1, 1, 2), rng.uniform(1.2, 3)
        at = np.linspace(-1, 1, lines) * (1 - 1.1 / lines) if lines > 1 else np.zeros(1)
        strokes = [np.array([[-1, place], [1, place]]) for place in at]
        strokes += [stroke[:, ::-1] for stroke in strokes]
        if lines == 1 and rng.random() < 0.5:
            strokes = [np.array([[-1, -1], [1, 1]]), np.array([[-1, 1], [1, -1]])]
        moved = [stroke * half + middle for stroke in strokes]
        return as_bytes(ink(moved, thickness, SIDE).astype(np.float32))

    return np.stack([one() for _ in range(count)])


def _two_digits(count: int, digits: Images, rng: np.random.Generator) -> Images:
    """Beside each other, both whole, made smaller until they fit one digit's box."""

    def one() -> Images:
        first, second = (_cut(digits[at]) for at in rng.integers(0, len(digits), 2))
        gap = np.zeros((SIDE, int(rng.integers(0, 4))), np.uint8)
        return _boxed(np.concatenate([first, gap, second], axis=1))

    return np.stack([one() for _ in range(count)])


def _halves(count: int, digits: Images, rng: np.random.Generator) -> Images:
    """One half of the picture painted over with paper, the other moved into the middle."""
    images = digits[rng.integers(0, len(digits), count)].copy()
    for image in images:
        upright, other = rng.random(2) < 0.5
        turn = image if upright else image.T
        turn[:14] = turn[14:] if other else turn[:14]
        turn[14:] = 0
        turn[:] = np.roll(turn, 7, axis=0)
    return images


def _letters(count: int, _: Images, rng: np.random.Generator) -> Images:
    """Printed, then turned by up to 8 degrees and made up to a tenth smaller or larger."""
    printed = _printed()
    chosen = printed[np.arange(count) % len(printed)]
    turn, size = rng.uniform((-8, 0.9), (8, 1.1), (count, 2)).astype(np.float32).T
    moved = rng.uniform(-1, 1, (count, 2)).astype(np.float32)
    return as_bytes(warped(chosen, turned(turn, size), moved))


@cache
def _printed() -> Inks:
    letters = [_glyph(path, letter) for path in _fonts() for letter in _LETTERS]
    return np.stack(letters).astype(np.float32) / np.float32(255)


def _fonts() -> Iterator[Path]:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for names in _FONTS:
        yield from sorted(folder.glob(names))


def _glyph(font: Path, letter: str) -> Images:
    face = FT2Font(str(font))
    face.set_size(2 * _BOX * _FINE, 72)
    face.set_text(letter)
    face.draw_glyphs_to_bitmap()
    return _boxed(np.asarray(face.get_image()))


def _cut(image: Images) -> Images:
    """The columns that have ink."""
    columns = np.flatnonzero(image.max(axis=0))
    return image[:, columns.min() : columns.max() + 1] if len(columns) else image


def _boxed(picture: Images) -> Images:
    """Fitted into the box and the box into the middle, averaged from a finer picture."""
    rows, columns = (np.flatnonzero(picture.max(axis=axis)) for axis in (1, 0))
    tight = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    side = _BOX * _FINE
    scale = max(tight.shape) / side
    pick = [
        np.minimum((np.arange(int(length / scale)) * scale).astype(int), length - 1)
        for length in tight.shape
    ]
    fine = np.zeros((side, side), np.float32)
    top, left = ((side - len(axis)) // 2 for axis in pick)
    fine[top : top + len(pick[0]), left : left + len(pick[1])] = tight[np.ix_(*pick)]
    small = fine.reshape(_BOX, _FINE, _BOX, _FINE).mean(axis=(1, 3))
    edge = (SIDE - _BOX) // 2
    return np.pad(np.rint(small).astype(np.uint8), edge)


KINDS: Final[Kinds] = MappingProxyType(
    {
        "blank": _blank,
        "uniform noise": _uniform,
        "Gaussian noise": _gaussian,
        "scribbles": _scribbles,
        "crosses and grids": _crosses,
        "two digits": _two_digits,
        "letters": _letters,
        "half digits": _halves,
    }
)
