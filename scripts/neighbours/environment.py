"""An environment of its own for each foreign client."""

from pathlib import Path

from benchmarks.peers.environment import InstallError, made
from proving import Skipped

ROOT = Path(__file__).resolve().parents[2]


def interpreter(name: str) -> Path:
    """The Python of `requirements/neighbours/NAME.txt`'s environment, which is made if need be.

    Raises:
        Skipped: if its packages cannot be had.
    """
    try:
        return made(ROOT / ".venv-neighbours" / name, ROOT / f"requirements/neighbours/{name}.txt")
    except InstallError as error:
        raise Skipped(str(error)) from error
