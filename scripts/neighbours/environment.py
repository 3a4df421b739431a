"""An environment of its own for each foreign client: made once, and anew when its pins change."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from proving import Skipped

ROOT = Path(__file__).resolve().parents[2]
_HOME = ROOT / ".venv-neighbours"


def interpreter(name: str) -> Path:
    """The Python of `requirements/neighbours/NAME.txt`'s environment, which is made if need be.

    Raises:
        Skipped: if its packages cannot be had.
    """
    pins = ROOT / f"requirements/neighbours/{name}.txt"
    home = _HOME / name
    ready, python = home / "ready", home / "bin/python"
    wanted = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    if not (ready.exists() and ready.read_text(encoding="utf-8") == wanted):
        shutil.rmtree(home, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(home))
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run(*pip, "-r", str(pins))
        ready.write_text(wanted, encoding="utf-8")
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        raise Skipped(f"`{Path(command[0]).name} {' '.join(command[1:5])} …`: {last}")
