"""Where labelled images may lie: a folder of IDX files, an `.npz`, or Keras's download.

Each way gives four arrays by Keras's names, each with the place that a complaint should
name.  Whether they can be believed is decided in `dataset.py`.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer import idx
from digitserve.trainer.errors import DatasetError


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """An array and where it came from."""

    where: str
    array: NDArray[Any]


# Keras's name, the official file's name, and how many axes there are.
_FILES: Final = (
    ("x_train", "train-images", 3),
    ("y_train", "train-labels", 1),
    ("x_test", "t10k-images", 3),
    ("y_test", "t10k-labels", 1),
)
_NAMES: Final = tuple(name for name, _, _ in _FILES)


def from_folder(folder: Path) -> Mapping[str, Found]:
    """The four official files, gzipped or not, in either official spelling."""
    return {name: _idx(folder, stem, axes) for name, stem, axes in _FILES}


def _idx(folder: Path, stem: str, axes: int) -> Found:
    plain = f"{stem}-idx{axes}-ubyte"
    names = (plain, f"{plain}.gz", f"{stem}.idx{axes}-ubyte", f"{stem}.idx{axes}-ubyte.gz")
    for name in names:
        if (folder / name).is_file():
            return Found(str(folder / name), idx.read(folder / name, axes))
    raise DatasetError(f"{folder}: expected a file {names[0]} or {names[1]}, came none")


def from_npz(path: Path) -> Mapping[str, Found]:
    """The four arrays of an `.npz`; nothing in it is ever unpickled."""
    try:
        _check_size(path)
        with np.load(path, allow_pickle=False) as archive:
            if missing := [name for name in _NAMES if name not in archive]:
                raise DatasetError(
                    f"{path}: expected arrays {', '.join(_NAMES)}, came none named {missing[0]}"
                )
            return {name: Found(f"{path}[{name}]", archive[name]) for name in _NAMES}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as foreign:
        raise DatasetError(
            f"{path}: expected a folder of IDX files or a whole .npz, came: {foreign}"
        ) from foreign
    except OSError as unreadable:
        raise DatasetError(f"{path}: cannot be read: {unreadable}") from unreadable


def _check_size(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > 2 * 28 * 28 * idx.MAX_IMAGES:
        raise DatasetError(
            f"{path}: expected at most {idx.MAX_IMAGES:,} images, came {size:,} bytes"
        )


def downloaded() -> Mapping[str, Found]:
    """What Keras downloads, once, into its cache."""
    from digitserve.trainer.backend import keras  # noqa: PLC0415  (seconds, and not always needed)

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as failed:  # Keras raises a bare Exception
        raise DatasetError(
            f"MNIST cannot be downloaded ({failed}); "
            "name a folder of IDX files or an .npz with --data"
        ) from failed
    arrays = (x_train, y_train, x_test, y_test)
    return {
        name: Found(f"Keras's mnist.npz[{name}]", array)
        for name, array in zip(_NAMES, arrays, strict=True)
    }
