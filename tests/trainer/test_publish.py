"""`digitserve-train publish`: the next version, whole or not at all."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from digitserve.trainer import bundle
from digitserve.trainer.__main__ import main
from digitserve.trainer.errors import ModelError
from digitserve.trainer.publish import publish

BUNDLED = Path(__file__).parents[2] / "server" / "digitserve" / "server" / "bundled" / "1"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A bundle of the test's own."""
    shutil.copytree(BUNDLED, tmp_path / "bundle")
    return tmp_path / "bundle"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["publish", *map(str, arguments)])


def test_the_next_number(source: Path, tmp_path: Path) -> None:
    """One after the greatest there is; the command prints where it is; the copy is exact."""
    folder = tmp_path / "models"
    assert publish(source, folder) == folder / "1"
    (folder / "8").mkdir()
    (folder / "notes").mkdir()
    result = invoke(source, folder)
    assert (result.exit_code, result.stdout) == (0, f"{folder}/9\n")
    for path in source.iterdir():
        assert (folder / "9" / path.name).read_bytes() == path.read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == ["1", "8", "9", "notes"]


def test_many_publishers_at_once(source: Path, tmp_path: Path) -> None:
    """Each gets a number of its own, and none is left out."""
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: publish(source, tmp_path / "models"), range(16)))
    assert sorted(int(path.name) for path in got) == list(range(1, 17))
    for path in got:
        bundle.read(path)


def test_a_number_that_another_takes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the lock did not reach: nothing is replaced, the next number is taken."""
    folder = tmp_path / "models"
    publish(source, folder)
    (folder / "2").write_text("not even a folder")
    monkeypatch.setattr(bundle, "next_free", lambda _: 1)
    before = (folder / "1").stat().st_ino
    assert publish(source, folder) == folder / "3"
    assert (folder / "1").stat().st_ino == before


def test_a_publisher_that_died(source: Path, tmp_path: Path) -> None:
    """What it left has no number, and is swept away by the next."""
    left = tmp_path / "models" / ".publish-0123abcd.partial"
    left.mkdir(parents=True)
    (left / bundle.COMPILED).write_bytes(b"half")
    assert publish(source, tmp_path / "models").name == "1"
    assert not left.exists()


@pytest.mark.parametrize("damage", ["truncate", "flip", "lose", "manifest", "format"])
def test_what_is_no_bundle(source: Path, tmp_path: Path, damage: str) -> None:
    """Exit code 4, one line that names the file; nothing is written."""
    compiled, manifest = source / bundle.COMPILED, source / bundle.MANIFEST
    content = bytearray(compiled.read_bytes())
    match damage:
        case "truncate":
            compiled.write_bytes(content[:-1])
        case "flip":
            content[1000] ^= 1
            compiled.write_bytes(content)
        case "lose":
            compiled.unlink()
        case "manifest":
            manifest.write_text("{")
        case "format":
            manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    named = manifest if damage in {"manifest", "format"} else compiled
    result = invoke(source, tmp_path / "models")
    assert result.exit_code == 4
    assert re.fullmatch(rf"Error: {named}: expected [^\n]+\n", result.stderr)
    assert not (tmp_path / "models").exists()


def test_a_source_that_changes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is checked as well: a version is never what its manifest does not say."""
    honest = bundle.read

    def read(folder: Path) -> object:
        if folder != source:
            (folder / bundle.COMPILED).write_bytes(b"another")
        return honest(folder)

    monkeypatch.setattr(bundle, "read", read)
    with pytest.raises(ModelError, match=r"model\.tflite: expected 476,968 bytes, came 7"):
        publish(source, tmp_path / "models")
    assert not list((tmp_path / "models").iterdir())


def test_wrong_folders(source: Path, tmp_path: Path) -> None:
    """A bundle that is not there is the command line's fault; a file is no folder of versions."""
    assert invoke(tmp_path / "nowhere", tmp_path / "models").exit_code == 2
    (tmp_path / "file").touch()
    result = invoke(source, tmp_path / "file")
    assert result.exit_code == 1
    assert re.fullmatch(r"Error: .*file: File exists\n", result.stderr)
