"""The labels of a file of images, where they lie beside it or in it.  Needs no NumPy."""

import gzip
import io
import os
import re
import struct
import zipfile
import zlib
from pathlib import Path

from digitserve.client.images import npz

_NPY = b"\x93NUMPY"
_IDX_LABELS = b"\0\0\x08\x01"
_BROKEN = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    struct.error,
    zlib.error,
    *npz.BROKEN,
)
# Whatever is packed into little: MNIST's 60,000 labels, as int64, are half a million bytes.
_LIMIT_BYTES = 16 * 1024 * 1024


def labels_of(images: str | os.PathLike[str], count: int) -> list[int] | None:
    """What the first `count` images of a file show; None if nobody says.

    `t10k-labels-idx1-ubyte` says it of `t10k-images-idx3-ubyte`, gzipped or not, `labels.npy` of
    `digits.npy` or `images.npy`, and `y_test` of `x_test` in the same `.npz`.
    """
    try:
        content = _content(Path(images))
    except _BROKEN:
        return None
    labels = (labels_in(content) or [])[:count]
    return labels if len(labels) == count and max(labels, default=10) <= 9 else None


def labels_in(content: bytes) -> list[int] | None:
    """The labels of a file that holds nothing else, IDX or `.npy`, gzipped or not; None if none."""
    try:
        if content[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
                content = packed.read(_LIMIT_BYTES)
        return _values(content)
    except _BROKEN:
        return None


def _content(images: Path) -> bytes:
    if images.suffix == ".npz":
        with zipfile.ZipFile(images) as archive:
            tested = "x_test.npy" in archive.namelist()
            with archive.open("y_test.npy" if tested else "y_train.npy") as packed:
                return packed.read(_LIMIT_BYTES)
    name = images.name.replace("images", "labels").replace("digits", "labels")
    if name == images.name:
        raise FileNotFoundError(images)
    return images.with_name(name.replace("idx3", "idx1")).read_bytes()


def _values(content: bytes) -> list[int]:
    """The numbers of an IDX or `.npy` file with one axis of small integers."""
    if content.startswith(_IDX_LABELS):
        return list(content[8:])
    if not content.startswith(_NPY):
        raise ValueError("neither IDX labels nor .npy")
    stream = io.BytesIO(content[8:])
    (length,) = struct.unpack("<H", stream.read(2))
    header = stream.read(length).decode("latin-1")
    if not re.search(r"'shape': \(\d+,\)", header):
        raise ValueError(header)
    for dtype, size in {"|u1": 1, "<i8": 8, "<i4": 4}.items():
        if f"'{dtype}'" in header:
            return list(stream.read()[::size])  # little-endian: the first byte is the number
    raise ValueError(header)
