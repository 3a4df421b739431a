"""A bare `.keras` file becomes a bundle, or is refused in one line."""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from google.protobuf import json_format

from digitserve.trainer import bundle
from digitserve.trainer.dataset import Dataset
from digitserve.trainer.drawn import drawn_digits
from digitserve.trainer.errors import ModelError, TrainerError
from digitserve.trainer.export import command
from digitserve.v1 import manifest_pb2

backend = pytest.importorskip("digitserve.trainer.backend", reason="needs digitserve[trainer]")

from digitserve.trainer import lite  # noqa: E402
from digitserve.trainer.conversion import convert  # noqa: E402

keras = backend.keras
layers = keras.layers


def taught(
    tiny: Dataset, *hidden: Any, scale: float = 1.0, shape: tuple[int, ...] = (28, 28)
) -> Any:
    """A small network, trained on pixels times `scale` for long enough to read drawn digits."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input(shape), *hidden, layers.Flatten(), layers.Dense(32, activation="relu"),
         layers.Dense(10, activation="softmax")]
    )  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy")
    images = (tiny.train_images * np.float32(scale)).reshape(-1, *shape)
    model.fit(images, tiny.train_labels, epochs=15, verbose=0)
    return model


@pytest.fixture(scope="session")
def networks(tiny: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `.keras` files that differ in range and shape."""
    folder = tmp_path_factory.mktemp("networks")
    taught(tiny, layers.Rescaling(1 / 255)).save(folder / "rescaling.keras")
    taught(tiny, scale=1 / 255).save(folder / "unit.keras")
    taught(tiny).save(folder / "bytes.keras")
    taught(tiny, layers.Rescaling(1 / 255), shape=(28, 28, 1)).save(folder / "channel.keras")
    taught(tiny, scale=1 / 255, shape=(784,)).save(folder / "flat.keras")
    return folder


def check_bundle(folder: Path) -> manifest_pb2.ModelManifest:
    """Both files take raw pixels, agree, and read drawn digits."""
    text = (folder / bundle.MANIFEST).read_text()
    manifest = json_format.Parse(text, manifest_pb2.ModelManifest())
    for file in manifest.files:
        assert file.sha256 == hashlib.sha256((folder / file.name).read_bytes()).hexdigest()
    images, labels = drawn_digits(10, seed=77)
    saved = keras.models.load_model(folder / bundle.KERAS, safe_mode=True)
    answers = lite.predict(folder / bundle.COMPILED, images)
    for dtype in (np.uint8, np.float32):
        assert np.abs(saved(images.astype(dtype)).numpy() - answers).max() < 1e-4
    assert (answers.argmax(axis=1) == labels).mean() > 0.9
    return manifest


@pytest.mark.parametrize(
    ("name", "input_range"),
    [
        ("rescaling", None), ("rescaling", "0..255"), ("channel", None),
        ("unit", "0..1"), ("flat", "0..1"), ("bytes", "0..255"),
    ],
)  # fmt: skip
def test_a_network_in_its_own_range(
    networks: Path, tmp_path: Path, name: str, input_range: str | None
) -> None:
    """Whatever it was trained with, the bundle takes raw pixels; nobody says how it was trained."""
    convert(networks / f"{name}.keras", tmp_path / "1", input_range)
    manifest = check_bundle(tmp_path / "1")
    assert len(manifest.golden_answers) == 30
    assert not manifest.HasField("training")
    assert not manifest.HasField("evaluation")
    assert f"{name}.keras" in manifest.description


@pytest.mark.parametrize(
    ("name", "input_range"), [("unit", "0..255"), ("bytes", "0..1"), ("rescaling", "0..1")]
)
def test_a_network_in_the_wrong_range(
    networks: Path, tmp_path: Path, name: str, input_range: str
) -> None:
    """It is refused: too few digits read, or with a certainty that a wrong range gives."""
    with pytest.raises(ModelError, match=rf"{input_range} is likely the wrong input range"):
        convert(networks / f"{name}.keras", tmp_path / "1", input_range)
    assert not list(tmp_path.iterdir())


def test_a_network_that_does_not_tell_its_range(networks: Path, tmp_path: Path) -> None:
    """Without a Rescaling layer the range must be said."""
    with pytest.raises(ModelError, match=r"say --input-range 0\.\.255 or --input-range 0\.\.1"):
        convert(networks / "unit.keras", tmp_path / "1")


def test_a_bundle_can_be_converted_again(networks: Path, tmp_path: Path) -> None:
    """What was wrapped tells its own range, and stays as it is."""
    convert(networks / "flat.keras", tmp_path / "1", "0..1")
    convert(tmp_path / "1" / bundle.KERAS, tmp_path / "2")
    first, second = ((tmp_path / n / bundle.KERAS).read_bytes() for n in "12")
    assert first == second


def sequential(*inside: Any, shape: tuple[int, ...] = (28, 28)) -> Any:
    return keras.Sequential([keras.Input(shape), layers.Rescaling(1 / 255), *inside])


def flat(*inside: Any) -> Any:
    return sequential(layers.Flatten(), *inside)


def two_outputs() -> Any:
    pixels = keras.Input((28, 28))
    ten = layers.Dense(10, activation="softmax")(layers.Flatten()(pixels))
    return keras.Model(pixels, [ten, ten])


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: flat(layers.Dense(10)), "the softmax is missing"),
        (lambda: flat(layers.Dense(10, activation="sigmoid")), "the softmax is missing"),
        (lambda: flat(layers.Dense(12, activation="softmax")), r"or \[-1, 11\], came \[-1, 12\]"),
        (lambda: sequential(layers.Flatten(), layers.Dense(10), shape=(32, 32, 3)),
         r"\[-1, 28, 28\], .* came \[-1, 32, 32, 3\]"),
        (two_outputs, r"came \[-1, 10\] and \[-1, 10\]"),
        (lambda: flat(layers.Dense(10, activation="softmax")), "at least 80% of the drawn golden"),
        (lambda: flat(layers.Lambda(lambda x: x), layers.Dense(10)), "load safely: .*Lambda"),
    ],
)  # fmt: skip
def test_a_network_of_another_kind(tmp_path: Path, make: Callable[[], Any], complaint: str) -> None:
    """No probabilities, another shape, untrained, or with code inside: refused, saying why."""
    make().save(tmp_path / "other.keras")
    with pytest.raises(ModelError, match=rf"other\.keras: expected .*{complaint}"):
        convert(tmp_path / "other.keras", tmp_path / "1")
    assert [path.name for path in tmp_path.iterdir()] == ["other.keras"]


def text(_: Path, spoilt: Path) -> None:
    spoilt.write_text("hello")


def cut(source: Path, spoilt: Path) -> None:
    spoilt.write_bytes(source.read_bytes()[:5000])


def other_zip(_: Path, spoilt: Path) -> None:
    with zipfile.ZipFile(spoilt, "w") as archive:
        archive.writestr("config.json", "{}")


def flip(source: Path, spoilt: Path) -> None:
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 0xFF
    spoilt.write_bytes(content)


def spoil_config(source: Path, spoilt: Path) -> None:
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(spoilt, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, "{" if name == "config.json" else whole.read(name))


@pytest.mark.parametrize("spoil", [text, cut, other_zip, flip, spoil_config])
def test_a_spoilt_file(networks: Path, tmp_path: Path, spoil: Callable[[Path, Path], None]) -> None:
    """Not a Keras archive, or a damaged one: refused by name."""
    spoil(networks / "rescaling.keras", tmp_path / "spoilt.keras")
    with pytest.raises(ModelError, match=r"spoilt\.keras: expected a .*(archive|load safely)"):
        convert(tmp_path / "spoilt.keras", tmp_path / "1")


def test_paths_that_cannot_be(networks: Path, tmp_path: Path) -> None:
    """No file, a folder, a target that exists: not the network's fault, and so no ModelError."""
    source = networks / "rescaling.keras"
    for file, target, complaint in (
        (tmp_path / "none.keras", tmp_path / "1", "came nothing"),
        (tmp_path, tmp_path / "1", "came something else"),
        (source, tmp_path, "one that exists"),
    ):
        with pytest.raises(TrainerError, match=complaint) as caught:
            convert(file, target)
        assert not isinstance(caught.value, ModelError)


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("rescaling.keras", 0, ""),
        ("unit.keras", 2, "Error: unit.keras: expected a Rescaling layer"),
    ],
)
def test_the_command(networks: Path, tmp_path: Path, file: str, code: int, said: str) -> None:
    """As the server starts it: the bundle's path, or one line and exit code 2 if refused."""
    done = subprocess.run(
        [sys.executable, "-m", "digitserve.trainer.export", file, tmp_path / "1"],
        cwd=networks, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == (code != 0)
    assert done.stdout == ("" if code else f"{tmp_path / '1'}\n")


def test_what_is_not_the_networks_fault(tmp_path: Path) -> None:
    """A file that is not there is no refusal: exit code 1."""
    result = CliRunner().invoke(command, [str(tmp_path / "none.keras"), str(tmp_path / "1")])
    assert result.exit_code == 1
    assert result.stderr.endswith("none.keras: expected a .keras file, came nothing\n")


def test_a_wrong_command_line() -> None:
    """It is no refusal of a network: exit code 1, one line."""
    done = subprocess.run(
        [sys.executable, "-m", "digitserve.trainer.export"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "Error: Missing argument 'KERAS_FILE'.\n"
