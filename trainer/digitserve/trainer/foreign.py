"""A `.keras` file of unknown making, brought to the form that the project serves.

    [n, 28, 28], [n, 28, 28, 1] or [n, 784], 0..255 or 0..1  ──▶  [n, 28, 28], 0..255

The file may come from anybody, so it is looked at before it is believed, and loaded with
Keras's safe mode: a layer that carries Python code is refused, not run.
"""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.backend import keras
from digitserve.trainer.errors import ModelError, TrainerError, first_sentence
from digitserve.trainer.input_range import InputRange
from digitserve.trainer.networks import Model
from digitserve.trainer.quiet import hushed

_INPUTS = ((28, 28), (28, 28, 1), (784,))
_MEMBERS = frozenset({"config.json", "metadata.json", "model.weights.h5"})
_MAX_UNPACKED = 500_000_000  # bytes; a network for digits needs a thousandth


def load(path: Path) -> Model:
    """Load a `.keras` file and check its form."""
    _check_archive(path)
    try:
        with hushed():
            model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as refused:  # whatever a foreign archive makes Keras raise
        raise ModelError(
            f"{path}: expected a network that Keras can load safely: {first_sentence(refused)}"
        ) from refused
    _check_form(model, path)
    return model


def taking_raw_pixels(model: Model, wanted: InputRange) -> Model:
    """The same network as one that takes `[n, 28, 28]` of 0..255, as floats or bytes.

    A network that does so already is given back unchanged.
    """
    shape = tuple(model.input_shape[1:])
    if wanted is InputRange.BYTES and shape == (28, 28):
        return model
    pixels = flow = keras.Input((28, 28), name="pixels")
    if wanted is InputRange.UNIT:
        flow = keras.layers.Rescaling(1 / 255)(flow)
    if shape != (28, 28):
        flow = keras.layers.Reshape(shape)(flow)
    return keras.Model(pixels, model(flow), name="raw_pixels")


def check_probabilities(path: Path, answers: NDArray[np.float32]) -> None:
    """Refuse a network whose answers are not ten probabilities (and perhaps a rejection)."""
    sums = answers[:, :10].sum(axis=1)
    if not (
        np.isfinite(answers).all()
        and (answers >= 0).all()
        and (answers <= 1 + 1e-6).all()
        and np.allclose(sums, 1, atol=1e-3)
    ):
        raise ModelError(
            f"{path}: expected ten probabilities that add up to 1, came {answers.min():.3g} to "
            f"{answers.max():.3g} adding up to {sums[0]:.3g}: the softmax is missing"
        )


def _check_archive(path: Path) -> None:
    if not path.is_file():
        came = "something else" if path.exists() else "nothing"
        raise TrainerError(f"{path}: expected a .keras file, came {came}")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: member.file_size for member in archive.infolist()}
    except zipfile.BadZipFile as foreign:
        raise ModelError(
            f"{path}: expected a .keras archive, came no whole zip file: {foreign}"
        ) from foreign
    if missing := _MEMBERS - members.keys():
        raise ModelError(f"{path}: expected a .keras archive, came a zip without {min(missing)}")
    if (size := sum(members.values())) > _MAX_UNPACKED:
        raise ModelError(
            f"{path}: expected at most {_MAX_UNPACKED:,} bytes unpacked, came {size:,}"
        )


def _check_form(model: Model, path: Path) -> None:
    inputs = [tuple(tensor.shape) for tensor in model.inputs or ()]
    if len(inputs) != 1 or inputs[0] not in {(None, *shape) for shape in _INPUTS}:
        wanted = ", ".join(str([-1, *shape]) for shape in _INPUTS)
        raise ModelError(f"{path}: expected one input of {wanted}, came {_shapes(inputs)}")
    outputs = [tuple(tensor.shape) for tensor in model.outputs or ()]
    if outputs not in ([(None, 10)], [(None, 11)]):
        raise ModelError(
            f"{path}: expected one output of [-1, 10] or [-1, 11], came {_shapes(outputs)}"
        )


def _shapes(shapes: list[tuple[int | None, ...]]) -> str:
    told = ([-1 if length is None else length for length in shape] for shape in shapes)
    return " and ".join(map(str, told)) or "none"
