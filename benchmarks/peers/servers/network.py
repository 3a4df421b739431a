"""The same compiled network for every peer: LiteRT, one image a call, one thread.

Runs in each peer's own environment: it may import NumPy and LiteRT, nothing else.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

MODEL = Path(__file__).parents[3] / "server/digitserve/server/bundled/1/model.tflite"


class Network:
    """The bundled network, at batch 1."""

    def __init__(self) -> None:
        self._interpreter = Interpreter(model_path=str(MODEL), num_threads=1)
        (before,) = self._interpreter.get_input_details()
        self._interpreter.resize_tensor_input(before["index"], [1, 28, 28])
        self._interpreter.allocate_tensors()
        (after,) = self._interpreter.get_output_details()
        self._input, self._output = before["index"], after["index"]

    def predict(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8[1, 28, 28] -> the probabilities, float32[1, 10]."""
        self._interpreter.set_tensor(self._input, image)
        self._interpreter.invoke()
        answer: npt.NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return answer
