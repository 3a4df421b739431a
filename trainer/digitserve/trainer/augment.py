"""Digits as other hands, pens and cameras would have made them.

    images ──▶ one warp (shift, turn, size, slant, waves) ──▶ stroke width ──▶ blur
           ──▶ ink and paper ──▶ noise ──▶ images

Only NumPy is known here, and whole batches: a picture at a time would take longer than the
training step that it is for.  The generator decides everything, so the same seed gives the
same pictures.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.networks import Style

Images = NDArray[np.uint8]
Inks = NDArray[np.floating]
"""`[n, 28, 28]`, 0 is paper, 1 is ink."""

SIDE: Final = 28
_KNOTS = 5  # waves are told at 5x5 places, and lie smoothly between


def augmented(images: Images, style: Style, rng: np.random.Generator) -> Images:
    """Other pictures of the same: `uint8[n, 28, 28]` in and out."""
    inks = warped(images.astype(np.float32) / np.float32(255), *_warp(len(images), style, rng))

    def some() -> NDArray[np.intp]:
        return np.flatnonzero(rng.random(len(images)) < style.camera)

    if len(chosen := some()):
        inks[chosen] = thickened(inks[chosen], _uniform(rng, -1, 1, len(chosen)))
    if len(chosen := some()):
        inks[chosen] = blurred(inks[chosen], _uniform(rng, 0.3, 1.3, len(chosen)))
    if len(chosen := some()):
        paper, ink = _uniform(rng, 0, 0.2, len(chosen)), _uniform(rng, 0.5, 1, len(chosen))
        inks[chosen] = paper + (ink - paper) * inks[chosen]
    if len(chosen := some()):
        inks[chosen] = noisy(inks[chosen], _uniform(rng, 0, 0.15, len(chosen)), rng)
    return as_bytes(inks)


def warped(inks: Inks, linear: Inks, shift: Inks, waves: Inks | None = None) -> Inks:
    """Move each picture's ink.

    Args:
        inks: the pictures.
        linear: `[n, 2, 2]`, from a place to where its ink was, rows first, about the middle.
        shift: `[n, 2]`, pixels down and to the right.
        waves: `[n, 2, 28, 28]`, pixels to look further down and to the right.
    """
    count, middle = len(inks), np.float32((SIDE - 1) / 2)
    axis = np.arange(SIDE, dtype=np.float32) - middle
    place = np.stack(np.meshgrid(axis, axis, indexing="ij")).reshape(2, -1)
    back = -np.einsum("nij,nj->ni", linear, shift) + middle
    source = (linear @ place + back[:, :, None]).reshape(count, 2, SIDE, SIDE)
    if waves is not None:
        source += waves
    # One pixel of paper around: whatever lies outside is read from there.
    edged = np.pad(inks, ((0, 0), (1, 2), (1, 2)))
    source = np.clip(source + 1, 0, SIDE + 1, out=source)
    whole = source.astype(np.int32)
    down, right = np.moveaxis(source - whole, 1, 0)
    width = SIDE + 3
    base = np.arange(count, dtype=np.int32)[:, None, None] * (width * width)
    index = base + whole[:, 0] * width + whole[:, 1]
    flat = edged.reshape(-1)
    upper = flat[index] * (1 - right) + flat[index + 1] * right
    lower = flat[index + width] * (1 - right) + flat[index + width + 1] * right
    result: Inks = upper + (lower - upper) * down
    return result


def turned(degrees: Inks, size: Inks, slant: Inks | float = 0.0) -> Inks:
    """The `linear` of `warped` for pictures turned clockwise, `size` times as large, slanted."""
    angle = np.radians(degrees)
    cos, sin, slant = np.cos(angle), np.sin(angle), np.broadcast_to(slant, angle.shape)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    lean = np.stack(
        [np.stack([np.ones_like(cos), 0 * cos], -1), np.stack([slant, 1 + 0 * cos], -1)], -2
    )
    linear: Inks = (turn @ lean / size[:, None, None]).astype(np.float32)
    return linear


def thickened(inks: Inks, by: Inks) -> Inks:
    """Strokes thicker (up to 1: a pixel on each side) or thinner (down to -1): one `by` each."""
    by = by.reshape(-1, 1, 1)
    edged = np.pad(inks, ((0, 0), (1, 1), (1, 1)))
    near = (edged[:, :-2, 1:-1], edged[:, 2:, 1:-1], edged[:, 1:-1, :-2], edged[:, 1:-1, 2:])
    thick, thin = inks.copy(), inks.copy()
    for neighbour in near:
        np.maximum(thick, neighbour, out=thick)
        np.minimum(thin, neighbour, out=thin)
    result: Inks = inks + np.abs(by) * (np.where(by > 0, thick, thin) - inks)
    return result


def blurred(inks: Inks, sigma: Inks) -> Inks:
    """Out of focus by a Gaussian of `sigma` pixels, one for each picture."""
    reach = np.arange(-3, 4, dtype=np.float32)
    weights = np.exp(-0.5 * (reach / sigma.reshape(-1, 1)) ** 2)
    weights /= weights.sum(axis=1, keepdims=True)
    for axis in (1, 2):
        edges = [(0, 0)] * 3
        edges[axis] = (3, 3)
        edged = np.moveaxis(np.pad(inks, edges, mode="edge"), axis, 1)
        blur = sum(weights[:, at, None, None] * edged[:, at : at + SIDE] for at in range(7))
        inks = np.moveaxis(np.asarray(blur), 1, axis)
    return inks


def noisy(inks: Inks, sigma: Inks, rng: np.random.Generator) -> Inks:
    """With Gaussian noise of `sigma`, one for each picture, in shares of full ink."""
    grain = rng.standard_normal(inks.shape, dtype=np.float32)
    result: Inks = inks + sigma.reshape(-1, 1, 1) * grain
    return result


def as_bytes(inks: Inks) -> Images:
    """0 for paper, 255 for ink; what is beyond is cut off."""
    return np.rint(255 * np.clip(inks, 0, 1)).astype(np.uint8)


def _warp(count: int, style: Style, rng: np.random.Generator) -> tuple[Inks, Inks, Inks]:
    linear = turned(
        _uniform(rng, -style.turn, style.turn, count).ravel(),
        (1 + style.size) ** _uniform(rng, -1, 1, count).ravel(),
        _uniform(rng, -style.slant, style.slant, count).ravel(),
    )
    # Seldom far: the sum of two, so that most digits are near the middle, where MNIST has them.
    shift = (style.shift / 2) * (rng.uniform(-1, 1, (count, 2)) + rng.uniform(-1, 1, (count, 2)))
    knots = rng.standard_normal((count, 2, _KNOTS, _KNOTS), dtype=np.float32)
    waves: Inks = np.float32(style.waves) * (_BEND @ knots @ _BEND.T)
    return linear, shift.astype(np.float32), waves


def _uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Inks:
    return rng.uniform(low, high, (count, 1, 1)).astype(np.float32)


def _bend() -> Inks:
    """`[28, knots]`: how much each knot counts at each pixel, a cosine wide."""
    at = np.linspace(0, _KNOTS - 1, SIDE)[:, None] - np.arange(_KNOTS)
    return (0.5 + 0.5 * np.cos(np.pi * np.clip(at, -1, 1))).astype(np.float32)


_BEND: Final = _bend()
