"""`digitserve-train compare`: two bundles side by side."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from digitserve.trainer.__main__ import main

from .conftest import Run

BUNDLED = Path(__file__).parents[2] / "server" / "digitserve" / "server" / "bundled" / "1"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_side_by_side(run: Run, tiny_folder: Path) -> None:
    """A column each: what the manifests say, and what is measured here."""
    result = invoke(BUNDLED, run.bundle, "--data", tiny_folder, "--unverified-data")
    assert result.exit_code == 0, result.output
    for line in (
        rf" +{BUNDLED} +{run.bundle}",
        r"recipe +mlp, seed 0, 3 epochs +mlp, seed 3, 8 epochs",
        r"gives +ten probabilities +ten probabilities",
        r"accuracy, MNIST test +97\.14% +-",
        r"compiled +477 kB +477 kB",
        r"time an image, here +\d+ us +\d+ us",
        r"accuracy, tiny test, here +\d+\.\d\d% +\d+\.\d\d%",
        r"agree on tiny test +\d+\.\d\d%",
        r"right, and the other wrong +\d+ +\d+",
    ):
        assert re.search(rf"^{line}$", result.output, re.MULTILINE), line


def test_a_bundle_and_itself() -> None:
    """They agree on all drawn digits; TensorFlow is not needed for that."""
    code = (
        "import sys; from digitserve.trainer.__main__ import main; "
        f"main(['compare', {str(BUNDLED)!r}, {str(BUNDLED)!r}], standalone_mode=False); "
        "print('tensorflow' in sys.modules)"
    )
    pytest.importorskip("ai_edge_litert", reason="needs digitserve[trainer]")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.search(r"^agree on drawn digits +100\.00%$", done.stdout, re.MULTILINE)
    assert re.search(r"^right, and the other wrong +0 +0$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("False\n")


def test_what_is_no_bundle(tmp_path: Path) -> None:
    """Exit code 4 and one line; 2 for a folder that is not there."""
    result = invoke(BUNDLED, tmp_path)
    assert result.exit_code == 4
    assert re.fullmatch(
        r"Error: .*manifest\.json: expected a bundle's manifest, came none: .*\n", result.stderr
    )
    assert invoke(BUNDLED, tmp_path / "nowhere").exit_code == 2
