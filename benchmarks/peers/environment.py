"""An environment of its own for each peer, made from PyPI once, and again when its pins change."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.peer import ROOT, Peer

_HOME = ROOT / ".venv-peers"


class InstallError(Exception):
    """An environment that cannot be made, and why."""


def interpreter(peer: Peer) -> Path:
    """The Python of the peer's environment, which is made if need be.

    Raises:
        InstallError: if a package cannot be had.
    """
    if not peer.requirements:
        return Path(sys.executable)
    return made(_HOME / peer.requirements, ROOT / f"requirements/peers/{peer.requirements}.txt")


def made(home: Path, pins: Path) -> Path:
    """The Python of the environment in a folder: made once, and anew when its pins change.

    Raises:
        InstallError: if a package cannot be had.
    """
    ready, python = home / "ready", home / "bin/python"
    wanted = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()
    if not (ready.exists() and ready.read_text(encoding="utf-8") == wanted):
        print(f"setting up {home.relative_to(ROOT)} (once)", flush=True)
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
        raise InstallError(f"`{Path(command[0]).name} {' '.join(command[1:5])} …`: {last}")


def versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """What the environment holds of some packages; those that it does not hold are left out."""
    code = (
        "import sys, importlib.metadata as m\n"
        "held = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
        "[print(name, held[name]) for name in sys.argv[1:] if name in held]"
    )
    said = subprocess.run(
        [str(python), "-c", code, *packages], check=True, capture_output=True, text=True
    ).stdout
    return dict(line.split(" ", 1) for line in said.splitlines())
