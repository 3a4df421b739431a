"""MNIST for tests, where there is any: found, never committed, read with NumPy alone."""

import gzip
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

_ROOT = Path(__file__).parents[2]
_PLACES = (
    _ROOT.parent / "shared" / "mnist",
    Path.home() / ".keras" / "datasets" / "mnist.npz",
)


def find_mnist() -> Path | None:
    """A folder of IDX files, or an `.npz`: what DIGITSERVE_MNIST names, else where it may lie."""
    named = os.environ.get("DIGITSERVE_MNIST")
    places = [Path(named)] if named else _PLACES
    return next((place for place in places if place.exists()), None)


def read_test_set(source: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The 10,000 test images, `uint8[10000, 28, 28]`, and their labels."""
    if source.is_file():
        with np.load(source, allow_pickle=False) as arrays:
            return arrays["x_test"], arrays["y_test"]
    images = _idx(source, "t10k-images", 3)
    return images.reshape(-1, 28, 28), _idx(source, "t10k-labels", 1)


def _idx(folder: Path, stem: str, axes: int) -> npt.NDArray[np.uint8]:
    path = next(folder.glob(f"{stem}*ubyte*"))
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes)
