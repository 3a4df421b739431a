"""The Keras network on TensorFlow, for what cannot be compiled: the one module that imports it."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from digitserve.server.engines import OUTPUTS, Answer, EngineError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# Eigen sums in another order for another batch size, so every call has the same one: an answer must
# not depend on what it was batched with.
_BATCH = 32


class TensorFlowEngine:
    """Runs a `.keras` file that takes raw pixels [N, 28, 28] and gives float32[N, 10 or 11]."""

    name = "tensorflow"

    def __init__(self, path: Path) -> None:
        """Loads the file with Keras's safe mode on.

        Raises:
            EngineError: if TensorFlow is missing, or the file is no network of this form.
        """
        try:
            import keras  # noqa: PLC0415
            import tensorflow as tf  # noqa: PLC0415
        except ImportError as error:
            raise EngineError(
                "the engine `tensorflow` needs TensorFlow: pip install 'digitserve[trainer]'"
            ) from error
        try:
            model = keras.models.load_model(path, compile=False, safe_mode=True)
        except (ValueError, TypeError, OSError) as error:
            raise EngineError(f"{path.name} is no Keras network: {error}") from error
        forms = [(None, columns) for columns in OUTPUTS]
        if model.input_shape != (None, 28, 28) or model.output_shape not in forms:
            raise EngineError(
                f"{path.name}: expected input [N, 28, 28] and output [N, 10] or [N, 11], "
                f"got {model.input_shape} and {model.output_shape}"
            )
        signature = [tf.TensorSpec([_BATCH, 28, 28], tf.uint8)]
        # `model.predict` takes 78 ms a call, `model(x)` 4 ms, this 0.5 ms.
        self._run = tf.function(lambda images: model(images, training=False), signature)

    def predict(self, images: npt.NDArray[np.uint8]) -> Answer:
        """Classifies uint8[N, 28, 28]."""
        parts = []
        for start in range(0, len(images), _BATCH):
            part = images[start : start + _BATCH]
            padded = np.zeros((_BATCH, 28, 28), np.uint8)
            padded[: len(part)] = part
            parts.append(self._run(padded).numpy()[: len(part)])
        return Answer.of_output(np.concatenate(parts))
