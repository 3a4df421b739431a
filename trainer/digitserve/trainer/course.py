"""Train a network to know more than the notebook's: changed digits, and what is no digit.

    training set ─┬─▶ digits, changed anew each epoch ──┬─▶ fit ──▶ eleven logits ─┐
                  ├─▶ pictures of no digit ─────────────┘                          │
                  └─▶ held out: neither trained on nor tested on ──▶ calibrate ────┴─▶ calibrated

What comes out gives `float32[n, 11]`: ten probabilities that add up to 1, and the rejection.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.augment import augmented
from digitserve.trainer.backend import keras, tensorflow
from digitserve.trainer.calibration import NO_DIGIT, Calibration, calibrate
from digitserve.trainer.networks import Course, Model
from digitserve.trainer.nodigit.training import pictures

Images = NDArray[np.uint8]
Labels = NDArray[np.uint8]

_BATCH: Final = 128
_HELD_OUT: Final = 15  # one in so many digits is not trained on
_DECAY: Final = 1e-3
_WARM_UP: Final = 0.05  # share of the steps
_AVERAGED: Final = 0.02  # the weights are the mean over about so many of the last steps
_AHEAD: Final = 8  # batches


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What there is to learn from, and what to look at without learning."""

    digits: Images
    labels: Labels
    no_digits: Images
    held_digits: Images
    held_labels: Labels
    held_no_digits: Images

    def check(self) -> tuple[Images, Labels]:
        """All that is held out, with `NO_DIGIT` for what is none."""
        none = np.full(len(self.held_no_digits), NO_DIGIT, np.uint8)
        return (
            np.concatenate([self.held_digits, self.held_no_digits]),
            np.concatenate([self.held_labels, none]),
        )


def prepare(digits: Images, labels: Labels, seed: int) -> Lessons:
    """Hold out a part, and make pictures of no digit: a third as many as there are digits."""
    rng = np.random.default_rng((seed, 1))
    order = rng.permutation(len(digits))
    held, taught = np.split(order, [max(1, len(order) // _HELD_OUT)])
    return Lessons(
        digits=digits[taught],
        labels=labels[taught],
        no_digits=pictures(max(8, len(taught) // 3), digits[taught], rng),
        held_digits=digits[held],
        held_labels=labels[held],
        held_no_digits=pictures(max(8, len(held) // 3), digits[held], rng),
    )


def teach(
    network: Model,
    lessons: Lessons,
    course: Course,
    *,
    seed: int,
    epochs: int,
    verbose: int,
    callbacks: list[Any],
) -> tuple[Model, Calibration]:
    """Train a network of eleven logits.

    Returns:
        A network of ten probabilities and a rejection, and how it was calibrated.
    """
    digits_a_batch = round(_BATCH * (1 - course.no_digits))
    steps = max(1, len(lessons.digits) // digits_a_batch)
    network.compile(
        optimizer=_optimizer(course.rate, steps * epochs),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,  # XLA would compile each length of batch anew
    )
    network.fit(
        _fed(_batches(lessons, course, digits_a_batch, seed)),
        steps_per_epoch=steps,
        shuffle=False,  # they are
        epochs=epochs,
        validation_data=lessons.check(),
        validation_batch_size=1000,
        callbacks=callbacks,
        verbose=verbose,
    )
    calibration = calibrate(
        _logits(network, lessons.held_digits),
        lessons.held_labels,
        _logits(network, _changed(lessons.held_no_digits, course, seed)),
    )
    return calibrated(network, calibration), calibration


def calibrated(network: Model, calibration: Calibration) -> Model:
    """The network with its temperatures inside, of layers that Keras can load safely."""
    # Without its optimizer, which nobody could go on with here, and which is two thirds of a file.
    trained = network.from_config(network.get_config())
    trained.set_weights(network.get_weights())
    pixels = keras.Input((28, 28), name="pixels")
    logits = trained(pixels)
    digits = keras.layers.Rescaling(1 / calibration.temperature)(logits[:, :NO_DIGIT])
    both = keras.layers.Rescaling(1 / calibration.rejection_temperature)(logits)
    answer = keras.layers.Concatenate()(
        [keras.layers.Softmax()(digits), keras.layers.Softmax()(both)[:, NO_DIGIT:]]
    )
    return keras.Model(pixels, answer, name=f"calibrated_{network.name}")


def _changed(images: Images, course: Course, seed: int) -> Images:
    """Pictures changed as those that were trained on, by chance of its own."""
    return augmented(images, course.style, np.random.default_rng((seed, 2)))


def _optimizer(rate: float, steps: int) -> Any:
    warm_up = int(_WARM_UP * steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm_up), warmup_target=rate, warmup_steps=warm_up
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=_DECAY,
        use_ema=True,
        ema_momentum=1 - 1 / max(1.0, _AVERAGED * steps),
    )


def _batches(
    lessons: Lessons, course: Course, digits_a_batch: int, seed: int
) -> Iterator[tuple[Images, Labels]]:
    """Batches without end: every digit once an epoch, and as many of no digit as agreed."""
    rng = np.random.default_rng((seed, 3))
    none = np.full(_BATCH - digits_a_batch, NO_DIGIT, np.uint8)
    size = min(digits_a_batch, len(lessons.digits))
    while True:
        order = rng.permutation(len(lessons.digits))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            other = rng.integers(0, len(lessons.no_digits), len(none))
            images = np.concatenate([lessons.digits[chosen], lessons.no_digits[other]])
            labels = np.concatenate([lessons.labels[chosen], none])
            yield augmented(images, course.style, rng), labels


def _fed(batches: Iterator[tuple[Images, Labels]]) -> Any:
    """The batches as TensorFlow reads them, some ahead, made beside the training step."""
    pixels = tensorflow.TensorSpec((None, 28, 28), "uint8")
    labels = tensorflow.TensorSpec((None,), "uint8")
    return tensorflow.data.Dataset.from_generator(
        lambda: batches, output_signature=(pixels, labels)
    ).prefetch(_AHEAD)


def _logits(network: Model, images: Images) -> NDArray[np.float32]:
    return np.asarray(network.predict(images, batch_size=1000, verbose=0), np.float32)
