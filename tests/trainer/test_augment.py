"""Changed digits: what is asked for is what happens, and the seed decides the rest."""

import numpy as np
import pytest

from digitserve.trainer import augment
from digitserve.trainer.drawn import drawn_digits
from digitserve.trainer.networks import RECIPES, Style
from digitserve.trainer.trials import CHANGES

IMAGES, _ = drawn_digits(4, seed=5)
INKS = IMAGES.astype(np.float32) / 255
STRAIGHT = np.broadcast_to(np.eye(2, dtype=np.float32), (len(INKS), 2, 2))


def each(value: float) -> augment.Inks:
    return np.full(len(INKS), value, np.float32)


def test_a_style_of_noughts() -> None:
    """It changes nothing, to the bit."""
    style = Style(shift=0, turn=0, size=0, slant=0, waves=0, camera=0)
    changed = augment.augmented(IMAGES, style, np.random.default_rng(0))
    assert changed.dtype == np.uint8
    assert np.array_equal(changed, IMAGES)


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.course])
def test_the_seed_decides(name: str) -> None:
    """The same seed changes alike; another does not; every picture is changed."""
    course = RECIPES[name].course
    assert course is not None
    one, same, other = (
        augment.augmented(IMAGES, course.style, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert (one != IMAGES).any(axis=(1, 2)).all()


def test_a_shift() -> None:
    """Down and to the right by whole pixels; what leaves the picture is gone."""
    moved = augment.warped(INKS, STRAIGHT, np.tile(np.array([2, 3], np.float32), (len(INKS), 1)))
    assert np.abs(moved[:, 2:, 3:] - INKS[:, :-2, :-3]).max() < 1e-5
    assert not moved[:, :2].any()


def test_a_quarter_turn() -> None:
    """Clockwise, about the middle."""
    nowhere = np.zeros((len(INKS), 2), np.float32)
    turned = augment.warped(INKS, augment.turned(each(90), each(1)), nowhere)
    assert np.abs(turned - np.rot90(INKS, -1, axes=(1, 2))).max() < 1e-3


def test_size() -> None:
    """Twice as large is four times the ink, as long as none leaves the picture."""
    nowhere = np.zeros((len(INKS), 2), np.float32)
    small = augment.warped(INKS, augment.turned(each(0), each(0.5)), nowhere)
    share = small.sum(axis=(1, 2)) / INKS.sum(axis=(1, 2))
    assert np.abs(share - 0.25).max() < 0.03


def test_stroke_width() -> None:
    """Thicker only adds ink, thinner only takes it."""
    assert (augment.thickened(INKS, each(1)) >= INKS).all()
    assert (augment.thickened(INKS, each(-1)) <= INKS).all()
    assert np.array_equal(augment.thickened(INKS, each(0)), INKS)


def test_blur() -> None:
    """It spreads the ink and loses none of it."""
    blurred = augment.blurred(INKS, each(1))
    assert np.allclose(
        blurred.sum(axis=(1, 2)), INKS.sum(axis=(1, 2)), rtol=3e-3
    )  # a little is at the edge
    assert blurred.std() < INKS.std()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_trial_changes_every_digit(change: object) -> None:
    """The form stays, the picture does not."""
    changed = augment.as_bytes(change(INKS, np.random.default_rng(3)))  # type: ignore[operator]
    assert changed.shape == IMAGES.shape
    assert (changed != IMAGES).any(axis=(1, 2)).all()
