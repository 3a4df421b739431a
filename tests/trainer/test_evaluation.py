"""Probabilities against labels."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitserve.trainer.evaluation import evaluate

LABELS = arrays.arrays(np.uint8, st.integers(1, 40), elements=st.integers(0, 9))


def said(digits: np.ndarray, confidence: float = 0.91) -> np.ndarray:
    """Probabilities that name these digits."""
    rest = (1 - confidence) / 9
    return np.where(np.arange(10) == digits[:, None], confidence, rest).astype(np.float32)


@given(labels=LABELS, data=st.data())
def test_counts_add_up(labels: np.ndarray, data: st.DataObject) -> None:
    """Each image is one count of the confusion matrix; its diagonal is the accuracy."""
    digits = data.draw(arrays.arrays(np.uint8, len(labels), elements=st.integers(0, 9)))
    found = evaluate(said(digits), labels)
    assert found.confusion.sum() == len(labels)
    assert np.isclose(np.trace(found.confusion) / len(labels), found.accuracy)
    assert found.confusion.sum(axis=1).tolist() == np.bincount(labels, minlength=10).tolist()


def test_loss_is_the_mean_cross_entropy() -> None:
    """By hand: one image right with 0.91, one wrong with 0.01 for the truth."""
    found = evaluate(said(np.array([3, 4])), np.array([3, 5], np.uint8))
    assert np.isclose(found.loss, -(np.log(0.91) + np.log(0.01)) / 2)


def test_a_probability_of_nought() -> None:
    """It costs much, not infinitely much: Keras's bound."""
    found = evaluate(said(np.array([3]), 1.0), np.array([5], np.uint8))
    assert np.isclose(found.loss, -np.log(1e-7))


def test_the_worst_are_wrong_and_sure() -> None:
    """Mistakes only, the most confident first, no more than asked for."""
    sure, doubting = said(np.array([1, 2]), 0.99), said(np.array([3, 4]), 0.5)
    found = evaluate(np.vstack([doubting, sure]), np.array([3, 5, 1, 9], np.uint8))
    assert found.worst(5).tolist() == [3, 1]
    assert found.worst(1).tolist() == [3]


def test_a_digit_that_never_came() -> None:
    """It has no share of right answers, rather than none right."""
    assert evaluate(said(np.array([1])), np.array([1], np.uint8)).shares()[:3] == [None, 1.0, None]


def test_as_npz() -> None:
    """Whoever wants to look closer finds every probability."""
    found = evaluate(said(np.array([1, 2])), np.array([1, 3], np.uint8))
    with np.load(io.BytesIO(found.as_npz())) as arrays:
        assert np.array_equal(arrays["probabilities"], found.probabilities)
        assert arrays["digits"].tolist() == [1, 2]
        assert arrays["labels"].tolist() == [1, 3]
        assert arrays["confusion"].sum() == 2
