"""The images that every server is asked, and what raw LiteRT says of them."""

import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.peers.peer import ROOT
from benchmarks.peers.servers.network import Network

sys.path.insert(0, str(ROOT / "tests"))
from support.mnist import find_mnist, read_test_set

COUNT = 200


@dataclass(frozen=True, slots=True)
class Question:
    """The images of a run.

    Attributes:
        source: where they are from.
        images: uint8[200, 28, 28].
        probabilities: float32[200, 10].
    """

    source: str
    images: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]


def ask_litert() -> Question:
    """The first images of MNIST's test set where there is one, else random ones."""
    if (found := find_mnist()) is not None:
        source, images = "MNIST test images", read_test_set(found)[0][:COUNT]
    else:
        source = "random images: no MNIST in DIGITSERVE_MNIST"
        images = np.random.default_rng(0).integers(0, 256, (COUNT, 28, 28), np.uint8)
    network = Network()
    answers = [network.predict(image[np.newaxis]) for image in images]
    return Question(source, images, np.concatenate(answers))
