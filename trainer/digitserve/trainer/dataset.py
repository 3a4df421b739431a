"""MNIST, or data of the same form, as four arrays that can be believed.

    sources.py ──▶ the form (bytes of 28x28, labels 0 to 9, one for each) ──▶ the published
    checksums ──▶ Dataset

Whatever the source, each part is hashed in its IDX form and compared with the published
file: a network trained on the wrong data looks healthy until somebody asks it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer import idx, sources
from digitserve.trainer.errors import DatasetError
from digitserve.trainer.sources import Found

Array = NDArray[np.uint8]

_SHA256: Final = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Labelled images to train on, and others to test on.

    Attributes:
        train_images: `uint8[n, 28, 28]`, 0 is paper, 255 is ink.
        train_labels: `uint8[n]`, 0 to 9.
        test_images: as `train_images`.
        test_labels: as `train_labels`.
        name: `MNIST`, or the name of what was given unverified.
    """

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array
    name: str


def load(source: Path | None = None, *, verified: bool = True) -> Dataset:
    """Load MNIST.

    Args:
        source: a folder of IDX files, or an `.npz`; by default Keras downloads and caches it.
        verified: whether each part must be the published one, to the bit.

    Raises:
        DatasetError: naming the file, what was expected and what came.
    """
    found = _find(source)
    train = _pair(found["x_train"], found["y_train"])
    test = _pair(found["x_test"], found["y_test"])
    if verified:
        for name, array in zip(_SHA256, (*train, *test), strict=True):
            _verify(found[name].where, array, _SHA256[name])
    name = "MNIST" if verified or source is None else source.resolve().stem
    return Dataset(*train, *test, name=name)


def _find(source: Path | None) -> Mapping[str, Found]:
    if source is None:
        return sources.downloaded()
    if source.is_dir():
        return sources.from_folder(source)
    if source.exists():
        return sources.from_npz(source)
    raise DatasetError(f"{source}: expected a folder of IDX files or an .npz, came nothing")


def _pair(images: Found, labels: Found) -> tuple[Array, Array]:
    checked = _images(images), _labels(labels)
    if len(checked[0]) != len(checked[1]):
        raise DatasetError(
            f"{labels.where}: expected a label for each of the {len(checked[0]):,} images "
            f"of {images.where}, came {len(checked[1]):,}"
        )
    if not len(checked[0]):
        raise DatasetError(f"{images.where}: expected at least one image, came none")
    return checked


def _images(found: Found) -> Array:
    array = found.array
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[1:] != (28, 28):
        raise DatasetError(f"{found.where}: expected uint8[n, 28, 28], came {_form(found)}")
    return array


def _labels(found: Found) -> Array:
    array = found.array
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise DatasetError(f"{found.where}: expected integers[n], came {_form(found)}")
    # In their own type: as bytes, 256 would be a zero.
    if len(foreign := array[(array < 0) | (array > 9)]):
        raise DatasetError(f"{found.where}: expected labels 0 to 9, came {foreign[0]}")
    return array.astype(np.uint8)


def _form(found: Found) -> str:
    return f"{found.array.dtype}{list(found.array.shape)}"


def _verify(where: str, array: Array, expected: str) -> None:
    if (came := idx.sha256(array)) != expected:
        raise DatasetError(
            f"{where}: expected the published MNIST, sha256 {expected[:12]}… as IDX, "
            f"came {came[:12]}…; data of your own needs --unverified-data"
        )
