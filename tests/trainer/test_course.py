"""A network that is taught what is no digit, from the command to the bundle, on the tiny data."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from google.protobuf import json_format

from digitserve.trainer import bundle, lite
from digitserve.trainer.__main__ import main
from digitserve.trainer.dataset import Dataset
from digitserve.trainer.golden import golden_digits
from digitserve.trainer.networks import RECIPES
from digitserve.trainer.nodigit import figure
from digitserve.trainer.trials import CHANGES
from digitserve.v1 import manifest_pb2

from .conftest import Run

backend = pytest.importorskip("digitserve.trainer.backend", reason="needs digitserve[trainer]")

from digitserve.trainer import conversion, course, training  # noqa: E402


@pytest.fixture(scope="module")
def taught(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of `mlp-plus`."""
    folder = tmp_path_factory.mktemp("taught")
    arguments = ["--recipe", "mlp-plus", "--data", tiny_folder, "--unverified-data", "--epochs", 30]
    result = CliRunner().invoke(
        main,
        ["fit", *map(str, arguments), "--out", str(folder / "1"), "--report", str(folder / "r")],
    )
    assert result.exit_code == 0, result.output
    return Run(result, folder / "1", folder / "r")


@pytest.fixture(scope="module")
def manifest(taught: Run) -> manifest_pb2.ModelManifest:
    return bundle.read(taught.bundle)


def test_eleven_columns(taught: Run, tiny: Dataset) -> None:
    """Ten probabilities that add up to 1 and a rejection, Keras's and compiled alike."""
    answers = lite.predict(taught.bundle / bundle.COMPILED, tiny.test_images)
    assert answers.shape == (200, 11)
    assert np.abs(answers[:, :10].sum(axis=1) - 1).max() < 1e-5
    assert answers.min() >= 0
    assert answers.max() <= 1
    model = backend.keras.models.load_model(taught.bundle / bundle.KERAS, safe_mode=True)
    assert np.abs(training.predict(model, tiny.test_images) - answers).max() < 1e-4


def test_it_learns_both(taught: Run, tiny: Dataset) -> None:
    """It reads most digits and rejects what has nothing of one."""
    compiled = taught.bundle / bundle.COMPILED
    answers = lite.predict(compiled, tiny.test_images)
    assert np.mean(answers[:, :10].argmax(axis=1) == tiny.test_labels) > 0.8
    noise = figure.KINDS["uniform noise"](50, tiny.test_images, np.random.default_rng(1))
    assert lite.predict(compiled, noise)[:, 10].mean() > answers[:, 10].mean() + 0.3


def test_the_manifest(manifest: manifest_pb2.ModelManifest) -> None:
    """The form, what was held out, the calibration, every trial."""
    assert list(manifest.output.shape) == [-1, 11]
    assert (manifest.training.images, manifest.training.held_out) == (560, 40)
    assert manifest.calibration.images == 40
    assert manifest.calibration.temperature > 0
    assert 0 < manifest.calibration.rejection_threshold <= 1
    assert 0 <= manifest.calibration.false_rejection < 0.05
    told = manifest.evaluation
    assert 0 <= told.calibration_error < 0.5
    assert told.HasField("false_rejection")
    assert [share.name for share in told.changed] == list(CHANGES)
    assert [share.name for share in told.rejected] == list(figure.KINDS)
    assert all(0 <= share.share <= 1 and share.images for share in (*told.changed, *told.rejected))


def test_golden_answers(taught: Run, manifest: manifest_pb2.ModelManifest) -> None:
    """Ten probabilities each, and the rejection beside them."""
    answers = lite.predict(taught.bundle / bundle.COMPILED, golden_digits()[0])
    told = [[*golden.probabilities, golden.rejection] for golden in manifest.golden_answers]
    assert np.abs(answers - told).max() < 1e-4


def test_what_fit_says(taught: Run) -> None:
    """The changed digits and the rejections too; not a word about the test set before them."""
    for line in (
        r"Evaluated  .* right, loss \d\.\d{4}, calibration error \d+\.\d\d%",
        r"Changed    \d+\.\d\d% of changed test images right, fewest .*: \d+\.\d\d%",
        r"Rejected   \d+\.\d\d% of the test images at \d\.\d{3}; no digits: fewest .*, \d+\.\d%",
    ):
        assert re.search(rf"^{line}$", taught.result.output, re.MULTILINE), line


def test_the_report(taught: Run) -> None:
    """It has a table of changed digits, one of no digits, and what certainty is worth."""
    page = (taught.report / "index.html").read_text()
    for told in (*CHANGES, *figure.KINDS, "Expected calibration error", "Rejection threshold"):
        assert told in page
    with np.load(taught.report / "predictions.npz") as arrays:
        assert arrays["rejections"].shape == (200,)


def test_the_test_set_is_not_looked_at(tiny: Dataset) -> None:
    """Whatever the test set holds, the same network comes of it; what is held out is not taught."""
    lessons = course.prepare(tiny.train_images, tiny.train_labels, seed=4)
    assert len(lessons.digits) == 560
    assert len(lessons.held_digits) == 40
    held = {image.tobytes() for image in lessons.held_digits}
    assert held.isdisjoint(image.tobytes() for image in lessons.digits)
    other = Dataset(
        tiny.train_images, tiny.train_labels, tiny.test_images[:1], tiny.test_labels[:1], "other"
    )

    def weights(data: Dataset) -> list[np.ndarray]:
        run = training.train(RECIPES["mlp-plus"], data, seed=4, epochs=1, verbose=0)
        return run.model.get_weights()  # type: ignore[no-any-return]

    assert all(np.array_equal(a, b) for a, b in zip(weights(tiny), weights(other), strict=True))


def test_export_keeps_the_rejection(taught: Run, tmp_path: Path) -> None:
    """A bare `.keras` file with eleven columns becomes a bundle with eleven."""
    conversion.convert(taught.bundle / bundle.KERAS, tmp_path / "1")
    manifest = json.loads((tmp_path / "1" / bundle.MANIFEST).read_text())
    assert manifest["output"]["shape"] == ["-1", "11"]
    parsed = json_format.ParseDict(manifest, manifest_pb2.ModelManifest())
    assert all(golden.HasField("rejection") for golden in parsed.golden_answers)
