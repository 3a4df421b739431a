"""Bundles that no server should let answer: made on purpose, each wrong in its own way."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from support.mnist import find_mnist

_IMAGES = 10_000


def made(folder: Path, good: Path) -> dict[str, tuple[Path, str]]:
    """Makes them in `folder`, from a good bundle and from scratch.

    Returns:
        For each kind, the bundle and what its refusal must say.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return {
        "truncated": (_copy(good, folder / "truncated", _truncate), "bytes, got 1000"),
        "wrong checksum": (_copy(good, folder / "checksum", _flip), "expected SHA-256"),
        "labels shuffled": (_shuffled(folder / "shuffled"), "of the gate set's 500 digits right"),
        "slow": (_slow(folder / "slow", good), "microseconds, expected at most 500"),
        "another shape": (_of_another_shape(folder / "shape"), "expected input uint8[N, 28, 28]"),
    }


def _copy(good: Path, bundle: Path, harm: Callable[[Path], object]) -> Path:
    shutil.copytree(good, bundle)
    harm(bundle / "model.tflite")
    return bundle


def _truncate(network: Path) -> None:
    network.write_bytes(network.read_bytes()[:1000])


def _flip(network: Path) -> None:
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 1
    network.write_bytes(content)


def _shuffled(bundle: Path) -> Path:
    """Trained as the notebook's is, on labels that somebody had dropped."""
    from digitserve.trainer.dataset import load  # noqa: PLC0415  (TensorFlow)
    from digitserve.trainer.networks import RECIPES  # noqa: PLC0415

    data = load(find_mnist())
    images, labels = data.train_images[:_IMAGES], data.train_labels[:_IMAGES]
    model = RECIPES["mlp"].build()
    model.fit(images, np.random.default_rng(0).permutation(labels), verbose=0)
    return _bundle(bundle, model)


def _slow(bundle: Path, good: Path) -> Path:
    """Answers as the good one does, after much that comes to nothing."""
    from digitserve.trainer.backend import keras  # noqa: PLC0415

    model = keras.models.load_model(good / "epic_num_reader.keras")
    pixels = keras.Input((28, 28))
    idle = keras.layers.Flatten()(pixels)
    for _ in range(3):
        idle = keras.layers.Dense(3000, activation="tanh")(idle)
    nothing = keras.layers.Dense(10, kernel_initializer="zeros")(idle)
    return _bundle(bundle, keras.Model(pixels, keras.layers.Add()([model(pixels), nothing])))


def _of_another_shape(bundle: Path) -> Path:
    """Wants 32x32 pixels, whatever its manifest says."""
    from digitserve.trainer.backend import keras  # noqa: PLC0415

    model = keras.Sequential(
        [
            keras.Input((32, 32)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    return _bundle(bundle, model, side=32)


def _bundle(target: Path, model: Any, side: int = 28) -> Path:
    """Packs a network as the trainer does, without asking it whether it reads digits."""
    from digitserve.trainer import bundle, training  # noqa: PLC0415
    from digitserve.trainer.backend import keras  # noqa: PLC0415
    from digitserve.trainer.golden import golden_answers  # noqa: PLC0415
    from digitserve.trainer.quiet import hushed  # noqa: PLC0415

    pixels = keras.Input((side, side), dtype="uint8")
    taking_bytes = keras.Model(pixels, model(keras.ops.cast(pixels, "float32")))
    with bundle.new_bundle(target) as folder:
        model.save(folder / bundle.KERAS)
        with hushed():
            taking_bytes.export(folder / bundle.COMPILED, format="litert", verbose=False)
        golden = (
            [] if side != 28 else golden_answers(lambda digits: training.predict(model, digits))
        )
        bundle.write_manifest(folder, description="wrong on purpose", golden_answers=golden)
    return target
