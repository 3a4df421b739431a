"""Pictures of no digit to train on: written, cut and mixed.

Letters, crosses and scribbles are strokes of a pen; two digits lie over each other's edges;
half digits leave the picture.  Each still goes through `augment.py`, as digits do, or else
the network would learn to tell a camera's picture from a clean one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from digitserve.trainer.augment import SIDE, Inks, as_bytes, blurred, warped
from digitserve.trainer.drawn import shown, written
from digitserve.trainer.nodigit import Images, Maker
from digitserve.trainer.nodigit.letters import LETTERS
from digitserve.trainer.strokes import Hand, smooth, straight

_FORM = (SIDE, SIDE)


def pictures(count: int, digits: Images, rng: np.random.Generator) -> Images:
    """About `count` pictures of no digit, each kind as often as it is hard, in any order.

    Args:
        count: how many, `uint8[count, 28, 28]`.
        digits: digits to cut and to mix; those of the training set.
        rng: decides all.
    """
    hard = np.array([share for share, _ in _KINDS.values()])
    counts = np.floor(np.cumsum(hard / hard.sum()) * count + 0.5).astype(int)
    counts = np.diff(counts, prepend=0)
    made = [
        maker(each, digits, rng)
        for each, (_, maker) in zip(counts.tolist(), _KINDS.values(), strict=True)
        if each
    ]
    return rng.permutation(np.concatenate(made))


def _blank(count: int, _: Images, rng: np.random.Generator) -> Images:
    level = rng.uniform(0, 1, (count, 1, 1)) ** 2
    slope = rng.normal(0, 0.05, (2, count, 1, 1))
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    return as_bytes((level + slope[0] * y + slope[1] * x).astype(np.float32))


def _uniform(count: int, _: Images, rng: np.random.Generator) -> Images:
    low, high = np.sort(rng.uniform(0, 1, (2, count, 1, 1)), axis=0)
    return as_bytes((low + (high - low) * rng.random((count, *_FORM))).astype(np.float32))


def _gaussian(count: int, _: Images, rng: np.random.Generator) -> Images:
    grain = rng.standard_normal((count, *_FORM), dtype=np.float32)
    grain = blurred(grain, rng.uniform(0.1, 1.5, (count, 1, 1)).astype(np.float32))
    grain /= grain.std(axis=(1, 2), keepdims=True)
    level, sigma = rng.uniform((-0.5, 0.1), (0.8, 0.6), (count, 2)).T[:, :, None, None]
    return as_bytes((level + sigma * grain).astype(np.float32))


def _scribbles(count: int, _: Images, rng: np.random.Generator) -> Images:
    def scribble() -> Hand:
        return tuple(
            smooth(*map(tuple, rng.random((rng.integers(6, 14), 2))))
            for _ in range(rng.integers(1, 3))
        )

    return np.stack([shown(written(scribble(), rng), rng) for _ in range(count)])


def _crosses(count: int, _: Images, rng: np.random.Generator) -> Images:
    def lines() -> Hand:
        down, across = rng.integers(1, 5, 2)
        at, reach = _apart(down, rng), _apart(across, rng)
        hand = [straight((x, 0), (x + rng.normal(0, 0.04), 1)) for x in at]
        hand += [straight((0, y), (1, y + rng.normal(0, 0.04))) for y in reach]
        turn = rng.uniform(0, np.pi / 2) * (rng.random() < 0.5)
        change = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return tuple(stroke @ change for stroke in hand)

    return np.stack([shown(written(lines(), rng), rng) for _ in range(count)])


def _apart(count: int, rng: np.random.Generator) -> list[float]:
    """Places of so many lines: one about the middle, more from edge to edge."""
    if count == 1:
        return [float(rng.uniform(0.35, 0.65))]
    inset = rng.uniform(0, 0.3)
    return [float(place) for place in np.linspace(inset, 1 - inset, count)]


def _two_digits(count: int, digits: Images, rng: np.random.Generator) -> Images:
    def beside(side: int) -> Inks:
        width, height = rng.uniform((0.4, 0.55), (0.75, 1.0), (count, 2)).T
        linear = np.zeros((count, 2, 2), np.float32)
        linear[:, 0, 0], linear[:, 1, 1] = 1 / height, 1 / width
        shift = np.stack([rng.normal(0, 1, count), side * rng.uniform(4.5, 8, count)], axis=1)
        chosen = digits[rng.integers(0, len(digits), count)]
        return warped(_inks(chosen), linear, shift.astype(np.float32))

    return as_bytes(np.maximum(beside(-1), beside(1)))


def _halves(count: int, digits: Images, rng: np.random.Generator) -> Images:
    """Out of the picture by half: the edge cuts through the ink."""
    chosen = digits[rng.integers(0, len(digits), count)]
    axis, side = rng.integers(0, 2, count), rng.choice((-1, 1), count)
    shift = rng.normal(0, 1, (count, 2))
    shift[np.arange(count), axis] += side * rng.uniform(11, 15, count)
    straight_on = np.broadcast_to(np.eye(2, dtype=np.float32), (count, 2, 2))
    return as_bytes(warped(_inks(chosen), straight_on, shift.astype(np.float32)))


def _letters(count: int, _: Images, rng: np.random.Generator) -> Images:
    hands = [hand for letter in LETTERS.values() for hand in letter]
    return np.stack([shown(written(hands[at % len(hands)], rng), rng) for at in range(count)])


def _inks(images: Images) -> Inks:
    return images.astype(np.float32) / np.float32(255)


_KINDS: Final[Mapping[str, tuple[int, Maker]]] = MappingProxyType(
    {
        "blank": (1, _blank),
        "uniform noise": (1, _uniform),
        "Gaussian noise": (2, _gaussian),
        "scribbles": (4, _scribbles),
        "crosses and grids": (4, _crosses),
        "two digits": (5, _two_digits),
        "half digits": (2, _halves),
        "letters": (8, _letters),
    }
)
