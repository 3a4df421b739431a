"""Ways to run a network: what they all promise.

An engine knows neither gRPC nor asyncio, and is called by one thread at a time.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

DIGITS = 10
OUTPUTS = (DIGITS, DIGITS + 1)


class Answer(NamedTuple):
    """What a network says of N images.

    Attributes:
        probabilities: float32[N, 10], of the digits 0 to 9; each row sums to 1 within 1e-5.
        rejection: float32[N], 0 = surely a digit, 1 = surely none.  None of a network that knows
            digits only: then it is 1 - the highest probability.
    """

    probabilities: npt.NDArray[np.float32]
    rejection: npt.NDArray[np.float32] | None = None

    def of(self, images: slice) -> "Answer":
        """The answer of some of the images."""
        rejection = None if self.rejection is None else self.rejection[images]
        return Answer(self.probabilities[images], rejection)

    @staticmethod
    def of_output(output: npt.NDArray[np.float32]) -> "Answer":
        """Reads what a network gives: float32[N, 10], or [N, 11] with the rejection last."""
        if output.shape[1] == DIGITS:
            return Answer(output)
        return Answer(output[:, :DIGITS], output[:, DIGITS])

    @staticmethod
    def joined(parts: "Sequence[Answer]") -> "Answer":
        """The answer of several batches, one after the other."""
        if len(parts) == 1:
            return parts[0]
        probabilities, rejection = zip(*parts, strict=True)
        known = None if rejection[0] is None else np.concatenate(rejection)
        return Answer(np.concatenate(probabilities), known)


class Engine(Protocol):
    """Runs one network."""

    name: str

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        """Classifies uint8[N, 28, 28], 0 = paper, 255 = ink, N >= 1.

        The answer of an image does not depend on the others, to the bit.
        """
        ...


class EngineError(Exception):
    """The file is no network that this engine can run; says which and why."""


def open_engine(
    name: str, compiled: Path, keras: Path, largest: int, pause_s: float = 0.0
) -> Engine:
    """Opens the engine of this name; imports only what it needs.

    Args:
        name: `litert` or `tensorflow`.
        compiled: the bundle's compiled network.
        keras: the bundle's Keras network.
        largest: the most images that `predict` will be given.
        pause_s: seconds that are left to others now and then.
    """
    if name == "litert":
        from digitserve.server.engines.litert import LiteRTEngine  # noqa: PLC0415

        return LiteRTEngine(compiled, largest, pause_s)
    from digitserve.server.engines.tensorflow import TensorFlowEngine  # noqa: PLC0415

    return TensorFlowEngine(keras)


ENGINES = ("litert", "tensorflow")
