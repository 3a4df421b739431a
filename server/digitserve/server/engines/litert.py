"""The compiled network on LiteRT (XNNPACK): no TensorFlow in the process.

An interpreter is bound to one batch size, and resizing it costs more than running it.  So there is
one for each power of two up to the largest, and a batch is cut into those: 13 images are 8 + 4 + 1.
XNNPACK sums each image in the same order whatever the batch, so answers agree to the bit.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from digitserve.server.engines import OUTPUTS, Answer, EngineError

_INPUT = ([(28, 28)], np.uint8)
_OUTPUT = ([(columns,) for columns in OUTPUTS], np.float32)


class LiteRTEngine:
    """Runs a `.tflite` file: uint8[N, 28, 28] -> float32[N, 10], or [N, 11] with a rejection."""

    name = "litert"

    def __init__(self, path: Path, largest: int, pause_s: float = 0.0) -> None:
        """Reads the file and makes the interpreters.

        Args:
            path: the `.tflite` file.
            largest: the batch size of the largest interpreter; a power of two.
            pause_s: seconds that are left to others before each interpreter is made.

        Raises:
            EngineError: if it is no network, or one of another form.
        """
        content = path.read_bytes()
        sizes = [1 << power for power in reversed(range(largest.bit_length()))]
        self._of_size: dict[int, _Interpreter] = {}
        for size in sizes:
            if pause_s:  # one of nothing takes 70 us
                time.sleep(pause_s)
            self._of_size[size] = _Interpreter(path, content, size)

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        """Classifies uint8[N, 28, 28]."""
        exact = self._of_size.get(len(images))
        if exact is not None:
            return exact.run(images)
        done, parts = 0, []
        for size, interpreter in self._of_size.items():  # the largest first
            while len(images) - done >= size:
                parts.append(interpreter.run(images[done : done + size]))
                done += size
        return Answer.joined(parts)


class _Interpreter:
    """One interpreter, bound to one batch size."""

    def __init__(self, path: Path, content: bytes, size: int) -> None:
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=1)
        except ValueError as error:
            raise EngineError(f"{path.name} is no LiteRT network: {error}") from error
        (before,) = self._interpreter.get_input_details()
        _check_form(path, "input", before, _INPUT)
        self._interpreter.resize_tensor_input(before["index"], [size, 28, 28])
        self._interpreter.allocate_tensors()
        (after,) = self._interpreter.get_output_details()
        _check_form(path, "output", after, _OUTPUT)
        self._input, self._output = before["index"], after["index"]

    def run(self, images: npt.NDArray[np.uint8]) -> Answer:
        """Classifies uint8[size, 28, 28]."""
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        return Answer.of_output(self._interpreter.get_tensor(self._output))


def _check_form(
    path: Path, what: str, tensor: dict[str, Any], expected: tuple[list[Any], type]
) -> None:
    shape, dtype = tuple(int(length) for length in tensor["shape"][1:]), tensor["dtype"]
    shapes, expected_dtype = expected
    if shape not in shapes or dtype != expected_dtype:
        named = " or ".join(f"[N, {_axes(each)}]" for each in shapes)
        raise EngineError(
            f"{path.name}: expected {what} {expected_dtype.__name__}{named}, "
            f"got {dtype.__name__}[N, {_axes(shape)}]"
        )


def _axes(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
