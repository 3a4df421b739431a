"""What the trainer's tests share: a tiny data set of our own digits, and one real run on it."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from digitserve.trainer import idx
from digitserve.trainer.__main__ import main
from digitserve.trainer.dataset import Dataset
from digitserve.trainer.drawn import drawn_digits

# Without TensorFlow the modules that need it skip themselves, saying so; CI must not.
if os.environ.get("CI") == "true" and find_spec("tensorflow") is None:
    raise pytest.UsageError("CI needs TensorFlow: install `digitserve[trainer]`")

# Keras's reading of TensorFlow's variables, deprecated by NumPy 2 and not ours to mend.
_KERAS_COPIES = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let that one warning pass, in this folder only."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(_KERAS_COPIES))


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    """600 drawn digits to train on and 200 others to test on."""
    return Dataset(*drawn_digits(60, seed=1), *drawn_digits(20, seed=2), name="tiny")


@pytest.fixture(scope="session")
def tiny_folder(tiny: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set as a folder of IDX files; two are gzipped."""
    folder = tmp_path_factory.mktemp("data") / "tiny"
    folder.mkdir()
    idx.write(folder / "train-images-idx3-ubyte.gz", tiny.train_images)
    idx.write(folder / "train-labels-idx1-ubyte", tiny.train_labels)
    idx.write(folder / "t10k-images.idx3-ubyte.gz", tiny.test_images)
    idx.write(folder / "t10k-labels.idx1-ubyte", tiny.test_labels)
    return folder


@dataclass(frozen=True)
class Run:
    """What `digitserve-train fit` left behind."""

    result: Result
    bundle: Path
    report: Path


@pytest.fixture(scope="session")
def run(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of `digitserve-train fit` on the tiny data set, as a user starts it."""
    pytest.importorskip("digitserve.trainer.backend", reason="needs digitserve[trainer]")
    folder = tmp_path_factory.mktemp("run")
    bundle, report = folder / "models" / "1", folder / "report"
    arguments = ["--data", tiny_folder, "--unverified-data", "--epochs", 8, "--seed", 3]
    result = CliRunner().invoke(
        main, ["fit", *map(str, arguments), "--out", str(bundle), "--report", str(report)]
    )
    assert result.exit_code == 0, result.output
    return Run(result, bundle, report)
