"""The wheel that a user installs: built from the sdist, and whole."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, by way of the sdist, with the build tools that are here."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = out.glob("*.whl")
    return wheel


def test_the_wheel_holds_everything_that_is_needed(wheel: Path) -> None:
    """Every module, stub, proto and type marker, the bundled models, gate set and template."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for root in ("protos", "client", "server", "trainer"):
        for path in (ROOT / root / "digitserve").rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path.relative_to(ROOT / root).as_posix() in names
    assert "digitserve/server/bundled/1/model.tflite" in names
    assert "digitserve/server/versions/gate.npz" in names
    assert "digitserve/v1/digits.proto" in names


def test_the_wheel_owns_no_common_name(wheel: Path) -> None:
    """`import server` finds nothing of ours."""
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"digitserve", next(top for top in tops if top.endswith(".dist-info"))}


def test_the_wheel_is_small(wheel: Path) -> None:
    """The models are in it, and nothing that was left lying about."""
    assert wheel.stat().st_size < 5_000_000
