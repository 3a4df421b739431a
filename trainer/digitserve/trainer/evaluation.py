"""How well probabilities match labels.  Only NumPy is known here."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer.calibration import calibration_error

_TINY = 1e-7  # Keras's epsilon: a probability of nought would cost infinitely much


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a network said about labelled images, and how right it was.

    Attributes:
        probabilities: `float32[n, 10]`.
        labels: `uint8[n]`, what is true.
        digits: `uint8[n]`, what the network said.
        confusion: `int64[10, 10]`, counts by true digit (row) and said digit (column).
        accuracy: the share read right, 0 to 1.
        loss: the mean cross-entropy, in nats.
        calibration_error: how far confidence is from the share that is right, 0 to 1.
        rejections: `float32[n]`, 0 = surely a digit; None if the network knows of none.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.uint8]
    digits: NDArray[np.uint8]
    confusion: NDArray[np.int64]
    accuracy: float
    loss: float
    calibration_error: float
    rejections: NDArray[np.float32] | None = None

    def worst(self, count: int) -> NDArray[np.intp]:
        """The images that were read wrong with the most confidence, the worst first."""
        wrong = np.flatnonzero(self.digits != self.labels)
        confidence = self.probabilities[wrong, self.digits[wrong]]
        return wrong[np.argsort(-confidence, kind="stable")][:count]

    def shares(self) -> list[float | None]:
        """The share of each digit that was read right; None where there was none to read."""
        counts = self.confusion.sum(axis=1)
        return [
            float(self.confusion[digit, digit] / count) if count else None
            for digit, count in enumerate(counts)
        ]

    def rejected(self, threshold: float) -> float | None:
        """The share of images whose rejection reaches `threshold`; None if none is known."""
        return None if self.rejections is None else float(np.mean(self.rejections >= threshold))

    def as_npz(self) -> bytes:
        """Probabilities, digits, labels, the confusion matrix and rejections, as an `.npz`."""
        stream = io.BytesIO()
        arrays: dict[str, Any] = {
            "probabilities": self.probabilities,
            "digits": self.digits,
            "labels": self.labels,
            "confusion": self.confusion,
        }
        if self.rejections is not None:
            arrays["rejections"] = self.rejections
        np.savez_compressed(stream, **arrays)
        return stream.getvalue()


def evaluate(answers: NDArray[np.float32], labels: NDArray[np.uint8]) -> Evaluation:
    """Compare a network's answers, `float32[n, 10]` or 11 with the rejection, with `labels`."""
    probabilities = answers[:, :10]
    digits = probabilities.argmax(axis=1).astype(np.uint8)
    confusion = np.zeros((10, 10), np.int64)
    np.add.at(confusion, (labels, digits), 1)
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Evaluation(
        probabilities=probabilities,
        labels=labels,
        digits=digits,
        confusion=confusion,
        accuracy=float(np.mean(digits == labels)),
        loss=float(-np.log(np.clip(true, _TINY, 1 - _TINY)).mean()),
        calibration_error=calibration_error(probabilities.max(axis=1), digits == labels),
        rejections=answers[:, 10] if answers.shape[1] > 10 else None,
    )
