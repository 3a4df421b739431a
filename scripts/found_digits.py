"""What a network reads of the digits that the finder finds on the synthetic camera."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from digitserve.client.camera.digits import mnist_digits
from digitserve.client.camera.score import Score, score
from digitserve.client.camera.synthetic import scene
from digitserve.server.engines.litert import LiteRTEngine
from mnist_here import mnist


def scored(network: Path, setting: str, seeds: int) -> Score:
    """How a compiled network does on the scenes of seeds 0, 1, … of a setting."""
    digits = mnist_digits(mnist())
    engine = LiteRTEngine(network, largest=32)

    def read(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.integer]:
        best: npt.NDArray[np.integer] = engine.predict(images).probabilities.argmax(axis=1)
        return best

    return score((scene(seed, digits, setting) for seed in range(seeds)), read)
