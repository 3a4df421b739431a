"""The stubs beside the protos, and the page about them, are what the pinned generator makes."""

import filecmp
import os
import subprocess
from importlib.metadata import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKED_IN = ROOT / "protos/digitserve/v1"
ADAPTERS = "digitserve/server/adapters"
PYTHON = ROOT / ".venv-protos/bin/python"


def generate(script: str, out: Path) -> None:
    """Runs one of the scripts behind `make stubs`."""
    if not PYTHON.exists():
        assert not os.environ.get("CI"), "`make .venv-protos/ready` makes the generator"
        pytest.skip("the pinned generator is not set up: make .venv-protos/ready")
    subprocess.run([PYTHON, ROOT / "scripts" / script, out], check=True, timeout=120)


def test_stubs_are_regenerable(tmp_path: Path) -> None:
    """An empty diff: nobody edited them, nobody forgot `make stubs`."""
    generate("generate_stubs.py", tmp_path)
    made = {path.name for path in (tmp_path / "digitserve/v1").iterdir()}
    there = {path.name for path in CHECKED_IN.glob("*_pb2*")}
    assert made == there
    _, differ, errors = filecmp.cmpfiles(
        tmp_path / "digitserve/v1", CHECKED_IN, sorted(made), shallow=False
    )
    assert (differ, errors) == ([], [])


def test_descriptor_sets_are_regenerable(tmp_path: Path) -> None:
    """What an adapter reads is what its .proto says."""
    generate("generate_stubs.py", tmp_path)
    protos = sorted((ROOT / "server" / ADAPTERS).glob("*/*.proto"))
    assert protos
    for proto in protos:
        made = tmp_path / ADAPTERS / proto.parent.name / f"{proto.stem}.binpb"
        assert made.read_bytes() == proto.with_suffix(".binpb").read_bytes(), proto.name


def test_the_reference_is_current(tmp_path: Path) -> None:
    """It says what the comments in the protos say."""
    generate("generate_reference.py", tmp_path / "reference.md")
    made = (tmp_path / "reference.md").read_text(encoding="utf-8")
    assert made == (ROOT / "docs/reference.md").read_text(encoding="utf-8")


def test_google_rpc_is_as_google_has_it() -> None:
    """The copies that other languages' generators read are those of the Python package."""
    (package,) = {
        Path(str(file.locate())).parent
        for file in files("googleapis-common-protos") or ()
        if file.as_posix() == "google/rpc/status.proto"
    }
    for copy in (ROOT / "third_party/googleapis/google/rpc").glob("*.proto"):
        assert copy.read_bytes() == (package / copy.name).read_bytes(), copy.name


@pytest.mark.parametrize("name", sorted(path.name for path in CHECKED_IN.glob("*.proto")))
def test_every_proto_has_its_options(name: str) -> None:
    """So that no user of another language has to fight a generator."""
    text = (CHECKED_IN / name).read_text(encoding="utf-8")
    for option in (
        "csharp_namespace",
        "go_package",
        "java_multiple_files = true",
        "java_package",
        "objc_class_prefix",
        "php_namespace",
        "ruby_package",
    ):
        assert f"option {option}" in text
