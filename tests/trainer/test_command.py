"""`digitserve-train` before there is anything to train."""

import subprocess
import sys

from click.testing import CliRunner

from digitserve.trainer.__main__ import main
from digitserve.trainer.networks import RECIPES

RUN = "from digitserve.trainer.__main__ import main; "


def test_help_is_instant() -> None:
    """It loads neither TensorFlow nor NumPy."""
    done = subprocess.run(
        [sys.executable, "-c", f"{RUN}import sys; main(['fit', '--help'], standalone_mode=False); "
         "print(sorted({'numpy', 'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--unverified-data" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_missing_extra() -> None:
    """One line says what to install."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['numpy'] = None; {RUN}main(['fit'])"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "Error: numpy is missing: install `digitserve[trainer]`\n"


def test_wrong_options() -> None:
    """Exit code 2, and what would have been right."""
    for options, hint in (
        (["--recipe", "cnn9"], "'mlp'"),
        (["--seed", "-1"], "0<=x<=4294967295"),
        (["--epochs", "0"], "x>=1"),
    ):
        result = CliRunner().invoke(main, ["fit", *options])
        assert result.exit_code == 2
        assert hint in result.stderr


def test_recipes_describe_themselves() -> None:
    """Each goes by its own name and says in a sentence what it is."""
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.description.endswith(".")
        assert recipe.epochs >= 1
