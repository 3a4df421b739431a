"""Engines that tests can hold, count and break."""

import threading

import numpy as np
import numpy.typing as npt

from digitserve.server.engines import Answer


class InkEngine:
    """Says the digit that the first pixel names, and remembers what it was asked."""

    name = "ink"

    def __init__(self) -> None:
        self.batches: list[int] = []

    @property
    def images(self) -> int:
        """How many images it was given."""
        return sum(self.batches)

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        self.batches.append(len(images))
        probabilities = np.full((len(images), 10), 0.01, np.float32)
        probabilities[np.arange(len(images)), images[:, 0, 0] % 10] = 0.91
        return Answer(probabilities)


class HeldEngine(InkEngine):
    """Does not answer until it is let go; to be run in a thread."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.go = threading.Event()

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        self.entered.set()
        assert self.go.wait(timeout=300)  # a busy machine may take long over what comes first
        return super().predict(images)


class BrokenEngine(InkEngine):
    """Raises for any batch with an image that begins with 255."""

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        if (images[:, 0, 0] == 255).any():
            raise RuntimeError("a secret that no caller may read")
        return super().predict(images)


def image_of(digit: int) -> bytes:
    """784 bytes that `InkEngine` reads as this digit."""
    return bytes([digit]) + bytes(783)
