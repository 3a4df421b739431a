"""What the synthetic camera writes with: MNIST's test digits, or the few that come along.

The digits of `drawn.npz` are the project's own, so that there is something to show without MNIST.
"""

import gzip
import zipfile
import zlib
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from digitserve.client.camera.pictures import SourceError

_SIDE = 28
_HEADER = {"images": 16, "labels": 8}  # bytes before the data of an IDX file


class Digits(NamedTuple):
    """Digits to write with."""

    images: NDArray[np.uint8]  # [N, 28, 28], 0 = paper
    labels: NDArray[np.uint8]  # [N]


def drawn_digits() -> Digits:
    """The fifty digits that come along, five of each."""
    with (files("digitserve.client.camera") / "drawn.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        return Digits(arrays["images"], arrays["labels"])


def mnist_digits(path: str | PathLike[str]) -> Digits:
    """Reads MNIST's test set.

    Args:
        path: a folder with the published IDX files, gzipped or not, or Keras's `mnist.npz`.

    Raises:
        SourceError: if it is not there, or is something else.
    """
    place = Path(path)
    try:
        if place.is_dir():
            images, labels = _idx(place, "images").reshape(-1, _SIDE, _SIDE), _idx(place, "labels")
        else:
            with np.load(place, allow_pickle=False) as arrays:
                images, labels = arrays["x_test"], arrays["y_test"]
    except (OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise SourceError(str(place), f"not MNIST: {error}") from error
    if images.shape != (len(labels), _SIDE, _SIDE):
        raise SourceError(str(place), f"{len(labels)} labels for images of shape {images.shape}")
    return Digits(images, labels)


def _idx(folder: Path, what: str) -> NDArray[np.uint8]:
    found = sorted(folder.glob(f"t10k-{what}*ubyte*"))
    if not found:
        raise FileNotFoundError(f"no t10k-{what} file in it")
    content = found[0].read_bytes()
    if found[0].suffix == ".gz":
        content = gzip.decompress(content)
    return np.frombuffer(content, np.uint8, offset=_HEADER[what])
