"""What the server believes of a model on disk: nothing that its manifest does not prove."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digitserve.server.versions.bundle import BundleError
from digitserve.server.versions.loading import BUNDLED, open_versions
from digitserve.server.versions.version import Version
from support.serving import TEST_CONFIG


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of bundles with version 7, a copy of the bundled one."""
    shutil.copytree(BUNDLED / "1", tmp_path / "models" / "7")
    return tmp_path / "models"


def open_(models: Path) -> list[Version]:
    """Opens what is there, as a server would."""
    return open_versions(replace(TEST_CONFIG, models=models))


def edit_manifest(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrites the manifest of a bundle."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_folder_of_bundles_gives_their_numbers(models: Path) -> None:
    """And what is no number in it is left alone."""
    shutil.copytree(models / "7", models / "12")
    (models / "notes").mkdir()
    assert [version.number for version in open_(models)] == [7, 12]


def test_one_bundle_is_a_version_of_its_own(models: Path) -> None:
    """Its folder's name is its number."""
    assert [version.number for version in open_(models / "7")] == [7]


@pytest.mark.parametrize("name", ["model.tflite", "epic_num_reader.keras"])
class TestAFile:
    def test_with_another_checksum_is_refused(self, models: Path, name: str) -> None:
        """Naming the file and both sums."""
        path = models / "7" / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(BundleError, match=f"{name}: expected SHA-256"):
            open_(models)

    def test_that_is_truncated_is_refused(self, models: Path, name: str) -> None:
        """Naming the file and both lengths."""
        path = models / "7" / name
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(BundleError, match=f"{name}: expected [0-9]+ bytes, got 1000"):
            open_(models)

    def test_that_is_missing_is_refused(self, models: Path, name: str) -> None:
        """Naming the file."""
        (models / "7" / name).unlink()
        with pytest.raises(BundleError, match=f"{name}: No such file"):
            open_(models)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(format=2), "expected format 1, got 2"),
        (lambda m: m["input"].update(shape=["-1", "32", "32"]), "expected input uint8"),
        (lambda m: m["output"].update(dtype="int8"), "expected output float32"),
        (lambda m: m["files"][0].update(name="../../elsewhere"), "outside of the bundle"),
        (lambda m: m.update(files=[]), "names no file with the role"),
        (lambda m: m.update(surprise=1), "is no manifest"),
        (lambda m: m["golden_answers"][3]["probabilities"].reverse(), "golden answer 3"),
    ],
)
def test_a_wrong_manifest_is_refused(
    models: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    """Saying what is wrong with it."""
    edit_manifest(models / "7", change)
    with pytest.raises(BundleError, match=said):
        open_(models)


def test_a_manifest_that_is_none_is_refused(models: Path) -> None:
    """Not JSON, and not there."""
    (models / "7" / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match=r"manifest\.json: is no manifest"):
        open_(models)
    (models / "7" / "manifest.json").unlink()
    with pytest.raises(BundleError, match=r"manifest\.json: No such file"):
        open_(models)


def test_a_network_of_another_form_is_refused(models: Path) -> None:
    """Even if its manifest vouches for it: a file that is no network, sums and all."""
    content = b"not a flatbuffer" * 100
    (models / "7" / "model.tflite").write_bytes(content)

    def vouch(manifest: dict[str, Any]) -> None:
        (file,) = (each for each in manifest["files"] if each["name"] == "model.tflite")
        file.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())

    edit_manifest(models / "7", vouch)
    with pytest.raises(BundleError, match=r"model\.tflite is no LiteRT network"):
        open_(models)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """Saying what was expected there."""
    with pytest.raises(BundleError, match=r"expected a \.keras file, a bundle, or a folder"):
        open_(tmp_path)
