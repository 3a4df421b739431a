"""What the camera's tests share; without OpenCV they skip themselves, saying so."""

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from digitserve.server.engines.litert import LiteRTEngine

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "server/digitserve/server/bundled/1/model.tflite"

if os.environ.get("CI") == "true" and find_spec("cv2") is None:
    raise pytest.UsageError("CI needs OpenCV: install `digitserve[camera]`")


class Reader:
    """The bundled model, in this process."""

    def __init__(self) -> None:
        self._engine = LiteRTEngine(MODEL, largest=64)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.integer]:
        """uint8[N, 28, 28] -> N digits."""
        best: NDArray[np.integer] = self._engine.predict(images).probabilities.argmax(axis=1)
        return best


@pytest.fixture(scope="session")
def read() -> Reader:
    """Reads digits as the server would."""
    return Reader()
