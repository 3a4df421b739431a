"""A bare `.keras` file given to the server: compiled once, elsewhere, if it reads digits."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digitserve.client import DigitClient
from digitserve.server.versions.bundle import BundleError
from digitserve.server.versions.loading import BUNDLED, open_versions
from support.command import failed_command
from support.serving import TEST_CONFIG, serving

pytest.importorskip("tensorflow", reason="compiling a .keras file needs the extra trainer")
BUNDLED_KERAS = BUNDLED / "1" / "epic_num_reader.keras"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_is_compiled_once_and_answers_as_the_bundle_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To within what compiling may change; the second start does not compile again."""
    file = tmp_path / "mine.keras"
    shutil.copy(BUNDLED_KERAS, file)
    config = replace(TEST_CONFIG, models=file)
    image = bytes(range(256)) * 3 + bytes(16)
    with serving() as bundled, DigitClient(bundled.address) as client:
        expected = client.predict(image)
    with serving(config) as up, DigitClient(up.address) as client:
        assert client.predict(image).probabilities == pytest.approx(expected.probabilities)

    def no_process(*_: Any, **__: Any) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr("subprocess.run", no_process)
    assert [version.number for version in open_versions(config)] == [1]


def test_a_wrong_input_range_is_refused() -> None:
    """It would else be wrong in silence: said to want 0..1, this network reads nothing."""
    config = replace(TEST_CONFIG, models=BUNDLED_KERAS, input_range="0..1")
    with pytest.raises(BundleError, match=r"could not be compiled: .*golden digits"):
        open_versions(config)


def test_what_is_no_keras_file_is_refused(tmp_path: Path, cache: Path) -> None:
    """Exit code 4, one line, and nothing left in the cache."""
    file = tmp_path / "notes.keras"
    file.write_text("not a network")
    code, said = failed_command("--address", "127.0.0.1:0", "--models", str(file))
    assert (code, said.count("\n")) == (4, 1)
    assert said.startswith(f"digitserve-server: {file}: could not be compiled: ")
    assert list(cache.rglob("*.keras")) == []
