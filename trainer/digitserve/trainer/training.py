"""Train a network, save it, and prove that what was saved is what was trained.

Everything random hangs on one seed, and TensorFlow is told to add in a fixed order, so the
same seed gives the same weights on the same machine.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer import course
from digitserve.trainer.backend import keras, tensorflow
from digitserve.trainer.calibration import Calibration
from digitserve.trainer.dataset import Dataset
from digitserve.trainer.errors import ModelError
from digitserve.trainer.networks import Model, Recipe

Probabilities = NDArray[np.float32]

_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")
_WINDOWS = 20  # points of the training curve in an epoch
_BATCH = 1000  # images a prediction takes at once: 3 MB as floats


@dataclass(slots=True)
class Curves:
    """How training went, by epoch: 0.5 is the middle of the first.

    `check` is what was looked at after each epoch and not learnt from: the test set, or what
    a course holds out.
    """

    checked: str = "test"
    epoch: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    check_loss: list[float] = field(default_factory=list)
    check_accuracy: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network and how it came to be."""

    model: Model
    recipe: Recipe
    seed: int
    epochs: int
    curves: Curves
    finished: datetime
    seconds: float
    packages: dict[str, str]
    calibration: Calibration | None = None


def train(
    recipe: Recipe, data: Dataset, *, seed: int = 0, epochs: int | None = None, verbose: int = 1
) -> Trained:
    """Train a recipe's network; `verbose=1` shows Keras's progress bar."""
    epochs = recipe.epochs if epochs is None else epochs
    keras.utils.set_random_seed(seed)
    tensorflow.config.experimental.enable_op_determinism()
    model = recipe.build()
    start = time.monotonic()
    if recipe.course is None:
        curves, calibration = Curves(), None
        _as_notebooks_do(model, data, epochs=epochs, verbose=verbose, curves=curves)
    else:
        curves = Curves(checked="held out")
        model, calibration = course.teach(
            model,
            course.prepare(data.train_images, data.train_labels, seed),
            recipe.course,
            seed=seed,
            epochs=epochs,
            verbose=verbose,
            callbacks=[_Recorder(curves)],
        )
    seconds = time.monotonic() - start
    return Trained(
        model=model,
        recipe=recipe,
        seed=seed,
        epochs=epochs,
        curves=curves,
        finished=datetime.now(UTC).replace(microsecond=0),
        seconds=seconds,
        packages={name: metadata.version(name) for name in _PACKAGES},
        calibration=calibration,
    )


def _as_notebooks_do(
    model: Model, data: Dataset, *, epochs: int, verbose: int, curves: Curves
) -> None:
    model.fit(
        data.train_images,
        data.train_labels,
        epochs=epochs,
        # Looked at for the curves, never used to choose anything: it stays unseen.
        validation_data=(data.test_images, data.test_labels),
        validation_batch_size=_BATCH,
        callbacks=[_Recorder(curves)],
        verbose=verbose,
    )


def predict(model: Model, images: NDArray[np.uint8]) -> Probabilities:
    """Ten probabilities for each image, and the rejection if known: `float32[n, 10 or 11]`."""
    return np.asarray(model.predict(images, batch_size=_BATCH, verbose=0), dtype=np.float32)


def save(model: Model, path: Path) -> None:
    """Save as a `.keras` archive, optimizer included, so that training can go on."""
    model.save(path)


def prove_saved(path: Path, images: NDArray[np.uint8], trained: Probabilities) -> float:
    """Load what was saved and ask it what the trained network was asked.

    Returns:
        The greatest difference of two probabilities: nought.

    Raises:
        ModelError: if it is not.
    """
    loaded = predict(keras.models.load_model(path), images)
    difference = float(np.abs(loaded - trained).max())
    if difference != 0 or not np.isfinite(trained).all():
        raise ModelError(
            f"{path}: expected the loaded network to answer as the trained one, "
            f"came probabilities that differ by {difference:.2g}"
        )
    return difference


class _Recorder(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Turns Keras's running means, which start anew each epoch, into a curve."""

    def __init__(self, curves: Curves) -> None:
        super().__init__()
        self._curves = curves
        self._epoch = 0
        self._before = (0, 0.0, 0.0)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._epoch = epoch
        self._before = (0, 0.0, 0.0)

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        steps, done = self.params["steps"], batch + 1
        if done * _WINDOWS // steps == batch * _WINDOWS // steps:  # the same window still
            return
        sums = (done, done * float(logs["loss"]), done * float(logs["accuracy"]))
        size, loss, accuracy = (now - then for now, then in zip(sums, self._before, strict=True))
        self._before = sums
        self._curves.epoch.append(self._epoch + (done - size / 2) / steps)
        self._curves.loss.append(loss / size)
        self._curves.accuracy.append(accuracy / size)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002
        self._curves.check_loss.append(float(logs["val_loss"]))
        self._curves.check_accuracy.append(float(logs["val_accuracy"]))
