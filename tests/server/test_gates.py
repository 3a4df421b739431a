"""What a version must pass before it may answer."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digitserve.server.versions.bundle import BundleError
from digitserve.server.versions.gates import gate_set, worse
from digitserve.server.versions.loading import BUNDLED, load, open_versions
from digitserve.server.versions.settings import Gates
from digitserve.server.versions.version import Findings
from support.serving import TEST_CONFIG

BUNDLE = BUNDLED / "1"
SHIPPED = Path(str(BUNDLED)).parent / "versions" / "gate.npz"


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """The gate set that ships, with every label off by one."""
    images, labels = gate_set(SHIPPED)
    np.savez_compressed(tmp_path / "off.npz", images=images, labels=(labels + 1) % 10)
    return tmp_path / "off.npz"


def test_the_shipped_gate_set_is_read_by_the_bundled_model() -> None:
    """500 digits, each as often as any other; what was measured is kept."""
    images, labels = gate_set(SHIPPED)
    assert len(images) == 500
    assert np.bincount(labels).tolist() == [50] * 10
    findings = load(1, BUNDLE, TEST_CONFIG, Gates()).findings
    assert findings.accuracy is not None
    assert findings.accuracy > 0.97
    assert findings.image_us is not None
    assert 0 < findings.image_us < 500


def test_a_network_that_reads_too_little_is_refused(labelled: Path) -> None:
    """Saying how much, and of what."""
    told = r"reads [0-9.]+% of the gate set's 500 digits right, expected at least 90\.00%"
    with pytest.raises(BundleError, match=told):
        load(1, BUNDLE, TEST_CONFIG, Gates(set=labelled))


def test_a_network_that_takes_too_long_is_refused() -> None:
    """By the median of one image alone."""
    with pytest.raises(BundleError, match=r"an image takes [0-9]+ microseconds, expected at most"):
        load(1, BUNDLE, TEST_CONFIG, Gates(image_us=0.01))


def test_the_gates_of_a_folder_are_in_its_settings(tmp_path: Path, labelled: Path) -> None:
    """And those of a bundle alone in the file that the command names."""
    shutil.copytree(BUNDLE, tmp_path / "models" / "7")
    settings = tmp_path / "strict.toml"
    settings.write_text(f"gates.set = {str(labelled)!r}", encoding="utf-8")
    for models in (tmp_path / "models", tmp_path / "models" / "7"):
        with pytest.raises(BundleError, match="of the gate set"):
            open_versions(replace(TEST_CONFIG, models=models, settings=settings))
    shutil.copy(settings, tmp_path / "models" / "models.toml")
    with pytest.raises(BundleError, match="of the gate set"):
        open_versions(replace(TEST_CONFIG, models=tmp_path / "models"))


@pytest.mark.parametrize(
    ("accuracy", "stable", "fits"),
    [
        (0.990, 0.99, True),
        (0.985, 0.99, True),
        (0.984, 0.99, False),
        (None, 0.99, True),
        (0.5, None, True),
    ],
)
def test_a_margin_is_granted(accuracy: float | None, stable: float | None, fits: bool) -> None:
    """What was not asked is not compared."""
    assert (worse(Findings(accuracy), Findings(stable), Gates()) == "") is fits
    # What was asked something else is not compared either.
    assert not worse(Findings(accuracy, gate_set="another"), Findings(stable), Gates())


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"labels": np.zeros(3, np.uint8)}, "expected the arrays `images` and `labels`"),
        ({"images": np.zeros((3, 28, 28)), "labels": np.zeros(3, int)}, "got float64"),
        ({"images": np.zeros((3, 32, 32), np.uint8), "labels": np.zeros(3, int)}, "32, 32"),
        ({"images": np.zeros((3, 28, 28), np.uint8), "labels": np.zeros(2, int)}, "expected 3 int"),
        ({"images": np.zeros((3, 28, 28), np.uint8), "labels": np.zeros(3)}, "got float64"),
        ({"images": np.zeros((0, 28, 28), np.uint8), "labels": np.zeros(0, int)}, "expected 0 int"),
        ({"images": np.array([None]), "labels": np.zeros(1, int)}, "no .npz of labelled digits"),
    ],
)
def test_a_wrong_gate_set_is_named(tmp_path: Path, arrays: dict[str, Any], told: str) -> None:
    """What was expected and what came; nothing is unpickled."""
    np.savez(tmp_path / "gate.npz", **arrays)
    with pytest.raises(BundleError, match=rf"gate\.npz: .*{told}"):
        gate_set(tmp_path / "gate.npz")


def test_a_gate_set_that_is_none(tmp_path: Path) -> None:
    """Not there, and not an archive."""
    (tmp_path / "gate.npz").write_bytes(b"PK no")
    for name, told in (("gate.npz", "is no .npz"), ("missing.npz", "cannot be read: No such")):
        with pytest.raises(BundleError, match=f"{name}: {told}"):
            gate_set(tmp_path / name)
