"""What a network's certainty is worth: fitted where it was not trained, and measured.

    logits of digits       ──▶ temperature            ──▶ ten probabilities
    logits of both         ──▶ rejection temperature  ──▶ rejection  ──▶ threshold

A trained network is too sure of itself; dividing its logits by one number mends that and
changes no digit (Guo et al., 2017, arXiv 1706.04599).  Only NumPy is known here.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

NO_DIGIT: Final = 10
"""The label of what is no digit, and the column of its logit."""

_BINS = 15  # what the literature takes
_FALSE_REJECTION = 0.005  # half of what is allowed: held-out digits are not the test's
_TEMPERATURES = np.geomspace(0.2, 5, 161)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was fitted on digits that the network was not trained on.

    Attributes:
        temperature: that the ten digits' logits are divided by.
        rejection_temperature: that all eleven are divided by for the rejection.
        threshold: the rejection from which a picture counts as no digit.
        false_rejection: the share of held-out digits that reach it.
        images: how many digits were held out.
    """

    temperature: float
    rejection_temperature: float
    threshold: float
    false_rejection: float
    images: int


def calibrate(digits: Floats, labels: NDArray[np.uint8], no_digits: Floats) -> Calibration:
    """Fit the temperatures and the threshold.

    Args:
        digits: logits `[n, 11]` of held-out digits.
        labels: what they are, `[n]`.
        no_digits: logits `[m, 11]` of what is no digit.
    """
    temperature = _temperature(digits[:, :NO_DIGIT], labels)
    both = np.concatenate([digits, no_digits])
    is_none = np.repeat((0, 1), (len(digits), len(no_digits)))
    odds = both[:, NO_DIGIT] - _log_sum(both[:, :NO_DIGIT])
    of_rejection = _temperature(np.stack([0 * odds, odds], axis=1), is_none)
    rejections = softmax(digits / of_rejection)[:, NO_DIGIT]
    threshold = float(np.quantile(rejections, 1 - _FALSE_REJECTION, method="higher"))
    return Calibration(
        temperature=temperature,
        rejection_temperature=of_rejection,
        threshold=threshold,
        false_rejection=float(np.mean(rejections >= threshold)),
        images=len(labels),
    )


def calibration_error(confidence: Floats, right: NDArray[np.bool_]) -> float:
    """The expected calibration error: how far confidence is from the share that is right.

    Over fifteen bins of equal width, each as heavy as there are images in it; 0 to 1.
    """
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gap = np.bincount(bins, confidence.astype(float) - right, minlength=_BINS)
    return float(np.abs(gap).sum() / len(confidence))


def softmax(logits: Floats) -> Floats:
    """Probabilities `[n, k]` of logits `[n, k]`."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Floats = shares / shares.sum(axis=1, keepdims=True)
    return result


def _log_sum(logits: Floats) -> Floats:
    most = logits.max(axis=1)
    result: Floats = most + np.log(np.exp(logits - most[:, None]).sum(axis=1))
    return result


def _temperature(logits: Floats, labels: NDArray[np.integer]) -> float:
    """The temperature at which the labels are least surprising."""

    def surprise(temperature: float) -> float:
        scaled = logits / temperature
        return float(np.mean(_log_sum(scaled) - scaled[np.arange(len(labels)), labels]))

    return float(min(_TEMPERATURES, key=surprise))
