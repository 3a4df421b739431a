"""Pictures of no digit: two workshops that share no way of drawing."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs digitserve[trainer]")

from digitserve.trainer.drawn import drawn_digits
from digitserve.trainer.nodigit import figure, training

DIGITS, _ = drawn_digits(5, seed=8)


def test_training_pictures() -> None:
    """As many as asked for, the same for the same seed, hardly two alike."""
    one, same, other = (
        training.pictures(60, DIGITS, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert one.shape == (60, 28, 28)
    assert one.dtype == np.uint8
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert len(np.unique(one, axis=0)) > 50


@pytest.mark.parametrize("name", figure.KINDS)
def test_a_kind_of_the_figure(name: str) -> None:
    """As many as asked for, the digits it was given untouched."""
    digits = DIGITS.copy()
    made = figure.KINDS[name](23, digits, np.random.default_rng(4))
    assert made.shape == (23, 28, 28)
    assert made.dtype == np.uint8
    assert np.array_equal(digits, DIGITS)
    if name != "blank":
        assert (made.max(axis=(1, 2)) > 100).mean() > 0.9


def test_every_letter_is_printed() -> None:
    """A E F H K M N R T W X, in every font: none is missing its ink."""
    printed = figure.KINDS["letters"](220, DIGITS, np.random.default_rng(0))
    assert len(np.unique(printed, axis=0)) == 220
    assert (printed > 128).sum(axis=(1, 2)).min() > 20
