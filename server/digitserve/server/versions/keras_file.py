"""A bare `.keras` file: compiled once, by the trainer, in a process of its own.

The server never imports the trainer; it starts it, and keeps what it wrote by the file's SHA-256.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from digitserve.server.versions.bundle import BundleError, unread

_COMPILER = "digitserve.trainer.export"
_TIMEOUT_S = 300


def compiled_bundle(path: Path, input_range: str | None) -> Path:
    """Compiles a `.keras` file, unless that was done before.

    Args:
        path: the file.
        input_range: what the network wants for ink, `0..1` or `0..255`; None: as its Rescaling
            layer says.

    Returns:
        The folder of its bundle, in the user's cache.

    Raises:
        BundleError: if the file cannot be read, compiled or believed.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise unread(path, error) from error
    folder = _cache() / f"{digest}-{input_range or 'own'}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", _COMPILER, str(path), str(folder)]
    if input_range is not None:
        command += ["--input-range", input_range]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(path, f"could not be compiled within {_TIMEOUT_S} s") from error
    if done.returncode and not folder.is_dir():  # another server may have been faster
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise BundleError(path, "could not be compiled", said[-1])
    return folder


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "digitserve" / "compiled"
