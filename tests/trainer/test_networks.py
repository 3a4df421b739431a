"""The networks: the notebook's, and that every recipe takes raw pixels."""

import numpy as np
import pytest

from digitserve.trainer.networks import RECIPES, Recipe

backend = pytest.importorskip("digitserve.trainer.backend", reason="needs digitserve[trainer]")


def test_mlp_is_the_notebook() -> None:
    """Flatten, 128, 128, 10; Adam; sparse categorical cross-entropy; accuracy; three epochs."""
    model = RECIPES["mlp"].build()
    dense = [layer for layer in model.layers if isinstance(layer, backend.keras.layers.Dense)]
    assert [(layer.units, layer.activation.__name__) for layer in dense] == [
        (128, "relu"), (128, "relu"), (10, "softmax"),
    ]  # fmt: skip
    assert [type(layer).__name__ for layer in model.layers[:2]] == ["Rescaling", "Flatten"]
    assert model.count_params() == 784 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10
    assert isinstance(model.optimizer, backend.keras.optimizers.Adam)
    assert model.loss == "sparse_categorical_crossentropy"
    assert RECIPES["mlp"].epochs == 3


def test_mlp_plus_has_the_same_layers() -> None:
    """The notebook's, with one more output: no digit."""
    dense = [
        layer
        for layer in RECIPES["mlp-plus"].build().layers
        if isinstance(layer, backend.keras.layers.Dense)
    ]
    assert [layer.units for layer in dense] == [128, 128, 11]


def test_cnn_is_small() -> None:
    """Under 150,000 weights: 600 kB."""
    assert 50_000 < RECIPES["cnn"].build().count_params() < 150_000


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_recipe_takes_raw_pixels(recipe: Recipe) -> None:
    """Bytes or floats of 0..255 in, the same out: probabilities, or a course's eleven logits."""
    model = recipe.build()
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28)).astype(np.uint8)
    answers = model(images).numpy()
    assert answers.shape == (4, 11 if recipe.course else 10)
    if recipe.course is None:
        assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(answers, model(images.astype(np.float32)).numpy())
