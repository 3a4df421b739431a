"""A compiled network, asked as the server asks it: by LiteRT, without TensorFlow."""

import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.errors import ModelError
from digitserve.trainer.quiet import hushed

with hushed():
    from ai_edge_litert.interpreter import Interpreter

_BATCH = 1000


def predict(path: Path, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the compiled network at `path` says, `float32[n, 10]`, or 11 with the rejection."""
    interpreter = _opened(path)
    (given,), (told,) = interpreter.get_input_details(), interpreter.get_output_details()
    if given["dtype"] is not np.uint8 or told["dtype"] is not np.float32:
        raise ModelError(
            f"{path.name}: expected uint8 in and float32 out, "
            f"came {given['dtype'].__name__} and {told['dtype'].__name__}"
        )
    answers = []
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        interpreter.resize_tensor_input(given["index"], batch.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], batch)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(told["index"]))
    return np.concatenate(answers)


def microseconds(path: Path, images: NDArray[np.uint8]) -> float:
    """The median time that one image takes, asked one by one, on one thread."""
    interpreter = _opened(path)
    (given,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(given["index"], (1, *images.shape[1:]))
    interpreter.allocate_tensors()
    times = []
    for image in images:
        interpreter.set_tensor(given["index"], image[None])
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def _opened(path: Path) -> Interpreter:
    with hushed():  # it tells of its delegate
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    return interpreter
