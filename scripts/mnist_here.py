"""MNIST, without which some promises cannot be measured."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from proving import Shortfall
from support.mnist import find_mnist, read_test_set


def mnist() -> Path:
    """Its folder, or an `.npz`; a promise falls short without."""
    found = find_mnist()
    if found is None:
        raise Shortfall("no MNIST: name its folder or .npz in DIGITSERVE_MNIST")
    return found.resolve()


def test_set() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Its 10,000 test images and their labels."""
    return read_test_set(mnist())
