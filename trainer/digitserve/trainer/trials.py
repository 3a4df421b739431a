"""What a network is put through beside the test set as it is: changed digits, and no digits.

    test digits ──▶ shifted, turned, scaled, blurred, noisy, thick, thin ──▶ share read right
    pictures of no digit, kind by kind (`nodigit/figure.py`)             ──▶ share rejected

Both are drawn by seeds that training does not know.  Only NumPy is known here; the network
is whatever answers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.augment import (
    Images,
    Inks,
    as_bytes,
    blurred,
    noisy,
    thickened,
    turned,
    warped,
)
from digitserve.trainer.evaluation import Evaluation
from digitserve.trainer.nodigit import figure

Predict = Callable[[Images], NDArray[np.float32]]
Change = Callable[[Inks, np.random.Generator], Inks]

_SEED = 2_000_000_011
_OF_A_KIND: Final = 1000


@dataclass(frozen=True, slots=True)
class Share:
    """A share of some images, 0 to 1, and how many they were."""

    share: float
    images: int


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """All that the test set and the trials told of a network.

    Attributes:
        answers: of the test images, `float32[n, 10]`, or 11 with the rejection.
        found: how right they were.
        changed: the share read right for each way to change the test images.
        rejected: the share rejected of each kind that shows no digit; empty if it knows none.
    """

    answers: NDArray[np.float32]
    found: Evaluation
    changed: Mapping[str, Share]
    rejected: Mapping[str, Share]


def changed_digits(predict: Predict, images: Images, labels: NDArray[np.uint8]) -> dict[str, Share]:
    """The share read right for each way to change the images."""
    shares = {}
    for at, (name, change) in enumerate(CHANGES.items()):
        rng = np.random.default_rng((_SEED, at))
        inks = change(images.astype(np.float32) / np.float32(255), rng)
        right = predict(as_bytes(inks))[:, :10].argmax(axis=1) == labels
        shares[name] = Share(float(right.mean()), len(images))
    return shares


def rejected_pictures(predict: Predict, digits: Images, threshold: float) -> dict[str, Share]:
    """The share rejected of each kind of picture that shows no digit.

    Args:
        predict: the network; it must know of rejection.
        digits: digits to make some kinds of.
        threshold: the rejection from which a picture is rejected.
    """
    count = min(_OF_A_KIND, len(digits))
    shares = {}
    for at, (name, maker) in enumerate(figure.KINDS.items()):
        rng = np.random.default_rng((_SEED, at))
        rejections = predict(maker(count, digits, rng))[:, 10]
        shares[name] = Share(float(np.mean(rejections >= threshold)), count)
    return shares


def _moved(inks: Inks, rng: np.random.Generator) -> Inks:
    straight_on = np.broadcast_to(np.eye(2, dtype=np.float32), (len(inks), 2, 2))
    return warped(inks, straight_on, rng.uniform(-3, 3, (len(inks), 2)).astype(np.float32))


def _turned(inks: Inks, rng: np.random.Generator) -> Inks:
    degrees = rng.uniform(-20, 20, len(inks)).astype(np.float32)
    return warped(inks, turned(degrees, np.ones_like(degrees)), _nowhere(inks))


def _scaled(inks: Inks, rng: np.random.Generator) -> Inks:
    size = rng.uniform(0.8, 1.2, len(inks)).astype(np.float32)
    return warped(inks, turned(np.zeros_like(size), size), _nowhere(inks))


def _nowhere(inks: Inks) -> Inks:
    return np.zeros((len(inks), 2), np.float32)


def _each(inks: Inks, value: float) -> Inks:
    return np.full((len(inks), 1, 1), value, np.float32)


CHANGES: Final[Mapping[str, Change]] = MappingProxyType(
    {
        "shifted by up to 3 pixels": _moved,
        "turned by up to 20 degrees": _turned,
        "scaled to 0.8 to 1.2": _scaled,
        "blurred, sigma 1.2 pixels": lambda inks, _: blurred(inks, _each(inks, 1.2)),
        "noisy, sigma 0.2 of full ink": lambda inks, rng: noisy(inks, _each(inks, 0.2), rng),
        "thick, a pixel on each side": lambda inks, _: thickened(inks, _each(inks, 1)),
        "thin, 0.7 pixels less on each side": lambda inks, _: thickened(inks, _each(inks, -0.7)),
    }
)
