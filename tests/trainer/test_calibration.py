"""Certainty: fitted to how often a network is right, and measured."""

import numpy as np
import pytest

from digitserve.trainer.calibration import NO_DIGIT, calibrate, calibration_error, softmax
from digitserve.trainer.evaluation import evaluate


def fair_logits(count: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are drawn by the probabilities which the logits say."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, columns)).astype(np.float32)
    chance = softmax(logits).cumsum(axis=1)
    return logits, (chance < rng.random((count, 1))).sum(axis=1).clip(0, columns - 1)


@pytest.mark.parametrize("too_sure", [0.5, 1.0, 3.0])
def test_temperature(too_sure: float) -> None:
    """It finds by how much the logits are too large, and no digit changes."""
    logits, labels = fair_logits(20_000, 10, seed=1)
    known = np.column_stack([logits * too_sure, np.full(len(logits), -30, np.float32)])
    fitted = calibrate(known, labels.astype(np.uint8), known[:10])
    assert fitted.temperature == pytest.approx(too_sure, rel=0.05)
    assert fitted.images == 20_000


def test_rejection() -> None:
    """Its temperature is found on digits and no digits; one digit in 200 reaches the threshold."""
    rng = np.random.default_rng(2)
    logits = np.zeros((40_000, 11), np.float32)
    logits[:, NO_DIGIT] = rng.normal(0, 3, len(logits))
    none = rng.random(len(logits)) < softmax(logits)[:, NO_DIGIT]
    fitted = calibrate(logits[~none], np.zeros((~none).sum(), np.uint8), logits[none])
    assert fitted.rejection_temperature == pytest.approx(1, rel=0.1)
    assert fitted.false_rejection == pytest.approx(0.005, abs=0.0005)
    assert 0.5 < fitted.threshold < 1


def test_calibration_error() -> None:
    """Nought where confidence is the share that is right; else by how much it is not."""
    right = np.arange(1000) % 10 < 7
    assert calibration_error(np.full(1000, 0.7, np.float32), right) == pytest.approx(0, abs=1e-6)
    assert calibration_error(np.full(1000, 0.9, np.float32), right) == pytest.approx(0.2, abs=1e-6)


def test_evaluation_with_a_rejection() -> None:
    """The eleventh column is no digit's probability."""
    answers = np.full((4, 11), 0.05, np.float32)
    answers[:, 3] = 0.55
    answers[:, 10] = (0.0, 0.2, 0.6, 1.0)
    found = evaluate(answers, np.full(4, 3, np.uint8))
    assert found.accuracy == 1
    assert found.probabilities.shape == (4, 10)
    assert found.rejected(0.6) == 0.5
    assert evaluate(answers[:, :10], found.labels).rejected(0.6) is None
