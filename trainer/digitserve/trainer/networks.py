"""The networks that can be trained: a table of recipes.

A recipe takes raw pixels 0..255 and scales them itself, so that a saved network cannot be
fed the wrong range by somebody who did not see how it was trained.  A new network is a
function and a row of `RECIPES`; it imports Keras when it builds, so that the table can be
read without waiting for TensorFlow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

Model = Any  # keras.Model; Keras has no types


@dataclass(frozen=True, slots=True)
class Style:
    """How far a picture may go from what it was: see `augment.py`.

    Attributes:
        shift: pixels, each way.
        turn: degrees, each way.
        size: share by which it grows or shrinks.
        slant: pixels to the side for each pixel up.
        waves: pixels by which the paper is bent, as a standard deviation.
        camera: the share of pictures that get each of stroke width, blur, levels and noise.
    """

    shift: float
    turn: float
    size: float
    slant: float
    waves: float
    camera: float


@dataclass(frozen=True, slots=True)
class Course:
    """How a network is trained that is to know more than the notebook's.

    Such a network is built to give eleven logits: of the ten digits, and of no digit.  What
    comes of it is calibrated, and gives ten probabilities and a rejection.

    Attributes:
        style: how its pictures are changed, anew in each epoch.
        rate: the learning rate at its highest; it falls to nought along a cosine.
        no_digits: the share of its pictures that show no digit.
    """

    style: Style
    rate: float
    no_digits: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is made.

    Attributes:
        name: what `--recipe` calls it.
        description: a sentence about it, for people.
        build: makes it, not yet trained; without a course, compiled for training.
        epochs: how often it goes through the training set.
        course: how it is trained; by default as notebooks do.
    """

    name: str
    description: str
    build: Callable[[], Model]
    epochs: int
    course: Course | None = None


def _mlp() -> Model:
    from digitserve.trainer.backend import keras  # noqa: PLC0415  (see above)

    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ],
        name="mlp",
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _mlp_plus() -> Model:
    from digitserve.trainer.backend import keras  # noqa: PLC0415

    return keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(11),
        ],
        name="mlp_plus",
    )


def _cnn() -> Model:
    from digitserve.trainer.backend import keras  # noqa: PLC0415

    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Reshape((28, 28, 1)),
        ],
        name="cnn",
    )
    # Strides in place of pooling, the first at once: a third of the time to train.
    for filters, side, stride in ((32, 4, 2), (32, 3, 1), (64, 3, 2), (64, 3, 1), (64, 3, 2)):
        model.add(keras.layers.Conv2D(filters, side, stride, padding="same", use_bias=False))
        model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.ReLU())
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dropout(0.3))
    model.add(keras.layers.Dense(11))
    return model


RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe(
                "mlp",
                "Two dense layers of 128 ReLUs and a softmax over the ten digits.",
                _mlp,
                epochs=3,
            ),
            Recipe(
                "mlp-plus",
                "The notebook's network, taught with changed digits and with what is no digit.",
                _mlp_plus,
                epochs=80,
                course=Course(
                    # Less than `cnn` is changed: so few weights cannot learn it all.
                    Style(shift=1.5, turn=9, size=0.1, slant=0.12, waves=0.6, camera=0.06),
                    rate=2e-3,
                    no_digits=0.1,
                ),
            ),
            Recipe(
                "cnn",
                "Five small convolutions, taught with what cameras do and with what is no digit.",
                _cnn,
                epochs=40,
                course=Course(
                    Style(shift=3.5, turn=20, size=0.25, slant=0.2, waves=0.8, camera=0.25),
                    rate=3e-3,
                    no_digits=0.15,
                ),
            ),
        )
    }
)
