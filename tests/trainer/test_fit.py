"""`digitserve-train fit`, once, on the tiny data set; and what it leaves."""

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from google.protobuf import json_format

from digitserve.trainer import bundle
from digitserve.trainer.__main__ import main
from digitserve.trainer.dataset import Dataset
from digitserve.trainer.drawn import drawn_digits
from digitserve.trainer.golden import golden_digits
from digitserve.trainer.networks import RECIPES
from digitserve.v1 import manifest_pb2

from .conftest import Run

backend = pytest.importorskip("digitserve.trainer.backend", reason="needs digitserve[trainer]")

from digitserve.trainer import compiled, fit, lite, training  # noqa: E402
from digitserve.trainer.errors import ModelError  # noqa: E402
from digitserve.trainer.evaluation import evaluate  # noqa: E402

PICTURES = ["confusion", "curves", "mistakes"]


@pytest.fixture(scope="session")
def manifest(run: Run) -> manifest_pb2.ModelManifest:
    text = (run.bundle / bundle.MANIFEST).read_text()
    return json_format.Parse(text, manifest_pb2.ModelManifest())


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["fit", *map(str, arguments)])


def test_the_bundle_holds_three_files(run: Run) -> None:
    """What training saved, the same compiled, and the manifest; nothing else is left."""
    assert {path.name for path in run.bundle.iterdir()} == {
        bundle.KERAS,
        bundle.COMPILED,
        bundle.MANIFEST,
    }
    assert list(run.bundle.parent.iterdir()) == [run.bundle]


def test_the_manifest_tells_the_files(run: Run, manifest: manifest_pb2.ModelManifest) -> None:
    """Each file's role, size and SHA-256 are those of the file."""
    assert [file.role for file in manifest.files] == [
        manifest_pb2.ModelFile.ROLE_KERAS,
        manifest_pb2.ModelFile.ROLE_COMPILED,
    ]
    for file in manifest.files:
        content = (run.bundle / file.name).read_bytes()
        assert file.size == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()


def test_the_manifest_tells_the_run(manifest: manifest_pb2.ModelManifest) -> None:
    """Format, tensors, recipe, seed, epochs, data, packages."""
    assert manifest.format == 1
    assert (list(manifest.input.shape), manifest.input.dtype) == ([-1, 28, 28], "uint8")
    assert (list(manifest.output.shape), manifest.output.dtype) == ([-1, 10], "float32")
    told = manifest.training
    assert (told.recipe, told.seed, told.epochs, told.images) == ("mlp", 3, 8, 600)
    assert told.dataset == "tiny"
    assert told.seconds > 0
    assert told.finished.seconds > 0
    assert told.packages["tensorflow"] == backend.tensorflow.__version__


def test_the_manifest_tells_the_accuracy(
    run: Run, manifest: manifest_pb2.ModelManifest, tiny: Dataset
) -> None:
    """Asking the compiled network again gives the figures that the manifest has."""
    found = evaluate(lite.predict(run.bundle / bundle.COMPILED, tiny.test_images), tiny.test_labels)
    assert manifest.evaluation.images == 200
    assert manifest.evaluation.dataset == "tiny test"
    assert manifest.evaluation.accuracy == pytest.approx(found.accuracy)
    assert manifest.evaluation.loss == pytest.approx(found.loss, abs=1e-4)
    assert found.accuracy > 0.9


def test_golden_answers(run: Run, manifest: manifest_pb2.ModelManifest) -> None:
    """Thirty drawn digits, three of each, with what Keras says about them."""
    images, labels = golden_digits()
    assert [golden.label for golden in manifest.golden_answers] == labels.tolist()
    assert [golden.pixels for golden in manifest.golden_answers] == [i.tobytes() for i in images]
    model = backend.keras.models.load_model(run.bundle / bundle.KERAS, safe_mode=True)
    told = np.array([golden.probabilities for golden in manifest.golden_answers])
    assert np.abs(told - training.predict(model, images)).max() < 1e-6


def test_the_manifest_is_written_for_people(run: Run) -> None:
    """Every field is said, a zero too, and the packages are in order."""
    told = json.loads((run.bundle / bundle.MANIFEST).read_text())
    assert told["golden_answers"][0]["label"] == 0
    assert list(told["training"]["packages"]) == sorted(told["training"]["packages"])


def test_one_or_many(run: Run) -> None:
    """The compiled network's batch is open: many at once are answered as one by one."""
    images, _ = drawn_digits(2, seed=9)
    many = lite.predict(run.bundle / bundle.COMPILED, images)
    ones = [lite.predict(run.bundle / bundle.COMPILED, image[None]) for image in images]
    assert np.abs(many - np.concatenate(ones)).max() < 1e-6


def test_what_fit_says(run: Run) -> None:
    """Step by step, with the figures and the place of the bundle."""
    for line in (
        r"Data       tiny: 600 images to train on, 200 to test, not verified",
        r"Trained    mlp, seed 3, 8 epochs in \d+\.\d s",
        r"Evaluated  \d+\.\d\d% of 200 test images right, loss \d\.\d{4}, calibration .*%",
        r"Changed    \d+\.\d\d% of changed test images right, fewest .*: \d+\.\d\d%",
        r"           image 0: \d \(is 0\)   (\d\.\d{3} ?){10}",
        r"Saved      epic_num_reader.keras; .* greatest difference 0",
        r"Compiled   model.tflite; the same digit for all 200 test images, greatest .*e-\d\d",
        r"Drawn      reads \d+\.\d% of 500 drawn digits",
        rf"Report     {run.report}/index.html",
        rf"Bundle     {run.bundle}",
    ):
        assert re.search(rf"^{line}$", run.result.output, re.MULTILINE), line


def test_the_report(run: Run, tiny: Dataset) -> None:
    """Three pictures, light and dark, the predictions, and one page that needs no other file."""
    for name in PICTURES:
        for path in (run.report / f"{name}.png", run.report / f"{name}-dark.png"):
            assert path.read_bytes().startswith(b"\x89PNG")
    with np.load(run.report / "predictions.npz") as arrays:
        assert arrays["probabilities"].shape == (200, 10)
        assert np.array_equal(arrays["labels"], tiny.test_labels)
    page = (run.report / "index.html").read_text()
    embedded = re.findall(r'"data:image/png;base64,([^"]+)"', page)
    assert len(embedded) == 2 * len(PICTURES)
    files = {path.read_bytes() for path in run.report.glob("*.png")}
    assert {base64.b64decode(picture) for picture in embedded} == files
    assert not re.findall(r'(?:src|srcset|href)="(?!data:)', page)
    assert not list(run.report.glob(".*"))


def test_the_same_seed_trains_the_same(tiny: Dataset) -> None:
    """Two runs end with identical weights; another seed does not."""

    def weights(seed: int) -> list[np.ndarray]:
        run = training.train(RECIPES["mlp"], tiny, seed=seed, epochs=1, verbose=0)
        return run.model.get_weights()  # type: ignore[no-any-return]

    one, same, other = weights(5), weights(5), weights(6)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_curves_cover_the_run(tiny: Dataset) -> None:
    """Training is told all the way, the test set after each epoch."""
    curves = training.train(RECIPES["mlp"], tiny, epochs=2, verbose=0).curves
    assert len(curves.check_accuracy) == len(curves.check_loss) == 2
    assert curves.epoch == sorted(curves.epoch)
    assert 0 < curves.epoch[0] < 1 < curves.epoch[-1] < 2
    assert 0 < curves.accuracy[0] < curves.accuracy[-1] < 1 + 1e-6  # sums of float32


def test_a_saved_network_that_answers_otherwise(run: Run, tiny: Dataset) -> None:
    """The proof of saving fails if a single probability moves."""
    path = run.bundle / bundle.KERAS
    answers = training.predict(backend.keras.models.load_model(path), tiny.test_images)
    assert training.prove_saved(path, tiny.test_images, answers) == 0
    answers[0, 0] += 1e-6
    with pytest.raises(ModelError, match="answer as the trained one"):
        training.prove_saved(path, tiny.test_images, answers)


@pytest.mark.parametrize("wrong", [0.001, np.nan, None])
def test_a_compiled_network_that_answers_otherwise(
    run: Run, tiny: Dataset, wrong: float | None
) -> None:
    """Another probability, NaN, or another digit: the comparison with Keras fails."""
    path = run.bundle / bundle.COMPILED
    answers = lite.predict(path, tiny.test_images)
    assert compiled.compare(path, tiny.test_images, answers) == 0
    answers[7] = np.roll(answers[7], 1) if wrong is None else answers[7] + np.float32(wrong)
    with pytest.raises(ModelError, match="expected the answers of Keras for all 200 images"):
        compiled.compare(path, tiny.test_images, answers)


def test_an_interrupted_run(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C: one line, exit code 130, nothing half-written."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compiled, "compile_network", interrupt)
    result = invoke(
        "--data", tiny_folder, "--unverified-data", "--epochs", 1, "--out", tmp_path / "1"
    )
    assert result.exit_code == 130
    assert result.stderr == "Error: interrupted; nothing half-written was left\n"
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_fails(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network's error has exit code 4 and one line."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("Unknown op. See the guide.\nAnd much more")

    monkeypatch.setattr(backend.keras.Model, "export", fail)
    result = invoke(
        "--data", tiny_folder, "--unverified-data", "--epochs", 1, "--out", tmp_path / "1"
    )
    assert result.exit_code == 4
    assert result.stderr == "Error: model.tflite: the network cannot be compiled: Unknown op\n"
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written(
    run: Run, tiny: Dataset, tiny_folder: Path, tmp_path: Path
) -> None:
    """No bundle without the report that was asked for: exit code 1, naming the path."""
    (tmp_path / "file").touch()
    result = invoke(
        "--data", tiny_folder, "--unverified-data", "--epochs", 1,
        "--out", tmp_path / "1", "--report", tmp_path / "file" / "report",
    )  # fmt: skip
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: .*file/report: Not a directory\n", result.stderr)
    assert not (tmp_path / "1").exists()


def test_fit_from_python(tiny: Dataset, tmp_path: Path) -> None:
    """The command is a function too; without a report it writes none."""
    said: list[str] = []
    manifest = fit.fit(
        RECIPES["mlp"], tiny, seed=0, epochs=1, target=tmp_path / "2", report=None,
        say=said.append, verbose=0,
    )  # fmt: skip
    assert manifest.training.epochs == 1
    assert [path.name for path in tmp_path.iterdir()] == ["2"]
    assert said[-1].endswith("/2")


def test_data_errors(tmp_path: Path, tiny_folder: Path) -> None:
    """Exit code 3 and one line, before TensorFlow is asked for anything."""
    for data in (tmp_path / "nowhere", tiny_folder):
        result = invoke("--data", data, "--out", tmp_path / "1")
        assert result.exit_code == 3
        assert re.fullmatch(r"Error: [^\n]+\n", result.stderr)


def test_a_target_that_exists(tmp_path: Path) -> None:
    """Exit code 2, before a minute is spent on training."""
    result = invoke("--out", tmp_path)
    assert result.exit_code == 2
    assert "a bundle needs a new folder" in result.stderr


def test_the_next_free_number(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default bundles are numbered on from the greatest there is."""
    assert bundle.next_free(tmp_path / "models") == 1
    shutil.copytree(run.bundle, tmp_path / "models" / "9")
    (tmp_path / "models" / "10").mkdir()
    (tmp_path / "models" / "notes").mkdir()
    assert bundle.next_free(tmp_path / "models") == 11
